/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's end of a connection: synchronous calls on top of the event loop. */
#include "base/cleanup.h"
#include "nri/link.h"
#include "nri/message.h"
#include "nri/methods.h"
#include "nri/sized.h"

#include <event2/event.h>
#include <string.h>

#define REGISTRATION_MS 5000
#define REQUEST_MS	2000
#define ALL_EVENTS	UINT32_C(0x3fff)

struct nri_runtime {
	struct event_base *base;
	char *name, *version, *nri_version, *config;
	unsigned registration_ms, request_ms;
	bool state_change;
	struct nri_link link;
	struct event *deadline;
	bool expired, registered, answered;
	char plugin_name[256], plugin_index[3];
	uint32_t known;	      /* events that it has */
	uint32_t events;      /* those that the plugin wants */
	uint32_t stream;      /* of the call under way */
	struct nri_error err; /* its failure, or what closed the connection */
	bool failed, malformed, closed;
	struct kf_buf answer;
	struct nri_decoder decoder;
	struct nri_reply request; /* encoded; a reply is as good as a request */
};

/* ---- waiting ---- */

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct nri_runtime *rt = arg;

	(void)fd;
	(void)what;
	rt->expired = true;
}

static void start_deadline(struct nri_runtime *rt, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	rt->expired = false;
	(void)event_add(rt->deadline, &tv);
}

/* Give the connection up: what comes on it later would belong to an abandoned call. */
static int give_up(struct nri_runtime *rt, int code, const char *what, const char *why,
		   struct nri_error *err)
{
	nri_link_close(&rt->link);
	rt->closed = true;
	nri_error_set(&rt->err, code, "%s: %s", what, why);
	if (err)
		*err = rt->err;
	return -1;
}

/* Run the loop until *@flag, which a callback sets. */
static int wait_for(struct nri_runtime *rt, const bool *flag, const char *what,
		    struct nri_error *err)
{
	while (!*flag) {
		if (rt->closed)
			return nri_fail(err, rt->err.code, "%s: %s", what, rt->err.message);
		if (rt->expired)
			return give_up(rt, NRI_DEADLINE_EXCEEDED, what, "no answer in time", err);
		if (event_base_loop(rt->base, EVLOOP_ONCE) < 0 || event_base_got_break(rt->base))
			return give_up(rt, NRI_UNAVAILABLE, what, "interrupted", err);
	}
	return 0;
}

/* ---- the plugin's calls ---- */

static void on_register(struct nri_runtime *rt, uint32_t stream, const struct nri_slice *payload)
{
	Nri__RegisterPluginRequest *req;
	ProtobufCMessage *msg;
	struct nri_error err;

	if (nri_decode(&rt->decoder, &nri__register_plugin_request__descriptor, payload->p,
		       payload->n, &msg, &err) < 0) {
		nri_link_reply_error(&rt->link, stream, &err);
		return;
	}
	req = (Nri__RegisterPluginRequest *)msg;
	if (!*req->plugin_name || strlen(req->plugin_name) >= sizeof(rt->plugin_name) ||
	    strlen(req->plugin_idx) != 2 || strspn(req->plugin_idx, "0123456789") != 2) {
		nri_error_set(&err, NRI_INVALID_ARGUMENT,
			      "invalid plugin name or index '%.64s-%.64s'", req->plugin_idx,
			      req->plugin_name);
		nri_link_reply_error(&rt->link, stream, &err);
		return;
	}
	memcpy(rt->plugin_name, req->plugin_name, strlen(req->plugin_name) + 1);
	memcpy(rt->plugin_index, req->plugin_idx, sizeof(rt->plugin_index));
	rt->registered = true;
	nri_link_reply(&rt->link, stream, NULL, 0);
}

static void on_request(void *ctx, uint32_t stream, const struct nri_ttrpc_request *req)
{
	struct nri_runtime *rt = ctx;
	struct nri_error err;

	if (nri_slice_equal(req->service, NRI_SERVICE_RUNTIME) &&
	    nri_slice_equal(req->method, "RegisterPlugin")) {
		on_register(rt, stream, &req->payload);
		return;
	}
	nri_error_set(&err, NRI_UNIMPLEMENTED, "unknown method");
	nri_link_reply_error(&rt->link, stream, &err);
}

/* ---- our calls ---- */

static void on_response(void *ctx, uint32_t stream, const struct nri_ttrpc_response *resp)
{
	struct nri_runtime *rt = ctx;

	if (rt->answered || stream != rt->stream)
		return;
	rt->answered = true;
	rt->failed = rt->malformed = false;
	if (!resp) {
		rt->failed = rt->malformed = true;
	} else if (resp->code != NRI_OK) {
		rt->failed = true;
		nri_error_set(&rt->err, (int)resp->code, "%.*s",
			      (int)nri_min(resp->message.n, NRI_ERROR_MAX),
			      resp->message.n ? (const char *)resp->message.p : "");
	} else {
		kf_buf_reset(&rt->answer);
		kf_buf_add(&rt->answer, resp->payload.n ? (const void *)resp->payload.p : "",
			   resp->payload.n);
		if (rt->answer.failed) {
			rt->failed = true;
			nri_error_set(&rt->err, NRI_RESOURCE_EXHAUSTED, "answer: out of memory");
		}
	}
}

static void on_closed(void *ctx, const struct nri_error *why)
{
	struct nri_runtime *rt = ctx;

	rt->closed = true;
	rt->err = *why;
}

static const struct nri_link_ops link_ops = {on_request, on_response, on_closed};

static int check_open(const struct nri_runtime *rt, const char *method, struct nri_error *err)
{
	return rt->closed ? nri_fail(err, NRI_UNAVAILABLE, "%s: the connection has ended: %s",
				     method, rt->err.message)
			  : 0;
}

/* Call and wait, within the deadline that runs already; the answer is in rt->answer. */
static int call_within(struct nri_runtime *rt, const char *service, const char *method,
		       const void *data, size_t n, struct nri_error *err)
{
	if (check_open(rt, method, err) < 0)
		return -1;
	rt->answered = false;
	if (nri_link_request(&rt->link, service, method, data, n, rt->request_ms, &rt->stream,
			     err) < 0 ||
	    wait_for(rt, &rt->answered, method, err) < 0)
		return -1;
	if (!rt->failed)
		return 0;
	if (rt->malformed)
		return give_up(rt, NRI_INTERNAL, method, "malformed answer", err);
	if (err)
		*err = rt->err;
	return -1;
}

int nri_runtime_call(struct nri_runtime *rt, const char *service, const char *method,
		     const void *data, size_t n, const void **ret, size_t *ret_n,
		     struct nri_error *err)
{
	start_deadline(rt, rt->request_ms);
	if (call_within(rt, service ? service : NRI_SERVICE_PLUGIN, method, data, n, err) < 0)
		return -1;
	*ret = rt->answer.p;
	*ret_n = rt->answer.n;
	return 0;
}

/* Encode @req, call within the running deadline, decode the answer. */
static int exchange_messages(struct nri_runtime *rt, const char *method,
			     const ProtobufCMessage *req, const ProtobufCMessageDescriptor *answer,
			     ProtobufCMessage **ret, struct nri_error *err)
{
	nri_reply_reset(&rt->request);
	nri_reply_add(&rt->request, req);
	if (rt->request.failed) {
		if (err)
			*err = rt->request.err;
		return -1;
	}
	if (call_within(rt, NRI_SERVICE_PLUGIN, method, rt->request.buf.p, rt->request.buf.n, err) <
	    0)
		return -1;
	return nri_decode(&rt->decoder, answer, rt->answer.p, rt->answer.n, ret, err);
}

/* A call for @event, unless the plugin does not want it: then as if it had nothing to say. */
static int call_event(struct nri_runtime *rt, Nri__Event event, const ProtobufCMessage *req,
		      const ProtobufCMessageDescriptor *answer, ProtobufCMessage **ret,
		      struct nri_error *err)
{
	const char *method = nri_event_method(event);

	if (check_open(rt, method, err) < 0)
		return -1;
	if (!(rt->events & NRI_EVENT_BIT(event)))
		return nri_decode(&rt->decoder, answer, "", 0, ret, err);
	start_deadline(rt, rt->request_ms);
	return exchange_messages(rt, method, req, answer, ret, err);
}

int nri_runtime_register(struct nri_runtime *rt, uint32_t *ret_events, struct nri_error *err)
{
	Nri__ConfigureRequest req = NRI__CONFIGURE_REQUEST__INIT;
	ProtobufCMessage *msg;
	uint32_t events;

	start_deadline(rt, rt->registration_ms);
	if (wait_for(rt, &rt->registered, "RegisterPlugin", err) < 0)
		return -1;
	req.config = rt->config;
	req.runtime_name = rt->name;
	req.runtime_version = rt->version;
	req.nri_version = rt->nri_version;
	req.registration_timeout = rt->registration_ms;
	req.request_timeout = rt->request_ms;
	start_deadline(rt, rt->request_ms);
	if (exchange_messages(rt, "Configure", &req.base, &nri__configure_response__descriptor,
			      &msg, err) < 0)
		return -1;
	events = (uint32_t)((Nri__ConfigureResponse *)msg)->events;
	if (events & ~rt->known)
		return give_up(rt, NRI_INTERNAL, "Configure", "unknown events subscribed to", err);
	rt->events = events ? events : rt->known;
	*ret_events = rt->events;
	return 0;
}

const char *nri_runtime_plugin_name(const struct nri_runtime *rt)
{
	return rt->plugin_name;
}

const char *nri_runtime_plugin_index(const struct nri_runtime *rt)
{
	return rt->plugin_index;
}

/* What one element adds to a message. */
static size_t element_size(const ProtobufCMessage *msg)
{
	return protobuf_c_message_get_packed_size(msg) + 1 + NRI_VARINT_MAX;
}

/* How many of the elements from @from on fit into *@room, which shrinks. */
static size_t fit_elements(ProtobufCMessage *const *elements, size_t n, size_t from, size_t *room)
{
	size_t i = from;

	for (; i < n; i++) {
		size_t size = element_size(elements[i]);

		if (size > *room)
			break;
		*room -= size;
	}
	return i - from;
}

int nri_runtime_synchronize(struct nri_runtime *rt, Nri__PodSandbox *const *pods, size_t npods,
			    Nri__Container *const *containers, size_t ncontainers,
			    Nri__SynchronizeResponse **ret, struct nri_error *err)
{
	Nri__SynchronizeResponse *answer;
	ProtobufCMessage *msg;
	size_t pod = 0, container = 0;

	start_deadline(rt, rt->request_ms);
	do {
		Nri__SynchronizeRequest req = NRI__SYNCHRONIZE_REQUEST__INIT;
		size_t room = NRI_TTRPC_DATA_MAX - 2 * NRI_TTRPC_ENVELOPE_MAX;

		req.pods = pods ? (Nri__PodSandbox **)(uintptr_t)(pods + pod) : NULL;
		req.n_pods = fit_elements((ProtobufCMessage *const *)pods, npods, pod, &room);
		req.containers =
			containers ? (Nri__Container **)(uintptr_t)(containers + container) : NULL;
		if (pod + req.n_pods == npods)
			req.n_containers = fit_elements((ProtobufCMessage *const *)containers,
							ncontainers, container, &room);
		pod += req.n_pods;
		container += req.n_containers;
		req.more = pod < npods || container < ncontainers;
		if (req.more && !req.n_pods && !req.n_containers)
			return nri_fail(err, NRI_RESOURCE_EXHAUSTED,
					"Synchronize: one pod or container is larger than a "
					"message may be");
		if (exchange_messages(rt, "Synchronize", &req.base,
				      &nri__synchronize_response__descriptor, &msg, err) < 0)
			return -1;
		answer = (Nri__SynchronizeResponse *)msg;
		if (req.more && (!answer->more || answer->n_update))
			return give_up(rt, NRI_INTERNAL, "Synchronize",
				       "the plugin does not handle split requests", err);
	} while (pod < npods || container < ncontainers);
	*ret = answer;
	return 0;
}

#define CALL_WITH_ANSWER(verb, event, request, response, descriptor)                       \
	int nri_runtime_##verb(struct nri_runtime *rt, const request *req, response **ret, \
			       struct nri_error *err)                                      \
	{                                                                                  \
		ProtobufCMessage *msg;                                                     \
                                                                                           \
		if (call_event(rt, event, &req->base, &descriptor, &msg, err) < 0)         \
			return -1;                                                         \
		*ret = (response *)msg;                                                    \
		return 0;                                                                  \
	}

CALL_WITH_ANSWER(create_container, NRI__EVENT__CREATE_CONTAINER, Nri__CreateContainerRequest,
		 Nri__CreateContainerResponse, nri__create_container_response__descriptor)
CALL_WITH_ANSWER(update_container, NRI__EVENT__UPDATE_CONTAINER, Nri__UpdateContainerRequest,
		 Nri__UpdateContainerResponse, nri__update_container_response__descriptor)
CALL_WITH_ANSWER(stop_container, NRI__EVENT__STOP_CONTAINER, Nri__StopContainerRequest,
		 Nri__StopContainerResponse, nri__stop_container_response__descriptor)

int nri_runtime_validate(struct nri_runtime *rt, const Nri__ValidateContainerAdjustmentRequest *req,
			 struct nri_error *err)
{
	Nri__ValidateContainerAdjustmentResponse *answer;
	ProtobufCMessage *msg;

	if (call_event(rt, NRI__EVENT__VALIDATE_CONTAINER_ADJUSTMENT, &req->base,
		       &nri__validate_container_adjustment_response__descriptor, &msg, err) < 0)
		return -1;
	answer = (Nri__ValidateContainerAdjustmentResponse *)msg;
	if (answer->reject)
		return nri_fail(err, NRI_FAILED_PRECONDITION, "%s", answer->reason);
	return 0;
}

int nri_runtime_update_pod_sandbox(struct nri_runtime *rt, const Nri__UpdatePodSandboxRequest *req,
				   struct nri_error *err)
{
	ProtobufCMessage *msg;

	return call_event(rt, NRI__EVENT__UPDATE_POD_SANDBOX, &req->base, &nri__empty__descriptor,
			  &msg, err);
}

static int state_change(struct nri_runtime *rt, Nri__Event event, Nri__PodSandbox *pod,
			Nri__Container *container, struct nri_error *err)
{
	Nri__StateChangeEvent req = NRI__STATE_CHANGE_EVENT__INIT;
	ProtobufCMessage *msg;

	req.event = event;
	req.pod = pod;
	req.container = container;
	return exchange_messages(rt, "StateChange", &req.base, &nri__empty__descriptor, &msg, err);
}

int nri_runtime_event(struct nri_runtime *rt, Nri__Event event, Nri__PodSandbox *pod,
		      Nri__Container *container, struct nri_error *err)
{
	/* A pod's request is a container's without the container. */
	Nri__ContainerRequest req = NRI__CONTAINER_REQUEST__INIT;
	struct nri_error own;
	ProtobufCMessage *msg;

	if (!nri_event_is_state_change(event))
		return nri_fail(err, NRI_INVALID_ARGUMENT, "event %d has a call of its own",
				(int)event);
	if (check_open(rt, nri_event_method(event), err) < 0)
		return -1;
	if (!(rt->events & NRI_EVENT_BIT(event)))
		return 0;
	req.pod = pod;
	req.container = container;
	start_deadline(rt, rt->request_ms);
	if (rt->state_change)
		return state_change(rt, event, pod, container, err);
	if (exchange_messages(rt, nri_event_method(event), &req.base, &nri__empty__descriptor, &msg,
			      &own) == 0)
		return 0;
	if (own.code == NRI_UNIMPLEMENTED)
		return state_change(rt, event, pod, container, err);
	if (err)
		*err = own;
	return -1;
}

/* ---- life ---- */

static char *copy_string(const char *s, const char *fallback)
{
	return strdup(s ? s : fallback);
}

int nri_runtime_new_sized(struct event_base *base, int fd, const struct nri_runtime_options *given,
			  size_t given_size, struct nri_runtime **ret, struct nri_error *err)
{
	struct nri_runtime_options own, *options = &own;
	struct nri_runtime *rt;

	if (nri_sized_take(&own, sizeof(own), given, given_size, "nri_runtime_options", err) < 0)
		return -1;
	rt = calloc(1, sizeof(*rt));
	if (!rt)
		return nri_fail(err, NRI_RESOURCE_EXHAUSTED, "runtime: out of memory");
	rt->base = base;
	rt->name = copy_string(options->name, "libnri");
	rt->version = copy_string(options->version, KF_VERSION);
	rt->nri_version = copy_string(options->nri_version, "");
	rt->config = copy_string(options->config, "");
	rt->registration_ms = options->registration_timeout_ms ? options->registration_timeout_ms
							       : REGISTRATION_MS;
	rt->request_ms = options->request_timeout_ms ? options->request_timeout_ms : REQUEST_MS;
	rt->state_change = options->state_change;
	rt->known = options->events ? options->events : ALL_EVENTS;
	rt->deadline = evtimer_new(base, on_deadline, rt);
	rt->answer = (struct kf_buf)KF_BUF_INIT(NRI_TTRPC_DATA_MAX);
	nri_link_init(&rt->link, base, NRI_TRUNK_RUNTIME_SERVICE, &link_ops, rt);
	nri_decoder_init(&rt->decoder, options->memory_max, NRI_CHECK_UTF8);
	nri_reply_init(&rt->request);
	if (!rt->name || !rt->version || !rt->nri_version || !rt->config || !rt->deadline) {
		nri_runtime_free(rt);
		return nri_fail(err, NRI_RESOURCE_EXHAUSTED, "runtime: out of memory");
	}
	if (nri_link_open(&rt->link, fd, err) < 0) {
		nri_runtime_free(rt);
		return -1;
	}
	*ret = rt;
	return 0;
}

void nri_runtime_free(struct nri_runtime *rt)
{
	if (!rt)
		return;
	nri_link_done(&rt->link);
	if (rt->deadline)
		event_free(rt->deadline);
	kf_buf_done(&rt->answer);
	nri_decoder_done(&rt->decoder);
	nri_reply_done(&rt->request);
	free(rt->name);
	free(rt->version);
	free(rt->nri_version);
	free(rt->config);
	free(rt);
}
