/* SPDX-License-Identifier: Apache-2.0 */
/* nono-egress run: the broker for one command on this machine.  The worker is the one that pods
 * have; this process plays its parent, with sockets that have no mark.  With --close the command
 * is started in a network of its own (closed.c), and its listener comes from there; else nothing
 * here closes its other ways out. */
#include "nono-egress/standalone.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/print.h"
#include "egress/rules.h"
#include "egress/servers.h"
#include "nono-egress/closed.h"
#include "nono-egress/give.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define POLICY	     "nono-policy " /* how a compiled profile begins */
#define ARGS_MAX     (32 + 2 * KF_LIMIT_EGRESS_DIRS)
#define NUMBER_TEXT  16
#define BACKLOG	     1024
#define SERVERS_MAX  3 /* that resolv.conf(5) counts */
#define SERVERS_TEXT 256
#define RESOLV_CONF  "/etc/resolv.conf"

struct run_options {
	const char *rules, *listen, *ca, *resolver, *records;
	const char *secret_dirs[KF_LIMIT_EGRESS_DIRS];
	struct kf_option_list secrets;
	unsigned uid, gid, connections;
	bool close;
};

static const struct kf_option run_table[] = {
	{.name = "rules",
	 .kind = KF_OPTION_STRING,
	 .value = "FILE",
	 KF_OPTION_AT(struct run_options, rules),
	 .help = "The rules; a last line with their checksum is not needed.  Or a profile as "
		 "'kubefence profile compile' prints it."},
	{.name = "listen",
	 .kind = KF_OPTION_STRING,
	 .value = "ADDRESS:PORT",
	 KF_OPTION_AT(struct run_options, listen),
	 .help = "Where to listen (127.0.0.1:0, which is any free port; with --close "
		 "127.0.0.1:3128, as in a pod)."},
	{.name = "close",
	 .kind = KF_OPTION_SET,
	 KF_OPTION_AT(struct run_options, close),
	 .help = "Close COMMAND's other ways out: it runs in a network of its own, in which there "
		 "is the broker and nothing else.  Without root this needs user namespaces."},
	{.name = "secrets",
	 .kind = KF_OPTION_EACH,
	 .value = "DIR",
	 KF_OPTION_AT(struct run_options, secrets),
	 .help = "A directory with keys, as the rules count them; may be repeated."},
	{.name = "ca",
	 .kind = KF_OPTION_STRING,
	 .value = "FILE",
	 KF_OPTION_AT(struct run_options, ca),
	 .help = "Certificates of authorities for routes (" KF_EGRESS_CA ")."},
	{.name = "resolver",
	 .kind = KF_OPTION_STRING,
	 .value = "ADDRESS,...",
	 KF_OPTION_AT(struct run_options, resolver),
	 .help = "Name servers (those of " RESOLV_CONF ")."},
	{.name = "records",
	 .kind = KF_OPTION_STRING,
	 .value = "FILE",
	 KF_OPTION_AT(struct run_options, records),
	 .help = "Append a line of JSON for each connection (/dev/null)."},
	{.name = "uid",
	 .kind = KF_OPTION_NUMBER,
	 .value = "N",
	 KF_OPTION_AT(struct run_options, uid),
	 .min = 1,
	 .max = UINT32_MAX - 1,
	 .help = "The user that the broker becomes; needs root and --gid."},
	{.name = "gid",
	 .kind = KF_OPTION_NUMBER,
	 .value = "N",
	 KF_OPTION_AT(struct run_options, gid),
	 .min = 1,
	 .max = UINT32_MAX - 1,
	 .help = "The group that it becomes."},
	{.name = "connections",
	 .kind = KF_OPTION_NUMBER,
	 .value = "N",
	 KF_OPTION_AT(struct run_options, connections),
	 .min = 1,
	 .max = 65536,
	 .help = "How many connections may be open (1024)."},
	{0},
};

/* What the worker is given. */
struct run_parts {
	struct kf_egress_rules rules;
	int memfd, listener, control, records, ca, dirs[KF_LIMIT_EGRESS_DIRS];
	size_t ndirs;
	uint16_t port;
	char servers[SERVERS_TEXT];
};

static bool has_sum(const char *text, size_t n)
{
	const char *line = n > 1 ? memrchr(text, '\n', n - 1) : NULL;

	return line && strncmp(line + 1, "sum ", 4) == 0;
}

static int load_rules(const char *path, struct run_parts *parts, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(2 * KF_LIMIT_EGRESS_RULES);
	KF_FREE char *file = NULL;
	KF_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n;

	if (fd < 0)
		return kf_fail_sys(err, "open '%s'", path);
	if (kf_fd_slurp(fd, path, KF_LIMIT_POLICY_TEXT, &file, &n, err) < 0)
		return -1;
	if (strncmp(file, POLICY, strlen(POLICY)) == 0) {
		/* The other lines are the launcher's. */
		kf_egress_rules_whole(file, n, &text);
	} else {
		kf_buf_add(&text, file, n);
		if (!has_sum(file, n))
			kf_egress_rules_seal(&text);
	}
	if (text.failed)
		return kf_fail_nomem(err, "egress rules");
	if (kf_egress_rules_parse(text.p, text.n, &parts->rules, err) < 0)
		return kf_fail_wrap(err, "'%s'", path);
	parts->memfd = memfd_create("egress-rules", MFD_ALLOW_SEALING);
	if (parts->memfd < 0)
		return kf_fail_sys(err, "egress rules");
	return kf_write_all(parts->memfd, text.p, text.n, err);
}

static int open_listener(const char *where, struct run_parts *parts, struct kf_err *err)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t n = sizeof(address);
	char host[INET_ADDRSTRLEN];
	unsigned port;
	char rest;

	if (sscanf(where, "%15[0-9.]:%5u%c", host, &port, &rest) != 2 || port > UINT16_MAX ||
	    inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return kf_fail(err, EINVAL, "--listen '%s' is not ADDRESS:PORT", where);
	address.sin_port = htons((uint16_t)port);
	parts->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (parts->listener < 0 ||
	    setsockopt(parts->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
	    bind(parts->listener, (struct sockaddr *)&address, n) < 0 ||
	    listen(parts->listener, BACKLOG) < 0 ||
	    getsockname(parts->listener, (struct sockaddr *)&address, &n) < 0)
		return kf_fail_sys(err, "listen on '%s'", where);
	parts->port = ntohs(address.sin_port);
	return 0;
}

static int find_servers(struct run_parts *parts, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	KF_CLOSE int fd = open(RESOLV_CONF, O_RDONLY | O_CLOEXEC);
	const char *found[SERVERS_MAX];
	size_t n = 0;
	unsigned count;

	if (fd < 0)
		return kf_fail_sys(err, "open '" RESOLV_CONF "'; or name one by --resolver");
	if (kf_fd_slurp(fd, RESOLV_CONF, KF_LIMIT_CONFIG, &text, NULL, err) < 0)
		return -1;
	count = kf_egress_servers(text, found, SERVERS_MAX);
	for (unsigned i = 0; i < count; i++)
		n += (size_t)snprintf(parts->servers + n, sizeof(parts->servers) - n, "%s%.*s",
				      n ? "," : "", INET6_ADDRSTRLEN, found[i]);
	if (!n)
		return kf_fail(err, ENOENT, "'" RESOLV_CONF "' names no server; use --resolver");
	return 0;
}

static int open_parts(const struct run_options *o, struct run_parts *parts, struct kf_err *err)
{
	if (load_rules(o->rules, parts, err) < 0)
		return -1;
	/* With --close it comes from the command's network. */
	if (!o->close && open_listener(o->listen, parts, err) < 0)
		return -1;
	if (o->resolver)
		(void)snprintf(parts->servers, sizeof(parts->servers), "%s", o->resolver);
	else if (find_servers(parts, err) < 0)
		return -1;
	parts->records = open(o->records, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (parts->records < 0)
		return kf_fail_sys(err, "open '%s'", o->records);
	if (parts->rules.routes) {
		parts->ca = open(o->ca, O_RDONLY);
		if (parts->ca < 0)
			return kf_fail_sys(err, "open '%s'; name another by --ca", o->ca);
	}
	for (; parts->ndirs < o->secrets.n; parts->ndirs++) {
		int fd = open(o->secrets.v[parts->ndirs], O_PATH | O_DIRECTORY);

		if (fd < 0)
			return kf_fail_sys(err, "open '%s'", o->secrets.v[parts->ndirs]);
		parts->dirs[parts->ndirs] = fd;
	}
	return 0;
}

/* ---- processes ---- */

struct run_argv {
	char *v[ARGS_MAX];
	char numbers[ARGS_MAX][NUMBER_TEXT];
	size_t n;
};

static void add_text(struct run_argv *argv, const char *name, const char *value)
{
	argv->v[argv->n++] = (char *)(uintptr_t)name;
	argv->v[argv->n++] = (char *)(uintptr_t)value;
}

static void add_number(struct run_argv *argv, const char *name, unsigned value)
{
	char *text = argv->numbers[argv->n];

	(void)snprintf(text, NUMBER_TEXT, "%u", value);
	add_text(argv, name, text);
}

static void exec_worker(const struct run_options *o, const struct run_parts *parts)
{
	static struct run_argv argv;

	add_text(&argv, "nono-egress", "worker");
	add_number(&argv, "--rules", (unsigned)parts->memfd);
	add_number(&argv, "--control", (unsigned)parts->control);
	add_number(&argv, "--records", (unsigned)parts->records);
	add_number(&argv, "--listen", (unsigned)parts->listener);
	for (size_t i = 0; i < parts->ndirs; i++)
		add_number(&argv, "--secrets", (unsigned)parts->dirs[i]);
	if (parts->ca >= 0)
		add_number(&argv, "--ca", (unsigned)parts->ca);
	add_text(&argv, "--resolver", parts->servers);
	if (o->uid) {
		add_number(&argv, "--uid", o->uid);
		add_number(&argv, "--gid", o->gid);
	}
	add_number(&argv, "--connections", o->connections);
	(void)execv("/proc/self/exe", argv.v);
}

/* Start a child that ends with us; 0 in the child. */
static pid_t start_child(void)
{
	pid_t us = getpid(), pid = fork();

	if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != us))
		_exit(KF_EXIT_FAILED);
	return pid;
}

static void set_variable(void *ctx, const char *name, const char *value)
{
	(void)ctx;
	(void)setenv(name, value, 0);
}

static void close_parts(struct run_parts *parts)
{
	int *const all[] = {&parts->memfd, &parts->listener, &parts->records, &parts->ca};

	for (size_t i = 0; i < KF_ARRAY_SIZE(all); i++)
		if (*all[i] >= 0)
			(void)close(kf_steal_fd(all[i]));
	while (parts->ndirs)
		(void)close(parts->dirs[--parts->ndirs]);
}

static pid_t start_worker(const struct run_options *o, struct run_parts *parts, int *ret_control,
			  struct kf_err *err)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return (pid_t)kf_fail_sys(err, "control socket");
	pid = start_child();
	if (pid == 0) {
		/* The terminal's signals are the command's, which may go on after one. */
		(void)setpgid(0, 0);
		(void)fcntl(pair[1], F_SETFD, 0);
		parts->control = pair[1];
		exec_worker(o, parts);
		_exit(KF_EXIT_FAILED);
	}
	(void)close(pair[1]);
	*ret_control = pair[0];
	return pid < 0 ? (pid_t)kf_fail_sys(err, "start the worker") : pid;
}

/* The terminal's signals are the command's, from before it runs; and what they do there is what
 * they did here.  One that was started before this process ignores them has that anyway. */
static const int terminal_signals[] = {SIGINT, SIGQUIT};
static struct sigaction terminal_actions[KF_ARRAY_SIZE(terminal_signals)];
static bool terminal_ignored;

static void ignore_terminal(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	for (size_t i = 0; i < KF_ARRAY_SIZE(terminal_signals); i++)
		(void)sigaction(terminal_signals[i], &ignore, &terminal_actions[i]);
	terminal_ignored = true;
}

static void heed_terminal(void)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(terminal_signals) && terminal_ignored; i++)
		(void)sigaction(terminal_signals[i], &terminal_actions[i], NULL);
}

static _Noreturn void exec_command(const struct run_parts *parts, char **argv)
{
	heed_terminal();
	kf_egress_environment(&parts->rules, parts->port, set_variable, NULL);
	(void)execvp(argv[0], argv);
	(void)kf_command_fail("run '%s': %s", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static pid_t start_command(const struct run_parts *parts, char **argv, struct kf_err *err)
{
	pid_t pid = start_child();

	if (pid < 0)
		return (pid_t)kf_fail_sys(err, "start '%s'", argv[0]);
	if (pid == 0)
		exec_command(parts, argv);
	return pid;
}

/* In the child: make its network and the listener there, and wait until the broker serves. */
static _Noreturn void become_closed(const struct run_options *o, struct run_parts *parts,
				    char **argv, int channel)
{
	struct kf_err err;
	char serves;

	if (kf_closed_enter(&err) < 0 || open_listener(o->listen, parts, &err) < 0 ||
	    kf_closed_send(channel, parts->listener, &err) < 0) {
		(void)kf_command_fail("%s", err.msg);
		_exit(KF_EXIT_FAILED);
	}
	close_parts(parts);
	if (read(channel, &serves, 1) != 1)
		_exit(KF_EXIT_FAILED);
	exec_command(parts, argv);
}

/* Start the command as far as that; it goes on when a byte comes over *ret_channel. */
static pid_t start_closed(const struct run_options *o, struct run_parts *parts, char **argv,
			  int *ret_channel, struct kf_err *err)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return (pid_t)kf_fail_sys(err, "socket pair");
	pid = start_child();
	if (pid == 0) {
		(void)close(pair[0]);
		become_closed(o, parts, argv, pair[1]);
	}
	(void)close(pair[1]);
	*ret_channel = pair[0];
	if (pid < 0)
		return (pid_t)kf_fail_sys(err, "start '%s'", argv[0]);
	if (kf_closed_receive(pair[0], &parts->listener, err) < 0)
		return (pid_t)kf_fail_wrap(err, "the command was not started; why is above");
	return pid;
}

static int make_socket(void *ctx, enum kf_egress_kind kind)
{
	(void)ctx;
	return kf_broker_socket(kind);
}

static int exit_code(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Give sockets until @pid, whom @pidfd tells of, ends; returns how. */
static int serve_worker(int control, int pidfd, pid_t pid)
{
	struct pollfd fds[] = {{.fd = pidfd, .events = POLLIN}, {.fd = control, .events = POLLIN}};
	struct kf_err err;
	int status = 0;

	for (;;) {
		int r = 1;

		if (poll(fds, KF_ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return kf_command_fail("poll: %s", strerror(errno));
		if (fds[1].revents)
			r = kf_broker_give(control, make_socket, NULL, &err);
		if (r <= 0) {
			(void)kf_command_fail("the broker ended%s%s", r < 0 ? ": " : "",
					      r < 0 ? err.msg : "; nothing is reached any more");
			fds[1].fd = -1;
		}
		if (fds[0].revents && waitpid(pid, &status, 0) == pid)
			return exit_code(status);
	}
}

/* The worker's first request says that it is confined and serves; its message is on standard error
 * if it ended instead. */
static bool is_ready(int control)
{
	struct pollfd fd = {.fd = control, .events = POLLIN};
	char byte;

	while (poll(&fd, 1, -1) < 0 && errno == EINTR)
		;
	return recv(control, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) > 0;
}

static int run_parts(const struct run_options *o, struct run_parts *parts,
		     const struct kf_arguments *arguments, struct kf_err *err)
{
	KF_CLOSE int control = -1, pidfd = -1, channel = -1;
	pid_t worker, pid = 0;
	int status;

	if (o->close) {
		pid = start_closed(o, parts, arguments->v, &channel, err);
		if (pid < 0)
			return -1;
	}
	worker = start_worker(o, parts, &control, err);
	if (worker < 0)
		return -1;
	close_parts(parts);
	if (!is_ready(control))
		return kf_fail(err, ECHILD, "the broker did not begin");
	if (arguments->n) {
		ignore_terminal();
		if (!o->close)
			pid = start_command(parts, arguments->v, err);
		else if (send(channel, "", 1, MSG_NOSIGNAL) != 1)
			return kf_fail_sys(err, "the command ended before it began");
	} else {
		pid = worker;
		kf_print_line(stdout, "http://127.0.0.1:%u", parts->port);
		(void)fflush(stdout);
	}
	pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return pid < 0 ? -1 : kf_fail_sys(err, "watch the command");
	status = serve_worker(control, pidfd, pid);
	(void)close(kf_steal_fd(&control));
	if (pid != worker)
		(void)waitpid(worker, NULL, 0);
	return status;
}

static int run_command(const struct kf_command *self, int argc, char **argv)
{
	struct run_options o = {
		.ca = KF_EGRESS_CA,
		.records = "/dev/null",
		.connections = KF_EGRESS_CONNECTIONS,
	};
	struct run_parts parts = {
		.memfd = -1, .listener = -1, .control = -1, .records = -1, .ca = -1};
	struct kf_arguments arguments;
	struct kf_err err;
	int status;

	o.secrets = (struct kf_option_list)KF_OPTION_LIST(o.secret_dirs);
	if (!kf_command_parse(self, argc, argv, &o, &arguments, &status))
		return status;
	if (!o.rules || !o.uid != !o.gid)
		return kf_command_usage("needs --rules, and --uid together with --gid");
	if (o.close && !arguments.n)
		return kf_command_usage("--close is about a COMMAND");
	if (!o.listen)
		o.listen = o.close ? "127.0.0.1:" KF_EGRESS_PORT_TEXT : "127.0.0.1:0";
	status = open_parts(&o, &parts, &err);
	if (status == 0)
		status = run_parts(&o, &parts, &arguments, &err);
	close_parts(&parts);
	kf_egress_rules_done(&parts.rules);
	return status < 0 ? kf_command_fail("%s", err.msg) : status;
}

const struct kf_command kf_broker_run = {
	.name = "run",
	.summary = "run a command with a broker of its own",
	.arguments = "[COMMAND...]",
	.min = 0,
	.max = 1 << 20,
	.about = "Runs COMMAND with the environment by which it finds the broker, and ends as it\n"
		 "does.  Without COMMAND the broker's URL is printed, and it serves until it is\n"
		 "ended.  The command can still go around the broker, but with --close.",
	.options = run_table,
	.style = KF_OPTIONS_STOP,
	.run = run_command,
};
