/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl nono status: tables of nodes, RuntimeClasses and sandboxed pods.  Whether they are in
 * order is checked in doctor.c. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/escape.h"
#include "base/limits.h"
#include "cli/print.h"
#include "kube/marks.h"
#include "kube/object.h"
#include "kubefence/cluster/cluster.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The most characters of a value in a table; JSON has the whole value. */
#define CELL_MAX      320
/* The profiles of one pod's containers; a cell shows less. */
#define PROFILES_TEXT 8192

static void put_json(struct json_object **object)
{
	json_object_put(*object);
}

static const char *or_dash(const char *s)
{
	return s && *s ? s : "-";
}

/* Add @value as a string to a row of the JSON output. */
static void add_member(struct json_object *row, const char *key, const char *value)
{
	(void)json_object_object_add(row, key, json_object_new_string(value ? value : ""));
}

/* Format one cell, escaped and cut, into @out. */
static size_t format_cell(struct json_object *row, const char *key, char out[static CELL_MAX + 4])
{
	const char *v = or_dash(kf_kube_string(row, key));
	size_t need = kf_escape(out, CELL_MAX + 1, v, strlen(v));

	if (need > CELL_MAX)
		memcpy(out + strlen(out), "...", 4);
	return strlen(out);
}

/* Print rows of objects with the same keys, for people: columns are as wide as they have to be. */
static void print_rows(struct json_object *rows, const char *const *keys, const char *const *heads,
		       size_t n)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	char text[CELL_MAX + 4];
	int width[8] = {0};

	for (size_t k = 0; k < n; k++) {
		width[k] = (int)strlen(heads[k]);
		for (size_t i = 0; i < kf_kube_length(rows); i++) {
			int w = (int)format_cell(json_object_array_get_idx(rows, i), keys[k], text);

			width[k] = w > width[k] ? w : width[k];
		}
		kf_buf_addf(&out, "%-*s%s", k + 1 < n ? width[k] : 0, heads[k],
			    k + 1 < n ? "  " : "\n");
	}
	for (size_t i = 0; i < kf_kube_length(rows); i++) {
		for (size_t k = 0; k < n; k++) {
			(void)format_cell(json_object_array_get_idx(rows, i), keys[k], text);
			kf_buf_addf(&out, "%-*s%s", k + 1 < n ? width[k] : 0, text,
				    k + 1 < n ? "  " : "\n");
		}
	}
	kf_print_text(stdout, out.failed ? "out of memory\n" : out.p);
}

static struct json_object *list_nodes(const struct kf_cluster *c, unsigned *ret_ready)
{
	struct json_object *items = kf_kube_at(c->nodes, "items");
	struct json_object *rows = json_object_new_array();

	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *node = json_object_array_get_idx(items, i);
		struct json_object *condition =
			kf_kube_find(node, "status.conditions", "type", KF_CONDITION);
		const char *ready = kf_kube_meta(node, "labels", KF_LABEL_READY);
		struct json_object *row = json_object_new_object();

		add_member(row, "name", kf_kube_string(node, "metadata.name"));
		add_member(row, "ready", ready ? ready : "");
		add_member(row, "reason", kf_kube_string(condition, "reason"));
		add_member(row, "landlockAbi", kf_kube_meta(node, "labels", KF_LABEL_ABI));
		add_member(row, "message", kf_kube_string(condition, "message"));
		(void)json_object_array_add(rows, row);
		*ret_ready += ready && strcmp(ready, "true") == 0;
	}
	return rows;
}

static struct json_object *list_pods(struct kf_cluster *c, struct json_object *list)
{
	struct json_object *items = kf_kube_at(list, "items");
	struct json_object *rows = json_object_new_array();

	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *pod = json_object_array_get_idx(items, i), *row;
		struct json_object *containers = kf_kube_at(pod, "spec.containers");
		KF_CLEANUP(kf_buf_done) struct kf_buf profiles = KF_BUF_INIT(PROFILES_TEXT);
		const char *why, *last = NULL;

		if (!kf_cluster_sandboxed(c, pod))
			continue;
		for (size_t k = 0; k < kf_kube_length(containers); k++) {
			const char *name =
				kf_kube_string(json_object_array_get_idx(containers, k), "name");
			const char *profile = kf_cluster_profile(c, pod, name, &why);

			if (!last || strcmp(profile, last) != 0)
				kf_buf_addf(&profiles, "%s%.*s%s", last ? "," : "",
					    KF_LIMIT_PROFILE_NAME, profile,
					    kf_profile_name_valid(profile) ? "" : " (invalid)");
			last = profile;
		}
		row = json_object_new_object();
		add_member(row, "namespace", kf_kube_string(pod, "metadata.namespace"));
		add_member(row, "name", kf_kube_string(pod, "metadata.name"));
		add_member(row, "runtimeClass", kf_kube_string(pod, "spec.runtimeClassName"));
		add_member(row, "profile", profiles.failed ? "?" : profiles.p);
		add_member(row, "phase", kf_kube_string(pod, "status.phase"));
		add_member(row, "node", kf_kube_string(pod, "spec.nodeName"));
		(void)json_object_array_add(rows, row);
	}
	return rows;
}

static struct json_object *list_classes(const struct kf_cluster *c, struct json_object *pod_rows)
{
	struct json_object *items = kf_kube_at(c->classes, "items");
	struct json_object *rows = json_object_new_array();

	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *class = json_object_array_get_idx(items, i), *row;
		const char *name = kf_kube_string(class, "metadata.name");
		char count[24];
		unsigned n = 0;

		if (!kf_cluster_ours(c, class))
			continue;
		for (size_t k = 0; k < kf_kube_length(pod_rows); k++)
			n += strcmp(kf_kube_string(json_object_array_get_idx(pod_rows, k),
						   "runtimeClass"),
				    name) == 0;
		(void)snprintf(count, sizeof(count), "%u", n);
		row = json_object_new_object();
		add_member(row, "name", name);
		add_member(row, "handler", kf_kube_string(class, "handler"));
		add_member(row, "pods", count);
		(void)json_object_array_add(rows, row);
	}
	return rows;
}

static void print_table(const struct kf_cluster *c, struct json_object *out)
{
	static const char *const node_keys[] = {"name", "ready", "reason", "landlockAbi",
						"message"};
	static const char *const node_heads[] = {"NODE", "READY", "REASON", "LANDLOCK", "MESSAGE"};
	static const char *const class_keys[] = {"name", "handler", "pods"};
	static const char *const class_heads[] = {"RUNTIMECLASS", "HANDLER", "PODS"};
	static const char *const pod_keys[] = {"namespace", "name",  "runtimeClass",
					       "profile",   "phase", "node"};
	static const char *const pod_heads[] = {"NAMESPACE", "POD",   "RUNTIMECLASS",
						"PROFILE",   "PHASE", "NODE"};

	if (c->nodes)
		print_rows(kf_kube_at(out, "nodes"), node_keys, node_heads,
			   KF_ARRAY_SIZE(node_keys));
	else
		kf_print_line(stdout, "nodes: not known with these rights");
	fputs("\n", stdout);
	if (c->classes && c->configured)
		print_rows(kf_kube_at(out, "runtimeClasses"), class_keys, class_heads,
			   KF_ARRAY_SIZE(class_keys));
	else
		kf_print_line(stdout, "RuntimeClasses: not known %s",
			      c->config ? "without the chart's configuration"
					: "with these rights");
	if (!kf_kube_length(kf_kube_at(out, "pods")))
		return;
	fputs("\n", stdout);
	print_rows(kf_kube_at(out, "pods"), pod_keys, pod_heads, KF_ARRAY_SIZE(pod_keys));
}

static unsigned count_phase(struct json_object *rows, const char *phase)
{
	unsigned n = 0;

	for (size_t i = 0; i < kf_kube_length(rows); i++)
		n += strcmp(kf_kube_string(json_object_array_get_idx(rows, i), "phase"), phase) ==
		     0;
	return n;
}

/* One line each for the nodes and the pods. */
static void print_brief(const struct kf_cluster *c, struct json_object *out, unsigned ready)
{
	struct json_object *nodes = kf_kube_at(out, "nodes"), *pods = kf_kube_at(out, "pods");
	unsigned marked = 0, pending = count_phase(pods, "Pending");

	for (size_t i = 0; i < kf_kube_length(nodes); i++)
		marked += *kf_kube_string(json_object_array_get_idx(nodes, i), "ready") != '\0';
	if (!c->nodes)
		kf_print_line(stdout, "‼ nodes: not known with these rights");
	else
		kf_print_line(stdout, "%s nodes: %u of %u ready for sandboxed pods",
			      !ready	       ? "×"
			      : ready < marked ? "‼"
					       : "√",
			      ready, marked);
	kf_print_line(stdout, "%s pods: %zu sandboxed, %u of them pending", pending ? "‼" : "√",
		      kf_kube_length(pods), pending);
}

static int run_status(const struct kf_command *self, int argc, char **argv)
{
	KF_CLEANUP(put_json) struct json_object *list = NULL;
	KF_CLEANUP(put_json) struct json_object *out = NULL;
	struct kf_cluster_options o;
	struct kf_cluster c;
	struct kf_err err;
	unsigned ready = 0;
	int status, r;

	if (!kf_cluster_parse(self, argc, argv, &o, &status))
		return status;
	if (kf_cluster_load(&o, &c, &err) < 0)
		return kf_command_fail("%s", err.msg);
	r = kf_cluster_pods(&o, &list, &err);
	if (r == 0) {
		struct json_object *pod_rows = list_pods(&c, list);

		out = json_object_new_object();
		(void)json_object_object_add(out, "nodes", list_nodes(&c, &ready));
		(void)json_object_object_add(out, "runtimeClasses", list_classes(&c, pod_rows));
		(void)json_object_object_add(out, "pods", pod_rows);
		if (o.json)
			kf_print_json(stdout, out,
				      JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
		else if (o.brief)
			print_brief(&c, out, ready);
		else
			print_table(&c, out);
		if (!c.configured && c.config)
			r = kf_fail(&err, ENOENT, "%s", c.why.msg);
		else if (c.nodes && !ready)
			r = kf_fail(&err, ENOENT, "no node is ready for sandboxed pods");
	}
	kf_cluster_done(&c);
	return r == 0 ? KF_EXIT_OK : kf_command_fail("%s", err.msg);
}

const struct kf_command kf_cmd_cluster_status = {
	.name = "status",
	.summary = "which nodes are ready, which pods are sandboxed",
	.about = "The nodes and whether they are ready for sandboxed pods, the RuntimeClasses, and "
		 "the\n"
		 "pods of these with their profiles. Exit code 1 if the chart is not installed or "
		 "no\n"
		 "node is ready; 'kubectl nono doctor' tells more.",
	.options = kf_cluster_opts,
	.run = run_status,
};
