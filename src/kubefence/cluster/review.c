/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl nono diff, commit and discard: "kubefence review" on the pod's node, in the chart's pod
 * there.  Whether that may be done is the API server's to say (the chart's policy on exec). */
#include "kubefence/cluster/cluster.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/print.h"
#include "kube/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SELECTOR  KF_PART_OF_US ",app.kubernetes.io/component=review"
#define NAMESPACE "kubefence-review" /* unless the chart's values say another one */
#define WORDS	  32		     /* besides paths */

static void put_object(struct json_object **object)
{
	json_object_put(*object);
}

/* The chart's pods, in all namespaces or where these rights do not allow that in their own. */
static int find_pods(const struct kf_cluster_options *o, struct json_object **ret,
		     struct kf_err *err)
{
	const struct kf_cluster_query query = {.what = "pods", .selector = SELECTOR, .all = true};
	struct kf_cluster_options at = *o;

	at.namespace_ = NULL;
	if (kf_cluster_get(&at, &query, ret, err) == 0)
		return 0;
	if (err->code != EACCES)
		return -1;
	at.namespace_ = NAMESPACE;
	return kf_cluster_get(&at, &query, ret, err);
}

static struct json_object *find_on_node(struct json_object *pods, const char *node)
{
	struct json_object *items = kf_kube_at(pods, "items");

	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *pod = json_object_array_get_idx(items, i);

		if (strcmp(kf_kube_string(pod, "spec.nodeName"), node) == 0)
			return pod;
	}
	return NULL;
}

/* Become kubectl; comes back only if that fails. */
static int enter_pod(const struct kf_cluster_options *o, const char *command,
		     struct json_object *there, const char *name, const char *uid,
		     struct kf_err *err)
{
	size_t n = 0, nmore = 0;
	const char **args;

	while (o->more && o->more[nmore])
		nmore++;
	args = calloc(WORDS + KF_KUBECTL_PASSED + nmore, sizeof(*args));
	if (!args)
		return kf_fail_nomem(err, "arguments");
	args[n++] = "kubectl";
	args[n++] = "exec";
	for (size_t i = 0; i < o->npassed; i++)
		args[n++] = o->passed[i];
	args[n++] = "-n";
	args[n++] = kf_kube_string(there, "metadata.namespace");
	args[n++] = kf_kube_string(there, "metadata.name");
	args[n++] = "-c";
	args[n++] = "review";
	args[n++] = "--";
	args[n++] = "/usr/bin/kubefence";
	args[n++] = "review";
	args[n++] = command;
	args[n++] = "--host-root=/host";
	args[n++] = name;
	args[n++] = "--uid";
	args[n++] = uid;
	if (o->json)
		args[n++] = "--output=json";
	if (o->patch)
		args[n++] = "--patch";
	if (o->keep_privilege)
		args[n++] = "--keep-privilege";
	if (o->volume) {
		args[n++] = "--volume";
		args[n++] = o->volume;
	}
	if (o->expect) {
		args[n++] = "--expect";
		args[n++] = o->expect;
	}
	if (nmore)
		args[n++] = "--";
	for (size_t i = 0; i < nmore; i++)
		args[n++] = o->more[i];
	(void)fflush(NULL);
	(void)execvp(args[0], (char *const *)(uintptr_t)args);
	free(args);
	return kf_fail_sys(err, "run kubectl");
}

static int review_pod(const struct kf_cluster_options *o, const char *command, struct kf_err *err)
{
	KF_CLEANUP(put_object) struct json_object *pod = NULL, *pods = NULL;
	const struct kf_cluster_query query = {.what = "pods", .name = o->argument};
	struct json_object *there;
	char name[1024];

	if (kf_cluster_get(o, &query, &pod, err) < 0)
		return kf_fail_wrap(err,
				    "pod %s (the changes of one that is gone are on its node: "
				    "'kubefence review list' there)",
				    o->argument);
	if (find_pods(o, &pods, err) < 0)
		return kf_fail_wrap(err, "the chart's pods for reviews");
	if (!kf_kube_length(kf_kube_at(pods, "items")))
		return kf_fail(err, ENOENT,
			       "no pod for reviews runs: install the chart with "
			       "review.enabled=true, or run 'kubefence review' on the node");
	there = find_on_node(pods, kf_kube_string(pod, "spec.nodeName"));
	if (!there)
		return kf_fail(err, ENOENT, "the chart's pod for reviews does not run on node '%s'",
			       kf_kube_string(pod, "spec.nodeName"));
	(void)snprintf(name, sizeof(name), "%s/%s", kf_kube_string(pod, "metadata.namespace"),
		       o->argument);
	return enter_pod(o, command, there, name, kf_kube_string(pod, "metadata.uid"), err);
}

static int run_review(const struct kf_command *self, int argc, char **argv)
{
	struct kf_cluster_options o;
	struct kf_err err;
	int status;

	if (!kf_cluster_parse(self, argc, argv, &o, &status))
		return status;
	(void)review_pod(&o, self->name, &err);
	return kf_command_fail("%s", err.msg);
}

const struct kf_command kf_cmd_cluster_diff = {
	.name = "diff",
	.summary = "what a pod has changed in a volume under review",
	.arguments = "POD",
	.min = 1,
	.max = 1,
	.about =
		"Lists what the pod has changed in a volume that its annotations name for review.\n"
		"Needs the verb diff on sandboxes.nono.sh in the pod's namespace.",
	.options = kf_cluster_review_opts,
	.run = run_review,
};

const struct kf_command kf_cmd_cluster_commit = {
	.name = "commit",
	.summary = "put what a pod has changed into its volume",
	.arguments = "POD [PATH...]",
	.min = 1,
	.max = 4096,
	.about = "Writes what the pod has changed, or what is at the PATHs and below, to the "
		 "volume\n"
		 "itself.  Needs the verb commit on sandboxes.nono.sh in the pod's namespace.",
	.options = kf_cluster_review_opts,
	.run = run_review,
};

const struct kf_command kf_cmd_cluster_discard = {
	.name = "discard",
	.summary = "forget what a pod has changed",
	.arguments = "POD",
	.min = 1,
	.max = 1,
	.about =
		"Drops what the pod has changed, when its containers have ended; the volume stays\n"
		"as it is.  Needs the verb discard on sandboxes.nono.sh in the pod's namespace.",
	.options = kf_cluster_review_opts,
	.run = run_review,
};
