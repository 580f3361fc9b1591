/* SPDX-License-Identifier: Apache-2.0 */
#include "nono-nri/publish.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/limits.h"
#include "confine/confine.h"
#include "policy/settings_text.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "settings"

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
	if (kf_file_slurp(dir, NAME, KF_LIMIT_CONFIG, &old, &nold, NULL) == 0 && nold == n &&
	    memcmp(old, text, n) == 0)
		return 0;
	return kf_file_replace(dir, NAME, text, n, 0644, err);
}

int kf_publisher_confine(const char *node_dir, struct kf_err *err)
{
	static const struct kf_calls *const calls[] = {&kf_libc_calls, &kf_file_calls};
	const struct kf_place places[] = {{node_dir, KF_PLACE_READ | KF_PLACE_WRITE}};
	const struct kf_confinement confinement = {
		.calls = calls,
		.ncalls = KF_ARRAY_SIZE(calls),
		.places = places,
		.nplaces = KF_ARRAY_SIZE(places),
	};
	struct kf_confined confined;

	/* So that there is something to be confined to.  A failure is told when it matters. */
	(void)kf_mkdir_parents(node_dir, 0755, NULL);
	return kf_confine(&confinement, &confined, err);
}

/* Requests are a length and a text; answers are a struct kf_err, whose code is 0 for success. */
static _Noreturn void serve(int fd, const char *node_dir)
{
	struct kf_err answer = {0};
	static char text[KF_LIMIT_CONFIG];
	uint32_t n;
	/* A publisher that cannot be confined writes nothing. */
	bool confined = kf_publisher_confine(node_dir, &answer) == 0;

	while (kf_read_all(fd, &n, sizeof(n), NULL) == 0 && n <= sizeof(text) &&
	       kf_read_all(fd, text, n, NULL) == 0) {
		if (confined && write_settings(node_dir, text, n, &answer) == 0)
			answer = (struct kf_err){0};
		if (kf_write_all(fd, &answer, sizeof(answer), NULL) < 0)
			break;
	}
	_exit(0);
}

static _Noreturn void publisher(int fd, pid_t parent, const char *node_dir)
{
	/* The plugin's handlers are not for this process; who sends SIGHUP means the plugin. */
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGHUP, SIG_IGN);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(fd, STDERR_FILENO + 1) < 0)
		_exit(1);
	/* The plugin's descriptors, the state's lock among them, are none of ours.  Kernels that
	 * do not have this call have no Landlock either: nothing is sandboxed there. */
	(void)syscall(SYS_close_range, STDERR_FILENO + 2, ~0U, 0);
	serve(STDERR_FILENO + 1, node_dir);
}

/* ---- the plugin's side ---- */

int kf_publisher_start(struct kf_publisher *p, struct kf_err *err)
{
	const pid_t parent = getpid();
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return kf_fail_sys(err, "publisher");
	pid = fork();
	if (pid == 0)
		publisher(pair[1], parent, p->node_dir);
	(void)close(pair[1]);
	if (pid < 0) {
		(void)kf_fail_sys(err, "publisher: fork");
		(void)close(pair[0]);
		return -1;
	}
	p->fd = pair[0];
	p->pid = pid;
	return 0;
}

void kf_publisher_stop(struct kf_publisher *p)
{
	if (p->fd < 0)
		return;
	(void)close(p->fd);
	p->fd = -1;
	while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int kf_publish_settings(const struct kf_publisher *p, const struct kf_settings *settings,
			struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(KF_LIMIT_CONFIG);
	struct kf_err answer;
	uint32_t n;

	if (kf_settings_format(settings, &text, err) < 0)
		return -1;
	if (p->fd < 0)
		return write_settings(p->node_dir, text.p, text.n, err);
	n = (uint32_t)text.n;
	if (kf_write_all(p->fd, &n, sizeof(n), err) < 0 ||
	    kf_write_all(p->fd, text.p, text.n, err) < 0 ||
	    kf_read_all(p->fd, &answer, sizeof(answer), err) < 0)
		return kf_fail_wrap(err,
				    "the process that writes them has ended; restart nono-nri");
	answer.msg[sizeof(answer.msg) - 1] = '\0';
	return answer.code ? kf_fail(err, answer.code, "%s", answer.msg) : 0;
}
