/* SPDX-License-Identifier: Apache-2.0 */
/* Asks nono-nri, over the socket in its state directory. */
#include "base/cleanup.h"
#include "base/file.h"
#include "kubefence/status/status.h"
#include "observe/state.h"

#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PATIENCE   10000 /* milliseconds for each piece of an answer */
/* 65,536 containers with long names. */
#define ANSWER_MAX ((size_t)64 * 1024 * 1024)
#define PIECE	   65536

static int connect_to(const char *path, int *ret_fd, struct kf_err *err)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	KF_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(to.sun_path))
		return kf_fail(err, ENAMETOOLONG, "'%.150s': too long for a socket", path);
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		(void)kf_fail_sys(err, "ask nono-nri at '%.150s'", path);
		return err->code == ENOENT || err->code == ECONNREFUSED
			       ? kf_fail(err, err->code,
					 "nono-nri does not run on this node (nobody answers at "
					 "'%.150s'); 'kubefence doctor' says more",
					 path)
			       : -1;
	}
	*ret_fd = kf_steal_fd(&fd);
	return 0;
}

/* The body of the answer to GET @what, which is good until the next one. */
static int get_body(const char *path, const char *what, struct kf_buf *text, const char **ret,
		    struct kf_err *err)
{
	KF_CLOSE int fd = -1;
	char request[64], piece[PIECE];
	struct pollfd p = {.events = POLLIN};
	const char *body;
	ssize_t n = -1;

	kf_buf_reset(text);
	(void)snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", what);
	if (connect_to(path, &fd, err) < 0 || kf_write_all(fd, request, strlen(request), err) < 0)
		return -1;
	p.fd = fd;
	while (poll(&p, 1, PATIENCE) > 0 && (n = read(fd, piece, sizeof(piece))) > 0)
		kf_buf_add(text, piece, (size_t)n);
	body = text->n && !text->failed ? strstr(text->p, "\r\n\r\n") : NULL;
	if (n || !body)
		return kf_fail(err, EPROTO, "nono-nri does not answer at '%.150s'", path);
	if (strncmp(text->p, "HTTP/1.1 200 ", 13) != 0)
		return kf_fail(err, EPROTO, "nono-nri at '%.100s' answers %s with '%.*s'", path,
			       what, (int)strcspn(text->p, "\r"), text->p);
	*ret = body + 4;
	return 0;
}

/* Whatever line is none of the feed's is passed over: the last one may be half. */
static struct json_object *parse_lines(const char *text)
{
	struct json_object *list = json_object_new_array();

	while (*text) {
		const size_t n = strcspn(text, "\n");
		KF_FREE char *line = strndup(text, n);
		struct json_object *o = line && *line == '{' ? json_tokener_parse(line) : NULL;

		if (json_object_is_type(o, json_type_object))
			(void)json_object_array_add(list, o);
		else
			json_object_put(o);
		text += n + (text[n] == '\n');
	}
	return list;
}

int kf_status_ask(const char *dir, struct json_object **ret, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(ANSWER_MAX);
	struct json_object *state;
	char path[4096];
	const char *body;

	(void)snprintf(path, sizeof(path), "%s/" KF_STATE_SOCKET, dir);
	if (get_body(path, "/status.json", &text, &body, err) < 0)
		return -1;
	state = json_tokener_parse(body);
	if (!json_object_is_type(state, json_type_object)) {
		json_object_put(state);
		return kf_fail(err, EPROTO, "nono-nri's answer ends early; try again");
	}
	if (get_body(path, "/denials.jsonl", &text, &body, err) < 0) {
		json_object_put(state);
		return -1;
	}
	(void)json_object_object_add(state, "denials", parse_lines(body));
	*ret = state;
	return 0;
}
