/* SPDX-License-Identifier: Apache-2.0 */
/* src/node without memory: whichever call for it fails while a node is set up or cleaned, the next
 * run leads back to the node as it was, byte by byte.  What a runtime answers is made up here; real
 * ones, and system calls that fail, are in tests/node. */
#include "base/cleanup.h"
#include "base/sha256.h"
#include "failing.h"
#include "host/run.h"
#include "kf_test.h"
#include "node/node.h"
#include "valgrind.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG "/etc/containerd/config.toml"
/* One call in so many is tried: each takes a run there and one back. */
#define STRIDE 7

/* Where syncing takes no time. */
static char top[] = "/dev/shm/kf-node-memory-XXXXXX";
static struct kf_node_options options = KF_NODE_OPTIONS_INIT;
static const char *const handlers[] = {"nono-runc", "other"};

/* ---- the node ---- */

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s%s", top, name);
	return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	char path[PATH_MAX];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s", path_of(name));
	for (char *p = strchr(path + strlen(top) + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*p = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static char seen[KF_SHA256_HEX + 1];

/* Mixes each file into what was seen. */
static int look_at_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char line[PATH_MAX + 256], text[64 * 1024] = "";
	int fd, n;

	(void)ftw;
	if (strncmp(path + strlen(top), "/run", 4) == 0)
		return 0;
	if (type == FTW_F) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : (int)read(fd, text, sizeof(text) - 1);
		(void)close(fd);
		if (n < 0)
			return -1;
		kf_sha256_hex(text, (size_t)n, text);
	}
	n = snprintf(line, sizeof(line), "%s %s %o %s", seen, path, st->st_mode, text);
	kf_sha256_hex(line, (size_t)n, seen);
	return 0;
}

static const char *look_at_node(void)
{
	seen[0] = '\0';
	assert_int_equal(nftw(top, look_at_file, 16, FTW_PHYS), 0);
	return seen;
}

/* ---- the runtime: it prints its file, with what it would add ---- */

static int answer(const struct kf_host *host, const char *const *argv, struct kf_run *ret,
		  struct kf_err *err)
{
	char *text = NULL;
	size_t n;

	*ret = (struct kf_run){0};
	if (strcmp(argv[1], "--version") == 0)
		text = strdup("containerd github.com/containerd/containerd/v2 v2.2.0 rev\n");
	else if (kf_host_read(host, CONFIG, 64 * 1024, &text, &n, err) < 0)
		return -1;
	if (!text)
		return kf_fail_nomem(err, argv[0]);
	ret->out = text;
	ret->n = strlen(text);
	return 0;
}

int __wrap_kf_run_host(const struct kf_host *host, const char *const *argv, unsigned timeout_ms,
		       size_t max, struct kf_run *ret, struct kf_err *err);
int __wrap_kf_run_host(const struct kf_host *host, const char *const *argv, unsigned timeout_ms,
		       size_t max, struct kf_run *ret, struct kf_err *err)
{
	(void)timeout_ms;
	(void)max;
	return answer(host, argv, ret, err);
}

/* ---- runs ---- */

static char failed[256]; /* what a check found to be wrong */

static void hear_finding(void *ctx, const char *action, const char *object, const char *detail)
{
	const size_t n = strlen(failed);

	(void)ctx;
	(void)detail;
	if (strcmp(action, "fail") == 0)
		(void)snprintf(failed + n, sizeof(failed) - n, "%s ", object);
}

static int install_node(struct kf_err *err)
{
	struct kf_node node;
	bool changed;
	int r;

	if (kf_node_open(&options, hear_finding, NULL, &node, err) < 0)
		return -1;
	r = kf_node_install(&node, &changed, err);
	kf_node_done(&node);
	return r;
}

static int uninstall_node(struct kf_err *err)
{
	struct kf_node node;
	bool kept;
	int r;

	if (kf_node_open(&options, hear_finding, NULL, &node, err) < 0)
		return -1;
	r = kf_node_uninstall(&node, &kept, err);
	kf_node_done(&node);
	return r;
}

static int verify_node(struct kf_err *err)
{
	struct kf_node node;
	int r;

	if (kf_node_open(&options, hear_finding, NULL, &node, err) < 0)
		return -1;
	r = kf_node_verify(&node, err);
	kf_node_done(&node);
	return r;
}

static void must(int r, const struct kf_err *err)
{
	if (r < 0)
		fail_msg("%s", err->msg);
}

/* Try @run with the calls for memory failing that STRIDE lets be tried, and lead back each time. */
static void fail_some(int (*run)(struct kf_err *err), bool installed, const char *original)
{
	unsigned long tried = 0;

	for (unsigned long n = 1;; n += STRIDE) {
		struct kf_err err = {0};
		int r;

		if (installed)
			must(install_node(&err), &err);
		failing_hit = false;
		failing_left = n;
		r = run(&err);
		failing_left = 0;
		if (!failing_hit) {
			must(r, &err);
			break;
		}
		tried++;
		if (r < 0)
			assert_true(*err.msg);
		must(uninstall_node(&err), &err);
		if (strcmp(look_at_node(), original) != 0)
			fail_msg("call %lu: the node is not as it was", n);
	}
	assert_true(tried > 10);
}

static char original[KF_SHA256_HEX + 1];

static void a_node_is_set_up_or_as_before(void **state)
{
	struct kf_err err;

	(void)state;
	if (under_valgrind())
		skip();
	must(install_node(&err), &err);
	assert_string_not_equal(look_at_node(), original);
	/* All is well but that nobody has restarted the runtime. */
	assert_int_equal(verify_node(&err), -1);
	assert_string_equal(failed, "restart ");
	must(uninstall_node(&err), &err);
	assert_string_equal(look_at_node(), original);
	fail_some(install_node, false, original);
	must(uninstall_node(&err), &err);
}

static void a_node_is_cleaned_by_the_next_run(void **state)
{
	(void)state;
	if (under_valgrind())
		skip();
	fail_some(uninstall_node, true, original);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(top))
		return -1;
	assert_int_equal(chmod(top, 0755), 0);
	options.host_root = top;
	options.payload = path_of("/payload");
	options.payload = strdup(options.payload);
	options.handlers = handlers;
	options.nhandlers = KF_ARRAY_SIZE(handlers);
	options.restart = false;
	write_file("/payload/nono", "\177ELF launcher", 0755);
	write_file("/payload/nono-runc", "\177ELF guard", 0755);
	write_file("/payload/nono-bwrap", "\177ELF inner", 0755);
	write_file("/usr/bin/containerd", "", 0755);
	write_file("/usr/bin/runc", "", 0755);
	write_file("/opt/x", "", 0644);
	write_file("/etc/nri/x", "", 0644);
	write_file(CONFIG,
		   "# mine\nversion = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd]\n"
		   "default_runtime_name = 'runc'\n"
		   "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\n"
		   "runtime_type = 'io.containerd.runc.v2'\n"
		   "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\n"
		   "SystemdCgroup = true\n[plugins.'io.containerd.nri.v1.nri']\ndisable = true\n",
		   0640);
	(void)snprintf(original, sizeof(original), "%s", look_at_node());
	return 0;
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
	free((void *)(uintptr_t)options.payload);
	return nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_is_set_up_or_as_before),
		cmocka_unit_test(a_node_is_cleaned_by_the_next_run),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
