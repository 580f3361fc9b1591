/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin of libnri's on a socket, and what a runtime says to it byte by byte. */
#ifndef KF_TESTS_NRI_SCRIPTED_H
#define KF_TESTS_NRI_SCRIPTED_H

#include "nri_raw.h"

#include "base/cleanup.h"
#include "nri/message.h"

#include <nri/nri.h>
#include <stdio.h>
#include <sys/un.h>

struct seen {
	unsigned configured, synchronized, created, removed, ended;
	size_t nargs, reply; /* of the last CreateContainer; bytes to answer with */
	char arg[64];
};

static inline int on_configure(void *ctx, const Nri__ConfigureRequest *req,
			       const struct nri_features *features, uint32_t *events,
			       struct nri_error *err)
{
	(void)req;
	(void)features;
	(void)events;
	(void)err;
	((struct seen *)ctx)->configured++;
	return 0;
}

static inline int on_synchronize(void *ctx, const Nri__SynchronizeRequest *req,
				 struct nri_reply *reply, struct nri_error *err)
{
	(void)reply;
	(void)err;
	((struct seen *)ctx)->synchronized += !req->more;
	return 0;
}

static inline int on_create(void *ctx, const Nri__CreateContainerRequest *req,
			    struct nri_reply *reply, struct nri_error *err)
{
	struct seen *seen = ctx;

	(void)err;
	seen->created++;
	seen->nargs = req->container->n_args;
	(void)snprintf(seen->arg, sizeof(seen->arg), "%s",
		       seen->nargs ? req->container->args[0] : "");
	if (seen->reply) {
		KF_FREE char *bytes = calloc(1, seen->reply);

		assert_non_null(bytes);
		nri_reply_add_encoded(reply, bytes, seen->reply);
	}
	return 0;
}

static inline int on_remove(void *ctx, const Nri__PodSandbox *pod, const Nri__Container *container,
			    struct nri_error *err)
{
	(void)pod;
	(void)container;
	(void)err;
	((struct seen *)ctx)->removed++;
	return 0;
}

static inline void on_state(void *ctx, enum nri_plugin_state state, const struct nri_error *why)
{
	if (state == NRI_PLUGIN_ENDED) {
		assert_non_null(why);
		assert_true(why->code != NRI_OK && *why->message);
		((struct seen *)ctx)->ended++;
	}
}

static const struct nri_plugin_ops ops = {.configure = on_configure,
					  .synchronize = on_synchronize,
					  .create_container = on_create,
					  .remove_container = on_remove,
					  .state_changed = on_state};

struct test {
	struct raw raw;
	struct seen seen;
	struct nri_plugin *plugin;
};

static struct event_base *base; /* one for all: each test leaves it empty */

static inline void test_open_with(struct test *t, size_t memory_max)
{
	struct nri_plugin_options options = {
		.name = "test", .index = "10", .adopted = true, .memory_max = memory_max};
	struct nri_error err;

	*t = (struct test){0};
	options.fd = raw_open(&t->raw, base);
	assert_int_equal(nri_plugin_new(base, &options, &ops, &t->seen, &t->plugin, &err), 0);
	nri_plugin_start(t->plugin);
}

static inline void test_open(struct test *t)
{
	test_open_with(t, 0);
}

static inline void test_close(struct test *t)
{
	nri_plugin_free(t->plugin);
	raw_close(&t->raw);
}

/* ---- what a runtime says ---- */

static inline void put_configure(struct kf_buf *s, uint32_t stream)
{
	Nri__ConfigureRequest req = NRI__CONFIGURE_REQUEST__INIT;

	req.runtime_name = (char *)"containerd";
	req.runtime_version = (char *)"v2.3.4";
	put_call(s, stream, "Configure", &req.base);
}

static inline void put_synchronize(struct kf_buf *s, uint32_t stream)
{
	Nri__SynchronizeRequest req = NRI__SYNCHRONIZE_REQUEST__INIT;

	put_call(s, stream, "Synchronize", &req.base);
}

/* With one argument of @n bytes. */
static inline void put_create(struct kf_buf *s, uint32_t stream, size_t n)
{
	Nri__PodSandbox pod = NRI__POD_SANDBOX__INIT;
	Nri__Container ctr = NRI__CONTAINER__INIT;
	Nri__CreateContainerRequest req = NRI__CREATE_CONTAINER_REQUEST__INIT;
	KF_FREE char *arg = malloc(n + 1);

	assert_non_null(arg);
	memset(arg, 'a', n);
	arg[n] = '\0';
	ctr.args = &arg;
	ctr.n_args = 1;
	req.pod = &pod;
	req.container = &ctr;
	put_call(s, stream, "CreateContainer", &req.base);
}

static inline void put_remove(struct kf_buf *s, uint32_t stream)
{
	Nri__StateChangeEvent req = NRI__STATE_CHANGE_EVENT__INIT;

	req.event = NRI__EVENT__REMOVE_CONTAINER;
	put_call(s, stream, "StateChange", &req.base);
}

/* A whole life on connection 1. */
static inline void put_life(struct kf_buf *s, size_t arg)
{
	put_configure(s, 1);
	put_synchronize(s, 3);
	put_create(s, 5, arg);
	put_remove(s, 7);
}

static inline void expect_life(struct test *t)
{
	raw_settle(&t->raw);
	assert_int_equal(t->seen.configured, 1);
	assert_int_equal(t->seen.synchronized, 1);
	assert_int_equal(t->seen.created, 1);
	assert_int_equal(t->seen.removed, 1);
	/* RegisterPlugin and four answers, in order, all successful. */
	assert_int_equal(t->raw.nmessages, 5);
	for (uint32_t i = 1; i < 5; i++) {
		struct nri_ttrpc_response resp;

		assert_int_equal(t->raw.messages[i].stream, 2 * i - 1);
		assert_true(nri_ttrpc_parse_response(t->raw.messages[i].data, t->raw.messages[i].n,
						     &resp));
		assert_int_equal(resp.code, NRI_OK);
	}
	assert_int_equal(nri_plugin_state(t->plugin), NRI_PLUGIN_READY);
}

/* Send connection 1's stream @s in frames of @frame bytes, and writes of @piece bytes. */
static inline void send_stream(struct test *t, const struct kf_buf *s, size_t frame, size_t piece)
{
	struct kf_buf out = KF_BUF_INIT(RAW_MAX);

	put_frames(&out, 1, s->p, s->n, frame);
	for (size_t at = 0; at < out.n; at += piece) {
		raw_send(&t->raw, out.p + at, out.n - at < piece ? out.n - at : piece);
		if (piece < out.n)
			event_base_loop(base, EVLOOP_NONBLOCK);
	}
	kf_buf_done(&out);
}

/* Bring a fresh plugin to READY; the next free stream is 5. */
static inline void test_ready_with(struct test *t, size_t memory_max)
{
	struct kf_buf s = KF_BUF_INIT(RAW_MAX);

	test_open_with(t, memory_max);
	put_configure(&s, 1);
	put_synchronize(&s, 3);
	send_stream(t, &s, SIZE_MAX, SIZE_MAX);
	raw_settle(&t->raw);
	assert_int_equal(nri_plugin_state(t->plugin), NRI_PLUGIN_READY);
	raw_forget(&t->raw);
	kf_buf_done(&s);
}

static inline void test_ready(struct test *t)
{
	test_ready_with(t, 0);
}

#endif
