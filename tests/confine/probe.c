/* SPDX-License-Identifier: Apache-2.0 */
/* probe ROLE DIR confined|control ATTEMPT [ARG...]: become like a daemon of ours, then try one
 * thing.  Prints "done", or the error's name.  DIR holds what run has put there. */
#include "base/cleanup.h"
#include "base/file.h"
#include "kubefence/agent/confine.h"
#include "nono-nri/confine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int number(const char *s)
{
	return (int)strtoul(s ? s : "0", NULL, 10);
}

/* ---- roles ---- */

static char paths[8][PATH_MAX];

/* DIR/@name, in the @i-th buffer. */
static const char *under(const char *dir, const char *name, unsigned i)
{
	(void)snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir, name);
	return paths[i];
}

static int be_plugin(const char *dir, struct kf_err *err)
{
	const struct kf_plugin_options options = {.config = under(dir, "conf.d/nono-nri.toml", 0),
						  .state_dir = under(dir, "state", 1),
						  .node_dir = under(dir, "node", 2),
						  .denials_dir = under(dir, "denials", 5)};
	struct kf_plugin plugin = {.setup.config = {.settings.launcher = under(dir, "opt/nono", 3),
						    .profiles_dir = under(dir, "profiles", 4)}};

	return kf_plugin_confine(&options, &plugin, false, err);
}

static int be_helper(const char *dir, struct kf_err *err)
{
	const struct kf_helper helper = {.node_dir = under(dir, "node", 0),
					 .socket_path = paths[1]};

	(void)under(dir, "run/nri.sock", 1);
	return kf_helper_confine(&helper, err);
}

static int be_loop(const char *dir, struct kf_err *err)
{
	const struct kf_agent_options options = {.ready_file = under(dir, "ready/file", 0)};

	return kf_agent_confine_loop(&options, err);
}

static int be_api(const char *dir, const char *host, struct kf_err *err)
{
	const struct kf_kube kube = {.host = host,
				     .port = (unsigned short)number(getenv("KF_PORT")),
				     .account_dir = under(dir, "account", 0)};

	return kf_agent_confine_api(&kube, err);
}

static int be(const char *role, const char *dir, struct kf_err *err)
{
	if (strcmp(role, "plugin") == 0)
		return be_plugin(dir, err);
	if (strcmp(role, "helper") == 0)
		return be_helper(dir, err);
	if (strcmp(role, "loop") == 0)
		return be_loop(dir, err);
	if (strcmp(role, "api") == 0)
		return be_api(dir, "127.0.0.1", err);
	if (strcmp(role, "api-name") == 0)
		return be_api(dir, "localhost", err);
	return kf_fail(err, EINVAL, "no such role: '%s'", role);
}

/* ---- attempts: 0, or -1 with errno ---- */

static int try_read(char **arg)
{
	KF_CLOSE int fd = open(arg[0], O_RDONLY | O_CLOEXEC);
	char c;

	return fd < 0 || read(fd, &c, 1) < 0 ? -1 : 0;
}

static int try_write(char **arg)
{
	KF_CLOSE int fd = open(arg[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd < 0 || write(fd, "x", 1) != 1 ? -1 : 0;
}

/* As kf_file_replace() does. */
static int try_replace(char **arg)
{
	KF_CLOSE int dir = open(arg[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct kf_err err;

	if (dir < 0)
		return -1;
	if (kf_file_replace(dir, arg[1], "x", 1, 0644, &err) == 0)
		return 0;
	errno = err.code;
	return -1;
}

static int try_list(char **arg)
{
	KF_CLOSE int fd = open(arg[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -1 : 0;
}

static int try_execve(char **arg)
{
	return execve(arg[0], arg, NULL);
}

static int try_fork(char **arg)
{
	pid_t pid = fork();

	(void)arg;
	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : waitpid(pid, NULL, 0) < 0 ? -1 : 0;
}

static int thread(void *ctx)
{
	(void)ctx;
	return 0;
}

static int try_thread(char **arg)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

	(void)arg;
	return clone(thread, stack + sizeof(stack), flags, NULL) < 0 ? -1 : 0;
}

static int try_ptrace(char **arg)
{
	return ptrace(PTRACE_SEIZE, number(arg[0]), NULL, NULL) < 0 ? -1 : 0;
}

static int try_memory(char **arg)
{
	char c;
	struct iovec local = {&c, 1}, remote = {(void *)&thread, 1};

	return process_vm_readv(number(arg[0]), &local, 1, &remote, 1, 0) < 0 ? -1 : 0;
}

static int try_signal(char **arg)
{
	return kill(number(arg[0]), SIGCONT);
}

static int inet_socket(const char *port, struct sockaddr_in *to)
{
	*to = (struct sockaddr_in){.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)number(port)),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int try_connect(char **arg)
{
	struct sockaddr_in to;
	KF_CLOSE int fd = inet_socket(arg[0], &to);

	return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&to, sizeof(to));
}

static int try_listen(char **arg)
{
	struct sockaddr_in to;
	KF_CLOSE int fd = inet_socket(arg[0], &to);

	return fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? -1 : listen(fd, 1);
}

static int try_udp(char **arg)
{
	(void)arg;
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0 ? -1 : 0;
}

static int try_datagram(char **arg)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)number(arg[0])),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	KF_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof(a)) < 0 ? -1 : 0;
}

static int try_packet(char **arg)
{
	(void)arg;
	return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) < 0 ? -1 : 0;
}

static int try_unix(char **arg)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	KF_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", arg[0]);
	return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&to, sizeof(to));
}

static int try_resolve(char **arg)
{
	struct addrinfo *found = NULL;
	int r = getaddrinfo(arg[0], "80", NULL, &found);

	if (r == 0)
		freeaddrinfo(found);
	else
		errno = ENOENT;
	return r ? -1 : 0;
}

static int try_mount(char **arg)
{
	return mount("none", arg[0], "tmpfs", 0, NULL);
}

static int try_chroot(char **arg)
{
	return chroot(arg[0]);
}

static int try_unshare(char **arg)
{
	(void)arg;
	return unshare(CLONE_NEWNS);
}

static int try_setuid(char **arg)
{
	(void)arg;
	return (int)syscall(SYS_setresuid, 1000, 1000, 1000);
}

static int try_chown(char **arg)
{
	return (int)syscall(SYS_fchownat, AT_FDCWD, arg[0], 1, 1, 0);
}

static int try_chmod(char **arg)
{
	return fchmodat(AT_FDCWD, arg[0], 0777, 0);
}

static int try_mknod(char **arg)
{
	return (int)syscall(SYS_mknodat, AT_FDCWD, arg[0], S_IFCHR | 0600, 0x103);
}

static int try_symlink(char **arg)
{
	return symlinkat("/etc/shadow", AT_FDCWD, arg[0]);
}

static int try_bpf(char **arg)
{
	const struct {
		uint32_t type, key, value, entries;
		char rest[112];
	} attr = {.type = 2, .key = 4, .value = 4, .entries = 1};

	(void)arg;
	return syscall(SYS_bpf, 0, &attr, sizeof(attr)) < 0 ? -1 : 0;
}

static int try_memfd(char **arg)
{
	(void)arg;
	return memfd_create("x", MFD_CLOEXEC) < 0 ? -1 : 0;
}

static int try_executable(char **arg)
{
	(void)arg;
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED
		       ? -1
		       : 0;
}

static int try_protect(char **arg)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	return p == MAP_FAILED ? -1 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int try_uring(char **arg)
{
	char params[120] = {0};

	(void)arg;
	return syscall(SYS_io_uring_setup, 1, params) < 0 ? -1 : 0;
}

static int try_keyring(char **arg)
{
	(void)arg;
	return syscall(SYS_add_key, "user", "kf", "x", 1, -3) < 0 ? -1 : 0;
}

static int try_host(char **arg)
{
	return sethostname(arg[0], strlen(arg[0]));
}

static int try_capability(char **arg)
{
	struct {
		uint32_t version;
		int pid;
	} header = {0x20080522, 0};
	uint32_t data[6] = {0};

	(void)arg;
	return syscall(SYS_capget, &header, data) < 0 ? -1 : data[0] ? 0 : (errno = EPERM, -1);
}

static int try_watch(char **arg)
{
	int fd = inotify_init1(IN_CLOEXEC);

	return fd < 0 ? -1 : inotify_add_watch(fd, arg[0], IN_CREATE) < 0 ? -1 : 0;
}

/* For others to try something with. */
static int try_wait(char **arg)
{
	(void)arg;
	(void)dprintf(STDOUT_FILENO, "waiting\n");
	return pause();
}

/* The same machine's other system calls. */
static int try_compat(char **arg)
{
	long r = -ENOSYS;

	(void)arg;
#if defined(__x86_64__)
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
#endif
	errno = r < 0 ? (int)-r : 0;
	return r < 0 ? -1 : 0;
}

static const struct {
	const char *name;
	int (*attempt)(char **arg);
} attempts[] = {
	{"read", try_read},	  {"write", try_write},
	{"replace", try_replace}, {"list", try_list},
	{"execve", try_execve},	  {"fork", try_fork},
	{"thread", try_thread},	  {"ptrace", try_ptrace},
	{"memory", try_memory},	  {"signal", try_signal},
	{"connect", try_connect}, {"listen", try_listen},
	{"udp", try_udp},	  {"datagram", try_datagram},
	{"packet", try_packet},	  {"unix", try_unix},
	{"resolve", try_resolve}, {"mount", try_mount},
	{"chroot", try_chroot},	  {"unshare", try_unshare},
	{"setuid", try_setuid},	  {"chown", try_chown},
	{"chmod", try_chmod},	  {"mknod", try_mknod},
	{"symlink", try_symlink}, {"bpf", try_bpf},
	{"memfd", try_memfd},	  {"executable", try_executable},
	{"protect", try_protect}, {"uring", try_uring},
	{"keyring", try_keyring}, {"host", try_host},
	{"watch", try_watch},	  {"capability", try_capability},
	{"compat", try_compat},	  {"wait", try_wait},
};

int main(int argc, char **argv)
{
	struct kf_err err;

	if (argc < 5)
		return 2;
	kf_log_init(KF_LOG_TEXT, KF_LOG_WARN, "probe");
	if (strcmp(argv[3], "confined") == 0 && be(argv[1], argv[2], &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.msg);
		return 2;
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(attempts); i++) {
		if (strcmp(attempts[i].name, argv[4]) != 0)
			continue;
		(void)dprintf(STDOUT_FILENO, "%s\n",
			      attempts[i].attempt(argv + 5) == 0 ? "done" : strerrorname_np(errno));
		_exit(0);
	}
	return 2;
}
