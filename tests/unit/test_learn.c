/* SPDX-License-Identifier: Apache-2.0 */
/* src/learn: what is needed is granted, hardly more than the least that any choice of grants makes
 * accessible, and no secret; against all choices there are, on small trees. */
#include "base/cleanup.h"
#include "base/path.h"
#include "kf_test.h"
#include "learn/learn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES 14
#define TREES 200

struct tree {
	char paths[NODES][64];
	size_t n;
	size_t secret;	       /* a node, or n: none */
	unsigned given[NODES]; /* by the base, at the node alone */
};

static uint64_t state;

static unsigned choose(unsigned n)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (unsigned)((z ^ (z >> 31)) % n);
}

static size_t find_node(const struct tree *t, const char *path)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->paths[i], path) == 0)
			return i;
	return t->n;
}

static size_t entries(void *ctx, const char *path)
{
	const struct tree *t = ctx;
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += kf_path_under(t->paths[i], path);
	return n;
}

static bool directory(void *ctx, const char *path)
{
	return entries(ctx, path) > 1;
}

static int given(void *ctx, const char *path, bool inside, unsigned access, unsigned *ret,
		 struct kf_err *err)
{
	const struct tree *t = ctx;
	size_t i = find_node(t, path);

	(void)inside;
	(void)err;
	*ret = i < t->n ? access & t->given[i] : 0;
	return 0;
}

static const char *secret(void *ctx, const char *path, bool below)
{
	const struct tree *t = ctx;

	if (t->secret == t->n)
		return NULL;
	return kf_path_under(path, t->paths[t->secret]) ||
			       (below && kf_path_under(t->paths[t->secret], path))
		       ? "secret"
		       : NULL;
}

static bool closed(void *ctx, const struct kf_learn_port *port)
{
	(void)ctx;
	(void)port;
	return false;
}

static void make_tree(struct tree *t)
{
	*t = (struct tree){.n = 2};
	(void)snprintf(t->paths[0], sizeof(t->paths[0]), "/a");
	(void)snprintf(t->paths[1], sizeof(t->paths[1]), "/a/b");
	while (t->n < NODES) {
		char above[sizeof(t->paths[0])];

		memcpy(above, t->paths[1 + choose((unsigned)t->n - 1)], sizeof(above));
		if (strlen(above) > 40)
			continue;
		(void)snprintf(t->paths[t->n], sizeof(t->paths[0]), "%.40s/%c", above,
			       'a' + (char)t->n);
		t->n++;
	}
	t->secret = choose(2) ? t->n : 2 + choose((unsigned)t->n - 2);
}

/* How many entries a set of grants makes accessible, by their numbers as bits; 0 if it leaves one
 * of
 * @needed out or covers the secret. */
static size_t width_of(const struct tree *t, unsigned grants, unsigned needed)
{
	size_t width = 0;

	for (size_t i = 0; i < t->n; i++) {
		bool covered = false;

		for (size_t k = 0; k < t->n && !covered; k++)
			covered = grants & 1U << k && kf_path_under(t->paths[i], t->paths[k]);
		if ((!covered && needed & 1U << i) ||
		    (covered && secret((void *)(uintptr_t)t, t->paths[i], false)))
			return 0;
		width += covered;
	}
	return width;
}

/* The least of all choices. */
static size_t least_width(const struct tree *t, unsigned needed)
{
	size_t least = SIZE_MAX;

	for (unsigned grants = 1; grants < 1U << t->n; grants++) {
		size_t width = width_of(t, grants, needed);

		if (width && width < least)
			least = width;
	}
	return least;
}

static struct kf_learn_world world_of(struct tree *t)
{
	return (struct kf_learn_world){.given = given,
				       .secret = secret,
				       .directory = directory,
				       .entries = entries,
				       .open = closed,
				       .ctx = t};
}

/* One tree and one kind of access. */
static void check_tree(struct tree *t, unsigned bit)
{
	const struct kf_learn_world world = world_of(t);
	struct kf_learn learn;
	struct kf_learned learned;
	struct kf_err err;
	unsigned needed = 0, granted = 0;
	size_t least, width;

	assert_int_equal(kf_learn_init(&learn, &err), 0);
	for (unsigned i = 0; i < KF_LEARN_SIMILAR - 1; i++) {
		size_t at = 2 + choose((unsigned)t->n - 2);

		/* A grant of a directory covers what is secret in it. */
		if (secret(t, t->paths[at], true))
			continue;
		needed |= 1U << at;
		kf_learn_use(&learn, t->paths[at], bit);
	}
	assert_int_equal(kf_learn_change(&learn, &world, false, &learned, &err), 0);
	for (size_t i = 0; i < learned.ngrants; i++) {
		size_t at = find_node(t, learned.grants[i].path);

		assert_true(at < t->n);
		assert_true(learned.grants[i].access & bit);
		granted |= 1U << at;
	}
	if (needed) {
		width = width_of(t, granted, needed);
		least = least_width(t, needed);
		assert_true(width > 0);
		assert_true(width * 100 <= least * (100 + KF_LEARN_WIDER));
	} else {
		assert_int_equal(learned.ngrants, 0);
	}
	kf_learn_done(&learn);
}

static void test_width(void **ctx)
{
	static const unsigned bits[] = {KF_FS_READ, KF_FS_WRITE, KF_FS_EXEC};
	struct tree t;

	(void)ctx;
	state = 1;
	for (unsigned i = 0; i < TREES; i++) {
		make_tree(&t);
		check_tree(&t, bits[i % 3]);
	}
}

static struct kf_learned learn_one(struct tree *t, struct kf_learn *learn, const char *const *lines,
				   bool sensitive)
{
	const struct kf_learn_world world = world_of(t);
	struct kf_learned learned;
	struct kf_err err = {0};
	size_t n;

	assert_int_equal(kf_learn_init(learn, &err), 0);
	for (; *lines; lines++)
		if (kf_learn_read(learn, *lines, strlen(*lines), "x", NULL, NULL, &n, &err) < 0)
			fail_msg("%s", err.msg);
	assert_int_equal(kf_learn_change(learn, &world, sensitive, &learned, &err), 0);
	return learned;
}

#define USE(path, access)                                                                   \
	"{\"rule\":{\"filesystem\":{\"grant\":[{\"path\":\"" path "\",\"access\":\"" access \
	"\"}]}}}\n"
#define MADE(path) "{\"made\":\"" path "\"}\n"

/* What was made is not there the next time: its directory is granted. */
static void test_made(void **ctx)
{
	static const struct {
		const char *lines[6], *path;
		unsigned access;
	} rows[] = {
		{{USE("/a/b", "w"), MADE("/a/b/x"), USE("/a/b/x", "rw")}, "/a/b", 3},
		{{USE("/a/b", "w"), MADE("/a/b/x"), USE("/a/b/x", "w"), MADE("/a/b/x/y"),
		  USE("/a/b/x/y", "rx")},
		 "/a/b",
		 7},
		{{USE("/a/b/c", "r")}, "/a/b/c", 1},
		/* Replaced by something of the same name: what a rule names is gone. */
		{{USE("/a/b/c", "r"), USE("/a/b", "w"), MADE("/a/b/c")}, "/a/b", 3},
		{{USE("//a/./b/c/", "x")}, "/a/b/c", 0},
		{{"not a record\n", "", USE("/a/b/c", "rw")}, "/a/b/c", 3},
	};
	struct tree t = {.n = 0};

	(void)ctx;
	for (size_t i = 0; i < KF_ARRAY_SIZE(rows); i++) {
		struct kf_learn learn;
		struct kf_learned l = learn_one(&t, &learn, rows[i].lines, false);

		assert_int_equal(l.ngrants, rows[i].access ? 1 : 0);
		if (rows[i].access) {
			assert_string_equal(l.grants[0].path, rows[i].path);
			assert_int_equal(l.grants[0].access, rows[i].access);
		}
		kf_learn_done(&learn);
	}
}

static void test_secret(void **ctx)
{
	const char *const lines[] = {USE("/a/b/key", "r") USE("/a/b/c", "r") USE("/a/b", "r"),
				     NULL};
	struct tree t = {.paths = {"/a", "/a/b", "/a/b/key", "/a/b/c"}, .n = 4, .secret = 2};
	struct kf_learn learn;
	struct kf_learned l = learn_one(&t, &learn, lines, false);

	(void)ctx;
	for (size_t i = 0; i < l.ngrants; i++)
		assert_string_not_equal(l.grants[i].path, "/a/b/key");
	assert_int_equal(l.nsecrets, 0);
	kf_learn_done(&learn);
	l = learn_one(&t, &learn, lines, true);
	assert_int_equal(l.nsecrets, 1);
	assert_string_equal(l.secrets[0], "/a/b/key");
	kf_learn_done(&learn);
}

/* What is written is what was read. */
static void test_lines(void **ctx)
{
	static const char text[] = MADE("/a\\\"b") USE("/a\\\"b", "rw")
		USE("/x y", "rx") "{\"rule\":{\"network\":{\"connect_port\":[443]}}}\n"
				  "{\"rule\":{\"network\":{\"listen_udp_port\":[53]}}}\n";
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(1 << 20);
	struct kf_learn learn;
	struct kf_err err;
	size_t n;

	(void)ctx;
	assert_int_equal(kf_learn_init(&learn, &err), 0);
	assert_int_equal(kf_learn_read(&learn, text, strlen(text), "x", NULL, NULL, &n, &err), 0);
	assert_int_equal(n, 5);
	kf_learn_lines(&learn, &out);
	assert_string_equal(out.p, text);
	kf_learn_done(&learn);
}

/* Denials of other pods do not count; a broken line is an error and not absence. */
static void test_pods(void **ctx)
{
	static const char text[] = "{\"namespace\":\"n\",\"pod\":\"p\",\"rule\":{\"filesystem\":{"
				   "\"grant\":[{\"path\":\"/1\",\"access\":\"r\"}]}}}\n"
				   "{\"namespace\":\"m\",\"pod\":\"p\",\"rule\":{\"filesystem\":{"
				   "\"grant\":[{\"path\":\"/2\",\"access\":\"r\"}]}}}\n"
				   "{\"namespace\":\"n\",\"pod\":\"q\",\"what\":\"syscall\"}\n";
	struct kf_learn learn;
	struct kf_err err;
	size_t n;

	(void)ctx;
	assert_int_equal(kf_learn_init(&learn, &err), 0);
	assert_int_equal(kf_learn_read(&learn, text, strlen(text), "x", "n", "p", &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(learn.npaths, 1);
	assert_int_equal(kf_learn_read(&learn, "{\"a\"\n", 5, "x", NULL, NULL, &n, &err), -1);
	kf_learn_done(&learn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_width),  cmocka_unit_test(test_made),
		cmocka_unit_test(test_secret), cmocka_unit_test(test_lines),
		cmocka_unit_test(test_pods),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
