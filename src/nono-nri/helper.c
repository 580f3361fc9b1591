/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's helper: a process that connects to the runtime and writes the settings, so that the
 * plugin itself may do neither; and what the plugin asks it through a socket. */
#include "nono-nri/helper.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"
#include "config/settings_text.h"
#include "confine/confine.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "settings"

KF_CALLS(kf_helper_calls, KF_CALL(recvmsg), KF_CALL(wait4));

/* ---- the process ---- */

static int write_settings(const char *node_dir, const char *text, size_t n, struct kf_err *err)
{
	KF_FREE char *old = NULL;
	KF_CLOSE int dir = -1;
	size_t nold;

	if (kf_mkdir_parents(node_dir, 0755, err) < 0)
		return -1;
	dir = open(node_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return kf_fail_sys(err, "'%s'", node_dir);
	if (kf_file_slurp(dir, NAME, KF_LIMIT_CONFIG, &old, &nold, KF_ERR_IGNORED) == 0 &&
	    nold == n && memcmp(old, text, n) == 0)
		return 0;
	return kf_file_replace(dir, NAME, text, n, 0644, err);
}

static int connect_to(const char *path, int *ret_fd, struct kf_err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	KF_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(path) >= sizeof(addr.sun_path))
		return kf_fail(err, ENAMETOOLONG, "'%.150s': too long for a socket", path);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	/* Local connections are made at once, or refused with EAGAIN when too many wait. */
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return kf_fail_sys(err, "connecting to %s", path);
	*ret_fd = kf_steal_fd(&fd);
	return 0;
}

int kf_helper_confine(const struct kf_helper *helper, struct kf_err *err)
{
	static const struct kf_call own[] = {KF_CALL_IS(socket, 0, AF_UNIX), KF_CALL(connect),
					     KF_CALL(sendmsg)};
	static const struct kf_calls own_calls = {own, KF_ARRAY_SIZE(own)};
	static const struct kf_calls *const calls[] = {&kf_libc_calls, &kf_file_calls, &own_calls};
	const char *path = helper->socket_path;
	char directory[PATH_MAX];
	const struct kf_place places[] = {
		{*helper->node_dir ? helper->node_dir : NULL, KF_PLACE_READ | KF_PLACE_WRITE},
		{directory, KF_PLACE_CONNECT},
	};
	const struct kf_confinement confinement = {
		.calls = calls,
		.ncalls = KF_ARRAY_SIZE(calls),
		.places = places,
		.nplaces = KF_ARRAY_SIZE(places),
	};
	struct kf_confined confined;

	(void)snprintf(directory, sizeof(directory), "%.*s", (int)(kf_path_base(path) - path),
		       path);
	/* So that there is something to be confined to.  A failure is told when it matters. */
	if (*helper->node_dir)
		(void)kf_mkdir_parents(helper->node_dir, 0755, KF_ERR_IGNORED);
	return kf_confine(&confinement, &confined, err);
}

/* ---- between the two ---- */

enum { WRITE_SETTINGS, CONNECT };

struct request {
	uint32_t what, n; /* and @n bytes of text follow */
};

/* ---- the helper ---- */

static void serve_requests(const struct kf_helper *helper, int fd)
{
	static char text[KF_LIMIT_CONFIG];
	struct kf_err failed = {0};
	struct request request;
	/* A helper that cannot be confined does nothing but say so. */
	bool confined = kf_helper_confine(helper, &failed) == 0;

	while (kf_read_all(fd, &request, sizeof(request), KF_ERR_IGNORED) == 0 &&
	       request.n <= sizeof(text) && kf_read_all(fd, text, request.n, KF_ERR_IGNORED) == 0) {
		struct kf_err answer = {0}, err = {0}; /* all of it is sent */
		const struct iovec parts[] = {{&answer, sizeof(answer)}};
		KF_CLOSE int got = -1;

		/* What was found on the way to being confined is no failure. */
		if (!confined)
			answer = failed;
		else if ((request.what == CONNECT
				  ? connect_to(helper->socket_path, &got, &err)
				  : write_settings(helper->node_dir, text, request.n, &err)) < 0)
			answer = err;
		if (kf_child_send(fd, parts, 1, got) != (ssize_t)sizeof(answer))
			break;
	}
}

static void become_helper(const void *helper, int fd)
{
	/* The plugin's handlers are not for this process; who sends SIGHUP means the plugin. */
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGHUP, SIG_IGN);
	if (dup2(fd, STDERR_FILENO + 1) < 0)
		_exit(1);
	/* The plugin's descriptors, the state's lock among them, are none of ours.  Kernels that
	 * do not have this call have no Landlock either: nothing is sandboxed there. */
	(void)syscall(SYS_close_range, STDERR_FILENO + 2, ~0U, 0);
	serve_requests(helper, STDERR_FILENO + 1);
}

/* ---- the plugin's side ---- */

int kf_helper_start(struct kf_helper *helper, struct kf_err *err)
{
	return kf_child_start(SOCK_STREAM, become_helper, helper, &helper->child, err) < 0
		       ? kf_fail_wrap(err, "helper")
		       : 0;
}

void kf_helper_stop(struct kf_helper *helper)
{
	(void)kf_child_stop(&helper->child);
	free(helper->socket_path);
	helper->socket_path = NULL;
}

void kf_helper_lost(struct kf_helper *helper, struct kf_err *ret_why)
{
	const int status = kf_child_stop(&helper->child);

	helper->ended = true;
	if (WIFSIGNALED(status))
		(void)kf_fail(ret_why, EPIPE, "the helper was killed by signal %d",
			      WTERMSIG(status));
	else
		(void)kf_fail(ret_why, EPIPE, "the helper has ended with status %d",
			      WEXITSTATUS(status));
}

/* *ret_fd: what came with the answer, or -1. */
static int ask_helper(const struct kf_helper *helper, uint32_t what, const void *text, size_t n,
		      int *ret_fd, struct kf_err *err)
{
	const struct request request = {.what = what, .n = (uint32_t)n};
	const int fd = helper->child.fd;
	struct kf_err answer = {0};

	if (helper->ended || kf_write_all(fd, &request, sizeof(request), KF_ERR_IGNORED) < 0 ||
	    kf_write_all(fd, text, n, KF_ERR_IGNORED) < 0 ||
	    kf_child_receive(fd, &answer, sizeof(answer), MSG_WAITALL, ret_fd) !=
		    (ssize_t)sizeof(answer))
		return kf_fail(err, EPIPE, "nono-nri's helper has ended; restart nono-nri");
	answer.msg[sizeof(answer.msg) - 1] = '\0';
	return answer.code ? kf_fail(err, answer.code, "%s", answer.msg) : 0;
}

int kf_publish_settings(const struct kf_helper *helper, const struct kf_settings *settings,
			struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(KF_LIMIT_CONFIG);
	KF_CLOSE int none = -1;

	if (kf_settings_text_format(settings, &text, err) < 0)
		return -1;
	if (helper->child.fd < 0 && !helper->ended)
		return write_settings(helper->node_dir, text.p, text.n, err);
	return ask_helper(helper, WRITE_SETTINGS, text.p, text.n, &none, err);
}

int kf_helper_connect(const struct kf_helper *helper, int *ret_fd, struct kf_err *err)
{
	int fd = -1;

	if (helper->child.fd < 0 && !helper->ended)
		return connect_to(helper->socket_path, ret_fd, err);
	if (ask_helper(helper, CONNECT, "", 0, &fd, err) < 0)
		return -1;
	if (fd < 0)
		return kf_fail(err, EPIPE, "nono-nri's helper sent no connection");
	*ret_fd = fd;
	return 0;
}
