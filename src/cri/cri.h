/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the container runtime on its CRI socket: does it serve a handler, which pods,
 * containers and images does it have. */
#ifndef KF_CRI_CRI_H
#define KF_CRI_CRI_H

#include "host/distro.h"

/* Ask the runtime on its CRI socket once.  *ret_missing: the first of @handlers that it does not
 * list, NULL if it lists all. -1 if it does not answer; the code is ENOENT or ECONNREFUSED if
 * nobody listens. */
int kf_cri_ask(const struct kf_host_runtime *rt, const char *const *handlers, size_t nhandlers,
	       const char **ret_missing, struct kf_err *err);
/* Fails because the runtime answers but does not list @handler; the message has the reason from its
 * log. */
int kf_cri_fail(const struct kf_host_runtime *rt, const char *handler, struct kf_err *err);
/* Wait, at most until the options' timeout, until the runtime answers the CRI's Status request on
 * its socket and lists all @handlers.  Runtimes that list no handlers (before the CRI of Kubernetes
 * 1.30) are asked for their configuration instead.  Fails at once if the runtime's log says why it
 * does not serve one of them. */
int kf_cri_wait(const struct kf_host_runtime *rt, const char *const *handlers, size_t nhandlers,
		struct kf_err *err);
/* The number of running pods of @handler. 0 if the runtime has no socket; -1 if it has one and does
 * not answer. */
int kf_cri_pods(const struct kf_host_runtime *rt, const char *handler, unsigned *ret,
		struct kf_err *err);

/* Pods and containers of the runtime in any state; strings live in the arena of kf_cri_list(). */
struct kf_cri_pod {
	const char *id;
	const char *name; /* NAMESPACE/NAME */
	const char *handler;
};
struct kf_cri_container {
	const char *id;
	const char *pod; /* its id */
};
struct kf_cri_list {
	bool runs; /* false: no runtime answers */
	struct kf_cri_pod *pods;
	size_t npods;
	struct kf_cri_container *containers;
	size_t ncontainers;
};
/* List all pods and containers, exited ones included.  If there is no socket, or nobody listens,
 * ret->runs is false. -1 if there is a runtime and it does not answer. */
int kf_cri_list(const struct kf_host_runtime *rt, struct kf_arena *arena, struct kf_cri_list *ret,
		struct kf_err *err);

/* The ID of the image that the runtime has by the name @image, in @arena; NULL if it has none. */
int kf_cri_image(const struct kf_host_runtime *rt, const char *image, struct kf_arena *arena,
		 const char **ret_id, struct kf_err *err);

#endif
