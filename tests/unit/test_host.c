/* SPDX-License-Identifier: Apache-2.0 */
/* src/node: what is not there, and what only cannot be read, on the host. */
#include "host/distro.h"
#include "kf_test.h"
#include "node/payload.h"
#include "valgrind.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TASKS "/run/containerd/io.containerd.runtime.v2.task/k8s.io"

static char top[] = "/tmp/kf-host-XXXXXX";
static struct kf_host host;
static struct kf_err err;

static const char *at(const char *name)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s%s", top, name);
	return path;
}

static void make(const char *name)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s", name);
	for (char *p = strchr(path + 1, '/');; p = strchr(p + 1, '/')) {
		if (p)
			*p = '\0';
		if (mkdir(at(path), 0755) < 0)
			assert_int_equal(errno, EEXIST);
		if (!p)
			return;
		*p = '/';
	}
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(at(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(top) && kf_host_open(top, &host, &err) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	kf_host_done(&host);
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void only_what_is_not_there_is_absent(void **state)
{
	char **list = NULL, *text = NULL;
	size_t n;

	(void)state;
	if (under_valgrind())
		skip();
	put("/file", "x");
	assert_int_equal(symlink("nowhere", at("/dangling")), 0);
	assert_int_equal(symlink("loop", at("/loop")), 0);
	assert_true(kf_host_exists(&host, "/file"));
	assert_false(kf_host_exists(&host, "/none"));
	assert_false(kf_host_exists(&host, "/file/none"));
	assert_false(kf_host_exists(&host, "/dangling"));
	assert_true(kf_host_exists(&host, "/loop"));
	assert_int_equal(kf_host_read(&host, "/loop", 10, &text, &n, &err), -1);
	assert_int_equal(err.code, ELOOP);
	assert_int_equal(kf_host_glob(&host, "/none/*", &list, &err), 0);
	assert_null(list[0]);
	kf_host_list_free(list);
	assert_int_equal(kf_host_glob(&host, "/loop/*", &list, &err), -1);
	assert_int_equal(err.code, ELOOP);
}

#define RECORDS "/run/kubefence/guard"

/* The pods that need the guard are exactly these. */
static void in_use(const struct kf_node *node, const char *names)
{
	struct kf_in_use pods = {.n = 99};

	assert_int_equal(kf_payload_in_use(node, &pods, &err), 0);
	assert_string_equal(pods.names, names);
	assert_int_equal(!pods.n, !*names);
}

static void containers_that_cannot_be_counted_are_not_none(void **state)
{
	struct kf_node node = {.host = host, .options = &(struct kf_node_options){0}};
	struct kf_in_use pods = {.n = 99};

	(void)state;
	if (under_valgrind())
		skip();
	assert_int_equal(kf_distro_named("containerd", 10, &node.distro, &err), 0);
	in_use(&node, "");
	make(TASKS "/a");
	make(TASKS "/b");
	put(TASKS "/a/runtime", KF_NODE_GUARD);
	put(TASKS "/b/runtime", "/usr/bin/runc");
	in_use(&node, "container a");

	assert_int_equal(unlink(at(TASKS "/a/runtime")), 0);
	assert_int_equal(symlink("runtime", at(TASKS "/a/runtime")), 0);
	assert_int_equal(kf_payload_in_use(&node, &pods, &err), -1);
	assert_int_equal(err.code, ELOOP);
	assert_int_equal(unlink(at(TASKS "/a/runtime")), 0);
	make("/etc/containerd/config.toml");
	assert_int_equal(kf_payload_in_use(&node, &pods, &err), -1);
	assert_int_equal(rmdir(at("/etc/containerd/config.toml")), 0);
	put("/etc/containerd/config.toml", "state = ");
	assert_int_equal(kf_payload_in_use(&node, &pods, &err), -1);
	assert_int_equal(pods.n, 99);
	put("/etc/containerd/config.toml", "state = \"/elsewhere\"\n");
	put(TASKS "/a/runtime", KF_NODE_GUARD);
	in_use(&node, "");
}

static void a_record_counts_until_nothing_is_left_to_delete(void **state)
{
	struct kf_node node = {.host = host, .options = &(struct kf_node_options){0}};

	(void)state;
	if (under_valgrind())
		skip();
	assert_int_equal(kf_distro_named("containerd", 10, &node.distro, &err), 0);
	make(RECORDS);
	make("/bundle");
	make("/root/one");
	put(RECORDS "/.tmp", "x");
	put(RECORDS "/hash", "root /root\nid one\nbundle /bundle\nruntime r\nprofile \nlabel \n");
	in_use(&node, "container one");
	assert_int_equal(rmdir(at("/bundle")), 0);
	in_use(&node, "container one");
	assert_int_equal(rmdir(at("/root/one")), 0);
	in_use(&node, "");
	/* What cannot be read as a record may be one. */
	put(RECORDS "/hash", "garbage");
	in_use(&node, "container hash");
	assert_int_equal(unlink(at(RECORDS "/hash")), 0);
	for (unsigned i = 10; i < 60; i++) {
		char name[64], text[128];

		(void)snprintf(name, sizeof(name), RECORDS "/h%u", i);
		(void)snprintf(text, sizeof(text), "root /root\nid c%u\nbundle /etc\n", i);
		put(name, text);
	}
	make("/etc");
	in_use(&node, "container c10, container c11, container c12, container c13, container c14, "
		      "container c15, container c16, container c17, container c18, container c19 "
		      "and 40 more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_not_there_is_absent),
		cmocka_unit_test(containers_that_cannot_be_counted_are_not_none),
		cmocka_unit_test(a_record_counts_until_nothing_is_left_to_delete),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
