/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_REPORT_H
#define KF_KUBEFENCE_REPORT_H

#include "base/buf.h"
#include "base/err.h"
#include "cli/print.h"
#include "kubefence/options.h"
#include "node/node.h"

#include <stdbool.h>

/* The report of a run on a node: printed line by line, or kept for the JSON object. */
struct kf_report {
	unsigned output; /* an enum kf_output, for KF_OPT_OUTPUT */
	struct kf_buf events;
};

#define KF_REPORT_INIT                                    \
	{                                                 \
		KF_OUTPUT_TEXT, KF_BUF_INIT(KF_PRINT_MAX) \
	}

/* A kf_node_say; @ctx is the report. */
void kf_report_say(void *ctx, const char *action, const char *object, const char *detail);
/* Print or keep the unified diff of the configuration that @plan changes; true if there is one. */
bool kf_report_diff(struct kf_report *report, const struct kf_node_plan *plan);
/* Print the closing line, or the whole JSON object; @state is "done", "nothing to do" ... Releases
 * the report and returns the exit code for @status (0, or -1 with @err). */
int kf_report_finish(struct kf_report *report, const char *command, int status, const char *state,
		     const struct kf_err *err);

#endif
