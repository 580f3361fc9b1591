/* SPDX-License-Identifier: Apache-2.0 */
/* Runs in a container: makes system calls, each in a process of its own, and
 * prints "NAME OUTCOME": ok, an error's name, or the signal that ended it.
 * Arguments are such that a kernel without filter refuses them for another
 * reason than missing rights, or does something harmless.  "bench" prints
 * nanoseconds of loops instead. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BAD_FD	((unsigned long)-1)
#define BAD_PTR 8

/* Numbers, because headers are older than kernels.  All above 423 are the same everywhere. */
#if defined(__x86_64__)
enum {
	NR_read = 0,
	NR_ptrace = 101,
	NR_personality = 135,
	NR_prctl = 157,
	NR_mount = 165,
	NR_umount2 = 166,
	NR_init_module = 175,
	NR_delete_module = 176,
	NR_clone = 56,
	NR_unshare = 272,
	NR_setns = 308,
	NR_socket = 41,
	NR_mq_open = 240,
	NR_mq_unlink = 241,
	NR_kexec_load = 246,
	NR_keyctl = 250,
	NR_perf_event_open = 298,
	NR_process_vm_readv = 310,
	NR_process_vm_writev = 311,
	NR_finit_module = 313,
	NR_seccomp = 317,
	NR_kexec_file_load = 320,
	NR_bpf = 321,
	NR_userfaultfd = 323,
};
#else
enum {
	NR_read = 63,
	NR_ptrace = 117,
	NR_personality = 92,
	NR_prctl = 167,
	NR_mount = 40,
	NR_umount2 = 39,
	NR_init_module = 105,
	NR_delete_module = 106,
	NR_clone = 220,
	NR_unshare = 97,
	NR_setns = 268,
	NR_socket = 198,
	NR_mq_open = 180,
	NR_mq_unlink = 181,
	NR_kexec_load = 104,
	NR_keyctl = 219,
	NR_perf_event_open = 241,
	NR_process_vm_readv = 270,
	NR_process_vm_writev = 271,
	NR_finit_module = 273,
	NR_seccomp = 277,
	NR_kexec_file_load = 294,
	NR_bpf = 280,
	NR_userfaultfd = 282,
};
#endif
enum {
	NR_io_uring_setup = 425,
	NR_io_uring_enter,
	NR_io_uring_register,
	NR_open_tree,
	NR_move_mount,
	NR_fsopen,
	NR_fsconfig,
	NR_fsmount,
	NR_fspick,
	NR_pidfd_open,
	NR_clone3,
	NR_pidfd_getfd = 438,
	NR_mount_setattr = 442,
	NR_landlock_create_ruleset = 444,
	NR_cachestat = 451,
	NR_mseal = 462,
	NR_removexattrat = 466,
	NR_open_tree_attr,
	NR_file_getattr,
	NR_file_setattr,
	NR_listns,
	NR_far_future = 511,
};

struct probe {
	const char *name;
	long nr;
	unsigned long args[4];
};

static const struct probe probes[] = {
	{"read", NR_read, {BAD_FD}},
	{"landlock_create_ruleset", NR_landlock_create_ruleset, {0, 0, 1}},
	{"prctl:set_seccomp", NR_prctl, {22, 2, BAD_PTR}},
	{"seccomp:strict", NR_seccomp, {0, 99}},
	{"seccomp:filter", NR_seccomp, {1, 0, BAD_PTR}},
	{"seccomp:action_avail", NR_seccomp, {2, 99}},
	{"ptrace", NR_ptrace, {0x4206, 0x7ffffff0}},
	{"pidfd_open", NR_pidfd_open, {0x7ffffff0}},
	{"pidfd_getfd", NR_pidfd_getfd, {BAD_FD}},
	{"process_vm_readv", NR_process_vm_readv, {0x7ffffff0}},
	{"process_vm_writev", NR_process_vm_writev, {0x7ffffff0}},
	{"io_uring_setup", NR_io_uring_setup, {0}},
	{"io_uring_enter", NR_io_uring_enter, {BAD_FD}},
	{"io_uring_register", NR_io_uring_register, {BAD_FD}},
	{"bpf", NR_bpf, {999}},
	{"userfaultfd", NR_userfaultfd, {0xff000000}},
	{"perf_event_open", NR_perf_event_open, {BAD_PTR}},
	{"keyctl", NR_keyctl, {9999}},
	{"mount", NR_mount, {BAD_PTR, BAD_PTR, BAD_PTR}},
	{"umount2", NR_umount2, {BAD_PTR, 0xff00}},
	{"open_tree", NR_open_tree, {BAD_FD, BAD_PTR, 0xffff0000}},
	{"move_mount", NR_move_mount, {BAD_FD, BAD_PTR, BAD_FD, BAD_PTR}},
	{"fsopen", NR_fsopen, {BAD_PTR}},
	{"fsconfig", NR_fsconfig, {BAD_FD}},
	{"fsmount", NR_fsmount, {BAD_FD}},
	{"fspick", NR_fspick, {BAD_FD, BAD_PTR}},
	{"mount_setattr", NR_mount_setattr, {BAD_FD, BAD_PTR}},
	{"setns", NR_setns, {BAD_FD}},
	{"kexec_load", NR_kexec_load, {0, 0xffff, BAD_PTR, 0x7000}},
	{"kexec_file_load", NR_kexec_file_load, {BAD_FD, BAD_FD, 0, 0}},
	{"init_module", NR_init_module, {BAD_PTR, 0, BAD_PTR}},
	{"finit_module", NR_finit_module, {BAD_FD}},
	{"delete_module", NR_delete_module, {BAD_PTR}},
	{"mq_open", NR_mq_open, {BAD_PTR}},
	{"mq_unlink", NR_mq_unlink, {BAD_PTR}},
	{"clone3:nothing", NR_clone3, {0, 0}},
	{"cachestat", NR_cachestat, {BAD_FD}},
	{"mseal", NR_mseal, {1}},
	{"removexattrat", NR_removexattrat, {BAD_FD, BAD_PTR}},
	{"open_tree_attr", NR_open_tree_attr, {BAD_FD, BAD_PTR, 0xffff0000}},
	{"file_getattr", NR_file_getattr, {BAD_FD, BAD_PTR}},
	{"file_setattr", NR_file_setattr, {BAD_FD, BAD_PTR}},
	{"listns", NR_listns, {BAD_PTR}},
	{"far_future", NR_far_future, {0}},
};

static const struct {
	const char *name;
	unsigned long flag;
} namespaces[] = {
	{"newns", 0x20000},	 {"newcgroup", 0x2000000},
	{"newuts", 0x4000000},	 {"newipc", 0x8000000},
	{"newuser", 0x10000000}, {"newpid", 0x20000000},
	{"newnet", 0x40000000},	 {"none", 0},
};

static const unsigned long personalities[] = {0,       8,	 0x20000,   0x20008,
					      0x40000, 0x800000, 0xffffffff};

static void report(const char *name, long rc)
{
	if (rc < 0)
		printf("%s %s\n", name, strerrorname_np(errno));
	else
		printf("%s ok\n", name);
	fflush(stdout);
}

/* In a child: run @fn and let it report; tell if a signal ended it. */
static void in_child(const char *name, void (*fn)(const char *name, const unsigned long *args),
		     const unsigned long *args)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		alarm(10);
		fn(name, args);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		printf("%s fork-%s\n", name, strerrorname_np(errno));
	else if (WIFSIGNALED(status))
		printf("%s SIG%s\n", name, sigabbrev_np(WTERMSIG(status)));
	fflush(stdout);
}

static void call(const char *name, const unsigned long *a)
{
	report(name, syscall((long)a[0], a[1], a[2], a[3], a[4], 0, 0));
}

static void do_clone(const char *name, const unsigned long *a)
{
	long pid = syscall(NR_clone, a[0] | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	report(name, pid);
}

static void do_clone3(const char *name, const unsigned long *a)
{
	uint64_t args[8] = {a[0], 0, 0, 0, SIGCHLD};
	long pid = syscall(NR_clone3, args, sizeof(args));

	if (pid == 0)
		_exit(0);
	report(name, pid);
}

static void do_unshare(const char *name, const unsigned long *a)
{
	report(name, syscall(NR_unshare, a[0]));
}

#if defined(__x86_64__)
static void do_int80(const char *name, const unsigned long *a)
{
	long rc = 20; /* getpid of i386 */

	(void)a;
	__asm__ volatile("int $0x80" : "+a"(rc) : : "memory", "r8", "r9", "r10", "r11");
	report(name, rc > 0 ? 0 : -1);
}

static void do_x32(const char *name, const unsigned long *a)
{
	(void)a;
	report(name, syscall(0x40000000 | 39));
}
#endif

static void all(void)
{
	char name[64];

	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		const struct probe *p = &probes[i];
		unsigned long a[5] = {(unsigned long)p->nr, p->args[0], p->args[1], p->args[2],
				      p->args[3]};

		in_child(p->name, call, a);
	}
	for (unsigned long family = 0; family <= 46; family++) {
		/* Type 99 exists nowhere: nothing is opened, the family is still looked at. */
		unsigned long a[5] = {NR_socket, family, 99};

		snprintf(name, sizeof(name), "socket:%lu", family);
		in_child(name, call, a);
	}
	in_child("socket:40+2^32", call, (unsigned long[5]){NR_socket, 0x100000028, 99});
	for (size_t i = 0; i < sizeof(personalities) / sizeof(personalities[0]); i++) {
		unsigned long a[5] = {NR_personality, personalities[i]};

		snprintf(name, sizeof(name), "personality:%#lx", personalities[i]);
		in_child(name, call, a);
	}
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
		unsigned long a[1] = {namespaces[i].flag};

		snprintf(name, sizeof(name), "clone:%s", namespaces[i].name);
		in_child(name, do_clone, a);
		snprintf(name, sizeof(name), "clone3:%s", namespaces[i].name);
		in_child(name, do_clone3, a);
		if (!a[0])
			continue;
		snprintf(name, sizeof(name), "unshare:%s", namespaces[i].name);
		in_child(name, do_unshare, a);
	}
#if defined(__x86_64__)
	in_child("int80", do_int80, NULL);
	in_child("x32", do_x32, NULL);
#endif
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The best of many short rounds: one that nothing disturbed. */
static void bench(void)
{
	double best_getpid = 1e9, best_openat = 1e9;

	for (int round = 0; round < 300; round++) {
		double start = seconds(), took;

		for (int i = 0; i < 5000; i++)
			(void)syscall(SYS_getpid);
		took = (seconds() - start) / 5000;
		best_getpid = took < best_getpid ? took : best_getpid;
		start = seconds();
		for (int i = 0; i < 500; i++)
			close(openat(AT_FDCWD, "/probe", O_RDONLY | O_CLOEXEC));
		took = (seconds() - start) / 500;
		best_openat = took < best_openat ? took : best_openat;
	}
	printf("getpid %.2f\nopenat %.2f\n", best_getpid * 1e9, best_openat * 1e9);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "bench") == 0)
		bench();
	else
		all();
	return 0;
}
