/* SPDX-License-Identifier: Apache-2.0 */
/* Readiness by file: a pod's exec probe reads what its daemon wrote last, and when. */
#include "event/ready.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/path.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define READY_MAX 1024
/* After this many periods without a write the file counts as stale. */
#define STALE	  4

/* Seconds since boot: a clock that nobody can set. */
static int64_t boot_time(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec;
}

int kf_ready_write(const char *path, bool ready, unsigned period, const char *message,
		   struct kf_err *err)
{
	const char *name = kf_path_base(path);
	KF_CLOSE int dir = -1;
	char text[READY_MAX], parent[PATH_MAX];
	int n;

	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(name - path), path);
	dir = open(*parent ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return kf_fail_sys(err, "--ready-file: directory of '%s'", path);
	n = snprintf(text, sizeof(text), "%d %" PRId64 " %u %s\n", ready, boot_time(), period,
		     message);
	if (n >= (int)sizeof(text))
		n = (int)sizeof(text) - 1;
	return kf_file_replace(dir, name, text, (size_t)n, 0644, err);
}

int kf_ready_check(const char *path, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	int64_t then, age;
	unsigned period;
	int ready, at = 0;

	if (kf_file_slurp(AT_FDCWD, path, READY_MAX, &text, NULL, err) < 0)
		return kf_fail_wrap(err, "the agent has not said anything yet");
	if (sscanf(text, "%d %" SCNd64 " %u %n", &ready, &then, &period, &at) != 3 || !at)
		return kf_fail(err, EINVAL, "'%s' is not the agent's", path);
	age = boot_time() - then;
	if (age < 0 || age > (int64_t)period * STALE)
		return kf_fail(err, ETIMEDOUT, "the agent has said nothing for %" PRId64 " s", age);
	text[strcspn(text, "\n")] = '\0';
	return ready ? 0 : kf_fail(err, EAGAIN, "not ready: %s", text + at);
}
