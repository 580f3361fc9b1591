/* SPDX-License-Identifier: Apache-2.0 */
/* attack: what a hostile workload would try, one small function a row.
 *
 *	attack target           PID 1 of the container, outside every sandbox: what is attacked
 *	attack all              every row, each in a process of its own: "ROW ok|ERRNO" lines
 *	attack proc             every row about /proc, likewise; or a row's name
 *	attack suid             helper of the row "setuid"
 *	attack device PATH...   "PATH OPEN IOCTL" lines: opened to read and write, and a
 *				command that no device knows: ENOTTY or the like from the
 *				device, EACCES from the sandbox
 *
 * A row returns 0 when the attacker got what it wanted, else an errno value. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TOKEN	       "/run/secrets/kubernetes.io/serviceaccount/token"
#define KEY	       "/root/.ssh/id_rsa"
#define PORT	       7007
#define UNIX_PATH      "/srv/target.sock"
/* Where the sandbox may write: what listens there may be talked to. */
#define UNIX_GRANTED   "/tmp/target.sock"
/* In a volume, which is mounted read-only elsewhere. */
#define UNIX_IN_VOLUME "/srv/volume/target.sock"
#define UNIX_VOLUME    "/data/target.sock"
#define ABSTRACT       "kf-target"

static char secret[64] = "in the memory of another process";

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int open_path(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);
	char c;

	if (fd < 0)
		return errno;
	if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_DIRECTORY) && read(fd, &c, 1) < 0)
		return errno;
	close(fd);
	return 0;
}

static int make_file(const char *path)
{
	return open_path(path, O_WRONLY | O_CREAT | O_TRUNC);
}

/* Files */
static int token(void)
{
	return open_path(TOKEN, O_RDONLY);
}
static int token_var_run(void)
{
	return open_path("/var" TOKEN, O_RDONLY);
}
static int token_list(void)
{
	return open_path("/run/secrets", O_RDONLY | O_DIRECTORY);
}
static int ssh_key(void)
{
	return open_path(KEY, O_RDONLY);
}
static int netrc(void)
{
	return open_path("/root/.netrc", O_RDONLY);
}
static int other_home(void)
{
	return open_path("/home/user/.aws/credentials", O_RDONLY);
}
static int stat_key(void)
{
	struct stat st;
	return result(stat(KEY, &st));
}
static int write_etc(void)
{
	return open_path("/etc/target", O_WRONLY);
}
static int create_usr(void)
{
	return make_file("/usr/bin/evil");
}
static int create_root(void)
{
	return make_file("/evil");
}
static int mkdir_etc(void)
{
	return result(mkdir("/etc/evil", 0755));
}
static int truncate_etc(void)
{
	return result(truncate("/etc/target", 1));
}
static int unlink_etc(void)
{
	return result(unlink("/etc/victim"));
}
/* The three files that the containers of a pod share.  Nothing is changed, but where
 * the row asks for the change itself. */
static int write_hosts(void)
{
	return open_path("/etc/hosts", O_WRONLY | O_APPEND);
}
static int write_hostname(void)
{
	return open_path("/etc/hostname", O_WRONLY | O_APPEND);
}
static int write_resolv(void)
{
	return open_path("/etc/resolv.conf", O_WRONLY | O_APPEND);
}
static int truncate_resolv(void)
{
	return result(truncate("/etc/resolv.conf", 0));
}
/* A mount cannot be renamed over: detach it first. */
static int replace_resolv(void)
{
	int r = make_file("/tmp/resolv.conf");

	if (r == 0)
		r = result(umount2("/etc/resolv.conf", MNT_DETACH));
	return r ?: result(rename("/tmp/resolv.conf", "/etc/resolv.conf"));
}
static int move_etc(void)
{
	return result(rename("/etc", "/tmp/etc")) ?: result(rename("/tmp/etc", "/etc"));
}

/* Root drops to a user whom his own home is open to. */
static int as_user(const char *path)
{
	if (setgid(1000) < 0 || setuid(1000) < 0)
		return errno;
	return open_path(path, O_RDONLY);
}
static int user_key(void)
{
	return as_user("/home/user/.ssh/id_rsa");
}
static int user_secret(void)
{
	return as_user("/home/user/.aws/credentials");
}
static int write_nono(void)
{
	return open_path("/nono/nono", O_WRONLY);
}
static int create_nono(void)
{
	return make_file("/nono/evil");
}
static int write_proc_sys(void)
{
	return open_path("/proc/sys/kernel/hostname", O_WRONLY);
}

static int rename_out(void)
{
	int r = make_file("/tmp/out");

	return r ? r : result(rename("/tmp/out", "/etc/out"));
}

static int rename_in(void)
{
	return result(rename("/etc/movable", "/tmp/in"));
}
static int link_in(void)
{
	return result(link("/etc/target", "/tmp/linked"));
}
static int move_ssh(void)
{
	return result(rename("/root/.ssh", "/tmp/ssh")) ?: result(rename("/tmp/ssh", "/root/.ssh"));
}
static int move_secrets(void)
{
	return result(rename("/run/secrets", "/run/s")) ?: result(rename("/run/s", "/run/secrets"));
}

static int through_symlink(void)
{
	unlink("/tmp/link");
	return symlink(KEY, "/tmp/link") < 0 ? errno : open_path("/tmp/link", O_RDONLY);
}

static int through_proc_root(void)
{
	return open_path("/proc/1/root" KEY, O_RDONLY);
}
static int through_own_root(void)
{
	return open_path("/proc/self/root" KEY, O_RDONLY);
}

static int through_o_path(void)
{
	char name[64];
	int fd = open(KEY, O_PATH);

	if (fd < 0)
		return errno;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return open_path(name, O_RDONLY);
}

static int by_handle(void)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = {.h.handle_bytes = MAX_HANDLE_SZ};
	int mount, root = open("/", O_RDONLY), fd;
	char c;

	if (name_to_handle_at(AT_FDCWD, KEY, &u.h, &mount, 0) < 0)
		return errno;
	fd = open_by_handle_at(root, &u.h, O_RDONLY);
	return fd < 0 || read(fd, &c, 1) < 0 ? errno : 0;
}

static int by_open_tree(void)
{
	int tree = (int)syscall(428 /* open_tree */, AT_FDCWD, "/root/.ssh",
				1 /* CLONE */ | O_CLOEXEC);
	int fd = tree < 0 ? -1 : openat(tree, "id_rsa", O_RDONLY);
	char c;

	return fd < 0 || read(fd, &c, 1) < 0 ? errno : 0;
}

static int tmpfile_link(void)
{
	int fd = open("/tmp", O_TMPFILE | O_WRONLY, 0644);
	char name[64];

	if (fd < 0)
		return errno;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return result(linkat(AT_FDCWD, name, AT_FDCWD, "/etc/linked", AT_SYMLINK_FOLLOW));
}

static int after_chroot(void)
{
	return chroot("/root") < 0 ? errno : open_path("/.ssh/id_rsa", O_RDONLY);
}

static int change_mode(void)
{
	return result(chmod("/etc/target", 0600));
}
static int change_owner(void)
{
	return result(chown("/etc/target", 1, 1));
}
static int set_xattr(void)
{
	return result(setxattr("/etc/target", "trusted.kf", "x", 1, 0));
}

/* Processes */
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

/* Sockets */
static int make_socket(int family, int type, int protocol)
{
	return result(socket(family, type, protocol));
}

static int tcp_connect(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(PORT),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? errno : result(connect(fd, (void *)&a, sizeof(a)));
}

static int tcp_listen(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7070)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? errno : result(bind(fd, (void *)&a, sizeof(a))) ?: result(listen(fd, 1));
}

static int udp(void)
{
	return make_socket(AF_INET, SOCK_DGRAM, 0);
}
/* A datagram to @port of this machine, by a socket that is one of @family; @first: of which
 * another port is told to it first. */
static int udp_to(int family, uint16_t port, uint16_t first)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const bool six = family == AF_INET6;
	int fd = socket(family, SOCK_DGRAM, 0);

	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
	if (fd < 0)
		return errno;
	if (first) {
		struct sockaddr_in other = to;

		other.sin_port = htons(first);
		if (connect(fd, (void *)&other, sizeof(other)) < 0)
			return errno;
	}
	return result(sendto(fd, "x", 1, 0, six ? (void *)&mapped : (void *)&to,
			     six ? sizeof(mapped) : sizeof(to)));
}

static int udp_send(void)
{
	return udp_to(AF_INET, PORT, 0);
}
static int udp_mapped(void)
{
	return udp_to(AF_INET6, PORT, 0);
}
static int udp_elsewhere(void)
{
	return udp_to(AF_INET, PORT + 1, PORT);
}

static int udp_listen(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7070)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd < 0 ? errno : result(bind(fd, (void *)&a, sizeof(a)));
}

static int tcp6(void)
{
	return make_socket(AF_INET6, SOCK_STREAM, 0);
}
static int raw(void)
{
	return make_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}
static int mptcp(void)
{
	return make_socket(AF_INET, SOCK_STREAM, 262);
}
static int packet(void)
{
	return make_socket(AF_PACKET, SOCK_RAW, 0);
}
static int vsock(void)
{
	return make_socket(AF_VSOCK, SOCK_STREAM, 0);
}
static int netlink_route(void)
{
	return make_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}
static int netlink_uevent(void)
{
	return make_socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT);
}
static int io_uring(void)
{
	char params[120] = {0};
	return result(syscall(425, 1, params));
}

static int unix_to(const char *name, int abstract)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path + abstract, name, strlen(name));
	return fd < 0 ? -1
	       : connect(fd, (void *)&a,
			 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) +
				     (size_t)abstract)) < 0
		       ? -1
		       : fd;
}

static int unix_path(void)
{
	return result(unix_to(UNIX_PATH, 0));
}
static int unix_abstract(void)
{
	return result(unix_to(ABSTRACT, 1));
}

static int unix_granted(void)
{
	return result(unix_to(UNIX_GRANTED, 0));
}

static int unix_volume(void)
{
	return result(unix_to(UNIX_VOLUME, 0));
}

/* PID 1 hands out its own descriptors: of a file that may not be opened here, and of sockets
 * that have been nowhere yet. */
enum { SENT_FILE, SENT_TCP, SENT_UDP, NSENT };

static int receive(int which)
{
	char c, control[CMSG_SPACE(NSENT * sizeof(int))];
	struct iovec io = {&c, 1};
	struct msghdr m = {.msg_iov = &io,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	int fd = unix_to(UNIX_GRANTED, 0), sent[NSENT];

	if (fd < 0 || recvmsg(fd, &m, 0) < 0 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(sent, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(sent));
	return sent[which];
}

static int received_fd(void)
{
	int fd = receive(SENT_FILE);
	char c;

	return fd < 0 ? errno ?: EIO : result(pread(fd, &c, 1, 0));
}

static int received_socket(int which)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(PORT),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = receive(which);

	return fd < 0 ? errno ?: EIO : result(connect(fd, (void *)&a, sizeof(a)));
}
static int received_tcp(void)
{
	return received_socket(SENT_TCP);
}
static int received_udp(void)
{
	return received_socket(SENT_UDP);
}

static const struct row {
	const char *name;
	int (*run)(void);
} rows[] = {
#define ROW(name) {#name, name},
	/* clang-format off */
	ROW(token) ROW(token_var_run) ROW(token_list) ROW(ssh_key) ROW(user_key)
	ROW(user_secret) ROW(netrc) ROW(other_home) ROW(stat_key) ROW(write_etc)
	ROW(create_usr) ROW(create_root) ROW(mkdir_etc) ROW(truncate_etc) ROW(unlink_etc)
	ROW(write_hosts) ROW(write_hostname) ROW(write_resolv) ROW(truncate_resolv)
	ROW(move_etc) ROW(write_nono) ROW(create_nono)
	ROW(write_proc_sys) ROW(rename_out) ROW(rename_in) ROW(link_in) ROW(move_ssh)
	ROW(move_secrets) ROW(through_symlink) ROW(through_proc_root) ROW(through_own_root)
	ROW(through_o_path) ROW(by_handle) ROW(by_open_tree) ROW(tmpfile_link)
	ROW(after_chroot) ROW(change_mode) ROW(change_owner) ROW(set_xattr) ROW(attach)
	ROW(proc_mem) ROW(proc_environ) ROW(vm_read) ROW(steal_fd) ROW(signal_init)
	ROW(set_uid) ROW(mount_tmpfs) ROW(mount_bind) ROW(user_ns_mount) ROW(make_char)
	ROW(make_block) ROW(exec_written) ROW(exec_memfd) ROW(tcp_connect) ROW(tcp_listen)
	ROW(tcp6) ROW(udp) ROW(raw) ROW(mptcp) ROW(packet) ROW(vsock) ROW(netlink_route)
	ROW(netlink_uevent) ROW(io_uring) ROW(unix_path) ROW(unix_granted) ROW(unix_volume) ROW(unix_abstract)
	ROW(received_fd) ROW(received_tcp) ROW(received_udp) ROW(udp_send) ROW(udp_mapped)
	ROW(udp_elsewhere) ROW(udp_listen)
	ROW(unmount) ROW(replace_resolv)
	/* clang-format on */
};

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

static const struct row proc_rows[] = {
	/* clang-format off */
	ROW(comm) ROW(thread_comm) ROW(oom_self) ROW(oom_child) ROW(coredump_filter) ROW(clear_refs)
	ROW(timerslack) ROW(uid_map) ROW(child_mem) ROW(create_proc) ROW(first_oom)
	ROW(first_coredump) ROW(first_clear_refs) ROW(first_comm) ROW(first_mem) ROW(first_root)
	ROW(first_cwd) ROW(first_fd) ROW(first_maps) ROW(proc_sys) ROW(proc_irq) ROW(proc_bus)
	ROW(sys_in_namespace) ROW(sys_cloned) ROW(sys_remounted) ROW(sys_unmounted)
	/* clang-format on */
};

static int listen_at(int family, const void *address, socklen_t n)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* Nobody takes most of these connections: there has to be room for all that are tried. */
	if (fd < 0 || bind(fd, address, n) < 0 || listen(fd, 1024) < 0) {
		perror("target");
		exit(1);
	}
	return fd;
}

static int listen_path(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;

	unlink(path);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	fd = listen_at(AF_UNIX, &a, sizeof(a));
	/* Whoever asks need not be root. */
	chmod(path, 0777);
	return fd;
}

static _Noreturn void target(void)
{
	struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct sockaddr_un abstract = {.sun_family = AF_UNIX};
	int file = open(KEY, O_RDONLY), fd;

	memcpy(abstract.sun_path + 1, ABSTRACT, strlen(ABSTRACT));
	listen_at(AF_INET, &tcp, sizeof(tcp));
	listen_at(AF_UNIX, &abstract,
		  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(ABSTRACT)));
	listen_path(UNIX_PATH);
	mkdir("/srv/volume", 0755);
	listen_path(UNIX_IN_VOLUME);
	fd = listen_path(UNIX_GRANTED);
	signal(SIGCHLD, SIG_IGN);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int sent[NSENT] = {file, socket(AF_INET, SOCK_STREAM, 0),
				   socket(AF_INET, SOCK_DGRAM, 0)};
		char control[CMSG_SPACE(sizeof(sent))] = {0}, c = 'x';
		struct iovec io = {&c, 1};
		struct msghdr m = {.msg_iov = &io,
				   .msg_iovlen = 1,
				   .msg_control = control,
				   .msg_controllen = sizeof(control)};
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		int peer = accept(fd, NULL, NULL);

		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(sent));
		memcpy(CMSG_DATA(h), sent, sizeof(sent));
		sendmsg(peer, &m, MSG_NOSIGNAL);
		close(peer);
		close(sent[SENT_TCP]);
		close(sent[SENT_UDP]);
	}
}

static void run_row(const struct row *row)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(row->run());
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status))
		printf("%s killed\n", row->name);
	else
		printf("%s %s\n", row->name,
		       WEXITSTATUS(status) ? strerrorname_np(WEXITSTATUS(status)) : "ok");
}

static void use_device(const char *path)
{
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC), opened = fd < 0 ? errno : 0;

	printf("%s %s ", path, opened ? strerrorname_np(opened) : "ok");
	printf("%s\n", fd < 0 ? "-" : ioctl(fd, 0x4b46) < 0 ? strerrorname_np(errno) : "ok");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "target") == 0)
		target();
	for (int i = 2; strcmp(what, "device") == 0 && i < argc; i++)
		use_device(argv[i]);
	if (strcmp(what, "suid") == 0)
		return geteuid() == 0 ? 0 : EPERM;
	if (strcmp(what, "true") == 0)
		return 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(what, "all") == 0 || strcmp(what, rows[i].name) == 0)
			run_row(&rows[i]);
	for (size_t i = 0; i < sizeof(proc_rows) / sizeof(proc_rows[0]); i++)
		if (strcmp(what, "proc") == 0 || strcmp(what, proc_rows[i].name) == 0)
			run_row(&proc_rows[i]);
	return 0;
}
