/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl nono doctor: checks of a cluster's objects.  The checks of a node are in
 * src/kubefence/doctor. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/version.h"
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

static enum result set_result(struct doctor *d, enum result result, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static enum result set_result(struct doctor *d, enum result result, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(d->text, sizeof(d->text), fmt, ap);
	va_end(ap);
	return result;
}

static enum result say_unknown(struct doctor *d)
{
	return set_result(d, WARNING, "not known with these rights");
}

static enum result check_config(struct doctor *d)
{
	const struct kf_settings *s = &d->cluster->plugin.settings;

	if (!d->cluster->config)
		return say_unknown(d);
	if (!d->cluster->configured)
		return set_result(d, ERROR, "%s", d->cluster->why.msg);
	if (s->seccomp == KF_SECCOMP_LEVEL_NONE)
		return set_result(d, WARNING,
				  "config.seccompProfile is \"\": no system call is kept away");
	return set_result(d, OK, "default profile %s", s->default_profile);
}

static enum result check_daemonsets(struct doctor *d)
{
	struct json_object *items = kf_kube_at(d->daemonsets, "items");
	size_t n = kf_kube_length(items);

	if (!d->daemonsets)
		return say_unknown(d);
	for (size_t i = 0; i < n; i++) {
		struct json_object *ds = json_object_array_get_idx(items, i);
		long want = kf_kube_number(ds, "status.desiredNumberScheduled");
		long have = kf_kube_number(ds, "status.numberReady");
		/* A pod that the API refuses has no log; its DaemonSet has the reason. */
		bool made = kf_kube_number(ds, "status.currentNumberScheduled") >= want;

		if (have < want)
			return set_result(d, ERROR,
					  "%s: %ld of %ld pods are ready; 'kubectl -n %s %s ds/%s' "
					  "tells why",
					  kf_kube_string(ds, "metadata.name"), have, want,
					  kf_kube_string(ds, "metadata.namespace"),
					  made ? "logs" : "describe",
					  kf_kube_string(ds, "metadata.name"));
	}
	return n ? set_result(d, OK, "%zu", n)
		 : set_result(d, ERROR, "there is none: is the chart installed?");
}

/* The chart's version against this program's, and nodes that an upgrade has not reached. */
static enum result check_versions(struct doctor *d)
{
	struct json_object *items = kf_kube_at(d->daemonsets, "items");

	if (!d->daemonsets)
		return say_unknown(d);
	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *ds = json_object_array_get_idx(items, i);
		const char *chart = kf_kube_meta(ds, "labels", "app.kubernetes.io/version");
		long want = kf_kube_number(ds, "status.desiredNumberScheduled");
		long have = kf_kube_number(ds, "status.updatedNumberScheduled");
		enum kf_apart apart = chart ? kf_version_apart(chart, KF_VERSION) : KF_APART_NOT;

		if (apart != KF_APART_NOT)
			return set_result(d, apart == KF_APART_ONE ? WARNING : ERROR,
					  "the chart is %.40s, this program " KF_VERSION "%s",
					  chart,
					  apart == KF_APART_ONE
						  ? ": neighbours work together; bring them to one"
						  : ": nobody has tried these together; upgrade by "
						    "one minor version at a time");
		if (have < want)
			return set_result(d, WARNING,
					  "%s: %ld of %ld nodes have not been reached by the last "
					  "upgrade",
					  kf_kube_string(ds, "metadata.name"), want - have, want);
	}
	return set_result(d, OK, KF_VERSION);
}

static enum result check_nodes(struct doctor *d)
{
	struct json_object *items = kf_kube_at(d->cluster->nodes, "items");
	unsigned ready = 0, unready = 0;
	char first[300] = "";

	if (!d->cluster->nodes)
		return say_unknown(d);
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
		return set_result(d, ERROR, "%u of %u are not ready, such as %s", unready,
				  ready + unready, first);
	return ready ? set_result(d, OK, "%u of %zu", ready, kf_kube_length(items))
		     : set_result(d, WARNING,
				  "no node has the label " KF_LABEL_READY
				  ": nodeSetup.enabled is false, or nothing has started yet");
}

/* Own profiles that a node could not take over. */
static enum result check_profiles(struct doctor *d)
{
	struct json_object *items = kf_kube_at(d->cluster->nodes, "items");

	if (!d->cluster->nodes)
		return say_unknown(d);
	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *node = json_object_array_get_idx(items, i);
		struct json_object *condition =
			kf_kube_find(node, "status.conditions", "type", KF_CONDITION);
		const char *message = kf_kube_string(condition, "message");
		const char *rejected = strstr(message, "rejected profiles");

		if (strcmp(kf_kube_string(condition, "reason"), KF_REASON_REJECTED) == 0)
			return set_result(d, ERROR, "%.100s: %.350s",
					  kf_kube_string(node, "metadata.name"),
					  rejected ? rejected : message);
	}
	return set_result(d, OK, "no node rejects one");
}

static enum result check_classes(struct doctor *d)
{
	const struct kf_settings *s = &d->cluster->plugin.settings;

	if (!d->cluster->classes)
		return say_unknown(d);
	if (!d->cluster->configured)
		return set_result(d, WARNING, "cannot be checked without the configuration");
	for (size_t i = 0; i < s->nhandlers; i++)
		if (!kf_kube_find(d->cluster->classes, "items", "handler", s->handlers[i]))
			return set_result(d, ERROR, "no RuntimeClass has the handler '%s'",
					  s->handlers[i]);
	return set_result(d, OK, "%zu handlers", s->nhandlers);
}

static enum result check_policies(struct doctor *d)
{
	size_t n = kf_kube_length(kf_kube_at(d->policies, "items"));

	if (!d->policies)
		return say_unknown(d);
	return n ? set_result(d, OK, "%zu ValidatingAdmissionPolicies", n)
		 : set_result(d, WARNING,
			      "there are none: pods may override what protects them "
			      "(admission.enabled)");
}

static struct json_object *find_refused(struct json_object *pod, const char *path)
{
	struct json_object *list = kf_kube_at(pod, path);

	for (size_t i = 0; i < kf_kube_length(list); i++) {
		struct json_object *status = json_object_array_get_idx(list, i);
		const char *reason = kf_kube_string(status, "state.waiting.reason");

		if (strcmp(reason, "CreateContainerError") == 0 ||
		    strcmp(reason, "RunContainerError") == 0)
			return status;
	}
	return NULL;
}

/* Find sandboxed pods whose containers the node refuses; their status says so. */
static enum result check_refused(struct doctor *d)
{
	struct json_object *items = kf_kube_at(d->pods, "items");
	unsigned ours = 0;

	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *pod = json_object_array_get_idx(items, i);
		struct json_object *status;

		if (!kf_cluster_sandboxed(d->cluster, pod))
			continue;
		ours++;
		status = find_refused(pod, "status.initContainerStatuses");
		if (!status)
			status = find_refused(pod, "status.containerStatuses");
		if (status)
			return set_result(d, WARNING, "%s/%s: %.350s",
					  kf_kube_string(pod, "metadata.namespace"),
					  kf_kube_string(pod, "metadata.name"),
					  kf_kube_string(status, "state.waiting.message"));
	}
	return set_result(d, OK, "%u sandboxed pods", ours);
}

static bool is_privileged(struct json_object *pod, const char *path)
{
	struct json_object *list = kf_kube_at(pod, path);

	for (size_t i = 0; i < kf_kube_length(list); i++)
		if (json_object_get_boolean(kf_kube_at(json_object_array_get_idx(list, i),
						       "securityContext.privileged")))
			return true;
	return false;
}

/* Sandboxed pods with rights against which the sandbox is no boundary. */
static enum result check_rights(struct doctor *d)
{
	struct json_object *items = kf_kube_at(d->pods, "items");
	unsigned privileged = 0, host = 0;
	char first[300] = "";

	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *pod = json_object_array_get_idx(items, i);
		bool root, shares;

		if (!kf_cluster_sandboxed(d->cluster, pod))
			continue;
		root = is_privileged(pod, "spec.containers") ||
		       is_privileged(pod, "spec.initContainers") ||
		       is_privileged(pod, "spec.ephemeralContainers");
		shares = json_object_get_boolean(kf_kube_at(pod, "spec.hostPID")) ||
			 json_object_get_boolean(kf_kube_at(pod, "spec.hostNetwork"));
		privileged += root;
		host += shares;
		if ((root || shares) && !*first)
			(void)snprintf(first, sizeof(first), "%.100s/%.150s",
				       kf_kube_string(pod, "metadata.namespace"),
				       kf_kube_string(pod, "metadata.name"));
	}
	if (privileged || host)
		return set_result(d, WARNING,
				  "%u privileged, %u in their node's namespaces, such as %s; "
				  "admission.refuse keeps new ones away",
				  privileged, host, first);
	return set_result(d, OK, "none is privileged or in its node's namespaces");
}

static const struct {
	const char *name;
	enum result (*run)(struct doctor *d);
} checks[] = {
	{"the chart's configuration", check_config},
	{"the chart's DaemonSets run everywhere", check_daemonsets},
	{"everything is of one version", check_versions},
	{"nodes are ready for sandboxed pods", check_nodes},
	{"the chart's profiles are in force", check_profiles},
	{"every handler has a RuntimeClass", check_classes},
	{"admission policies are there", check_policies},
	{"no sandboxed pod is refused", check_refused},
	{"sandboxed pods have no rights beyond the sandbox", check_rights},
};

static int run_checks(struct doctor *d, const struct kf_cluster_options *o)
{
	static const char *const marks[] = {"ok", "warning", "error"}, *const signs[] = {"√", "‼",
											 "×"};
	const bool json = o->json;
	struct json_object *list = json_object_new_array(), *out = json_object_new_object();
	bool failed = false;

	for (size_t i = 0; i < KF_ARRAY_SIZE(checks); i++) {
		enum result result = checks[i].run(d);
		struct json_object *row = json_object_new_object();

		failed = failed || result == ERROR;
		if (o->brief)
			kf_print_line(stdout, "%s %s%s%s", signs[result], checks[i].name,
				      result == OK ? "" : ": ", result == OK ? "" : d->text);
		else if (!json)
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

/* NULL if these rights do not allow it. */
static int get_list(const struct kf_cluster_options *o, const char *what, const char *selector,
		    struct json_object **ret, struct kf_err *err)
{
	const struct kf_cluster_query query = {.what = what, .selector = selector, .all = true};

	return kf_cluster_get(o, &query, ret, err) < 0 && err->code != EACCES ? -1 : 0;
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
	if (get_list(&o, "daemonsets", KF_PART_OF_US, &d.daemonsets, &err) < 0 ||
	    get_list(&o, "validatingadmissionpolicies", KF_PART_OF_US, &d.policies, &err) < 0 ||
	    kf_cluster_pods(&o, &d.pods, &err) < 0)
		status = kf_command_fail("%s", err.msg);
	else
		status = run_checks(&d, &o);
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
