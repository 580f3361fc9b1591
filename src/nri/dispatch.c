/* SPDX-License-Identifier: Apache-2.0 */
/* What the plugin is told: requests, from a method's name to its callback, and each change of the
 * connection's state.  plugin.c makes the connection. */
#include "base/cleanup.h"
#include "nri/methods.h"
#include "nri/peek.h"
#include "nri/plugin.h"

#include <event2/event.h>
#include <stddef.h>

/* What a request without them is taken to be about. */
static const Nri__PodSandbox no_pod = NRI__POD_SANDBOX__INIT;
static const Nri__Container no_container = NRI__CONTAINER__INIT;

/* Number of the field that holds the pod. */
#define POD		    1
#define POD_OF_STATE_CHANGE 2

struct method;
typedef int method_fn(struct nri_plugin *p, const struct method *m, const void *msg,
		      struct nri_error *err);
typedef int pod_fn(void *ctx, const Nri__PodSandbox *pod, struct nri_error *err);
typedef int container_fn(void *ctx, const Nri__PodSandbox *pod, const Nri__Container *container,
			 struct nri_error *err);

struct method {
	const char *name;
	Nri__Event event; /* NRI__EVENT__UNKNOWN: not one that is subscribed to */
	const ProtobufCMessageDescriptor *request;
	method_fn *run;
	size_t callback; /* its offset in struct nri_plugin_ops */
};

/* @ops holds a pointer there; only the compiler cannot know that it is aligned. */
#define CALLBACK(p, m, type) \
	(*(type *const *)(const void *)((const char *)(p)->ops + (m)->callback))

/* ---- the plugin's life ---- */

static uint32_t events_with_callback(const struct nri_plugin *p);

static int answer_configure(struct nri_plugin *p, const struct method *m, const void *msg,
			    struct nri_error *err)
{
	const Nri__ConfigureRequest *req = msg;
	Nri__ConfigureResponse answer = NRI__CONFIGURE_RESPONSE__INIT;
	Nri__FailurePolicy policy = NRI__FAILURE_POLICY__INIT;
	struct nri_features features;
	uint32_t events;

	(void)m;
	nri_features_parse(req->runtime_name, req->runtime_version, req->nri_version, &features);
	/* Who has only one connection does not try. */
	if (!p->adopted)
		nri_features_settle(&features, p->refusals == NRI_REFUSALS);
	p->accepted = false;
	events = events_with_callback(p) & features.events;
	if (p->ops->configure && p->ops->configure(p->ctx, req, &features, &events, err) < 0)
		return -1;
	/* None would be taken for all. */
	if (!events || (events & ~features.events))
		return nri_fail(err, NRI_FAILED_PRECONDITION,
				"events 0x%x: subscribe to some of 0x%x (%s %s)", events,
				features.events, req->runtime_name, req->runtime_version);
	answer.events = (int32_t)events;
	policy.fail_request = true;
	if (p->fail_closed)
		answer.failure_policy = &policy;
	nri_reply_add(&p->reply, &answer.base);
	p->next_state = NRI_PLUGIN_CONFIGURED;
	return 0;
}

static int answer_synchronize(struct nri_plugin *p, const struct method *m, const void *msg,
			      struct nri_error *err)
{
	const Nri__SynchronizeRequest *req = msg;
	Nri__SynchronizeResponse more = NRI__SYNCHRONIZE_RESPONSE__INIT;

	(void)m;
	if (p->ops->synchronize && p->ops->synchronize(p->ctx, req, &p->reply, err) < 0)
		return -1;
	if (req->more) {
		nri_reply_reset(&p->reply);
		more.more = true;
		nri_reply_add(&p->reply, &more.base);
	} else {
		p->next_state = NRI_PLUGIN_READY;
	}
	return 0;
}

static int do_nothing(struct nri_plugin *p, const struct method *m, const void *msg,
		      struct nri_error *err)
{
	(void)p;
	(void)m;
	(void)msg;
	(void)err;
	return 0;
}

/* ---- requests with an answer ---- */

/* A decision about nothing would be "fine"; there is none. */
static int need_objects(const void *pod, const void *container, struct nri_error *err)
{
	return pod && container
		       ? 0
		       : nri_fail(err, NRI_INVALID_ARGUMENT, "request without a pod or container");
}

#define REQUEST_WITH_ANSWER(name, type)                                                \
	static int name(struct nri_plugin *p, const struct method *m, const void *msg, \
			struct nri_error *err)                                         \
	{                                                                              \
		const type *req = msg;                                                 \
                                                                                       \
		(void)m;                                                               \
		if (need_objects(req->pod, req->container, err) < 0)                   \
			return -1;                                                     \
		return p->ops->name(p->ctx, req, &p->reply, err);                      \
	}

REQUEST_WITH_ANSWER(create_container, Nri__CreateContainerRequest)
REQUEST_WITH_ANSWER(validate, Nri__ValidateContainerAdjustmentRequest)
REQUEST_WITH_ANSWER(update_container, Nri__UpdateContainerRequest)
REQUEST_WITH_ANSWER(stop_container, Nri__StopContainerRequest)

static int update_pod_sandbox(struct nri_plugin *p, const struct method *m, const void *msg,
			      struct nri_error *err)
{
	const Nri__UpdatePodSandboxRequest *req = msg;

	(void)m;
	if (!req->pod)
		return nri_fail(err, NRI_INVALID_ARGUMENT, "request without a pod");
	return p->ops->update_pod_sandbox(p->ctx, req, err);
}

/* ---- events ---- */

static int tell_pod(struct nri_plugin *p, const struct method *m, const Nri__PodSandbox *pod,
		    struct nri_error *err)
{
	return CALLBACK(p, m, pod_fn)(p->ctx, pod ? pod : &no_pod, err);
}

static int tell_container(struct nri_plugin *p, const struct method *m, const Nri__PodSandbox *pod,
			  const Nri__Container *container, struct nri_error *err)
{
	/* The only one whose result matters to the container. */
	if (m->event == NRI__EVENT__START_CONTAINER && need_objects(pod, container, err) < 0)
		return -1;
	return CALLBACK(p, m, container_fn)(p->ctx, pod ? pod : &no_pod,
					    container ? container : &no_container, err);
}

static int pod_event(struct nri_plugin *p, const struct method *m, const void *msg,
		     struct nri_error *err)
{
	const Nri__PodRequest *req = msg;

	return tell_pod(p, m, req->pod, err);
}

static int container_event(struct nri_plugin *p, const struct method *m, const void *msg,
			   struct nri_error *err)
{
	const Nri__ContainerRequest *req = msg;

	return tell_container(p, m, req->pod, req->container, err);
}

static int state_change(struct nri_plugin *p, const struct method *m, const void *msg,
			struct nri_error *err);

#define PLAIN(method, message, fn)                                                  \
	{                                                                           \
		.name = method, .request = &nri__##message##__descriptor, .run = fn \
	}
#define EVENT(method, number, message, fn, member)                   \
	{                                                            \
		.name = method, .event = NRI__EVENT__##number,       \
		.request = &nri__##message##__descriptor, .run = fn, \
		.callback = offsetof(struct nri_plugin_ops, member)  \
	}

/* clang-format off */
static const struct method methods[] = {
	EVENT("CreateContainer", CREATE_CONTAINER, create_container_request, create_container, create_container),
	EVENT("ValidateContainerAdjustment", VALIDATE_CONTAINER_ADJUSTMENT, validate_container_adjustment_request,
	      validate, validate),
	EVENT("StartContainer", START_CONTAINER, container_request, container_event, start_container),
	EVENT("PostCreateContainer", POST_CREATE_CONTAINER, container_request, container_event, post_create_container),
	EVENT("PostStartContainer", POST_START_CONTAINER, container_request, container_event, post_start_container),
	EVENT("UpdateContainer", UPDATE_CONTAINER, update_container_request, update_container, update_container),
	EVENT("PostUpdateContainer", POST_UPDATE_CONTAINER, container_request, container_event, post_update_container),
	EVENT("StopContainer", STOP_CONTAINER, stop_container_request, stop_container, stop_container),
	EVENT("RemoveContainer", REMOVE_CONTAINER, container_request, container_event, remove_container),
	EVENT("RunPodSandbox", RUN_POD_SANDBOX, pod_request, pod_event, run_pod_sandbox),
	EVENT("UpdatePodSandbox", UPDATE_POD_SANDBOX, update_pod_sandbox_request, update_pod_sandbox,
	      update_pod_sandbox),
	EVENT("PostUpdatePodSandbox", POST_UPDATE_POD_SANDBOX, pod_request, pod_event, post_update_pod_sandbox),
	EVENT("StopPodSandbox", STOP_POD_SANDBOX, pod_request, pod_event, stop_pod_sandbox),
	EVENT("RemovePodSandbox", REMOVE_POD_SANDBOX, pod_request, pod_event, remove_pod_sandbox),
	PLAIN("StateChange", state_change_event, state_change),
	PLAIN("Configure", configure_request, answer_configure),
	PLAIN("Synchronize", synchronize_request, answer_synchronize),
	PLAIN("Shutdown", empty, do_nothing),
};
/* clang-format on */

static const struct method *method_of_event(Nri__Event event)
{
	for (size_t i = 0; event != NRI__EVENT__UNKNOWN && i < KF_ARRAY_SIZE(methods); i++)
		if (methods[i].event == event)
			return &methods[i];
	return NULL;
}

const char *nri_event_method(Nri__Event event)
{
	const struct method *m = method_of_event(event);

	return m ? m->name : NULL;
}

bool nri_event_is_state_change(Nri__Event event)
{
	const struct method *m = method_of_event(event);

	return m && (m->run == pod_event || m->run == container_event);
}

static int state_change(struct nri_plugin *p, const struct method *m, const void *msg,
			struct nri_error *err)
{
	const Nri__StateChangeEvent *req = msg;

	m = method_of_event(req->event);
	if (!m || !CALLBACK(p, m, pod_fn))
		return 0; /* nobody's, or an event of the future */
	if (m->run == pod_event)
		return tell_pod(p, m, req->pod, err);
	if (m->run == container_event)
		return tell_container(p, m, req->pod, req->container, err);
	return 0;
}

static uint32_t events_with_callback(const struct nri_plugin *p)
{
	uint32_t events = 0;

	for (size_t i = 0; i < KF_ARRAY_SIZE(methods); i++)
		if (methods[i].event && CALLBACK(p, &methods[i], pod_fn))
			events |= NRI_EVENT_BIT(methods[i].event);
	return events;
}

/* ---- the connection's state ---- */

void nri_plugin_set_state(struct nri_plugin *plugin, enum nri_plugin_state state,
			  const struct nri_error *why)
{
	plugin->state = state;
	if (state == NRI_PLUGIN_READY) {
		plugin->backoff_ms = plugin->backoff_min_ms;
		(void)event_del(plugin->timer);
	}
	if (plugin->ops->state_changed)
		plugin->ops->state_changed(plugin->ctx, state, why);
}

/* ---- requests ---- */

static const struct method *find_method(const struct nri_ttrpc_request *req)
{
	if (!nri_slice_equal(req->service, NRI_SERVICE_PLUGIN))
		return NULL;
	for (size_t i = 0; i < KF_ARRAY_SIZE(methods); i++)
		if (nri_slice_equal(req->method, methods[i].name))
			return &methods[i];
	return NULL;
}

static Nri__Event event_of(const struct method *m, const struct nri_slice *payload)
{
	return m->run == state_change ? nri_peek_event(payload->p, payload->n) : m->event;
}

/* Whether the request is one that the plugin does not want to hear of. */
static bool is_skipped(const struct nri_plugin *p, const struct method *m,
		       const struct nri_slice *payload)
{
	struct nri_peek peek;

	if (m->event && !CALLBACK(p, m, pod_fn))
		return true;
	if (!p->ops->skip || (!m->event && m->run != state_change) ||
	    !nri_peek_pod(payload->p, payload->n, m->event ? POD : POD_OF_STATE_CHANGE, &peek))
		return false;
	peek.event = event_of(m, payload);
	return p->ops->skip(p->ctx, &peek);
}

/* Run the callback; the answer, if it succeeds, is in p->reply. */
static int handle_request(struct nri_plugin *p, const struct nri_ttrpc_request *req,
			  bool *ret_skipped, struct nri_error *err)
{
	const struct method *m = find_method(req);
	ProtobufCMessage *msg;

	if (!m)
		return nri_fail(err, NRI_UNIMPLEMENTED, "unknown method %.*s/%.*s",
				(int)nri_min(req->service.n, NRI_TTRPC_NAME_MAX), req->service.p,
				(int)nri_min(req->method.n, NRI_TTRPC_NAME_MAX), req->method.p);
	/* What the callbacks decide on is known from Configure on. */
	if ((m->event || m->run == state_change || m->run == answer_synchronize) &&
	    p->state < NRI_PLUGIN_CONFIGURED)
		return nri_fail(err, NRI_FAILED_PRECONDITION, "%s before Configure", m->name);
	p->accepted = p->accepted || m->run != answer_configure;
	*ret_skipped = is_skipped(p, m, &req->payload);
	if (*ret_skipped)
		return 0;
	if (nri_decode_event(&p->decoder, m->request, req->payload.p, req->payload.n,
			     event_of(m, &req->payload), &msg, err) < 0)
		return -1;
	*err = (struct nri_error){.message = "failed without giving a reason"};
	if (m->run(p, m, msg, err) < 0)
		return -1;
	if (p->reply.failed) {
		*err = p->reply.err;
		return -1;
	}
	return 0;
}

void nri_plugin_request(void *plugin, uint32_t stream, const struct nri_ttrpc_request *req)
{
	struct nri_plugin *p = plugin;
	bool skipped = false;
	struct nri_error err;

	nri_reply_reset(&p->reply);
	p->next_state = p->state;
	if (handle_request(p, req, &skipped, &err) < 0) {
		nri_link_reply_error(&p->link, stream, &err);
	} else {
		nri_link_reply(&p->link, stream, p->reply.buf.p, p->reply.buf.n);
		if (p->ops->answered && !skipped)
			p->ops->answered(p->ctx);
		if (p->next_state != p->state && nri_link_is_open(&p->link))
			nri_plugin_set_state(p, p->next_state, NULL);
	}
	nri_decoder_reset(&p->decoder);
}
