/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence node cleanup: the chart's uninstall hook.  It asks the agents to clean their nodes,
 * with an annotation on the Node objects, and waits.  The agents do the work (src/kubefence/agent).
 */
#include "base/cleanup.h"
#include "cli/print.h"
#include "kube/client.h"
#include "kube/marks.h"
#include "kube/object.h"
#include "kubefence/node/classes.h"
#include "kubefence/node/commands.h"

#include <json-c/json.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE		"100"
#define METADATA	"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
#define MERGE		"application/merge-patch+json"
#define POLL_SECONDS	2
/* A request is renewed while this runs.  So a request whose pod was killed runs out soon.  The
 * clocks of nodes may differ by as much as is left of a request when it is renewed. */
#define REQUEST_SECONDS 180
#define REQUEST_LEAST	120
#define LAST_SECONDS	10 /* for cancelling, twice */
/* An agent that is being ended may publish once more: so many passes find nothing, so many seconds
 * apart, before the marks are gone for good. */
#define QUIET_PASSES	3
#define QUIET_SECONDS	5

static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
	(void)sig;
	ended = 1;
}

static time_t monotonic_time(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Repeat a request until @deadline: the API may be away because the runtime of its node restarts.
 */
static int request_until(const struct kf_kube *kube, const struct kf_kube_request *request,
			 char **ret, time_t deadline, struct kf_err *err)
{
	const struct timespec pause = {.tv_sec = 1};

	while (kf_kube_do(kube, request, ret, err) < 0) {
		if (err->code == ENOENT || err->code == EACCES || monotonic_time() >= deadline ||
		    ended)
			return -1;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

struct cleanup;
/* Handles one node of a pass; @value is its annotation, or NULL. */
typedef int on_node(struct cleanup *c, json_object *node, const char *value, struct kf_err *err);

struct cleanup {
	const struct kf_kube *kube;
	time_t deadline; /* of requests, on the monotonic clock */
	time_t start;	 /* distinguishes this uninstallation from others */
	/* The result of a pass over the nodes. */
	unsigned left;	  /* nodes that are still set up */
	unsigned changed; /* requests of others that were replaced or have to be */
};

/* Call @each for all nodes, also those without our label: they may still have a request. */
static int each_node(struct cleanup *c, on_node *each, struct kf_err *err)
{
	KF_FREE char *next = strdup("");
	char path[2048];

	c->left = c->changed = 0;
	while (next) {
		const struct kf_kube_request get = {
			.method = "GET", .path = path, .accept = METADATA};
		KF_CLEANUP(kf_kube_cleanup_json) json_object *list = NULL;
		KF_FREE char *text = NULL;
		json_object *items;
		const char *kind;

		if ((size_t)snprintf(path, sizeof(path), "/api/v1/nodes?limit=" PAGE "%s%s",
				     *next ? "&continue=" : "", next) >= sizeof(path))
			return kf_fail(err, E2BIG, "the API's continue token is too long");
		if (request_until(c->kube, &get, &text, c->deadline, err) < 0)
			return -1;
		list = json_tokener_parse(text);
		items = kf_kube_at(list, "items");
		kind = kf_kube_string(list, "kind");
		/* Go writes an empty list as null. */
		if ((items && !json_object_is_type(items, json_type_array)) ||
		    (strcmp(kind, "NodeList") != 0 &&
		     strcmp(kind, "PartialObjectMetadataList") != 0))
			return kf_fail(err, EPROTO, "the API's answer is not a list of nodes");
		for (size_t i = 0; i < kf_kube_length(items); i++) {
			json_object *node = json_object_array_get_idx(items, i);

			if (each(c, node, kf_kube_meta(node, "annotations", KF_ANNOTATION), err) <
			    0)
				return -1;
		}
		free(next);
		next = *kf_kube_string(list, "metadata.continue")
			       ? strdup(kf_kube_string(list, "metadata.continue"))
			       : NULL;
	}
	return 0;
}

/* Set the annotation of @node to @value (NULL: remove it), unless somebody has changed the object
 * since it was read. */
static int annotate_node(struct cleanup *c, json_object *node, const char *value,
			 struct kf_err *err)
{
	char path[300], body[400];
	const struct kf_kube_request patch = {
		.method = "PATCH", .path = path, .content_type = MERGE, .body = body};
	const char *quote = value ? "\"" : "";

	(void)snprintf(path, sizeof(path), "/api/v1/nodes/%.253s",
		       kf_kube_string(node, "metadata.name"));
	(void)snprintf(
		body, sizeof(body),
		"{\"metadata\":{\"resourceVersion\":\"%.64s\",\"annotations\":{\"%s\":%s%s%s}}}",
		kf_kube_string(node, "metadata.resourceVersion"), KF_ANNOTATION, quote,
		value ? value : "null", quote);
	c->changed++;
	/* These are no errors: another pass follows, and a node may have been removed meanwhile. */
	if (kf_kube_do(c->kube, &patch, NULL, err) == 0 || err->code == EAGAIN ||
	    err->code == ENOENT)
		return 0;
	return err->code == EACCES ? -1 : 0;
}

static enum kf_request whose_request(const struct cleanup *c, const char *value)
{
	return kf_marks_request_of(value, c->start, time(NULL), REQUEST_LEAST);
}

/* Ask nodes that are set up, and nodes that have a request: an old request that was cancelled is a
 * reason for an agent that has finished to set its node up again. */
static int ask_node(struct cleanup *c, json_object *node, const char *value, struct kf_err *err)
{
	const char *name = kf_kube_string(node, "metadata.name");
	bool labelled = kf_kube_meta(node, "labels", KF_LABEL_READY) != NULL;
	enum kf_request is = whose_request(c, value);
	unsigned changed = c->changed;
	char request[KF_REQUEST_SIZE];

	c->left += labelled;
	if (is == KF_REQUEST_LATER)
		return kf_fail(err, EEXIST,
			       "another uninstallation began since and has asked node %s", name);
	if (is == KF_REQUEST_OWN || (is == KF_REQUEST_NONE && !labelled))
		return 0;
	kf_marks_request_format(time(NULL) + REQUEST_SECONDS, c->start, request);
	if (annotate_node(c, node, request, err) < 0)
		return -1;
	if (is == KF_REQUEST_STALE)
		c->changed = changed; /* a request that is renewed is no change */
	else
		kf_print_line(stdout, "node %s: asked", name);
	return 0;
}

/* Everything is done: remove every request, whoever made it. */
static int clear_node(struct cleanup *c, json_object *node, const char *value, struct kf_err *err)
{
	enum kf_request is = whose_request(c, value);

	return is == KF_REQUEST_NONE || is == KF_REQUEST_LATER ? 0
							       : annotate_node(c, node, NULL, err);
}

/* Give up: agents that were asked set their nodes up again. */
static int cancel_node(struct cleanup *c, json_object *node, const char *value, struct kf_err *err)
{
	enum kf_request is = whose_request(c, value);

	return is == KF_REQUEST_OWN || is == KF_REQUEST_STALE
		       ? annotate_node(c, node, KF_CANCELLED, err)
		       : 0;
}

/* Print why a node is not cleaned up, as its condition says. */
static int explain_node(struct cleanup *c, json_object *node, const char *value, struct kf_err *err)
{
	const char *name = kf_kube_string(node, "metadata.name");
	char path[300];
	const struct kf_kube_request get = {.method = "GET", .path = path};
	KF_CLEANUP(kf_kube_cleanup_json) json_object *object = NULL;
	KF_FREE char *text = NULL;
	json_object *ours, *ready;

	(void)value;
	(void)snprintf(path, sizeof(path), "/api/v1/nodes/%.253s", name);
	if (!kf_kube_meta(node, "labels", KF_LABEL_READY) ||
	    kf_kube_do(c->kube, &get, &text, err) < 0)
		return 0;
	object = json_tokener_parse(text);
	ours = kf_kube_find(object, "status.conditions", "type", KF_CONDITION);
	ready = kf_kube_find(object, "status.conditions", "type", "Ready");
	kf_print_line(stderr, "node %s is not cleaned up: %s%s", name,
		      ours ? kf_kube_string(ours, "message")
			   : "its agent has said nothing; does its pod run?",
		      ready && strcmp(kf_kube_string(ready, "status"), "True") != 0
			      ? " (the node itself is not ready)"
			      : "");
	return 0;
}

static int patch_node(struct cleanup *c, const char *path, const char *type, const char *body,
		      struct kf_err *err)
{
	const struct kf_kube_request patch = {
		.method = "PATCH", .path = path, .content_type = type, .body = body};

	if (!body)
		return 0;
	c->changed++;
	/* As in annotate_node(): another pass follows. */
	return kf_kube_do(c->kube, &patch, NULL, err) < 0 && err->code == EACCES ? -1 : 0;
}

/* Take label, condition and taint from a node whose agent is gone. */
static int unmark_node(struct cleanup *c, json_object *node, const char *value, struct kf_err *err)
{
	const char *name = kf_kube_string(node, "metadata.name");
	const struct kf_marks none = {0};
	char path[300], status[320];
	const struct kf_kube_request get = {.method = "GET", .path = path};
	KF_FREE char *text = NULL;
	KF_FREE char *object_patch = NULL;
	KF_FREE char *status_patch = NULL;
	int r;

	if (!value && !kf_kube_meta(node, "labels", KF_LABEL_READY))
		return 0;
	(void)snprintf(path, sizeof(path), "/api/v1/nodes/%.253s", name);
	(void)snprintf(status, sizeof(status), "%s/status", path);
	r = request_until(c->kube, &get, &text, c->deadline, err);
	if (r < 0)
		return err->code == ENOENT ? 0 : -1;
	if (kf_marks_patch(text, &none, value != NULL, time(NULL), &object_patch, &status_patch,
			   err) < 0)
		return -1;
	/* The label last: a node that has it is looked at again. */
	if (patch_node(c, status, "application/strategic-merge-patch+json", status_patch, err) <
		    0 ||
	    patch_node(c, path, MERGE, object_patch, err) < 0)
		return -1;
	kf_print_line(stdout, "node %s: its marks are taken away", name);
	return 0;
}

static int unmark_nodes(unsigned timeout, struct kf_err *err)
{
	const struct timespec pause = {.tv_sec = QUIET_SECONDS};
	struct kf_kube kube;
	struct cleanup c = {
		.kube = &kube, .deadline = monotonic_time() + timeout, .start = time(NULL)};

	if (kf_kube_in_cluster(&kube, err) < 0)
		return -1;
	for (unsigned quiet = 0; quiet < QUIET_PASSES; quiet = c.changed ? 0 : quiet + 1) {
		if (ended || monotonic_time() >= c.deadline)
			return kf_fail(err, ETIMEDOUT,
				       "nodes are marked again and again: does a node agent run?");
		if (quiet)
			(void)nanosleep(&pause, NULL);
		if (each_node(&c, unmark_node, err) < 0)
			return -1;
	}
	return 0;
}

static int delete_classes(struct cleanup *c, struct kf_cleanup_class *classes, size_t n,
			  struct kf_err *err)
{
	const struct timespec pause = {.tv_sec = 1};

	for (size_t i = 0; i < n; i++) {
		while (kf_cleanup_class_delete(c->kube, &classes[i], err) < 0) {
			if (err->code == EACCES || monotonic_time() >= c->deadline || ended)
				return -1;
			(void)nanosleep(&pause, NULL);
		}
		kf_print_line(stdout, "RuntimeClass %s: %s", classes[i].name,
			      classes[i].object ? "deleted" : "was not there");
	}
	return 0;
}

static void restore_classes(struct cleanup *c, struct kf_cleanup_class *classes, size_t n)
{
	const struct timespec pause = {.tv_sec = 1};
	time_t deadline = monotonic_time() + LAST_SECONDS;
	struct kf_err err;

	for (size_t i = 0; i < n; i++) {
		int r;

		while ((r = kf_cleanup_class_restore(c->kube, &classes[i], &err)) < 0 &&
		       err.code != EACCES && monotonic_time() < deadline)
			(void)nanosleep(&pause, NULL);
		if (r < 0)
			kf_print_line(
				stderr,
				"RuntimeClass %s could not be made again: %s; 'helm rollback' "
				"to the last revision makes it",
				classes[i].name, err.msg);
		else if (classes[i].object)
			kf_print_line(stdout, "RuntimeClass %s: there again", classes[i].name);
	}
}

static int wait_for_all(struct cleanup *c, struct kf_err *err)
{
	const struct timespec pause = {.tv_sec = POLL_SECONDS},
			      soon = {.tv_nsec = 200 * 1000 * 1000};

	for (;;) {
		if (each_node(c, ask_node, err) < 0)
			return -1;
		/* If a pass had nothing to ask, it was the last one: no agent has a reason to begin
		 * any more. */
		if (!c->left && !c->changed)
			return 0;
		if (ended || monotonic_time() >= c->deadline)
			return kf_fail(err, ETIMEDOUT, "%u node%s not cleaned up", c->left,
				       c->left == 1 ? " is" : "s are");
		(void)nanosleep(c->left ? &pause : &soon, NULL);
	}
}

/* End every request: make passes until nothing has to be changed. */
static void close_requests(struct cleanup *c, on_node *how)
{
	const struct timespec pause = {.tv_nsec = 200 * 1000 * 1000};
	struct kf_err err = {0};

	ended = 0;
	c->deadline = monotonic_time() + LAST_SECONDS;
	while (each_node(c, how, &err) < 0 || c->changed) {
		if (monotonic_time() >= c->deadline) {
			kf_print_line(stderr,
				      "annotation " KF_ANNOTATION " could not be %s everywhere: %s",
				      how == clear_node ? "removed" : "taken back",
				      *err.msg ? err.msg : "others write the nodes as well");
			return;
		}
		(void)nanosleep(&pause, NULL);
	}
}

static int clean_nodes(struct kf_cleanup_class *classes, size_t nclasses, unsigned timeout,
		       struct kf_err *err)
{
	struct kf_kube kube;
	struct cleanup c = {
		.kube = &kube, .deadline = monotonic_time() + timeout, .start = time(NULL)};
	struct kf_err ignored;
	int r;

	if (kf_kube_in_cluster(&kube, err) < 0)
		return -1;
	r = delete_classes(&c, classes, nclasses, err);
	if (r == 0)
		r = wait_for_all(&c, err);
	if (r < 0 && err->code == EEXIST) /* the other one goes on with what we began */
		return -1;
	if (r < 0) {
		restore_classes(&c, classes, nclasses);
		c.deadline = monotonic_time() + 5;
		(void)each_node(&c, explain_node, &ignored);
	}
	close_requests(&c, r == 0 ? clear_node : cancel_node);
	return r;
}

struct cleanup_line {
	struct kf_option_list classes;
	unsigned timeout;
	bool marks;
};

static int run_cleanup(const struct kf_command *self, int argc, char **argv)
{
	const struct sigaction stop = {.sa_handler = on_signal};
	struct kf_cleanup_class classes[KF_CLEANUP_CLASSES] = {0};
	const char *names[KF_CLEANUP_CLASSES];
	struct cleanup_line l = {.classes = KF_OPTION_LIST(names), .timeout = 300};
	struct kf_arguments arguments;
	struct kf_err err;
	int status;

	if (!kf_command_parse(self, argc, argv, &l, &arguments, &status))
		return status;
	for (size_t i = 0; i < l.classes.n; i++)
		classes[i].name = names[i];
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigaction(SIGTERM, &stop, NULL);
	(void)sigaction(SIGINT, &stop, NULL);
	if (l.marks) {
		if (unmark_nodes(l.timeout, &err) < 0)
			return kf_command_fail("%s", err.msg);
		kf_print_line(stdout, "no node is marked");
		return KF_EXIT_OK;
	}
	status = clean_nodes(classes, l.classes.n, l.timeout, &err);
	for (size_t i = 0; i < l.classes.n; i++)
		free(classes[i].object);
	if (status < 0)
		return kf_command_fail(
			"%s%s", err.msg,
			err.code == ETIMEDOUT
				? "; delete the pods named above, and what makes them anew, then "
				  "uninstall again; the nodes are set up again until then, and "
				  "'helm rollback' to the last revision keeps them so"
				: "");
	kf_print_line(stdout, "all nodes are cleaned up");
	return KF_EXIT_OK;
}

const struct kf_command kf_cmd_node_cleanup = {
	.name = "cleanup",
	.summary = "have the agents of all nodes undo it",
	.about =
		"Deletes the RuntimeClasses, has the node agents undo what they did to their "
		"nodes,\n"
		"and waits until all have.  Exit code 1 if not in time: the request is then taken\n"
		"back, the RuntimeClasses are made again, the agents set their nodes up again, "
		"and\n"
		"what is in the way is said.  For a pod with the rights in docs/node-agent.md.",
	.options =
		(const struct kf_option[]){
			{
				.name = "runtime-class",
				.kind = KF_OPTION_EACH,
				.value = "NAME",
				KF_OPTION_AT(struct cleanup_line, classes),
				.help = "one to delete; may be repeated",
			},
			{
				.name = "marks",
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct cleanup_line, marks),
				.help = "only take labels, conditions and taints from the nodes, "
					"whose agents are gone and which stay set up",
			},
			{
				.name = "timeout",
				.kind = KF_OPTION_NUMBER,
				.value = "SECONDS",
				.min = 1,
				.max = 86400,
				KF_OPTION_AT(struct cleanup_line, timeout),
				.help = "for all nodes (default: 300)",
			},
			{0},
		},
	.run = run_cleanup,
};
