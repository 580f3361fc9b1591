/* SPDX-License-Identifier: Apache-2.0 */
/* actor serve: a workload that does as it is told on stdin, one line each, answering with one:
 *	acts SEED N	N random renames, links, symlinks, chmods ... wherever it may
 *	probe		what it can open
 *	race, calm	swap two directories of /outer all the time, and no longer
 * actor probe: what this process can open, and nothing else.
 *
 * A probe prints five characters for each path: read, list, write, execute, create below it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* What must never change hands, and what the workload plays with. */
static const char *const places[] = {
	"/",
	"/etc",
	"/etc/passwd",
	"/bin",
	"/bin/busybox",
	"/usr",
	"/usr/lib",
	"/usr/lib/x",
	"/app",
	"/app/file",
	"/opt",
	"/opt/file",
	"/secret",
	"/secret/key",
	"/dev",
	"/dev/null",
	"/proc",
	"/proc/sys",
	"/sys",
	"/run",
	"/run/secrets",
	"/run/secrets/token",
	"/root",
	"/root/.ssh",
	"/root/.ssh/id",
	"/home",
	"/home/user",
	"/home/user/.ssh",
	"/home/user/.ssh/id",
	"/home/user/.claude",
	"/home/user/proj",
	"/home/user/proj/a",
	"/home/a",
	"/home/a/.ssh",
	"/home/b",
	"/tmp",
	"/tmp/a",
	"/tmp/b",
	"/vol",
	"/vol/a",
	"/vol/b",
	"/vol/a/b",
	"/outer",
	"/outer/a",
	"/outer/a/b",
	"/outer/c",
	"/outer/c/b",
	"/outer/a/b/file",
};

static const char *const bases[] = {
	"/home/user/proj", "/home/user", "/home",    "/root", "/tmp", "/vol",
	"/outer",	   "/run",	 "/outer/a", "."};
static const char *const names[] = {"a", "b", "c", ".ssh", ".claude", "proj", "secrets", "user"};
static const char *const targets[] = {
	"/",	"/etc",	      "/usr/lib",	 "/app", "/bin",
	"..",	"../..",      "/secret",	 "/opt", "/run/secrets",
	"/dev", "/home/user", "/home/user/proj", "a",	 "b"};
static const mode_t modes[] = {0, 0111, 0444, 0700, 0755, 0777};

static uint64_t seed;

static unsigned rnd(unsigned below)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (unsigned)((z ^ (z >> 31)) % below);
}

static void place(char out[static 256])
{
	int n = snprintf(out, 256, "%s/%s", bases[rnd(COUNT(bases))], names[rnd(COUNT(names))]);

	if (rnd(3) == 0)
		snprintf(out + n, 256 - (size_t)n, "/%s", names[rnd(COUNT(names))]);
}

static void act(void)
{
	char a[256], b[256];

	place(a);
	place(b);
	switch (rnd(11)) {
	case 0:
		(void)mkdir(a, modes[rnd(COUNT(modes))]);
		break;
	case 1:
		if (unlink(a) < 0)
			(void)rmdir(a);
		break;
	case 2:
		(void)rename(a, b);
		break;
	case 3:
		(void)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2 /* RENAME_EXCHANGE */);
		break;
	case 4:
	case 5:
		(void)symlink(targets[rnd(COUNT(targets))], a);
		break;
	case 6:
		(void)link(a, b);
		break;
	case 7:
		(void)chmod(a, modes[rnd(COUNT(modes))]);
		break;
	case 8: {
		int fd = open(a, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

		if (fd >= 0)
			(void)close(fd);
		break;
	}
	case 9: /* a symlink in place of what is there */
		(void)rename(a, "/tmp/aside");
		(void)symlink(targets[rnd(COUNT(targets))], a);
		break;
	case 10:
		(void)mount(a, b, NULL, MS_BIND, NULL);
		break;
	}
}

static char opens(const char *path, int flags, char what)
{
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);

	if (fd < 0)
		return '-';
	(void)close(fd);
	return what;
}

/* Landlock is asked for the right to execute when a program is; a directory has none. */
static char executes(const char *path)
{
	struct stat st;
	pid_t pid;
	int status;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return '-';
	pid = fork();
	if (pid == 0) {
		char *argv[] = {"true", NULL}, *env[] = {NULL};

		execve(path, argv, env);
		_exit(errno == EACCES ? 99 : 98);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 99 ? '-' : 'x';
}

static void probe(void)
{
	char out[COUNT(places) * 5 + 2], *p = out;

	for (size_t i = 0; i < COUNT(places); i++) {
		struct stat st;
		const int dir = stat(places[i], &st) == 0 && S_ISDIR(st.st_mode);

		*p++ = dir ? '-' : opens(places[i], O_RDONLY, 'r');
		*p++ = dir ? opens(places[i], O_RDONLY | O_DIRECTORY, 'l') : '-';
		*p++ = dir ? '-' : opens(places[i], O_WRONLY, 'w');
		*p++ = executes(places[i]);
		*p++ = dir ? opens(places[i], O_TMPFILE | O_WRONLY, 'c') : '-';
	}
	*p++ = '\n';
	*p = '\0';
	(void)!write(1, out, (size_t)(p - out));
}

static pid_t racer;

static void race(void)
{
	(void)mkdir("/outer/c", 0755);
	(void)symlink("/", "/outer/c/b");
	racer = fork();
	if (racer)
		return;
	for (;;)
		(void)syscall(SYS_renameat2, AT_FDCWD, "/outer/a", AT_FDCWD, "/outer/c", 2);
}

static void calm(void)
{
	(void)kill(racer, SIGKILL);
	(void)waitpid(racer, NULL, 0);
}

int main(int argc, char **argv)
{
	char line[256];

	if (argc > 1 && strcmp(argv[1], "probe") == 0) {
		probe();
		return 0;
	}
	while (fgets(line, sizeof(line), stdin)) {
		unsigned n = 0;
		unsigned long s;

		if (strncmp(line, "probe", 5) == 0) {
			probe();
			continue;
		}
		if (sscanf(line, "acts %lu %u", &s, &n) == 2) {
			seed = s;
			while (n--)
				act();
		} else if (strncmp(line, "race", 4) == 0) {
			race();
		} else if (strncmp(line, "calm", 4) == 0) {
			calm();
		}
		(void)!write(1, "done\n", 5);
	}
	return 0;
}
