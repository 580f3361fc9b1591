/* SPDX-License-Identifier: Apache-2.0 */
/* The file /nono/README: for a program, or whoever reads its output, that is told "Permission
 * denied" and does not know by whom.  What is decided about one path is for "nono why" to say. */
#include "nono-runc/readme.h"

#include "flat/flat.h"

#include <stdio.h>
#include <string.h>

/* Paths that are named; more are counted. */
#define NAMED 12

static const char *find_env(const struct kf_oci *oci, const char *name)
{
	const size_t n = strlen(name);

	for (size_t i = 0; i < oci->view.nenv; i++)
		if (strncmp(oci->view.env[i], name, n) == 0 && oci->view.env[i][n] == '=')
			return oci->view.env[i] + n + 1;
	return NULL;
}

/* The path of a rule as it is written, and where its variable leads. */
static void put_path(const struct kf_oci *oci, const char *path, struct kf_buf *out)
{
	const char *home = find_env(oci, "HOME");

	kf_buf_add_escaped(out, path);
	if (strcmp(path, "$WORKDIR") == 0 && *oci->cwd == '/') {
		kf_buf_adds(out, " (");
		kf_buf_add_escaped(out, oci->cwd);
		kf_buf_adds(out, ")");
	} else if (strcmp(path, "~") == 0 && home && *home == '/') {
		kf_buf_adds(out, " (");
		kf_buf_add_escaped(out, home);
		kf_buf_adds(out, ")");
	}
}

/* What is outside of the places where all programs write. */
static bool is_plain(const struct kf_rule *rule)
{
	return rule->kind == KF_RULE_FS && (rule->access & KF_FS_WRITE) &&
	       strncmp(rule->arg, "/dev", 4) != 0 && strncmp(rule->arg, "/proc", 5) != 0;
}

static void put_writable(const struct kf_oci *oci, const struct kf_policy *policy,
			 struct kf_buf *out)
{
	unsigned n = 0, more = 0;

	kf_buf_adds(out, "May be written: ");
	for (const struct kf_rule *r = policy->rules; r < policy->rules + policy->nrules; r++) {
		const char *set = r->kind == KF_RULE_FS_HOMES	  ? "the home directory"
				  : r->kind == KF_RULE_FS_VOLUMES ? "the pod's volumes, as mounted"
								  : NULL;

		if (!set && !is_plain(r))
			continue;
		if (n >= NAMED) {
			more++;
			continue;
		}
		kf_buf_adds(out, n++ ? ", " : "");
		if (set)
			kf_buf_adds(out, set);
		else
			put_path(oci, r->arg, out);
	}
	if (more)
		kf_buf_addf(out, ", and %u more", more);
	kf_buf_adds(out, n ? ".\n" : "nothing.\n");
}

static void put_closed(const struct kf_policy *policy, struct kf_buf *out)
{
	unsigned n = 0, more = 0;

	kf_buf_adds(out, "Closed, whatever else is granted: ");
	for (const struct kf_rule *r = policy->rules; r < policy->rules + policy->nrules; r++) {
		if (r->kind != KF_RULE_FS_DENY)
			continue;
		if (n >= NAMED) {
			more++;
			continue;
		}
		kf_buf_adds(out, n++ ? ", " : "");
		kf_buf_add_escaped(out, r->arg);
	}
	if (more)
		kf_buf_addf(out, ", and %u more", more);
	kf_buf_adds(out, n ? ".\n" : "nothing by name.\n");
}

static void put_ports(const struct kf_rule *r, struct kf_buf *out)
{
	const bool udp = r->kind == KF_RULE_NET_CONNECT_UDP || r->kind == KF_RULE_NET_BIND_UDP;
	const bool out_of = r->kind == KF_RULE_NET_CONNECT || r->kind == KF_RULE_NET_CONNECT_UDP;

	kf_buf_addf(out, " %s %s %u", out_of ? "to" : "at", udp ? "UDP" : "TCP", r->port);
	if (r->port_last > r->port)
		kf_buf_addf(out, "-%u", r->port_last);
}

static void put_network(const struct kf_policy *policy, struct kf_buf *out)
{
	bool block = false, ports = false;
	unsigned n = 0;

	for (const struct kf_rule *r = policy->rules; r < policy->rules + policy->nrules; r++) {
		block |= r->kind == KF_RULE_NET_BLOCK;
		ports |= r->kind >= KF_RULE_NET_CONNECT && r->kind <= KF_RULE_NET_BIND_UDP;
	}
	kf_buf_adds(out,
		    !ports  ? block ? "Network: none." : "Network: not restricted by the sandbox."
		    : block ? "Network: nothing but"
			    : "Network: of ports only");
	for (const struct kf_rule *r = policy->rules; r < policy->rules + policy->nrules; r++)
		if (r->kind >= KF_RULE_NET_CONNECT && r->kind <= KF_RULE_NET_BIND_UDP &&
		    n++ < NAMED)
			put_ports(r, out);
	kf_buf_adds(out, n > NAMED ? " and more.\n" : ports ? ".\n" : "\n");
}

int kf_readme_format(const struct kf_oci *oci, const struct kf_profile_text *text,
		     struct kf_buf *out, struct kf_err *err)
{
	struct kf_policy policy;

	if (kf_policy_parse(text->text, text->n, &policy, err) < 0)
		return -1;
	kf_buf_adds(out,
		    "This container runs in a kubefence sandbox: \"Permission denied\" may come "
		    "from it, whatever file modes say.\n");
	kf_buf_addf(out, "Profile: %s. The whole policy is in /nono/policy.\n", policy.name);
	put_writable(oci, &policy, out);
	put_closed(&policy, out);
	put_network(&policy, out);
	kf_buf_adds(
		out,
		"Ask why, before trying again: /nono/nono why --path PATH --op "
		"read|write|exec|connect\n"
		"  It says which rule decides, and what to use instead. --json is for programs.\n"
		"Do the work another way: use a path that it names. Nothing inside changes the "
		"sandbox.\n"
		"If there is no other way, tell who runs this pod the PATH, and what \"to change "
		"it\" says.\n"
		"They see what was denied with: kubectl nono logs POD\n");
	kf_policy_done(&policy);
	return out->failed ? kf_fail_nomem(err, "README") : 0;
}
