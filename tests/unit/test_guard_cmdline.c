/* SPDX-License-Identifier: Apache-2.0 */
/* src/nono-runc/cmdline: what runc and crun would understand, or nothing. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "nono-runc/cmdline.h"

#include <stdlib.h>
#include <string.h>

#define MAX 32

static char *words[MAX];
static char line_copy[512];
static struct kf_cmdline cmd;
static struct kf_err err;

static int parse(const char *line)
{
	char *save = NULL;
	int n = 0;

	memcpy(line_copy, line, strlen(line) + 1);
	for (char *w = strtok_r(line_copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	words[n] = NULL;
	return kf_cmdline_parse(n, words, &cmd, &err);
}

static void the_lines_of_containerd_and_conmon_are_understood(void **state)
{
	(void)state;
	assert_int_equal(parse("g --root /r --log /b/log.json --log-format json create --bundle /b "
			       "--pid-file /b/init.pid cid"),
			 0);
	assert_int_equal(cmd.verb, KF_VERB_CREATE);
	assert_string_equal(cmd.id, "cid");
	assert_string_equal(cmd.value[KF_FLAG_ROOT], "/r");
	assert_string_equal(cmd.value[KF_FLAG_BUNDLE], "/b");
	assert_string_equal(cmd.value[KF_FLAG_LOG], "/b/log.json");
	assert_string_equal(cmd.value[KF_FLAG_LOG_FORMAT], "json");
	assert_int_equal(parse("g --systemd-cgroup --root=/r exec --pid-file /p --process /f "
			       "--detach --console-socket /s cid"),
			 0);
	assert_int_equal(cmd.verb, KF_VERB_EXEC);
	assert_string_equal(cmd.value[KF_FLAG_PROCESS], "/f");
	assert_int_equal(parse("g -root /r run -b=/b -d cid"), 0);
	assert_int_equal(cmd.verb, KF_VERB_RUN);
	assert_string_equal(cmd.value[KF_FLAG_BUNDLE], "/b");
	assert_int_equal(parse("g exec -t cid sh -c --preserve-fds=9"), 0);
	assert_string_equal(cmd.id, "cid");
	assert_null(cmd.value[KF_FLAG_PRESERVE_FDS]);
	assert_int_equal(parse("g --root /r delete --force cid"), 0);
	assert_int_equal(cmd.verb, KF_VERB_DELETE);
	assert_int_equal(parse("g start cid"), 0);
	assert_int_equal(cmd.verb, KF_VERB_START);
}

static void what_could_hide_a_create_is_refused(void **state)
{
	static const char *const lines[] = {
		"g --unknown create --bundle /b cid",
		"g --unknown x create cid",
		"g --roo=/x run cid",  /* getopt_long takes abbreviations */
		"g --root create cid", /* the value is missing: "create" is it */
		"g create --config /other.json --bundle /b cid",
		"g create --bundle /b cid --bundle /other",
		"g create --bundle /b cid extra",
		"g create --bundle",
		"g create",
		"g create -b/b cid",
		"g exec -td cid sh",
		"g exec -- cid sh",
		"g run --bundle /b - cid",
		"g --x restore cid",
		/* What runc 1.6 reads as a flag. */
		"g \t--root /r exec cid sh",
		"g --root /r \xc2\xa0--debug run --bundle /b cid",
		"g exec \v--process /f cid sh",
		"g create --bundle /b \xc2\x85--bundle",
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(lines); i++) {
		int r = parse(lines[i]);

		if (strcmp(lines[i], "g --root create cid") == 0) {
			/* Which is what the runtimes make of it as well. */
			assert_int_equal(r, 0);
			assert_int_equal(cmd.verb, KF_VERB_OTHER);
			continue;
		}
		if (r != -1)
			fail_msg("understood: %s", lines[i]);
	}
}

static void everything_else_passes(void **state)
{
	static const char *const lines[] = {
		"g",
		"g --version",
		"g features",
		"g --root /r kill --all cid 9",
		"g --unknown kill cid 9",
		"g \t--root /r kill cid 9",
		"g update --cpus 1 cid",
		"g checkpoint cid",
		"g delete --regex cid",
		"g start --new-flag cid",
		"g --help",
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(lines); i++) {
		assert_int_equal(parse(lines[i]), 0);
		assert_int_equal(cmd.verb, KF_VERB_OTHER);
	}
	assert_int_equal(parse("g restore --image-path /i cid"), 0);
	assert_int_equal(cmd.verb, KF_VERB_RESTORE);
}

static void assert_rewrite(const char *const *args, size_t nargs, const char *want)
{
	static const char *const flags[] = {"--preserve-fds", "2"};
	char **out = kf_cmdline_rewrite(&cmd, flags, 2, args, nargs), got[512] = "";

	assert_non_null(out);
	for (size_t i = 0; out[i]; i++) {
		size_t n = strlen(got);

		(void)snprintf(got + n, sizeof(got) - n, "%s%s", i ? " " : "", out[i]);
	}
	free(out);
	assert_string_equal(got, want);
}

static void ours_replace_the_callers(void **state)
{
	static const char *const args[] = {"L", "--", "sh"};

	(void)state;
	assert_int_equal(parse("g --root /r create --bundle /b --no-pivot --preserve-fds=1 "
			       "--pid-file /p -b /c cid"),
			 0);
	assert_rewrite(NULL, 0, "g --root /r create --no-pivot --pid-file /p --preserve-fds 2 cid");
	assert_int_equal(parse("g exec --preserve-fds 1 -t -e A=1 cid sh -b x"), 0);
	assert_rewrite(args, 3, "g exec -t -e A=1 --preserve-fds 2 cid L -- sh");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lines_of_containerd_and_conmon_are_understood),
		cmocka_unit_test(what_could_hide_a_create_is_refused),
		cmocka_unit_test(everything_else_passes),
		cmocka_unit_test(ours_replace_the_callers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
