/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "kubefence/agent.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>

#define EVENTS                                                                                   \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | \
	 IN_MOVE_SELF | IN_ONLYDIR)

/* Changes come in bursts: one look after the last of them. */
static const struct timeval settle = {.tv_sec = 1};

struct kf_dir_watch {
	struct event *readable, *settled;
	int fd;
	void (*changed)(void *ctx);
	void *ctx;
};

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_dir_watch *w = ctx;
	char buf[4096];

	(void)what;
	while (read((int)fd, buf, sizeof(buf)) > 0)
		;
	(void)event_add(w->settled, &settle);
}

static void on_settled(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_dir_watch *w = ctx;

	(void)fd;
	(void)what;
	w->changed(w->ctx);
}

struct kf_dir_watch *kf_dir_watch_new(struct event_base *base, void (*changed)(void *ctx),
				      void *ctx)
{
	struct kf_dir_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->changed = changed;
	w->ctx = ctx;
	w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	w->readable = event_new(base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	w->settled = evtimer_new(base, on_settled, w);
	if (w->fd >= 0 && w->readable && w->settled && event_add(w->readable, NULL) == 0)
		return w;
	kf_dir_watch_free(w);
	return NULL;
}

void kf_dir_watch_free(struct kf_dir_watch *watch)
{
	if (!watch)
		return;
	if (watch->readable)
		event_free(watch->readable);
	if (watch->settled)
		event_free(watch->settled);
	if (watch->fd >= 0)
		(void)close(watch->fd);
	free(watch);
}

void kf_dir_watch_add(struct kf_dir_watch *watch, const struct kf_host *host, const char *path)
{
	KF_CLOSE int at = -1;
	char self[64];

	if (kf_host_fd(host, path, O_PATH | O_DIRECTORY, &at, NULL) < 0)
		return;
	/* By descriptor, for the path is the host's; one directory is one watch, however often. */
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
	(void)inotify_add_watch(watch->fd, self, EVENTS);
}

KF_CALLS(kf_dir_watch_calls, KF_CALL(openat2), KF_CALL(inotify_add_watch));
