/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the workers' records, and counts them. */
#include "egress-node/trail.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int kf_trail_open(struct kf_trail *trail, const char *path, struct kf_err *err)
{
	struct stat st;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || fstat(fd, &st) < 0)
		return kf_fail_sys(err, "open '%s'", path);
	trail->path = path;
	trail->fd = fd;
	trail->size = (uint64_t)st.st_size;
	return 0;
}

static void turn_over(struct kf_trail *trail)
{
	char old[PATH_MAX];
	struct kf_err err;

	(void)snprintf(old, sizeof(old), "%s.1", trail->path);
	(void)close(trail->fd);
	(void)rename(trail->path, old);
	if (kf_trail_open(trail, trail->path, &err) < 0)
		trail->path = NULL; /* they are still counted */
}

/* Whether @line is an object on one line, printable, that says @member. */
static bool has_member(const char *line, const char *member)
{
	return strstr(line, member) != NULL;
}

static bool is_record(const char *line, size_t n, const char *pod)
{
	char own[512];

	if (n < 2 || line[0] != '{' || line[n - 1] != '}')
		return false;
	for (size_t i = 0; i < n; i++)
		if (line[i] < 0x20 || line[i] > 0x7e)
			return false;
	(void)snprintf(own, sizeof(own), "\"pod\":\"%s\"", pod);
	return has_member(line, own);
}

void kf_trail_record(struct kf_trail *trail, const char *pod, const char *line, size_t n)
{
	char text[KF_TRAIL_LINE_MAX + 2];
	struct kf_err err;

	if (n > KF_TRAIL_LINE_MAX) {
		trail->broken++;
		return;
	}
	memcpy(text, line, n);
	text[n] = '\0';
	if (!is_record(text, n, pod)) {
		trail->broken++;
		return;
	}
	if (has_member(text, "\"verdict\":\"allowed\""))
		trail->allowed++;
	else if (has_member(text, "\"verdict\":\"refused\""))
		trail->refused++;
	else
		trail->failed++;
	if (!trail->path)
		return;
	text[n] = '\n';
	if (kf_write_all(trail->fd, text, n + 1, &err) == 0)
		trail->size += n + 1;
	if (trail->size > KF_TRAIL_FILE_MAX)
		turn_over(trail);
}

void kf_trail_metrics(const struct kf_trail *trail, unsigned pods, unsigned serving,
		      struct kf_buf *out)
{
	kf_buf_addf(out,
		    "# HELP nono_egress_pods Pods whose only way out is the broker\n"
		    "# TYPE nono_egress_pods gauge\n"
		    "nono_egress_pods{serving=\"true\"} %u\n"
		    "nono_egress_pods{serving=\"false\"} %u\n"
		    "# HELP nono_egress_records_total Connections and requests, by verdict\n"
		    "# TYPE nono_egress_records_total counter\n"
		    "nono_egress_records_total{verdict=\"allowed\"} %" PRIu64 "\n"
		    "nono_egress_records_total{verdict=\"refused\"} %" PRIu64 "\n"
		    "nono_egress_records_total{verdict=\"failed\"} %" PRIu64 "\n",
		    serving, pods - serving, trail->allowed, trail->refused, trail->failed);
	kf_buf_addf(out,
		    "# HELP nono_egress_broken_records_total Lines of workers that are no record\n"
		    "# TYPE nono_egress_broken_records_total counter\n"
		    "nono_egress_broken_records_total %" PRIu64 "\n"
		    "# HELP nono_egress_workers_total Workers, by what became of them\n"
		    "# TYPE nono_egress_workers_total counter\n"
		    "nono_egress_workers_total{event=\"started\"} %" PRIu64 "\n"
		    "nono_egress_workers_total{event=\"ended\"} %" PRIu64 "\n",
		    trail->broken, trail->started, trail->ended);
}
