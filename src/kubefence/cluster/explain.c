/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl nono explain POD: the profiles of one pod, why it has them, and what weakens its sandbox.
 * Which rule decides about a path is told by "kubefence explain" (src/kubefence/explain). */
#include "base/cleanup.h"
#include "base/limits.h"
#include "cli/print.h"
#include "kube/marks.h"
#include "kube/object.h"
#include "kubefence/cluster/cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define UNKNOWN "not known with these rights"

static void put_json(struct json_object **object)
{
	json_object_put(*object);
}

static void add_member(struct json_object *row, const char *key, const char *value)
{
	(void)json_object_object_add(row, key, json_object_new_string(value ? value : ""));
}

static void add_warning(struct json_object *list, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add_warning(struct json_object *list, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)json_object_array_add(list, json_object_new_string(text));
}

static bool has_string(struct json_object *array, const char *value)
{
	for (size_t i = 0; i < kf_kube_length(array); i++)
		if (strcmp(json_object_get_string(json_object_array_get_idx(array, i)), value) == 0)
			return true;
	return false;
}

/* Warn about rights of the container against which the sandbox is no boundary. */
static void add_weaknesses(struct json_object *pod, struct json_object *container,
			   struct json_object *list)
{
	struct json_object *added = kf_kube_at(container, "securityContext.capabilities.add");
	struct json_object *volumes = kf_kube_at(pod, "spec.volumes");
	const char *name = kf_kube_string(container, "name");

	if (json_object_get_boolean(kf_kube_at(container, "securityContext.privileged")))
		add_warning(list, "container %s is privileged: no boundary against it", name);
	if (has_string(added, "SYS_ADMIN") || has_string(added, "CAP_SYS_ADMIN") ||
	    has_string(added, "ALL"))
		add_warning(list, "container %s has CAP_SYS_ADMIN: no boundary against it", name);
	for (size_t i = 0; i < kf_kube_length(volumes); i++) {
		struct json_object *volume = json_object_array_get_idx(volumes, i);

		if (strcmp(kf_kube_string(volume, "hostPath.path"), "/") == 0 &&
		    kf_kube_find(container, "volumeMounts", "name", kf_kube_string(volume, "name")))
			add_warning(list, "container %s has the host's root file system", name);
	}
}

/* Who puts processes into the sandbox on the pod's node: guard or plugin. */
static const char *enforced_by(const struct kf_cluster *c, struct json_object *node,
			       const char *handler)
{
	struct json_object *condition =
		kf_kube_find(node, "status.conditions", "type", KF_CONDITION);
	const char *ready = node ? kf_kube_meta(node, "labels", KF_LABEL_READY) : NULL;

	if (!c->nodes)
		return "not known with these rights: nodes may not be read";
	if (!node)
		return "not on a node yet";
	if (!ready)
		return "unknown: no node agent runs there; ask 'kubefence doctor' on the node";
	if (strcmp(ready, "true") != 0)
		return "in doubt: the node is not ready for sandboxed pods";
	return kf_marks_guards(kf_kube_string(condition, "message"), handler)
		       ? "guard and plugin: every process that enters, kubectl exec included"
		       : "plugin: the containers' first processes and their children";
}

static void add_containers(struct kf_cluster *c, struct json_object *pod, const char *path,
			   struct json_object *rows, struct json_object *warnings)
{
	const struct kf_settings *s = &c->plugin.settings;
	struct json_object *list = kf_kube_at(pod, path);

	for (size_t i = 0; i < kf_kube_length(list); i++) {
		struct json_object *container = json_object_array_get_idx(list, i);
		struct json_object *row = json_object_new_object();
		const char *why, *name = kf_kube_string(container, "name");
		const char *profile = kf_cluster_profile(c, pod, name, &why);
		bool allowed =
			!c->configured ||
			kf_settings_allows(s, kf_kube_string(pod, "metadata.namespace"), profile);

		if (!kf_profile_name_valid(profile))
			add_warning(warnings, "'%.64s' is not a profile name: refused", profile);
		else if (!allowed && strcmp(why, "default_profile") != 0)
			add_warning(warnings,
				    "profile '%.64s' is not among allowed_profiles: refused",
				    profile);
		add_member(row, "name", name);
		add_member(row, "profile", profile);
		add_member(row, "because", why);
		(void)json_object_array_add(rows, row);
		add_weaknesses(pod, container, warnings);
	}
}

/* What of its node the pod is given. */
static void add_places(struct json_object *pod, struct json_object *list)
{
	static const char *const keys[] = {"hostPID", "hostNetwork", "hostIPC"};
	struct json_object *volumes = kf_kube_at(pod, "spec.volumes");

	for (size_t i = 0; i < KF_ARRAY_SIZE(keys); i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "spec.%s", keys[i]);
		if (json_object_get_boolean(kf_kube_at(pod, path)))
			add_warning(list, "%s: the pod shares that with its node", keys[i]);
	}
	for (size_t i = 0; i < kf_kube_length(volumes); i++) {
		const char *path =
			kf_kube_string(json_object_array_get_idx(volumes, i), "hostPath.path");

		if (*path && strcmp(path, "/") != 0)
			add_warning(list, "the node's %.160s is mounted into the pod", path);
	}
}

/* Why a container of @path does not run; NULL if it does, or is not looked at yet. */
static const char *waits_for(struct json_object *pod, const char *path, const char **ret_name,
			     const char **ret_reason)
{
	struct json_object *list = kf_kube_at(pod, path);

	for (size_t i = 0; i < kf_kube_length(list); i++) {
		struct json_object *status = json_object_array_get_idx(list, i);
		const char *reason = kf_kube_string(status, "state.waiting.reason");

		/* These come before anything has gone wrong. */
		if (!*reason || strcmp(reason, "PodInitializing") == 0 ||
		    strcmp(reason, "ContainerCreating") == 0)
			continue;
		*ret_name = kf_kube_string(status, "name");
		*ret_reason = reason;
		return kf_kube_string(status, "state.waiting.message");
	}
	return NULL;
}

/* Whether the pod runs, and if it cannot why: of all its containers the first one that waits. */
static void add_state(struct json_object *out, struct json_object *pod)
{
	static const char *const lists[] = {"status.initContainerStatuses",
					    "status.containerStatuses",
					    "status.ephemeralContainerStatuses"};
	struct json_object *scheduled =
		kf_kube_find(pod, "status.conditions", "type", "PodScheduled");
	const char *name = "", *reason = "", *why = NULL;
	char text[1200];

	for (size_t i = 0; i < KF_ARRAY_SIZE(lists) && !why; i++)
		why = waits_for(pod, lists[i], &name, &reason);
	if (why)
		(void)snprintf(text, sizeof(text), "container %.64s cannot start: %.64s%s%.1000s",
			       name, reason, *why ? ": " : "", why);
	else if (strcmp(kf_kube_string(scheduled, "status"), "False") == 0)
		(void)snprintf(text, sizeof(text), "no node takes it: %.1000s",
			       kf_kube_string(scheduled, "message"));
	else
		(void)snprintf(text, sizeof(text), "%.64s", kf_kube_string(pod, "status.phase"));
	add_member(out, "state", text);
}

static struct json_object *explain_pod(struct kf_cluster *c, struct json_object *pod,
				       struct json_object *class)
{
	static const char *const levels[] = {
		[KF_SECCOMP_LEVEL_RESTRICTED] = "restricted",
		[KF_SECCOMP_LEVEL_RUNTIME_DEFAULT] = "runtime-default",
	};
	const struct kf_settings *s = &c->plugin.settings;
	struct json_object *out = json_object_new_object(), *rows = json_object_new_array();
	struct json_object *warnings = json_object_new_array();
	const char *node_name = kf_kube_string(pod, "spec.nodeName");
	const char *handler = kf_kube_string(class, "handler");
	struct json_object *node = kf_kube_find(c->nodes, "items", "metadata.name", node_name);
	const char *level = (size_t)s->seccomp < KF_ARRAY_SIZE(levels) ? levels[s->seccomp] : NULL;

	add_member(out, "pod", kf_kube_string(pod, "metadata.name"));
	add_member(out, "namespace", kf_kube_string(pod, "metadata.namespace"));
	add_member(out, "runtimeClass", kf_kube_string(pod, "spec.runtimeClassName"));
	add_member(out, "handler", handler);
	add_member(out, "node", node_name);
	add_member(out, "landlockAbi", node ? kf_kube_meta(node, "labels", KF_LABEL_ABI) : "");
	add_member(out, "strength", enforced_by(c, node, handler));
	add_member(out, "seccomp", !c->configured ? UNKNOWN : level ? level : "none of ours");
	add_member(out, "exec",
		   !c->configured	     ? UNKNOWN
		   : s->exec == KF_EXEC_DENY ? "refused by the guard"
					     : "sandboxed");
	add_state(out, pod);
	add_places(pod, warnings);
	add_containers(c, pod, "spec.initContainers", rows, warnings);
	add_containers(c, pod, "spec.containers", rows, warnings);
	add_containers(c, pod, "spec.ephemeralContainers", rows, warnings);
	(void)json_object_object_add(out, "containers", rows);
	(void)json_object_object_add(out, "warnings", warnings);
	return out;
}

static void print_table(struct json_object *out)
{
	static const struct {
		const char *head, *key;
	} lines[] = {
		{"class", "runtimeClass"}, {"handler", "handler"},
		{"node", "node"},	   {"landlock", "landlockAbi"},
		{"strength", "strength"},  {"seccomp", "seccomp"},
		{"exec", "exec"},	   {"state", "state"},
	};
	struct json_object *rows = kf_kube_at(out, "containers");
	struct json_object *warnings = kf_kube_at(out, "warnings");

	kf_print_line(stdout, "%-10s %s/%s", "pod", kf_kube_string(out, "namespace"),
		      kf_kube_string(out, "pod"));
	for (size_t i = 0; i < KF_ARRAY_SIZE(lines); i++)
		kf_print_line(stdout, "%-10s %s", lines[i].head,
			      *kf_kube_string(out, lines[i].key) ? kf_kube_string(out, lines[i].key)
								 : "-");
	for (size_t i = 0; i < kf_kube_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		const char *profile = kf_kube_string(row, "profile");
		bool valid = kf_profile_name_valid(profile);

		kf_print_line(stdout, "%-10s %s: profile %.*s%s (%s)", "container",
			      kf_kube_string(row, "name"), KF_LIMIT_PROFILE_NAME, profile,
			      valid ? "" : " (invalid)", kf_kube_string(row, "because"));
	}
	for (size_t i = 0; i < kf_kube_length(warnings); i++)
		kf_print_line(stdout, "%-10s %s", "warning",
			      json_object_get_string(json_object_array_get_idx(warnings, i)));
}

/* One line: can it run, and is it what it should be? */
static void print_brief(struct json_object *out)
{
	const char *state = kf_kube_string(out, "state");
	struct json_object *first = json_object_array_get_idx(kf_kube_at(out, "containers"), 0);
	size_t warnings = kf_kube_length(kf_kube_at(out, "warnings"));
	bool stuck = strstr(state, "cannot start") || strstr(state, "no node takes it");

	kf_print_line(stdout, "%s %s/%s: profile %.64s; %s; %zu warnings",
		      stuck	 ? "×"
		      : warnings ? "‼"
				 : "√",
		      kf_kube_string(out, "namespace"), kf_kube_string(out, "pod"),
		      kf_kube_string(first, "profile"), state, warnings);
}

static int run_explain(const struct kf_command *self, int argc, char **argv)
{
	KF_CLEANUP(put_json) struct json_object *pod = NULL;
	struct json_object *class, *out;
	struct kf_cluster_options o;
	struct kf_cluster c;
	struct kf_err err;
	int status, r;

	if (!kf_cluster_parse(self, argc, argv, &o, &status))
		return status;
	if (kf_cluster_load(&o, &c, &err) < 0)
		return kf_command_fail("%s", err.msg);
	r = c.configured || !c.config
		    ? kf_cluster_get(&o,
				     &(struct kf_cluster_query){.what = "pods", .name = o.argument},
				     &pod, &err)
		    : kf_fail(&err, ENOENT, "%s", c.why.msg);
	class = r == 0 ? kf_cluster_pod_class(&c, pod) : NULL;
	if (r == 0 && !kf_cluster_sandboxed(&c, pod) && (!c.configured || !c.classes))
		r = kf_fail(&err, ENOENT,
			    "pod %s has not the label " KF_LABEL_SANDBOXED
			    ": it is not sandboxed, or the cluster has no mutating policy that "
			    "sets it; its RuntimeClass may not be read with these rights",
			    o.argument);
	else if (r == 0 && !kf_cluster_sandboxed(&c, pod))
		r = kf_fail(&err, ENOENT, "pod %s is not sandboxed: %s%s", o.argument,
			    *kf_kube_string(pod, "spec.runtimeClassName")
				    ? "no handler of ours is behind runtimeClassName "
				    : "it has no runtimeClassName",
			    kf_kube_string(pod, "spec.runtimeClassName"));
	if (r == 0) {
		out = explain_pod(&c, pod, class);
		if (o.json)
			kf_print_json(stdout, out,
				      JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
		else if (o.brief)
			print_brief(out);
		else
			print_table(out);
		json_object_put(out);
	}
	kf_cluster_done(&c);
	return r == 0 ? KF_EXIT_OK : kf_command_fail("%s", err.msg);
}

const struct kf_command kf_cmd_cluster_explain = {
	.name = "explain",
	.summary = "profile and strength of a pod's sandbox",
	.arguments = "POD",
	.min = 1,
	.max = 1,
	.about = "Which profile each container of the pod has and why, how strongly that is "
		 "enforced,\n"
		 "and what in the pod weakens it. Exit code 1 if the pod is not sandboxed.",
	.options = kf_cluster_opts,
	.run = run_explain,
};
