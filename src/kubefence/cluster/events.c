/* SPDX-License-Identifier: Apache-2.0 */
/* The denials that Events tell: the feed writes them into an annotation of the Events on the pod
 * that they are about (denials/events.c), where whoever may see the pod may read them. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "kube/object.h"
#include "kubefence/cluster/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON	   "reason=SandboxDenied"
#define ANNOTATION "nono.sh/denials"

struct event_reader {
	struct json_tokener *tokener;
	kf_cluster_line_fn *fn;
	void *ctx;
	bool wrong; /* kubectl's answer is no JSON */
};

static void tell_event(const struct event_reader *r, struct json_object *event)
{
	const char *text = kf_kube_meta(event, "annotations", ANNOTATION);
	KF_FREE char *lines = text ? strdup(text) : NULL;

	for (char *end, *at = lines; at && *at; at = end ? end + 1 : NULL) {
		end = strchr(at, '\n');
		if (end)
			*end = '\0';
		r->fn(r->ctx, at);
	}
}

/* Without --watch one list, with it one object after the other. */
static void take_object(const struct event_reader *r, struct json_object *o)
{
	struct json_object *items = kf_kube_at(o, "items");

	if (!items)
		tell_event(r, o);
	for (size_t i = 0; i < kf_kube_length(items); i++)
		tell_event(r, json_object_array_get_idx(items, i));
}

static void take_data(void *ctx, const char *data, size_t n)
{
	struct event_reader *r = ctx;

	while (n && !r->wrong) {
		struct json_object *o = json_tokener_parse_ex(r->tokener, data, (int)n);
		size_t end = json_tokener_get_parse_end(r->tokener);

		if (!o) {
			r->wrong = json_tokener_get_error(r->tokener) != json_tokener_continue;
			return;
		}
		take_object(r, o);
		json_object_put(o);
		json_tokener_reset(r->tokener);
		data += end;
		n -= end;
		while (n && (*data == '\n' || *data == ' ')) {
			data++;
			n--;
		}
	}
}

int kf_cluster_event_lines(const struct kf_cluster_options *options, kf_cluster_line_fn *fn,
			   void *ctx, struct kf_err *err)
{
	const char *words[KF_KUBECTL_WORDS] = {"get", "events", "-o", "json", "--field-selector"};
	struct event_reader r = {.tokener = json_tokener_new(), .fn = fn, .ctx = ctx};
	char selector[sizeof(REASON) + 300];
	size_t n = 5;
	int status;

	if (!r.tokener)
		return kf_fail_nomem(err, "Events");
	(void)snprintf(selector, sizeof(selector), REASON "%s%.253s",
		       options->argument ? ",involvedObject.name=" : "",
		       options->argument ? options->argument : "");
	words[n++] = selector;
	if (options->namespace_) {
		words[n++] = "-n";
		words[n++] = options->namespace_;
	}
	if (options->follow)
		words[n++] = "--watch";
	status = kf_cluster_stream(options, words, take_data, &r, err);
	json_tokener_free(r.tokener);
	return status == 0 && r.wrong
		       ? kf_fail(err, EPROTO, "'kubectl get events' did not answer with JSON")
		       : status;
}
