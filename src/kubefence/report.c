/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a run on a node, for people or as JSON.  What is reported is said by src/node and
 * src/kata through a kf_node_say. */
#include "kubefence/report.h"

#include "base/json.h"
#include "cli/command.h"
#include "cli/print.h"
#include "text/diff.h"

#include <stdio.h>
#include <string.h>

void kf_report_say(void *ctx, const char *action, const char *object, const char *detail)
{
	struct kf_report *r = ctx;

	if (r->output != KF_OUTPUT_JSON) {
		kf_print_line(stdout, "%-10s %s%s%s", action, object, *detail ? ": " : "", detail);
		(void)fflush(stdout);
		return;
	}
	kf_json_open(&r->events, NULL, '{');
	kf_json_put_string(&r->events, "action", action);
	kf_json_put_string(&r->events, "object", object);
	kf_json_put_string(&r->events, "detail", detail);
	kf_json_close(&r->events, '}');
}

bool kf_report_diff(struct kf_report *r, const struct kf_node_plan *plan)
{
	struct kf_buf diff = KF_BUF_INIT(KF_PRINT_MAX);
	bool changes;

	kf_diff_unified(plan->config, plan->existed, plan->before, plan->nbefore, plan->after,
			plan->nafter, &diff);
	changes = diff.n > 0 || diff.failed;
	if (changes && r->output == KF_OUTPUT_JSON)
		kf_report_say(r, "change", plan->config, diff.p ? diff.p : "");
	else if (diff.n)
		kf_print_text(stdout, diff.p);
	kf_buf_done(&diff);
	return changes;
}

int kf_report_finish(struct kf_report *r, const char *command, int status, const char *state,
		     const struct kf_err *err)
{
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);

	/* The run failed before the state was known. */
	if (status && !*state)
		state = "not known";
	if (r->output == KF_OUTPUT_JSON) {
		kf_json_open(&out, NULL, '{');
		kf_json_put_string(&out, "command", command);
		kf_json_put_bool(&out, "success", status == 0);
		kf_json_put_string(&out, "state", state);
		if (status)
			kf_json_put_string(&out, "error", err->msg);
		kf_json_open(&out, "events", '[');
		if (r->events.n)
			kf_buf_add(&out, r->events.p, r->events.n);
		kf_json_close(&out, ']');
		kf_json_close(&out, '}');
		kf_buf_adds(&out, "\n");
		(void)kf_print_raw(stdout, out.p, out.n);
		kf_buf_done(&out);
	} else if (status == 0) {
		kf_print_line(stdout, "%s", state);
	}
	kf_buf_done(&r->events);
	if (status)
		return kf_command_fail("%s", err->msg);
	return KF_EXIT_OK;
}
