/* SPDX-License-Identifier: Apache-2.0 */
/* libnri, both sides against each other: a plugin's whole life. */
#include "base/cleanup.h"
#include "nri_recorder.h"

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A plugin and a runtime, connected, in one event loop. */
struct pair {
	struct event_base *base;
	struct recorder r;
	struct nri_plugin *plugin;
	struct nri_runtime *rt;
	struct nri_error err;
};

static void pair_open(struct pair *t, const struct nri_plugin_ops *ops,
		      const struct nri_runtime_options *options)
{
	struct nri_plugin_options po = {.name = "test", .index = "10", .adopted = true};
	int fds[2];

	t->base = event_base_new();
	assert_non_null(t->base);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	po.fd = fds[0];
	assert_int_equal(nri_plugin_new(t->base, &po, ops, &t->r, &t->plugin, &t->err), 0);
	assert_int_equal(nri_runtime_new(t->base, fds[1], options, &t->rt, &t->err), 0);
	nri_plugin_start(t->plugin);
}

static void pair_close(struct pair *t)
{
	nri_runtime_free(t->rt);
	nri_plugin_free(t->plugin);
	event_base_free(t->base);
}

static void pair_ready(struct pair *t, const struct nri_plugin_ops *ops,
		       const struct nri_runtime_options *options)
{
	Nri__SynchronizeResponse *sync;
	uint32_t events;

	pair_open(t, ops, options);
	if (nri_runtime_register(t->rt, &events, &t->err) < 0 ||
	    nri_runtime_synchronize(t->rt, NULL, 0, NULL, 0, &sync, &t->err) < 0)
		fail_msg("%s", t->err.message);
	t->r.nlog = 0;
	t->r.log[0] = '\0';
}

static const struct nri_runtime_options containerd_2_3 = {
	.name = "containerd", .version = "v2.3.4", .nri_version = "0.12.0"};
static const struct nri_runtime_options containerd_2_2 = {
	.name = "containerd", .version = "2.2.6+unknown", .state_change = true};

static void a_plugin_registers_and_is_configured(void **state)
{
	struct pair t = {0};
	Nri__SynchronizeResponse *sync;
	uint32_t events = 0;

	(void)state;
	pair_open(&t, &all_callbacks, &containerd_2_3);
	assert_int_equal(nri_plugin_state(t.plugin), NRI_PLUGIN_CONNECTED);
	assert_int_equal(nri_runtime_register(t.rt, &events, &t.err), 0);
	assert_int_equal(events, 0x3fff);
	assert_string_equal(nri_runtime_plugin_name(t.rt), "test");
	assert_string_equal(nri_runtime_plugin_index(t.rt), "10");
	assert_int_equal(nri_plugin_state(t.plugin), NRI_PLUGIN_CONFIGURED);
	assert_int_equal(nri_runtime_synchronize(t.rt, NULL, 0, NULL, 0, &sync, &t.err), 0);
	assert_int_equal(nri_plugin_state(t.plugin), NRI_PLUGIN_READY);
	assert_string_equal(t.r.log,
			    "CONNECTED configure:containerd CONFIGURED synchronize:last READY ");
	assert_true(t.r.features.adjust_args);
	pair_close(&t);
}

/* Both forms reach the same callbacks. */
static void every_event_reaches_its_callback(void **state)
{
	const struct nri_runtime_options *const runtimes[] = {&containerd_2_3, &containerd_2_2};
	static const Nri__Event plain[] = {
		NRI__EVENT__RUN_POD_SANDBOX,	   NRI__EVENT__POST_UPDATE_POD_SANDBOX,
		NRI__EVENT__POST_CREATE_CONTAINER, NRI__EVENT__START_CONTAINER,
		NRI__EVENT__POST_START_CONTAINER,  NRI__EVENT__POST_UPDATE_CONTAINER,
		NRI__EVENT__REMOVE_CONTAINER,	   NRI__EVENT__STOP_POD_SANDBOX,
		NRI__EVENT__REMOVE_POD_SANDBOX};
	Nri__PodSandbox pod = NRI__POD_SANDBOX__INIT;
	Nri__Container ctr = NRI__CONTAINER__INIT;

	(void)state;
	pod.id = (char *)"p";
	ctr.id = (char *)"c";
	for (size_t i = 0; i < KF_ARRAY_SIZE(runtimes); i++) {
		struct pair t = {.r.env = "v"};
		Nri__CreateContainerRequest create = NRI__CREATE_CONTAINER_REQUEST__INIT;
		Nri__ValidateContainerAdjustmentRequest validate =
			NRI__VALIDATE_CONTAINER_ADJUSTMENT_REQUEST__INIT;
		Nri__UpdateContainerRequest update = NRI__UPDATE_CONTAINER_REQUEST__INIT;
		Nri__UpdatePodSandboxRequest update_pod = NRI__UPDATE_POD_SANDBOX_REQUEST__INIT;
		Nri__StopContainerRequest stop = NRI__STOP_CONTAINER_REQUEST__INIT;
		Nri__CreateContainerResponse *created;
		Nri__UpdateContainerResponse *updated;
		Nri__StopContainerResponse *stopped;

		create.pod = validate.pod = update.pod = update_pod.pod = stop.pod = &pod;
		create.container = validate.container = update.container = stop.container = &ctr;
		pair_ready(&t, &all_callbacks, runtimes[i]);
		assert_int_equal(nri_runtime_create_container(t.rt, &create, &created, &t.err), 0);
		assert_int_equal(created->adjust->n_env, 2);
		assert_string_equal(created->adjust->env[1]->value, "v");
		validate.adjust = created->adjust;
		assert_int_equal(nri_runtime_validate(t.rt, &validate, &t.err), 0);
		for (size_t e = 0; e < KF_ARRAY_SIZE(plain); e++)
			assert_int_equal(nri_runtime_event(t.rt, plain[e], &pod, &ctr, &t.err), 0);
		assert_int_equal(nri_runtime_update_container(t.rt, &update, &updated, &t.err), 0);
		assert_int_equal(nri_runtime_update_pod_sandbox(t.rt, &update_pod, &t.err), 0);
		assert_int_equal(nri_runtime_stop_container(t.rt, &stop, &stopped, &t.err), 0);
		assert_string_equal(
			t.r.log, "create:c validate:c run_pod_sandbox:p post_update_pod_sandbox:p "
				 "post_create_container:c start_container:c post_start_container:c "
				 "post_update_container:c remove_container:c stop_pod_sandbox:p "
				 "remove_pod_sandbox:p update:c update-pod:p stop:c ");
		pair_close(&t);
	}
}

static void a_refusal_arrives_with_code_and_reason(void **state)
{
	struct pair t = {0};
	Nri__PodSandbox pod = NRI__POD_SANDBOX__INIT;
	Nri__Container ctr = NRI__CONTAINER__INIT;
	Nri__ContainerAdjustment adjust = NRI__CONTAINER_ADJUSTMENT__INIT;
	Nri__CreateContainerRequest create = NRI__CREATE_CONTAINER_REQUEST__INIT;
	Nri__ValidateContainerAdjustmentRequest validate =
		NRI__VALIDATE_CONTAINER_ADJUSTMENT_REQUEST__INIT;
	Nri__CreateContainerResponse *created = NULL;
	char *args[] = {(char *)"sh"};

	(void)state;
	create.pod = validate.pod = &pod;
	create.container = validate.container = &ctr;
	pair_ready(&t, &all_callbacks, &containerd_2_3);
	t.r.fail = NRI_FAILED_PRECONDITION;
	assert_int_equal(nri_runtime_create_container(t.rt, &create, &created, &t.err), -1);
	assert_int_equal(t.err.code, NRI_FAILED_PRECONDITION);
	assert_string_equal(t.err.message, "as told \\xff");
	assert_null(created);
	t.r.fail = 0;
	/* The connection is as good as before. */
	assert_int_equal(nri_runtime_create_container(t.rt, &create, &created, &t.err), 0);
	adjust.args = args;
	adjust.n_args = 1;
	validate.adjust = &adjust;
	assert_int_equal(nri_runtime_validate(t.rt, &validate, &t.err), -1);
	assert_string_equal(t.err.message, "foreign args");
	pair_close(&t);
}

static void an_answer_that_cannot_be_sent_whole_is_an_error(void **state)
{
	struct pair t = {0};
	Nri__PodSandbox pod = NRI__POD_SANDBOX__INIT;
	Nri__Container ctr = NRI__CONTAINER__INIT;
	Nri__CreateContainerRequest create = NRI__CREATE_CONTAINER_REQUEST__INIT;
	Nri__CreateContainerResponse *created;
	KF_FREE char *large = malloc(3 * 1024 * 1024);

	(void)state;
	assert_non_null(large);
	memset(large, 'x', 3 * 1024 * 1024 - 1);
	large[3 * 1024 * 1024 - 1] = '\0';
	create.pod = &pod;
	create.container = &ctr;
	pair_ready(&t, &all_callbacks, &containerd_2_3);
	t.r.env = "not \xc3\x28 utf-8";
	assert_int_equal(nri_runtime_create_container(t.rt, &create, &created, &t.err), -1);
	assert_int_equal(t.err.code, NRI_INVALID_ARGUMENT);
	assert_string_equal(t.err.message,
			    "CreateContainerResponse: field 'value' is not valid UTF-8");
	t.r.env = large; /* added twice: over 4 MiB */
	assert_int_equal(nri_runtime_create_container(t.rt, &create, &created, &t.err), -1);
	assert_int_equal(t.err.code, NRI_RESOURCE_EXHAUSTED);
	large[1024 * 1024] = '\0';
	assert_int_equal(nri_runtime_create_container(t.rt, &create, &created, &t.err), 0);
	assert_int_equal(strlen(created->adjust->env[1]->value), 1024 * 1024);
	pair_close(&t);
}

static void a_large_synchronize_is_split(void **state)
{
	enum { PODS = 3, CONTAINERS = 2000 };
	struct nri_runtime_options patient = containerd_2_3;
	struct pair t = {0};
	Nri__PodSandbox pod = NRI__POD_SANDBOX__INIT, *pods[PODS] = {&pod, &pod, &pod};
	Nri__Container ctr = NRI__CONTAINER__INIT, *ctrs[CONTAINERS];
	Nri__SynchronizeResponse *sync;
	char *args[1], arg[8192];

	(void)state;
	memset(arg, 'a', sizeof(arg) - 1);
	arg[sizeof(arg) - 1] = '\0';
	args[0] = arg;
	ctr.args = args;
	ctr.n_args = 1;
	for (size_t i = 0; i < CONTAINERS; i++)
		ctrs[i] = &ctr;
	/* 16 MiB take longer than the usual two seconds under valgrind. */
	patient.request_timeout_ms = 60000;
	pair_ready(&t, &all_callbacks, &patient);
	assert_int_equal(nri_runtime_synchronize(t.rt, pods, PODS, ctrs, CONTAINERS, &sync, &t.err),
			 0);
	assert_int_equal(t.r.pods, PODS);
	assert_int_equal(t.r.containers, CONTAINERS);
	assert_string_equal(t.r.log, "synchronize:more synchronize:more synchronize:more "
				     "synchronize:last ");
	pair_close(&t);
}

static void a_subscription_the_runtime_would_choke_on_is_an_error(void **state)
{
	static const uint32_t bad[] = {0x4000, 0x80000000};
	const struct nri_runtime_options old = {.name = "containerd", .version = "v1.7.20"};
	uint32_t events;

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(bad); i++) {
		struct pair t = {.r.events = bad[i]};

		pair_open(&t, &all_callbacks, &containerd_2_3);
		assert_int_equal(nri_runtime_register(t.rt, &events, &t.err), -1);
		assert_int_equal(t.err.code, NRI_FAILED_PRECONDITION);
		assert_int_equal(nri_plugin_state(t.plugin), NRI_PLUGIN_CONNECTED);
		pair_close(&t);
	}
	struct pair t = {.r.events = NRI_EVENT_BIT(NRI__EVENT__VALIDATE_CONTAINER_ADJUSTMENT)};

	pair_open(&t, &all_callbacks, &old);
	assert_int_equal(nri_runtime_register(t.rt, &events, &t.err), -1);
	assert_int_equal(t.r.features.events, 0x7ff);
	assert_false(t.r.features.adjust_args);
	pair_close(&t);
}

static void without_configure_the_callbacks_are_the_subscription(void **state)
{
	static const struct nri_plugin_ops some = {.create_container = on_create,
						   .start_container = start_container};
	struct pair t = {0};
	uint32_t events;

	(void)state;
	pair_open(&t, &some, &containerd_2_3);
	assert_int_equal(nri_runtime_register(t.rt, &events, &t.err), 0);
	assert_int_equal(events, NRI_EVENT_BIT(NRI__EVENT__CREATE_CONTAINER) |
					 NRI_EVENT_BIT(NRI__EVENT__START_CONTAINER));
	pair_close(&t);
}

static void runtimes_are_recognised_however_they_spell_their_version(void **state)
{
	static const struct {
		const char *name, *version, *nri;
		int major, minor, nri_minor;
		uint32_t events;
	} cases[] = {
		{"containerd", "v1.7.16", "", 1, 7, 3, 0x7ff},
		{"containerd", "2.1.6", "", 2, 1, 8, 0x7ff},
		{"containerd", "2.2.6+unknown", "", 2, 2, 10, 0x3fff},
		{"containerd", "v2.2.1-k3s1.34", "", 2, 2, 10, 0x3fff},
		{"containerd", "v2.3.4", "v0.12.0", 2, 3, 12, 0x3fff},
		{"containerd", "v2.3.4", "", 2, 3, 10, 0x3fff},
		{"containerd", "3.0.0", "", 3, 0, 10, 0x3fff},
		{"containerd", "github.com/containerd/containerd v2.2.0", "", 2, 2, 10, 0x3fff},
		{"containerd", "", "", -1, -1, -1, 0x7ff},
		{"containerd", "dev", "(devel)", -1, -1, -1, 0x7ff},
		{"containerd", "9", "", -1, -1, -1, 0x7ff},
		{"containerd", "99999999999999999999.1", "", 9999, 1, 10, 0x3fff},
		{"cri-o", "1.33.2", "", 1, 33, 9, 0x7ff},
		{"cri-o", "1.34.0", "", 1, 34, 9, 0x7ff},
		{"cri-o", "1.35.0-dev", "", 1, 35, 11, 0x3fff},
		{"other", "7.0", "", 7, 0, -1, 0x7ff},
		{"other", "7.0", "0.12.3", 7, 0, 12, 0x3fff},
		{"containerd", "2.1.6", "0.8.0", 2, 1, 8, 0x7ff},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct nri_features f;

		nri_features_parse(cases[i].name, cases[i].version, cases[i].nri, &f);
		if (f.major != cases[i].major || f.minor != cases[i].minor ||
		    f.nri_minor != cases[i].nri_minor || f.events != cases[i].events ||
		    f.validate != (f.events == 0x3fff) || f.adjust_args != f.validate)
			fail_msg("%s '%s' '%s': %d.%d nri 0.%d events 0x%x", cases[i].name,
				 cases[i].version, cases[i].nri, f.major, f.minor, f.nri_minor,
				 f.events);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plugin_registers_and_is_configured),
		cmocka_unit_test(every_event_reaches_its_callback),
		cmocka_unit_test(a_refusal_arrives_with_code_and_reason),
		cmocka_unit_test(an_answer_that_cannot_be_sent_whole_is_an_error),
		cmocka_unit_test(a_large_synchronize_is_split),
		cmocka_unit_test(a_subscription_the_runtime_would_choke_on_is_an_error),
		cmocka_unit_test(without_configure_the_callbacks_are_the_subscription),
		cmocka_unit_test(runtimes_are_recognised_however_they_spell_their_version),
	};

	return cmocka_run_group_tests_name("nri_session", tests, NULL, NULL);
}
