/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the place of musl's strerror(), which knows all errors of all drivers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	short code;
	char text[26];
} texts[] = {
	{EPERM, "Operation not permitted"},
	{ENOENT, "No such file or directory"},
	{EIO, "I/O error"},
	{ENOEXEC, "Exec format error"},
	{EBADF, "Bad file descriptor"},
	{ENOMEM, "Out of memory"},
	{EACCES, "Permission denied"},
	{ENOTDIR, "Not a directory"},
	{EISDIR, "Is a directory"},
	{EINVAL, "Invalid argument"},
	{EMFILE, "Too many open files"},
	{ENFILE, "Too many open files"},
	{ENAMETOOLONG, "Filename too long"},
	{ENOSYS, "Function not implemented"},
	{ELOOP, "Symbolic link"},
	{EOPNOTSUPP, "Not supported"},
	{ETXTBSY, "Text file busy"},
	{E2BIG, "Argument list too long"},
	{EAGAIN, "Try again"},
	{ENODEV, "No such device"},
	{ENXIO, "No such device or address"},
	{ESTALE, "Stale file handle"},
	{EROFS, "Read-only file system"},
	{ENOSPC, "No space left on device"},
};

char *strerror(int code)
{
	static char other[16];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].code == code)
			return (char *)texts[i].text;
	(void)snprintf(other, sizeof(other), "error %d", code);
	return other;
}
