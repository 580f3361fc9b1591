/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_CLUSTER_CLUSTER_H
#define KF_KUBEFENCE_CLUSTER_CLUSTER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "cli/command.h"
#include "config/config.h"

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

/* kubectl nono: what a cluster's objects say about the sandbox, read by running kubectl. */

/* Set and kept by the chart's admission policies. */
#define KF_LABEL_SANDBOXED "nono.sh/sandboxed"
#define KF_PART_OF	   "app.kubernetes.io/part-of"
#define KF_PART_OF_US	   KF_PART_OF "=kubefence"
#define KF_KUBECTL_PASSED  4
#define KF_KUBECTL_WORDS   16
#define KF_CLUSTER_HOSTS   32

struct kf_cluster_options {
	const char *passed[KF_KUBECTL_PASSED]; /* for kubectl: --context and the like */
	size_t npassed;
	const char *namespace_; /* NULL: kubectl's own, or all */
	bool everywhere;	/* all namespaces, or an error */
	bool json, brief, follow;
	const char *volume, *expect; /* of a review */
	bool patch, keep_privilege;
	char *const *more;    /* arguments behind the first one; NULL ends them */
	const char *argument; /* the one that the command takes, or NULL */
	struct kf_option_list hosts;
};

/* What all commands take. */
extern const struct kf_option kf_cluster_opts[];
/* ... and --follow. */
extern const struct kf_option kf_cluster_logs_opts[];
/* ... and --host. */
extern const struct kf_option kf_cluster_why_opts[];
/* ... and those of a review. */
extern const struct kf_option kf_cluster_review_opts[];
/* As kf_command_parse(); the argument, if there is one, is ret->argument. */
bool kf_cluster_parse(const struct kf_command *self, int argc, char **argv,
		      struct kf_cluster_options *ret, int *ret_status);

/* Run "kubectl get WHAT [NAME|-l SELECTOR] -o json"; *ret is the caller's.  EACCES: these rights do
 * not allow it.  @all: in all namespaces unless the options name one; it does not matter for
 * objects without a namespace. */
struct kf_cluster_query {
	const char *what, *name, *selector;
	bool all;
};
int kf_cluster_get(const struct kf_cluster_options *options, const struct kf_cluster_query *query,
		   struct json_object **ret, struct kf_err *err);

/* The pods that the options mean: of all namespaces, or where these rights do not allow that of
 * kubectl's own. */
int kf_cluster_pods(const struct kf_cluster_options *options, struct json_object **ret,
		    struct kf_err *err);

/* What all three commands need.  Who may only read one namespace sees none of it. */
struct kf_cluster {
	struct json_object *nodes, *classes,
		*config; /* lists; NULL: these rights do not allow it */
	struct kf_arena arena;
	struct kf_config plugin;			 /* the chart's configuration */
	char default_profile[KF_LIMIT_PROFILE_NAME + 1]; /* of the pod looked at last */
	bool configured;
	struct kf_err why; /* it is not */
};

int kf_cluster_load(const struct kf_cluster_options *options, struct kf_cluster *ret,
		    struct kf_err *err);
void kf_cluster_done(struct kf_cluster *cluster);
/* Whether pods of RuntimeClass object @class are sandboxed: its handler is one of the configured
 * handlers. */
bool kf_cluster_ours(const struct kf_cluster *cluster, struct json_object *class);
/* The RuntimeClass object called @name, NULL if there is none. */
struct json_object *kf_cluster_class(const struct kf_cluster *cluster, const char *name);
/* Whether @pod is sandboxed: by its class, or where that cannot be known by its label. */
bool kf_cluster_sandboxed(const struct kf_cluster *cluster, struct json_object *pod);
/* The RuntimeClass object if @pod is sandboxed, else NULL. */
struct json_object *kf_cluster_pod_class(const struct kf_cluster *cluster, struct json_object *pod);
/* The profile of a container of @pod, valid until the next call; *ret_why says what chose it. */
const char *kf_cluster_profile(struct kf_cluster *cluster, struct json_object *pod,
			       const char *container, const char **ret_why);

/* Run "kubectl WORDS" with the options; its output. */
int kf_cluster_run(const struct kf_cluster_options *options, const char *const *words,
		   struct kf_buf *out, struct kf_err *err);

/* Run "kubectl WORDS" with the options, and take its output as it comes; its messages go to stderr.
 */
typedef void kf_cluster_take_fn(void *ctx, const char *data, size_t n);
int kf_cluster_stream(const struct kf_cluster_options *options, const char *const *words,
		      kf_cluster_take_fn *take, void *ctx, struct kf_err *err);

/* The feed of denials: the logs of the chart's pods with this label, and of those this container.
 */
#define KF_FEED_SELECTOR  KF_PART_OF_US ",app.kubernetes.io/component=denials"
#define KF_FEED_CONTAINER "denials"
/* Each denial that Events tell about the pod of the options, or all pods of the namespace, as a
 * line of JSON of the feed's: what there is, and with ->follow what comes. */
typedef void kf_cluster_line_fn(void *ctx, const char *line);
int kf_cluster_event_lines(const struct kf_cluster_options *options, kf_cluster_line_fn *fn,
			   void *ctx, struct kf_err *err);

extern const struct kf_command kf_cmd_cluster_commit, kf_cmd_cluster_diff, kf_cmd_cluster_discard;
extern const struct kf_command kf_cmd_cluster_suggest, kf_cmd_cluster_logs, kf_cmd_cluster_sysdump;
extern const struct kf_command kf_cmd_cluster_status, kf_cmd_cluster_doctor, kf_cmd_cluster_explain;
extern const struct kf_command kf_cmd_cluster_why;

#endif
