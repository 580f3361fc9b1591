/* SPDX-License-Identifier: Apache-2.0 */
/* The process in a container that measures what it is told to, a line of tab-separated words on its
 * standard input for each measurement, and an answer of one line:
 *
 *	run PROGRAM ARG...      nanoseconds of wall time, of processor time, and the exit status
 *	start PROGRAM ARG...    the process ID; it is left running
 *	end PID                 the exit status, after SIGTERM
 *	call NAME N PATH        nanoseconds of one call; see the table
 *	http N PORT             nanoseconds of one request of "/", over some connections that are
 *kept
 *
 * A first argument "--landlock" puts it into a Landlock domain with a single rule, for all rights
 *on
 * "/", before it reads anything: the least that a sandbox with Landlock costs. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS	    256
#define CONNECTIONS 16

static int zero = -1; /* of /dev/zero */
static int port;      /* that something listens on */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "worker: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double read_clock(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double processor_time(const struct rusage *u)
{
	return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e9 +
	       (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1e3;
}

static void enter_landlock(void)
{
	const long abi = syscall(444, NULL, 0, 1);
	const uint64_t all = abi >= 9	? 0x1ffff
			     : abi >= 5 ? 0xffff
			     : abi >= 3 ? 0x7fff
			     : abi == 2 ? 0x3fff
					: 0x1fff;
	const uint64_t attr = all;
	const long ruleset = syscall(444, &attr, sizeof(attr), 0);
	const struct {
		uint64_t allowed;
		int32_t fd;
	} __attribute__((packed)) rule = {all, open("/", O_PATH | O_CLOEXEC)};

	if (ruleset < 0 || syscall(445, ruleset, 1, &rule, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0 || syscall(446, ruleset, 0) < 0)
		die("Landlock");
	close(rule.fd);
	close((int)ruleset);
}

static pid_t start(char **argv)
{
	posix_spawn_file_actions_t files;
	pid_t pid;

	if (posix_spawn_file_actions_init(&files) != 0 ||
	    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0) != 0 ||
	    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0) != 0)
		die("spawn");
	errno = posix_spawnp(&pid, argv[0], &files, NULL, argv, environ);
	if (errno != 0)
		die(argv[0]);
	posix_spawn_file_actions_destroy(&files);
	return pid;
}

static void run(char **argv)
{
	const double begin = read_clock(CLOCK_MONOTONIC);
	const pid_t pid = start(argv);
	struct rusage used;
	int status;

	if (wait4(pid, &status, 0, &used) < 0)
		die("wait");
	printf("%.0f %.0f %d\n", read_clock(CLOCK_MONOTONIC) - begin, processor_time(&used),
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* ---- calls ---- */

static void call_open(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	close(fd);
}

static void call_write(const char *path)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	close(fd);
}

static void call_denied(const char *path)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
}

static void call_list(const char *path)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	close(fd);
}

static void call_stat(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		die(path);
}

static void call_create(const char *path)
{
	const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || unlink(path) < 0)
		die(path);
	close(fd);
}

static void call_exec(const char *path)
{
	const char *argv[] = {path, NULL};
	int status;
	pid_t pid;

	errno = posix_spawn(&pid, path, NULL, NULL, (char **)(uintptr_t)argv, environ);
	if (errno != 0 || waitpid(pid, &status, 0) < 0 || status)
		die(path);
}

static void call_connect(const char *path)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const struct linger reset = {1, 0}; /* no connection is left in TIME_WAIT */
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)path;
	to.sin_port = htons((uint16_t)port);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) < 0)
		die("connect");
	close(fd);
}

static void call_read(const char *path)
{
	char c;

	(void)path;
	if (read(zero, &c, 1) != 1)
		die("read");
}

static void call_futex(const char *path)
{
	static uint32_t word;

	(void)path;
	(void)syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void call_getpid(const char *path)
{
	(void)path;
	(void)syscall(SYS_getpid);
}

static const struct call {
	const char *name;
	void (*make)(const char *path);
	clockid_t clock;
} calls[] = {
	{"open", call_open, CLOCK_THREAD_CPUTIME_ID},
	{"write", call_write, CLOCK_THREAD_CPUTIME_ID},
	{"denied", call_denied, CLOCK_THREAD_CPUTIME_ID},
	{"list", call_list, CLOCK_THREAD_CPUTIME_ID},
	{"stat", call_stat, CLOCK_THREAD_CPUTIME_ID},
	{"create", call_create, CLOCK_THREAD_CPUTIME_ID},
	{"exec", call_exec, CLOCK_MONOTONIC},
	{"read", call_read, CLOCK_THREAD_CPUTIME_ID},
	{"futex", call_futex, CLOCK_THREAD_CPUTIME_ID},
	{"connect", call_connect, CLOCK_MONOTONIC},
	{"getpid", call_getpid, CLOCK_THREAD_CPUTIME_ID},
};

/* For "connect": a socket of this process, whose queue is emptied by a child. */
static pid_t listen_somewhere(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) < 0 || listen(fd, 1024) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &size) < 0)
		die("listen");
	port = ntohs(at.sin_port);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			close(accept(fd, NULL, NULL));
	}
	close(fd);
	return pid;
}

static void call(char **argv)
{
	const long n = atol(argv[1]);
	const struct call *c = calls;
	pid_t listener = -1;
	double begin;

	while (strcmp(c->name, argv[0]) != 0)
		if (++c == calls + sizeof(calls) / sizeof(calls[0]))
			die(argv[0]);
	if (c->make == call_connect)
		listener = listen_somewhere();
	c->make(argv[2]);
	/* Processor time, where all of the work is this thread's. */
	begin = read_clock(c->clock);
	for (long i = 0; i < n; i++)
		c->make(argv[2]);
	printf("%.1f\n", (read_clock(c->clock) - begin) / (double)n);
	if (listener > 0) {
		kill(listener, SIGKILL);
		waitpid(listener, NULL, 0);
	}
}

/* Until all of the page has come. */
static void take_page(int fd)
{
	char answer[16384];
	size_t got = 0;

	do {
		const ssize_t r = read(fd, answer + got, sizeof(answer) - 1 - got);

		if (r <= 0)
			die("http");
		got += (size_t)r;
		answer[got] = '\0';
	} while (!strstr(answer, "</html>"));
}

static void http(char **argv)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const long n = atol(argv[0]) / CONNECTIONS;
	int fds[CONNECTIONS];
	double begin;

	to.sin_port = htons((uint16_t)atoi(argv[1]));
	for (int i = 0; i < CONNECTIONS; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[i] < 0 || connect(fds[i], (struct sockaddr *)&to, sizeof(to)) < 0)
			die("http");
	}
	begin = read_clock(CLOCK_MONOTONIC);
	for (long k = 0; k < n; k++) {
		for (int i = 0; i < CONNECTIONS; i++)
			if (write(fds[i], request, sizeof(request) - 1) < 0)
				die("http");
		for (int i = 0; i < CONNECTIONS; i++)
			take_page(fds[i]);
	}
	printf("%.1f\n", (read_clock(CLOCK_MONOTONIC) - begin) / (double)(n * CONNECTIONS));
	for (int i = 0; i < CONNECTIONS; i++)
		close(fds[i]);
}

static void end(char **argv)
{
	const pid_t pid = (pid_t)atoi(argv[0]);
	int status;

	if (kill(pid, SIGTERM) < 0 || waitpid(pid, &status, 0) < 0)
		die("end");
	printf("%d\n", status);
}

int main(int argc, char **argv)
{
	char *line = NULL, *words[WORDS + 1];
	size_t room = 0;
	ssize_t got;

	if (argc > 1 && strcmp(argv[1], "--landlock") == 0)
		enter_landlock();
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	printf("ready\n");
	fflush(stdout);
	while ((got = getline(&line, &room, stdin)) > 0) {
		int n = 0;

		line[got - 1] = '\0';
		for (char *rest = line; n < WORDS && (words[n] = strsep(&rest, "\t"));)
			n++;
		words[n] = NULL;
		if (strcmp(words[0], "run") == 0)
			run(words + 1);
		else if (strcmp(words[0], "start") == 0)
			printf("%d\n", (int)start(words + 1));
		else if (strcmp(words[0], "end") == 0)
			end(words + 1);
		else if (strcmp(words[0], "http") == 0)
			http(words + 1);
		else
			call(words + 1);
		fflush(stdout);
	}
	free(line);
	return 0;
}
