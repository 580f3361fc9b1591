/* SPDX-License-Identifier: Apache-2.0 */
/* src/config/config: every key, every mistake; all mistakes of a file at once. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "config/config.h"
#include "kf_test.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct kf_arena arena;
static char dir[] = "/tmp/kf-config-XXXXXX";

/* Put the directory of this run in for each "@". */
static char *expand(const char *text)
{
	struct kf_buf b = KF_BUF_INIT(1024 * 1024);

	for (; *text; text++) {
		if (*text == '@')
			kf_buf_adds(&b, dir);
		else
			kf_buf_add(&b, text, 1);
	}
	return kf_buf_take(&b);
}

/* Parse @text; the messages, "" if there is none.  Caller frees. */
static char *parse(const char *text, struct kf_config *ret)
{
	struct kf_buf out = KF_BUF_INIT(1024 * 1024);
	KF_FREE char *expanded = expand(text);
	struct kf_diags diags;
	int r;

	kf_arena_reset(&arena);
	kf_diags_init(&diags, &arena);
	r = kf_config_parse(expanded, strlen(expanded), "x.toml", &arena, ret, &diags);
	assert_int_equal(r, diags.nerrors ? -1 : 0);
	kf_diags_sort(&diags);
	kf_diags_format(&diags, &out);
	return kf_buf_take(&out);
}

#define RC   "runtime_classes = [\"nono-runc\"]\n"
#define DP   "default_profile = \"default\"\n"
#define BIN  "nono_bin_path = \"@/nono\"\n"
#define GOOD RC DP BIN

static void smallest_configuration_has_the_documented_defaults(void **state)
{
	struct kf_config c = {0};
	KF_FREE char *messages = parse(GOOD, &c), *launcher = expand("@/nono");

	(void)state;
	assert_string_equal(messages, "");
	assert_int_equal(c.settings.nhandlers, 1);
	assert_string_equal(c.settings.handlers[0], "nono-runc");
	assert_string_equal(c.settings.default_profile, "default");
	assert_string_equal(c.settings.launcher, launcher);
	assert_int_equal(c.settings.seccomp, KF_SECCOMP_LEVEL_RESTRICTED);
	assert_int_equal(c.settings.exec, KF_EXEC_SANDBOX);
	assert_int_equal(c.settings.nallowed_profiles, 0);
	assert_string_equal(c.socket_path, "/var/run/nri/nri.sock");
	assert_null(c.profiles_dir);
}

static void every_key_has_its_effect(void **state)
{
	struct kf_config c = {0};
	KF_FREE char *messages =
		parse("runtime_classes = ['nono-runc', 'kata-qemu']\n" DP BIN
		      "socket_path = \"/run/x.sock\"\n"
		      "seccomp_profile = \"runtime-default\"\n"
		      "vm_rootfs_classes = [\"kata-qemu\"]\n"
		      "allowed_profiles = [\"strict\", \"default\"]\n"
		      "exec = \"deny\"\n"
		      "seccomp_log = true\n"
		      "egress = true\n"
		      "review_size = 64\n"
		      "kata_annotations = [\"io.katacontainers.config.x\"]\n"
		      "profiles_dir = \"/etc/kubefence/profiles\"\n"
		      "[namespaces.team-a]\ndefault_profile = 'strict'\n"
		      "[namespaces.team-b]\nallowed_profiles = ['strict', 'codex']\n",
		      &c);

	(void)state;
	assert_string_equal(messages, "");
	assert_int_equal(c.settings.nhandlers, 2);
	assert_string_equal(c.settings.handlers[1], "kata-qemu");
	assert_string_equal(c.socket_path, "/run/x.sock");
	assert_int_equal(c.settings.seccomp, KF_SECCOMP_LEVEL_RUNTIME_DEFAULT);
	assert_int_equal(c.nvm_rootfs_classes, 1);
	assert_int_equal(c.settings.nnamespaces, 2);
	assert_string_equal(c.settings.namespaces[0], "team-a strict -");
	assert_string_equal(c.settings.namespaces[1], "team-b - strict,codex");
	assert_int_equal(c.settings.nallowed_profiles, 2);
	assert_string_equal(c.settings.allowed_profiles[0], "strict");
	assert_int_equal(c.settings.exec, KF_EXEC_DENY);
	assert_true(c.settings.seccomp_log);
	assert_true(c.settings.egress);
	assert_int_equal(c.settings.review_size, 64);
	assert_int_equal(c.settings.nkata_annotations, 1);
	assert_string_equal(c.settings.kata_annotations[0], "io.katacontainers.config.x");
	assert_string_equal(c.profiles_dir, "/etc/kubefence/profiles");
}

static void empty_values_that_mean_the_default(void **state)
{
	struct kf_config c = {0};
	KF_FREE char *messages = parse(GOOD "socket_path = \"\"\nseccomp_profile = \"\"\n"
					    "vm_rootfs_classes = []\nallowed_profiles = []\n"
					    "profiles_dir = \"\"\n",
				       &c);

	(void)state;
	assert_string_equal(messages, "");
	assert_string_equal(c.socket_path, "/var/run/nri/nri.sock");
	assert_int_equal(c.settings.seccomp, KF_SECCOMP_LEVEL_NONE);
	assert_int_equal(c.settings.nallowed_profiles, 0);
	assert_null(c.profiles_dir);
}

#define LONG64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void each_mistake_names_file_line_key_and_remedy(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		/* missing */
		{DP BIN, "x.toml: error: runtime_classes: required key is missing; add 'runtime_"},
		{RC BIN, "x.toml: error: default_profile: required key is missing; add"},
		{RC DP, "x.toml: error: nono_bin_path: required key is missing; add"},
		{"", "runtime_classes: required key is missing"},
		/* empty */
		{"runtime_classes = []\n" DP BIN, "x.toml:1:19: error: runtime_classes: is empty"},
		{RC "default_profile = \"\"\n" BIN,
		 "x.toml:2:19: error: default_profile: is empty"},
		{RC DP "nono_bin_path = \"\"\n", "x.toml:3:17: error: nono_bin_path: is empty"},
		{"runtime_classes = [\"\"]\n" DP BIN, "x.toml:1:20: error: runtime_classes: '' is"},
		/* type */
		{"runtime_classes = \"nono-runc\"\n" DP BIN, "must be a list of strings"},
		{"runtime_classes = [1]\n" DP BIN,
		 "1:20: error: runtime_classes: must be a string"},
		{"runtime_classes = [[]]\n" DP BIN, "must be a string, not an array"},
		{"runtime_classes.x = 1\n" DP BIN, "must be a list of strings such as [\"...\"], "
						   "not a table"},
		{RC "default_profile = 1\n" BIN, "2:19: error: default_profile: must be a string, "
						 "not an integer"},
		{RC DP "nono_bin_path = true\n", "must be a string, not a boolean"},
		{GOOD "socket_path = 1.5\n",
		 "4:15: error: socket_path: must be a string, not a fl"},
		{GOOD "seccomp_profile = []\n", "seccomp_profile: must be a string, not an array"},
		{GOOD "vm_rootfs_classes = 1\n", "vm_rootfs_classes: must be a list"},
		{GOOD "allowed_profiles = 1979-05-27\n", "allowed_profiles: must be a list of "
							 "strings such as [\"...\"], not a date"},
		{GOOD "exec = {}\n", "exec: must be a string, not a table"},
		{GOOD "seccomp_log = \"on\"\n", "seccomp_log: must be true or false, not a string"},
		{GOOD "profiles_dir = 1\n", "profiles_dir: must be a string"},
		/* value */
		{"runtime_classes = [\"Nono\"]\n" DP BIN, "'Nono' is not a runtime handler's name"},
		{"runtime_classes = [\"a b\"]\n" DP BIN, "'a b' is not a runtime handler's name"},
		{"runtime_classes = [\"a\", \"a\"]\n" DP BIN, "'a' is in the list twice"},
		{"runtime_classes = [\"a\\nb\"]\n" DP BIN, "control character"},
		{"runtime_classes = [\"a\\u0000\"]\n" DP BIN, "control character"},
		{RC "default_profile = \"-x\"\n" BIN, "'-x' is not a profile name"},
		{RC "default_profile = \"_x\"\n" BIN, "'_x' is not a profile name"},
		{RC "default_profile = \"a.b\"\n" BIN, "'a.b' is not a profile name"},
		{RC "default_profile = \"../x\"\n" BIN, "'../x' is not a profile name"},
		{RC "default_profile = \"a" LONG64 "\"\n" BIN, "is not a profile name"},
		{RC DP "nono_bin_path = \"opt/nono\"\n", "is not an absolute path; begin with '/'"},
		{RC DP "nono_bin_path = \"@/../nono\"\n", "is not a plain path; write '/tmp/nono'"},
		{RC DP "nono_bin_path = \"@/none/nono\"\n", "No such file or directory; install"},
		{RC DP "nono_bin_path = \"@/link/nono\"\n", "is a symlink; put the program itself"},
		{RC DP "nono_bin_path = \"@/dir/nono\"\n", "is not a regular file; install"},
		{RC DP "nono_bin_path = \"@/plain/nono\"\n", "is not executable; chmod 0755"},
		{RC DP "nono_bin_path = \"/nono\"\n", "must not be /"},
		{RC DP "nono_bin_path = \"@/other\"\n", "the file must be called 'nono'"},
		{GOOD "socket_path = \"x.sock\"\n",
		 "socket_path: 'x.sock' is not an absolute path"},
		{GOOD "socket_path = \"/" LONG64 LONG64 "\"\n", "too long for a socket"},
		{GOOD "seccomp_profile = \"Restricted\"\n",
		 "'Restricted' is unknown; use \"restri"},
		{GOOD "seccomp_profile = \"agent\"\n", "'agent' is unknown"},
		{GOOD "vm_rootfs_classes = [\"-\"]\n", "vm_rootfs_classes: '-' is not a runtime"},
		{GOOD "namespaces = 3\n", "namespaces: must be at most 256 tables"},
		{GOOD "[namespaces]\na = 3\n", "'a' must be a table, [namespaces.a]"},
		{GOOD "[namespaces.a]\ndefault_profle = \"x\"\n", "'default_profle' is unknown"},
		{GOOD "[namespaces.a]\ndefault_profile = \"x/y\"\n", "'x/y' is not a profile"},
		{GOOD "[namespaces.a]\nallowed_profiles = [\"x y\"]\n", "'x y' is not a profile"},
		{GOOD "[namespaces.A]\n", "'A' is not the name of a namespace"},
		{GOOD "allowed_profiles = [\"a/b\"]\n", "allowed_profiles: 'a/b' is not a profile"},
		{GOOD "kata_annotations = [\"nono.sh/profile\"]\n",
		 "kata_annotations: 'nono.sh/profile' is not the name of one of Kata's"},
		{GOOD "review_size = 0\n", "review_size: must be a number of MiB, from 1"},
		{GOOD "review_size = \"1\"\n", "review_size: must be a number of MiB, from 1"},
		{GOOD "egress = \"yes\"\n", "egress: must be true or false, not a string"},
		{GOOD "exec = \"no\"\n", "exec: 'no' is unknown; use \"sandbox\" or \"deny\""},
		{GOOD "exec = \"\"\n", "exec: '' is unknown"},
		{GOOD "profiles_dir = \"x\"\n", "profiles_dir: 'x' is not an absolute path"},
		/* key */
		{GOOD "runtime_class = []\n", "x.toml:4:1: error: runtime_class: unknown key; did "
					      "you mean 'runtime_classes'?"},
		{GOOD "[table]\n", "x.toml:4:2: error: table: unknown key; remove it"},
		{GOOD "Exec = \"deny\"\n", "Exec: unknown key; did you mean 'exec'?"},
		{GOOD "seccomp-profile = \"\"\n", "did you mean 'seccomp_profile'?"},
		{GOOD "\"\" = 1\n", ": unknown key"},
		/* not TOML */
		{RC RC DP BIN, "x.toml:2:"},
		{GOOD "exec = deny\n", "x.toml:4:8: error: not valid TOML"},
		{GOOD "exec\n", "x.toml:4:"},
		{"\xFF", "x.toml:1:1: error: not valid TOML"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_config c = {.socket_path = "untouched"};
		KF_FREE char *messages = parse(cases[i].text, &c);

		if (!strstr(messages, cases[i].message))
			fail_msg("case %zu: '%s' not in '%s'", i, cases[i].message, messages);
		assert_string_equal(c.socket_path, "untouched");
	}
}

static void all_mistakes_are_reported_at_once_in_order(void **state)
{
	struct kf_config c = {0};
	KF_FREE char *messages = parse("runtime_classes = [1, \"A\", \"ok\"]\n"
				       "seccomp_profile = \"x\"\n"
				       "colour = 1\n"
				       "exec = 2\n",
				       &c);
	static const char *const want[] = {
		"default_profile: required",
		"nono_bin_path: required",
		"x.toml:1:20",
		"x.toml:1:23",
		"x.toml:2:19: error: seccomp",
		"x.toml:3:1: error: col",
		"x.toml:4:8: error: exec",
	};
	const char *at = messages;

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(want); i++) {
		at = strstr(at, want[i]);
		if (!at)
			fail_msg("'%s' not (in order) in '%s'", want[i], messages);
	}
}

static void unreadable_files_are_a_mistake_too(void **state)
{
	struct kf_config c;
	struct kf_diags diags;

	(void)state;
	kf_diags_init(&diags, &arena);
	assert_int_equal(kf_config_load("/nonexistent/x.toml", &arena, &c, &diags), -1);
	assert_int_equal(kf_config_load("/tmp", &arena, &c, &diags), -1);
	assert_int_equal(kf_config_load("/dev/zero", &arena, &c, &diags), -1);
	assert_int_equal(diags.nerrors, 3);
	assert_non_null(strstr(diags.v[0].msg, "No such file or directory; name the config"));
	assert_non_null(strstr(diags.v[1].msg, "not a regular file"));
}

static void put(const char *name, mode_t mode)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	(void)close(fd);
}

static int set_up(void **state)
{
	static const char *const dirs[] = {"link", "dir", "dir/nono", "plain"};
	char path[PATH_MAX];

	(void)state;
	kf_arena_init(&arena, KF_LIMIT_PLAN_MEMORY);
	if (!mkdtemp(dir))
		return -1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, dirs[i]);
		if (mkdir(path, 0755) < 0)
			return -1;
	}
	put("nono", 0755);
	put("other", 0755);
	put("plain/nono", 0644);
	(void)snprintf(path, sizeof(path), "%s/link/nono", dir);
	return symlink("../nono", path);
}

static int tear_down(void **state)
{
	static const char *const names[] = {"nono",	"other", "plain/nono", "link/nono", "link",
					    "dir/nono", "dir",	 "plain",      ""};
	char path[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)remove(path);
	}
	kf_arena_done(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smallest_configuration_has_the_documented_defaults),
		cmocka_unit_test(every_key_has_its_effect),
		cmocka_unit_test(empty_values_that_mean_the_default),
		cmocka_unit_test(each_mistake_names_file_line_key_and_remedy),
		cmocka_unit_test(all_mistakes_are_reported_at_once_in_order),
		cmocka_unit_test(unreadable_files_are_a_mistake_too),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
