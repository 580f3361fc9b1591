/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a daemon: levels, sinks and lines with named fields. */
#ifndef KF_BASE_LOG_H
#define KF_BASE_LOG_H

#include "base/calls.h"
#include "base/err.h"

#include <stdbool.h>

/* The names of the levels, in this order. */
#define KF_LOG_LEVELS "debug|info|warn|error"
enum kf_log_level { KF_LOG_DEBUG, KF_LOG_INFO, KF_LOG_WARN, KF_LOG_ERROR };

enum kf_log_sink {
	KF_LOG_JSON,   /* one JSON object a line on stdout */
	KF_LOG_TEXT,   /* "time level message key=value ..." on stderr */
	KF_LOG_SYSLOG, /* syslog(3), text form: a pre-installed plugin's stdout is /dev/null */
};

/* The system calls that KF_LOG_SYSLOG needs. */
extern const struct kf_calls kf_syslog_calls;

/* Process-wide, set once by main; before that, text at INFO. */
void kf_log_init(enum kf_log_sink sink, enum kf_log_level level, const char *program);
bool kf_log_enabled(enum kf_log_level level);
/* "debug", "info", "warn", "error"; -1 and *err otherwise. */
int kf_log_parse_level(const char *s, enum kf_log_level *ret, struct kf_err *err);

/* A key and its value; a NULL value is left out. */
struct kf_log_field {
	const char *key, *value;
};

void kf_log_fields(enum kf_log_level level, const char *msg, const struct kf_log_field *fields,
		   unsigned n);

/* kf_log(KF_LOG_INFO, "injected", {"pod", pod}, {"profile", profile}); the
 * fields are not evaluated when the level is off. */
#define kf_log(level, msg, ...)                                                      \
	do {                                                                         \
		if (kf_log_enabled(level)) {                                         \
			const struct kf_log_field kf_f_[] = {__VA_ARGS__};           \
			kf_log_fields(level, msg, kf_f_,                             \
				      (unsigned)(sizeof(kf_f_) / sizeof(kf_f_[0]))); \
		}                                                                    \
	} while (0)

#endif
