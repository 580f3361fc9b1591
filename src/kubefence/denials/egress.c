/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what the egress broker has refused, from its log of connections (egress/worker.h has the
 * lines), so that it is told with all else that was denied. */
#include "base/cleanup.h"
#include "config/started.h"
#include "denial/denial.h"
#include "kube/object.h"
#include "kubefence/denials/denials.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE	   16384
#define PIECES	   16 /* in one turn */
#define NAME_PARTS 3
#define POD_MAX	   512

/* Take "NAMESPACE/NAME/UID" apart. */
static bool split_pod(char *text, const char *part[static NAME_PARTS])
{
	for (size_t i = 0; i < NAME_PARTS; i++) {
		part[i] = strsep(&text, "/");
		if (!part[i])
			return false;
	}
	return !text;
}

static struct kf_who *find_pod(struct json_object *o, struct kf_who_table *owners)
{
	const char *part[NAME_PARTS];
	char pod[POD_MAX];

	(void)snprintf(pod, sizeof(pod), "%s", kf_kube_string(o, "pod"));
	if (!split_pod(pod, part))
		return NULL;
	return kf_who_get(owners, &(const struct kf_started){
					  .id = "",
					  .namespace_ = part[0],
					  .pod = part[1],
					  .uid = part[2],
					  .container = "",
					  .profile = kf_kube_string(o, "profile"),
				  });
}

static void take_line(const char *line, struct kf_who_table *owners,
		      void (*refused)(void *ctx, const struct kf_denial *denial), void *ctx)
{
	struct json_object *o = *line == '{' ? json_tokener_parse(line) : NULL;
	const long port = json_object_is_type(o, json_type_object) ? kf_kube_number(o, "port") : 0;

	if (json_object_is_type(o, json_type_object) &&
	    strcmp(kf_kube_string(o, "verdict"), "refused") == 0) {
		struct kf_who *who = find_pod(o, owners);
		struct kf_denial denial;

		kf_denial_of_egress(kf_kube_string(o, "name"),
				    port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0,
				    kf_kube_string(o, "reason"),
				    1000 * (uint64_t)kf_kube_number(o, "time"), who, &denial);
		refused(ctx, &denial);
		kf_who_drop(owners, who);
	}
	json_object_put(o);
}

/* The log that is there now; what was in it when we began has been told, or is old. */
static void open_log(struct kf_denials_egress *e)
{
	struct stat now, st;
	const bool there = lstat(KF_EGRESS_LOG, &now) == 0;

	if (e->fd >= 0 && there && fstat(e->fd, &st) == 0 &&
	    (st.st_ino != now.st_ino || st.st_dev != now.st_dev)) {
		(void)close(e->fd);
		e->fd = -1;
	}
	if (e->fd < 0 && there) {
		e->fd = open(KF_EGRESS_LOG, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		if (e->fd >= 0 && !e->begun)
			(void)lseek(e->fd, 0, SEEK_END);
	}
	e->begun = true;
}

/* As read(2), and take the lines that are complete by now. */
static ssize_t read_piece(struct kf_denials_egress *e, struct kf_who_table *owners,
			  void (*refused)(void *ctx, const struct kf_denial *denial), void *ctx)
{
	char piece[PIECE];
	char *at, *end;
	ssize_t n = read(e->fd, piece, sizeof(piece));

	if (n <= 0)
		return n;
	kf_buf_add(&e->rest, piece, (size_t)n);
	for (at = e->rest.p; at && (end = strchr(at, '\n')); at = end + 1) {
		*end = '\0';
		take_line(at, owners, refused, ctx);
	}
	if (e->rest.failed) {
		kf_buf_reset(&e->rest);
	} else if (at && at != e->rest.p) {
		e->rest.n -= (size_t)(at - e->rest.p);
		memmove(e->rest.p, at, e->rest.n + 1);
	}
	return n;
}

void kf_denials_egress_read(struct kf_denials_egress *e, struct kf_who_table *owners,
			    void (*refused)(void *ctx, const struct kf_denial *denial), void *ctx)
{
	ssize_t n = 0;

	if (!e->begun)
		open_log(e);
	for (unsigned i = 0; i < PIECES && e->fd >= 0; i++) {
		n = read_piece(e, owners, refused, ctx);
		if (n <= 0)
			break;
	}
	/* All of the old one has been read when a new one is looked for. */
	if (n <= 0)
		open_log(e);
}

void kf_denials_egress_close(struct kf_denials_egress *e)
{
	if (e->fd >= 0)
		(void)close(e->fd);
	kf_buf_done(&e->rest);
}

int kf_denials_egress_all(int fd, void (*refused)(void *ctx, const struct kf_denial *denial),
			  void *ctx, struct kf_err *err)
{
	struct kf_denials_egress e = {
		.fd = fd, .begun = true, .rest = KF_BUF_INIT(KF_EGRESS_LINES)};
	struct kf_who_table owners = {0};
	ssize_t n;

	while ((n = read_piece(&e, &owners, refused, ctx)) > 0)
		;
	kf_buf_done(&e.rest);
	return n < 0 ? kf_fail_sys(err, "read the broker's log") : 0;
}
