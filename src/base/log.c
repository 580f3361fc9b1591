/* SPDX-License-Identifier: Apache-2.0 */
/* One log for a whole daemon: JSON lines, text or syslog.  Commands that people run print with
 * cli/print.c instead. */
#include "base/log.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* One line: a message, and fields of a few KiB each. */
#define LOG_LINE_MAX (64 * 1024)

static const struct {
	const char *name;
	int priority;
} levels[] = {
	[KF_LOG_DEBUG] = {"debug", LOG_DEBUG},
	[KF_LOG_INFO] = {"info", LOG_INFO},
	[KF_LOG_WARN] = {"warn", LOG_WARNING},
	[KF_LOG_ERROR] = {"error", LOG_ERR},
};

static struct {
	enum kf_log_sink sink;
	enum kf_log_level level;
	struct kf_buf line; /* kept between lines: no malloc in a steady state */
} logger = {KF_LOG_TEXT, KF_LOG_INFO, KF_BUF_INIT(LOG_LINE_MAX)};

void kf_log_init(enum kf_log_sink sink, enum kf_log_level level, const char *program)
{
	logger.sink = sink;
	logger.level = level;
	if (sink == KF_LOG_SYSLOG)
		openlog(program, LOG_PID, LOG_DAEMON);
}

bool kf_log_enabled(enum kf_log_level level)
{
	return level >= logger.level;
}

int kf_log_parse_level(const char *s, enum kf_log_level *ret, struct kf_err *err)
{
	for (unsigned i = 0; i < KF_ARRAY_SIZE(levels); i++) {
		if (strcmp(s, levels[i].name) == 0) {
			*ret = (enum kf_log_level)i;
			return 0;
		}
	}
	return kf_fail(err, EINVAL, "unknown log level '%s': use debug, info, warn or error", s);
}

static void add_time(struct kf_buf *line)
{
	struct timespec now = {0};
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	kf_buf_addf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900, tm.tm_mon + 1,
		    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000);
}

static void format_json(struct kf_buf *line, enum kf_log_level level, const char *msg,
			const struct kf_log_field *fields, unsigned n)
{
	kf_buf_adds(line, "{\"time\":\"");
	add_time(line);
	kf_buf_adds(line, "\"");
	kf_json_put_string(line, "level", levels[level].name);
	kf_json_put_string(line, "msg", msg);
	for (unsigned i = 0; i < n; i++)
		if (fields[i].value)
			kf_json_put_string(line, fields[i].key, fields[i].value);
	kf_json_close(line, '}');
	kf_buf_adds(line, "\n");
}

static void format_text(struct kf_buf *line, enum kf_log_level level, const char *msg,
			const struct kf_log_field *fields, unsigned n)
{
	if (logger.sink == KF_LOG_TEXT) {
		add_time(line);
		kf_buf_addf(line, " %-5s ", levels[level].name);
	}
	/* Values come from pods: escaped, so that none can forge a line. */
	kf_buf_add_json(line, msg);
	for (unsigned i = 0; i < n; i++) {
		if (!fields[i].value)
			continue;
		kf_buf_addf(line, " %s=\"", fields[i].key);
		kf_buf_add_json(line, fields[i].value);
		kf_buf_adds(line, "\"");
	}
	kf_buf_adds(line, "\n");
}

void kf_log_fields(enum kf_log_level level, const char *msg, const struct kf_log_field *fields,
		   unsigned n)
{
	struct kf_buf *line = &logger.line;

	kf_buf_reset(line);
	if (logger.sink == KF_LOG_JSON)
		format_json(line, level, msg, fields, n);
	else
		format_text(line, level, msg, fields, n);
	if (line->failed) {
		/* The line is too long, or memory ran out: log the message without its fields. */
		kf_buf_reset(line);
		kf_buf_addf(line, "%.512s (log line dropped)\n", msg);
	}
	/* A full or closed log must not stop the daemon. */
	if (logger.sink == KF_LOG_SYSLOG)
		syslog(levels[level].priority, "%s", line->p ? line->p : msg);
	else if (line->p)
		(void)kf_write_all(logger.sink == KF_LOG_JSON ? STDOUT_FILENO : STDERR_FILENO,
				   line->p, line->n, KF_ERR_IGNORED);
}

/* syslog(3) connects again when it lost its connection. */
KF_CALLS(kf_syslog_calls, KF_CALL_IS(socket, 0, AF_UNIX), KF_CALL(connect), KF_CALL(sendto));
