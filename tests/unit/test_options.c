/* SPDX-License-Identifier: Apache-2.0 */
/* src/nono-nri/options: the command line that existing installations use, and mistakes. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "nono-nri/options.h"

#include <string.h>

#define ARGS_MAX 6

static int parse(const char *const *args, struct kf_plugin_options *ret, struct kf_err *err)
{
	char *argv[ARGS_MAX + 2] = {(char *)"nono-nri"};
	int argc = 1;

	for (; argc <= ARGS_MAX && args[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)args[argc - 1];
	return kf_plugin_options_parse(argc, argv, ret, err);
}

static void defaults_are_the_documented_ones(void **state)
{
	static const char *const none[ARGS_MAX] = {NULL};
	struct kf_plugin_options o;

	(void)state;
	assert_int_equal(parse(none, &o, KF_ERR_IGNORED), 0);
	assert_string_equal(o.config, "/etc/nri/conf.d/10-nono-nri.toml");
	assert_string_equal(o.state_dir, "/var/run/nono-nri");
	assert_string_equal(o.node_dir, "/opt/kubefence");
	assert_string_equal(o.listen, "");
	assert_true(o.json);
	assert_int_equal(o.level, KF_LOG_INFO);
	assert_false(o.help || o.version);
}

static void every_flag_has_its_effect(void **state)
{
	static const struct {
		const char *args[ARGS_MAX];
		bool json;
		enum kf_log_level level;
	} cases[] = {
		{{"--config", "c", "--json=false"}, false, KF_LOG_INFO},
		{{"-config=c", "-json=F", "-log-level", "debug"}, false, KF_LOG_DEBUG},
		{{"--config=c", "--json", "--log-level=error"}, true, KF_LOG_ERROR},
		{{"--config=c", "--json=1", "--log-level=warn"}, true, KF_LOG_WARN},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_plugin_options o;

		assert_int_equal(parse(cases[i].args, &o, KF_ERR_IGNORED), 0);
		assert_string_equal(o.config, "c");
		assert_int_equal(o.json, cases[i].json);
		assert_int_equal(o.level, cases[i].level);
	}
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *args[ARGS_MAX];
		const char *message;
	} cases[] = {
		{{"--nothing"}, "unknown option '--nothing'"},
		{{"--config"}, "'--config' needs a value"},
		{{"--json=maybe"}, "'maybe' is neither true nor false"},
		{{"--json", "false"}, "unexpected argument 'false'"},
		{{"--log-level", "loud"}, "--log-level: unknown log level 'loud'"},
		{{"--state-dir", "x"}, "--state-dir: 'x' is not an absolute path"},
		{{"--node-dir", "x"}, "--node-dir: 'x' is not an absolute path"},
		{{"x"}, "unexpected argument 'x'"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_plugin_options o = {.config = "untouched"};
		struct kf_err err = {0};

		assert_int_equal(parse(cases[i].args, &o, &err), -1);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("'%s' not in '%s'", cases[i].message, err.msg);
		assert_string_equal(o.config, "untouched");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_documented_ones),
		cmocka_unit_test(every_flag_has_its_effect),
		cmocka_unit_test(mistakes_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
