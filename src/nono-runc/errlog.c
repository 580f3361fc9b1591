/* SPDX-License-Identifier: Apache-2.0 */
/* Says why the guard refuses: on standard error, and in the file of --log as runc and crun write
 * it. */
#include "nono-runc/errlog.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One error, each byte of it as a JSON escape of six. */
#define LINE_MAX_BYTES (16 * 1024)

void kf_errlog(const char *log, const char *format, const struct kf_err *err)
{
	struct kf_buf msg = KF_BUF_INIT(LINE_MAX_BYTES), line = KF_BUF_INIT(LINE_MAX_BYTES);
	KF_CLOSE int fd = -1;
	char now[32] = "";
	time_t t = time(NULL);
	struct tm tm;

	if (gmtime_r(&t, &tm))
		(void)strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &tm);
	kf_buf_adds(&line, "nono-runc: ");
	kf_buf_adds(&line, err->msg);
	kf_buf_adds(&line, "\n");
	if (!line.failed)
		(void)kf_write_all(STDERR_FILENO, line.p, line.n, KF_ERR_IGNORED);
	kf_buf_reset(&line);
	kf_buf_add_json(&msg, err->msg);
	if (format && strcmp(format, "json") == 0)
		kf_buf_addf(&line,
			    "{\"level\":\"error\",\"msg\":\"nono-runc: %s\",\"time\":\"%s\"}\n",
			    msg.p ? msg.p : "", now);
	else
		kf_buf_addf(&line, "time=\"%s\" level=error msg=\"nono-runc: %s\"\n", now,
			    msg.p ? msg.p : "");
	if (log && *log && !line.failed)
		fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
	if (fd >= 0)
		(void)kf_write_all(fd, line.p, line.n, KF_ERR_IGNORED);
	kf_buf_done(&msg);
	kf_buf_done(&line);
}
