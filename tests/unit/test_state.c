/* SPDX-License-Identifier: Apache-2.0 */
/* src/observe/state: entries, modes, lock, reconciliation; what may not lead out. */
#include "base/cleanup.h"
#include "base/file.h"
#include "kf_test.h"
#include "observe/state.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char top[] = "/tmp/kf-state-XXXXXX";
static char dir[PATH_MAX];
static struct kf_state state;
static const struct kf_state_entry sample = {
	.container_id = "cid",
	.pod_uid = "uid",
	.pod = "p\"od",
	.namespace_ = "ns",
	.container = "main",
	.profile = "strict",
	.handler = "nono-runc",
	.guard = true,
	.time = 1700000000,
};

static const char *at(const char *name)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%.2000s/%.200s", dir, name);
	return path;
}

static bool there(const char *name)
{
	struct stat st;

	return lstat(at(name), &st) == 0;
}

static void write_entry(const char *uid, const char *cid)
{
	struct kf_state_entry e = sample;

	e.pod_uid = uid;
	e.container_id = cid;
	assert_int_equal(kf_state_write(&state, &e, KF_ERR_IGNORED), 0);
}

static void an_entry_is_the_documented_json(void **unused)
{
	KF_FREE char *text = NULL;
	struct kf_state_entry e = sample;
	struct stat st;

	(void)unused;
	assert_false(kf_state_has(&state, "uid", "cid"));
	assert_int_equal(kf_state_write(&state, &e, KF_ERR_IGNORED), 0);
	assert_true(kf_state_has(&state, "uid", "cid"));
	assert_int_equal(kf_file_slurp(state.dirfd, "uid/cid/metadata.json", 4096, &text, NULL,
				       KF_ERR_IGNORED),
			 0);
	assert_string_equal(text, "{\"container_id\":\"cid\",\"pod\":\"p\\\"od\","
				  "\"namespace\":\"ns\",\"container\":\"main\","
				  "\"profile\":\"strict\",\"runtime_handler\":\"nono-runc\","
				  "\"guard\":true,\"timestamp\":\"2023-11-14T22:13:20Z\"}\n");
	assert_int_equal(lstat(at("uid/cid/metadata.json"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(lstat(at("uid/cid"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(lstat(at("uid"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	free(KF_STEAL(text));
	e.unsandboxed = "why";
	assert_int_equal(kf_state_write(&state, &e, KF_ERR_IGNORED), 0);
	assert_int_equal(kf_file_slurp(state.dirfd, "uid/cid/metadata.json", 4096, &text, NULL,
				       KF_ERR_IGNORED),
			 0);
	assert_non_null(strstr(text, "\"unsandboxed\":\"why\"}"));
	assert_false(there("uid/cid/.metadata.json"));
	kf_state_remove(&state, "uid", "cid");
}

static void names_never_lead_out_of_the_directory(void **unused)
{
	static const char *const bad[] = {"", ".", "..", "../x", "a/b", "/x", ".hidden"};

	(void)unused;
	for (size_t i = 0; i < KF_ARRAY_SIZE(bad); i++) {
		struct kf_state_entry e = sample;

		e.pod_uid = bad[i];
		assert_int_equal(kf_state_write(&state, &e, KF_ERR_IGNORED), -1);
		e = sample;
		e.container_id = bad[i];
		assert_int_equal(kf_state_write(&state, &e, KF_ERR_IGNORED), -1);
		kf_state_remove(&state, bad[i], "cid");
		kf_state_remove_pod(&state, bad[i]);
		assert_false(kf_state_has(&state, bad[i], "cid"));
	}
	assert_true(there("."));
}

static void the_last_container_takes_its_pod_along(void **unused)
{
	(void)unused;
	write_entry("uid", "a");
	write_entry("uid", "b");
	kf_state_remove(&state, "uid", "a");
	assert_false(there("uid/a"));
	assert_true(there("uid/b/metadata.json"));
	kf_state_remove(&state, "uid", "b");
	assert_false(there("uid"));
	kf_state_remove(&state, "uid", "b");
	write_entry("uid", "a");
	write_entry("uid", "b");
	kf_state_remove_pod(&state, "uid");
	assert_false(there("uid"));
}

static bool keep_b(void *ctx, const char *uid, const char *cid)
{
	(void)ctx;
	return strcmp(uid, "uid1") == 0 && strcmp(cid, "b") == 0;
}

/* An entry that is there and is no file that can be read. */
static void what_cannot_be_read_may_use_any_profile(void)
{
	assert_int_equal(mkdir(at("odd"), 0700), 0);
	assert_int_equal(mkdir(at("odd/cid"), 0700), 0);
	assert_false(kf_state_uses_profile(&state, "strict"));
	assert_int_equal(mkdir(at("odd/cid/metadata.json"), 0700), 0);
	assert_true(kf_state_uses_profile(&state, "strict"));
	assert_int_equal(rmdir(at("odd/cid/metadata.json")), 0);
	assert_int_equal(rmdir(at("odd/cid")), 0);
	assert_int_equal(rmdir(at("odd")), 0);
	assert_false(kf_state_uses_profile(&state, "strict"));
}

static void reconciliation_removes_the_rest_and_only_entries(void **unused)
{
	(void)unused;
	write_entry("uid1", "a");
	write_entry("uid1", "b");
	write_entry("uid2", "b");
	assert_int_equal(mkdir(at("uid3"), 0700), 0);
	assert_int_equal(mkdir(at("uid3/c"), 0700), 0);
	assert_int_equal(mkdir(at("uid3/c/theirs"), 0700), 0);
	(void)kf_state_reconcile(&state, keep_b, NULL);
	assert_false(there("uid1/a"));
	assert_true(there("uid1/b/metadata.json"));
	assert_false(there("uid2"));
	assert_true(there("uid3/c/theirs"));
	assert_true(kf_state_uses_profile(&state, "strict"));
	assert_false(kf_state_uses_profile(&state, "stric"));
	kf_state_remove_pod(&state, "uid1");
	assert_false(kf_state_uses_profile(&state, "strict"));
	what_cannot_be_read_may_use_any_profile();
	(void)rmdir(at("uid3/c/theirs"));
	kf_state_remove_pod(&state, "uid3");
}

/* The containers that a walk tells of, as letters. */
static void walk_entries(bool *ret_failed, char ret[static 16])
{
	struct kf_state_cursor cursor;
	char *text;
	size_t n = 0;

	kf_state_begin(&state, &cursor);
	while (kf_state_next(&cursor, &text)) {
		if (text) {
			const char *id = strstr(text, "\"container_id\":\"");

			assert_int_equal(text[0], '{');
			assert_int_equal(text[strlen(text) - 1], '}');
			ret[n++] = id[strlen("\"container_id\":\"")];
		}
		free(text);
	}
	ret[n] = '\0';
	*ret_failed = cursor.failed;
	kf_state_end(&cursor);
	kf_state_end(&cursor);
}

static void a_walk_meets_each_entry_once(void **unused)
{
	static const char *const broken[] = {"", "{", "{}", "text\n", "{\"a\":\n}\n", "{}}\n\n"};
	char seen[16];
	bool failed;

	(void)unused;
	walk_entries(&failed, seen);
	assert_string_equal(seen, "");
	write_entry("uid1", "a");
	write_entry("uid1", "b");
	write_entry("uid2", "c");
	assert_int_equal(mkdir(at("uid3"), 0700), 0);
	walk_entries(&failed, seen);
	assert_int_equal(strlen(seen), 3);
	assert_true(strchr(seen, 'a') && strchr(seen, 'b') && strchr(seen, 'c'));
	assert_false(failed);
	/* What is no whole entry is left out, and that is told. */
	for (size_t i = 0; i < KF_ARRAY_SIZE(broken); i++) {
		KF_CLOSE int fd = open(at("uid2/c/metadata.json"), O_WRONLY | O_TRUNC);

		assert_int_equal(write(fd, broken[i], strlen(broken[i])), strlen(broken[i]));
		walk_entries(&failed, seen);
		assert_int_equal(strlen(seen), 2);
		assert_true(failed);
	}
	kf_state_remove_pod(&state, "uid1");
	kf_state_remove_pod(&state, "uid2");
	kf_state_remove_pod(&state, "uid3");
}

static void a_second_instance_is_told_apart_from_a_failure(void **unused)
{
	struct kf_state other;
	struct kf_err err = {0};

	(void)unused;
	assert_int_equal(kf_state_open(dir, &other, &err), -1);
	assert_int_equal(err.code, EBUSY);
	assert_int_equal(kf_state_open("/dev/null/x", &other, &err), -1);
	assert_int_not_equal(err.code, EBUSY);
	assert_true(other.dirfd < 0);
	assert_int_equal(kf_state_write(&other, &sample, &err), -1);
	kf_state_remove(&other, "uid", "cid");
	assert_int_equal(kf_state_reconcile(&other, keep_b, NULL), 0);
	/* Not to be told, so nothing may be taken away. */
	assert_true(kf_state_uses_profile(&other, "x"));
	kf_state_close(&state);
	assert_int_equal(kf_state_open(dir, &state, &err), 0);
}

static int set_up(void **unused)
{
	struct stat st;

	(void)unused;
	if (!mkdtemp(top))
		return -1;
	(void)snprintf(dir, sizeof(dir), "%s/a/b", top);
	if (kf_state_open(dir, &state, KF_ERR_IGNORED) < 0 || lstat(dir, &st) < 0)
		return -1;
	return (st.st_mode & 07777) == 0700 ? 0 : -1;
}

static int tear_down(void **unused)
{
	char path[PATH_MAX];

	(void)unused;
	kf_state_close(&state);
	(void)rmdir(dir);
	(void)snprintf(path, sizeof(path), "%s/a", top);
	(void)rmdir(path);
	return rmdir(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_is_the_documented_json),
		cmocka_unit_test(names_never_lead_out_of_the_directory),
		cmocka_unit_test(the_last_container_takes_its_pod_along),
		cmocka_unit_test(a_walk_meets_each_entry_once),
		cmocka_unit_test(reconciliation_removes_the_rest_and_only_entries),
		cmocka_unit_test(a_second_instance_is_told_apart_from_a_failure),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
