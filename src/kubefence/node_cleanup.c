/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence node cleanup: the chart's uninstall hook.  The agents do the work; this asks
 * them to, through an annotation on the Node objects, and waits. */
#include "base/cleanup.h"
#include "kube/client.h"
#include "kube/marks.h"
#include "kube/object.h"
#include "kubefence/command.h"
#include "kubefence/node_commands.h"
#include "kubefence/print.h"

#include <getopt.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLASSES_MAX  16
#define PAGE	     "100"
#define METADATA     "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
#define MERGE	     "application/merge-patch+json"
#define POLL_SECONDS 2

static const char usage[] =
	"Usage: kubefence node cleanup [--runtime-class NAME]... [--timeout SECONDS]\n\n"
	"Deletes the RuntimeClasses, has the node agents undo what they did to their nodes, and\n"
	"waits until all have.  Exit code 1 if not in time: the request is then taken back, the\n"
	"agents set their nodes up again, and what is in the way is said.  For a pod with the\n"
	"rights in docs/node-agent.md.\n";

static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
	(void)sig;
	ended = 1;
}

static time_t monotonic(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Where the API may be away because its node's runtime restarts: again, until @deadline. */
static int insist(const struct kf_kube *kube, const struct kf_kube_request *request, char **ret,
		  time_t deadline, struct kf_err *err)
{
	const struct timespec pause = {.tv_sec = 1};

	while (kf_kube_do(kube, request, ret, err) < 0) {
		if (err->code == ENOENT || err->code == EACCES || monotonic() >= deadline || ended)
			return -1;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

/* Call @each for all nodes that carry our label, however it stands. */
static int each_node(const struct kf_kube *kube, time_t deadline,
		     int (*each)(void *ctx, json_object *node, struct kf_err *err), void *ctx,
		     struct kf_err *err)
{
	KF_FREE char *next = strdup("");
	char path[2048];

	while (next) {
		const struct kf_kube_request get = {
			.method = "GET", .path = path, .accept = METADATA};
		KF_CLEANUP(kf_cleanup_json) json_object *list = NULL;
		KF_FREE char *text = NULL;
		json_object *items;
		const char *kind;

		if ((size_t)snprintf(path, sizeof(path),
				     "/api/v1/nodes?labelSelector=nono.sh%%2Fready&limit=" PAGE
				     "%s%s",
				     *next ? "&continue=" : "", next) >= sizeof(path))
			return kf_fail(err, E2BIG, "the API's continue token is too long");
		if (insist(kube, &get, &text, deadline, err) < 0)
			return -1;
		list = json_tokener_parse(text);
		items = kf_json_at(list, "items");
		kind = kf_json_string(list, "kind");
		/* An empty list may be null: Go makes no difference. */
		if ((items && !json_object_is_type(items, json_type_array)) ||
		    (strcmp(kind, "NodeList") != 0 &&
		     strcmp(kind, "PartialObjectMetadataList") != 0))
			return kf_fail(err, EPROTO, "the API's answer is not a list of nodes");
		for (size_t i = 0; i < kf_json_length(items); i++)
			if (each(ctx, json_object_array_get_idx(items, i), err) < 0)
				return -1;
		free(next);
		next = *kf_json_string(list, "metadata.continue")
			       ? strdup(kf_json_string(list, "metadata.continue"))
			       : NULL;
	}
	return 0;
}

struct cleanup {
	const struct kf_kube *kube;
	time_t deadline;
	const char *value;  /* of the annotation; NULL: away with it */
	json_object *asked; /* names of all nodes that were asked */
	unsigned left;
};

static int annotate(struct cleanup *c, const char *name, const char *value, struct kf_err *err)
{
	char path[300], body[200];
	const struct kf_kube_request patch = {
		.method = "PATCH", .path = path, .content_type = MERGE, .body = body};

	(void)snprintf(path, sizeof(path), "/api/v1/nodes/%.253s", name);
	(void)snprintf(body, sizeof(body), "{\"metadata\":{\"annotations\":{\"%s\":%s%s%s}}}",
		       KF_ANNOTATION, value ? "\"" : "", value ? value : "null", value ? "\"" : "");
	if (insist(c->kube, &patch, NULL, c->deadline, err) == 0 || err->code == ENOENT)
		return 0; /* the node has gone meanwhile */
	return -1;
}

/* Ask a node that was not asked yet. */
static int ask(void *ctx, json_object *node, struct kf_err *err)
{
	const char *name = kf_json_string(node, "metadata.name");
	struct cleanup *c = ctx;

	c->left++;
	if (json_object_object_get_ex(c->asked, name, NULL))
		return 0;
	kf_print_line(stdout, "node %s: asked", name);
	if (annotate(c, name, c->value, err) < 0)
		return -1;
	(void)json_object_object_add(c->asked, name, json_object_new_boolean(true));
	return 0;
}

/* What keeps a node, as its condition says. */
static int explain(void *ctx, json_object *node, struct kf_err *err)
{
	const char *name = kf_json_string(node, "metadata.name");
	struct cleanup *c = ctx;
	char path[300];
	const struct kf_kube_request get = {.method = "GET", .path = path};
	KF_CLEANUP(kf_cleanup_json) json_object *object = NULL;
	KF_FREE char *text = NULL;
	json_object *ours, *ready;

	(void)snprintf(path, sizeof(path), "/api/v1/nodes/%.253s", name);
	if (kf_kube_do(c->kube, &get, &text, err) < 0)
		return 0;
	object = json_tokener_parse(text);
	ours = kf_json_find(object, "status.conditions", "type", KF_CONDITION);
	ready = kf_json_find(object, "status.conditions", "type", "Ready");
	kf_print_line(stderr, "node %s is not cleaned up%s%s%s", name, ours ? ": " : "",
		      ours ? kf_json_string(ours, "message") : "",
		      ready && strcmp(kf_json_string(ready, "status"), "True") != 0
			      ? " (the node itself is not ready)"
			      : "");
	return 0;
}

static int delete_classes(const struct kf_kube *kube, const char *const *classes, size_t n,
			  time_t deadline, struct kf_err *err)
{
	for (size_t i = 0; i < n; i++) {
		char path[320];
		const struct kf_kube_request request = {.method = "DELETE", .path = path};
		bool gone;

		(void)snprintf(path, sizeof(path), "/apis/node.k8s.io/v1/runtimeclasses/%.253s",
			       classes[i]);
		gone = insist(kube, &request, NULL, deadline, err) == 0;
		if (!gone && err->code != ENOENT)
			return -1;
		kf_print_line(stdout, "RuntimeClass %s: %s", classes[i],
			      gone ? "deleted" : "was not there");
	}
	return 0;
}

static int wait_for_all(struct cleanup *c, struct kf_err *err)
{
	const struct timespec pause = {.tv_sec = POLL_SECONDS};

	for (;;) {
		c->left = 0;
		if (each_node(c->kube, c->deadline, ask, c, err) < 0)
			return -1;
		if (!c->left)
			return 0;
		if (ended || monotonic() >= c->deadline)
			return kf_fail(err, ETIMEDOUT, "%u nodes are not cleaned up", c->left);
		(void)nanosleep(&pause, NULL);
	}
}

/* The last word on every node that was asked. */
static void close_request(struct cleanup *c, const char *value)
{
	struct kf_err err;

	ended = 0;
	c->deadline = monotonic() + 20;
	json_object_object_foreach(c->asked, name, unused)
	{
		(void)unused;
		if (annotate(c, name, value, &err) < 0)
			kf_print_line(stderr, "node %s: %s", name, err.msg);
	}
}

static int cleanup(const char *const *classes, size_t nclasses, unsigned timeout,
		   struct kf_err *err)
{
	struct kf_kube kube;
	struct cleanup c = {.kube = &kube, .deadline = monotonic() + timeout};
	time_t until = time(NULL) + timeout + 60; /* for agents, should we be killed */
	char value[sizeof("-2147483648-12-31T23:59:60Z")];
	struct tm tm = {0};
	int r;

	if (kf_kube_in_cluster(&kube, err) < 0)
		return -1;
	(void)gmtime_r(&until, &tm);
	(void)strftime(value, sizeof(value), "%Y-%m-%dT%H:%M:%SZ", &tm);
	c.value = value;
	c.asked = json_object_new_object();
	if (!c.asked)
		return kf_fail_nomem(err, "cleanup");
	r = delete_classes(&kube, classes, nclasses, c.deadline, err);
	if (r == 0)
		r = wait_for_all(&c, err);
	if (r < 0) {
		struct kf_err ignored;

		(void)each_node(&kube, monotonic() + 5, explain, &c, &ignored);
	}
	close_request(&c, r == 0 ? NULL : KF_CANCELLED);
	json_object_put(c.asked);
	return r;
}

int kf_node_cleanup_command(int argc, char **argv)
{
	static const struct option options[] = {
		{"runtime-class", required_argument, NULL, 'r'},
		{"timeout", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const struct sigaction stop = {.sa_handler = on_signal};
	const char *classes[CLASSES_MAX];
	unsigned long timeout = 300;
	size_t nclasses = 0;
	struct kf_err err;
	char *end;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			if (nclasses == CLASSES_MAX)
				return kf_command_usage("node cleanup: more than %d RuntimeClasses",
							CLASSES_MAX);
			classes[nclasses++] = optarg;
			break;
		case 't':
			timeout = strtoul(optarg, &end, 10);
			if (*end || end == optarg || timeout < 1 || timeout > 86400)
				return kf_command_usage("node cleanup: --timeout: '%s' is not "
							"between 1 and 86400 seconds",
							optarg);
			break;
		case 'h':
			return fputs(usage, stdout), KF_EXIT_OK;
		default:
			return KF_EXIT_USAGE;
		}
	}
	if (optind != argc)
		return kf_command_usage("node cleanup: '%s' is not understood", argv[optind]);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigaction(SIGTERM, &stop, NULL);
	(void)sigaction(SIGINT, &stop, NULL);
	if (cleanup(classes, nclasses, (unsigned)timeout, &err) < 0)
		return kf_command_fail("node cleanup: %s; delete the pods of the RuntimeClass and "
				       "uninstall again",
				       err.msg);
	kf_print_line(stdout, "all nodes are cleaned up");
	return KF_EXIT_OK;
}
