/* SPDX-License-Identifier: Apache-2.0 */
/* One line of JSON about a denial becomes one or two for people. */
#include "kubefence/denials/lines.h"

#include "base/cleanup.h"
#include "cli/print.h"
#include "kube/object.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE_MAX (16 * 1024) /* a path of PATH_MAX, escaped, and some words */

static bool is_wanted(struct json_object *o, const struct kf_lines_want *want)
{
	const struct {
		const char *key, *value;
	} wants[] = {
		{"namespace", want->namespace_},
		{"pod", want->pod},
		{"container", want->container},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(wants); i++)
		if (wants[i].value && strcmp(kf_kube_string(o, wants[i].key), wants[i].value) != 0)
			return false;
	return true;
}

static const char *or_unknown(const char *s)
{
	return *s ? s : "?";
}

static void put_deed(struct json_object *o, struct kf_buf *out)
{
	const bool egress = strcmp(kf_kube_string(o, "kind"), "egress") == 0;
	/* The broker knows pods, not their programs. */
	const char *program = egress ? "a program" : or_unknown(kf_kube_string(o, "process"));
	const char *call = kf_kube_string(o, "syscall");
	const long port = kf_kube_number(o, "port"), count = kf_kube_number(o, "count");

	if (strcmp(kf_kube_string(o, "what"), "more") == 0) {
		kf_buf_addf(out, "%ld more denials, too many to tell", count);
		return;
	}
	if (*call)
		kf_buf_addf(out, "%s may not call %s", program, call);
	else
		kf_buf_addf(out, "%s may not %s", program, kf_kube_string(o, "what"));
	if (egress)
		kf_buf_addf(out, " %s:%ld (%s)", kf_kube_string(o, "path"), port,
			    kf_kube_string(o, "blockers"));
	else if (port)
		kf_buf_addf(out, " port %ld", port);
	else if (!*call && *kf_kube_string(o, "path"))
		kf_buf_addf(out, " %s", kf_kube_string(o, "path"));
	if (count > 1)
		kf_buf_addf(out, " (%ld times)", count);
}

void kf_lines_format(struct json_object *object, struct kf_buf *out)
{
	if (!*kf_kube_string(object, "what"))
		return;
	kf_buf_addf(out, "%.19s %s/%s %s [%s] ", kf_kube_string(object, "time"),
		    or_unknown(kf_kube_string(object, "namespace")),
		    or_unknown(kf_kube_string(object, "pod")),
		    or_unknown(kf_kube_string(object, "container")),
		    or_unknown(kf_kube_string(object, "profile")));
	put_deed(object, out);
}

static void print_line(struct json_object *o)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(SENTENCE_MAX);
	struct json_object *rule = kf_kube_at(o, "rule");

	kf_lines_format(o, &text);
	if (text.failed || !text.n)
		return;
	kf_print_line(stdout, "%s", text.p);
	if (rule)
		kf_print_line(stdout, "    would be allowed by %s",
			      json_object_to_json_string_ext(
				      rule,
				      JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

void kf_lines_print(const char *line, const struct kf_lines_want *want)
{
	struct json_object *o = *line == '{' ? json_tokener_parse(line) : NULL;

	if (json_object_is_type(o, json_type_object) && *kf_kube_string(o, "what") &&
	    is_wanted(o, want)) {
		if (want->json)
			kf_print_json(stdout, o,
				      JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
		else
			print_line(o);
	}
	json_object_put(o);
}
