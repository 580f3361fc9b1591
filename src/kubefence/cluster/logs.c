/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl nono logs [POD]: what sandboxes refused.  The feed's pods tell it; who may not read their
 * logs is shown the pods' Events, which are fewer. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/print.h"
#include "kube/object.h"
#include "kubefence/cluster/cluster.h"
#include "kubefence/denials/lines.h"
#include "kubefence/options.h"

#include <stdio.h>
#include <string.h>

/* A line of the feed is shorter. */
#define LINE_BYTES (64 * 1024)

static void put_json(struct json_object **object)
{
	json_object_put(*object);
}

/* What was read of the feed's log and not printed yet: a part of a line. */
struct log_printer {
	const struct kf_lines_want *want;
	struct kf_buf text;
};

static void print_data(void *ctx, const char *data, size_t n)
{
	struct log_printer *p = ctx;
	const char *end;

	while ((end = memchr(data, '\n', n))) {
		kf_buf_add(&p->text, data, (size_t)(end - data));
		if (!p->text.failed && p->text.n)
			kf_lines_print(p->text.p, p->want);
		kf_buf_reset(&p->text);
		n -= (size_t)(end + 1 - data);
		data = end + 1;
	}
	kf_buf_add(&p->text, data, n);
	(void)fflush(stdout);
}

static void print_event_line(void *ctx, const char *line)
{
	kf_lines_print(line, ctx);
	(void)fflush(stdout);
}

/* The log of the feed's pod @name, or of all of them if that is NULL. */
static int print_log(const struct kf_cluster_options *o, const char *namespace_, const char *name,
		     bool follow, const struct kf_lines_want *want, struct kf_err *err)
{
	struct log_printer printer = {.want = want, .text = KF_BUF_INIT(LINE_BYTES)};
	const char *words[KF_KUBECTL_WORDS] = {"logs", "--tail",	 "-1", "-n", namespace_,
					       "-c",   KF_FEED_CONTAINER};
	size_t n = 7;
	int r;

	if (name) {
		words[n++] = name;
	} else {
		words[n++] = "--max-log-requests";
		words[n++] = "1000";
		words[n++] = "-l";
		words[n++] = KF_FEED_SELECTOR;
	}
	if (follow)
		words[n++] = "-f";
	r = kf_cluster_stream(o, words, print_data, &printer, err);
	kf_buf_done(&printer.text);
	return r;
}

/* The lines of the feed, on all nodes or on that of the pod: there, while the feed is replaced, of
 * the old pod and then of the new one. */
static int print_feed(const struct kf_cluster_options *o, struct json_object *pods,
		      const char *node, const struct kf_lines_want *want, struct kf_err *err)
{
	struct json_object *items = kf_kube_at(pods, "items"), *last = NULL;
	struct json_object *first = json_object_array_get_idx(items, 0);
	const char *namespace_ = kf_kube_string(first, "metadata.namespace");

	if (!node)
		return print_log(o, namespace_, NULL, o->follow, want, err);
	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *pod = json_object_array_get_idx(items, i);

		if (strcmp(kf_kube_string(pod, "spec.nodeName"), node) != 0)
			continue;
		if (!last || strcmp(kf_kube_string(last, "metadata.creationTimestamp"),
				    kf_kube_string(pod, "metadata.creationTimestamp")) < 0) {
			if (last && print_log(o, namespace_, kf_kube_string(last, "metadata.name"),
					      false, want, err) < 0)
				return -1;
			last = pod;
		}
	}
	if (!last)
		return kf_fail(err, ENOENT, "no pod of the feed runs on the pod's node, %s", node);
	return print_log(o, namespace_, kf_kube_string(last, "metadata.name"), o->follow, want,
			 err);
}

/* The node of the pod that is asked about; NULL without one. */
static int find_node(const struct kf_cluster_options *o, struct json_object **pod,
		     const char **ret_node, const char **ret_namespace, struct kf_err *err)
{
	const struct kf_cluster_query query = {.what = "pods", .name = o->argument};

	if (!o->argument)
		return 0;
	if (kf_cluster_get(o, &query, pod, err) < 0)
		return -1;
	*ret_namespace = kf_kube_string(*pod, "metadata.namespace");
	*ret_node = kf_kube_string(*pod, "spec.nodeName");
	if (!**ret_node)
		return kf_fail(err, EAGAIN, "pod %s is not on a node yet", o->argument);
	return 0;
}

static int print_denials(const struct kf_cluster_options *o, struct kf_err *err)
{
	KF_CLEANUP(put_json) struct json_object *pod = NULL, *pods = NULL;
	struct kf_cluster_options everywhere = *o;
	const struct kf_cluster_query query = {
		.what = "pods", .selector = KF_FEED_SELECTOR, .all = true};
	struct kf_lines_want want = {
		.namespace_ = o->namespace_, .pod = o->argument, .json = o->json};
	const char *node = NULL, *namespace_ = o->namespace_;
	struct kf_err why;

	if (find_node(o, &pod, &node, &namespace_, err) < 0)
		return -1;
	want.namespace_ = namespace_;
	everywhere.namespace_ = NULL;
	if (kf_cluster_get(&everywhere, &query, &pods, &why) < 0) {
		if (why.code != EACCES)
			return kf_fail(err, why.code, "%s", why.msg);
		kf_print_line(stderr, "the feed's own logs may not be read with these rights: this "
				      "is what Events of the pods tell, a few for each");
		return kf_cluster_event_lines(o, print_event_line, &want, err);
	}
	if (!kf_kube_length(kf_kube_at(pods, "items")))
		return kf_fail(err, ENOENT,
			       "no pod of the feed runs: install the chart with "
			       "denials.enabled=true");
	return print_feed(o, pods, node, &want, err);
}

static int run_cluster_logs(const struct kf_command *self, int argc, char **argv)
{
	struct kf_cluster_options o;
	struct kf_err err;
	int status;

	if (!kf_cluster_parse(self, argc, argv, &o, &status))
		return status;
	return print_denials(&o, &err) < 0 ? kf_command_fail("%s", err.msg) : KF_EXIT_OK;
}

const struct kf_command kf_cmd_cluster_logs = {
	.name = "logs",
	.summary = "what sandboxes refused",
	.arguments = "[POD]",
	.max = 1,
	.about = "Prints what sandboxes refused, in all namespaces or to one pod: when, which\n"
		 "program, what it was not allowed to do, and the part of a profile that would\n"
		 "allow it.  Who may not read the feed's own logs sees the pods' Events instead.",
	.options = kf_cluster_logs_opts,
	.run = run_cluster_logs,
};
