/* SPDX-License-Identifier: Apache-2.0 */
/* Rows about /proc. A part of attack.c, which has the list of its rows. */
#ifndef KF_TESTS_ATTACK_PROC_H
#define KF_TESTS_ATTACK_PROC_H

/* What is written in /proc: about oneself and one's own, about others, and the kernel's own.
 * Process 1 is the container's first, or another container's where the namespace is shared. */
static int write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? errno : write(fd, text, strlen(text)) < 0 ? errno : 0;
}

static int comm(void)
{
	return write_to("/proc/self/comm", "named");
}

static _Noreturn int waiting_thread(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

static int thread_comm(void)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	const int flags =
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	int tid = clone(waiting_thread, stack + sizeof(stack), flags, NULL);
	char path[64];

	if (tid < 0)
		return errno;
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tid);
	return write_to(path, "worker");
}

/* @file of a child that waits. */
static int of_child(const char *file, int (*use)(const char *path))
{
	pid_t pid = fork();
	char path[64];
	int r;

	if (pid == 0) {
		pause();
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	r = use(path);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return r;
}

static int raise_score(const char *path)
{
	return write_to(path, "1000");
}
static int open_both(const char *path)
{
	return open_path(path, O_RDWR);
}
static int oom_self(void)
{
	return raise_score("/proc/self/oom_score_adj");
}
static int oom_child(void)
{
	return of_child("oom_score_adj", raise_score);
}
static int child_mem(void)
{
	return of_child("mem", open_both);
}
static int coredump_filter(void)
{
	return write_to("/proc/self/coredump_filter", "0x33");
}
static int clear_refs(void)
{
	return write_to("/proc/self/clear_refs", "1");
}
static int timerslack(void)
{
	return write_to("/proc/self/timerslack_ns", "60000");
}
static int uid_map(void)
{
	return unshare(CLONE_NEWUSER) < 0 ? errno : write_to("/proc/self/uid_map", "0 0 1");
}
/* Back at once: it is not ours. */
static int first_oom(void)
{
	return raise_score("/proc/1/oom_score_adj") ?: write_to("/proc/1/oom_score_adj", "999");
}
static int first_coredump(void)
{
	return write_to("/proc/1/coredump_filter", "0x33");
}
static int first_clear_refs(void)
{
	return write_to("/proc/1/clear_refs", "1");
}
static int first_comm(void)
{
	return write_to("/proc/1/comm", "other");
}
static int first_mem(void)
{
	return open_path("/proc/1/mem", O_RDWR);
}
static int first_root(void)
{
	return open_path("/proc/1/root/etc/passwd", O_RDONLY);
}
static int first_cwd(void)
{
	return open_path("/proc/1/cwd/etc/passwd", O_RDONLY);
}
static int first_fd(void)
{
	return open_path("/proc/1/fd/1", O_WRONLY);
}
static int first_maps(void)
{
	return open_path("/proc/1/maps", O_RDONLY);
}
static int proc_sys(void)
{
	return open_path("/proc/sys/kernel/hostname", O_WRONLY);
}
static int proc_irq(void)
{
	return open_path("/proc/irq/default_smp_affinity", O_WRONLY);
}
static int proc_bus(void)
{
	return open_path("/proc/bus/pci/00/00.0", O_WRONLY);
}
static int create_proc(void)
{
	return open_path("/proc/self/new", O_WRONLY | O_CREAT);
}

/* Behind what is mounted over it. */
static int sys_unmounted(void)
{
	return result(umount2("/proc/sys", MNT_DETACH)) ?: proc_sys();
}
static int sys_remounted(void)
{
	return result(mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL)) ?: proc_sys();
}
static int in_tree(unsigned flags)
{
	int tree = (int)syscall(428 /* open_tree */, AT_FDCWD, "/proc", 1 /* CLONE */ | flags);

	return tree < 0 ? errno : result(openat(tree, "sys/kernel/hostname", O_WRONLY));
}
static int sys_cloned(void)
{
	return in_tree(0);
}
static int sys_in_namespace(void)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return errno;
	/* All of them, until one of them gets there. */
	return sys_unmounted() && sys_remounted() && in_tree(0) ? in_tree(AT_RECURSIVE) : 0;
}

#endif
