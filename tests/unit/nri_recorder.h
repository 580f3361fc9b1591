/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin for tests of libnri: it writes down what it is asked. */
#ifndef KF_TESTS_NRI_RECORDER_H
#define KF_TESTS_NRI_RECORDER_H

#include "kf_test.h"

#include <nri/nri.h>
#include <stdio.h>
#include <string.h>

/* A plugin that writes down what it is asked, and does as it is told. */
struct recorder {
	char log[4096];
	size_t nlog;
	uint32_t events;	 /* to subscribe to; 0: all that the runtime has */
	int fail;		 /* code to fail every request with */
	const char *env;	 /* value to add in CreateContainer */
	size_t pods, containers; /* seen in Synchronize */
	struct nri_features features;
};

static inline void record(struct recorder *r, const char *what, const char *who)
{
	int n = snprintf(r->log + r->nlog, sizeof(r->log) - r->nlog, "%s%s%s ", what,
			 who ? ":" : "", who ? who : "");

	assert_true(n > 0 && (size_t)n < sizeof(r->log) - r->nlog);
	r->nlog += (size_t)n;
}

static inline int result(struct recorder *r, struct nri_error *err)
{
	return r->fail ? nri_fail(err, r->fail, "as told \xff") : 0;
}

static inline int on_configure(void *ctx, const Nri__ConfigureRequest *req,
			       const struct nri_features *features, uint32_t *events,
			       struct nri_error *err)
{
	struct recorder *r = ctx;

	record(r, "configure", req->runtime_name);
	r->features = *features;
	*events = r->events ? r->events : features->events;
	return result(r, err);
}

static inline int on_synchronize(void *ctx, const Nri__SynchronizeRequest *req,
				 struct nri_reply *reply, struct nri_error *err)
{
	struct recorder *r = ctx;
	Nri__SynchronizeResponse answer = NRI__SYNCHRONIZE_RESPONSE__INIT;

	record(r, "synchronize", req->more ? "more" : "last");
	r->pods += req->n_pods;
	r->containers += req->n_containers;
	nri_reply_add(reply, &answer.base);
	return result(r, err);
}

static inline int on_create(void *ctx, const Nri__CreateContainerRequest *req,
			    struct nri_reply *reply, struct nri_error *err)
{
	struct recorder *r = ctx;
	Nri__KeyValue env = NRI__KEY_VALUE__INIT, *envs[] = {&env};
	Nri__ContainerAdjustment adjust = NRI__CONTAINER_ADJUSTMENT__INIT;
	Nri__CreateContainerResponse answer = NRI__CREATE_CONTAINER_RESPONSE__INIT;

	record(r, "create", req->container->id);
	env.key = (char *)"K";
	env.value = (char *)(uintptr_t)r->env;
	adjust.env = envs;
	adjust.n_env = r->env ? 1 : 0;
	answer.adjust = &adjust;
	/* Twice: the parts of an answer are merged. */
	nri_reply_add(reply, &answer.base);
	nri_reply_add(reply, &answer.base);
	return result(r, err);
}

static inline int on_validate(void *ctx, const Nri__ValidateContainerAdjustmentRequest *req,
			      struct nri_reply *reply, struct nri_error *err)
{
	struct recorder *r = ctx;
	Nri__ValidateContainerAdjustmentResponse answer =
		NRI__VALIDATE_CONTAINER_ADJUSTMENT_RESPONSE__INIT;

	record(r, "validate", req->container->id);
	answer.reject = req->adjust && req->adjust->n_args;
	answer.reason = (char *)"foreign args";
	nri_reply_add(reply, &answer.base);
	return result(r, err);
}

static inline int on_update(void *ctx, const Nri__UpdateContainerRequest *req,
			    struct nri_reply *reply, struct nri_error *err)
{
	(void)reply;
	record(ctx, "update", req->container->id);
	return result(ctx, err);
}

static inline int on_stop(void *ctx, const Nri__StopContainerRequest *req, struct nri_reply *reply,
			  struct nri_error *err)
{
	(void)reply;
	record(ctx, "stop", req->container->id);
	return result(ctx, err);
}

static inline int on_update_pod(void *ctx, const Nri__UpdatePodSandboxRequest *req,
				struct nri_error *err)
{
	record(ctx, "update-pod", req->pod->id);
	return result(ctx, err);
}

#define POD_CALLBACK(name)                                                            \
	static int name(void *ctx, const Nri__PodSandbox *pod, struct nri_error *err) \
	{                                                                             \
		record(ctx, #name, pod->id);                                          \
		return result(ctx, err);                                              \
	}
#define CONTAINER_CALLBACK(name)                                                                \
	static int name(void *ctx, const Nri__PodSandbox *pod, const Nri__Container *container, \
			struct nri_error *err)                                                  \
	{                                                                                       \
		record(ctx, #name, container->id);                                              \
		assert_string_equal(pod->id, "p");                                              \
		return result(ctx, err);                                                        \
	}
POD_CALLBACK(run_pod_sandbox)
POD_CALLBACK(post_update_pod_sandbox)
POD_CALLBACK(stop_pod_sandbox)
POD_CALLBACK(remove_pod_sandbox)
CONTAINER_CALLBACK(post_create_container)
CONTAINER_CALLBACK(start_container)
CONTAINER_CALLBACK(post_start_container)
CONTAINER_CALLBACK(post_update_container)
CONTAINER_CALLBACK(remove_container)

static inline void on_state(void *ctx, enum nri_plugin_state state, const struct nri_error *why)
{
	static const char *const names[] = {"OFFLINE", "CONNECTED", "CONFIGURED", "READY", "ENDED"};

	record(ctx, names[state], why ? "why" : NULL);
}

static const struct nri_plugin_ops all_callbacks = {
	.configure = on_configure,
	.synchronize = on_synchronize,
	.create_container = on_create,
	.validate = on_validate,
	.update_container = on_update,
	.stop_container = on_stop,
	.update_pod_sandbox = on_update_pod,
	.run_pod_sandbox = run_pod_sandbox,
	.post_update_pod_sandbox = post_update_pod_sandbox,
	.stop_pod_sandbox = stop_pod_sandbox,
	.remove_pod_sandbox = remove_pod_sandbox,
	.post_create_container = post_create_container,
	.start_container = start_container,
	.post_start_container = post_start_container,
	.post_update_container = post_update_container,
	.remove_container = remove_container,
	.state_changed = on_state,
};

#endif
