/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_GRANTS_RT_H
#define KF_GRANTS_RT_H

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The few system calls that a start is made of, without the detours of libc. */

/* openat(), close-on-exec; musl's adds a fcntl() to each. */
static inline int kf_open(int dirfd, const char *path, int flags)
{
	return (int)syscall(SYS_openat, dirfd, path, flags | O_CLOEXEC, 0);
}

/* openat2(), close-on-exec; @resolve: the kernel's RESOLVE_*. */
#define KF_RESOLVE_NO_XDEV	 0x01
#define KF_RESOLVE_NO_MAGICLINKS 0x02
#define KF_RESOLVE_NO_SYMLINKS	 0x04
#define KF_RESOLVE_BENEATH	 0x08
int kf_open_resolve(int dirfd, const char *path, int flags, unsigned resolve);

/* A directory being listed; no allocation.  @fd is the caller's. */
struct kf_listing {
	int fd;
	bool failed;	    /* kf_listing_next() stopped because of an error, in errno */
	bool ended;	    /* a tree's own: what is not of the kernel's has been told, too */
	unsigned char type; /* of the last name: DT_* of <dirent.h>, 0 if unknown */
	size_t n, at;
	_Alignas(uint64_t) char buf[1024];
};

/* The buffer is left as it is: declare the variable KF_UNINIT. */
static inline void kf_listing_init(struct kf_listing *dir, int fd)
{
	dir->fd = fd;
	dir->failed = dir->ended = false;
	dir->n = dir->at = 0;
}

/* Next name but "." and "..", valid until the next call; NULL at the end. */
const char *kf_listing_next(struct kf_listing *dir);

#endif
