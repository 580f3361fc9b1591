/* SPDX-License-Identifier: Apache-2.0 */
/* "kubefence node verify": checking that a node is as install leaves it.  The state in words is in
 * state.c; checks for people are doctor's. */
#include "base/cleanup.h"
#include "node/effects.h"
#include "node/handler.h"
#include "node/node.h"
#include "node/payload.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool report_finding(const struct kf_node *node, bool ok, const char *what, const char *why)
{
	node->say(node->ctx, ok ? "ok" : "fail", what, ok ? "" : why);
	return ok;
}

static bool file_fine(const struct kf_node *node, size_t i)
{
	const char *path = node->journal.files[i].path;
	KF_CLOSE int fd = -1;
	struct kf_err err;
	struct stat st;
	kf_digest now;
	bool public;

	if (kf_host_fd(&node->host, path, O_PATH | O_NOFOLLOW, &fd, &err) < 0)
		return report_finding(
			node, false, path,
			kf_node_guard_handler(path)
				? "is missing, so its containers can neither start nor be "
				  "deleted; run 'kubefence node programs'"
				: "is missing; run 'kubefence node install'");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022))
		return report_finding(node, false, path,
				      "must be a regular file of root's that only root can write");
	if (kf_payload_public(node, path, &public, &err) < 0)
		return report_finding(node, false, path, err.msg);
	if (!public)
		return report_finding(
			node, false, path,
			"lies in a directory that is not root's and 0755, so that others "
			"cannot reach it or can replace it; run 'kubefence node install'");
	/* The plugin may have published its own settings. */
	if (strcmp(path, KF_NODE_SETTINGS) == 0)
		return report_finding(node, true, path, "");
	if (kf_journal_digest(&node->host, path, now, &err) < 0)
		return report_finding(node, false, path, err.msg);
	return report_finding(node, strcmp(now, node->journal.files[i].sum) == 0, path,
			      "was changed since; run 'kubefence node install'");
}

static bool plan_fine(const struct kf_node *node)
{
	const char *handlers[KF_JOURNAL_HANDLERS];
	struct kf_node_plan plan;
	struct kf_err err;
	size_t n = 0;
	bool ok;

	if (kf_node_plan(node, &plan, &err) < 0)
		return report_finding(node, false, "configuration", err.msg);
	ok = report_finding(node,
			    plan.existed && plan.nbefore == plan.nafter &&
				    memcmp(plan.before, plan.after, plan.nafter) == 0,
			    plan.config,
			    "is not as install leaves it; run 'kubefence node install'");
	if (ok)
		ok = report_finding(node, node->adapter->check(node, &plan, true, &err) == 0,
				    "effective configuration", err.msg);
	for (size_t i = 0; i < plan.nhandlers; i++)
		if (plan.handlers[i].guard)
			handlers[n++] = plan.handlers[i].name;
	if (ok && node->options->restart)
		ok = report_finding(node, kf_node_serves(node, handlers, n, &err) == 0,
				    "handlers and NRI's socket served by the runtime", err.msg);
	kf_node_plan_done(&plan);
	return ok;
}

int kf_node_verify(struct kf_node *node, struct kf_err *err)
{
	const struct kf_journal *j = &node->journal;
	bool ok = true;

	if (!report_finding(node, j->exists, "journal",
			    "node is not set up; run 'kubefence node install'"))
		return kf_fail(err, ENOENT, "the node is not set up");
	ok = report_finding(node, !j->busy, "last run",
			    "did not get to its end; run 'kubefence node install' again") &&
	     ok;
	ok = report_finding(node, !j->pending, "restart",
			    "the runtime was not restarted since its configuration changed") &&
	     ok;
	for (size_t i = 0; i < j->nfiles; i++)
		ok = file_fine(node, i) && ok;
	ok = plan_fine(node) && ok;
	return ok ? 0 : kf_fail(err, EINVAL, "the node is not as install leaves it");
}
