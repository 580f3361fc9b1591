/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the version of a program in its file. */
#include "nono-nri/programs.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Launcher and guard have less than 1 MiB. */
#define PROGRAM_MAX ((off_t)4 * 1024 * 1024)
#define PIECE	    (64 * 1024)
#define TEXT_MAX    64 /* "nono-runc 0.1.0\n" */

/* What is known of the launcher and of the guard. */
static struct known_program {
	char name[16], version[KF_PROGRAM_VERSION];
	struct stat st;
} known_programs[2];

/* "\0NAME VERSION\n" at @at, of which @n bytes are there: the whole text, and nothing before it. */
static bool take_text(const char *at, size_t n, const char *name, char *ret)
{
	const size_t len = strlen(name);
	size_t end = len + 2;

	if (n < len + 3 || at[0] || memcmp(at + 1, name, len) != 0 || at[len + 1] != ' ' ||
	    at[end] < '0' || at[end] > '9')
		return false;
	while (end < n && at[end] > ' ' && at[end] < 0x7f)
		end++;
	if (end == n || at[end] != '\n' || end - len - 2 >= KF_PROGRAM_VERSION)
		return false;
	(void)snprintf(ret, KF_PROGRAM_VERSION, "%.*s", (int)(end - len - 2), at + len + 2);
	return true;
}

static bool search_file(int fd, off_t size, const char *name, char *ret)
{
	static char text[PIECE + TEXT_MAX];

	/* Pieces that overlap: a text at the end of one is whole in the next. */
	for (off_t at = 0; at < size; at += PIECE) {
		const ssize_t n = pread(fd, text, sizeof(text), at);
		const char *p = text, *end = text + (n > 0 ? n : 0);

		while (p < end && (p = memchr(p, '\0', (size_t)(end - p)))) {
			if (take_text(p, (size_t)(end - p), name, ret))
				return true;
			p++;
		}
	}
	return false;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int kf_program_version(const char *path, const char *name, char ret[static KF_PROGRAM_VERSION])
{
	KF_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct known_program *k = known_programs;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > PROGRAM_MAX)
		return -1;
	while (k < known_programs + KF_ARRAY_SIZE(known_programs) - 1 && *k->name &&
	       strcmp(k->name, name) != 0)
		k++;
	if (strcmp(k->name, name) != 0 || !same_file(&k->st, &st)) {
		*k = (struct known_program){.st = st};
		(void)snprintf(k->name, sizeof(k->name), "%s", name);
		if (!search_file(fd, st.st_size, name, k->version))
			*k->version = '\0';
	}
	if (!*k->version)
		return -1;
	(void)snprintf(ret, KF_PROGRAM_VERSION, "%s", k->version);
	return 0;
}
