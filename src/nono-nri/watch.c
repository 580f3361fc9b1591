/* SPDX-License-Identifier: Apache-2.0 */
#include "nono-nri/watch.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <event2/event.h>
#include <limits.h>
#include <stdalign.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>

/* Editors write, rename and change modes in quick succession. */
#define QUIET_MS 50
#define EVENTS	 (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR)

struct kf_watch {
	int fd;
	int config_dir; /* watch descriptors; the same if it is the same directory */
	int profiles_dir;
	char config_name[NAME_MAX + 1];
	struct event *readable, *quiet;
	void (*changed)(void *ctx);
	void *ctx;
};

static bool relevant(const struct kf_watch *w, const struct inotify_event *e)
{
	const char *name = e->len ? e->name : "";

	if (e->mask & IN_Q_OVERFLOW)
		return true;
	if (e->wd == w->profiles_dir)
		return true;
	return e->wd == w->config_dir &&
	       (strcmp(name, w->config_name) == 0 || strcmp(name, "..data") == 0);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	const struct timeval quiet = {.tv_usec = QUIET_MS * 1000};
	alignas(struct inotify_event) char buf[4096];
	struct kf_watch *w = ctx;
	bool any = false;
	ssize_t n;

	(void)what;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (const char *at = buf; at < buf + n;) {
			const struct inotify_event *e = (const void *)at;

			any = any || relevant(w, e);
			at += sizeof(*e) + e->len;
		}
	}
	/* Not put off by further changes: under a steady stream of them we still act. */
	if (any && !evtimer_pending(w->quiet, NULL))
		(void)evtimer_add(w->quiet, &quiet);
}

static void on_quiet(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_watch *w = ctx;

	(void)fd;
	(void)what;
	w->changed(w->ctx);
}

static int add_watches(struct kf_watch *w, const char *config, const char *profiles_dir,
		       struct kf_err *err)
{
	const char *base = kf_path_base(config);
	char dir[PATH_MAX];

	if (strlen(config) >= sizeof(dir) || strlen(base) >= sizeof(w->config_name))
		return kf_fail(err, ENAMETOOLONG, "'%.60s...'", config);
	memcpy(w->config_name, base, strlen(base) + 1);
	memcpy(dir, config, strlen(config) + 1);
	dir[base - config] = '\0';
	w->config_dir = inotify_add_watch(w->fd, *dir ? dir : ".", EVENTS);
	if (w->config_dir < 0)
		return kf_fail_sys(err, "watch '%s'", dir);
	if (!profiles_dir)
		return 0;
	w->profiles_dir = inotify_add_watch(w->fd, profiles_dir, EVENTS);
	return w->profiles_dir < 0 ? kf_fail_sys(err, "watch '%s'", profiles_dir) : 0;
}

int kf_watch_new(struct event_base *base, const char *config, const char *profiles_dir,
		 void (*changed)(void *ctx), void *ctx, struct kf_watch **ret, struct kf_err *err)
{
	struct kf_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return kf_fail_nomem(err, "watch");
	*w = (struct kf_watch){.profiles_dir = -1, .changed = changed, .ctx = ctx};
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0) {
		(void)kf_fail_sys(err, "inotify");
		goto failed;
	}
	if (add_watches(w, config, profiles_dir, err) < 0)
		goto failed;
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

KF_CALLS(kf_watch_calls, KF_CALL(inotify_init1), KF_CALL(inotify_add_watch));
