/* SPDX-License-Identifier: Apache-2.0 */
/* kernel: run a program under another kernel than this one, as far as Landlock goes.
 *
 *	kernel fault NR ERRNO[:ARG0] PROGRAM...
 *		System call NR (with first argument ARG0) fails with ERRNO.
 *	kernel abi N PROGRAM...
 *		Landlock has ABI N: that version is reported, and rights, rules, flags and sizes it
 *		lacks refused; what this kernel lacks of it is taken and forgotten.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define CREATE	 444
#define ADD_RULE 445
#define RESTRICT 446

static void die(const char *what)
{
	perror(what);
	exit(99);
}

static int install(struct sock_filter *code, size_t n, unsigned flags)
{
	struct sock_fprog prog = {.len = (unsigned short)n, .filter = code};
	long fd;

	/* As root without no_new_privs, which is the launcher's to set. */
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	if (fd < 0)
		die("seccomp");
	return (int)fd;
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RET(value)  BPF_STMT(BPF_RET | BPF_K, value)

static void fault(char **argv)
{
	const unsigned nr = (unsigned)atoi(argv[0]);
	char *arg = strchr(argv[1], ':');
	const unsigned error = (unsigned)atoi(argv[1]);
	const unsigned any = !arg;
	struct sock_filter code[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 3),
		LOAD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arg ? (unsigned)strtoul(arg + 1, NULL, 0) : 0,
			 0, any ? 0 : 1),
		RET(SECCOMP_RET_ERRNO | error),
		RET(SECCOMP_RET_ALLOW),
	};

	/* As a runtime does, whose container lacks CAP_SYS_ADMIN. */
	if (prctl(PR_CAPBSET_READ, 21 /* CAP_SYS_ADMIN */, 0, 0, 0) == 0)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	install(code, sizeof(code) / sizeof(code[0]), 0);
	execvp(argv[2], argv + 2);
	die(argv[2]);
}

struct attr {
	uint64_t fs, net, scoped, quiet_fs, quiet_net, quiet_scoped;
};

static uint64_t known_fs(int abi)
{
	return abi >= 9	  ? 0x1ffff
	       : abi >= 5 ? 0xffff
	       : abi >= 3 ? 0x7fff
	       : abi >= 2 ? 0x3fff
			  : 0x1fff;
}

static uint64_t known_net(int abi)
{
	return abi >= 10 ? 0xf : abi >= 4 ? 0x3 : 0;
}

/* Leave @known of the 64 bits at @address of the process; 1 if nothing is left of them. */
static int forget(pid_t pid, uint64_t address, uint64_t known)
{
	uint64_t bits;
	struct iovec local = {&bits, sizeof(bits)};
	struct iovec remote = {(void *)(uintptr_t)address, sizeof(bits)};

	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != sizeof(bits))
		return -EFAULT;
	if (!(bits & ~known))
		return 0;
	bits &= known;
	if (process_vm_writev(pid, &local, 1, &remote, 1, 0) != sizeof(bits))
		return -EFAULT;
	return !bits;
}

/* A ruleset or rule as this kernel, which has @real, can take it; 1 = it may answer, 0: a rule
 * that it could not tell from none. */
static int adapt(int real, const struct seccomp_notif *call)
{
	const __u64 *args = call->data.args;
	const pid_t pid = (pid_t)call->pid;
	int r;

	if (call->data.nr == CREATE) {
		r = forget(pid, args[0], known_fs(real));
		if (r >= 0 && args[1] > 8)
			r = forget(pid, args[0] + 8, known_net(real));
		/* The quiet_ ones: a longer structure is taken if the rest is 0. */
		for (unsigned at = 24; r >= 0 && real < 10 && at < args[1]; at += 8)
			r = forget(pid, args[0] + at, 0);
		return r < 0 ? r : 1;
	}
	if (args[3] && real < 10)
		return 0;
	r = forget(pid, args[2], args[1] == 2 ? known_net(real) : known_fs(real));
	return r < 0 ? r : !r;
}

static int read_attr(pid_t pid, uint64_t address, struct attr *attr, size_t size)
{
	struct iovec local = {attr, size}, remote = {(void *)(uintptr_t)address, size};

	memset(attr, 0, sizeof(*attr));
	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size ? 0 : -1;
}

/* What a kernel of that ABI answers; 1 = this kernel may answer. */
static int judge(int abi, int real, const struct seccomp_notif *call, int64_t *value)
{
	const __u64 *args = call->data.args;
	struct attr attr;

	switch (call->data.nr) {
	case CREATE:
		if (args[2] == 1) {
			*value = abi;
			return 0;
		}
		if (args[1] > sizeof(attr))
			return -E2BIG;
		if (read_attr((pid_t)call->pid, args[0], &attr, args[1]) < 0)
			return -EFAULT;
		/* Older kernels accept a longer structure only if the rest is 0. */
		if ((abi < 4 && (attr.net || args[1] > 8)) ||
		    (abi < 6 && (attr.scoped || args[1] > 16)) ||
		    (abi < 10 &&
		     (attr.quiet_fs || attr.quiet_net || attr.quiet_scoped || args[1] > 24)))
			return -E2BIG;
		if ((attr.fs & ~known_fs(abi)) || (attr.net & ~known_net(abi)))
			return -EINVAL;
		return abi > real ? adapt(real, call) : 1;
	case ADD_RULE:
		if ((args[1] == 2 && abi < 4) || (args[3] && abi < 10))
			return -EINVAL;
		return abi > real ? adapt(real, call) : 1;
	default:
		return args[1] && abi < 7 ? -EINVAL : 1;
	}
}

static void serve(int abi, int listener)
{
	const int real = (int)syscall(CREATE, NULL, 0, 1);

	for (;;) {
		struct seccomp_notif call = {0};
		struct seccomp_notif_resp answer = {0};
		int64_t value = 0;
		int verdict;

		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
			return;
		verdict = judge(abi, real, &call, &value);
		answer.id = call.id;
		answer.val = value;
		answer.error = verdict < 0 ? verdict : 0;
		answer.flags = verdict == 1 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
		(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

static void older(char **argv)
{
	struct sock_filter code[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, CREATE, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, RESTRICT, 1, 0),
		RET(SECCOMP_RET_USER_NOTIF),
		RET(SECCOMP_RET_ALLOW),
	};
	const int abi = atoi(argv[0]);
	int pair[2], status, fd;
	char control[CMSG_SPACE(sizeof(int))] = {0}, c = 'x';
	struct iovec io = {&c, 1};
	struct msghdr m = {.msg_iov = &io,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	pid_t child, server;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	child = fork();
	if (child == 0) {
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);

		fd = install(code, sizeof(code) / sizeof(code[0]),
			     SECCOMP_FILTER_FLAG_NEW_LISTENER);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &fd, sizeof(fd));
		if (sendmsg(pair[1], &m, 0) < 0)
			die("sendmsg");
		close(fd);
		execvp(argv[1], argv + 1);
		die(argv[1]);
	}
	if (recvmsg(pair[0], &m, 0) < 0)
		die("recvmsg");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	server = fork();
	if (server == 0) {
		serve(abi, fd);
		_exit(0);
	}
	waitpid(child, &status, 0);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
	if (argc > 4 && strcmp(argv[1], "fault") == 0)
		fault(argv + 2);
	if (argc > 3 && strcmp(argv[1], "abi") == 0)
		older(argv + 2);
	fprintf(stderr,
		"usage: kernel fault NR ERRNO[:ARG0] PROGRAM... | kernel abi N PROGRAM...\n");
	return 98;
}
