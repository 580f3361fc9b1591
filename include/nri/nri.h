/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libnri: the Node Resource Interface (NRI) in C, for plugins and for runtimes.
 *
 * A plugin fills in a struct nri_plugin_ops and calls nri_plugin_new() and
 * nri_plugin_start(); everything then happens inside the caller's libevent loop:
 *
 *	static int create(void *ctx, const Nri__CreateContainerRequest *req,
 *			  struct nri_reply *reply, struct nri_error *err)
 *	{
 *		Nri__ContainerAdjustment adjust = NRI__CONTAINER_ADJUSTMENT__INIT;
 *		Nri__CreateContainerResponse answer = NRI__CREATE_CONTAINER_RESPONSE__INIT;
 *
 *		if (!acceptable(req->container))
 *			return nri_fail(err, NRI_FAILED_PRECONDITION, "why, and what to do");
 *		...
 *		answer.adjust = &adjust;
 *		nri_reply_add(reply, &answer.base);
 *		return 0;
 *	}
 *
 * examples/nri-hello.c (installed as DOCDIR/libnri/examples/nri-hello.c) is a complete program.
 *
 * Conventions.  Functions return 0, or -1 with *err (which may be NULL) set;
 * outputs (ret_*) are untouched on failure.  Nothing here logs, exits, starts a
 * thread or changes a signal, except that sockets never raise SIGPIPE.  Objects
 * belong to one thread, that of their event base.
 *
 * Messages are protobuf-c structures (<nri/nri.pb-c.h>), a subset of the protocol
 * with its field numbers; unknown fields are skipped.  Strings of decoded messages are
 * never NULL, contain no NUL byte (such a request is refused) but need not be
 * UTF-8; what is sent has to be, and is checked.
 *
 * Growth.  Messages and the structures below get new members, always at the end, without a new
 * soname.  A program that is not built again goes on: the generated code of the messages is part of
 * the program (libnri_messages.a, which libnri.pc names), so what the program encodes is encoded as
 * it was built; and the calls that take one of our structures pass its size along.  Those are
 * inline functions; the library's own end in _sized, for languages that do not read this header.
 * A program that is newer than the library, and sets a member that the library does not know, is
 * told so (NRI_UNIMPLEMENTED).  struct nri_error stays as it is for ever.
 */
#ifndef NRI_NRI_H
#define NRI_NRI_H

#include <nri/nri.pb-c.h>
#include <nri/version.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct event_base;

#ifdef __cplusplus
extern "C" {
#endif

#define NRI_SOCKET_PATH "/var/run/nri/nri.sock"

/* The version of the library that the program runs with; NRI_VERSION is that of the header. */
const char *nri_version(void);

/* ---- errors ---- */

/* gRPC status codes: what travels in an answer.  Any of them, sent by a plugin,
 * makes CreateContainer fail; silence or a closed connection does not. */
enum nri_code {
	NRI_OK = 0,
	NRI_UNKNOWN = 2,
	NRI_INVALID_ARGUMENT = 3,
	NRI_DEADLINE_EXCEEDED = 4, /* locally: the peer did not answer in time */
	NRI_PERMISSION_DENIED = 7,
	NRI_RESOURCE_EXHAUSTED = 8, /* locally: over 4 MiB, over the memory cap, no memory */
	NRI_FAILED_PRECONDITION = 9,
	NRI_UNIMPLEMENTED = 12,
	NRI_INTERNAL = 13,    /* locally: the peer breaks the protocol */
	NRI_UNAVAILABLE = 14, /* locally: connection refused, lost or closed */
};

#define NRI_ERROR_MAX 512

struct nri_error {
	int code; /* never NRI_OK once set */
	char message[NRI_ERROR_MAX];
};

/* Set *err; too long a message is cut and ends in "...".  Use nri_fail(), which
 * is always -1: "return nri_fail(err, NRI_INTERNAL, ...);". */
void nri_error_set(struct nri_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define nri_fail(err, code, ...) (nri_error_set((err), (code), __VA_ARGS__), -1)

/* ---- events and what runtimes can do ---- */

/* Bit of a Nri__Event in a subscription: NRI_EVENT_BIT(NRI__EVENT__CREATE_CONTAINER). */
#define NRI_EVENT_BIT(event)	 (UINT32_C(1) << ((event)-1))

/* A runtime as it introduced itself, and what follows from that or, once a plugin has
 * connected, from the events that the runtime took. */
struct nri_features {
	bool is_containerd, is_crio;
	int major, minor;	  /* of the runtime; -1 if they cannot be made out */
	int nri_major, nri_minor; /* of NRI, as told, proved, or from the runtime's version; -1 if
				     unknown */
	uint32_t events;    /* all that may be subscribed to; one unknown bit ends the connection */
	bool adjust_args;   /* args and seccomp_policy are applied; before, silently dropped */
	bool seccomp_errno; /* LinuxSyscall.errno_ret may be set; NRI 0.10 and 0.11 crash on it */
	bool validate;	    /* ValidateContainerAdjustment exists */
	bool start_can_fail; /* an error to StartContainer prevents the start */
	bool events_refused; /* it ended connections that asked for the events of NRI 0.10 */
};

/* What to expect.  @runtime_name "containerd", "cri-o"; versions like "v1.7.16", "2.2.6+unknown",
 * "1.35.0", "".  Strings that say nothing useful give the capabilities of the oldest release. */
void nri_features_parse_sized(const char *runtime_name, const char *runtime_version,
			      const char *nri_version, struct nri_features *ret, size_t size);
static inline void nri_features_parse(const char *runtime_name, const char *runtime_version,
				      const char *nri_version, struct nri_features *ret)
{
	nri_features_parse_sized(runtime_name, runtime_version, nri_version, ret, sizeof(*ret));
}

/* The same, corrected by what a runtime did: it ended connections that asked for the events of
 * NRI 0.10 (@refused), or it took them. */
void nri_features_settle_sized(struct nri_features *features, size_t size, bool refused);
static inline void nri_features_settle(struct nri_features *features, bool refused)
{
	nri_features_settle_sized(features, sizeof(*features), refused);
}

/* ---- answers ---- */

/* An answer being put together.  It may have several parts, which protobuf
 * merges: lists are concatenated, later scalars win.  So whatever is the same in
 * every answer can be encoded once, at configuration time, with nri_encode().
 * A part that cannot be added (no memory, over 4 MiB, a string that is not
 * UTF-8) turns the whole answer into an error: never into a shorter answer. */
struct nri_reply;

/* Encode and append @msg; it may be released afterwards. */
void nri_reply_add(struct nri_reply *reply, const ProtobufCMessage *msg);
/* Append bytes made by nri_encode(); copied. */
void nri_reply_add_encoded(struct nri_reply *reply, const void *data, size_t n);

/* Encode @msg into memory that the caller free()s. */
int nri_encode(const ProtobufCMessage *msg, void **ret, size_t *ret_n, struct nri_error *err);

/* ---- plugin ---- */

enum nri_plugin_state {
	NRI_PLUGIN_OFFLINE,    /* not connected; another attempt is due, see .adopted below */
	NRI_PLUGIN_CONNECTED,  /* RegisterPlugin is sent */
	NRI_PLUGIN_CONFIGURED, /* Configure is answered */
	NRI_PLUGIN_READY,      /* Synchronize is answered: events follow */
	NRI_PLUGIN_ENDED,      /* an adopted connection ended; there is no other one */
};

/* Bytes of a request as they came: not terminated, valid during the call only. */
struct nri_bytes {
	const char *p;
	size_t n; /* 0: it says nothing */
};

/* The pod that a request is about, as it was found on the wire. */
struct nri_peek {
	Nri__Event event;
	struct nri_bytes id, name, uid, pod_namespace, runtime_handler;
};

static inline bool nri_bytes_equal(struct nri_bytes bytes, const char *s)
{
	return strlen(s) == bytes.n && (!bytes.n || memcmp(bytes.p, s, bytes.n) == 0);
}

/* The callbacks of a plugin; a NULL one stands for "fine, nothing to change", and what it would be
 * told is not even decoded.
 * They run one at a time inside the event loop and must not block: a runtime
 * waits 2 s, then closes the connection and goes on *without* the plugin (but see
 * .fail_closed), whereas an error (return -1, *err set) is an answer.  Requests and what they point
 * to are valid during the call only.  @pod and @container are never NULL. */
struct nri_plugin_ops {
	/* The runtime introduced itself.  Set *events to the subscription, a non-empty
	 * subset of @features->events.  Without this callback: every event
	 * that has a callback.  An error ends the connection. */
	int (*configure)(void *ctx, const Nri__ConfigureRequest *req,
			 const struct nri_features *features, uint32_t *events,
			 struct nri_error *err);

	/* Pods and containers that exist already.  Large sets arrive in several calls;
	 * all but the last have @req->more set, and their answers are ignored (the library
	 * acknowledges them).  A call without any may come at any point. */
	int (*synchronize)(void *ctx, const Nri__SynchronizeRequest *req, struct nri_reply *reply,
			   struct nri_error *err);

	/* Answer: Nri__CreateContainerResponse. */
	int (*create_container)(void *ctx, const Nri__CreateContainerRequest *req,
				struct nri_reply *reply, struct nri_error *err);

	/* Accept by returning 0 without an answer, refuse by an error (or by an
	 * Nri__ValidateContainerAdjustmentResponse).  @req->adjust and @req->owners may be NULL. */
	int (*validate)(void *ctx, const Nri__ValidateContainerAdjustmentRequest *req,
			struct nri_reply *reply, struct nri_error *err);

	/* Answer: Nri__UpdateContainerResponse. */
	int (*update_container)(void *ctx, const Nri__UpdateContainerRequest *req,
				struct nri_reply *reply, struct nri_error *err);

	/* The process has ended already.  Answer: Nri__StopContainerResponse. */
	int (*stop_container)(void *ctx, const Nri__StopContainerRequest *req,
			      struct nri_reply *reply, struct nri_error *err);

	int (*update_pod_sandbox)(void *ctx, const Nri__UpdatePodSandboxRequest *req,
				  struct nri_error *err);

	/* These come as requests of their own or as StateChange, depending on
	 * the release; the plugin need not care. */
	int (*run_pod_sandbox)(void *ctx, const Nri__PodSandbox *pod, struct nri_error *err);
	int (*post_update_pod_sandbox)(void *ctx, const Nri__PodSandbox *pod,
				       struct nri_error *err);
	int (*stop_pod_sandbox)(void *ctx, const Nri__PodSandbox *pod, struct nri_error *err);
	int (*remove_pod_sandbox)(void *ctx, const Nri__PodSandbox *pod, struct nri_error *err);
	int (*post_create_container)(void *ctx, const Nri__PodSandbox *pod,
				     const Nri__Container *container, struct nri_error *err);
	int (*start_container)(void *ctx, const Nri__PodSandbox *pod,
			       const Nri__Container *container, struct nri_error *err);
	int (*post_start_container)(void *ctx, const Nri__PodSandbox *pod,
				    const Nri__Container *container, struct nri_error *err);
	int (*post_update_container)(void *ctx, const Nri__PodSandbox *pod,
				     const Nri__Container *container, struct nri_error *err);
	int (*remove_container)(void *ctx, const Nri__PodSandbox *pod,
				const Nri__Container *container, struct nri_error *err);

	/* @state has changed (see nri_plugin_state()).  @why is set when a connection could
	 * not be made or ended. */
	void (*state_changed)(void *ctx, enum nri_plugin_state state, const struct nri_error *why);
	/* The filter: true hands a request about a pod or a container back, answered with "fine,
	 * nothing to change".  It costs a plugin, and so a node, a fraction of what the callback
	 * would: only the pod was looked for, and nothing was decoded or checked.  Not asked if the
	 * pod cannot be told for certain without that (there is none, or two, or it is malformed);
	 * then, and after false, the request's own callback is called. */
	bool (*skip)(void *ctx, const struct nri_peek *pod);

	/* After a callback that succeeded, when its answer is on its way: for what the runtime does
	 * not have to wait for.  That callback's request is valid until this one returns. */
	void (*answered)(void *ctx);
};

/* A field that the plugin does not look at in requests about @events (bits): it is left out when
 * they are decoded, as if it was not there.  Worth it for what is long: a pod's labels, a
 * container's policy. */
struct nri_unused {
	uint32_t events;
	const ProtobufCMessageDescriptor *message;
	uint32_t field; /* its number */
};

struct nri_plugin_options {
	const char *name;	 /* [A-Za-z0-9._+-]+ */
	const char *index;	 /* two digits; plugins run in ascending order */
	const char *socket_path; /* NULL or "": NRI_SOCKET_PATH */
	/* Use descriptor @fd, which is connected already (pre-installed plugins),
	 * instead of socket_path.  Owned by the plugin once nri_plugin_new() succeeds. */
	bool adopted;
	int fd;
	/* How to connect, by whoever may not do it himself; NULL: to socket_path.  Fills *ret_fd
	 * with a descriptor that does not block.  @ctx is that of the callbacks. */
	int (*connect)(void *ctx, int *ret_fd, struct nri_error *err);
	/* Reconnection: after this long, doubled up to the maximum, plus up to a quarter of jitter.
	 * 0: 1000 and 30000.  Each connection attempt blocks other requests of
	 * the runtime for as long as a container is being stopped, so be gentle. */
	unsigned backoff_min_ms, backoff_max_ms;
	/* Ask the runtime to fail what the plugin does not answer, in time or because it is
	 * gone.  NRI < 0.12.4 does not know this wish and goes on without the plugin. */
	bool fail_closed;
	size_t memory_max;		 /* for decoding one request; 0: 64 MiB */
	const struct nri_unused *unused; /* copied */
	size_t nunused;
};

struct nri_plugin;

/* Take NRI_PLUGIN_NAME, NRI_PLUGIN_IDX and NRI_PLUGIN_SOCKET, which a runtime sets
 * for the plugins it starts itself, into @options (strings are borrowed from the
 * environment).  What is not set is left as it is; options->adopted tells. */
int nri_plugin_options_from_environment(struct nri_plugin_options *options, struct nri_error *err);

/* @ctx and @base must outlive the plugin; @options and @ops are copied. */
int nri_plugin_new_sized(struct event_base *base, const struct nri_plugin_options *options,
			 size_t options_size, const struct nri_plugin_ops *ops, size_t ops_size,
			 void *ctx, struct nri_plugin **ret, struct nri_error *err);
static inline int nri_plugin_new(struct event_base *base, const struct nri_plugin_options *options,
				 const struct nri_plugin_ops *ops, void *ctx,
				 struct nri_plugin **ret, struct nri_error *err)
{
	return nri_plugin_new_sized(base, options, sizeof(*options), ops, sizeof(*ops), ctx, ret,
				    err);
}

/* First attempt to connect.  A runtime that is not there is no failure: from now on
 * the plugin keeps trying, for ever. */
void nri_plugin_start(struct nri_plugin *plugin);
enum nri_plugin_state nri_plugin_state(const struct nri_plugin *plugin);
/* Close the connection and release everything.  NULL is fine; not from a callback. */
void nri_plugin_free(struct nri_plugin *plugin);

/* ---- runtime ---- */

/* The runtime's end of a connection to one plugin.  All calls are synchronous: they
 * run the event base until the answer is there, the deadline passes
 * (NRI_DEADLINE_EXCEEDED) or the connection ends (NRI_UNAVAILABLE).  After either of
 * the latter, and after a breach of protocol (NRI_INTERNAL), the object is only
 * good for nri_runtime_free(); any other code is the plugin's own answer.
 * Messages returned are valid until the next call on the same object, whose
 * request may refer to them.  Not to be called from a callback of the same base. */
struct nri_runtime;

struct nri_runtime_options {
	const char *name, *version;	  /* of the runtime; NULL: "libnri", libnri's version */
	const char *nri_version;	  /* NULL: not told, which is what NRI < 0.12 does */
	const char *config;		  /* for the plugin; NULL: none */
	unsigned registration_timeout_ms; /* 0: 5000 */
	unsigned request_timeout_ms;	  /* 0: 2000; also for all of nri_runtime_synchronize() */
	bool state_change;		  /* events as StateChange, as NRI < 0.12 does */
	uint32_t events;   /* that exist: who wants another is refused; 0: all; NRI < 0.10: 0x7ff */
	size_t memory_max; /* for decoding one answer; 0: 64 MiB */
};

/* Listen on @path, replacing a socket that is there; mode 0600. */
int nri_listen(const char *path, int *ret_fd, struct nri_error *err);

/* @fd: connected; owned by the runtime on success. */
int nri_runtime_new_sized(struct event_base *base, int fd,
			  const struct nri_runtime_options *options, size_t options_size,
			  struct nri_runtime **ret, struct nri_error *err);
static inline int nri_runtime_new(struct event_base *base, int fd,
				  const struct nri_runtime_options *options,
				  struct nri_runtime **ret, struct nri_error *err)
{
	return nri_runtime_new_sized(base, fd, options, sizeof(*options), ret, err);
}

void nri_runtime_free(struct nri_runtime *rt);

/* Wait for RegisterPlugin, then send Configure.  *ret_events is the
 * subscription (0 was replaced by "all"). */
int nri_runtime_register(struct nri_runtime *rt, uint32_t *ret_events, struct nri_error *err);
/* As registered; "" before. */
const char *nri_runtime_plugin_name(const struct nri_runtime *rt);
const char *nri_runtime_plugin_index(const struct nri_runtime *rt);

/* Sent whole, or in as many parts as 4 MiB requires. */
int nri_runtime_synchronize(struct nri_runtime *rt, Nri__PodSandbox *const *pods, size_t npods,
			    Nri__Container *const *containers, size_t ncontainers,
			    Nri__SynchronizeResponse **ret, struct nri_error *err);
int nri_runtime_create_container(struct nri_runtime *rt, const Nri__CreateContainerRequest *req,
				 Nri__CreateContainerResponse **ret, struct nri_error *err);
int nri_runtime_update_container(struct nri_runtime *rt, const Nri__UpdateContainerRequest *req,
				 Nri__UpdateContainerResponse **ret, struct nri_error *err);
int nri_runtime_stop_container(struct nri_runtime *rt, const Nri__StopContainerRequest *req,
			       Nri__StopContainerResponse **ret, struct nri_error *err);
/* A refusal is an error too: NRI_FAILED_PRECONDITION with the plugin's reason. */
int nri_runtime_validate(struct nri_runtime *rt, const Nri__ValidateContainerAdjustmentRequest *req,
			 struct nri_error *err);
int nri_runtime_update_pod_sandbox(struct nri_runtime *rt, const Nri__UpdatePodSandboxRequest *req,
				   struct nri_error *err);
/* Every other event; @container is NULL for those of pods.  What the
 * plugin has not subscribed to is not sent. */
int nri_runtime_event(struct nri_runtime *rt, Nri__Event event, Nri__PodSandbox *pod,
		      Nri__Container *container, struct nri_error *err);

/* Call any @method of the plugin's service (or of @service, if not NULL) with encoded
 * messages; for tools and tests.  *ret is valid until the next call. */
int nri_runtime_call(struct nri_runtime *rt, const char *service, const char *method,
		     const void *data, size_t n, const void **ret, size_t *ret_n,
		     struct nri_error *err);

#ifdef __cplusplus
}
#endif

#endif
