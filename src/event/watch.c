/* SPDX-License-Identifier: Apache-2.0 */
/* A watch of directories, with inotify.  It tells that something changed, not what: the function
 * that is called looks at everything again. */
#include "event/watch.h"

#include "base/cleanup.h"

#include <event2/event.h>
#include <limits.h>
#include <stdalign.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>

#define EVENTS                                                                                   \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | \
	 IN_MOVE_SELF | IN_ONLYDIR)
#define NONE -1

struct kf_watch {
	int fd;
	/* Watch descriptors: @named is the directory in which only @name counts, @whole the last
	 * one in which everything counts; they may be the same. */
	int named, whole;
	char name[NAME_MAX + 1];
	struct timeval quiet_time;
	struct event *readable, *quiet;
	void (*changed)(void *ctx);
	void *ctx;
};

static bool is_relevant(const struct kf_watch *w, const struct inotify_event *e)
{
	const char *name = e->len ? e->name : "";

	/* An overflow names no directory. */
	if (e->wd == NONE || e->wd != w->named || e->wd == w->whole)
		return true;
	return strcmp(name, w->name) == 0 || strcmp(name, "..data") == 0;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	alignas(struct inotify_event) char buf[4096];
	struct kf_watch *w = ctx;
	bool any = false;
	ssize_t n;

	(void)what;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (const char *at = buf; at < buf + n;) {
			const struct inotify_event *e = (const void *)at;

			any = any || is_relevant(w, e);
			at += sizeof(*e) + e->len;
		}
	}
	/* Further changes do not start the time again: under a steady stream of changes the daemon
	 * still acts. */
	if (any && !evtimer_pending(w->quiet, NULL))
		(void)evtimer_add(w->quiet, &w->quiet_time);
}

static void on_quiet(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_watch *w = ctx;

	(void)fd;
	(void)what;
	w->changed(w->ctx);
}

int kf_watch_new(struct event_base *base, unsigned quiet_ms, void (*changed)(void *ctx), void *ctx,
		 struct kf_watch **ret, struct kf_err *err)
{
	struct kf_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return kf_fail_nomem(err, "watch");
	*w = (struct kf_watch){
		.named = NONE,
		.whole = NONE,
		.quiet_time = {quiet_ms / 1000, quiet_ms % 1000 * 1000},
		.changed = changed,
		.ctx = ctx,
	};
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0) {
		(void)kf_fail_sys(err, "inotify (see fs.inotify.max_user_instances)");
		goto failed;
	}
	w->readable = event_new(base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	w->quiet = evtimer_new(base, on_quiet, w);
	if (!w->readable || !w->quiet || event_add(w->readable, NULL) < 0) {
		(void)kf_fail_nomem(err, "watch");
		goto failed;
	}
	*ret = w;
	return 0;
failed:
	kf_watch_free(w);
	return -1;
}

int kf_watch_add(struct kf_watch *watch, const char *path, const char *name, struct kf_err *err)
{
	int wd;

	if (name && strlen(name) >= sizeof(watch->name))
		return kf_fail(err, ENAMETOOLONG, "watch '%s': name '%.60s...'", path, name);
	wd = inotify_add_watch(watch->fd, path, EVENTS);
	if (wd < 0)
		return kf_fail_sys(err, "watch '%s'", path);
	if (!name) {
		watch->whole = wd;
		return 0;
	}
	watch->named = wd;
	memcpy(watch->name, name, strlen(name) + 1);
	return 0;
}

void kf_watch_free(struct kf_watch *watch)
{
	if (!watch)
		return;
	if (watch->readable)
		event_free(watch->readable);
	if (watch->quiet)
		event_free(watch->quiet);
	if (watch->fd >= 0)
		(void)close(watch->fd);
	free(watch);
}

KF_CALLS(kf_watch_calls, KF_CALL(inotify_add_watch));
KF_CALLS(kf_watch_new_calls, KF_CALL(inotify_init1));
