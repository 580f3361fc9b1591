/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl nono doctor */
#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/print.h"
#include "kube/marks.h"
#include "kube/object.h"
#include "kubefence/cluster/cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum result { OK, WARNING, ERROR };

struct doctor {
	const struct kf_cluster *cluster;
	struct json_object *daemonsets, *policies, *pods; /* lists */
	char text[512];
};

static enum result say(struct doctor *d, enum result result, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static enum result say(struct doctor *d, enum result result, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(d->text, sizeof(d->text), fmt, ap);
	va_end(ap);
	return result;
}

static enum result configuration(struct doctor *d)
{
	const struct kf_settings *s = &d->cluster->plugin.settings;

	if (!d->cluster->configured)
		return say(d, ERROR, "%s", d->cluster->why.msg);
	if (s->seccomp == KF_SECCOMP_LEVEL_NONE)
		return say(d, WARNING,
			   "config.seccompProfile is \"\": no system call is kept away");
	return say(d, OK, "default profile %s", s->default_profile);
}

static enum result daemonsets(struct doctor *d)
{
	struct json_object *items = kf_kube_at(d->daemonsets, "items");
	size_t n = kf_kube_length(items);

	for (size_t i = 0; i < n; i++) {
		struct json_object *ds = json_object_array_get_idx(items, i);
		long want = kf_kube_number(ds, "status.desiredNumberScheduled");
		long have = kf_kube_number(ds, "status.numberReady");

		if (have < want)
			return say(d, ERROR,
				   "%s: %ld of %ld pods are ready; 'kubectl -n %s logs ds/%s' "
				   "tells why",
				   kf_kube_string(ds, "metadata.name"), have, want,
				   kf_kube_string(ds, "metadata.namespace"),
				   kf_kube_string(ds, "metadata.name"));
	}
	return n ? say(d, OK, "%zu", n) : say(d, ERROR, "there is none: is the chart installed?");
}

static enum result nodes(struct doctor *d)
{
	struct json_object *items = kf_kube_at(d->cluster->nodes, "items");
	unsigned ready = 0, unready = 0;
	char first[300] = "";

	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *node = json_object_array_get_idx(items, i);
		struct json_object *condition =
			kf_kube_find(node, "status.conditions", "type", KF_CONDITION);
		const char *label = kf_kube_meta(node, "labels", KF_LABEL_READY);

		ready += label && strcmp(label, "true") == 0;
		if (!label || strcmp(label, "true") == 0)
			continue;
		unready++;
		if (!*first)
			(void)snprintf(first, sizeof(first), "%.100s: %.150s",
				       kf_kube_string(node, "metadata.name"),
				       kf_kube_string(condition, "message"));
	}
	if (unready)
		return say(d, ERROR, "%u of %u are not ready, such as %s", unready, ready + unready,
			   first);
	return ready ? say(d, OK, "%u of %zu", ready, kf_kube_length(items))
		     : say(d, WARNING,
			   "no node has the label " KF_LABEL_READY
			   ": nodeSetup.enabled is false, or nothing has started yet");
}

static enum result classes(struct doctor *d)
{
	const struct kf_settings *s = &d->cluster->plugin.settings;

	if (!d->cluster->configured)
		return say(d, WARNING, "cannot be told without the configuration");
	for (size_t i = 0; i < s->nhandlers; i++)
		if (!kf_kube_find(d->cluster->classes, "items", "handler", s->handlers[i]))
			return say(d, ERROR, "no RuntimeClass has the handler '%s'",
				   s->handlers[i]);
	return say(d, OK, "%zu handlers", s->nhandlers);
}

static enum result policies(struct doctor *d)
{
	size_t n = kf_kube_length(kf_kube_at(d->policies, "items"));

	return n ? say(d, OK, "%zu ValidatingAdmissionPolicies", n)
		 : say(d, WARNING,
		       "there are none: pods may override what protects them "
		       "(admission.enabled)");
}

/* A pod of ours whose container the node refuses says so in its status. */
static enum result refused(struct doctor *d)
{
	struct json_object *items = kf_kube_at(d->pods, "items");
	unsigned ours = 0;

	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *pod = json_object_array_get_idx(items, i);
		struct json_object *list = kf_kube_at(pod, "status.containerStatuses");

		if (!kf_cluster_pod_class(d->cluster, pod))
			continue;
		ours++;
		for (size_t k = 0; k < kf_kube_length(list); k++) {
			struct json_object *status = json_object_array_get_idx(list, k);
			const char *reason = kf_kube_string(status, "state.waiting.reason");

			if (strcmp(reason, "CreateContainerError") == 0 ||
			    strcmp(reason, "RunContainerError") == 0)
				return say(d, WARNING, "%s/%s: %.350s",
					   kf_kube_string(pod, "metadata.namespace"),
					   kf_kube_string(pod, "metadata.name"),
					   kf_kube_string(status, "state.waiting.message"));
		}
	}
	return say(d, OK, "%u sandboxed pods", ours);
}

static const struct {
	const char *name;
	enum result (*run)(struct doctor *d);
} checks[] = {
	{"the chart's configuration", configuration},
	{"the chart's DaemonSets run everywhere", daemonsets},
	{"nodes are ready for sandboxed pods", nodes},
	{"every handler has a RuntimeClass", classes},
	{"admission policies are there", policies},
	{"no sandboxed pod is refused", refused},
};

static int run(struct doctor *d, bool json)
{
	static const char *const marks[] = {"ok", "warning", "error"};
	struct json_object *list = json_object_new_array(), *out = json_object_new_object();
	bool failed = false;

	for (size_t i = 0; i < KF_ARRAY_SIZE(checks); i++) {
		enum result result = checks[i].run(d);
		struct json_object *row = json_object_new_object();

		failed = failed || result == ERROR;
		if (!json)
			kf_print_line(stdout, "%-8s %s: %s", marks[result], checks[i].name,
				      d->text);
		(void)json_object_object_add(row, "check", json_object_new_string(checks[i].name));
		(void)json_object_object_add(row, "result", json_object_new_string(marks[result]));
		(void)json_object_object_add(row, "detail", json_object_new_string(d->text));
		(void)json_object_array_add(list, row);
	}
	(void)json_object_object_add(out, "success", json_object_new_boolean(!failed));
	(void)json_object_object_add(out, "checks", list);
	if (json)
		kf_print_json(stdout, out, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	json_object_put(out);
	return failed ? KF_EXIT_FAILED : KF_EXIT_OK;
}

static int run_doctor(const struct kf_command *self, int argc, char **argv)
{
	struct kf_cluster_options o;
	struct kf_cluster c;
	struct doctor d = {.cluster = &c};
	struct kf_err err;
	int status;

	if (!kf_cluster_parse(self, argc, argv, &o, &status))
		return status;
	o.namespace_ = NULL;
	if (kf_cluster_load(&o, &c, &err) < 0)
		return kf_command_fail("%s", err.msg);
	if (kf_cluster_get(&o,
			   &(struct kf_cluster_query){
				   .what = "daemonsets", .selector = KF_PART_OF_US, .all = true},
			   &d.daemonsets, &err) < 0 ||
	    kf_cluster_get(&o,
			   &(struct kf_cluster_query){.what = "validatingadmissionpolicies",
						      .selector = KF_PART_OF_US},
			   &d.policies, &err) < 0 ||
	    kf_cluster_get(&o, &(struct kf_cluster_query){.what = "pods", .all = true}, &d.pods,
			   &err) < 0)
		status = kf_command_fail("%s", err.msg);
	else
		status = run(&d, o.json);
	json_object_put(d.daemonsets);
	json_object_put(d.policies);
	json_object_put(d.pods);
	kf_cluster_done(&c);
	return status;
}

const struct kf_command kf_cmd_cluster_doctor = {
	.name = "doctor",
	.summary = "is everything in order, and if not, what is to be done?",
	.about = "Checks chart, nodes, RuntimeClasses, policies and pods. Exit code 1 if something "
		 "is\n"
		 "not in order; warnings do not count.",
	.options = kf_cluster_opts,
	.run = run_doctor,
};
