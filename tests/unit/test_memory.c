/* SPDX-License-Identifier: Apache-2.0 */
/* No memory: whatever call for it fails, what decides about a container ends with an error, and
 * nothing is left behind (LeakSanitizer).  The rest of what these do is tried elsewhere. */
#include "base/cleanup.h"
#include "failing.h"
#include "flat/flat.h"
#include "kf_test.h"
#include "nri-plan/adjust.h"
#include "nri-plan/errno.h"
#include "nri-plan/view.h"
#include "oci/apply.h"
#include "oci/bundle.h"
#include "oci/mask.h"
#include "oci/seccomp.h"
#include "plan/plan.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define MEMORY (1 << 20)

static struct kf_err err;
static struct kf_arena arena;

/* What comes of a call, in one word: it failed for want of memory, or it went well and nothing
 * had failed. */
static void assert_told(int r)
{
	if (failing_hit)
		assert_int_equal(r, -1);
	if (r < 0) {
		assert_true(failing_hit);
		assert_int_equal(err.code, ENOMEM);
	}
}

/* ---- what is decided about ---- */

static const char *const deny[] = {"/run/secrets", "~/.ssh", "/tmp/$UID"};
static const struct kf_rule kept[] = {
	{.arg = "$WORKDIR/.git/hooks", .access = KF_READONLY_DIRECTORY}, {.arg = "~/.bashrc"}};
static const struct kf_profile_info profile = {
	.name = "default", .deny = deny, .ndeny = 3, .readonly = kept, .nreadonly = 2};
static const char *const handlers[] = {"nono-runc"};
static const struct kf_settings settings = {
	.handlers = handlers,
	.nhandlers = 1,
	.default_profile = "default",
	.launcher = "/opt/nono-nri/nono",
	.seccomp = KF_SECCOMP_LEVEL_RESTRICTED,
	.profiles = &profile,
	.nprofiles = 1,
};

static const char bundle[] =
	"{\"process\":{\"args\":[\"sh\",\"-c\",\"x\"],\"env\":[\"HOME=/h\",\"A=1\"],\"cwd\":\"/"
	"w\"},"
	"\"mounts\":[{\"destination\":\"/"
	"proc\",\"type\":\"proc\",\"source\":\"proc\"},{\"destination\":\"/run/secrets/token\"},"
	"{\"destination\":\"/etc/hosts\",\"type\":\"bind\",\"options\":[\"rw\"]},"
	"{\"destination\":\"/x//y\"}],"
	"\"linux\":{\"devices\":[{\"path\":\"/dev//x\"}],\"readonlyPaths\":[\"/proc//sys\"],"
	"\"maskedPaths\":[\"/proc/./kcore\"],\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\","
	"\"defaultErrnoRet\":1,\"architectures\":[\"SCMP_ARCH_X86_64\"],\"flags\":[\"SECCOMP_"
	"FILTER_FLAG_LOG\"],"
	"\"listenerPath\":\"/l\",\"listenerMetadata\":\"m\",\"syscalls\":["
	"{\"names\":[\"read\",\"write\"],\"action\":\"SCMP_ACT_ALLOW\"},"
	"{\"names\":[\"clone\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":38,\"args\":["
	"{\"index\":0,\"value\":1,\"valueTwo\":1,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}}}";

/* ---- the guard's side ---- */

static struct kf_oci_file file = {.name = "config.json"};

static void change_bundle(void)
{
	static const char *const args[] = {"nono-runc", "bind"};
	static const struct kf_launch launch = {
		.by_fd = true, .launcher_fd = 3, .policy_fd = 4, .report_fd = 5};
	struct kf_oci_readonly *readonly;
	const char *const *masks = NULL;
	struct kf_plan plan = {0};
	size_t nmasks = 0, n;
	struct kf_oci oci;
	int r = kf_oci_parse_config(bundle, strlen(bundle), "nono-runc", "id", &oci, &err);

	if (r < 0) {
		assert_told(r);
		return;
	}
	r = kf_oci_masks(&oci, &profile, -1, &masks, &nmasks, &err);
	if (r == 0)
		r = kf_oci_readonly(&oci, &profile, -1, &readonly, &n, &err);
	if (r == 0)
		r = kf_plan_container(&settings, &oci.view, &launch, &oci.arena, &plan, &err);
	if (r == 0) {
		if (plan.decision != KF_SANDBOX)
			fail_msg("%s", plan.reason);
		oci.inside.decided = true;
		oci.inside.dir = "/d";
		oci.inside.launcher = "/l";
		oci.inside.profiles = "/p";
		r = kf_oci_apply(&oci, &plan, masks, nmasks, &err);
	}
	if (r == 0)
		r = kf_oci_add_hook(&oci, "/us", args, 2, &err);
	if (r == 0) {
		const char *text = kf_oci_text(&oci, &n);

		assert_true(text || failing_hit);
		/* What cannot be written out is no file, not an empty one. */
		r = kf_oci_file_replace(&file, text, n, &err);
		if (text)
			assert_non_null(strstr(text, "\"/proc/self/fd/3\",\"wrap\""));
	}
	assert_told(r);
	kf_oci_done(&oci);
}

static void a_bundle_is_changed_or_refused(void **state)
{
	char dir[] = "/tmp/kf-memory-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	file.dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	file.mode = 0600;
	file.uid = geteuid();
	file.gid = getegid();
	assert_true(fail_each(change_bundle) > 100);
	assert_int_equal(unlinkat(file.dirfd, file.name, 0), 0);
	(void)close(file.dirfd);
	assert_int_equal(rmdir(dir), 0);
}

static void take_filter(void)
{
	static const char *const args[] = {"a"};
	static const struct kf_plan plan = {
		.decision = KF_SANDBOX, .profile = &profile, .args = args, .nargs = 1};
	struct kf_oci oci;
	size_t n;
	int r = kf_oci_parse_config(bundle, strlen(bundle), "nono-runc", "id", &oci, &err);

	if (r < 0) {
		assert_told(r);
		return;
	}
	oci.launcher_filters = true;
	r = kf_oci_apply(&oci, &plan, deny, 1, &err);
	assert_told(r);
	failing_left = 0;
	if (r == 0)
		assert_null(strstr(kf_oci_text(&oci, &n), "\"seccomp\":{"));
	kf_oci_done(&oci);
}

static void a_filter_is_taken_or_the_bundle_refused(void **state)
{
	(void)state;
	assert_true(fail_each(take_filter) > 50);
}

static const struct kf_seccomp *policy;

static void write_policy(void)
{
	struct kf_buf text = KF_BUF_INIT(64 * 1024);
	const struct kf_json *obj;
	struct kf_arena own;

	kf_arena_init(&own, 1024 * 1024);
	obj = kf_oci_seccomp_new(policy, &own);
	if (obj)
		kf_json_write(obj, &text);
	assert_true(failing_hit == (!obj || text.failed));
	failing_left = 0;
	if (obj && !text.failed) {
		assert_non_null(strstr(text.p, "\"listenerPath\":\"/l\""));
		assert_non_null(strstr(text.p, "\"op\":\"SCMP_CMP_MASKED_EQ\""));
	}
	kf_buf_done(&text);
	kf_arena_done(&own);
}

static void a_policy_is_written_whole(void **state)
{
	struct kf_oci oci;

	(void)state;
	assert_int_equal(kf_oci_parse_config(bundle, strlen(bundle), "h", "id", &oci, &err), 0);
	policy = oci.view.seccomp;
	assert_true(fail_each(write_policy) > 30);
	kf_oci_done(&oci);
}

/* ---- the plugin's side ---- */

static Nri__LinuxSeccompArg nri_arg = NRI__LINUX_SECCOMP_ARG__INIT, *nri_args[] = {&nri_arg};
static Nri__OptionalUInt32 nri_errno = NRI__OPTIONAL_UINT32__INIT;
static Nri__LinuxSyscall nri_rule = NRI__LINUX_SYSCALL__INIT, *nri_rules[] = {&nri_rule};
static Nri__LinuxSeccomp nri_policy = NRI__LINUX_SECCOMP__INIT;
static Nri__LinuxDevice nri_device = NRI__LINUX_DEVICE__INIT, *nri_devices[] = {&nri_device};
static Nri__SecurityProfile nri_profile = NRI__SECURITY_PROFILE__INIT;
static Nri__LinuxContainer nri_linux = NRI__LINUX_CONTAINER__INIT;
static Nri__Mount nri_mounts_v[3],
	*nri_mounts[] = {&nri_mounts_v[0], &nri_mounts_v[1], &nri_mounts_v[2]};
static Nri__KeyValue nri_annotation = NRI__KEY_VALUE__INIT, *nri_annotations[] = {&nri_annotation};
static Nri__Container container = NRI__CONTAINER__INIT;
static Nri__PodSandbox pod = NRI__POD_SANDBOX__INIT;

static int make_messages(void **state)
{
	static char *call[] = {(char *)"clone"}, *arch[] = {(char *)"SCMP_ARCH_X86_64"},
		    *flag[] = {(char *)"SECCOMP_FILTER_FLAG_LOG"}, *args[] = {(char *)"sh"},
		    *options[] = {(char *)"rbind", (char *)"rw"};
	static const char *const destinations[] = {"/etc/hosts", "/run/secrets/token",
						   "/run/secrets/token"};

	(void)state;
	nri_arg.op = (char *)"SCMP_CMP_EQ";
	nri_arg.value = 7;
	nri_errno.value = ENOSYS;
	nri_rule.names = call;
	nri_rule.n_names = 1;
	nri_rule.action = (char *)"SCMP_ACT_ERRNO";
	nri_rule.errno_ret = &nri_errno;
	nri_rule.args = nri_args;
	nri_rule.n_args = 1;
	nri_policy.default_action = (char *)"SCMP_ACT_ALLOW";
	nri_policy.default_errno = &nri_errno;
	nri_policy.architectures = arch;
	nri_policy.n_architectures = 1;
	nri_policy.flags = flag;
	nri_policy.n_flags = 1;
	nri_policy.listener_path = (char *)"/l";
	nri_policy.listener_metadata = (char *)"m";
	nri_policy.syscalls = nri_rules;
	nri_policy.n_syscalls = 1;
	nri_device.path = (char *)"/dev/x";
	nri_profile.profile_type = NRI__SECURITY_PROFILE__PROFILE_TYPE__RUNTIME_DEFAULT;
	nri_linux.devices = nri_devices;
	nri_linux.n_devices = 1;
	nri_linux.seccomp_policy = &nri_policy;
	nri_linux.seccomp_profile = &nri_profile;
	for (size_t i = 0; i < 3; i++) {
		nri__mount__init(&nri_mounts_v[i]);
		nri_mounts_v[i].destination = (char *)destinations[i];
		nri_mounts_v[i].type = (char *)"bind";
		nri_mounts_v[i].source = (char *)"/s";
		nri_mounts_v[i].options = options;
		nri_mounts_v[i].n_options = 2;
	}
	nri_annotation.key = (char *)"a";
	nri_annotation.value = (char *)"b";
	container.id = (char *)"id";
	container.args = args;
	container.n_args = 1;
	container.mounts = nri_mounts;
	container.n_mounts = 3;
	container.linux_container = &nri_linux;
	pod.id = (char *)"pod";
	pod.runtime_handler = (char *)"nono-runc";
	pod.annotations = nri_annotations;
	pod.n_annotations = 1;
	return 0;
}

static void answer_request(void)
{
	static const struct kf_launch launch = {.guard_follows = true};
	Nri__ContainerAdjustment *adjust = NULL;
	Nri__LinuxSeccomp *message = NULL;
	const struct kf_seccomp *plain;
	struct kf_plan plan;
	struct kf_view view;
	int r;

	kf_arena_init(&arena, MEMORY);
	r = kf_nri_view(&pod, &container, &arena, &view, &err);
	if (r == 0)
		r = kf_plan_container(&settings, &view, &launch, &arena, &plan, &err);
	if (r == 0)
		r = kf_nri_adjust(&plan, &arena, &adjust, &err);
	if (r == 0)
		r = kf_nri_seccomp_message(view.seccomp, &arena, &message, &err);
	if (r == 0)
		r = kf_nri_seccomp_without_errno(view.seccomp, &arena, &plain, &err);
	assert_told(r);
	if (r == 0) {
		/* Claimed twice, a mount would conflict with itself. */
		assert_int_equal(adjust->n_mounts, 3);
		assert_string_equal(adjust->mounts[0]->destination, "-/run/secrets/token");
		assert_string_equal(adjust->mounts[1]->destination, "-/etc/hosts");
		assert_string_equal(adjust->mounts[2]->destination, "/etc/hosts");
		assert_string_equal(adjust->mounts[2]->options[2], "ro");
		assert_string_equal(adjust->args[0], "/nono/nono");
		assert_string_equal(adjust->env[0]->value, "default");
		/* The policy as a message is what it was as a message. */
		assert_string_equal(message->listener_metadata, "m");
		assert_int_equal(message->default_errno->value, ENOSYS);
		assert_int_equal(message->syscalls[0]->errno_ret->value, ENOSYS);
		assert_string_equal(message->syscalls[0]->args[0]->op, "SCMP_CMP_EQ");
		assert_int_equal(message->syscalls[0]->args[0]->value, 7);
		assert_string_equal(plain->rules[0].action, "SCMP_ACT_TRACE");
	}
	kf_arena_done(&arena);
}

static void a_request_is_answered_or_refused(void **state)
{
	(void)state;
	assert_true(fail_each(answer_request) > 20);
}

static void intersect_policies(void)
{
	const struct kf_seccomp *a = kf_seccomp_builtin(KF_SECCOMP_LEVEL_RESTRICTED, "x86_64");
	struct kf_seccomp both;
	int r;

	kf_arena_init(&arena, MEMORY);
	r = kf_seccomp_intersect(a, policy, &arena, &both, &err);
	assert_told(r);
	if (r == 0)
		assert_true(both.nrules > 0);
	kf_arena_done(&arena);
}

static void policies_are_joined_or_the_container_refused(void **state)
{
	struct kf_oci oci;

	(void)state;
	assert_int_equal(kf_oci_parse_config(bundle, strlen(bundle), "h", "id", &oci, &err), 0);
	policy = oci.view.seccomp;
	assert_true(fail_each(intersect_policies) > 5);
	kf_oci_done(&oci);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bundle_is_changed_or_refused),
		cmocka_unit_test(a_filter_is_taken_or_the_bundle_refused),
		cmocka_unit_test(a_policy_is_written_whole),
		cmocka_unit_test(a_request_is_answered_or_refused),
		cmocka_unit_test(policies_are_joined_or_the_container_refused),
	};

	return cmocka_run_group_tests(tests, make_messages, NULL);
}
