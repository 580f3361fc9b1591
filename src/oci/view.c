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

/* Annotations of crun's.  Those of the first kind have the container's program or its filter come
 * from another place than process.args and linux.seccomp.  With the others crun, as the node's
 * root, opens a file or loads a library that the pod names; for a container without hooks it would
 * open none, but we add one. */
static const struct {
	const char *key, *does;
} refused_annotations[] = {
	{"module.wasm.image/variant",
	 "makes the runtime start something else than the sandboxed process"},
	{"run.oci.handler", "makes the runtime start something else than the sandboxed process"},
	{"run.oci.seccomp_bpf_data",
	 "makes the runtime start something else than the sandboxed process"},
	{"run.oci.hooks.stdout", "makes the runtime write to a file of the node's"},
	{"run.oci.hooks.stderr", "makes the runtime write to a file of the node's"},
	{"run.oci.seccomp.plugins", "makes the runtime load a library of the node's"},
};

static int read_member(struct kf_json *obj, const char *where, const char *key,
		       enum kf_json_type type, struct kf_json **ret, struct kf_err *err)
{
	*ret = NULL;
	return obj ? kf_json_member(obj, where, key, type, ret, err) : 0;
}

static int member_string(struct kf_json *obj, const char *where, const char *key, const char **ret,
			 struct kf_err *err)
{
	struct kf_json *value;

	if (read_member(obj, where, key, KF_JSON_STRING, &value, err) < 0)
		return -1;
	*ret = value ? value->text : "";
	return 0;
}

/* The list of strings @key of @obj; an absent one is empty. */
static int member_strings(struct kf_oci *oci, struct kf_json *obj, const char *where,
			  const char *key, const char *const **ret, size_t *ret_n,
			  struct kf_err *err)
{
	struct kf_json *array;

	if (read_member(obj, where, key, KF_JSON_LIST, &array, err) < 0)
		return -1;
	return kf_json_strings(array, where, key, &oci->arena, ret, ret_n, err);
}

static int read_process(struct kf_oci *oci, struct kf_err *err)
{
	struct kf_json *user, *uid, *nnp;

	if (member_strings(oci, oci->process, "process", "args", &oci->view.args, &oci->view.nargs,
			   err) < 0 ||
	    member_strings(oci, oci->process, "process", "env", &oci->view.env, &oci->view.nenv,
			   err) < 0 ||
	    member_string(oci->process, "process", "cwd", &oci->cwd, err) < 0 ||
	    read_member(oci->process, "process", "noNewPrivileges", KF_JSON_BOOL, &nnp, err) < 0 ||
	    read_member(oci->process, "process", "user", KF_JSON_OBJECT, &user, err) < 0 ||
	    read_member(user, "process.user", "uid", KF_JSON_INT, &uid, err) < 0)
		return -1;
	oci->uid = uid ? (long)kf_json_int(uid) : 0;
	return 0;
}

static int read_mounts(struct kf_oci *oci, struct kf_err *err)
{
	struct kf_json *array;
	struct kf_view_mount *mounts;
	size_t n, i = 0;

	if (read_member(oci->root, "config.json", "mounts", KF_JSON_LIST, &array, err) < 0)
		return -1;
	n = array ? array->n : 0;
	mounts = kf_arena_calloc(&oci->arena, n + 1, sizeof(*mounts));
	if (!mounts)
		return kf_fail_nomem(err, "mounts");
	for (struct kf_json *obj = array ? array->first : NULL; obj; obj = obj->next, i++) {
		struct kf_view_mount *m = &mounts[i];

		if (obj->type != KF_JSON_OBJECT)
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

static int read_devices(struct kf_oci *oci, struct kf_json *linux_, struct kf_err *err)
{
	struct kf_json *array;
	const char **paths;
	size_t n, i = 0;

	if (read_member(linux_, "linux", "devices", KF_JSON_LIST, &array, err) < 0)
		return -1;
	n = array ? array->n : 0;
	paths = kf_arena_calloc(&oci->arena, n + 1, sizeof(*paths));
	if (!paths)
		return kf_fail_nomem(err, "devices");
	for (struct kf_json *obj = array ? array->first : NULL; obj; obj = obj->next, i++) {
		if (obj->type != KF_JSON_OBJECT)
			return kf_fail(err, EINVAL, "linux.devices: element %zu is not an object",
				       i);
		if (member_string(obj, "linux.devices[]", "path", &paths[i], err) < 0)
			return -1;
	}
	oci->view.devices = (struct kf_view_paths){paths, n};
	return 0;
}

static int read_paths(struct kf_oci *oci, struct kf_json *linux_, struct kf_err *err)
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

/* A runtime writes its own family over whatever the pod has of it, and lets annotations of the
 * other one through where its configuration does.  So what both say is the runtime's word, and of
 * what they say differently one half is the pod's. */
static int read_family(struct kf_oci *oci, const struct family *f, bool first, struct kf_err *err)
{
	struct kf_view *view = &oci->view;
	const struct {
		const char *key, **value;
	} names[] = {
		{f->namespace_, &view->namespace_},
		{f->pod, &view->pod},
		{f->pod_uid, &view->pod_uid},
		{f->container, &view->container},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++) {
		const char *value = pod_annotation(oci, names[i].key);

		if (!first && strcmp(value, *names[i].value) != 0)
			return kf_fail(err, EPERM,
				       "annotations of containerd and of CRI-O contradict each "
				       "other (%s): the pod has some of a runtime that is not "
				       "this node's; remove them from the pod",
				       names[i].key);
		*names[i].value = value;
	}
	return 0;
}

static int read_annotations(struct kf_oci *oci, struct kf_err *err)
{
	struct kf_view *view = &oci->view;
	struct kf_view_annotation *v;
	struct kf_json *map;
	bool sandbox = false, other = false, first = true;
	size_t n = 0;

	if (read_member(oci->root, "config.json", "annotations", KF_JSON_OBJECT, &map, err) < 0)
		return -1;
	v = kf_arena_calloc(&oci->arena, map ? (size_t)map->n + 1 : 1, sizeof(*v));
	if (!v)
		return kf_fail_nomem(err, "annotations");
	view->annotations = v;
	if (!map)
		return 0;
	for (const struct kf_json *item = map->first; item; item = item->next) {
		if (item->type != KF_JSON_STRING)
			return kf_fail(err, EINVAL, "annotation '%.100s' is not a string",
				       item->key);
		v[n++] = (struct kf_view_annotation){item->key, item->text};
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
		if (read_family(oci, f, first, err) < 0)
			return -1;
		first = false;
	}
	oci->pause = sandbox && !other;
	return 0;
}

static int refuse_escapes(struct kf_oci *oci, struct kf_err *err)
{
	struct kf_json *hooks, *start, *create;

	if (read_member(oci->root, "config.json", "hooks", KF_JSON_OBJECT, &hooks, err) < 0 ||
	    read_member(hooks, "hooks", "startContainer", KF_JSON_LIST, &start, err) < 0 ||
	    read_member(hooks, "hooks", "createContainer", KF_JSON_LIST, &create, err) < 0)
		return -1;
	if (start && start->n)
		return kf_fail(err, EPERM,
			       "hooks.startContainer would run a program of the image outside the "
			       "sandbox; use a createContainer hook, whose program is the host's");
	for (size_t i = 0; i < KF_ARRAY_SIZE(refused_annotations); i++)
		if (kf_view_annotation(&oci->view, refused_annotations[i].key))
			return kf_fail(err, EPERM, "annotation %s %s; remove it from the pod",
				       refused_annotations[i].key, refused_annotations[i].does);
	return 0;
}

/* If a bundle is used a second time to create a container, an annotation has the policy that was
 * taken out.  A pod that sets this annotation itself only asks for a policy, as it may; but not for
 * a listener, a socket of the node's to which the runtime connects: such a policy is never taken
 * out.
 */
static int read_seccomp(struct kf_oci *oci, struct kf_json *seccomp, struct kf_err *err)
{
	const char *taken = kf_view_annotation(&oci->view, KF_OCI_ANNOTATION_SECCOMP);

	oci->view.seccomp_source = KF_VIEW_SECCOMP_UNCONFINED;
	if (taken && seccomp)
		return kf_fail(err, EPERM,
			       "annotation " KF_OCI_ANNOTATION_SECCOMP
			       " is the guard's own; remove it from the pod");
	if (taken && kf_json_parse(taken, strlen(taken), KF_OCI_ANNOTATION_SECCOMP, &oci->arena,
				   &seccomp, err) < 0)
		return -1;
	oci->seccomp = seccomp;
	if (!seccomp)
		return 0;
	oci->view.seccomp_source = KF_VIEW_SECCOMP_LOCALHOST;
	if (kf_oci_seccomp_view(seccomp, &oci->arena, &oci->view.seccomp, err) < 0)
		return -1;
	return taken && (oci->view.seccomp->listener_path || kf_seccomp_notifies(oci->view.seccomp))
		       ? kf_fail(err, EPERM,
				 "annotation " KF_OCI_ANNOTATION_SECCOMP
				 " is the guard's own, and names a listener; remove it from the "
				 "pod")
		       : 0;
}

static int read_config(struct kf_oci *oci, struct kf_err *err)
{
	struct kf_json *root, *linux_, *seccomp;

	if (read_member(oci->root, "config.json", "process", KF_JSON_OBJECT, &oci->process, err) <
		    0 ||
	    read_member(oci->root, "config.json", "root", KF_JSON_OBJECT, &root, err) < 0 ||
	    read_member(oci->root, "config.json", "linux", KF_JSON_OBJECT, &linux_, err) < 0 ||
	    read_member(linux_, "linux", "seccomp", KF_JSON_OBJECT, &seccomp, err) < 0 ||
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
	kf_arena_init(&oci.arena, KF_LIMIT_REQUEST_MEMORY);
	if (kf_json_parse(text, n, name, &oci.arena, &oci.root, err) < 0) {
		kf_oci_done(&oci);
		return -1;
	}
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
	oci->root = oci->process = oci->seccomp = NULL;
	kf_buf_done(&oci->text);
	kf_arena_done(&oci->arena);
}
