/* SPDX-License-Identifier: Apache-2.0 */
#include "nono/report.h"

#include "base/cleanup.h"

const char *kf_report_access(unsigned access)
{
	static const char *const names[] = {"---", "r--", "-w-", "rw-", "--x", "r-x", "-wx", "rwx"};

	return access & KF_GRANT_LIST ? "list" : names[access & 7];
}

static int print_grant(struct kf_grant_sink *sink, const struct kf_grant *grant, struct kf_err *err)
{
	const struct kf_report *report = (const struct kf_report *)sink;

	(void)err;
	(void)fprintf(report->out, "  %-4s  %s", kf_report_access(grant->access), grant->path);
	if (grant->rule)
		(void)fprintf(report->out, "  (line %u)\n", grant->rule->line);
	else
		(void)fputs("  (command line)\n", report->out);
	return 0;
}

static void print_skip(struct kf_grant_sink *sink, const struct kf_rule *rule, const char *path,
		       const char *why)
{
	const struct kf_report *report = (const struct kf_report *)sink;

	if (report->skips)
		(void)fprintf(report->out, "  -     %s  (line %u: %s)\n", path,
			      rule ? rule->line : 0, why);
}

void kf_report_init(struct kf_report *report, FILE *out, bool skips)
{
	*report = (struct kf_report){
		.sink = {.grant = print_grant, .skip = print_skip},
		.out = out,
		.skips = skips,
	};
}

void kf_report_rules(const struct kf_policy *policy, bool block_net, FILE *out)
{
	bool block = block_net;

	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		switch (rule->kind) {
		case KF_RULE_FS_DENY:
			(void)fprintf(out, "  deny  %s  (line %u)\n", rule->arg, rule->line);
			break;
		case KF_RULE_NET_BLOCK:
			block = true;
			break;
		case KF_RULE_NET_CONNECT:
			(void)fprintf(out, "  net   connect to TCP port %u\n", rule->port);
			break;
		case KF_RULE_NET_BIND:
			(void)fprintf(out, "  net   listen on TCP port %u\n", rule->port);
			break;
		case KF_RULE_SCOPE:
			(void)fprintf(out, "  scope %s\n", rule->verb);
			break;
		case KF_RULE_ENV:
			(void)fprintf(out, "  env   %s %s\n", rule->verb, rule->arg);
			break;
		case KF_RULE_RLIMIT:
			(void)fprintf(out, "  limit %s\n", rule->verb);
			break;
		default:
			break;
		}
	}
	(void)fprintf(out, "  net   %s\n", block ? "blocked" : "not restricted beyond this");
}
