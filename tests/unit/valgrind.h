/* SPDX-License-Identifier: Apache-2.0 */
/* What some tests cannot do under valgrind, which knows neither newer system calls nor the
 * process's real limits. */
#ifndef KF_TESTS_VALGRIND_H
#define KF_TESTS_VALGRIND_H

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Told by openat2(2), which every kernel that this is for has. */
static inline bool under_valgrind(void)
{
	return syscall(SYS_openat2, -1, NULL, NULL, 0) < 0 && errno == ENOSYS;
}

#endif
