/* SPDX-License-Identifier: Apache-2.0 */
/* The error object that libraries fill in, and the macros that fail with it.  Messages end up in
 * terminals, logs and Events, so they are escaped (escape.h). */
#ifndef KF_BASE_ERR_H
#define KF_BASE_ERR_H

#include <errno.h>

/* One line for a terminal, and what a Kubernetes Event takes of it. */
#define KF_ERR_MSG_MAX 512

/* What went wrong.  Caller's storage, no allocation, usable after fork.  @code
 * is an errno value and never 0 once the error is set; @msg names the object
 * and the remedy; it is one line without control characters, whoever named the object.  Too long
 * a message is cut and ends in "...". */
struct kf_err {
	int code;
	char msg[KF_ERR_MSG_MAX];
};

/* For a caller that does not ask why.  An error is never NULL: whoever is given one may look into
 * it, as those do that ask for err->code == ENOENT.  tests/analyze looks at every call. */
#define KF_ERR_IGNORED (&(struct kf_err){.code = 0})

/* Set *@err.  Not to be called directly: the macros always
 * evaluate to the constant -1, so that "errno happened to be 0" can never
 * become success and gcc's analyzer sees the failure path. */
void kf_err_set(struct kf_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), nonnull(1)));
/* As kf_err_set() with the current errno, whose text is appended: "fmt: text". */
void kf_err_set_sys(struct kf_err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull(1)));
/* Put "context: " in front of an error that is already set. */
void kf_err_wrap(struct kf_err *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull(1)));

#define kf_fail(err, code, ...)	 (kf_err_set((err), (code), __VA_ARGS__), -1)
#define kf_fail_sys(err, ...)	 (kf_err_set_sys((err), __VA_ARGS__), -1)
#define kf_fail_wrap(err, ...)	 (kf_err_wrap((err), __VA_ARGS__), -1)
#define kf_fail_nomem(err, what) kf_fail((err), ENOMEM, "%s: out of memory", (what))

#endif
