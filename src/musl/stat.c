/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the place of musl's stat() and its kin, which on some machines are up to three system calls
 * of different names, each of which a pod's seccomp policy would have to let through.  These are
 * the ones that every libc of today needs, too.  On 64-bit machines struct stat is the kernel's. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(void *) == 8, "struct stat as the kernel fills it in");

int fstatat(int dirfd, const char *restrict path, struct stat *restrict st, int flags)
{
	return (int)syscall(SYS_newfstatat, dirfd, path, st, flags);
}

int fstat(int fd, struct stat *st)
{
	return (int)syscall(SYS_fstat, fd, st);
}

int stat(const char *restrict path, struct stat *restrict st)
{
	return fstatat(AT_FDCWD, path, st, 0);
}
