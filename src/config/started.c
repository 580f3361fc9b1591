/* SPDX-License-Identifier: Apache-2.0 */
/* The file of started processes: how a slot is written and read.  A slot is text, one value a line;
 * it begins and ends with the process ID, so that one that is being written is told from a whole
 * one. */
#include "config/started.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static off_t slot_of(pid_t pid)
{
	return (off_t)((unsigned)pid % KF_STARTED_SLOTS) * KF_STARTED_SIZE;
}

int kf_started_write(const char *file, const struct kf_started *s, struct kf_err *err)
{
	KF_CLOSE int fd = open(file, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	char text[KF_STARTED_SIZE] = {0};
	int n;

	if (fd < 0)
		return kf_fail_sys(err, "open '%s'", file);
	n = snprintf(text, sizeof(text), "%d\n%s\n%s\n%s\n%s\n%s\n%s\n%d\n", s->pid, s->id,
		     s->namespace_, s->pod, s->uid, s->container, s->profile, s->pid);
	if (n < 0 || (size_t)n >= sizeof(text))
		return kf_fail(err, ENAMETOOLONG, "'%s': the names of '%.80s' are too long", file,
			       s->id);
	if (pwrite(fd, text, sizeof(text), slot_of(s->pid)) != sizeof(text))
		return kf_fail_sys(err, "write '%s'", file);
	return 0;
}

bool kf_started_read(int fd, pid_t pid, char text[static KF_STARTED_SIZE], struct kf_started *ret)
{
	struct kf_started found = {.pid = pid};
	const char **const values[] = {&found.id,  &found.namespace_, &found.pod,
				       &found.uid, &found.container,  &found.profile};
	const ssize_t n = pread(fd, text, KF_STARTED_SIZE, slot_of(pid));
	char *at = text, *end;

	if (n != KF_STARTED_SIZE || text[KF_STARTED_SIZE - 1] || strtol(text, &end, 10) != pid ||
	    *end != '\n')
		return false;
	at = end + 1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(values); i++) {
		end = strchr(at, '\n');
		if (!end)
			return false;
		*end = '\0';
		*values[i] = at;
		at = end + 1;
	}
	if (strtol(at, &end, 10) != pid || *end != '\n')
		return false;
	*ret = found;
	return true;
}
