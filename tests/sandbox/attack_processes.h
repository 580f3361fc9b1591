/* SPDX-License-Identifier: Apache-2.0 */
/* Rows about other processes, privileges, mounts, devices, and programs of one's own. A part of
 * attack.c, which has the list of its rows. */
#ifndef KF_TESTS_ATTACK_PROCESSES_H
#define KF_TESTS_ATTACK_PROCESSES_H

static int attach(void)
{
	if (ptrace(PTRACE_ATTACH, 1, 0, 0) < 0)
		return errno;
	waitpid(1, NULL, __WALL);
	return result(ptrace(PTRACE_DETACH, 1, 0, 0));
}

static int proc_mem(void)
{
	return open_path("/proc/1/mem", O_WRONLY);
}
/* Since Linux 6.13 CAP_SYS_ADMIN or CAP_PERFMON alone may look, whatever Landlock says. */
static int proc_environ(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return errno;
	data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	data[1].effective &= ~(1u << (CAP_PERFMON - 32));
	if (syscall(SYS_capset, &header, data) < 0)
		return errno;
	return open_path("/proc/1/environ", O_RDONLY);
}

static int vm_read(void)
{
	char buf[8];
	struct iovec local = {buf, sizeof(buf)}, remote = {secret, sizeof(buf)};

	return result(process_vm_readv(1, &local, 1, &remote, 1, 0));
}

static int steal_fd(void)
{
	int pidfd = (int)syscall(434 /* pidfd_open */, 1, 0);

	return pidfd < 0 ? errno : result(syscall(438 /* pidfd_getfd */, pidfd, 0, 0));
}

static int signal_init(void)
{
	return result(kill(1, SIGCONT));
}

/* Privileges and file systems */
static int set_uid(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setresuid(1000, 1000, 1000) < 0)
			_exit(errno);
		execl("/bin/suid", "attack", "suid", NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static int mount_tmpfs(void)
{
	return result(mount("none", "/mnt", "tmpfs", 0, NULL));
}
static int mount_bind(void)
{
	return result(mount("/root/.ssh", "/mnt", NULL, MS_BIND, NULL));
}
static int unmount(void)
{
	return result(umount2("/proc", MNT_DETACH));
}

static int user_ns_mount(void)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0
		       ? errno
		       : result(mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL));
}

static int make_char(void)
{
	return result(mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)));
}
static int make_block(void)
{
	return result(mknod("/tmp/disk", S_IFBLK | 0600, makedev(8, 0)));
}

static int exec_written(void)
{
	char buf[1 << 16];
	ssize_t n;
	int in = open("/bin/attack", O_RDONLY),
	    out = open("/tmp/prog", O_WRONLY | O_CREAT | O_TRUNC, 0755), status;
	pid_t pid;

	if (out < 0)
		return errno;
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			return EIO;
	close(out);
	pid = fork();
	if (pid == 0) {
		execl("/tmp/prog", "prog", "true", NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static int exec_memfd(void)
{
	char buf[1 << 16];
	ssize_t n;
	int in = open("/bin/attack", O_RDONLY), out = memfd_create("x", MFD_CLOEXEC), status;
	pid_t pid;

	/* The kind that may be made is not executable, nor can it be made so. */
	if (out < 0 && errno == EACCES) {
		out = memfd_create("x", MFD_CLOEXEC | 0x8 /* MFD_NOEXEC_SEAL */);
		if (out < 0) /* Linux before 6.3 has no such kind: then there is none at all */
			return errno == EINVAL ? EACCES : errno;
		if (fchmod(out, 0755) == 0)
			return EIO;
	}
	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			return EIO;
	pid = fork();
	if (pid == 0) {
		char *argv[] = {"prog", "true", NULL}, *env[] = {NULL};

		fexecve(out, argv, env);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

#endif
