/* SPDX-License-Identifier: Apache-2.0 */
/* Writing records.  A line is shorter than what a pipe takes as a whole, so it is never mixed with
 * another one. */
#include "nono-egress/worker/record.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <limits.h>
#include <time.h>

/* What several writers put into one pipe in one piece. */
#define RECORD_MAX PIPE_BUF

static const char *const verdicts[] = {
	[KF_EGRESS_ALLOWED] = "allowed",
	[KF_EGRESS_REFUSED] = "refused",
	[KF_EGRESS_FAILED] = "failed",
};

void kf_worker_record_write(struct kf_worker_records *to, const struct kf_worker_record *record)
{
	const struct kf_egress_reason_text *reason = kf_egress_reason(record->reason);
	KF_CLEANUP(kf_buf_done) struct kf_buf line = KF_BUF_INIT(RECORD_MAX);

	kf_json_open(&line, NULL, '{');
	kf_json_put_number(&line, "time", (long long)time(NULL));
	kf_json_put_string(&line, "pod", to->pod);
	kf_json_put_string(&line, "profile", to->profile);
	kf_json_put_string(&line, "name", record->name);
	kf_json_put_number(&line, "port", record->port);
	kf_json_put_string(&line, "address", record->address);
	if (record->route)
		kf_json_put_string(&line, "route", record->route);
	kf_json_put_number(&line, "sent", (long long)record->sent);
	kf_json_put_number(&line, "received", (long long)record->received);
	kf_json_put_string(&line, "verdict", verdicts[reason->verdict]);
	kf_json_put_string(&line, "reason", reason->word);
	if (to->lost)
		kf_json_put_number(&line, "lost", (long long)to->lost);
	kf_json_close(&line, '}');
	kf_buf_adds(&line, "\n");
	/* The pipe does not block; a part is written only to a file that is full. */
	if (line.failed || write(to->fd, line.p, line.n) != (ssize_t)line.n)
		to->lost++;
	else
		to->lost = 0;
}
