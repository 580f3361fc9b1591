/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_CLUSTER_H
#define KF_KUBEFENCE_CLUSTER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct json_object;

/* "kubectl nono": what this program does when it is called kubectl-nono, a
 * kubectl plugin.  The cluster is asked through kubectl itself, with the
 * user's own configuration and rights. */

/* Options that every command of it takes and hands on. */
struct cluster_options {
	const char *namespace_; /* -n; NULL = all */
	const char *output;	/* -o: "table" or "json" */
	const char *pass[8];	/* --context X, --kubeconfig X, in kubectl's words */
	size_t npass;
};

/* Take the options off argv; *ret_rest and *ret_nrest are what remains.  Returns
 * an exit code that is not KF_EXIT_OK if the command line is wrong. */
int cluster_parse(int argc, char **argv, const char *help, struct cluster_options *ret,
		  char ***ret_rest, int *ret_nrest, bool *ret_done);

/* "kubectl get WHAT [NAME] -o json"; the object is the caller's to put.  @name may be
 * NULL; @namespaced adds -n or -A. */
int cluster_get(const struct cluster_options *options, const char *what, const char *name,
		bool namespaced, struct json_object **ret, struct kf_err *err);

/* The value at the dotted @path ("status.numberReady") of @object, or NULL; keys
 * with dots in them are not reachable that way. */
struct json_object *cluster_at(struct json_object *object, const char *path);
const char *cluster_string(struct json_object *object, const char *path);
long cluster_number(struct json_object *object, const char *path);

int kf_cmd_cluster_status(int argc, char **argv);
int kf_cmd_cluster_explain(int argc, char **argv);

#endif
