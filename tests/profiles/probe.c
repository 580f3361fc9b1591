/* SPDX-License-Identifier: Apache-2.0 */
/* Reads lines "r|w|x PATH" and answers each with "1" or "0": whether opening for
 * reading, opening for writing, or executing is allowed.  A file that is executed is
 * an empty one: past the kernel's check it fails with ENOEXEC. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int allowed(char op, const char *path)
{
	char *argv[] = {"x", NULL};
	int fd;

	if (op == 'x') {
		execve(path, argv, argv + 1);
		if (errno != ENOEXEC && errno != EACCES)
			fprintf(stderr, "exec %s: %s\n", path, strerror(errno));
		return errno == ENOEXEC;
	}
	fd = open(path, (op == 'r' ? O_RDONLY : O_WRONLY) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno != EACCES)
		fprintf(stderr, "open %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return fd >= 0;
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
