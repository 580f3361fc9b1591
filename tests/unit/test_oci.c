/* SPDX-License-Identifier: Apache-2.0 */
/* src/oci: reading a bundle strictly, changing only what the plan says. */
#include "base/cleanup.h"
#include "flat/flat.h"
#include "kf_test.h"
#include "oci/apply.h"
#include "oci/bundle.h"
#include "oci/mask.h"
#include "oci/seccomp.h"
#include "valgrind.h"
#include "json/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const deny[] = {"/run/secrets", "~/.ssh"};
static const struct kf_profile_info profile = {.name = "strict", .deny = deny, .ndeny = 2};
static struct kf_oci oci;
static struct kf_err err;

static int parse_config(const char *text)
{
	err = (struct kf_err){0};
	return kf_oci_parse_config(text, strlen(text), "nono-runc", "cid", &oci, &err);
}

static void assert_refused(const char *text, const char *reason)
{
	assert_int_equal(parse_config(text), -1);
	if (!strstr(err.msg, reason))
		fail_msg("'%s' does not say '%s' for %s", err.msg, reason, text);
}

static void what_two_readers_could_read_differently_is_refused(void **state)
{
	static const char *const cases[][2] = {
		{"{\"process\":{\"args\":[\"a\"]},\"process\":{\"args\":[\"b\"]}}", "twice"},
		{"{\"process\":{\"args\":[\"a\"],\"\\u0061rgs\":[\"b\"]}}", "twice"},
		{"{\"process\":{\"args\":[\"a\"],\"x\":{\"y\":{\"z\":1,\"z\":2}}}}", "twice"},
		{"{\"process\":{\"args\":[\"a\"]},\"Process\":{\"args\":[\"b\"]}}", "spelling"},
		{"{\"PROCESS\":{\"args\":[\"b\"]}}", "spelling"},
		{"{\"proce\xc5\xbfs\":{\"args\":[\"b\"]}}", "spelling"},
		{"{\"proce\\u017fs\":{\"args\":[\"b\"]}}", "spelling"},
		{"{\"process\":{\"Args\":[\"b\"]}}", "spelling"},
		{"{\"process\":{\"args\":[\"a\"],\"NoNewPrivileges\":false}}", "spelling"},
		{"{\"process\":{\"args\":[\"a\"]},\"linux\":{\"maskedpaths\":[]}}", "spelling"},
		{"{\"process\":{\"args\":[\"a\"]},\"linux\":{\"mas\xe2\x84\xaa\x65\x64Paths\":[]}}",
		 "spelling"},
		{"{\"process\":{\"args\":[\"a\"]},\"linux\":{\"Seccomp\":{}}}", "spelling"},
		{"{\"process\":{\"args\":[\"a\"]},\"mounts\":[{\"Destination\":\"/x\"}]}",
		 "spelling"},
		{"{\"process\":{\"args\":[\"a\"]},\"Hooks\":{}}", "spelling"},
		{"{\"process\":{\"args\":[\"a\\u0000b\"]}}", "NUL"},
		{"{\"process\":{\"args\":[\"a\"],\"x\":18446744073709551616}}", "64 bits"},
		{"{\"process\":{\"args\":[\"a\"],\"x\":-9223372036854775809}}", "64 bits"},
		{"{\"process\":{\"args\":[\"a\"],\"x\":NaN}}", "not JSON"},
		{"{\"process\":{\"args\":[\"a\"],\"x\":-Infinity}}", "not JSON"},
		{"{\"process\":{\"args\":[\"\xff\"]}}", "UTF-8"},
		{"{\"process\":{\"args\":[\"a\"]}} {}", "after the JSON"},
		{"{\"process\":{\"args\":[\"a\"],}}", "not JSON"},
		{"{\"process\":{\"args\":[\"a\"]}", "not JSON"},
		{"[]", "not a JSON object"},
		{"", "not JSON"},
		{"{}", "no 'process'"},
		{"{\"process\":null}", "no 'process'"},
		{"{\"process\":{\"args\":\"a\"}}", "type"},
		{"{\"process\":{\"args\":[1]}}", "not a string"},
		{"{\"process\":{\"args\":[null]}}", "not a string"},
		{"{\"process\":{\"args\":[\"a\"]},\"annotations\":{\"a\":1}}", "not a string"},
		{"{\"process\":{\"args\":[\"a\"]},\"mounts\":{}}", "type"},
		{"{\"process\":{\"args\":[\"a\"]},\"mounts\":[7]}", "not an object"},
		{"{\"process\":{\"args\":[\"a\"]},\"linux\":{\"devices\":[7]}}", "not an object"},
		{"{\"process\":{\"args\":[\"a\"]},\"linux\":{\"devices\":[{\"Path\":\"/x\"}]}}",
		 "another spelling"},
		{"{\"process\":{\"args\":[\"a\"]},\"linux\":{\"readonlyPaths\":[7]}}",
		 "not a string"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++)
		assert_refused(cases[i][0], cases[i][1]);
}

static void a_nul_that_is_only_a_backslash_passes(void **state)
{
	(void)state;
	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\\\\u0000:\\\"{\"]}}"), 0);
	assert_string_equal(oci.view.args[0], "a\\u0000:\"{");
	kf_oci_done(&oci);
}

static void programs_outside_the_sandbox_are_refused(void **state)
{
	(void)state;
	assert_refused("{\"process\":{\"args\":[\"a\"]},\"hooks\":{\"startContainer\":"
		       "[{\"path\":\"/x\"}]}}",
		       "startContainer");
	assert_refused("{\"process\":{\"args\":[\"a\"]},\"annotations\":"
		       "{\"run.oci.handler\":\"wasm\"}}",
		       "run.oci.handler");
	assert_refused("{\"process\":{\"args\":[\"a\"]},\"annotations\":"
		       "{\"module.wasm.image/variant\":\"compat\"}}",
		       "wasm");
	assert_refused("{\"process\":{\"args\":[\"a\"]},\"annotations\":"
		       "{\"run.oci.seccomp_bpf_data\":\"\"}}",
		       "seccomp_bpf_data");
	/* The control: hooks of the host stay. */
	assert_int_equal(parse_config(
				 "{\"process\":{\"args\":[\"a\"]},\"hooks\":{\"startContainer\":[],"
				 "\"createContainer\":[{\"path\":\"/x\"}]}}"),
			 0);
	kf_oci_done(&oci);
}

static void only_a_sandbox_with_its_own_id_is_a_pause_container(void **state)
{
	static const struct {
		const char *annotations;
		bool pause;
	} cases[] = {
		{"\"io.kubernetes.cri.container-type\":\"sandbox\","
		 "\"io.kubernetes.cri.sandbox-id\":\"cid\"",
		 true},
		{"\"io.kubernetes.cri-o.ContainerType\":\"sandbox\","
		 "\"io.kubernetes.cri-o.SandboxID\":\"cid\"",
		 true},
		{"\"io.kubernetes.cri.container-type\":\"sandbox\","
		 "\"io.kubernetes.cri.sandbox-id\":\"other\"",
		 false},
		{"\"io.kubernetes.cri.container-type\":\"sandbox\"", false},
		{"\"io.kubernetes.cri.container-type\":\"container\","
		 "\"io.kubernetes.cri.sandbox-id\":\"cid\"",
		 false},
		/* A pod of CRI-O that claims to be containerd's sandbox, and back. */
		{"\"io.kubernetes.cri.container-type\":\"sandbox\","
		 "\"io.kubernetes.cri.sandbox-id\":\"cid\","
		 "\"io.kubernetes.cri-o.ContainerType\":\"container\","
		 "\"io.kubernetes.cri-o.SandboxID\":\"pod\"",
		 false},
		{"\"io.kubernetes.cri.sandbox-id\":\"cid\"", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		char text[1024];

		(void)snprintf(text, sizeof(text),
			       "{\"process\":{\"args\":[\"a\"]},\"annotations\":{%s}}",
			       cases[i].annotations);
		assert_int_equal(parse_config(text), 0);
		assert_int_equal(oci.pause, cases[i].pause);
		kf_oci_done(&oci);
	}
}

static void both_families_of_annotations_name_the_pod(void **state)
{
	(void)state;
	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\"]},\"annotations\":{"
				      "\"io.kubernetes.cri.container-type\":\"container\","
				      "\"io.kubernetes.cri.container-name\":\"app\","
				      "\"io.kubernetes.cri.sandbox-name\":\"pod\","
				      "\"io.kubernetes.cri.sandbox-namespace\":\"ns\","
				      "\"io.kubernetes.cri.sandbox-uid\":\"uid\"}}"),
			 0);
	assert_string_equal(oci.view.container, "app");
	assert_string_equal(oci.view.pod, "pod");
	assert_string_equal(oci.view.namespace_, "ns");
	assert_string_equal(oci.view.pod_uid, "uid");
	kf_oci_done(&oci);
	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\"]},\"annotations\":{"
				      "\"io.kubernetes.cri-o.ContainerType\":\"container\","
				      "\"io.kubernetes.container.name\":\"app\","
				      "\"io.kubernetes.pod.name\":\"pod\","
				      "\"io.kubernetes.pod.namespace\":\"ns\","
				      "\"io.kubernetes.pod.uid\":\"uid\"}}"),
			 0);
	assert_string_equal(oci.view.container, "app");
	assert_string_equal(oci.view.pod_uid, "uid");
	kf_oci_done(&oci);
}

static void apply_changes_what_the_plan_says_and_nothing_else(void **state)
{
	static const char *const args[] = {"/proc/self/fd/3", "wrap", "--", "sh"};
	static const char *const gone[] = {"/run/secrets/token"};
	static const char *const masks[] = {"/run/secrets"};
	static const struct kf_view_mount hosts = {.destination = "/keep/./"};
	static const struct kf_view_mount *const read_only[] = {&hosts};
	static const struct kf_plan plan = {
		.read_only = read_only,
		.nread_only = 1,
		.decision = KF_SANDBOX,
		.profile = &profile,
		.args = args,
		.nargs = 4,
		.remove_mounts = gone,
		.nremove_mounts = 1,
	};
	size_t n;

	(void)state;
	assert_int_equal(
		parse_config(
			"{\"x\":{\"big\":18446744073709551615,\"f\":1.50e3,\"neg\":-"
			"9223372036854775808,"
			"\"n\":null},\"process\":{\"env\":[\"A=1\"],\"args\":[\"sh\"],"
			"\"noNewPrivileges\":false,\"cwd\":\"/a/b\"},\"mounts\":["
			"{\"destination\":\"/proc//cpuinfo\"},{\"destination\":\"//proc\"},"
			"{\"destination\":\"/run/secrets/token\"},{\"destination\":\"/keep/./"
			"\",\"options\":[\"rw\"]},"
			"{\"destination\":\"/run/secrets/token\"}],"
			"\"linux\":{\"devices\":[{\"path\":\"/dev//x\"},{\"path\":\"/dev/y\"}],"
			"\"readonlyPaths\":[\"/proc/sys\",\"/proc//bus/\"],"
			"\"maskedPaths\":[\"/proc/./kcore\"],\"seccomp\":{"
			"\"defaultAction\":\"SCMP_ACT_ALLOW\"}}}"),
		0);
	assert_int_equal(kf_oci_apply(&oci, &plan, masks, 1, &err), 0);
	assert_string_equal(
		kf_oci_text(&oci, &n),
		"{\"x\":{\"big\":18446744073709551615,\"f\":1.50e3,\"neg\":-9223372036854775808,"
		"\"n\":null},\"process\":{\"env\":[\"A=1\",\"NONO_PROFILE=strict\"],"
		"\"args\":[\"/proc/self/fd/3\",\"wrap\",\"--\",\"sh\"],"
		"\"noNewPrivileges\":true,\"cwd\":\"/a/b\"},\"mounts\":["
		"{\"destination\":\"/keep\",\"options\":[\"rw\",\"ro\"]},{\"destination\":\"/"
		"proc\"},"
		"{\"destination\":\"/proc/cpuinfo\"}],"
		"\"linux\":{\"devices\":[{\"path\":\"/dev/x\"},{\"path\":\"/dev/y\"}],"
		"\"readonlyPaths\":[\"/proc/sys\",\"/proc/bus\",\"/proc/dynamic_debug\"],"
		"\"maskedPaths\":[\"/proc/kcore\",\"/run/secrets\"],\"seccomp\":{"
		"\"defaultAction\":\"SCMP_ACT_ALLOW\"}}}");
	kf_oci_done(&oci);
}

static void a_process_file_gets_args_and_nothing_of_a_config(void **state)
{
	static const char text[] = "{\"terminal\":true,\"args\":[\"sh\"],\"env\":"
				   "[\"NONO_PROFILE=other\",\"B=2\"]}";
	static const char *const args[] = {"L", "sh"};
	static const char *const masks[] = {"/x"};
	static const struct kf_plan plan = {
		.decision = KF_SANDBOX, .profile = &profile, .args = args, .nargs = 2};
	size_t n;

	(void)state;
	assert_int_equal(kf_oci_parse_process(text, strlen(text), "h", "cid", &oci, &err), 0);
	assert_int_equal(kf_oci_apply(&oci, &plan, masks, 1, &err), 0);
	assert_string_equal(kf_oci_text(&oci, &n),
			    "{\"terminal\":true,\"args\":[\"L\",\"sh\"],\"env\":"
			    "[\"NONO_PROFILE=strict\",\"B=2\"],\"noNewPrivileges\":true}");
	kf_oci_done(&oci);
}

static void seccomp_survives_the_way_through_the_view(void **state)
{
	static const char text[] =
		"{\"process\":{\"args\":[\"a\"]},\"linux\":{\"seccomp\":{"
		"\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"read\",\"write\"]"
		","
		"\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38,\"args\":[{\"index\":1,"
		"\"value\":18446744073709551615,\"valueTwo\":2,\"op\":\"SCMP_CMP_MASKED_EQ\"}]},"
		"{\"names\":[\"close\"],\"action\":\"SCMP_ACT_ALLOW\"}],\"defaultErrnoRet\":1,"
		"\"architectures\":[\"SCMP_ARCH_X86_64\"],\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"]}}"
		"}";
	struct kf_buf written = KF_BUF_INIT(4096);
	const struct kf_json *obj;

	(void)state;
	assert_int_equal(parse_config(text), 0);
	obj = kf_oci_seccomp_new(oci.view.seccomp, &oci.arena);
	assert_non_null(obj);
	kf_json_write(obj, &written);
	assert_non_null(strstr(text, written.p));
	kf_buf_done(&written);
	kf_oci_done(&oci);
	assert_refused("{\"process\":{\"args\":[\"a\"]},\"linux\":{\"seccomp\":{}}}",
		       "defaultAction");
	assert_refused("{\"process\":{\"args\":[\"a\"]},\"linux\":{\"seccomp\":{\"defaultAction\":"
		       "\"x\",\"defaultErrnoRet\":-1}}}",
		       "out of range");
}

static void assert_masks(const struct kf_profile_info *p, int rootfs, const char *want)
{
	const char *const *masks;
	char got[4096] = "";
	size_t n;

	assert_int_equal(kf_oci_masks(&oci, p, rootfs, &masks, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		size_t at = strlen(got);

		(void)snprintf(got + at, sizeof(got) - at, "%s%s", i ? " " : "", masks[i]);
	}
	assert_string_equal(got, want);
}

static void assert_no_masks(int rootfs, const char *why)
{
	const char *const *masks;
	size_t n;

	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\"]}}"), 0);
	assert_int_equal(kf_oci_masks(&oci, &profile, rootfs, &masks, &n, &err), -1);
	assert_non_null(strstr(err.msg, why));
	assert_non_null(strstr(err.msg, "cannot be masked"));
	kf_oci_done(&oci);
}

static void no_home_is_left_out_however_many(void **state)
{
	char text[8192] = "{\"process\":{\"args\":[\"a\"],\"env\":[\"X=1\"",
	     want[4096] = "/run/secrets";

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), ",\"HOME=/h%u\"",
			       i);
		(void)snprintf(want + strlen(want), sizeof(want) - strlen(want), " /h%u/.ssh", i);
	}
	(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "]}}");
	assert_int_equal(parse_config(text), 0);
	assert_masks(&profile, -1, want);
	kf_oci_done(&oci);
}

static void every_home_is_masked(void **state)
{
	char dir[] = "/tmp/kf-oci-XXXXXX", path[64];
	int fd;
	FILE *f;

	(void)state;
	if (under_valgrind())
		skip();
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/etc", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/etc/passwd", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("root:x:0:0:root:/root:/bin/sh\nnobody\nu:x:7:7::/home/u:/bin/sh\n", f);
	fclose(f);
	fd = open(dir, O_PATH | O_DIRECTORY);
	assert_true(fd >= 0);

	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\"],\"user\":{\"uid\":7},"
				      "\"env\":[\"HOME=/a//b\",\"X=1\",\"HOME=/c\"]}}"),
			 0);
	assert_masks(&profile, fd, "/run/secrets /home/u/.ssh /a/b/.ssh /c/.ssh");
	assert_masks(&profile, -1, "/run/secrets /a/b/.ssh /c/.ssh");
	kf_oci_done(&oci);
	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\"]}}"), 0);
	assert_masks(&profile, fd, "/run/secrets /root/.ssh");
	assert_masks(&profile, -1, "/run/secrets /.ssh");
	kf_oci_done(&oci);

	/* An image that points elsewhere cannot make us read the host's. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/../../etc/passwd", path), 0);
	assert_no_masks(fd, "Too many levels of symbolic links");
	assert_int_equal(unlink(path), 0);

	/* What is there and cannot be read is an error, what is not there is none. */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_no_masks(fd, "not a regular file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_no_masks(fd, "not a regular file");
	assert_int_equal(rmdir(path), 0);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(ftruncate(fileno(f), 2 * 1024 * 1024), 0);
	fclose(f);
	assert_no_masks(fd, "not a regular file of at most");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\"]}}"), 0);
	assert_masks(&profile, fd, "/run/secrets /.ssh");
	kf_oci_done(&oci);
	(void)snprintf(path, sizeof(path), "%s/etc", dir);
	(void)rmdir(path);
	(void)rmdir(dir);
	(void)close(fd);
}

static void variables_are_expanded_and_root_is_refused(void **state)
{
	static const char *const paths[] = {"$WORKDIR/x", "$XDG_CONFIG_HOME/y", "$TMPDIR/z",
					    "/run/user/$UID/k", "$XDG_RUNTIME_DIR"};
	static const char *const all[] = {"$WORKDIR"};
	static const struct kf_profile_info p = {.name = "p", .deny = paths, .ndeny = 5};
	static const struct kf_profile_info root = {.name = "p", .deny = all, .ndeny = 1};
	const char *const *masks;
	size_t n;

	(void)state;
	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\"],\"cwd\":\"/w\",\"user\":"
				      "{\"uid\":12},\"env\":[\"HOME=/h\",\"TMPDIR=/t\"]}}"),
			 0);
	assert_masks(&p, -1, "/w/x /h/.config/y /t/z /run/user/12/k");
	kf_oci_done(&oci);
	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\"],\"cwd\":\"/\"}}"), 0);
	assert_int_equal(kf_oci_masks(&oci, &root, -1, &masks, &n, &err), -1);
	assert_non_null(strstr(err.msg, "cannot be kept"));
	kf_oci_done(&oci);
}

static void assert_readonly(const struct kf_profile_info *p, const char *want)
{
	struct kf_oci_readonly *v;
	char got[1024] = "";
	size_t n;

	assert_int_equal(kf_oci_readonly(&oci, p, -1, &v, &n, &err), 0);
	for (size_t i = 0; i < n; i++) {
		size_t at = strlen(got);

		(void)snprintf(got + at, sizeof(got) - at, "%s%s%s%s", i ? " " : "", v[i].path,
			       v[i].directory ? "/" : "", v[i].workdir ? "*" : "");
	}
	assert_string_equal(got, want);
}

static void what_is_read_only_is_found_but_not_below_a_root(void **state)
{
	static const struct kf_rule rules[] = {
		{.arg = "$WORKDIR/.git/hooks", .access = KF_READONLY_DIRECTORY},
		{.arg = "/srv/x"},
		{.arg = "~/.bashrc"},
	};
	static const struct kf_profile_info p = {.name = "p", .readonly = rules, .nreadonly = 3};

	(void)state;
	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\"],\"cwd\":\"/w/\",\"env\":"
				      "[\"HOME=/h\",\"HOME=/i\"]}}"),
			 0);
	assert_readonly(&p, "/w/.git/hooks/* /srv/x /h/.bashrc /i/.bashrc");
	kf_oci_done(&oci);
	/* Where the variable is "/", nothing grants writing; a home is no project. */
	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\"],\"cwd\":\"/\"}}"), 0);
	assert_readonly(&p, "/srv/x");
	kf_oci_done(&oci);
	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\"],\"cwd\":\"/h\",\"env\":"
				      "[\"HOME=/h/\"]}}"),
			 0);
	assert_readonly(&p, "/srv/x /h/.bashrc");
	kf_oci_done(&oci);
}

static void a_hook_comes_last(void **state)
{
	static const char *const args[] = {"a", "b"};
	size_t n;

	(void)state;
	assert_int_equal(parse_config(
				 "{\"process\":{\"args\":[\"a\"]},\"hooks\":{\"createContainer\":"
				 "[{\"path\":\"/x\"}],\"poststop\":[]}}"),
			 0);
	assert_int_equal(kf_oci_add_hook(&oci, "/us", args, 2, &err), 0);
	assert_non_null(strstr(kf_oci_text(&oci, &n),
			       "\"createContainer\":[{\"path\":\"/x\"},"
			       "{\"path\":\"/us\",\"args\":[\"a\",\"b\"]}]"));
	kf_oci_done(&oci);
	assert_int_equal(parse_config("{\"process\":{\"args\":[\"a\"]},\"hooks\":null}"), 0);
	assert_int_equal(kf_oci_add_hook(&oci, "/us", args, 2, &err), 0);
	assert_non_null(strstr(kf_oci_text(&oci, &n), "\"path\":\"/us\""));
	kf_oci_done(&oci);
	assert_refused("{\"process\":{\"args\":[\"a\"]},\"hooks\":{\"createcontainer\":[]}}",
		       "createContainer");
}

static void a_bundles_file_is_read_and_replaced_as_it_is(void **state)
{
	char dir[] = "/tmp/kf-oci-XXXXXX", path[64], *none = NULL;
	struct kf_oci_file file = {0};
	struct stat st;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(kf_oci_file_read("/none/such", "config.json", &file, &err), -1);
	assert_non_null(strstr(err.msg, "open directory '/none/such'"));
	assert_int_equal(kf_oci_file_read(dir, "../x", &file, &err), -1);
	assert_int_equal(kf_oci_file_read(dir, "", &file, &err), -1);
	assert_non_null(strstr(err.msg, "not a file name"));
	assert_int_equal(kf_oci_file_read(dir, "config.json", &file, &err), -1);
	assert_int_equal(err.code, ENOENT);
	(void)snprintf(path, sizeof(path), "%s/config.json", dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(kf_oci_file_read(dir, "config.json", &file, &err), -1);
	assert_int_equal(err.code, ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(kf_oci_file_read(dir, "config.json", &file, &err), -1);
	assert_int_equal(unlink(path), 0);

	f = fopen(path, "w");
	assert_non_null(f);
	fputs("{}", f);
	fclose(f);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(kf_oci_file_read(dir, "config.json", &file, &err), 0);
	assert_string_equal(file.text, "{}");
	assert_int_equal(kf_oci_file_replace(&file, none, 0, &err), -1);
	assert_int_equal(err.code, ENOMEM);
	assert_int_equal(kf_oci_file_replace(&file, "{1}", 3, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_size, 3);

	/* What cannot take the place of the other leaves nothing behind. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(kf_oci_file_replace(&file, "{2}", 3, &err), -1);
	assert_non_null(strstr(err.msg, "replace 'config.json'"));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(kf_oci_file_replace(&file, "{3}", 3, &err), -1);
	assert_non_null(strstr(err.msg, "create '.config.json."));
	kf_oci_file_done(&file);
	kf_oci_file_done(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_two_readers_could_read_differently_is_refused),
		cmocka_unit_test(a_nul_that_is_only_a_backslash_passes),
		cmocka_unit_test(programs_outside_the_sandbox_are_refused),
		cmocka_unit_test(only_a_sandbox_with_its_own_id_is_a_pause_container),
		cmocka_unit_test(both_families_of_annotations_name_the_pod),
		cmocka_unit_test(apply_changes_what_the_plan_says_and_nothing_else),
		cmocka_unit_test(a_process_file_gets_args_and_nothing_of_a_config),
		cmocka_unit_test(seccomp_survives_the_way_through_the_view),
		cmocka_unit_test(every_home_is_masked),
		cmocka_unit_test(what_is_read_only_is_found_but_not_below_a_root),
		cmocka_unit_test(a_bundles_file_is_read_and_replaced_as_it_is),
		cmocka_unit_test(a_hook_comes_last),
		cmocka_unit_test(no_home_is_left_out_however_many),
		cmocka_unit_test(variables_are_expanded_and_root_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
