/* SPDX-License-Identifier: Apache-2.0 */
/* config.json and process files through view, plan and apply.  What comes out
 * starts with our launcher and has no_new_privs, and all that we did not mean to
 * change is equal; or it is refused.  json-c, which is not what the guard reads with, says what is
 * equal: it also has to understand whatever the guard lets in. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "flat/flat.h"
#include "oci/apply.h"
#include "oci/mask.h"
#include "plan/plan.h"
#include <json-c/json.h>
#include <limits.h>
#include <stdint.h>

static const char *const fuzz_deny[] = {"/run/secrets", "~/.ssh", "$WORKDIR/x"};
static const struct kf_rule fuzz_readonly[] = {
	{.arg = "$WORKDIR/.git/hooks", .access = KF_READONLY_DIRECTORY},
	{.arg = "~/.bashrc"},
	{.arg = "/srv/$UID"},
};
static const struct kf_profile_info fuzz_profiles[] = {
	{.name = "default",
	 .deny = fuzz_deny,
	 .ndeny = 3,
	 .readonly = fuzz_readonly,
	 .nreadonly = 3},
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

static void fuzz_put(struct json_object **obj)
{
	json_object_put(*obj);
}

static struct json_object *fuzz_parse(const char *text, size_t n)
{
	struct json_tokener *tok = json_tokener_new_ex(64);
	struct json_object *obj;

	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	obj = json_tokener_parse_ex(tok, text, (int)n);
	fuzz_check(json_object_is_type(obj, json_type_object));
	json_tokener_free(tok);
	return obj;
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

/* Take away the last of the hooks, if it is @ours, and what holds nothing. */
static void fuzz_strip_hook(struct json_object *root, bool ours)
{
	struct json_object *hooks = json_object_object_get(root, "hooks"), *list;
	size_t n;

	list = hooks ? json_object_object_get(hooks, "createContainer") : NULL;
	n = list ? json_object_array_length(list) : 0;
	fuzz_check(!ours || n);
	if (ours)
		json_object_array_del_idx(list, --n, 1);
	if (!n && hooks)
		json_object_object_del(hooks, "createContainer");
	if (!hooks || json_object_object_length(hooks) == 0)
		json_object_object_del(root, "hooks");
}

/* What is kept is absolute and clean, whatever the container's environment says. */
static bool fuzz_keep(struct kf_oci *oci, const struct kf_profile_info *profile, bool *ret_hook,
		      struct kf_err *err)
{
	static const char *const args[] = {"a"};
	struct kf_oci_readonly *v;
	char clean[PATH_MAX];
	size_t n;

	if (kf_oci_readonly(oci, profile, -1, &v, &n, err) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		fuzz_check(v[i].path[0] == '/' && v[i].path[1] &&
			   kf_path_clean(v[i].path, clean, sizeof(clean)) &&
			   strcmp(v[i].path, clean) == 0);
	*ret_hook = n;
	return !n || kf_oci_add_hook(oci, "/h", args, 1, err) == 0;
}

static void fuzz_result(struct kf_oci *oci, struct json_object *before, const char *profile,
			bool config, bool hook)
{
	KF_CLEANUP(fuzz_put) struct json_object *after = NULL;
	struct json_object *process, *args, *nnp;
	size_t n;
	const char *text = kf_oci_text(oci, &n);

	fuzz_check(text != NULL);
	after = fuzz_parse(text, n);
	process = config ? json_object_object_get(after, "process") : after;
	args = json_object_object_get(process, "args");
	nnp = json_object_object_get(process, "noNewPrivileges");
	fuzz_check(json_object_array_length(args) >= 9 && json_object_get_boolean(nnp));
	fuzz_check(strcmp(json_object_get_string(json_object_array_get_idx(args, 0)),
			  "/proc/self/fd/3") == 0);
	fuzz_check(strcmp(json_object_get_string(json_object_array_get_idx(args, 7)), profile) ==
		   0);
	fuzz_strip(before, config);
	fuzz_strip(after, config);
	if (config) {
		fuzz_strip_hook(before, false);
		fuzz_strip_hook(after, hook);
	}
	fuzz_check(json_object_equal(before, after));
}

static int fuzz_oci(const uint8_t *data, size_t size, bool config)
{
	static const struct kf_launch launch = {.by_fd = true, .launcher_fd = 3, .policy_fd = 4};
	KF_CLEANUP(fuzz_put) struct json_object *before = NULL;
	KF_FREE char *text = malloc(size + 1);
	const char *const *masks = NULL;
	size_t nmasks = 0;
	bool hook = false;
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
	before = fuzz_parse(text, size);
	if (!oci.pause &&
	    kf_plan_container(&fuzz_settings, &oci.view, &launch, &arena, &plan, &err) == 0 &&
	    plan.decision == KF_SANDBOX &&
	    (!config || fuzz_keep(&oci, plan.profile, &hook, &err)) &&
	    (!config || kf_oci_masks(&oci, plan.profile, -1, &masks, &nmasks, &err) == 0) &&
	    kf_oci_apply(&oci, &plan, masks, nmasks, &err) == 0)
		fuzz_result(&oci, before, plan.profile->name, config, hook);
	kf_oci_done(&oci);
	kf_arena_done(&arena);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
