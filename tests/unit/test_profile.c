/* SPDX-License-Identifier: Apache-2.0 */
#include "kf_test.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "flat/flat.h"
#include "profile/builtin.h"
#include "profile/profile.h"

#include <stdlib.h>
#include <string.h>

/* One compilation, and what came of it. */
struct run {
	struct kf_arena arena;
	struct kf_diags diags;
	struct kf_compiled compiled;
	struct kf_err err;
	char *messages;
	int r;
};

static struct run *compile(const struct kf_profile_source *sources, size_t n, const char *name)
{
	struct kf_profile_source *all = calloc(n + kf_nprofile_builtins, sizeof(*all));
	struct kf_profile_library library = {all, n + kf_nprofile_builtins};
	struct kf_buf messages = KF_BUF_INIT(1 << 20);
	struct run *run = calloc(1, sizeof(*run));

	assert_non_null(all);
	assert_non_null(run);
	if (n)
		memcpy(all, sources, n * sizeof(*all));
	for (size_t i = 0; i < n; i++)
		all[i].n = strlen(all[i].text);
	memcpy(all + n, kf_profile_builtins, kf_nprofile_builtins * sizeof(*all));
	kf_arena_init(&run->arena, KF_LIMIT_PROFILE_MEMORY);
	kf_diags_init(&run->diags, &run->arena);
	run->r = kf_profile_compile(&library, name, &run->arena, &run->diags, &run->compiled,
				    &run->err);
	kf_diags_format(&run->diags, &messages);
	run->messages = kf_buf_take(&messages);
	free(all);
	return run;
}

static struct run *compile_one(const char *text)
{
	return compile(&(struct kf_profile_source){"p", "p.json", text, 0}, 1, "p");
}

static void done(struct run *run)
{
	free(run->messages);
	kf_arena_done(&run->arena);
	free(run);
}

static void expect_text(struct run *run, const char *line)
{
	if (run->r < 0)
		fail_msg("%s", run->messages);
	if (!strstr(run->compiled.text, line))
		fail_msg("no '%s' in\n%s", line, run->compiled.text);
}

static void expect_no_text(struct run *run, const char *line)
{
	if (run->r < 0)
		fail_msg("%s", run->messages);
	if (strstr(run->compiled.text, line))
		fail_msg("'%s' in\n%s", line, run->compiled.text);
}

static void expect_error(struct run *run, const char *message)
{
	assert_int_equal(run->r, -1);
	if (!strstr(run->messages, message))
		fail_msg("no '%s' in\n%s", message, run->messages);
}

static void test_every_builtin_compiles_without_a_warning(void **state)
{
	(void)state;
	assert_true(kf_nprofile_builtins >= 3);
	assert_int_equal(kf_nprofile_builtins, kf_nbuiltins);
	for (size_t i = 0; i < kf_nprofile_builtins; i++) {
		struct run *run = compile(NULL, 0, kf_profile_builtins[i].name);

		assert_string_equal(run->messages, "");
		assert_int_equal(run->r, 0);
		assert_string_equal(run->compiled.text, kf_builtins[i].text);
		done(run);
	}
}

static void test_both_schemas_mean_the_same(void **state)
{
	(void)state;
	struct run *new_ =
		compile_one("{\"groups\": {\"include\": [\"git_config\"]}, \"filesystem\": "
			    "{\"read\": [\"/data\"], \"allow\": [\"/work\"], \"write\": "
			    "[\"/out\"], \"deny\": [\"/data/secret\"]}}");
	struct run *old = compile_one(
		"{\"security\": {\"groups\": [\"git_config\"]}, \"policy\": {\"add_allow_read\": "
		"[\"/data\"], \"add_allow_readwrite\": [\"/work\"], \"add_allow_write\": "
		"[\"/out\"], "
		"\"add_deny_access\": [\"/data/secret\"]}}");

	expect_text(new_, "fs rx /data\n");
	expect_text(new_, "fs rwx /work\n");
	expect_text(new_, "fs w /out\n");
	expect_text(new_, "fs deny /data/secret\n");
	assert_int_equal(old->r, 0);
	assert_string_equal(new_->compiled.text, old->compiled.text);
	assert_non_null(strstr(old->messages, "'policy.add_allow_read' is an old key; write "
					      "'filesystem.read'"));
	done(new_);
	done(old);
}

static void test_all_errors_come_at_once_with_their_places(void **state)
{
	(void)state;
	struct run *run =
		compile_one("{\n"
			    "  // a comment\n"
			    "  \"filesytem\": {},\n"
			    "  \"workdir\": {\"access\": \"reed\"},\n"
			    "  \"filesystem\": {\"read\": [\"data\", \"/x/*\"], \"reed\": []},\n"
			    "}\n");

	assert_int_equal(run->r, -1);
	assert_string_equal(
		run->messages,
		"p.json:3:3: error: unknown key 'filesytem'; did you mean 'filesystem'?\n"
		"p.json:4:25: error: workdir.access 'reed' is not one of: none, read, write, "
		"readwrite; did you mean 'read'?\n"
		"p.json:5:27: error: path 'data' is relative; it must start with '/', '~' or a "
		"variable (perhaps '$WORKDIR/data')\n"
		"p.json:5:35: error: path '/x/*': the kernel knows no patterns; name the directory "
		"that holds the files\n"
		"p.json:5:44: error: unknown key 'filesystem.reed'; did you mean 'read'?\n");
	done(run);
}

static void test_a_deny_of_a_base_is_not_pierced_by_a_grant(void **state)
{
	(void)state;
	struct run *run = compile_one("{\"extends\": \"default\", \"filesystem\": {\"read\": "
				      "[\"/home/dev/.ssh/known_hosts\"]}}");

	expect_error(run, "'/home/dev/.ssh/known_hosts' is granted here, but '~/.ssh' is denied");
	done(run);
	run = compile_one("{\"extends\": \"default\", \"filesystem\": {\"read\": "
			  "[\"~/.ssh/known_hosts\"], \"bypass_protection\": [\"~/.ssh\"]}}");
	expect_text(run, "fs rx ~/.ssh/known_hosts\n");
	expect_text(run, "fs deny ~/.ssh\n"); /* all but this file */
	done(run);
}

static void test_a_deny_beats_what_bases_and_groups_grant(void **state)
{
	(void)state;
	struct run *run = compile_one(
		"{\"extends\": \"default\", \"filesystem\": {\"deny\": [\"/var/lib\", \"/tmp\"]}}");

	expect_text(run, "fs deny /tmp\n");
	expect_text(run, "fs deny /var/lib\n");
	expect_no_text(run, " /var/lib\nfs r");
	expect_no_text(run, "fs rwx /tmp\n");
	done(run);
}

static bool has_line(const struct run *run, const char *line)
{
	return run->r == 0 && strstr(run->compiled.text, line);
}

static void test_hosts_are_for_the_broker_or_the_cluster(void **state)
{
	(void)state;
	struct run *run = compile_one("{\"network\": {\"allow_domain\": [\"example.com\"]}}");

	assert_true(has_line(run, "\negress host example.com 443\n"));
	assert_false(has_line(run, "\negress elsewhere\n"));
	done(run);
	run = compile_one("{\"network\": {\"allow_domain\": [\"example.com\"], \"enforced_by\": "
			  "\"network-policy\"}}");
	assert_true(has_line(run, "\negress elsewhere\n"));
	done(run);
	/* No cluster denies single names, nor adds keys. */
	run = compile_one("{\"network\": {\"allow_domain\": [\"example.com\"], \"deny_domain\": "
			  "[\"a.example.com\"], \"enforced_by\": \"network-policy\"}}");
	assert_true(has_line(run, "\negress deny a.example.com\n"));
	assert_false(has_line(run, "\negress elsewhere\n"));
	done(run);
	/* What is blocked as a whole needs nobody. */
	run = compile_one("{\"network\": {\"block\": true, \"allow_domain\": [\"example.com\"]}}");
	assert_false(has_line(run, "\negress "));
	done(run);
	run = compile_one("{\"network\": {\"credentials\": [\"openai\"]}}");
	expect_error(run, "network.credentials cannot be enforced: it is about nono's proxy");
	done(run);
}

static void test_circles_of_extends_are_named(void **state)
{
	(void)state;
	const struct kf_profile_source circle[] = {
		{"a", "a.json", "{\"extends\": \"b\"}", 0},
		{"b", "b.json", "{\"extends\": [\"default\", \"c\"]}", 0},
		{"c", "c.json", "{\"extends\": \"a\"}", 0},
	};
	struct run *run = compile(circle, KF_ARRAY_SIZE(circle), "a");

	expect_error(run, "c.json:1:13: error: extends goes in a circle: a -> b -> c -> a");
	done(run);
}

static void test_chains_of_extends_are_limited(void **state)
{
	(void)state;
	struct kf_profile_source chain[13];
	char names[13][8], files[13][16], texts[13][64];
	struct run *run;

	for (size_t i = 0; i < 13; i++) {
		snprintf(names[i], sizeof(names[i]), "p%zu", i);
		snprintf(files[i], sizeof(files[i]), "p%zu.json", i);
		snprintf(texts[i], sizeof(texts[i]), i < 12 ? "{\"extends\": \"p%zu\"}" : "{}",
			 i + 1);
		chain[i] = (struct kf_profile_source){names[i], files[i], texts[i], 0};
	}
	run = compile(chain, 13, "p0");
	expect_error(run, "extends reaches deeper than 10 profiles");
	done(run);
	run = compile(chain, 13, "p4");
	assert_int_equal(run->r, 0);
	done(run);
}

static void test_an_own_default_may_build_on_the_builtin_one(void **state)
{
	(void)state;
	const struct kf_profile_source own = {
		"default", "default.json",
		"{\"extends\": \"default\", \"filesystem\": {\"read\": [\"/run/ours\"]}}", 0};
	struct run *run = compile(&own, 1, "default");

	expect_text(run, "fs rx-root\n");
	expect_text(run, "fs rx /run/ours\n");
	done(run);
	/* ... and heirs of "default" get ours. */
	const struct kf_profile_source two[] = {own,
						{"x", "x.json", "{\"extends\": \"default\"}", 0}};
	run = compile(two, 2, "x");
	expect_text(run, "fs rx /run/ours\n");
	done(run);
}

static void test_required_groups_stay(void **state)
{
	(void)state;
	struct run *run = compile_one("{\"groups\": {\"exclude\": [\"deny_credentials\"]}}");

	expect_error(run, "group 'deny_credentials' cannot be left out");
	done(run);
	run = compile_one("{\"groups\": {\"include\": [\"deny_credential\"]}}");
	expect_error(run, "there is no group 'deny_credential'; did you mean 'deny_credentials'?");
	done(run);
}

static void test_show_compiles_to_the_same_text(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{}",
		"{\"extends\": \"default\", \"filesystem\": {\"quiet\": [\"~/.netrc\", \"/a\"]}}",
		"{\"seccomp\": \"agent\", \"environment\": {\"allow_vars\": [], \"set_vars\": "
		"{\"A\": "
		"\"b \\\"c\\\"\"}}, \"rlimits\": {\"nofile\": [1024, \"unlimited\"], \"core\": 0}, "
		"\"meta\": {\"recipe\": [\"one\", \"two\"]}}",
		"{\"network\": {\"connect_udp_port\": [53], \"listen_udp_port_range\": [[1, 9]], "
		"\"open_port\": [443, 80], \"listen_port\": [8080], "
		"\"allow_domain\": "
		"[\"*.example.com\"], \"enforced_by\": \"network-policy\"}, \"security\": "
		"{\"signal_mode\": \"isolated\", \"ipc_mode\": \"shared_memory_only\"}}",
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(texts); i++) {
		for (int comments = 0; comments < 2; comments++) {
			struct kf_buf shown = KF_BUF_INIT(1 << 20);
			struct run *run = compile_one(texts[i]), *again;

			if (run->r < 0)
				fail_msg("%s", run->messages);
			kf_profile_show(&run->compiled, comments, &shown);
			again = compile_one(shown.p);
			if (again->r < 0)
				fail_msg("%s\n%s", again->messages, shown.p);
			assert_string_equal(run->compiled.text, again->compiled.text);
			done(run);
			done(again);
			kf_buf_done(&shown);
		}
	}
}

static void test_platform_predicates(void **state)
{
	(void)state;
	struct run *run = compile_one(
		"{\"filesystem\": {\"read\": [{\"path\": \"/a\", \"when\": \"linux\"}, {\"path\": "
		"\"/b\", \"when\": \"macos:>=15\"}, {\"path\": \"/c\", \"when\": [\"!macos\"]}]}}");

	expect_text(run, "fs rx /a\n");
	expect_text(run, "fs rx /c\n");
	expect_no_text(run, "fs rx /b\n");
	done(run);
	run = compile_one("{\"filesystem\": {\"read\": [{\"path\": \"/a\", \"when\": "
			  "\"linux:debian:>=12\"}]}}");
	expect_error(run, "depends on the image");
	done(run);
}

static void test_the_number_of_bases_is_limited(void **state)
{
	(void)state;
	struct kf_profile_source sources[80];
	char names[80][8], texts[80][1024];
	struct run *run;

	/* p0 builds on p1 ... p8, each of which builds on eight of its own. */
	for (int i = 0; i < 80; i++) {
		int n = snprintf(texts[i], sizeof(texts[i]), "{\"extends\": [\"strict\"");

		for (int k = 1; k <= 8 && 8 * i + k < 80; k++)
			n += snprintf(texts[i] + n, sizeof(texts[i]) - (size_t)n, ", \"p%d\"",
				      8 * i + k);
		snprintf(texts[i] + n, sizeof(texts[i]) - (size_t)n, "]}");
		snprintf(names[i], sizeof(names[i]), "p%d", i);
		sources[i] = (struct kf_profile_source){names[i], "many.json", texts[i], 0};
	}
	run = compile(sources, 80, "p0");
	expect_error(run, "builds on more than 64 profiles");
	done(run);
	run = compile(sources, 80, "no/name");
	expect_error(run, "not a profile name: letters, digits, '_' and '-', at most 64");
	done(run);
}

static void test_limits(void **state)
{
	(void)state;
	char deep[64] = "", *large = malloc(KF_LIMIT_PROFILE_JSON + 2);
	struct run *run;

	assert_non_null(large);
	for (size_t i = 0; i < 20; i++)
		deep[i] = '[';
	run = compile_one(deep);
	expect_error(run, "nested deeper than 16");
	done(run);
	memset(large, ' ', KF_LIMIT_PROFILE_JSON + 1);
	large[KF_LIMIT_PROFILE_JSON + 1] = '\0';
	run = compile_one(large);
	expect_error(run, "larger than 262144 bytes");
	done(run);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_builtin_compiles_without_a_warning),
		cmocka_unit_test(test_both_schemas_mean_the_same),
		cmocka_unit_test(test_all_errors_come_at_once_with_their_places),
		cmocka_unit_test(test_a_deny_of_a_base_is_not_pierced_by_a_grant),
		cmocka_unit_test(test_a_deny_beats_what_bases_and_groups_grant),
		cmocka_unit_test(test_hosts_are_for_the_broker_or_the_cluster),
		cmocka_unit_test(test_circles_of_extends_are_named),
		cmocka_unit_test(test_chains_of_extends_are_limited),
		cmocka_unit_test(test_an_own_default_may_build_on_the_builtin_one),
		cmocka_unit_test(test_required_groups_stay),
		cmocka_unit_test(test_show_compiles_to_the_same_text),
		cmocka_unit_test(test_platform_predicates),
		cmocka_unit_test(test_the_number_of_bases_is_limited),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
