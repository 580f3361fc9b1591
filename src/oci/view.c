/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a bundle's config.json or process file into what the plan looks at, and refusing what
 * would bypass the sandbox.  Changes are made in apply.c. */
#include "oci/view.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "oci/seccomp.h"
#include "json/json.h"

#include <string.h>

/* The annotations of config.json in which containerd and CRI-O, each under its own names, say which
 * pod the container belongs to. */
static const struct family {
	const char *type, *sandbox_id;
	const char *namespace_, *pod, *pod_uid, *container;
} families[] = {
	{
		.type = "io.kubernetes.cri.container-type",
		.sandbox_id = "io.kubernetes.cri.sandbox-id",
		.namespace_ = "io.kubernetes.cri.sandbox-namespace",
		.pod = "io.kubernetes.cri.sandbox-name",
		.pod_uid = "io.kubernetes.cri.sandbox-uid",
		.container = "io.kubernetes.cri.container-name",
	},
	{
		.type = "io.kubernetes.cri-o.ContainerType",
		.sandbox_id = "io.kubernetes.cri-o.SandboxID",
		.namespace_ = "io.kubernetes.pod.namespace",
		.pod = "io.kubernetes.pod.name",
		.pod_uid = "io.kubernetes.pod.uid",
		.container = "io.kubernetes.container.name",
	},
};

/* Annotations of crun's: with them the container's program or its filter would come from another
 * place than process.args and linux.seccomp. */
static const char *const refused_annotations[] = {
	"module.wasm.image/variant",
	"run.oci.handler",
	"run.oci.seccomp_bpf_data",
};

static int read_member(struct json_object *obj, const char *where, const char *key,
		       enum json_type type, struct json_object **ret, struct kf_err *err)
{
	*ret = NULL;
	return obj ? kf_json_member(obj, where, key, type, ret, err) : 0;
}

static int member_string(struct json_object *obj, const char *where, const char *key,
			 const char **ret, struct kf_err *err)
{
	struct json_object *value;

	if (read_member(obj, where, key, json_type_string, &value, err) < 0)
		return -1;
	*ret = value ? json_object_get_string(value) : "";
	return 0;
}

/* The list of strings @key of @obj; an absent one is empty. */
static int member_strings(struct kf_oci *oci, struct json_object *obj, const char *where,
			  const char *key, const char *const **ret, size_t *ret_n,
			  struct kf_err *err)
{
	struct json_object *array;

	if (read_member(obj, where, key, json_type_array, &array, err) < 0)
		return -1;
	return kf_json_strings(array, where, key, &oci->arena, ret, ret_n, err);
}

static int read_process(struct kf_oci *oci, struct kf_err *err)
{
	struct json_object *user, *uid, *nnp;

	if (member_strings(oci, oci->process, "process", "args", &oci->view.args, &oci->view.nargs,
			   err) < 0 ||
	    member_strings(oci, oci->process, "process", "env", &oci->view.env, &oci->view.nenv,
			   err) < 0 ||
	    member_string(oci->process, "process", "cwd", &oci->cwd, err) < 0 ||
	    read_member(oci->process, "process", "noNewPrivileges", json_type_boolean, &nnp, err) <
		    0 ||
	    read_member(oci->process, "process", "user", json_type_object, &user, err) < 0 ||
	    read_member(user, "process.user", "uid", json_type_int, &uid, err) < 0)
		return -1;
	oci->uid = uid ? (long)json_object_get_int64(uid) : 0;
	return 0;
}

static int read_mounts(struct kf_oci *oci, struct kf_err *err)
{
	struct json_object *array;
	struct kf_view_mount *mounts;
	size_t n;

	if (read_member(oci->root, "config.json", "mounts", json_type_array, &array, err) < 0)
		return -1;
	n = array ? json_object_array_length(array) : 0;
	mounts = kf_arena_calloc(&oci->arena, n + 1, sizeof(*mounts));
	if (!mounts)
		return kf_fail_nomem(err, "mounts");
	for (size_t i = 0; i < n; i++) {
		struct json_object *obj = json_object_array_get_idx(array, i);
		struct kf_view_mount *m = &mounts[i];

		if (!json_object_is_type(obj, json_type_object))
			return kf_fail(err, EINVAL, "mounts: element %zu is not an object", i);
		if (member_string(obj, "mounts[]", "destination", &m->destination, err) < 0 ||
		    member_string(obj, "mounts[]", "type", &m->type, err) < 0 ||
		    member_string(obj, "mounts[]", "source", &m->source, err) < 0 ||
		    member_strings(oci, obj, "mounts[]", "options", &m->options, &m->noptions,
				   err) < 0)
			return -1;
	}
	oci->view.mounts = mounts;
	oci->view.nmounts = n;
	return 0;
}

static int read_devices(struct kf_oci *oci, struct json_object *linux_, struct kf_err *err)
{
	struct json_object *array;
	const char **paths;
	size_t n;

	if (read_member(linux_, "linux", "devices", json_type_array, &array, err) < 0)
		return -1;
	n = array ? json_object_array_length(array) : 0;
	paths = kf_arena_calloc(&oci->arena, n + 1, sizeof(*paths));
	if (!paths)
		return kf_fail_nomem(err, "devices");
	for (size_t i = 0; i < n; i++) {
		struct json_object *obj = json_object_array_get_idx(array, i);

		if (!json_object_is_type(obj, json_type_object))
			return kf_fail(err, EINVAL, "linux.devices: element %zu is not an object",
				       i);
		if (member_string(obj, "linux.devices[]", "path", &paths[i], err) < 0)
			return -1;
	}
	oci->view.devices = (struct kf_view_paths){paths, n};
	return 0;
}

static int read_paths(struct kf_oci *oci, struct json_object *linux_, struct kf_err *err)
{
	struct kf_view_paths *masked = &oci->view.masked, *read_only = &oci->view.read_only;

	if (read_devices(oci, linux_, err) < 0 ||
	    member_strings(oci, linux_, "linux", "maskedPaths", &masked->v, &masked->n, err) < 0)
		return -1;
	return member_strings(oci, linux_, "linux", "readonlyPaths", &read_only->v, &read_only->n,
			      err);
}

static const char *pod_annotation(const struct kf_oci *oci, const char *key)
{
	const char *value = kf_view_annotation(&oci->view, key);

	return value ? value : "";
}

static int read_annotations(struct kf_oci *oci, struct kf_err *err)
{
	struct kf_view *view = &oci->view;
	struct kf_view_annotation *v;
	struct json_object *map;
	bool sandbox = false, other = false;
	size_t n = 0;

	if (read_member(oci->root, "config.json", "annotations", json_type_object, &map, err) < 0)
		return -1;
	v = kf_arena_calloc(&oci->arena, map ? (size_t)json_object_object_length(map) + 1 : 1,
			    sizeof(*v));
	if (!v)
		return kf_fail_nomem(err, "annotations");
	view->annotations = v;
	if (!map)
		return 0;
	json_object_object_foreach(map, key, value)
	{
		if (!json_object_is_type(value, json_type_string))
			return kf_fail(err, EINVAL, "annotation '%.100s' is not a string", key);
		v[n++] = (struct kf_view_annotation){key, json_object_get_string(value)};
	}
	view->nannotations = n;
	for (size_t i = 0; i < KF_ARRAY_SIZE(families); i++) {
		const struct family *f = &families[i];
		const char *type = pod_annotation(oci, f->type);

		if (!*type)
			continue;
		if (strcmp(type, "sandbox") == 0 && *view->container_id &&
		    strcmp(pod_annotation(oci, f->sandbox_id), view->container_id) == 0)
			sandbox = true;
		else
			other = true;
		view->namespace_ = pod_annotation(oci, f->namespace_);
		view->pod = pod_annotation(oci, f->pod);
		view->pod_uid = pod_annotation(oci, f->pod_uid);
		view->container = pod_annotation(oci, f->container);
	}
	oci->pause = sandbox && !other;
	return 0;
}

static int refuse_escapes(struct kf_oci *oci, struct kf_err *err)
{
	struct json_object *hooks, *start, *create;

	if (read_member(oci->root, "config.json", "hooks", json_type_object, &hooks, err) < 0 ||
	    read_member(hooks, "hooks", "startContainer", json_type_array, &start, err) < 0 ||
	    read_member(hooks, "hooks", "createContainer", json_type_array, &create, err) < 0)
		return -1;
	if (start && json_object_array_length(start))
		return kf_fail(err, EPERM,
			       "hooks.startContainer would run a program of the image outside the "
			       "sandbox; use a createContainer hook, whose program is the host's");
	for (size_t i = 0; i < KF_ARRAY_SIZE(refused_annotations); i++)
		if (kf_view_annotation(&oci->view, refused_annotations[i]))
			return kf_fail(err, EPERM,
				       "annotation %s makes the runtime start something else than "
				       "the sandboxed process; remove it from the pod",
				       refused_annotations[i]);
	return 0;
}

/* If a bundle is used a second time to create a container, an annotation has the policy that was
 * taken out.  A pod that sets this annotation itself only asks for a policy, as it may. */
static int read_seccomp(struct kf_oci *oci, struct json_object *seccomp, struct kf_err *err)
{
	const char *taken = kf_view_annotation(&oci->view, KF_OCI_ANNOTATION_SECCOMP);

	oci->view.seccomp_source = KF_VIEW_SECCOMP_UNCONFINED;
	if (taken && seccomp)
		return kf_fail(err, EPERM,
			       "annotation " KF_OCI_ANNOTATION_SECCOMP
			       " is the guard's own; remove it from the pod");
	if (taken) {
		if (kf_json_parse(taken, strlen(taken), KF_OCI_ANNOTATION_SECCOMP,
				  &oci->taken_seccomp, err) < 0)
			return -1;
		seccomp = oci->taken_seccomp;
	}
	oci->seccomp = seccomp;
	if (!seccomp)
		return 0;
	oci->view.seccomp_source = KF_VIEW_SECCOMP_LOCALHOST;
	return kf_oci_seccomp_view(seccomp, &oci->arena, &oci->view.seccomp, err);
}

static int read_config(struct kf_oci *oci, struct kf_err *err)
{
	struct json_object *root, *linux_, *seccomp;

	if (read_member(oci->root, "config.json", "process", json_type_object, &oci->process, err) <
		    0 ||
	    read_member(oci->root, "config.json", "root", json_type_object, &root, err) < 0 ||
	    read_member(oci->root, "config.json", "linux", json_type_object, &linux_, err) < 0 ||
	    read_member(linux_, "linux", "seccomp", json_type_object, &seccomp, err) < 0 ||
	    member_string(linux_, "linux", "mountLabel", &oci->mount_label, err) < 0 ||
	    member_string(root, "root", "path", &oci->rootfs, err) < 0)
		return -1;
	if (!oci->process)
		return kf_fail(err, EINVAL, "config.json: no 'process'");
	if (read_mounts(oci, err) < 0 || read_paths(oci, linux_, err) < 0 ||
	    read_annotations(oci, err) < 0 || read_seccomp(oci, seccomp, err) < 0)
		return -1;
	return oci->pause ? 0 : refuse_escapes(oci, err);
}

static int parse_file(const char *text, size_t n, const char *name, const char *handler,
		      const char *id, int (*read_root)(struct kf_oci *oci, struct kf_err *err),
		      struct kf_oci *ret, struct kf_err *err)
{
	struct kf_oci oci = {
		.view =
			{
				.handler = handler,
				.namespace_ = "",
				.pod = "",
				.pod_uid = "",
				.container = "",
				.container_id = id,
			},
		.cwd = "",
		.rootfs = "",
		.mount_label = "",
	};

	if (n > KF_LIMIT_OCI_JSON)
		return kf_fail(err, EFBIG, "%s: larger than %d bytes", name, KF_LIMIT_OCI_JSON);
	if (kf_json_parse(text, n, name, &oci.root, err) < 0)
		return -1;
	kf_arena_init(&oci.arena, KF_LIMIT_REQUEST_MEMORY);
	oci.process = oci.root;
	if ((read_root && read_root(&oci, err) < 0) || read_process(&oci, err) < 0) {
		kf_oci_done(&oci);
		return -1;
	}
	*ret = oci;
	return 0;
}

int kf_oci_parse_config(const char *text, size_t n, const char *handler, const char *id,
			struct kf_oci *ret, struct kf_err *err)
{
	return parse_file(text, n, "config.json", handler, id, read_config, ret, err);
}

int kf_oci_parse_process(const char *text, size_t n, const char *handler, const char *id,
			 struct kf_oci *ret, struct kf_err *err)
{
	return parse_file(text, n, "process file", handler, id, NULL, ret, err);
}

void kf_oci_done(struct kf_oci *oci)
{
	json_object_put(oci->root);
	json_object_put(oci->taken_seccomp);
	oci->root = oci->process = oci->seccomp = oci->taken_seccomp = NULL;
	kf_arena_done(&oci->arena);
}
