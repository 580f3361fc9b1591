/* SPDX-License-Identifier: Apache-2.0 */
/* GET /readyz on the plugin's socket in its state directory. */
#include "base/cleanup.h"
#include "kubefence/agent.h"
#include "observe/state.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SOCKET_PATH KF_STATE_DIR "/" KF_STATE_SOCKET
#define REQUEST	    "GET /readyz HTTP/1.0\r\n\r\n"
#define ANSWER_MAX  2048

struct kf_plugin_query {
	struct bufferevent *bev;
	kf_plugin_answer *answer;
	void *ctx;
};

static const struct timeval patience = {.tv_sec = 2};

void kf_plugin_query_free(struct kf_plugin_query *query)
{
	if (!query)
		return;
	bufferevent_free(query->bev);
	free(query);
}

/* "HTTP/1.x 200 ..." is yes; else the body's first line tells why not. */
static void judge(struct kf_plugin_query *q)
{
	kf_plugin_answer *answer = q->answer;
	void *ctx = q->ctx;
	char text[ANSWER_MAX + 1], *body;
	ev_ssize_t n = evbuffer_copyout(bufferevent_get_input(q->bev), text, ANSWER_MAX);
	int status = 0;

	kf_plugin_query_free(q);
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "HTTP/1.%*c %d", &status) != 1) {
		answer(ctx, false, "nono-nri does not answer");
		return;
	}
	body = strstr(text, "\r\n\r\n");
	body = body ? body + 4 : text;
	body[strcspn(body, "\r\n")] = '\0';
	answer(ctx, status == 200, body);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
		judge(ctx);
}

static int connect_to(const struct kf_host *host)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	KF_CLOSE int at = -1;
	KF_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || kf_host_fd(host, SOCKET_PATH, O_PATH, &at, NULL) < 0)
		return -1;
	/* By descriptor: the path is the host's. */
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d", at);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	return kf_steal_fd(&fd);
}

struct kf_plugin_query *kf_plugin_ask(struct event_base *base, const struct kf_host *host,
				      kf_plugin_answer *answer, void *ctx)
{
	struct kf_plugin_query *q = calloc(1, sizeof(*q));
	int fd = q ? connect_to(host) : -1;

	if (fd >= 0) {
		q->answer = answer;
		q->ctx = ctx;
		q->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
		if (q->bev) {
			bufferevent_setcb(q->bev, NULL, NULL, on_event, q);
			bufferevent_setwatermark(q->bev, EV_READ, 0, ANSWER_MAX);
			bufferevent_set_timeouts(q->bev, &patience, &patience);
			if (bufferevent_write(q->bev, REQUEST, strlen(REQUEST)) == 0 &&
			    bufferevent_enable(q->bev, EV_READ | EV_WRITE) == 0)
				return q;
			bufferevent_free(q->bev);
		} else {
			(void)close(fd);
		}
	}
	free(q);
	answer(ctx, false, "nono-nri does not run on this node");
	return NULL;
}
