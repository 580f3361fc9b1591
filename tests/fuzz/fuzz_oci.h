/* SPDX-License-Identifier: Apache-2.0 */
/* config.json and process files through view, plan and apply.  What comes out
 * starts with our launcher and has no_new_privs, and all that we did not mean to
 * change is equal; or it is refused. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "oci/apply.h"
#include "oci/json.h"
#include "oci/mask.h"
#include "policy/plan.h"

#include <stdint.h>

static const char *const fuzz_deny[] = {"/run/secrets", "~/.ssh", "$WORKDIR/x"};
static const struct kf_profile_info fuzz_profiles[] = {
	{.name = "default", .deny = fuzz_deny, .ndeny = 3},
	{.name = "open"},
};
static const char *const fuzz_handlers[] = {"h"};
static const struct kf_settings fuzz_settings = {
	.handlers = fuzz_handlers,
	.nhandlers = 1,
	.default_profile = "default",
	.launcher = "/opt/nono-nri/nono",
	.seccomp = KF_SECCOMP_LEVEL_RESTRICTED,
	.profiles = fuzz_profiles,
	.nprofiles = 2,
};

static void fuzz_check(bool ok)
{
	if (!ok)
		abort();
}

/* Take away what apply may change. */
static void fuzz_strip(struct json_object *root, bool config)
{
	struct json_object *process = root, *linux_ = NULL;

	if (config)
		process = json_object_object_get(root, "process");
	json_object_object_del(process, "args");
	json_object_object_del(process, "env");
	json_object_object_del(process, "noNewPrivileges");
	if (!config)
		return;
	json_object_object_del(root, "mounts");
	linux_ = json_object_object_get(root, "linux");
	if (linux_) {
		json_object_object_del(linux_, "maskedPaths");
		json_object_object_del(linux_, "seccomp");
		if (json_object_object_length(linux_) == 0)
			linux_ = NULL;
	}
	if (!linux_)
		json_object_object_del(root, "linux");
}

static void fuzz_result(struct kf_oci *oci, struct json_object *before, const char *profile,
			bool config)
{
	KF_CLEANUP(kf_json_put) struct json_object *after = NULL;
	struct json_object *process, *args, *nnp;
	struct kf_err err;
	size_t n;
	const char *text = kf_oci_text(oci, &n);

	fuzz_check(text && kf_json_parse(text, n, "result", &after, &err) == 0);
	process = config ? json_object_object_get(after, "process") : after;
	args = json_object_object_get(process, "args");
	nnp = json_object_object_get(process, "noNewPrivileges");
	fuzz_check(json_object_array_length(args) >= 7 && json_object_get_boolean(nnp));
	fuzz_check(strcmp(json_object_get_string(json_object_array_get_idx(args, 0)),
			  "/proc/self/fd/3") == 0);
	fuzz_check(strcmp(json_object_get_string(json_object_array_get_idx(args, 5)), profile) ==
		   0);
	fuzz_strip(before, config);
	fuzz_strip(after, config);
	fuzz_check(json_object_equal(before, after));
}

static int fuzz_oci(const uint8_t *data, size_t size, bool config)
{
	static const struct kf_launch launch = {.by_fd = true, .launcher_fd = 3, .policy_fd = 4};
	KF_CLEANUP(kf_json_put) struct json_object *before = NULL;
	KF_FREE char *text = malloc(size + 1);
	const char *const *masks = NULL;
	size_t nmasks = 0;
	struct kf_oci oci;
	struct kf_plan plan;
	struct kf_arena arena;
	struct kf_err err;
	int r;

	fuzz_check(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	r = config ? kf_oci_parse_config(text, size, "h", "cid", &oci, &err)
		   : kf_oci_parse_process(text, size, "h", "cid", &oci, &err);
	if (r < 0)
		return 0;
	kf_arena_init(&arena, KF_LIMIT_PLAN_MEMORY);
	fuzz_check(kf_json_parse(text, size, "input", &before, &err) == 0);
	if (!oci.pause &&
	    kf_plan_container(&fuzz_settings, &oci.view, &launch, &arena, &plan, &err) == 0 &&
	    plan.decision == KF_SANDBOX &&
	    (!config || kf_oci_masks(&oci, plan.profile, -1, &masks, &nmasks, &err) == 0) &&
	    kf_oci_apply(&oci, &plan, masks, nmasks, &err) == 0)
		fuzz_result(&oci, before, plan.profile->name, config);
	kf_oci_done(&oci);
	kf_arena_done(&arena);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
