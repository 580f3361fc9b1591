/* SPDX-License-Identifier: Apache-2.0 */
/* The watcher: a process that is told of each call of the container's that names a file or a port,
 * notes what a sandbox would have to allow, and lets the call go on.  What a program makes of the
 * answer cannot be wrong by that: nothing is decided here. */
#include "kubefence/learn/watch.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LISTENERS_MAX 64
/* What the runtime says of the container beside the descriptor. */
#define STATE_MAX     (64 * 1024)
/* Interpreters that are scripts themselves, as the kernel follows them. */
#define SCRIPTS_MAX   5

struct watcher {
	struct kf_learn learn;
	struct pollfd fds[LISTENERS_MAX + 1]; /* the socket first */
	nfds_t nfds;
};

/* One call of a process of the container. */
struct seen_call {
	struct watcher *w;
	const struct seccomp_notif *n;
	int root; /* its root directory */
};

/* ---- memory and paths of a process ---- */

static bool read_memory(const struct seen_call *c, uint64_t at, void *to, size_t n)
{
	struct iovec local = {to, n}, remote = {(void *)(uintptr_t)at, n};

	return process_vm_readv((pid_t)c->n->pid, &local, 1, &remote, 1, 0) == (ssize_t)n;
}

static bool read_string(const struct seen_call *c, uint64_t at, char to[static PATH_MAX])
{
	size_t n = 0;

	/* Not across the end of a page: the next one need not be there. */
	while (n < PATH_MAX) {
		size_t part = 4096 - (at + n) % 4096;

		part = part < PATH_MAX - n ? part : PATH_MAX - n;
		if (!read_memory(c, at + n, to + n, part))
			return false;
		if (memchr(to + n, '\0', part))
			return true;
		n += part;
	}
	return false;
}

/* The path of @text, which is relative to descriptor @dirfd of the process, as it is written. */
static bool full_path(const struct seen_call *c, int dirfd, const char *text,
		      char out[static PATH_MAX])
{
	char link[64], dir[PATH_MAX];
	ssize_t n;

	if (*text == '/')
		return (size_t)snprintf(out, PATH_MAX, "%s", text) < PATH_MAX;
	if (dirfd == AT_FDCWD)
		(void)snprintf(link, sizeof(link), "/proc/%u/cwd", c->n->pid);
	else
		(void)snprintf(link, sizeof(link), "/proc/%u/fd/%d", c->n->pid, dirfd);
	n = readlink(link, dir, sizeof(dir) - 1);
	if (n <= 0 || *dir != '/')
		return false;
	dir[n] = '\0';
	return (size_t)snprintf(out, PATH_MAX, "%s%s%s", dir, *text ? "/" : "", text) < PATH_MAX;
}

/* Where @path, absolute, leads in the process's root, with no symlink in it; false if it is not
 * there.  *ret_mode: what is there. */
static bool real_path(const struct seen_call *c, const char *path, bool follow,
		      char out[static PATH_MAX], mode_t *ret_mode)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW),
			       .resolve = RESOLVE_IN_ROOT};
	KF_CLOSE int fd = -1;
	char link[64];
	struct stat st;
	ssize_t n;

	do
		fd = (int)syscall(SYS_openat2, c->root, path, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN);
	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, PATH_MAX - 1);
	if (n <= 0 || *out != '/')
		return false;
	out[n] = '\0';
	*ret_mode = st.st_mode;
	return true;
}

/* Where @path would be made: its real directory in @dir, and all of it in @out. */
static bool place_path(const struct seen_call *c, const char *path, char dir[static PATH_MAX],
		       char out[static PATH_MAX])
{
	char clean[PATH_MAX], up[PATH_MAX];
	const char *base;
	mode_t mode;

	if (strlen(path) >= sizeof(clean))
		return false;
	(void)snprintf(clean, sizeof(clean), "%s", path);
	for (size_t n = strlen(clean); n > 1 && clean[n - 1] == '/';)
		clean[--n] = '\0';
	base = strrchr(clean, '/');
	(void)snprintf(up, sizeof(up), "%.*s", base == clean ? 1 : (int)(base - clean), clean);
	return real_path(c, up, true, dir, &mode) &&
	       (size_t)snprintf(out, PATH_MAX, "%s/%s", dir[1] ? dir : "", base + 1) < PATH_MAX;
}

/* Whether @path is a process's own: profiles have one rule for all of that. */
static bool is_process(const char *path)
{
	static const char *const own[] = {"/proc/self", "/proc/thread-self", "/dev/fd",
					  "/dev/stdin", "/dev/stdout",	     "/dev/stderr"};

	for (size_t i = 0; i < KF_ARRAY_SIZE(own); i++)
		if (kf_path_under(path, own[i]))
			return true;
	return strncmp(path, "/proc/", 6) == 0 && path[6] >= '1' && path[6] <= '9';
}

/* The path of argument @arg, relative to the descriptor in argument @dirarg (negative: the working
 * directory). */
static bool path_argument(const struct seen_call *c, int dirarg, unsigned arg,
			  char out[static PATH_MAX])
{
	char text[PATH_MAX];
	int dirfd = dirarg < 0 ? AT_FDCWD : (int)c->n->data.args[dirarg];

	return read_string(c, c->n->data.args[arg], text) && full_path(c, dirfd, text, out) &&
	       !is_process(out);
}

/* ---- what calls need ---- */

static void note_use(const struct seen_call *c, const char *path, bool follow, unsigned access)
{
	char real[PATH_MAX];
	mode_t mode;

	/* The kernel's own there is written as it is asked for. */
	if (strncmp(path, "/proc/", 6) == 0)
		kf_learn_use(&c->w->learn, path, access);
	else if (real_path(c, path, follow, real, &mode) && !is_process(real) &&
		 !(S_ISDIR(mode) && access == KF_FS_EXEC))
		kf_learn_use(&c->w->learn, real, access);
}

/* What a call does at a path: its directory is written.  The kernel looks at what is there before
 * it asks a sandbox: what cannot be made or removed needs nothing. */
enum change { MADE, REMOVED, REPLACED };
static void note_change(const struct seen_call *c, const char *path, enum change change)
{
	const bool fresh = change != REMOVED;
	char dir[PATH_MAX], real[PATH_MAX];
	mode_t mode;
	bool there;

	if (!place_path(c, path, dir, real) || is_process(dir))
		return;
	there = real_path(c, path, false, real, &mode);
	if (there ? change == MADE : change == REMOVED)
		return;
	(void)place_path(c, path, dir, real);
	kf_learn_use(&c->w->learn, dir, KF_FS_WRITE);
	if (fresh)
		kf_learn_made(&c->w->learn, real);
}

static void note_open(const struct seen_call *c, const char *path, uint64_t flags)
{
	static const unsigned access[] = {[O_RDONLY] = KF_FS_READ,
					  [O_WRONLY] = KF_FS_WRITE,
					  [O_RDWR] = KF_FS_READ | KF_FS_WRITE,
					  [O_ACCMODE] = KF_FS_READ | KF_FS_WRITE};
	const bool follow = !(flags & O_NOFOLLOW);
	char real[PATH_MAX], dir[PATH_MAX];
	mode_t mode;

	if (flags & O_PATH)
		return;
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		note_use(c, path, true, KF_FS_WRITE | KF_FS_READ);
		return;
	}
	if (flags & O_CREAT && !real_path(c, path, follow, real, &mode)) {
		note_change(c, path, MADE);
		/* What it made it may use. */
		if (place_path(c, path, dir, real))
			kf_learn_use(&c->w->learn, real, access[flags & O_ACCMODE]);
		return;
	}
	note_use(c, path, follow, access[flags & O_ACCMODE] | (flags & O_TRUNC ? KF_FS_WRITE : 0));
}

/* The interpreter that the kernel opens for the program at @real, "" if none; false if it cannot be
 * read. */
static bool find_interpreter(const struct seen_call *c, const char *real, char out[static PATH_MAX])
{
	KF_CLOSE int fd = openat(c->root, real + 1, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	union {
		char text[256];
		Elf64_Ehdr elf;
	} head = {{0}};
	ssize_t n = fd < 0 ? -1 : pread(fd, &head, sizeof(head) - 1, 0);

	*out = '\0';
	if (n < 4)
		return false;
	if (memcmp(head.text, "#!", 2) == 0) {
		const char *at = head.text + 2 + strspn(head.text + 2, " \t");

		(void)snprintf(out, PATH_MAX, "%.*s", (int)strcspn(at, " \t\n"), at);
		return true;
	}
	if ((size_t)n < sizeof(head.elf) || memcmp(head.text, ELFMAG, SELFMAG) != 0 ||
	    head.elf.e_phentsize != sizeof(Elf64_Phdr))
		return true;
	for (unsigned i = 0; i < head.elf.e_phnum && i < 64; i++) {
		Elf64_Phdr ph;

		if (pread(fd, &ph, sizeof(ph), (off_t)(head.elf.e_phoff + i * sizeof(ph))) !=
		    (ssize_t)sizeof(ph))
			return true;
		if (ph.p_type != PT_INTERP || ph.p_filesz >= PATH_MAX)
			continue;
		if (pread(fd, out, ph.p_filesz, (off_t)ph.p_offset) != (ssize_t)ph.p_filesz)
			*out = '\0';
		else
			out[ph.p_filesz] = '\0';
		return true;
	}
	return true;
}

static void note_exec(const struct seen_call *c, const char *path)
{
	char at[PATH_MAX], real[PATH_MAX], next[PATH_MAX];
	mode_t mode;

	(void)snprintf(at, sizeof(at), "%s", path);
	for (unsigned i = 0; i < SCRIPTS_MAX; i++) {
		if (*at != '/' || !real_path(c, at, true, real, &mode) || !S_ISREG(mode))
			return;
		kf_learn_use(&c->w->learn, real, KF_FS_EXEC | KF_FS_READ);
		if (!find_interpreter(c, real, next) || !*next)
			return;
		memcpy(at, next, sizeof(at));
	}
}

/* The address in memory at @at of a socket, descriptor @fd of the process. */
static void note_address(const struct seen_call *c, uint64_t at, uint64_t length, bool bind, int fd)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
		char bytes[sizeof(struct sockaddr_un) + 1];
	} a = {.bytes = {0}};
	const size_t n = length < sizeof(a.un) ? (size_t)length : sizeof(a.un);
	char link[64], path[PATH_MAX];
	uint16_t port = 0;
	int type = SOCK_STREAM;
	socklen_t size = sizeof(type);
	KF_CLOSE int pidfd = -1;
	KF_CLOSE int copy = -1;

	if (!at || n < sizeof(a.sa.sa_family) || !read_memory(c, at, &a, n))
		return;
	if (a.sa.sa_family == AF_UNIX) {
		if (!a.un.sun_path[0] || !full_path(c, AT_FDCWD, a.un.sun_path, path))
			return;
		(void)snprintf(link, sizeof(link), "%s", "");
		if (bind)
			note_change(c, path, MADE);
		else
			note_use(c, path, true, KF_FS_READ | KF_FS_WRITE);
		return;
	}
	if (a.sa.sa_family == AF_INET)
		port = ntohs(a.in.sin_port);
	else if (a.sa.sa_family == AF_INET6)
		port = ntohs(a.in6.sin6_port);
	if (!port)
		return;
	pidfd = (int)syscall(SYS_pidfd_open, c->n->pid, 0);
	copy = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (copy >= 0)
		(void)getsockopt(copy, SOL_SOCKET, SO_TYPE, &type, &size);
	if (type == SOCK_DGRAM)
		kf_learn_net(&c->w->learn, bind ? KF_LEARN_LISTEN_UDP : KF_LEARN_CONNECT_UDP, port);
	else
		kf_learn_net(&c->w->learn, bind ? KF_LEARN_LISTEN : KF_LEARN_CONNECT, port);
}

static void note_message(const struct seen_call *c)
{
	struct msghdr header;

	if (read_memory(c, c->n->data.args[1], &header, sizeof(header)))
		note_address(c, (uint64_t)(uintptr_t)header.msg_name, header.msg_namelen, false,
			     (int)c->n->data.args[0]);
}

/* What is moved to @path takes the place of what is there. */
static void note_move(const struct seen_call *c, int from_dir, unsigned from, int to_dir,
		      unsigned to)
{
	char path[PATH_MAX];

	if (path_argument(c, from_dir, from, path))
		note_change(c, path, REMOVED);
	if (path_argument(c, to_dir, to, path))
		note_change(c, path, REPLACED);
}

/* Where the arguments of a call are; -1: none. */
enum action {
	OPEN,
	OPEN2,
	CREATE,
	EXEC,
	TRUNCATE,
	MAKE,
	REMOVE,
	MOVE,
	LINK,
	CONNECT,
	BIND,
	SEND,
	MESSAGE
};
static const struct {
	const char *name;
	int nr;
	enum action action;
	int dir, path, more, other; /* @more: of the flags, or the second directory; @other: path */
} calls[] = {
#ifdef SYS_open
	{"open", SYS_open, OPEN, -1, 0, 1, -1},
	{"creat", SYS_creat, CREATE, -1, 0, -1, -1},
	{"mkdir", SYS_mkdir, MAKE, -1, 0, -1, -1},
	{"mknod", SYS_mknod, MAKE, -1, 0, -1, -1},
	{"unlink", SYS_unlink, REMOVE, -1, 0, -1, -1},
	{"rmdir", SYS_rmdir, REMOVE, -1, 0, -1, -1},
	{"rename", SYS_rename, MOVE, -1, 0, -1, 1},
	{"link", SYS_link, LINK, -1, 0, -1, 1},
	{"symlink", SYS_symlink, MAKE, -1, 1, -1, -1},
#endif
#ifdef SYS_renameat
	{"renameat", SYS_renameat, MOVE, 0, 1, 2, 3},
#endif
	{"openat", SYS_openat, OPEN, 0, 1, 2, -1},
	{"openat2", SYS_openat2, OPEN2, 0, 1, 2, -1},
	{"execve", SYS_execve, EXEC, -1, 0, -1, -1},
	{"execveat", SYS_execveat, EXEC, 0, 1, 4, -1},
	{"truncate", SYS_truncate, TRUNCATE, -1, 0, -1, -1},
	{"mkdirat", SYS_mkdirat, MAKE, 0, 1, -1, -1},
	{"mknodat", SYS_mknodat, MAKE, 0, 1, -1, -1},
	{"unlinkat", SYS_unlinkat, REMOVE, 0, 1, -1, -1},
	{"renameat2", SYS_renameat2, MOVE, 0, 1, 2, 3},
	{"linkat", SYS_linkat, LINK, 0, 1, 2, 3},
	{"symlinkat", SYS_symlinkat, MAKE, 1, 2, -1, -1},
	{"connect", SYS_connect, CONNECT, -1, 1, 2, -1},
	{"bind", SYS_bind, BIND, -1, 1, 2, -1},
	{"sendto", SYS_sendto, SEND, -1, 4, 5, -1},
	{"sendmsg", SYS_sendmsg, MESSAGE, -1, 1, -1, -1},
};

static void note_file(const struct seen_call *c, size_t i)
{
	const __u64 *args = c->n->data.args;
	char path[PATH_MAX];
	struct open_how how;

	if (!path_argument(c, calls[i].dir, (unsigned)calls[i].path, path))
		return;
	switch (calls[i].action) {
	case OPEN:
		note_open(c, path, args[calls[i].more]);
		break;
	case OPEN2:
		if (read_memory(c, args[2], &how, sizeof(how)))
			note_open(c, path, how.flags);
		break;
	case CREATE:
		note_open(c, path, O_WRONLY | O_CREAT | O_TRUNC);
		break;
	case EXEC:
		note_exec(c, path);
		break;
	case TRUNCATE:
		note_use(c, path, true, KF_FS_WRITE);
		break;
	case REMOVE:
		note_change(c, path, REMOVED);
		break;
	default: /* MAKE */
		note_change(c, path, MADE);
	}
}

static void note_call(const struct seen_call *c)
{
	const __u64 *args = c->n->data.args;

	for (size_t i = 0; i < KF_ARRAY_SIZE(calls); i++) {
		if (calls[i].nr != c->n->data.nr)
			continue;
		switch (calls[i].action) {
		case MOVE:
		case LINK:
			note_move(c, calls[i].dir, (unsigned)calls[i].path, calls[i].more,
				  (unsigned)calls[i].other);
			break;
		case CONNECT:
		case BIND:
		case SEND:
			note_address(c, args[calls[i].path], args[calls[i].more],
				     calls[i].action == BIND, (int)args[0]);
			break;
		case MESSAGE:
			note_message(c);
			break;
		default:
			note_file(c, i);
		}
		return;
	}
}

/* ---- the watcher ---- */

/* Take one call; false if there will be no more. */
static bool take_call(struct watcher *w, int listener)
{
	struct seccomp_notif n = {0};
	struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
	struct seen_call c = {.w = w, .n = &n, .root = -1};
	char path[64];

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
		return errno == EINTR || errno == ENOENT; /* it has ended meanwhile */
	(void)snprintf(path, sizeof(path), "/proc/%u/root", n.pid);
	c.root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c.root >= 0) {
		note_call(&c);
		(void)close(c.root);
	}
	answer.id = n.id;
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0 || errno == ENOENT;
}

/* The runtime hands over the descriptor of a process that is about to start. */
static void take_listener(struct watcher *w)
{
	KF_CLOSE int from = accept4(w->fds[0].fd, NULL, NULL, SOCK_CLOEXEC);
	static char state[STATE_MAX];
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec data = {state, sizeof(state)};
	struct msghdr m = {.msg_iov = &data,
			   .msg_iovlen = 1,
			   .msg_control = control.bytes,
			   .msg_controllen = sizeof(control)};

	if (from < 0 || recvmsg(from, &m, MSG_CMSG_CLOEXEC) < 0)
		return;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		int fd;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS ||
		    w->nfds > LISTENERS_MAX)
			continue;
		memcpy(&fd, CMSG_DATA(h), sizeof(fd));
		w->fds[w->nfds++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
}

/* Until all processes of all listeners have ended, and the parent has said that it is over. */
static void watch_all(struct watcher *w, int over)
{
	bool ended = false;

	w->fds[w->nfds++] = (struct pollfd){.fd = over, .events = POLLIN};
	while (!ended || w->nfds > 2) {
		if (poll(w->fds, w->nfds, -1) < 0 && errno != EINTR)
			return;
		if (w->fds[0].revents & POLLIN)
			take_listener(w);
		if (w->fds[1].revents) {
			ended = true;
			w->fds[1].fd = -1;
		}
		for (nfds_t i = 2; i < w->nfds;) {
			bool more = true;

			if (w->fds[i].revents & POLLIN)
				more = take_call(w, w->fds[i].fd);
			else if (w->fds[i].revents)
				more = false;
			if (more) {
				i++;
				continue;
			}
			(void)close(w->fds[i].fd);
			w->fds[i] = w->fds[--w->nfds];
		}
	}
}

_Noreturn static void run_watcher(int socket_fd, int over, int lines)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(KF_LEARN_MEMORY);
	static struct watcher w;
	struct kf_err err;

	/* What a terminal sends ends the container, and that this process. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	if (kf_learn_init(&w.learn, &err) < 0)
		_exit(1);
	w.fds[w.nfds++] = (struct pollfd){.fd = socket_fd, .events = POLLIN};
	watch_all(&w, over);
	kf_learn_lines(&w.learn, &out);
	if (out.failed || w.learn.full || (out.n && kf_write_all(lines, out.p, out.n, &err) < 0))
		_exit(1);
	_exit(0);
}

int learn_watch_start(const char *dir, struct learn_watch *ret, struct kf_err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	KF_CLOSE int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	KF_CLOSE int lines = memfd_create("learned", MFD_CLOEXEC);
	int over[2] = {-1, -1};
	pid_t pid;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/watch.sock", dir);
	if (listener < 0 || lines < 0 ||
	    bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, LISTENERS_MAX) < 0 || pipe2(over, O_CLOEXEC) < 0)
		return kf_fail_sys(err, "listen at '%s'", address.sun_path);
	pid = fork();
	if (pid == 0) {
		(void)close(over[1]);
		run_watcher(listener, over[0], lines);
	}
	(void)close(over[0]);
	if (pid < 0) {
		(void)close(over[1]);
		return kf_fail_sys(err, "fork");
	}
	*ret = (struct learn_watch){.pid = pid, .lines = kf_steal_fd(&lines), .over = over[1]};
	(void)snprintf(ret->socket, sizeof(ret->socket), "%s", address.sun_path);
	return 0;
}

void learn_watch_policy(const struct learn_watch *watch, struct kf_seccomp *ret)
{
	static const char *names[KF_ARRAY_SIZE(calls)];
	static const char *const uring[] = {"io_uring_setup", "io_uring_enter",
					    "io_uring_register"};
	static const char *const arches[] = {KF_SECCOMP_ARCH_SCMP};
	static const struct kf_seccomp_rule rules[] = {
		{.names = names, .nnames = KF_ARRAY_SIZE(names), .action = "SCMP_ACT_NOTIFY"},
		/* What it does is no call that could be told of; the levels have it closed, too. */
		{.names = uring,
		 .nnames = KF_ARRAY_SIZE(uring),
		 .action = "SCMP_ACT_ERRNO",
		 .has_errno = true,
		 .errno_ret = ENOSYS},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(calls); i++)
		names[i] = calls[i].name;
	*ret = (struct kf_seccomp){
		.default_action = "SCMP_ACT_ALLOW",
		.architectures = arches,
		.narchitectures = KF_ARRAY_SIZE(arches),
		.listener_path = watch->socket,
		.rules = rules,
		.nrules = KF_ARRAY_SIZE(rules),
	};
}

int learn_watch_finish(struct learn_watch *watch, struct kf_learn *learn, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	size_t n = 0, lines;
	int status = 0, r;

	(void)close(watch->over);
	while (waitpid(watch->pid, &status, 0) < 0 && errno == EINTR)
		;
	watch->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		r = kf_fail(err, E2BIG,
			    "more than %u different paths were used, or memory is short; learn "
			    "from a shorter run",
			    KF_LEARN_PATHS);
	else if (lseek(watch->lines, 0, SEEK_SET) < 0)
		r = kf_fail_sys(err, "read what was seen");
	else
		r = kf_fd_slurp(watch->lines, "what was seen", KF_LEARN_MEMORY, &text, &n, err);
	(void)close(watch->lines);
	return r < 0 ? -1 : kf_learn_read(learn, text, n, "what was seen", NULL, NULL, &lines, err);
}
