/* SPDX-License-Identifier: Apache-2.0 */
/* src/nono-runc/pinned: where a network namespace is mounted, by a table like mountinfo. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "kf_test.h"
#include "nono-runc/pinned.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct kf_arena arena;
static struct kf_err err;

/* Where @table has the namespace 4026532001; NULL if it has not. */
static const char *find(const char *table)
{
	int fd = memfd_create("mounts", 0);
	const char *path = NULL;
	char name[32];

	assert_int_equal(write(fd, table, strlen(table)), strlen(table));
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	if (kf_guard_pinned(name, 4026532001, &arena, &path, &err) < 0)
		path = NULL;
	(void)close(fd);
	return path;
}

static void where_runtimes_mount_it(void **state)
{
	(void)state;
	kf_arena_init(&arena, 1 << 16);
	assert_string_equal(find("25 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
				 "90 25 0:4 net:[4026532000] /run/netns/cni-a rw - nsfs nsfs rw\n"
				 "91 25 0:4 net:[4026532001] /run/netns/cni-b rw shared:9 - nsfs "
				 "nsfs rw\n"
				 "92 25 0:4 net:[4026532001] /elsewhere rw - nsfs nsfs rw\n"),
			    "/run/netns/cni-b");
	kf_arena_done(&arena);
}

static void what_only_looks_like_it_is_not_it(void **state)
{
	static const char *const tables[] = {
		"a",
		"91 25 0:4 net:[4026532001]\n",
		"91 25 0:4 mnt:[4026532001] /a rw - nsfs nsfs rw\n",
		"91 25 0:4 net:[40265320011] /a rw - nsfs nsfs rw\n",
		"91 25 0:4 / /a/net:[4026532001] rw - ext4 net:[4026532001] rw\n",
		/* a path with a space */
		"91 25 0:4 net:[4026532001] /a\\040b rw - nsfs nsfs rw\n",
	};

	(void)state;
	kf_arena_init(&arena, 1 << 16);
	for (size_t i = 0; i < KF_ARRAY_SIZE(tables); i++) {
		assert_null(find(tables[i]));
		assert_non_null(strstr(err.msg, "mounted nowhere"));
	}
	kf_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_runtimes_mount_it),
		cmocka_unit_test(what_only_looks_like_it_is_not_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
