/* SPDX-License-Identifier: Apache-2.0 */
/* src/sandbox/domain, object: what is written is read back, and nothing else is. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "sandbox/domain.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLICY "nono-policy 1\nname p\nsum 0\n"

static size_t slurp(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size, 0);

	assert_true(n > 0);
	return (size_t)n;
}

/* A decided domain file with two objects, in @buf. */
static size_t example(char *buf, size_t size)
{
	static const struct kf_filter_insn filter[] = {{.code = 6, .k = 0x7fff0000}};
	const struct kf_object_id a = {1, 2}, b = {4, 5};
	struct kf_domain_list list = {0};
	struct kf_domain domain;
	struct kf_err err;
	int fd = memfd_create("domain", MFD_CLOEXEC);
	size_t n;

	assert_true(fd >= 0);
	assert_int_equal(kf_domain_begin(fd, POLICY, strlen(POLICY), filter, 1, 2, &err), 0);
	n = slurp(fd, buf, size);
	assert_int_equal(kf_domain_parse(buf, n, &domain, &err), 0);
	assert_int_equal(domain.head.decided, 0);
	kf_domain_add(&list, &a, "/usr", 5, KF_LANDLOCK_ELSEWHERE);
	kf_domain_add(&list, &b, "/dev/null", 3, KF_LANDLOCK_DEVICE);
	assert_int_equal(kf_domain_decide(fd, &domain, &list, &err), 0);
	free(list.at);
	n = slurp(fd, buf, size);
	(void)close(fd);
	return n;
}

static void a_domain_file_is_read_as_it_was_written(void **state)
{
	_Alignas(16) char buf[4096];
	size_t n = example(buf, sizeof(buf));
	const struct kf_domain_object *o;
	struct kf_domain domain;
	const char *path;
	struct kf_err err;

	(void)state;
	assert_int_equal(kf_domain_parse(buf, n, &domain, &err), 0);
	assert_int_equal(domain.head.decided, 1);
	assert_int_equal(domain.head.policy, strlen(POLICY));
	assert_memory_equal(domain.policy, POLICY, strlen(POLICY));
	assert_int_equal(domain.head.filter, 1);
	assert_int_equal(domain.head.filter_flags, 2);
	assert_int_equal(domain.filter[0].k, 0x7fff0000);
	o = kf_domain_next(&domain, NULL, &path);
	assert_non_null(o);
	assert_string_equal(path, "/usr");
	assert_true(o->id.dev == 1 && o->id.ino == 2 && o->access == 5);
	o = kf_domain_next(&domain, o, &path);
	assert_non_null(o);
	assert_string_equal(path, "/dev/null");
	assert_int_equal(o->place, KF_LANDLOCK_DEVICE);
	assert_null(kf_domain_next(&domain, o, &path));
}

/* Cut anywhere, or with any byte of its head changed, it is refused or its objects end early. */
static void a_damaged_domain_file_is_never_read_past_its_end(void **state)
{
	_Alignas(16) char whole[4096], buf[4096];
	const size_t n = example(whole, sizeof(whole));

	(void)state;
	for (size_t cut = 0; cut < n; cut++) {
		char *copy = malloc(cut ? cut : 1);
		struct kf_domain domain;
		struct kf_err err;

		assert_non_null(copy);
		memcpy(copy, whole, cut);
		assert_int_equal(kf_domain_parse(copy, cut, &domain, &err), -1);
		free(copy);
	}
	for (size_t i = 0; i < n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			const struct kf_domain_object *o = NULL;
			struct kf_domain domain;
			const char *path;
			struct kf_err err;
			size_t seen = 0;

			memcpy(buf, whole, n);
			buf[i] = (char)(buf[i] ^ (1 << bit));
			if (kf_domain_parse(buf, n, &domain, &err) < 0)
				continue;
			while ((o = kf_domain_next(&domain, o, &path))) {
				assert_true(path > buf && path + strlen(path) < buf + n);
				assert_true(++seen <= 2);
			}
		}
	}
}

static void what_has_no_room_is_left_out(void **state)
{
	const struct kf_object_id id = {1, 2};
	struct kf_domain_list list = {0};
	char path[4000];
	size_t before;

	(void)state;
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	do {
		before = list.n;
		kf_domain_add(&list, &id, path, 1, KF_LANDLOCK_ELSEWHERE);
	} while (list.n > before);
	assert_in_range(list.n, KF_DOMAIN_MAX / 4, KF_DOMAIN_MAX / 2);
	free(list.at);
}

static void deciding_lets_others_in(void **state)
{
	static const char path[] = "/tmp/kf-domain-test";
	struct kf_domain_list none = {0};
	_Alignas(16) char buf[4096];
	struct kf_domain domain;
	struct kf_err err;
	int fd, other;

	(void)state;
	(void)unlink(path);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	other = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && other >= 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(flock(other, LOCK_SH | LOCK_NB), -1);
	assert_int_equal(kf_domain_begin(fd, POLICY, strlen(POLICY), NULL, 0, 0, &err), 0);
	assert_int_equal(kf_domain_parse(buf, slurp(fd, buf, sizeof(buf)), &domain, &err), 0);
	assert_int_equal(kf_domain_decide(fd, &domain, &none, &err), 0);
	assert_int_equal(flock(other, LOCK_SH | LOCK_NB), 0);
	(void)close(fd);
	(void)close(other);
	(void)unlink(path);
}

static void another_file_at_the_same_place_is_another_object(void **state)
{
	struct kf_object first, again, second;
	char dir[] = "/tmp/kf-object-XXXXXX";
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_PATH | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(mkdirat(fd, "d", 0700), 0);
	assert_int_equal(kf_object_at(fd, "d", &first), 0);
	assert_int_equal(kf_object_at(fd, "d", &again), 0);
	assert_true(kf_object_same(&first.id, &again.id));
	assert_int_equal(mkdirat(fd, "e", 0700), 0);
	assert_int_equal(unlinkat(fd, "d", AT_REMOVEDIR), 0);
	assert_int_equal(renameat(fd, "e", fd, "d"), 0);
	assert_int_equal(kf_object_at(fd, "d", &second), 0);
	assert_false(kf_object_same(&first.id, &second.id));
	/* A symlink is itself, and not what it leads to. */
	assert_int_equal(symlinkat("d", fd, "l"), 0);
	assert_int_equal(kf_object_at(fd, "l", &again), 0);
	assert_false(kf_object_same(&again.id, &second.id));
	assert_int_equal(kf_object_at(fd, "nothing", &again), -1);
	assert_int_equal(errno, ENOENT);
	(void)unlinkat(fd, "l", 0);
	(void)unlinkat(fd, "d", AT_REMOVEDIR);
	(void)close(fd);
	(void)rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_domain_file_is_read_as_it_was_written),
		cmocka_unit_test(a_damaged_domain_file_is_never_read_past_its_end),
		cmocka_unit_test(what_has_no_room_is_left_out),
		cmocka_unit_test(deciding_lets_others_in),
		cmocka_unit_test(another_file_at_the_same_place_is_another_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
