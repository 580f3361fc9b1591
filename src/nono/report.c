/* SPDX-License-Identifier: Apache-2.0 */
#include "nono/report.h"

#include "nono/rt.h"

const char *kf_report_access(unsigned access)
{
	static const char names[][4] = {"---", "r--", "-w-", "rw-", "--x", "r-x", "-wx", "rwx"};

	return access & KF_GRANT_LIST ? "list" : names[access & 7];
}

static int print_grant(struct kf_grant_sink *sink, const struct kf_grant *grant, struct kf_err *err)
{
	const struct kf_report *report = (const struct kf_report *)sink;

	(void)err;
	kf_print(report->out, "  %-4s  %s", kf_report_access(grant->access), grant->path);
	if (grant->rule)
		kf_print(report->out, "  (line %u)\n", grant->rule->line);
	else
		kf_print(report->out, "  (command line)\n");
	return 0;
}

static void print_skip(struct kf_grant_sink *sink, const struct kf_rule *rule, const char *path,
		       const char *why)
{
	const struct kf_report *report = (const struct kf_report *)sink;

	if (report->skips)
		kf_print(report->out, "  -     %s  (line %u: %s)\n", path, rule ? rule->line : 0,
			 why);
}

void kf_report_init(struct kf_report *report, int out, bool skips)
{
	*report = (struct kf_report){
		.sink = {.grant = print_grant, .skip = print_skip},
		.out = out,
		.skips = skips,
	};
}

void kf_report_rules(const struct kf_policy *policy, bool block_net, int out)
{
	bool block = block_net;

	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		switch (rule->kind) {
		case KF_RULE_FS_DENY:
			kf_print(out, "  deny  %s  (line %u)\n", rule->arg, rule->line);
			break;
		case KF_RULE_NET_BLOCK:
			block = true;
			break;
		case KF_RULE_NET_CONNECT:
			kf_print(out, "  net   connect to TCP port %u\n", rule->port);
			break;
		case KF_RULE_NET_BIND:
			kf_print(out, "  net   listen on TCP port %u\n", rule->port);
			break;
		case KF_RULE_SCOPE:
			kf_print(out, "  scope %s\n", rule->verb);
			break;
		case KF_RULE_ENV:
			kf_print(out, "  env   %s %s\n", rule->verb, rule->arg);
			break;
		case KF_RULE_RLIMIT:
			kf_print(out, "  limit %s\n", rule->verb);
			break;
		default:
			break;
		}
	}
	kf_print(out, "  net   %s\n", block ? "blocked" : "not restricted beyond this");
}
