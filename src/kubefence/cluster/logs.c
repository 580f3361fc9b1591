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

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SELECTOR  KF_PART_OF_US ",app.kubernetes.io/component=denials"
#define REASON	  "SandboxDenied"
#define ARGUMENTS 32

static void put_json(struct json_object **object)
{
	json_object_put(*object);
}

/* Start kubectl, whose output is the stream; NULL if that fails. */
static FILE *start_kubectl(const char *const *args, pid_t *ret_pid, struct kf_err *err)
{
	int p[2];
	FILE *stream;

	if (pipe2(p, O_CLOEXEC) < 0) {
		kf_err_set_sys(err, "pipe");
		return NULL;
	}
	*ret_pid = fork();
	if (*ret_pid == 0) {
		(void)dup2(p[1], STDOUT_FILENO);
		(void)execvp(args[0], (char *const *)(uintptr_t)args);
		kf_print_line(stderr, "kubectl: %s", strerror(errno));
		_exit(127);
	}
	(void)close(p[1]);
	stream = *ret_pid < 0 ? NULL : fdopen(p[0], "r");
	if (!stream) {
		kf_err_set_sys(err, "run kubectl");
		(void)close(p[0]);
	}
	return stream;
}

/* The lines of the feed, on all nodes or on that of the pod. */
static int print_feed(const struct kf_cluster_options *o, struct json_object *pods,
		      const char *node, const struct kf_lines_want *want, struct kf_err *err)
{
	const char *args[ARGUMENTS] = {"kubectl", "logs", "--tail", "-1", "--max-log-requests",
				       "1000"};
	KF_FREE char *line = NULL;
	struct json_object *items = kf_kube_at(pods, "items");
	size_t n = 6, size = 0;
	FILE *stream;
	pid_t pid;
	int status = 0;

	for (size_t i = 0; i < o->npassed; i++)
		args[n++] = o->passed[i];
	args[n++] = "-n";
	args[n++] = kf_kube_string(json_object_array_get_idx(items, 0), "metadata.namespace");
	if (o->follow)
		args[n++] = "-f";
	for (size_t i = 0; node && i < kf_kube_length(items); i++) {
		struct json_object *pod = json_object_array_get_idx(items, i);

		if (strcmp(kf_kube_string(pod, "spec.nodeName"), node) == 0)
			args[n++] = kf_kube_string(pod, "metadata.name");
	}
	if (!node) {
		args[n++] = "-l";
		args[n++] = SELECTOR;
	}
	args[n++] = "-c";
	args[n++] = "denials";
	stream = start_kubectl(args, &pid, err);
	if (!stream)
		return -1;
	while (getline(&line, &size, stream) > 0) {
		line[strcspn(line, "\n")] = '\0';
		kf_lines_print(line, want);
		(void)fflush(stdout);
	}
	(void)fclose(stream);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status ? kf_fail(err, EIO, "'kubectl logs' of the feed failed") : 0;
}

static int print_events(const struct kf_cluster_options *o, struct kf_err *err)
{
	KF_CLEANUP(put_json) struct json_object *events = NULL;
	const struct kf_cluster_query query = {.what = "events"};
	struct json_object *items;

	if (kf_cluster_get(o, &query, &events, err) < 0)
		return -1;
	items = kf_kube_at(events, "items");
	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *e = json_object_array_get_idx(items, i);
		const char *pod = kf_kube_string(e, "involvedObject.name");

		if (strcmp(kf_kube_string(e, "reason"), REASON) != 0 ||
		    (o->argument && strcmp(pod, o->argument) != 0))
			continue;
		kf_print_line(stdout, "%.19s %s/%s %s", kf_kube_string(e, "lastTimestamp"),
			      kf_kube_string(e, "involvedObject.namespace"), pod,
			      kf_kube_string(e, "message"));
	}
	return 0;
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
	const struct kf_cluster_query query = {.what = "pods", .selector = SELECTOR, .all = true};
	struct kf_lines_want want = {
		.namespace_ = o->namespace_, .pod = o->argument, .json = o->json};
	const char *node = NULL, *namespace_ = o->namespace_;
	struct kf_err why;

	if (find_node(o, &pod, &node, &namespace_, err) < 0)
		return -1;
	want.namespace_ = namespace_;
	everywhere.namespace_ = NULL;
	if (kf_cluster_get(&everywhere, &query, &pods, &why) < 0) {
		kf_print_line(stderr,
			      "kubectl nono: the feed's own logs may not be read here; these are "
			      "the pods' Events");
		return print_events(o, err);
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
