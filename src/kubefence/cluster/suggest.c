/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl nono suggest POD: the profile that would have allowed what the pod was denied, from the
 * feed of denials that the chart's pods write. */
#include "kubefence/learn/suggest.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/print.h"
#include "kube/object.h"
#include "kubefence/cluster/cluster.h"

/* Of all nodes: each keeps what its kubelet lets a container's log grow to. */
#define FEED_MAX (512 * 1024 * 1024)

static void put_object(struct json_object **object)
{
	json_object_put(*object);
}

static void add_line(void *ctx, const char *line)
{
	kf_buf_adds(ctx, line);
	kf_buf_adds(ctx, "\n");
}

/* What the feed's pods have written, or for those who may not read that the pod's Events. */
static int read_feed(const struct kf_cluster_options *o, struct kf_buf *out, struct kf_err *err)
{
	KF_CLEANUP(put_object) struct json_object *pods = NULL;
	const struct kf_cluster_query query = {
		.what = "pods", .selector = KF_FEED_SELECTOR, .all = true};
	struct kf_cluster_options everywhere = *o;
	struct json_object *items;
	const char *words[] = {"logs",
			       "--tail",
			       "-1",
			       "--max-log-requests",
			       "1000",
			       "-c",
			       KF_FEED_CONTAINER,
			       "-l",
			       KF_FEED_SELECTOR,
			       "-n",
			       NULL,
			       NULL};

	everywhere.namespace_ = NULL;
	if (kf_cluster_get(&everywhere, &query, &pods, err) < 0) {
		if (err->code != EACCES)
			return -1;
		kf_print_line(stderr, "the feed's own logs may not be read with these rights: this "
				      "is from the pod's Events, which do not tell every denial");
		return kf_cluster_event_lines(o, add_line, out, err);
	}
	items = kf_kube_at(pods, "items");
	if (!kf_kube_length(items))
		return kf_fail(err, ENOENT,
			       "nothing records denials on this cluster: install the chart with "
			       "denials.enabled=true");
	words[10] = kf_kube_string(json_object_array_get_idx(items, 0), "metadata.namespace");
	return kf_cluster_run(o, words, out, err);
}

static int run_suggest(const struct kf_command *self, int argc, char **argv)
{
	KF_CLEANUP(put_object) struct json_object *pod = NULL;
	KF_CLEANUP(kf_buf_done) struct kf_buf feed = KF_BUF_INIT(FEED_MAX);
	struct kf_cluster_options o;
	struct kf_err err;
	int status;

	if (!kf_cluster_parse(self, argc, argv, &o, &status))
		return status;
	if (kf_cluster_get(&o, &(struct kf_cluster_query){.what = "pods", .name = o.argument}, &pod,
			   &err) < 0 ||
	    read_feed(&o, &feed, &err) < 0)
		return kf_command_fail("%s", err.msg);
	return learn_suggest(feed.n ? feed.p : "", feed.n,
			     kf_kube_string(pod, "metadata.namespace"), o.argument, false);
}

const struct kf_command kf_cmd_cluster_suggest = {
	.name = "suggest",
	.summary = "the profile that allows what a pod was denied",
	.arguments = "POD",
	.min = 1,
	.max = 1,
	.about = "Prints a profile that extends the pod's own with what it was denied, as far as "
		 "the\n"
		 "feed of denials goes back: paths folded to directories, and no keys or tokens.\n"
		 "Read it before you use it.",
	.options = kf_cluster_opts,
	.run = run_suggest,
};
