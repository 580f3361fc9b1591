/* SPDX-License-Identifier: Apache-2.0 */
/* Reads lines "OPERATION ARGUMENT" and answers each with "1" or "0": whether it is allowed.
 *
 *	r, w, x PATH	opening for reading or writing, executing.  What is executed is an
 *			empty file: past the kernel's check it fails with ENOEXEC.
 *	n PATH		making a file of that name, which is removed again
 *	c, b PORT	connecting to, listening on a TCP port of the loopback.  Nobody need
 *			listen there: past the kernel's check it is refused, or in use.
 *	e NAME[=VALUE]	not about the kernel: whether the variable is set, and to that */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int can_execute(const char *path)
{
	char *argv[] = {"x", NULL};

	execve(path, argv, argv + 1);
	if (errno != ENOEXEC && errno != EACCES)
		fprintf(stderr, "exec %s: %s\n", path, strerror(errno));
	return errno == ENOEXEC;
}

static int can_open(char op, const char *path)
{
	const int flags = op == 'r' ? O_RDONLY : op == 'w' ? O_WRONLY : O_WRONLY | O_CREAT | O_EXCL;
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600);
	struct stat st;
	int masked;

	if (fd < 0 && errno != EACCES)
		fprintf(stderr, "open %s: %s\n", path, strerror(errno));
	if (fd < 0)
		return 0;
	/* What is masked is that, and gives nothing. */
	masked = fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) &&
		 strcmp(path, "/dev/null") != 0;
	close(fd);
	if (masked)
		return 0;
	if (op == 'n')
		unlink(path);
	return 1;
}

static int can_reach(char op, const char *port)
{
	const struct sockaddr_in at = {.sin_family = AF_INET,
				       .sin_port = htons((unsigned short)atoi(port)),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return 0;
	r = op == 'c' ? connect(fd, (const struct sockaddr *)&at, sizeof(at))
		      : bind(fd, (const struct sockaddr *)&at, sizeof(at));
	r = r == 0 || (errno != EACCES && errno != EPERM);
	close(fd);
	return r;
}

static int is_set(char *name)
{
	char *equal = strchr(name, '=');
	const char *value;

	if (equal)
		*equal = '\0';
	value = getenv(name);
	return value && (!equal || strcmp(value, equal + 1) == 0);
}

static int allowed(char op, char *argument)
{
	switch (op) {
	case 'x':
		return can_execute(argument);
	case 'c':
	case 'b':
		return can_reach(op, argument);
	case 'e':
		return is_set(argument);
	default:
		return can_open(op, argument);
	}
}

int main(void)
{
	char line[4200];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		putchar('0' + allowed(line[0], line + 2));
	}
	putchar('\n');
	return 0;
}
