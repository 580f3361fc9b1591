/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBE_CLIENT_H
#define KF_KUBE_CLIENT_H

#include "base/calls.h"
#include "base/err.h"

#include <stdbool.h>

/* A small client of the Kubernetes API, for a pod's own service account.
 * Synchronous, one connection a request, TLS 1.2 or newer, the server always
 * verified against the cluster's CA.  Token and CA are read anew for every
 * request, since the kubelet rotates them.  The caller ignores SIGPIPE. */

/* Where a pod finds its service account (Kubernetes: "Accessing the API from a Pod"). */
#define KF_KUBE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"
/* Largest answer that is read: a node object with many images is some 100 KiB. */
#define KF_KUBE_ANSWER_MAX  (4 * 1024 * 1024)

struct kf_kube {
	const char *host; /* name or address */
	unsigned short port;
	const char *account_dir; /* with files "token" and "ca.crt" */
	unsigned timeout_ms;	 /* for one whole request */
};

struct kf_kube_request {
	const char *method; /* GET, POST, PATCH, DELETE */
	const char *path;
	const char *accept;	  /* NULL: application/json */
	const char *content_type; /* of body */
	const char *body;	  /* or NULL */
};

/* From KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT; strings are borrowed
 * from the environment. */
int kf_kube_in_cluster(struct kf_kube *ret, struct kf_err *err);

/* Whether @host is an address: a name is looked up, as getaddrinfo(3) does. */
bool kf_kube_numeric(const char *host);
/* The system calls that a request needs. */
extern const struct kf_calls kf_kube_calls;

/* Answers outside of 200..299 are errors with the API's own message; err->code
 * is ENOENT for 404, EACCES for 401 and 403, EAGAIN for 409, where reading
 * the object again helps.  *ret_answer (may be NULL) is NUL-terminated and the caller's. */
int kf_kube_do(const struct kf_kube *kube, const struct kf_kube_request *request, char **ret_answer,
	       struct kf_err *err);

#endif
