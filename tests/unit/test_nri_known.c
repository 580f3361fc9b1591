/* SPDX-License-Identifier: Apache-2.0 */
/* libnri's plugin: which events a runtime really knows, as it is found out by connecting. */
#include "base/cleanup.h"
#include "nri_recorder.h"

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections as they are made: the runtime's ends, one after the other. */
struct dialer {
	struct recorder r; /* the callbacks' context */
	struct event_base *base;
	struct nri_plugin *plugin;
	int fd; /* of the last one, until a runtime has it; -1: none */
	unsigned dialled;
	bool fail; /* there is nobody */
};

static int dial(void *ctx, int *ret_fd, struct nri_error *err)
{
	struct dialer *d = ctx;
	int fds[2];

	d->dialled++;
	if (d->fail)
		return nri_fail(err, NRI_UNAVAILABLE, "nobody is there");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	*ret_fd = fds[0];
	d->fd = fds[1];
	return 0;
}

static void dialer_open(struct dialer *d)
{
	const struct nri_plugin_options options = {.name = "test",
						   .index = "10",
						   .connect = dial,
						   .backoff_min_ms = 60000,
						   .backoff_max_ms = 60000};
	struct nri_error err;

	*d = (struct dialer){.fd = -1, .base = event_base_new()};
	assert_int_equal(nri_plugin_new(d->base, &options, &all_callbacks, d, &d->plugin, &err), 0);
	nri_plugin_start(d->plugin);
}

static void dialer_close(struct dialer *d)
{
	nri_plugin_free(d->plugin);
	if (d->fd >= 0)
		(void)close(d->fd);
	event_base_free(d->base);
}

/* Until the plugin knows that its connection has ended, and what it then does at once. */
static void settle(struct dialer *d)
{
	const unsigned before = d->dialled;

	while (nri_plugin_state(d->plugin) != NRI_PLUGIN_OFFLINE && d->dialled == before)
		(void)event_base_loop(d->base, EVLOOP_ONCE);
	for (unsigned i = 0; i < 3; i++)
		(void)event_base_loop(d->base, EVLOOP_NONBLOCK);
}

/* One connection to a runtime: its subscription, or 0 if it was refused. */
static uint32_t meet(struct dialer *d, const struct nri_runtime_options *options,
		     struct nri_runtime **ret)
{
	struct nri_runtime *rt;
	struct nri_error err;
	uint32_t events;

	assert_true(d->fd >= 0);
	assert_int_equal(nri_runtime_new(d->base, d->fd, options, &rt, &err), 0);
	d->fd = -1;
	if (nri_runtime_register(rt, &events, &err) < 0) {
		nri_runtime_free(rt);
		settle(d);
		return 0;
	}
	*ret = rt;
	return events;
}

static void synchronise(struct nri_runtime *rt)
{
	Nri__SynchronizeResponse *sync;
	struct nri_error err;

	assert_int_equal(nri_runtime_synchronize(rt, NULL, 0, NULL, 0, &sync, &err), 0);
}

/* Whatever the versions say: what counts is which events the runtime takes. */
static void a_runtime_is_taken_for_what_it_takes(void **state)
{
	static const struct {
		struct nri_runtime_options runtime;
		unsigned refused;
		int nri_minor;
		bool validate;
	} cases[] = {
		/* As they should be. */
		{{.name = "cri-o", .version = "1.36.3"}, 0, 11, true},
		{{.name = "cri-o", .version = "1.34.0", .events = 0x7ff}, 2, 9, false},
		{{.name = "containerd", .version = "2.1.6", .events = 0x7ff}, 2, 8, false},
		/* Older than its version. */
		{{.name = "cri-o", .version = "1.35.0", .events = 0x7ff}, 2, 9, false},
		{{.name = "containerd",
		  .version = "2.3.0",
		  .nri_version = "0.12.0",
		  .events = 0x7ff},
		 2,
		 9,
		 false},
		/* Newer. */
		{{.name = "cri-o", .version = "1.34.9"}, 0, 10, true},
		{{.name = "containerd", .version = "1.7.40"}, 0, 10, true},
		{{.name = "other", .version = ""}, 0, 10, true},
		{{.name = "other", .version = "", .events = 0x7ff}, 2, -1, false},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct nri_runtime *rt = NULL;
		unsigned refused = 0;
		struct dialer d;
		uint32_t events;

		dialer_open(&d);
		while ((events = meet(&d, &cases[i].runtime, &rt)) == 0 && refused < 5)
			refused++;
		if (refused != cases[i].refused || d.r.features.validate != cases[i].validate ||
		    d.r.features.adjust_args != cases[i].validate ||
		    d.r.features.events_refused == cases[i].validate ||
		    d.r.features.nri_minor != cases[i].nri_minor ||
		    events != (cases[i].validate ? 0x3fff : 0x7ff))
			fail_msg("%s %s: refused %u times, NRI 0.%d, events 0x%x",
				 cases[i].runtime.name, cases[i].runtime.version, refused,
				 d.r.features.nri_minor, events);
		synchronise(rt);
		assert_int_equal(nri_plugin_state(d.plugin), NRI_PLUGIN_READY);
		nri_runtime_free(rt);
		dialer_close(&d);
	}
}

static void a_runtime_that_comes_back_newer_is_asked_again(void **state)
{
	const struct nri_runtime_options old = {.name = "cri-o",
						.version = "1.34.0",
						.events = 0x7ff},
					 newer = {.name = "cri-o", .version = "1.34.0"};
	struct nri_runtime *rt = NULL;
	struct dialer d;

	(void)state;
	dialer_open(&d);
	assert_int_equal(meet(&d, &old, &rt), 0);
	assert_int_equal(meet(&d, &old, &rt), 0);
	assert_int_equal(meet(&d, &old, &rt), 0x7ff);
	synchronise(rt);
	nri_runtime_free(rt);
	settle(&d);
	assert_int_equal(d.dialled, 3); /* a connection that stood is made again after a while */
	nri_plugin_start(d.plugin);
	assert_int_equal(meet(&d, &newer, &rt), 0x3fff);
	synchronise(rt);
	assert_true(d.r.features.validate);
	nri_runtime_free(rt);
	dialer_close(&d);
}

/* One that ends in this moment is not one that refuses. */
static void a_runtime_that_dies_is_not_taken_for_older(void **state)
{
	const struct nri_runtime_options containerd = {.name = "containerd", .version = "2.4.2"};
	struct nri_runtime *rt = NULL;
	struct dialer d;

	(void)state;
	dialer_open(&d);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(meet(&d, &containerd, &rt), 0x3fff);
		d.fail = true;
		nri_runtime_free(rt);
		settle(&d);
		assert_int_equal(d.dialled, 2 * i + 2); /* once at once, then it waits */
		d.fail = false;
		nri_plugin_start(d.plugin);
	}
	dialer_close(&d);
}

/* Nor is one that went on after Configure and then ended. */
static void a_runtime_that_synchronizes_has_taken_the_events(void **state)
{
	const struct nri_runtime_options containerd = {.name = "containerd", .version = "2.4.2"};
	Nri__SynchronizeRequest part = NRI__SYNCHRONIZE_REQUEST__INIT;
	struct nri_runtime *rt = NULL;
	KF_FREE void *data = NULL;
	const void *answer;
	struct nri_error err;
	struct dialer d;
	size_t n;

	(void)state;
	part.more = true;
	assert_int_equal(nri_encode(&part.base, &data, &n, &err), 0);
	dialer_open(&d);
	assert_int_equal(meet(&d, &containerd, &rt), 0x3fff);
	assert_int_equal(nri_runtime_call(rt, NULL, "Synchronize", data, n, &answer, &n, &err), 0);
	assert_int_equal(nri_plugin_state(d.plugin), NRI_PLUGIN_CONFIGURED);
	nri_runtime_free(rt);
	settle(&d);
	assert_int_equal(d.dialled, 1);
	dialer_close(&d);
}

/* Nor is one that ends every connection: then events are not the reason, and there is a pause. */
static void where_fewer_events_do_not_help_there_is_a_pause(void **state)
{
	const struct nri_runtime_options none = {.name = "cri-o", .version = "1.36.3", .events = 1};
	struct nri_runtime *rt = NULL;
	struct dialer d;

	(void)state;
	dialer_open(&d);
	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(meet(&d, &none, &rt), 0);
		assert_int_equal(d.dialled, i < 3 ? i + 1 : 3);
	}
	nri_plugin_start(d.plugin);
	assert_int_equal(meet(&d, &(struct nri_runtime_options){.name = "cri-o"}, &rt), 0x3fff);
	nri_runtime_free(rt);
	dialer_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_runtime_is_taken_for_what_it_takes),
		cmocka_unit_test(a_runtime_that_comes_back_newer_is_asked_again),
		cmocka_unit_test(a_runtime_that_dies_is_not_taken_for_older),
		cmocka_unit_test(a_runtime_that_synchronizes_has_taken_the_events),
		cmocka_unit_test(where_fewer_events_do_not_help_there_is_a_pause),
	};

	return cmocka_run_group_tests_name("nri_known", tests, NULL, NULL);
}
