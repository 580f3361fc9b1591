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
#include <stdio.h>
#include <string.h>

#define ENV_MAX (sizeof(KF_ENV_PROFILE "=") + KF_LIMIT_PROFILE_NAME)

/* Set @key of @obj to @value, which is taken over; a NULL @value means that memory ran out. */
static int set_member(struct json_object *obj, const char *key, struct json_object *value,
		      struct kf_err *err)
{
	if (value && json_object_object_add(obj, key, value) == 0)
		return 0;
	json_object_put(value);
	return kf_fail_nomem(err, key);
}

/* The object or list @key of @obj, made if it is absent or null; NULL if out of memory. */
static struct json_object *ensure_member(struct json_object *obj, const char *key,
					 enum json_type type)
{
	struct json_object *value = json_object_object_get(obj, key);

	if (value)
		return value;
	value = type == json_type_array ? json_object_new_array() : json_object_new_object();
	if (value && json_object_object_add(obj, key, value) == 0)
		return value;
	json_object_put(value);
	return NULL;
}

static int set_env(struct kf_oci *oci, const struct kf_plan *plan, struct kf_err *err)
{
	struct json_object *env = ensure_member(oci->process, "env", json_type_array), *value;
	char text[ENV_MAX];
	size_t n, i;

	if (!env)
		return kf_fail_nomem(err, "env");
	n = json_object_array_length(env);
	for (i = 0; i < n; i++)
		if (strncmp(oci->view.env[i], KF_ENV_PROFILE "=", sizeof(KF_ENV_PROFILE)) == 0)
			break; /* there is no second one: the plan would have refused it */
	(void)snprintf(text, sizeof(text), KF_ENV_PROFILE "=%s", plan->profile->name);
	value = json_object_new_string(text);
	if (value && json_object_array_put_idx(env, i, value) == 0)
		return 0;
	json_object_put(value);
	return kf_fail_nomem(err, "env");
}

static bool is_removed(const struct kf_plan *plan, const char *destination)
{
	for (size_t i = 0; i < plan->nremove_mounts; i++)
		if (strcmp(plan->remove_mounts[i], destination) == 0)
			return true;
	return false;
}

/* Replace the path @text by its clean form, unless it is clean: as member @key of the object @in
 * or, if @key is NULL, as element @i of the array @in.  The plan accepted the path, so every reader
 * understands the same by both forms. */
static int write_clean(struct json_object *in, const char *key, size_t i, const char *text,
		       struct kf_err *err)
{
	struct json_object *value;
	char clean[PATH_MAX];

	if (!kf_path_clean(text, clean, sizeof(clean)))
		return kf_fail(err, ENAMETOOLONG, "'%.120s...': path too long", text);
	if (strcmp(clean, text) == 0)
		return 0;
	value = json_object_new_string(clean);
	if (key)
		return set_member(in, key, value, err);
	if (value && json_object_array_put_idx(in, i, value) == 0)
		return 0;
	json_object_put(value);
	return kf_fail_nomem(err, text);
}

static int clean_strings(struct json_object *array, struct kf_err *err)
{
	const size_t n = array ? json_object_array_length(array) : 0;

	for (size_t i = 0; i < n; i++)
		if (write_clean(array, NULL, i,
				json_object_get_string(json_object_array_get_idx(array, i)),
				err) < 0)
			return -1;
	return 0;
}

static int clean_devices(struct json_object *devices, struct kf_err *err)
{
	const size_t n = devices ? json_object_array_length(devices) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *device = json_object_array_get_idx(devices, i);
		const char *path = json_object_get_string(json_object_object_get(device, "path"));

		if (path && write_clean(device, "path", 0, path, err) < 0)
			return -1;
	}
	return 0;
}

static int clean_paths(struct json_object *linux_, struct kf_err *err)
{
	if (!linux_)
		return 0;
	if (clean_devices(json_object_object_get(linux_, "devices"), err) < 0 ||
	    clean_strings(json_object_object_get(linux_, "maskedPaths"), err) < 0)
		return -1;
	return clean_strings(json_object_object_get(linux_, "readonlyPaths"), err);
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

/* Collect the mounts that stay, with clean destinations.  The plan's strings live in the mounts
 * that are removed. */
static int remaining_mounts(const struct kf_oci *oci, struct json_object *mounts,
			    const struct kf_plan *plan, struct json_object *ret, struct kf_err *err)
{
	const size_t n = mounts ? json_object_array_length(mounts) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *m = json_object_array_get_idx(mounts, i);
		const char *destination =
			json_object_get_string(json_object_object_get(m, "destination"));

		if (!destination || is_removed(plan, destination) ||
		    (oci->inside.decided && is_inside(destination)))
			continue;
		if (write_clean(m, "destination", 0, destination, err) < 0)
			return -1;
		if (json_object_array_add(ret, json_object_get(m)) < 0)
			return json_object_put(m), kf_fail_nomem(err, "mounts");
	}
	return 0;
}

/* Add a read-only bind mount of @source at @destination. */
static int add_bind(struct json_object *mounts, const char *source, const char *destination,
		    struct kf_err *err)
{
	static const char *const options[] = {"bind", "ro", "nosuid", "nodev", "rprivate"};
	struct json_object *m = json_object_new_object();

	if (!m || json_object_array_add(mounts, m) < 0) {
		json_object_put(m);
		return kf_fail_nomem(err, "mounts");
	}
	if (set_member(m, "destination", json_object_new_string(destination), err) < 0 ||
	    set_member(m, "type", json_object_new_string("bind"), err) < 0 ||
	    set_member(m, "source", json_object_new_string(source), err) < 0)
		return -1;
	return set_member(m, "options", kf_json_strings_new(options, KF_ARRAY_SIZE(options)), err);
}

static int add_inside(const struct kf_oci *oci, struct json_object *mounts, struct kf_err *err)
{
	if (!oci->inside.dir)
		return 0;
	if (add_bind(mounts, oci->inside.dir, KF_LAUNCHER_DIR, err) < 0 ||
	    add_bind(mounts, oci->inside.launcher, KF_LAUNCHER_PATH, err) < 0)
		return -1;
	if (oci->inside.profiles &&
	    add_bind(mounts, oci->inside.profiles, KF_LAUNCHER_DIR "/profiles", err) < 0)
		return -1;
	return oci->inside.inner ? add_bind(mounts, oci->inside.inner, KF_LAUNCHER_INNER_DIR, err)
				 : 0;
}

static bool meant_read_only(const struct kf_plan *plan, const char *destination)
{
	for (size_t i = 0; i < plan->nread_only; i++)
		if (strcmp(plan->read_only[i]->destination, destination) == 0)
			return true;
	return false;
}

static int make_read_only(struct json_object *mount, struct kf_err *err)
{
	struct json_object *options = ensure_member(mount, "options", json_type_array);
	struct json_object *ro = json_object_new_string("ro");

	if (options && ro && json_object_array_add(options, ro) == 0)
		return 0;
	json_object_put(ro);
	return kf_fail_nomem(err, "mounts");
}

/* This comes before the destinations are cleaned, since the plan's strings are the old ones. */
static int make_mounts_read_only(struct json_object *mounts, const struct kf_plan *plan,
				 struct kf_err *err)
{
	const size_t n = mounts ? json_object_array_length(mounts) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *m = json_object_array_get_idx(mounts, i);
		const char *destination =
			json_object_get_string(json_object_object_get(m, "destination"));

		if (destination && meant_read_only(plan, destination) && make_read_only(m, err) < 0)
			return -1;
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
	KF_CLEANUP(kf_json_put) struct json_object *rest = json_object_new_array();
	KF_CLEANUP(kf_json_put) struct json_object *ordered = json_object_new_array();
	struct json_object *mounts = json_object_object_get(oci->root, "mounts");
	bool proc = false;

	if (!rest || !ordered)
		return kf_fail_nomem(err, "mounts");
	if (make_mounts_read_only(mounts, plan, err) < 0 ||
	    remaining_mounts(oci, mounts, plan, rest, err) < 0 || add_inside(oci, rest, err) < 0)
		return -1;
	for (int class = BEFORE_INSIDE; class < MOUNT_CLASSES; class ++) {
		for (size_t i = 0; i < json_object_array_length(rest); i++) {
			struct json_object *m = json_object_array_get_idx(rest, i);
			const char *destination =
				json_object_get_string(json_object_object_get(m, "destination"));

			if (mount_class(destination) != class)
				continue;
			if (json_object_array_add(ordered, json_object_get(m)) < 0)
				return json_object_put(m), kf_fail_nomem(err, "mounts");
			proc |= class == PROC;
		}
	}
	if (!proc)
		return kf_fail(err, EINVAL,
			       "no /proc is mounted: the sandbox launcher is reached through it");
	return set_member(oci->root, "mounts", KF_STEAL(ordered), err);
}

static int add_masks(struct json_object *linux_, const char *const *masks, size_t nmasks,
		     struct kf_err *err)
{
	struct json_object *paths = ensure_member(linux_, "maskedPaths", json_type_array);

	if (!paths)
		return kf_fail_nomem(err, "maskedPaths");
	for (size_t i = 0; i < nmasks; i++) {
		struct json_object *path = json_object_new_string(masks[i]);

		if (!path || json_object_array_add(paths, path) < 0) {
			json_object_put(path);
			return kf_fail_nomem(err, "maskedPaths");
		}
	}
	return 0;
}

/* A file that belongs to the kernel, that the kubelet leaves open in /proc and that needs no
 * capability.  It would be writable for profiles that grant writing in /proc. */
#define KERNELS_OWN "/proc/dynamic_debug"

/* If the runtime was asked to protect /proc, protect all of it; a privileged container's stays
 * open. */
static int close_proc(struct json_object *linux_, struct kf_err *err)
{
	struct json_object *paths = linux_ ? json_object_object_get(linux_, "readonlyPaths") : NULL;
	const size_t n = paths ? json_object_array_length(paths) : 0;
	struct json_object *path;

	for (size_t i = 0; i < n; i++)
		if (strcmp(json_object_get_string(json_object_array_get_idx(paths, i)),
			   KERNELS_OWN) == 0)
			return 0;
	if (!n)
		return 0;
	path = json_object_new_string(KERNELS_OWN);
	if (path && json_object_array_add(paths, path) == 0)
		return 0;
	json_object_put(path);
	return kf_fail_nomem(err, "readonlyPaths");
}

/* Take the policy out of linux.seccomp.  The pod's own policy is kept in an annotation, for a
 * bundle that is used again to create a container. */
static int take_seccomp(struct kf_oci *oci, struct json_object *linux_, struct kf_err *err)
{
	struct json_object *annotations;
	const char *text;
	size_t n;

	if (oci->seccomp) {
		annotations = ensure_member(oci->root, "annotations", json_type_object);
		text = kf_json_text(oci->seccomp, &n);
		if (!annotations || !text)
			return kf_fail_nomem(err, "annotations");
		if (set_member(annotations, KF_OCI_ANNOTATION_SECCOMP, json_object_new_string(text),
			       err) < 0)
			return -1;
	}
	json_object_object_del(linux_, "seccomp");
	return 0;
}

static int apply_config(struct kf_oci *oci, const struct kf_plan *plan, const char *const *masks,
			size_t nmasks, struct kf_err *err)
{
	struct json_object *linux_;

	if (order_mounts(oci, plan, err) < 0 ||
	    clean_paths(json_object_object_get(oci->root, "linux"), err) < 0 ||
	    close_proc(json_object_object_get(oci->root, "linux"), err) < 0)
		return -1;
	if (!nmasks && !plan->seccomp && !oci->launcher_filters)
		return 0;
	linux_ = ensure_member(oci->root, "linux", json_type_object);
	if (!linux_)
		return kf_fail_nomem(err, "linux");
	if (nmasks && add_masks(linux_, masks, nmasks, err) < 0)
		return -1;
	if (oci->launcher_filters)
		return take_seccomp(oci, linux_, err);
	return plan->seccomp ? set_member(linux_, "seccomp", kf_oci_seccomp_new(plan->seccomp), err)
			     : 0;
}

int kf_oci_apply(struct kf_oci *oci, const struct kf_plan *plan, const char *const *masks,
		 size_t nmasks, struct kf_err *err)
{
	if (set_member(oci->process, "args", kf_json_strings_new(plan->args, plan->nargs), err) <
		    0 ||
	    set_env(oci, plan, err) < 0 ||
	    set_member(oci->process, "noNewPrivileges", json_object_new_boolean(1), err) < 0)
		return -1;
	return oci->process == oci->root ? 0 : apply_config(oci, plan, masks, nmasks, err);
}

int kf_oci_add_hook(struct kf_oci *oci, const char *path, const char *const *args, size_t nargs,
		    struct kf_err *err)
{
	struct json_object *hooks = ensure_member(oci->root, "hooks", json_type_object);
	struct json_object *list =
		hooks ? ensure_member(hooks, "createContainer", json_type_array) : NULL;
	struct json_object *hook = json_object_new_object();

	if (!list || !hook || json_object_array_add(list, hook) < 0) {
		json_object_put(hook);
		return kf_fail_nomem(err, "hooks");
	}
	return set_member(hook, "path", json_object_new_string(path), err) < 0
		       ? -1
		       : set_member(hook, "args", kf_json_strings_new(args, nargs), err);
}

const char *kf_oci_text(struct kf_oci *oci, size_t *ret_n)
{
	return kf_json_text(oci->root, ret_n);
}
