/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BASE_CALLS_H
#define KF_BASE_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/* The system calls that a part of a daemon makes once the daemon serves.  Each list is beside the
 * code that makes the calls.  The daemon's seccomp filter (confine/confine.h) allows the calls of
 * all its parts' lists and nothing else. */

struct kf_call {
	unsigned nr;
	/* If set, only calls with (argument @arg & mask) == value.  Only the argument's lower 32
	 * bits are compared: the arguments that are checked here are of type int, or flags below
	 * 2^32. */
	bool checked;
	uint8_t arg;
	uint32_t mask, value;
};

struct kf_calls {
	const struct kf_call *v;
	size_t n;
};

#define KF_CALL(name)            \
	{                        \
		.nr = SYS_##name \
	}
#define KF_CALL_IF(name, arg_, mask_, value_)                                      \
	{                                                                          \
		.nr = SYS_##name, .checked = true, .arg = (arg_), .mask = (mask_), \
		.value = (value_)                                                  \
	}
/* The argument is @value. */
#define KF_CALL_IS(name, arg, value)  KF_CALL_IF(name, arg, UINT32_MAX, (uint32_t)(value))
/* The argument has none of @flags. */
#define KF_CALL_NOT(name, arg, flags) KF_CALL_IF(name, arg, (uint32_t)(flags), 0)

/* Defines the list @name, which a header declares. */
#define KF_CALLS(name, ...)                                     \
	static const struct kf_call name##_v[] = {__VA_ARGS__}; \
	const struct kf_calls name = {name##_v, sizeof(name##_v) / sizeof(name##_v[0])}

/* Older architectures have two system calls for these, and libc uses the older one; newer
 * architectures have only the call on the right. */
#ifndef SYS_mkdir
#define SYS_mkdir SYS_mkdirat
#endif
#ifndef SYS_epoll_wait
#define SYS_epoll_wait SYS_epoll_pwait
#endif
#ifndef SYS_poll
#define SYS_poll SYS_ppoll
#endif

#endif
