/* SPDX-License-Identifier: Apache-2.0 */
/* One look at the agent's Node object, and what it says then. */
#include "base/cleanup.h"
#include "kubefence/agent/agent.h"
#include "kubefence/agent/confine.h"

#include <stdio.h>
#include <string.h>

#define CONFLICTS 3 /* somebody else writes the object as well */

static int patch_object(const struct kf_kube *kube, const char *path, const char *type,
			const char *body, struct kf_err *err)
{
	const struct kf_kube_request request = {
		.method = "PATCH", .path = path, .content_type = type, .body = body};

	return body ? kf_kube_do(kube, &request, NULL, err) : 0;
}

static int publish_marks(const struct kf_kube *kube, const char *node_name,
			 const struct kf_api_order *order, struct kf_api_result *ret,
			 struct kf_err *err)
{
	struct kf_facts facts = order->facts;
	const char *handlers[KF_MARKS_HANDLERS];
	char path[300], status[320];
	const struct kf_kube_request get = {.method = "GET", .path = path};
	KF_FREE char *node = NULL;
	KF_FREE char *object_patch = NULL;
	KF_FREE char *status_patch = NULL;
	time_t now = time(NULL);

	for (size_t i = 0; i < order->nhandlers; i++)
		handlers[i] = order->handlers[i];
	(void)snprintf(path, sizeof(path), "/api/v1/nodes/%.253s", node_name);
	(void)snprintf(status, sizeof(status), "%s/status", path);
	if (kf_kube_do(kube, &get, &node, err) < 0 ||
	    kf_marks_view(node, handlers, order->nhandlers, now, &ret->view, err) < 0)
		return -1;
	/* Not what we were told last time: this is newer. */
	facts.served = ret->view.served;
	/* In the patch that clears the request away: an uninstallation that is told that no
	 * node has either label or request any more must be able to believe it. */
	if (ret->view.cancelled && facts.phase == KF_PHASE_GONE)
		facts.phase = KF_PHASE_STARTING;
	kf_marks_of(&facts, order->taint, &ret->marks);
	if (kf_marks_patch(node, &ret->marks, ret->view.cancelled, now, &object_patch,
			   &status_patch, err) < 0)
		return -1;
	if (patch_object(kube, path, "application/merge-patch+json", object_patch, err) < 0)
		return -1;
	return patch_object(kube, status, "application/strategic-merge-patch+json", status_patch,
			    err);
}

void kf_agent_api_do(const struct kf_agent_options *options, const struct kf_api_order *order,
		     struct kf_api_result *ret)
{
	struct kf_kube kube;
	struct kf_err err = {0};
	int r = kf_kube_in_cluster(&kube, &err);

	if (r == 0)
		r = kf_agent_confine_api(&kube, &err);
	if (r == 0)
		for (unsigned i = 0; i < CONFLICTS; i++)
			if ((r = publish_marks(&kube, options->node_name, order, ret, &err)) == 0 ||
			    err.code != EAGAIN)
				break;
	ret->ok = r == 0;
	(void)snprintf(ret->error, sizeof(ret->error), "%s", r < 0 ? err.msg : "");
}
