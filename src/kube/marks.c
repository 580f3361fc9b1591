/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent knows becomes what its Node object says, and that becomes patches; and the
 * requests to clean up, which stand in an annotation.  Pure: client.c makes the requests. */
#include "kube/marks.h"

#include "base/cleanup.h"
#include "kube/object.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define GUARDED	 "everything is in place; handlers with the guard: "
#define REJECTED "; rejected profiles, which are not in force as they are written: "
#define STAMP	 "%Y-%m-%dT%H:%M:%SZ"

#define SINCE	 " since "

static void set_reason(struct kf_marks *m, const char *reason, const char *message)
{
	(void)snprintf(m->reason, sizeof(m->reason), "%s", reason);
	(void)snprintf(m->message, sizeof(m->message), "%s",
		       *message ? message : "no reason is known");
}

static void format_time(time_t t, char ret[static KF_REQUEST_SIZE / 2])
{
	struct tm tm = {0};

	(void)gmtime_r(&t, &tm);
	(void)strftime(ret, KF_REQUEST_SIZE / 2, STAMP, &tm);
}

void kf_marks_request_format(time_t until, time_t start, char ret[static KF_REQUEST_SIZE])
{
	char a[KF_REQUEST_SIZE / 2], b[KF_REQUEST_SIZE / 2];

	format_time(until, a);
	format_time(start, b);
	(void)snprintf(ret, KF_REQUEST_SIZE, "%.32s" SINCE "%.32s", a, b);
}

/* Read the time that @s begins with; false if there is none. */
static bool time_at(const char *s, time_t *ret, const char **ret_end)
{
	struct tm tm = {0};

	*ret_end = strptime(s, STAMP, &tm);
	if (!*ret_end)
		return false;
	*ret = timegm(&tm);
	return true;
}

enum kf_request kf_marks_request_of(const char *value, time_t start, time_t now, unsigned least)
{
	time_t until, theirs;
	const char *end;

	if (!value)
		return KF_REQUEST_NONE;
	if (!time_at(value, &until, &end) || strncmp(end, SINCE, strlen(SINCE)) != 0 ||
	    !time_at(end + strlen(SINCE), &theirs, &end) || theirs < start)
		return KF_REQUEST_OTHER;
	if (theirs > start)
		return until > now ? KF_REQUEST_LATER : KF_REQUEST_OTHER;
	return until - now < (time_t)least ? KF_REQUEST_STALE : KF_REQUEST_OWN;
}

void kf_marks_of(const struct kf_facts *facts, bool taint, struct kf_marks *ret)
{
	struct kf_marks m = {.present = true, .taint = taint, .abi = facts->abi};

	switch (facts->phase) {
	case KF_PHASE_GONE:
		/* Nothing is written to the Node object; the message is for the probe and the log.
		 */
		m = (struct kf_marks){.present = false};
		set_reason(&m, "Uninstalled",
			   "the node was cleaned up, as its annotation " KF_ANNOTATION " asked");
		break;
	case KF_PHASE_STARTING:
		set_reason(&m, "SettingUp", "the node is being set up");
		break;
	case KF_PHASE_UNINSTALLING:
		set_reason(&m, "Uninstalling", facts->detail);
		break;
	case KF_PHASE_FAILED:
		set_reason(&m, "SetupFailed", facts->detail);
		break;
	case KF_PHASE_DONE:
		if (facts->abi == 0)
			set_reason(&m, "LandlockUnavailable",
				   "the kernel has no Landlock, or it is off");
		else if (!facts->runtime)
			set_reason(&m, "RuntimeUnavailable", facts->detail);
		else if (facts->served == KF_SERVED_MISSING)
			set_reason(
				&m, facts->late ? "HandlersMissing" : "WaitingForHandlers",
				"the kubelet does not list all handlers in status.runtimeHandlers");
		else if (!facts->plugin)
			set_reason(&m, "PluginDisconnected", facts->plugin_why);
		else {
			m.ready = true;
			set_reason(&m, *facts->rejected ? KF_REASON_REJECTED : "Ready", "");
			(void)snprintf(m.message, sizeof(m.message), GUARDED "%s%s%s%s%s",
				       *facts->guarded ? facts->guarded : "none",
				       *facts->rejected ? REJECTED : "", facts->rejected,
				       *facts->detail ? "; " : "", facts->detail);
		}
		break;
	}
	*ret = m;
}

bool kf_marks_guards(const char *message, const char *handler)
{
	size_t n = strlen(handler);
	const char *at;

	if (strncmp(message, GUARDED, strlen(GUARDED)) != 0)
		return false;
	for (at = message + strlen(GUARDED);; at++) {
		if (strncmp(at, handler, n) == 0 && strchr(" ;", at[n]))
			return true;
		at += strcspn(at, " ;");
		if (*at != ' ')
			return false;
	}
}

bool kf_marks_equal(const struct kf_marks *a, const struct kf_marks *b)
{
	return a->present == b->present && a->ready == b->ready && a->abi == b->abi &&
	       a->taint == b->taint && strcmp(a->reason, b->reason) == 0 &&
	       strcmp(a->message, b->message) == 0;
}

static void read_view(json_object *node, const char *const *handlers, size_t nhandlers, time_t now,
		      struct kf_node_view *ret)
{
	const char *until = kf_kube_meta(node, "annotations", KF_ANNOTATION);
	const char *end;
	time_t t;

	*ret = (struct kf_node_view){.served = KF_SERVED_UNKNOWN};
	if (kf_kube_length(kf_kube_at(node, "status.runtimeHandlers"))) {
		ret->served = KF_SERVED_ALL;
		for (size_t i = 0; i < nhandlers; i++)
			if (!kf_kube_find(node, "status.runtimeHandlers", "name", handlers[i]))
				ret->served = KF_SERVED_MISSING;
	}
	if (!until || !*until)
		return;
	ret->uninstall = time_at(until, &t, &end) && t > now;
	ret->cancelled = !ret->uninstall;
}

/* Add @value to @object, which takes it over; the caller checks at the end whether an allocation
 * failed. */
static void add_member(json_object *object, const char *key, json_object *value)
{
	if (!object || json_object_object_add(object, key, value) < 0)
		json_object_put(value);
}

/* Make {"metadata":{"labels":{...},"annotations":{...}},"spec":{"taints":[...]}} with only what
 * differs. */
static void patch_label(json_object *node, json_object *patch, const char *key, const char *want)
{
	const char *have = kf_kube_meta(node, "labels", key);

	if (want ? !have || strcmp(have, want) != 0 : have != NULL)
		add_member(patch, key, want ? json_object_new_string(want) : NULL);
}

static json_object *metadata_patch(json_object *node, const struct kf_marks *m, bool cancelled)
{
	json_object *labels = json_object_new_object(), *patch = json_object_new_object();
	json_object *annotations;
	char abi[16];

	(void)snprintf(abi, sizeof(abi), "%d", m->abi);
	patch_label(node, labels, KF_LABEL_READY, !m->present ? NULL : m->ready ? "true" : "false");
	patch_label(node, labels, KF_LABEL_ABI, m->abi > 0 ? abi : NULL);
	if (json_object_object_length(labels))
		add_member(patch, "labels", labels);
	else
		json_object_put(labels);
	/* The agent removes a request that was cancelled or has run out. */
	if (cancelled) {
		annotations = json_object_new_object();
		add_member(annotations, KF_ANNOTATION, NULL);
		add_member(patch, "annotations", annotations);
	}
	return patch;
}

/* A patch replaces the whole list.  So object_patch() adds the version of the object that was read,
 * if *ret_changed. */
static json_object *taints_patch(json_object *node, const struct kf_marks *m, bool *ret_changed)
{
	json_object *taints = kf_kube_at(node, "spec.taints");
	json_object *ours = kf_kube_find(node, "spec.taints", "key", KF_TAINT), *list;

	*ret_changed =
		m->present && m->taint && !m->ready ? !ours : ours && (m->ready || !m->present);
	if (!*ret_changed)
		return NULL;
	list = json_object_new_array();
	for (size_t i = 0; i < kf_kube_length(taints); i++) {
		json_object *item = json_object_array_get_idx(taints, i);

		if (item != ours)
			(void)json_object_array_add(list, json_object_get(item));
	}
	if (!ours) {
		json_object *taint = json_object_new_object();

		add_member(taint, "key", json_object_new_string(KF_TAINT));
		add_member(taint, "effect", json_object_new_string("NoSchedule"));
		(void)json_object_array_add(list, taint);
	}
	return list;
}

static json_object *object_patch(json_object *node, const struct kf_marks *m, bool cancelled)
{
	json_object *metadata = metadata_patch(node, m, cancelled);
	json_object *patch = json_object_new_object(), *spec, *taints;
	bool tainted;

	taints = taints_patch(node, m, &tainted);
	if (tainted) {
		spec = json_object_new_object();
		add_member(spec, "taints", taints);
		add_member(patch, "spec", spec);
	}
	/* The version keeps a newer request from being removed with the cancelled one. */
	if (tainted || cancelled)
		add_member(
			metadata, "resourceVersion",
			json_object_new_string(kf_kube_string(node, "metadata.resourceVersion")));
	if (json_object_object_length(metadata))
		add_member(patch, "metadata", metadata);
	else
		json_object_put(metadata);
	return patch;
}

static json_object *condition_patch(json_object *node, const struct kf_marks *m, time_t now)
{
	json_object *have = kf_kube_find(node, "status.conditions", "type", KF_CONDITION), *c,
		    *list, *status, *patch;
	const char *want = m->ready ? "True" : "False";
	char at[KF_REQUEST_SIZE / 2];

	if (!m->present ? !have
			: have && strcmp(kf_kube_string(have, "status"), want) == 0 &&
				  strcmp(kf_kube_string(have, "reason"), m->reason) == 0 &&
				  strcmp(kf_kube_string(have, "message"), m->message) == 0)
		return NULL;
	format_time(now, at);
	c = json_object_new_object();
	add_member(c, "type", json_object_new_string(KF_CONDITION));
	if (!m->present) {
		add_member(c, "$patch", json_object_new_string("delete"));
	} else {
		bool same = have && strcmp(kf_kube_string(have, "status"), want) == 0;

		add_member(c, "status", json_object_new_string(want));
		add_member(c, "reason", json_object_new_string(m->reason));
		add_member(c, "message", json_object_new_string(m->message));
		add_member(c, "lastHeartbeatTime", json_object_new_string(at));
		add_member(c, "lastTransitionTime",
			   json_object_new_string(same ? kf_kube_string(have, "lastTransitionTime")
						       : at));
	}
	list = json_object_new_array();
	(void)json_object_array_add(list, c);
	status = json_object_new_object();
	add_member(status, "conditions", list);
	patch = json_object_new_object();
	add_member(patch, "status", status);
	return patch;
}

static char *text_of(json_object *object)
{
	return strdup(json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

int kf_marks_view(const char *node, const char *const *handlers, size_t nhandlers, time_t now,
		  struct kf_node_view *ret, struct kf_err *err)
{
	KF_CLEANUP(kf_kube_cleanup_json) json_object *object = json_tokener_parse(node);

	if (!kf_kube_at(object, "metadata"))
		return kf_fail(err, EPROTO, "the API's answer is not a Node object");
	read_view(object, handlers, nhandlers, now, ret);
	return 0;
}

int kf_marks_patch(const char *node, const struct kf_marks *marks, bool cancelled, time_t now,
		   char **ret_patch, char **ret_status, struct kf_err *err)
{
	KF_CLEANUP(kf_kube_cleanup_json) json_object *object = json_tokener_parse(node);
	KF_CLEANUP(kf_kube_cleanup_json) json_object *patch = NULL;
	KF_CLEANUP(kf_kube_cleanup_json) json_object *status = NULL;
	KF_FREE char *patch_text = NULL;
	KF_FREE char *status_text = NULL;

	if (!kf_kube_at(object, "metadata"))
		return kf_fail(err, EPROTO, "the API's answer is not a Node object");
	patch = object_patch(object, marks, cancelled);
	status = condition_patch(object, marks, now);
	if (json_object_object_length(patch) && !(patch_text = text_of(patch)))
		return kf_fail_nomem(err, "patch");
	if (status && !(status_text = text_of(status)))
		return kf_fail_nomem(err, "patch");
	*ret_patch = KF_STEAL(patch_text);
	*ret_status = KF_STEAL(status_text);
	return 0;
}
