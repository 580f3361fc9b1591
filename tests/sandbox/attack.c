/* SPDX-License-Identifier: Apache-2.0 */
/* attack: what a hostile workload would try, one small function a row.
 *
 *	attack target           PID 1 of the container, outside every sandbox: what is attacked
 *	attack all              every row, each in a process of its own: "ROW ok|ERRNO" lines
 *	attack proc             every row about /proc, likewise; or a row's name
 *	attack alone ROW        that row, in this process itself
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

#include "attack_files.h"
#include "attack_proc.h"
#include "attack_processes.h"
#include "attack_sockets.h"

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

static int run_alone(const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r;

		if (strcmp(name, rows[i].name) != 0)
			continue;
		r = rows[i].run();
		printf("%s %s\n", name, r ? strerrorname_np(r) : "ok");
		return 0;
	}
	return 2;
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
	if (strcmp(what, "alone") == 0 && argc > 2)
		return run_alone(argv[2]);
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
