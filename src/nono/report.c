/* SPDX-License-Identifier: Apache-2.0 */
/* Says what a policy grants, for people: "wrap --dry-run" and "-v".  All that the launcher prints
 * goes through here. */
#include "nono/report.h"

#include "base/cleanup.h"
#include "base/escape.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *kf_nono_report_access(unsigned access)
{
	static const char names[][4] = {"---", "r--", "-w-", "rw-", "--x", "r-x", "-wx", "rwx"};

	return access & KF_GRANT_LIST ? "list" : names[access & 7];
}

static void print_line(int out, const struct kf_rule *rule)
{
	if (rule && rule->line)
		kf_nono_print(out, "  (line %u)\n", rule->line);
	else
		kf_nono_print(out, "  (command line)\n");
}

static int print_grant(struct kf_grant_sink *sink, const struct kf_grant *grant, struct kf_err *err)
{
	const struct kf_nono_report *report = (const struct kf_nono_report *)sink;
	KF_UNINIT char shown[PATH_MAX];

	(void)err;
	kf_nono_print(report->out, "  %-4s  %s", kf_nono_report_access(grant->access),
		      kf_nono_shown(grant->path, shown));
	print_line(report->out, grant->rule);
	return 0;
}

static void print_skip(struct kf_grant_sink *sink, const struct kf_rule *rule, const char *path,
		       const char *why)
{
	const struct kf_nono_report *report = (const struct kf_nono_report *)sink;
	KF_UNINIT char shown[PATH_MAX];

	if (report->skips)
		kf_nono_print(report->out, "  -     %s  (line %u: %s)\n",
			      kf_nono_shown(path, shown), rule ? rule->line : 0, why);
}

void kf_nono_report_init(struct kf_nono_report *report, int out, bool skips)
{
	*report = (struct kf_nono_report){
		.sink = {.grant = print_grant, .skip = print_skip},
		.out = out,
		.skips = skips,
	};
}

void kf_nono_report_rules(const struct kf_policy *policy, int out)
{
	static const char labels[][9] = {
		[KF_RULE_FS_DENY] = "deny",
		[KF_RULE_FS_READONLY] = "readonly",
		[KF_RULE_FS_QUIET] = "quiet",
		[KF_RULE_NET_TCP] = "tcp only",
		[KF_RULE_NET_CONNECT] = "connect",
		[KF_RULE_NET_BIND] = "bind",
		[KF_RULE_NET_CONNECT_UDP] = "connect",
		[KF_RULE_NET_BIND_UDP] = "bind",
		[KF_RULE_SCOPE] = "scope",
		[KF_RULE_ENV] = "env",
		[KF_RULE_RLIMIT] = "rlimit",
		[KF_RULE_MEMFD_NOEXEC] = "memfd",
		[KF_RULE_INNER] = "inner",
	};
	bool block = false;

	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];
		const char *protocol = rule->kind < KF_RULE_NET_CONNECT_UDP ? "TCP" : "UDP";

		block |= rule->kind == KF_RULE_NET_BLOCK;
		if (rule->kind >= KF_ARRAY_SIZE(labels) || !labels[rule->kind][0])
			continue;
		kf_nono_print(out, "  %-4s  %s%s%s", labels[rule->kind],
			      rule->verb ? rule->verb : "", rule->verb && rule->arg ? " " : "",
			      rule->arg ? rule->arg : "");
		if (rule->port_last > rule->port)
			kf_nono_print(out, "%s ports %u to %u", protocol, rule->port,
				      rule->port_last);
		else if (rule->port_last)
			kf_nono_print(out, "%s port %u", protocol, rule->port);
		print_line(out, rule);
	}
	kf_nono_print(out, "  net   %s\n", block ? "blocked" : "not restricted beyond this");
}

const char *kf_nono_shown(const char *s, char out[static PATH_MAX])
{
	(void)kf_escape(out, PATH_MAX, s, strlen(s));
	return out;
}

void kf_nono_print(int fd, const char *fmt, ...)
{
	KF_UNINIT char buf[8192];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	(void)vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	n = strlen(buf);
	(void)!write(fd, buf, n);
}
