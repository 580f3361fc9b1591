/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BASE_CLEANUP_H
#define KF_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

/* Scope-bound ownership: the variable is released when it goes out of scope.
 * A KF_CLOSE descriptor that is negative and a KF_FREE pointer that is NULL
 * are left alone; KF_STEAL/KF_STEAL_FD hand ownership on and disarm it. */
#define KF_CLEANUP(fn) __attribute__((cleanup(fn)))
#define KF_FREE	       KF_CLEANUP(kf_cleanup_free)
#define KF_CLOSE       KF_CLEANUP(kf_cleanup_close)

static inline void kf_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void kf_cleanup_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

#define KF_STEAL(p)                             \
	({                                      \
		__typeof__(p) kf_stolen_ = (p); \
		(p) = NULL;                     \
		kf_stolen_;                     \
	})

static inline int kf_steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

/* For a buffer that is written before it is read: the compiler need not clear it. */
#define KF_UNINIT	 __attribute__((uninitialized))

#define KF_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
