/* SPDX-License-Identifier: Apache-2.0 */
/* libnri's plugin side apart from what goes over the wire: what it is given to start with,
 * and how it comes back. */
#include "kf_test.h"

#include "base/cleanup.h"
#include "nri/message.h"

#include <event2/event.h>
#include <nri/nri.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct event_base *base; /* one for all: each test leaves it empty */

struct life {
	unsigned offline, connected;
};

static void note_state(void *ctx, enum nri_plugin_state state, const struct nri_error *why)
{
	struct life *life = ctx;

	life->offline += state == NRI_PLUGIN_OFFLINE && why;
	life->connected += state == NRI_PLUGIN_CONNECTED;
}

static int on_create(void *ctx, const Nri__CreateContainerRequest *req, struct nri_reply *reply,
		     struct nri_error *err)
{
	(void)ctx;
	(void)req;
	(void)reply;
	(void)err;
	return 0;
}

static const struct nri_plugin_ops watch = {.create_container = on_create,
					    .state_changed = note_state};

static void a_plugin_comes_back_for_ever(void **state)
{
	char dir[] = "/tmp/kf-nri-XXXXXX", path[64];
	struct nri_plugin_options options = {.name = "test",
					     .index = "10",
					     .socket_path = path,
					     .backoff_min_ms = 1,
					     .backoff_max_ms = 4};
	struct life life = {0};
	struct nri_plugin *plugin;
	struct nri_error err;
	int listener;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/nri.sock", dir);
	assert_int_equal(nri_plugin_new(base, &options, &watch, &life, &plugin, &err), 0);
	nri_plugin_start(plugin);
	while (life.offline < 10) /* no socket yet */
		event_base_loop(base, EVLOOP_ONCE);
	for (unsigned round = 1; round <= 3; round++) {
		int fd;

		assert_int_equal(nri_listen(path, &listener, &err), 0); /* replaces the old one */
		while (life.connected < round)
			event_base_loop(base, EVLOOP_ONCE);
		fd = accept(listener, NULL, NULL);
		assert_true(fd >= 0);
		life.offline = 0;
		close(listener);
		close(fd);
		while (life.offline < 3) /* lost, then refused */
			event_base_loop(base, EVLOOP_ONCE);
	}
	nri_plugin_free(plugin);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
}

static void options_are_checked(void **state)
{
	char path[200];
	const struct nri_plugin_options bad[] = {
		{.index = "10"},
		{.name = "", .index = "10"},
		{.name = "a b", .index = "10"},
		{.name = "a/b", .index = "10"},
		{.name = "a"},
		{.name = "a", .index = "1"},
		{.name = "a", .index = "100"},
		{.name = "a", .index = "1x"},
		{.name = "a", .index = "10", .socket_path = path},
	};
	struct nri_plugin *plugin;
	struct nri_error err;

	(void)state;
	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	for (size_t i = 0; i < KF_ARRAY_SIZE(bad); i++) {
		err.code = 0;
		assert_int_equal(nri_plugin_new(base, &bad[i], &watch, NULL, &plugin, &err), -1);
		assert_int_equal(err.code, NRI_INVALID_ARGUMENT);
	}
}

static void the_environment_of_a_preinstalled_plugin_is_understood(void **state)
{
	static const char *const bad[] = {"", "x", "3x", "-1", "99999999999999999999"};
	struct nri_plugin_options options = {.name = "own", .index = "42"};
	struct nri_error err;

	(void)state;
	unsetenv("NRI_PLUGIN_SOCKET");
	unsetenv("NRI_PLUGIN_NAME");
	unsetenv("NRI_PLUGIN_IDX");
	assert_int_equal(nri_plugin_options_from_environment(&options, &err), 0);
	assert_false(options.adopted);
	assert_string_equal(options.name, "own");
	for (size_t i = 0; i < KF_ARRAY_SIZE(bad); i++) {
		setenv("NRI_PLUGIN_SOCKET", bad[i], 1);
		assert_int_equal(nri_plugin_options_from_environment(&options, &err), -1);
	}
	setenv("NRI_PLUGIN_SOCKET", "3", 1);
	setenv("NRI_PLUGIN_NAME", "theirs", 1);
	setenv("NRI_PLUGIN_IDX", "07", 1);
	assert_int_equal(nri_plugin_options_from_environment(&options, &err), 0);
	assert_true(options.adopted);
	assert_int_equal(options.fd, 3);
	assert_string_equal(options.name, "theirs");
	assert_string_equal(options.index, "07");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plugin_comes_back_for_ever),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(the_environment_of_a_preinstalled_plugin_is_understood),
	};
	int failed;

	base = event_base_new();
	failed = cmocka_run_group_tests_name("nri_plugin_life", tests, NULL, NULL);
	event_base_free(base);
	return failed;
}
