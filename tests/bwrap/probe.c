/* SPDX-License-Identifier: Apache-2.0 */
/* probe PATH...: what can be done with each, one line a path: letters r (read), w (written), l
 * (listed), c (something can be made in it), x (executed), then the names that it lists. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void list(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			printf(" %s", entry->d_name);
	closedir(dir);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *path = argv[i];
		char made[4096], byte;
		struct stat st;
		int fd = open(path, O_RDONLY | O_NONBLOCK);
		int is_dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);

		printf("%s ", path);
		if (fd >= 0 && is_dir)
			putchar('l');
		else if (fd >= 0 && read(fd, &byte, 1) == 1)
			putchar('r');
		if (fd >= 0)
			close(fd);
		fd = open(path, O_WRONLY | O_NONBLOCK);
		if (fd >= 0) {
			putchar('w');
			close(fd);
		}
		snprintf(made, sizeof(made), "%s/made-by-probe", path);
		if (is_dir && (fd = open(made, O_CREAT | O_EXCL | O_WRONLY, 0600)) >= 0) {
			putchar('c');
			close(fd);
			unlink(made);
		}
		if (is_dir)
			list(path);
		putchar('\n');
	}
	return 0;
}
