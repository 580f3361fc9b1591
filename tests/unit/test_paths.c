/* SPDX-License-Identifier: Apache-2.0 */
/* src/plan/paths: every short spelling of a path, in every place where a container can
 * bring one, against what a reader that goes component by component finds in it. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "kf_test.h"
#include "plan/paths.h"
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

static const char *const tokens[] = {"/",   ".",   "a",	   "proc", "self",
				     "net", "sys", "stat", "1",	   "nono"};
#define DEPTH 5

struct parts {
	char text[DEPTH][32];
	size_t n;
	bool up;
};

/* What lies between the slashes, without "" and ".". */
static struct parts split(const char *path)
{
	struct parts ret = {.n = 0};

	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && memcmp(path, "..", 2) == 0)
			ret.up = true;
		else if (n && !(n == 1 && *path == '.'))
			memcpy(ret.text[ret.n++], path, n);
		path += n;
		path += *path == '/';
	}
	return ret;
}

static bool named(const char *const *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], s) == 0)
			return true;
	return false;
}

/* As SECURITY.md has it. */
static bool may(enum kf_path_use use, const char *path)
{
	static const char *const files[] = {"cpuinfo",	"diskstats", "loadavg", "meminfo",
					    "slabinfo", "stat",	     "swaps",	"uptime"};
	static const char *const links[] = {"self", "thread-self", "net", "mounts"};
	const struct parts p = split(path);

	if (*path != '/' || p.up || !p.n)
		return false;
	if (strcmp(p.text[0], "proc") != 0)
		return true;
	if (p.n == 1)
		return use == KF_PATH_MOUNT;
	if (use == KF_PATH_MOUNT)
		return p.n == 2 && named(files, KF_ARRAY_SIZE(files), p.text[1]);
	return use != KF_PATH_DEVICE && !named(links, KF_ARRAY_SIZE(links), p.text[1]) &&
	       !(p.text[1][0] >= '0' && p.text[1][0] <= '9');
}

static void assert_clean(const char *path, const char *clean)
{
	const struct parts p = split(path);
	char want[256];
	int n = 0;

	for (size_t i = 0; i < p.n; i++)
		n += snprintf(want + n, sizeof(want) - (size_t)n, "/%s", p.text[i]);
	assert_string_equal(clean, want);
}

static void check(const char *path)
{
	for (int use = KF_PATH_MOUNT; use <= KF_PATH_READONLY; use++) {
		char clean[PATH_MAX];
		struct kf_err err = {0};
		int r = kf_plan_path_check((enum kf_path_use)use, path, clean, &err);

		if ((r == 0) != may((enum kf_path_use)use, path))
			fail_msg("'%s' as %d: %d '%s'", path, use, r, err.msg);
		if (r == 0)
			assert_clean(path, clean);
		else
			assert_true(*err.msg != '\0');
	}
}

static struct kf_arena arena;
static const struct kf_profile_info profile = {.name = "default"};
static const char *const handlers[] = {"h"}, *const args[] = {"sh"};
static const struct kf_settings settings = {.handlers = handlers,
					    .nhandlers = 1,
					    .default_profile = "default",
					    .launcher = "/opt/nono-nri/nono",
					    .profiles = &profile,
					    .nprofiles = 1};
static const struct kf_view base_view = {.handler = "h",
					 .namespace_ = "",
					 .pod = "",
					 .pod_uid = "",
					 .container = "",
					 .container_id = "",
					 .args = args,
					 .nargs = 1};

static bool planned(const struct kf_view *view, bool by_fd)
{
	const struct kf_launch launch = {
		.by_fd = by_fd, .launcher_fd = 3, .policy_fd = 4, .report_fd = 5};
	struct kf_plan plan;
	struct kf_err err = {0};
	bool ret;

	assert_int_equal(kf_plan_container(&settings, view, &launch, &arena, &plan, &err), 0);
	ret = plan.decision == KF_SANDBOX;
	if (!ret)
		assert_non_null(plan.reason);
	kf_arena_reset(&arena);
	return ret;
}

static bool verified(const struct kf_view *view)
{
	static const char *const wrapped[] = {"/nono/nono", "wrap", "--profile",
					      "default",    "--",   "sh"};
	const struct kf_view_mount mounts[] = {
		view->nmounts ? view->mounts[0] : (struct kf_view_mount){.destination = "/a"},
		{.destination = "/nono", .type = "bind", .source = "/opt/nono-nri"},
	};
	struct kf_view v = *view;
	struct kf_err err = {0};

	v.args = wrapped;
	v.nargs = KF_ARRAY_SIZE(wrapped);
	v.mounts = mounts;
	v.nmounts = 2;
	return kf_verify_container(&settings, &v, &err) == 0;
}

/* Plan for plugin and guard, and the plugin's verifier: all of one mind. */
static void check_plan(const char *path)
{
	static const char *const bind_options[] = {"rbind", "rw"};
	const struct parts p = split(path);
	const bool nono = p.n && strcmp(p.text[0], "nono") == 0;
	const bool proc = p.n == 1 && strcmp(p.text[0], "proc") == 0;
	struct kf_view_mount m = {.destination = path,
				  .type = "bind",
				  .source = "/volume",
				  .options = bind_options,
				  .noptions = 2};
	struct kf_view v = base_view;
	bool fine = may(KF_PATH_MOUNT, path) && !nono;

	v.mounts = &m;
	v.nmounts = 1;
	for (int by_fd = 0; by_fd < 2; by_fd++)
		if (planned(&v, by_fd) != (fine && !proc))
			fail_msg("mount '%s', %d", path, by_fd);
	/* An earlier mount at /nono itself is covered by the plugin's own. */
	if (verified(&v) != ((fine && !proc) || (may(KF_PATH_MOUNT, path) && nono && p.n == 1)))
		fail_msg("mount '%s' of another plugin", path);
	v = base_view;
	v.devices = (struct kf_view_paths){&path, 1};
	fine = may(KF_PATH_DEVICE, path) && !nono;
	if (planned(&v, false) != fine || planned(&v, true) != fine || verified(&v) != fine)
		fail_msg("device '%s'", path);
	v = base_view;
	v.masked = (struct kf_view_paths){&path, 1};
	if (planned(&v, true) != may(KF_PATH_MASKED, path))
		fail_msg("masked '%s'", path);
	v = base_view;
	v.read_only = (struct kf_view_paths){&path, 1};
	if (planned(&v, true) != may(KF_PATH_READONLY, path))
		fail_msg("read-only '%s'", path);
}

/* Every sequence of up to @depth tokens. */
static size_t each_spelling(size_t depth, void (*fn)(const char *path))
{
	size_t count = 0;

	for (size_t n = 0, total = 1; n <= depth; n++, total *= KF_ARRAY_SIZE(tokens)) {
		for (size_t i = 0; i < total; i++, count++) {
			char path[64] = "";
			size_t rest = i;
			int at = 0;

			for (size_t k = 0; k < n; k++, rest /= KF_ARRAY_SIZE(tokens))
				at += snprintf(path + at, sizeof(path) - (size_t)at, "%s",
					       tokens[rest % KF_ARRAY_SIZE(tokens)]);
			fn(path);
		}
	}
	return count;
}

static void every_short_spelling_is_read_component_by_component(void **state)
{
	(void)state;
	assert_int_equal(each_spelling(DEPTH, check), 111111);
}

static void plugin_guard_and_verifier_are_of_one_mind(void **state)
{
	(void)state;
	assert_int_equal(each_spelling(4, check_plan), 11111);
}

static void names_below_proc(void **state)
{
	static const struct {
		const char *path;
		bool mount, device, mask;
	} cases[] = {
		{"/proc/cpuinfo", true, false, true},
		{"/proc/./cpuinfo/", true, false, true},
		{"/proc/cpuinfo/x", false, false, true},
		{"/proc/cpuinfox", false, false, true},
		{"/proc/sys/crypto/fips_enabled", true, false, true},
		{"/proc/sys/kernel/ns_last_pid", true, false, true},
		{"/proc/sys/crypto", false, false, true},
		{"/proc/sys", false, false, true},
		{"/proc/net/dev", false, false, false},
		{"/proc/mounts", false, false, false},
		{"/proc/mounts/", false, false, false},
		{"/proc/mountsx", false, false, true},
		{"/proc/self/fd", false, false, false},
		{"/proc/self/status", false, false, false},
		{"/proc/thread-self/fd/3", false, false, false},
		{"/proc/thread-selfish", false, false, true},
		{"/proc/17/exe", false, false, false},
		{"/procs/self", true, true, true},
		{"/a/proc/self", true, true, true},
		{"/proc/net/../fd", false, false, false},
		{"/dev/../proc/net/../fd", false, false, false},
		{"/x/../proc", false, false, false},
		{"/proc/sys/../net/../fd", false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		char clean[PATH_MAX];
		struct kf_err err;

		assert_int_equal(kf_plan_path_check(KF_PATH_MOUNT, cases[i].path, clean, &err),
				 cases[i].mount ? 0 : -1);
		assert_int_equal(kf_plan_path_check(KF_PATH_DEVICE, cases[i].path, clean, &err),
				 cases[i].device ? 0 : -1);
		assert_int_equal(kf_plan_path_check(KF_PATH_MASKED, cases[i].path, clean, &err),
				 cases[i].mask ? 0 : -1);
		assert_int_equal(kf_plan_path_check(KF_PATH_READONLY, cases[i].path, clean, &err),
				 cases[i].mask ? 0 : -1);
	}
}

/* Of containerd, the kubelet, CRI-O, moby and podman. */
static void the_runtimes_own_masks_pass(void **state)
{
	static const char *const paths[] = {
		"/proc/acpi",
		"/proc/asound",
		"/proc/bus",
		"/proc/fs",
		"/proc/interrupts",
		"/proc/irq",
		"/proc/kcore",
		"/proc/keys",
		"/proc/latency_stats",
		"/proc/sched_debug",
		"/proc/scsi",
		"/proc/sys",
		"/proc/sysrq-trigger",
		"/proc/timer_list",
		"/proc/timer_stats",
		"/sys/dev/block",
		"/sys/devices/system/cpu/cpu0/thermal_throttle",
		"/sys/devices/virtual/powercap",
		"/sys/firmware",
		"/sys/fs/selinux",
	};
	struct kf_view v = base_view;

	(void)state;
	v.masked = v.read_only = (struct kf_view_paths){paths, KF_ARRAY_SIZE(paths)};
	assert_true(planned(&v, true));
}

static void refusals_say_what_to_write(void **state)
{
	char clean[PATH_MAX] = "untouched", longer[PATH_MAX + 8];
	struct kf_err err;

	(void)state;
	assert_int_equal(kf_plan_path_check(KF_PATH_MOUNT, "/a/../b/", clean, &err), -1);
	assert_non_null(strstr(err.msg, "mount '/a/../b/'"));
	assert_non_null(strstr(err.msg, "write it as '/b'"));
	assert_int_equal(kf_plan_path_check(KF_PATH_MOUNT, "data", clean, &err), -1);
	assert_non_null(strstr(err.msg, "write it as '/data'"));
	assert_int_equal(kf_plan_path_check(KF_PATH_MASKED, "/proc/self/", clean, &err), -1);
	assert_non_null(strstr(err.msg, "masked path '/proc/self/'"));
	memset(longer, 'a', sizeof(longer));
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(kf_plan_path_check(KF_PATH_MOUNT, longer, clean, &err), -1);
	assert_non_null(strstr(err.msg, "too long"));
	assert_string_equal(clean, "untouched");
}

static void a_procfs_at_proc_is_told_by_its_options_too(void **state)
{
	static const char *const bind[] = {"ro", "bind"}, *const rbind[] = {"rbind", "ro"};
	static const char *const plain[] = {"nosuid", "noexec"};
	static const struct {
		const char *type, *source;
		const char *const *options;
		bool fine;
	} cases[] = {
		{"proc", "proc", plain, true},
		{"bind", "/proc", bind, true},
		{"none", "/proc", bind, true},
		{"bind", "/proc", plain, true},
		{"proc", "/proc", bind, true},
		{"proc", "/volume", bind, false},
		{"proc", "/volume", rbind, false},
		{"bind", "/proc", rbind, true},
		{"bind", "/volume", bind, false},
		{"bind", "/proc/", bind, false},
		{"tmpfs", "/proc", plain, false},
		{"none", "/proc", plain, false},
		{"", "", plain, false},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		const struct kf_view_mount m = {.destination = "/proc//",
						.type = cases[i].type,
						.source = cases[i].source,
						.options = cases[i].options,
						.noptions = 2};
		struct kf_view v = base_view;

		v.mounts = &m;
		v.nmounts = 1;
		assert_int_equal(planned(&v, true), cases[i].fine);
		assert_int_equal(planned(&v, false), cases[i].fine);
		assert_int_equal(verified(&v), cases[i].fine);
	}
}

static int setup(void **state)
{
	(void)state;
	kf_arena_init(&arena, KF_LIMIT_PLAN_MEMORY);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kf_arena_done(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_short_spelling_is_read_component_by_component),
		cmocka_unit_test(plugin_guard_and_verifier_are_of_one_mind),
		cmocka_unit_test(names_below_proc),
		cmocka_unit_test(the_runtimes_own_masks_pass),
		cmocka_unit_test(refusals_say_what_to_write),
		cmocka_unit_test(a_procfs_at_proc_is_told_by_its_options_too),
	};

	return cmocka_run_group_tests_name("paths", tests, setup, teardown);
}
