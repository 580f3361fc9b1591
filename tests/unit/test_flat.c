/* SPDX-License-Identifier: Apache-2.0 */
/* src/flat/flat: the text that decides what a launcher allows. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/sha256.h"
#include "flat/flat.h"
#include "kf_test.h"
#include "profile/builtin.h"
#include "profile/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* @body after the header, with the right checksum. */
static char *seal(const char *body)
{
	struct kf_buf buf = KF_BUF_INIT(4 * KF_LIMIT_POLICY_TEXT);
	char sum[KF_SHA256_HEX + 1];

	kf_buf_addf(&buf, "nono-policy 1\nname test\n%s", body);
	kf_sha256_hex(buf.p, buf.n, sum);
	kf_buf_addf(&buf, "sum %s\n", sum);
	return kf_buf_take(&buf);
}

static int parse_body(const char *body, struct kf_policy *ret, struct kf_err *err)
{
	KF_FREE char *text = seal(body);

	assert_non_null(text);
	return kf_policy_parse(text, strlen(text), ret, err);
}

static void every_rule_is_read(void **state)
{
	struct kf_policy p = {0};
	struct kf_err err = {0};
	const struct kf_rule *r;

	(void)state;
	assert_int_equal(parse_body("seccomp restricted\n"
				    "fs rx /usr\n"
				    "fs rw $WORKDIR\n"
				    "fs rwx ~/.my app\n"
				    "fs w /tmp/a-$UID\n"
				    "fs r $XDG_CONFIG_HOME/x\n"
				    "fs rx-root\n"
				    "fs rwx-homes\n"
				    "fs volumes\n"
				    "fs deny ~/.ssh\n"
				    "net block\n"
				    "net connect 443 8443\n"
				    "net bind 0\n"
				    "scope signal\n"
				    "env drop LD_*\n"
				    "env set A=b c\n"
				    "env keep PATH\n"
				    "rlimit nofile 1024 unlimited\n"
				    "rlimit core 0\n"
				    "note use   it well\n"
				    "fs readonly $WORKDIR/.git/hooks/\n"
				    "fs readonly ~/.bashrc\n"
				    "fs processes\n"
				    "fs devices\n"
				    "fs quiet ~/.netrc\n",
				    &p, &err),
			 0);
	assert_string_equal(p.name, "test");
	assert_int_equal(p.nrules, 26);
	assert_int_equal(p.rules[25].kind, KF_RULE_FS_QUIET);
	assert_string_equal(p.rules[25].arg, "~/.netrc");
	assert_int_equal(p.rules[23].kind, KF_RULE_FS_PROCESSES);
	assert_int_equal(p.rules[24].kind, KF_RULE_FS_DEVICES);
	r = p.rules;
	assert_int_equal(r[0].kind, KF_RULE_SECCOMP);
	assert_string_equal(r[0].arg, "restricted");
	assert_int_equal(r[0].line, 3);
	assert_int_equal(r[1].kind, KF_RULE_FS);
	assert_int_equal(r[1].access, KF_FS_READ | KF_FS_EXEC);
	assert_string_equal(r[1].arg, "/usr");
	assert_int_equal(r[2].access, KF_FS_READ | KF_FS_WRITE);
	assert_int_equal(r[3].access, KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC);
	assert_string_equal(r[3].arg, "~/.my app");
	assert_int_equal(r[4].access, KF_FS_WRITE);
	assert_int_equal(r[6].kind, KF_RULE_FS_ROOT);
	assert_int_equal(r[7].kind, KF_RULE_FS_HOMES);
	assert_int_equal(r[8].kind, KF_RULE_FS_VOLUMES);
	assert_int_equal(r[9].kind, KF_RULE_FS_DENY);
	assert_int_equal(r[10].kind, KF_RULE_NET_BLOCK);
	assert_int_equal(r[11].kind, KF_RULE_NET_CONNECT);
	assert_int_equal(r[11].port, 443);
	assert_int_equal(r[12].port, 8443);
	assert_int_equal(r[13].kind, KF_RULE_NET_BIND);
	assert_int_equal(r[14].kind, KF_RULE_SCOPE);
	assert_string_equal(r[14].verb, "signal");
	assert_string_equal(r[15].verb, "drop");
	assert_string_equal(r[15].arg, "LD_*");
	assert_string_equal(r[16].verb, "set");
	assert_string_equal(r[16].arg, "A=b c");
	assert_string_equal(r[18].verb, "nofile");
	assert_int_equal(r[18].soft, 1024);
	assert_true(r[18].hard == UINT64_MAX);
	assert_int_equal(r[19].hard, 0);
	assert_string_equal(r[20].arg, "use   it well");
	assert_int_equal(r[21].kind, KF_RULE_FS_READONLY);
	assert_int_equal(r[21].access, KF_READONLY_DIRECTORY);
	assert_string_equal(r[21].arg, "$WORKDIR/.git/hooks");
	assert_int_equal(r[22].access, 0);
	assert_string_equal(r[22].arg, "~/.bashrc");
	kf_policy_done(&p);
}

static void ranges_and_patterns_come_back_as_they_were(void **state)
{
	static const char body[] = "net connect 1-65535\n"
				   "net bind 8000-8100\n"
				   "net bind 0\n"
				   "net connect-udp 53\n"
				   "net bind-udp 5000-5010\n"
				   "env drop *TOKEN*\n"
				   "env drop-anycase A_*_B*\n"
				   "env keep-anycase **\n"
				   "env expand A=$HOME/x/$UID\n";
	struct kf_policy p;
	struct kf_err err;
	struct kf_buf out = KF_BUF_INIT(4096);

	(void)state;
	assert_int_equal(parse_body(body, &p, &err), 0);
	assert_int_equal(p.rules[0].port, 1);
	assert_int_equal(p.rules[0].port_last, 65535);
	assert_int_equal(p.rules[2].port, 0);
	assert_int_equal(p.rules[2].port_last, 0);
	assert_int_equal(p.rules[3].kind, KF_RULE_NET_CONNECT_UDP);
	assert_int_equal(p.rules[4].kind, KF_RULE_NET_BIND_UDP);
	assert_int_equal(p.rules[4].port_last, 5010);
	assert_string_equal(p.rules[6].verb, "drop-anycase");
	kf_policy_format("test", p.rules, p.nrules, &out);
	assert_non_null(strstr(out.p, body));
	kf_buf_done(&out);
	kf_policy_done(&p);
}

static void only_what_names_a_place_itself_is_an_exception(void **state)
{
	static const struct {
		enum kf_rule_kind kind;
		const char *grant, *deny;
		bool exception;
	} cases[] = {
		{KF_RULE_FS, "~/.ssh/known_hosts", "~/.ssh", true},
		{KF_RULE_FS, "~/.ssh", "~/.ssh", true},
		{KF_RULE_FS, "~/.sshd", "~/.ssh", false},
		{KF_RULE_FS, "~", "~/.ssh", false},
		{KF_RULE_FS, "$HOME/.ssh/x", "~/.ssh", false},
		{KF_RULE_FS, "$XDG_CONFIG_HOME/gcloud/x", "~/.config/gcloud", false},
		{KF_RULE_FS, "/run/secrets/x", "/var/run/secrets", true},
		{KF_RULE_FS, "/var/run/secrets/x", "/run/secrets", true},
		{KF_RULE_FS_DENY, "~/.ssh/x", "~/.ssh", false},
		{KF_RULE_FS_READONLY, "~/.ssh/x", "~/.ssh", false},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		const struct kf_rule rules[] = {{.kind = cases[i].kind, .arg = cases[i].grant}};
		const struct kf_rule deny = {.kind = KF_RULE_FS_DENY, .arg = cases[i].deny};
		const struct kf_policy policy = {.rules = (struct kf_rule *)(uintptr_t)rules,
						 .nrules = 1};

		assert_int_equal(kf_policy_is_exception(rules, &deny), cases[i].exception);
		assert_int_equal(kf_policy_has_exception(&policy, &deny), cases[i].exception);
	}
}

static void a_volume_is_what_the_rule_for_its_own_path_says(void **state)
{
	static const struct kf_rule rules[] = {
		{.kind = KF_RULE_FS, .arg = "/data", .access = KF_FS_READ},
		{.kind = KF_RULE_FS, .arg = "/data", .access = KF_FS_EXEC},
		{.kind = KF_RULE_FS_DENY, .arg = "/d"},
		{.kind = KF_RULE_FS, .arg = "/srv", .access = KF_FS_READ | KF_FS_WRITE},
	};
	const unsigned all = KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC;

	(void)state;
	assert_int_equal(kf_policy_named_access(rules, 4, "/data", all), KF_FS_READ | KF_FS_EXEC);
	assert_int_equal(kf_policy_named_access(rules, 4, "/data/x", all), all);
	assert_int_equal(kf_policy_named_access(rules, 4, "/d", all), all);
	assert_int_equal(kf_policy_named_access(rules, 4, "/srv", KF_FS_READ), KF_FS_READ);
}

static void what_is_not_understood_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *body, *message;
	} cases[] = {
		{"fs rx /usr\nfs teleport /x\n", "line 4: 'fs teleport'"},
		{"frobnicate 1\n", "line 3: 'frobnicate' is not understood"},
		{"\n", "line 3: '' is not understood"},
		{"# comment\n", "line 3: '#' is not understood"},
		{"fs\n", "line 3: 'fs' needs a value"},
		{"fs  rx /usr\n", "line 3: 'fs' needs a value"},
		{"fs rx\n", "line 3: path '' is not absolute"},
		{"fs rx usr\n", "line 3: path 'usr' is not absolute"},
		{"fs rx /usr \n", "line 3: space at the end"},
		{"fs rx /usr/\n", "trailing '/'"},
		{"fs rx //usr\n", "no '//'"},
		{"fs rx /usr/../etc\n", "'..'"},
		{"fs rx ~/\n", "trailing '/'"},
		{"fs rx ~root\n", "no '//'"},
		{"fs rx $PWD/a\n", "there is no such variable"},
		{"fs rx ${HOME}\n", "there is no such variable"},
		{"fs rx /a/$HOME\n", "only $UID"},
		{"fs rx /a/$UIDS\n", "only $UID"},
		{"fs rx /\n", "granting '/'"},
		{"fs rw /\n", "granting '/'"},
		{"fs deny /\n", "denying '/'"},
		{"fs deny\n", "is not absolute"},
		{"fs readonly /\n", "a read-only '/'"},
		{"fs readonly //\n", "a read-only '/'"},
		{"fs readonly /a//\n", "trailing '/'"},
		{"fs readonly a/\n", "is not absolute"},
		{"fs readonly\n", "is not absolute"},
		{"fs wx /tmp\n", "'fs wx'"},
		{"fs volumes /x\n", "'fs volumes'"},
		{"fs devices /dev/fuse\n", "'fs devices'"},
		{"fs processes /proc\n", "'fs processes'"},
		{"net\n", "needs a value"},
		{"net block 1\n", "'net block'"},
		{"net connect\n", "'' is not a port"},
		{"net connect 0\n", "'0' is not a port"},
		{"fs quiet /\n", "quiet '/'"},
		{"fs quiet x\n", "not absolute"},
		{"net connect-udp 0\n", "'0' is not a port"},
		{"net connect-tcp 1\n", "'net connect-tcp'"},
		{"net connect 65536\n", "'65536' is not a port"},
		{"net connect 443  80\n", "'' is not a port"},
		{"net connect 443 \n", "space at the end"},
		{"net bind 080\n", "'080' is not a port"},
		{"net bind -1\n", "'-1' is not a port"},
		{"net listen 1\n", "'net listen'"},
		{"scope user\n", "'scope user'"},
		{"env drop\n", "'env drop ': not a name"},
		{"env drop A B\n", "'env drop A B'"},
		{"env drop A-*\n", "not a name"},
		{"env set A*=1\n", "not NAME=VALUE"},
		{"env expand A\n", "not NAME=VALUE"},
		{"env expand A=b\n", "'b' is not absolute"},
		{"env expand A=$PWD\n", "no such variable"},
		{"net connect 1-\n", "'1-' is not a port"},
		{"net connect -\n", "'-' is not a port"},
		{"net connect 2-1\n", "'2-1' is not a port"},
		{"net connect 2-2\n", "'2-2' is not a port"},
		{"net bind 0-5\n", "'0-5' is not a port"},
		{"net bind 1-65536\n", "'1-65536' is not a port"},
		{"net bind 1-2-3\n", "is not a port"},
		{"env drop 1A\n", "not a variable name"},
		{"env set A\n", "not NAME=VALUE"},
		{"env set =b\n", "not NAME=VALUE"},
		{"env unset A\n", "'env unset'"},
		{"rlimit files 1\n", "no such limit"},
		{"rlimit nofile\n", "is not a limit"},
		{"rlimit nofile 2 1\n", "above the hard"},
		{"rlimit nofile 1 2 3\n", "is not a limit"},
		{"rlimit nofile 18446744073709551615\n", "is not a limit"},
		{"rlimit nofile 18446744073709551616\n", "is not a limit"},
		{"seccomp RESTRICTED\n", "is not a level"},
		{"name again\n", "'name' is not understood"},
		{"nono-policy 1\n", "'nono-policy' is not understood"},
		{"sum 00\n", "'sum' is not understood"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_policy p = {0};
		struct kf_err err = {0};

		if (parse_body(cases[i].body, &p, &err) == 0)
			fail_msg("accepted: %s", cases[i].body);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("%s: message '%s' lacks '%s'", cases[i].body, err.msg,
				 cases[i].message);
		assert_null(p.text);
	}
}

static void assert_refused(const char *text, size_t n, const char *message)
{
	struct kf_policy p = {0};
	struct kf_err err = {0};

	assert_int_equal(kf_policy_parse(text, n, &p, &err), -1);
	if (!strstr(err.msg, message))
		fail_msg("message '%s' lacks '%s'", err.msg, message);
}

/* The parser and kf_path_clean() have each their own idea of it: every path of up to 7
 * characters of these three. */
static void a_path_is_taken_exactly_if_it_is_clean(void **state)
{
	enum { CHARS = 3, MORE = 6 };
	unsigned taken = 0, total = 1;

	(void)state;
	for (unsigned i = 0; i < MORE; i++)
		total *= CHARS + 1;
	for (unsigned i = 1; i < total; i++) {
		char path[MORE + 2] = "/", clean[sizeof(path) + 1], body[64];
		struct kf_policy p = {0};
		struct kf_err err = {0};
		size_t n = 1;
		bool good;

		for (unsigned k = i; k; k /= CHARS + 1)
			if (k % (CHARS + 1))
				path[n++] = "/.a"[k % (CHARS + 1) - 1];
		(void)snprintf(body, sizeof(body), "fs r %s\n", path);
		good = kf_path_clean(path, clean, sizeof(clean)) && strcmp(path, clean) == 0;
		if ((parse_body(body, &p, &err) == 0) != good)
			fail_msg("'%s' is %s", path, good ? "refused" : "taken");
		taken += good;
		kf_policy_done(&p);
	}
	assert_true(taken > 100 && taken < total - 100);
}

static void damage_anywhere_is_noticed(void **state)
{
	KF_FREE char *good = seal("fs rx /usr\nfs deny /run/secrets\nnet block\n");
	size_t n = strlen(good);
	struct kf_err err;

	(void)state;
	for (size_t i = 0; i <= n; i++) {
		struct kf_policy p = {0};
		char c = good[i];

		/* every prefix, and every byte changed in turn */
		if (i < n) {
			assert_int_equal(kf_policy_parse(good, i, &p, &err), -1);
			good[i] = (char)(c ^ 1);
			assert_int_equal(kf_policy_parse(good, n, &p, &err), -1);
			good[i] = c;
		} else {
			assert_int_equal(kf_policy_parse(good, i, &p, &err), 0);
			kf_policy_done(&p);
		}
	}
	assert_refused("", 0, "line 1");
	assert_refused("nono-policy 2\n", 14, "not 'nono-policy 1'");
	assert_refused(good, n - 1, "cut short");
	good[20] = '\0';
	assert_refused(good, n, "control character");
}

static void names_must_be_profile_names(void **state)
{
	static const char *const names[] = {"", "-a", "a b", "../x", "a/b"};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++) {
		struct kf_buf buf = KF_BUF_INIT(4096);

		kf_policy_format(names[i], NULL, 0, &buf);
		assert_refused(buf.p, buf.n, "line 2");
		kf_buf_done(&buf);
	}
}

static void a_policy_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
	const size_t body = KF_LIMIT_POLICY_TEXT - strlen("nono-policy 1\nname test\n") -
			    strlen("sum \n") - KF_SHA256_HEX;
	KF_FREE char *s = malloc(body + 2);
	struct kf_policy p = {0};
	struct kf_err err = {0};

	(void)state;
	assert_non_null(s);
	memset(s, 'x', body + 1);
	memcpy(s, "note ", 5);
	s[body - 1] = '\n';
	s[body] = '\0';
	assert_int_equal(parse_body(s, &p, &err), 0);
	assert_int_equal(strlen(p.rules[0].arg), body - 6);
	kf_policy_done(&p);
	s[body - 1] = 'x';
	s[body] = '\n';
	s[body + 1] = '\0';
	assert_int_equal(parse_body(s, &p, &err), -1);
	assert_int_equal(err.code, EFBIG);
}

static void formatting_what_was_parsed_gives_the_same_text(void **state)
{
	KF_FREE char *text = seal(
		"seccomp agent\nfs rx /usr\nfs w ~/x y\nfs rx-root\nfs rwx-homes\n"
		"fs volumes\nfs processes\nfs devices\nfs deny /run/secrets\nnet block\nnet "
		"connect 443\n"
		"net bind 80\nscope abstract\nenv drop A*\nenv drop *\nenv keep B\nenv set C=\n"
		"rlimit stack 1 unlimited\nnote hello\n");
	struct kf_buf out = KF_BUF_INIT(KF_LIMIT_POLICY_TEXT);
	struct kf_policy p = {0};
	struct kf_err err = {0};

	(void)state;
	assert_int_equal(kf_policy_parse(text, strlen(text), &p, &err), 0);
	kf_policy_format(p.name, p.rules, p.nrules, &out);
	assert_string_equal(out.p, text);
	kf_buf_done(&out);
	kf_policy_done(&p);
}

static void builtins_parse_and_are_named_after_themselves(void **state)
{
	(void)state;
	assert_true(kf_nbuiltins >= 1);
	for (size_t i = 0; i < kf_nbuiltins; i++) {
		struct kf_policy p = {0};
		struct kf_err err = {0};

		if (kf_policy_parse(kf_builtins[i].text, kf_builtins[i].n, &p, &err) < 0)
			fail_msg("%s: %s", kf_builtins[i].name, err.msg);
		assert_string_equal(p.name, kf_builtins[i].name);
		kf_policy_done(&p);
	}
}

static void directories_of_the_system_are_known(void **state)
{
	static const struct {
		const char *path;
		bool covers;
	} cases[] = {
		{"/", true},	       {"/usr", true},	      {"/usr/bin", true},
		{"/etc", true},	       {"/var", true},	      {"/run", true},
		{"/proc", true},       {"/proc/sys", true},   {"/sys/fs", true},
		{"/dev", true},	       {"/dev/shm", true},    {"/usr/src/app", false},
		{"/usr/local", true},  {"/app", false},	      {"/home/u", false},
		{"/root", false},      {"/var/lib/x", false}, {"/etcetera", false},
		{"/etc/nginx", false},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++)
		if (kf_policy_covers_system(cases[i].path) != cases[i].covers)
			fail_msg("%s", cases[i].path);
}

static void rules_that_name_a_pods_file_for_writing_are_known(void **state)
{
	static const struct {
		struct kf_rule rule;
		bool names;
	} cases[] = {
		{{KF_RULE_FS, .access = KF_FS_WRITE, .arg = "/etc/hosts"}, true},
		{{KF_RULE_FS, .access = KF_FS_WRITE | KF_FS_READ, .arg = "/etc"}, true},
		{{KF_RULE_FS, .access = KF_FS_READ, .arg = "/etc/hosts"}, false},
		{{KF_RULE_FS, .access = KF_FS_WRITE, .arg = "/etc/hosts.d"}, false},
		{{KF_RULE_FS, .access = KF_FS_WRITE, .arg = "~"}, false},
		{{KF_RULE_FS_DENY, .arg = "/etc/hosts"}, false},
		{{KF_RULE_FS_VOLUMES}, false},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++)
		if (kf_policy_writes_pod_files(&cases[i].rule) != cases[i].names)
			fail_msg("%s", cases[i].rule.arg);
}

static void volumes_are_granted_as_mounted_but_the_pods_own_files_to_read(void **state)
{
	static const struct {
		const char *path;
		bool writable;
		unsigned access;
	} cases[] = {
		{"/data", true, KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC},
		{"/data", false, KF_FS_READ | KF_FS_EXEC},
		{"/etc/hosts", true, KF_FS_READ},
		{"/etc/hosts", false, KF_FS_READ},
		{"/etc/hostname", true, KF_FS_READ},
		{"/etc/resolv.conf", true, KF_FS_READ},
		{"/etc/hosts.d", true, KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC},
		{"/data/etc/hosts", true, KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++)
		if (kf_policy_volume_access(cases[i].path, cases[i].writable) != cases[i].access)
			fail_msg("%s", cases[i].path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_is_read),
		cmocka_unit_test(ranges_and_patterns_come_back_as_they_were),
		cmocka_unit_test(only_what_names_a_place_itself_is_an_exception),
		cmocka_unit_test(a_volume_is_what_the_rule_for_its_own_path_says),
		cmocka_unit_test(what_is_not_understood_is_refused_with_its_line),
		cmocka_unit_test(a_path_is_taken_exactly_if_it_is_clean),
		cmocka_unit_test(damage_anywhere_is_noticed),
		cmocka_unit_test(names_must_be_profile_names),
		cmocka_unit_test(a_policy_may_be_as_long_as_the_limit_and_no_longer),
		cmocka_unit_test(formatting_what_was_parsed_gives_the_same_text),
		cmocka_unit_test(builtins_parse_and_are_named_after_themselves),
		cmocka_unit_test(directories_of_the_system_are_known),
		cmocka_unit_test(rules_that_name_a_pods_file_for_writing_are_known),
		cmocka_unit_test(volumes_are_granted_as_mounted_but_the_pods_own_files_to_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
