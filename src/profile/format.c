/* SPDX-License-Identifier: Apache-2.0 */
/* Writing flat policy text, which the launcher reads with flat/flat.c. */
#include "profile/format.h"

#include "base/sha256.h"

static void add_limit(struct kf_buf *out, uint64_t v)
{
	if (v == UINT64_MAX)
		kf_buf_adds(out, " unlimited");
	else
		kf_buf_addf(out, " %llu", (unsigned long long)v);
}

static void add_ports(struct kf_buf *out, const char *verb, const struct kf_rule *rule)
{
	kf_buf_addf(out, "net %s %u", verb, rule->port);
	if (rule->port_last > rule->port)
		kf_buf_addf(out, "-%u", rule->port_last);
}

static void add_rule(struct kf_buf *out, const struct kf_rule *rule)
{
	switch (rule->kind) {
	case KF_RULE_FS:
		kf_buf_addf(out, "fs %s%s%s %s", rule->access & KF_FS_READ ? "r" : "",
			    rule->access & KF_FS_WRITE ? "w" : "",
			    rule->access & KF_FS_EXEC ? "x" : "", rule->arg);
		break;
	case KF_RULE_FS_ROOT:
		kf_buf_adds(out, "fs rx-root");
		break;
	case KF_RULE_FS_HOMES:
		kf_buf_adds(out, "fs rwx-homes");
		break;
	case KF_RULE_FS_VOLUMES:
		kf_buf_adds(out, "fs volumes");
		break;
	case KF_RULE_FS_PROCESSES:
		kf_buf_adds(out, "fs processes");
		break;
	case KF_RULE_FS_DEVICES:
		kf_buf_adds(out, "fs devices");
		break;
	case KF_RULE_FS_DENY:
		kf_buf_addf(out, "fs deny %s", rule->arg);
		break;
	case KF_RULE_FS_READONLY:
		kf_buf_addf(out, "fs readonly %s%s", rule->arg,
			    rule->access & KF_READONLY_DIRECTORY ? "/" : "");
		break;
	case KF_RULE_FS_QUIET:
		kf_buf_addf(out, "fs quiet %s", rule->arg);
		break;
	case KF_RULE_NET_BLOCK:
		kf_buf_adds(out, "net block");
		break;
	case KF_RULE_NET_TCP:
		kf_buf_adds(out, "net tcp");
		break;
	case KF_RULE_NET_CONNECT:
		add_ports(out, "connect", rule);
		break;
	case KF_RULE_NET_BIND:
		add_ports(out, "bind", rule);
		break;
	case KF_RULE_NET_CONNECT_UDP:
		add_ports(out, "connect-udp", rule);
		break;
	case KF_RULE_NET_BIND_UDP:
		add_ports(out, "bind-udp", rule);
		break;
	case KF_RULE_SCOPE:
		kf_buf_addf(out, "scope %s", rule->verb);
		break;
	case KF_RULE_MEMFD_NOEXEC:
		kf_buf_adds(out, "memfd noexec");
		break;
	case KF_RULE_INNER:
		kf_buf_adds(out, "inner bwrap");
		break;
	case KF_RULE_ENV:
		kf_buf_addf(out, "env %s %s", rule->verb, rule->arg);
		break;
	case KF_RULE_RLIMIT:
		kf_buf_addf(out, "rlimit %s", rule->verb);
		add_limit(out, rule->soft);
		add_limit(out, rule->hard);
		break;
	case KF_RULE_SECCOMP:
		kf_buf_addf(out, "seccomp %s", rule->arg);
		break;
	case KF_RULE_EGRESS:
		kf_buf_addf(out, "egress %s", rule->arg);
		break;
	case KF_RULE_NOTE:
		kf_buf_addf(out, "note %s", rule->arg);
		break;
	}
	kf_buf_adds(out, "\n");
}

void kf_policy_format(const char *name, const struct kf_rule *rules, size_t nrules,
		      struct kf_buf *out)
{
	char sum[KF_SHA256_HEX + 1];
	size_t start = out->n;

	kf_buf_addf(out, "nono-policy 1\nname %s\n", name);
	for (size_t i = 0; i < nrules; i++)
		add_rule(out, &rules[i]);
	if (out->failed)
		return;
	kf_sha256_hex(out->p + start, out->n - start, sum);
	kf_buf_addf(out, "sum %s\n", sum);
}
