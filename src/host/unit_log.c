/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of the runtime's units, read by the host's journalctl.  It is only used to explain a
 * failure. */
#include "host/unit_log.h"

#include "base/cleanup.h"
#include "host/run.h"

#include <stdio.h>
#include <string.h>

#define LOG_MS	  20000
#define LOG_BYTES (8 * 1024 * 1024)
#define LOG_LINES "2000"
#define ARGS_MAX  (8 + 2 * KF_DISTRO_CHOICES + 1)

static const char *const programs[] = {"/usr/bin/journalctl", "/bin/journalctl",
				       "/run/current-system/sw/bin/journalctl", NULL};

/* The last occurrence of @needle in @text. */
static const char *last_of(const char *text, const char *needle)
{
	const char *found = NULL;

	for (const char *at = strstr(text, needle); at; at = strstr(at + 1, needle))
		found = at;
	return found;
}

bool kf_unit_logged(const struct kf_host_runtime *rt, const char *needle,
		    char line[static KF_UNIT_LINE])
{
	const char *argv[ARGS_MAX] = {kf_host_first(rt->host, programs),
				      "--no-pager",
				      "-q",
				      "-b",
				      "-o",
				      "cat",
				      "-n",
				      LOG_LINES};
	const char *found, *start;
	struct kf_err err;
	struct kf_run run;
	size_t n = 8;

	for (const char *const *u = rt->distro->units; *u && n + 2 < ARGS_MAX; u++) {
		argv[n++] = "-u";
		argv[n++] = *u;
	}
	/* A log that cannot be read counts as one without such a line. */
	if (!argv[0] || kf_run_host(rt->host, argv, LOG_MS, LOG_BYTES, &run, &err) < 0)
		return false;
	found = last_of(run.out, needle);
	if (found) {
		for (start = found; start > run.out && start[-1] != '\n'; start--)
			;
		(void)snprintf(line, KF_UNIT_LINE, "%.*s", (int)strcspn(start, "\n"), start);
	}
	kf_run_done(&run);
	return found != NULL;
}
