/* SPDX-License-Identifier: Apache-2.0 */
/* Carrying out the plan on a bundle's JSON: arguments, environment, mounts, masked paths, seccomp
 * policy.  What is to be changed is decided in plan/; the bundle is read in view.c. */
#include "oci/apply.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"

#include "oci/seccomp.h"
#include "json/json.h"

#include <limits.h>
#include <string.h>

/* What was read may grow: each byte of a string may be written as an escape of six, and what the
 * plan adds is bounded by its memory. */
#define TEXT_MAX (6 * KF_LIMIT_OCI_JSON + KF_LIMIT_PLAN_MEMORY)

/* Set @key of @obj to @value; a NULL @value means that memory ran out. */
static int set_member(struct kf_json *obj, const char *key, struct kf_json *value,
		      struct kf_err *err)
{
	return kf_json_set(obj, key, value) ? 0 : kf_fail_nomem(err, key);
}

/* The object or list @key of @obj, made if it is absent or null; NULL if out of memory. */
static struct kf_json *ensure_member(struct kf_oci *oci, struct kf_json *obj, const char *key,
				     enum kf_json_type type)
{
	struct kf_json *value = kf_json_find(obj, key);

	if (value)
		return value;
	value = kf_json_new(&oci->arena, type);
	return kf_json_set(obj, key, value) ? value : NULL;
}

static int set_env(struct kf_oci *oci, const struct kf_plan *plan, struct kf_err *err)
{
	struct kf_json *env = ensure_member(oci, oci->process, "env", KF_JSON_LIST), *item;
	const char *text = kf_arena_printf(&oci->arena, KF_ENV_PROFILE "=%s", plan->profile->name);

	if (!env || !text)
		return kf_fail_nomem(err, "env");
	/* There is no second one: the plan would have refused it. */
	for (item = env->first; item; item = item->next)
		if (strncmp(item->text, KF_ENV_PROFILE "=", sizeof(KF_ENV_PROFILE)) == 0)
			break;
	if (item) {
		item->text = text;
		return 0;
	}
	return kf_json_append(env, kf_json_new_string(&oci->arena, text))
		       ? 0
		       : kf_fail_nomem(err, "env");
}

static bool is_removed(const struct kf_plan *plan, const char *destination)
{
	for (size_t i = 0; i < plan->nremove_mounts; i++)
		if (strcmp(plan->remove_mounts[i], destination) == 0)
			return true;
	return false;
}

/* Replace the path @value, a string, by its clean form.  The plan accepted the path, so every
 * reader understands the same by both forms. */
static int write_clean(struct kf_oci *oci, struct kf_json *value, struct kf_err *err)
{
	char clean[PATH_MAX];

	if (!kf_path_clean(value->text, clean, sizeof(clean)))
		return kf_fail(err, ENAMETOOLONG, "'%.120s...': path too long", value->text);
	if (strcmp(clean, value->text) == 0)
		return 0;
	/* The view and the plan have the old text, which stays in the arena. */
	value->text = kf_arena_strdup(&oci->arena, clean);
	return value->text ? 0 : kf_fail_nomem(err, clean);
}

static int clean_strings(struct kf_oci *oci, struct kf_json *list, struct kf_err *err)
{
	for (struct kf_json *item = list ? list->first : NULL; item; item = item->next)
		if (write_clean(oci, item, err) < 0)
			return -1;
	return 0;
}

static int clean_devices(struct kf_oci *oci, const struct kf_json *devices, struct kf_err *err)
{
	for (struct kf_json *item = devices ? devices->first : NULL; item; item = item->next) {
		struct kf_json *path = kf_json_find(item, "path");

		if (path && write_clean(oci, path, err) < 0)
			return -1;
	}
	return 0;
}

static int clean_paths(struct kf_oci *oci, const struct kf_json *linux_, struct kf_err *err)
{
	if (clean_devices(oci, kf_json_find(linux_, "devices"), err) < 0 ||
	    clean_strings(oci, kf_json_find(linux_, "maskedPaths"), err) < 0)
		return -1;
	return clean_strings(oci, kf_json_find(linux_, "readonlyPaths"), err);
}

enum { BEFORE_INSIDE, INSIDE, PROC, BELOW_PROC, MOUNT_CLASSES };

static int mount_class(const char *destination)
{
	if (kf_path_under(destination, KF_LAUNCHER_DIR))
		return INSIDE;
	if (strcmp(destination, "/proc") == 0)
		return PROC;
	return kf_path_under(destination, "/proc") ? BELOW_PROC : BEFORE_INSIDE;
}

/* Whether the path, in whatever form it is written, is inside /nono. */
static bool is_inside(const char *destination)
{
	char clean[PATH_MAX];

	return kf_path_clean(destination, clean, sizeof(clean)) &&
	       kf_path_under(clean, KF_LAUNCHER_DIR);
}

static const char *destination_of(const struct kf_json *mount)
{
	return kf_json_string(kf_json_find(mount, "destination"));
}

/* Move the mounts that stay to @to, with clean destinations. */
static int move_remaining(struct kf_oci *oci, struct kf_json *mounts, const struct kf_plan *plan,
			  struct kf_json *to, struct kf_err *err)
{
	struct kf_json *m = mounts ? kf_json_take_all(mounts) : NULL, *next;

	for (; m; m = next) {
		const char *destination = destination_of(m);

		next = m->next;
		if (!destination || is_removed(plan, destination) ||
		    (oci->inside.decided && is_inside(destination)))
			continue;
		if (write_clean(oci, kf_json_find(m, "destination"), err) < 0)
			return -1;
		(void)kf_json_append(to, m);
	}
	return 0;
}

/* Add a read-only bind mount of @source at @destination. */
static int add_bind(struct kf_oci *oci, struct kf_json *mounts, const char *source,
		    const char *destination, struct kf_err *err)
{
	static const char *const options[] = {"bind", "ro", "nosuid", "nodev", "rprivate"};
	struct kf_arena *arena = &oci->arena;
	struct kf_json *m = kf_json_new(arena, KF_JSON_OBJECT);

	if (!kf_json_append(mounts, m))
		return kf_fail_nomem(err, "mounts");
	if (set_member(m, "destination", kf_json_new_string(arena, destination), err) < 0 ||
	    set_member(m, "type", kf_json_new_string(arena, "bind"), err) < 0 ||
	    set_member(m, "source", kf_json_new_string(arena, source), err) < 0)
		return -1;
	return set_member(m, "options", kf_json_new_strings(arena, options, KF_ARRAY_SIZE(options)),
			  err);
}

static int add_inside(struct kf_oci *oci, struct kf_json *mounts, struct kf_err *err)
{
	if (!oci->inside.dir)
		return 0;
	if (add_bind(oci, mounts, oci->inside.dir, KF_LAUNCHER_DIR, err) < 0 ||
	    add_bind(oci, mounts, oci->inside.launcher, KF_LAUNCHER_PATH, err) < 0)
		return -1;
	if (oci->inside.profiles &&
	    add_bind(oci, mounts, oci->inside.profiles, KF_LAUNCHER_DIR "/profiles", err) < 0)
		return -1;
	return oci->inside.inner
		       ? add_bind(oci, mounts, oci->inside.inner, KF_LAUNCHER_INNER_DIR, err)
		       : 0;
}

static bool meant_read_only(const struct kf_plan *plan, const char *destination)
{
	for (size_t i = 0; i < plan->nread_only; i++)
		if (strcmp(plan->read_only[i]->destination, destination) == 0)
			return true;
	return false;
}

/* This comes before the destinations are cleaned, since the plan's strings are the old ones. */
static int make_mounts_read_only(struct kf_oci *oci, const struct kf_json *mounts,
				 const struct kf_plan *plan, struct kf_err *err)
{
	for (struct kf_json *m = mounts ? mounts->first : NULL; m; m = m->next) {
		const char *destination = destination_of(m);
		struct kf_json *options;

		if (!destination || !meant_read_only(plan, destination))
			continue;
		options = ensure_member(oci, m, "options", KF_JSON_LIST);
		if (!options || !kf_json_append(options, kf_json_new_string(&oci->arena, "ro")))
			return kf_fail_nomem(err, "mounts");
	}
	return 0;
}

/* Remove the mounts that the plan names, and order the others: first all others, then those at
 * /nono, then /proc and what lies below it.  A destination that is a symlink of the image or of a
 * volume can lead into /proc (crun follows it there) and would put a file of the pod's in the place
 * of /proc/self/fd/N, through which the launcher is started.  As /proc is mounted later, it covers
 * such a file.  A symlink may lead to /nono as well. */
static int order_mounts(struct kf_oci *oci, const struct kf_plan *plan, struct kf_err *err)
{
	struct kf_json *mounts = ensure_member(oci, oci->root, "mounts", KF_JSON_LIST);
	struct kf_json *classes[MOUNT_CLASSES], *rest = kf_json_new(&oci->arena, KF_JSON_LIST);
	struct kf_json *m, *next;

	if (!mounts || !rest)
		return kf_fail_nomem(err, "mounts");
	for (int i = 0; i < MOUNT_CLASSES; i++)
		if (!(classes[i] = kf_json_new(&oci->arena, KF_JSON_LIST)))
			return kf_fail_nomem(err, "mounts");
	if (make_mounts_read_only(oci, mounts, plan, err) < 0 ||
	    move_remaining(oci, mounts, plan, rest, err) < 0 || add_inside(oci, rest, err) < 0)
		return -1;
	for (m = kf_json_take_all(rest); m; m = next) {
		next = m->next;
		(void)kf_json_append(classes[mount_class(destination_of(m))], m);
	}
	if (!classes[PROC]->n)
		return kf_fail(err, EINVAL,
			       "no /proc is mounted: the sandbox launcher is reached through it");
	for (int i = 0; i < MOUNT_CLASSES; i++) {
		for (m = kf_json_take_all(classes[i]); m; m = next) {
			next = m->next;
			(void)kf_json_append(mounts, m);
		}
	}
	return 0;
}

static int add_masks(struct kf_oci *oci, struct kf_json *linux_, const char *const *masks,
		     size_t nmasks, struct kf_err *err)
{
	struct kf_json *paths = ensure_member(oci, linux_, "maskedPaths", KF_JSON_LIST);

	if (!paths)
		return kf_fail_nomem(err, "maskedPaths");
	for (size_t i = 0; i < nmasks; i++)
		if (!kf_json_append(paths, kf_json_new_string(&oci->arena, masks[i])))
			return kf_fail_nomem(err, "maskedPaths");
	return 0;
}

/* A file that belongs to the kernel, that the kubelet leaves open in /proc and that needs no
 * capability.  It would be writable for profiles that grant writing in /proc. */
#define KERNELS_OWN "/proc/dynamic_debug"

/* If the runtime was asked to protect /proc, protect all of it; a privileged container's stays
 * open. */
static int close_proc(struct kf_oci *oci, const struct kf_json *linux_, struct kf_err *err)
{
	struct kf_json *paths = kf_json_find(linux_, "readonlyPaths");

	if (!paths || !paths->n)
		return 0;
	for (const struct kf_json *path = paths->first; path; path = path->next)
		if (strcmp(path->text, KERNELS_OWN) == 0)
			return 0;
	return kf_json_append(paths, kf_json_new_string(&oci->arena, KERNELS_OWN))
		       ? 0
		       : kf_fail_nomem(err, "readonlyPaths");
}

/* Take the policy out of linux.seccomp.  The pod's own policy is kept in an annotation, for a
 * bundle that is used again to create a container. */
static int take_seccomp(struct kf_oci *oci, struct kf_json *linux_, struct kf_err *err)
{
	struct kf_buf text = KF_BUF_INIT(TEXT_MAX);
	struct kf_json *annotations, *value;

	if (oci->seccomp) {
		kf_json_write(oci->seccomp, &text);
		annotations = ensure_member(oci, oci->root, "annotations", KF_JSON_OBJECT);
		value = text.failed ? NULL : kf_json_new_string(&oci->arena, text.p);
		kf_buf_done(&text);
		if (!annotations)
			return kf_fail_nomem(err, "annotations");
		if (set_member(annotations, KF_OCI_ANNOTATION_SECCOMP, value, err) < 0)
			return -1;
	}
	kf_json_remove(linux_, "seccomp");
	return 0;
}

static int apply_config(struct kf_oci *oci, const struct kf_plan *plan, const char *const *masks,
			size_t nmasks, struct kf_err *err)
{
	struct kf_json *linux_ = kf_json_find(oci->root, "linux");

	if (order_mounts(oci, plan, err) < 0 || clean_paths(oci, linux_, err) < 0 ||
	    close_proc(oci, linux_, err) < 0)
		return -1;
	if (!nmasks && !plan->seccomp && !oci->launcher_filters)
		return 0;
	linux_ = ensure_member(oci, oci->root, "linux", KF_JSON_OBJECT);
	if (!linux_)
		return kf_fail_nomem(err, "linux");
	if (nmasks && add_masks(oci, linux_, masks, nmasks, err) < 0)
		return -1;
	if (oci->launcher_filters)
		return take_seccomp(oci, linux_, err);
	return plan->seccomp ? set_member(linux_, "seccomp",
					  kf_oci_seccomp_new(plan->seccomp, &oci->arena), err)
			     : 0;
}

int kf_oci_apply(struct kf_oci *oci, const struct kf_plan *plan, const char *const *masks,
		 size_t nmasks, struct kf_err *err)
{
	struct kf_json *args = kf_json_new_strings(&oci->arena, plan->args, plan->nargs);

	if (set_member(oci->process, "args", args, err) < 0 || set_env(oci, plan, err) < 0 ||
	    set_member(oci->process, "noNewPrivileges", kf_json_new_bool(&oci->arena, true), err) <
		    0)
		return -1;
	return oci->process == oci->root ? 0 : apply_config(oci, plan, masks, nmasks, err);
}

int kf_oci_add_hook(struct kf_oci *oci, const char *path, const char *const *args, size_t nargs,
		    struct kf_err *err)
{
	struct kf_json *hooks = ensure_member(oci, oci->root, "hooks", KF_JSON_OBJECT);
	struct kf_json *list =
		hooks ? ensure_member(oci, hooks, "createContainer", KF_JSON_LIST) : NULL;
	struct kf_json *hook = kf_json_new(&oci->arena, KF_JSON_OBJECT);

	if (!list || !kf_json_append(list, hook))
		return kf_fail_nomem(err, "hooks");
	if (set_member(hook, "path", kf_json_new_string(&oci->arena, path), err) < 0)
		return -1;
	return set_member(hook, "args", kf_json_new_strings(&oci->arena, args, nargs), err);
}

const char *kf_oci_text(struct kf_oci *oci, size_t *ret_n)
{
	kf_buf_done(&oci->text);
	oci->text = (struct kf_buf)KF_BUF_INIT(TEXT_MAX);
	kf_json_write(oci->root, &oci->text);
	*ret_n = oci->text.n;
	return oci->text.failed ? NULL : oci->text.p;
}
