/* SPDX-License-Identifier: Apache-2.0 */
/* The bundle of a container of "kubefence try", as containerd would make it.  It is run by
 * command.c. */
#include "kubefence/try/bundle.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "oci/seccomp.h"

#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>

#define STRINGS(...)          \
	(const char *const[]) \
	{                     \
		__VA_ARGS__   \
	}
#define MOUNT(dest, fstype, src, ...)                                            \
	{                                                                        \
		.destination = dest, .type = fstype, .source = src,              \
		.options = STRINGS(__VA_ARGS__),                                 \
		.noptions = KF_ARRAY_SIZE(((const char *const[]){__VA_ARGS__})), \
	}

const struct kf_view_mount try_base_mounts[] = {
	MOUNT("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
	MOUNT("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
	MOUNT("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666",
	      "mode=0620", "gid=5"),
	MOUNT("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
	MOUNT("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
	MOUNT("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
};
const size_t try_nbase_mounts = KF_ARRAY_SIZE(try_base_mounts);

/* containerd's defaults (pkg/oci/spec.go) for an unprivileged container. */
static const char *const capabilities[] = {
	"CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",	   "CAP_FOWNER",
	"CAP_MKNOD",   "CAP_NET_RAW",	   "CAP_SETGID",	   "CAP_SETUID",
	"CAP_SETFCAP", "CAP_SETPCAP",	   "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
	"CAP_KILL",    "CAP_AUDIT_WRITE",
};
static const char *const masked_paths[] = {
	"/proc/acpi",	     "/proc/asound",  "/proc/interrupts",
	"/proc/kcore",	     "/proc/keys",    "/proc/latency_stats",
	"/proc/sched_debug", "/proc/scsi",    "/proc/timer_list",
	"/proc/timer_stats", "/sys/firmware", "/sys/devices/virtual/powercap",
};
static const char *const readonly_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};
static const char *const namespaces[] = {"pid", "ipc", "uts", "mount", "network"};

static json_object *string_array(const char *const *s, size_t n)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(array, json_object_new_string(s[i]));
	return array;
}

static void add_string(json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}

static json_object *process_json(const struct try_container *c)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	json_object *process = json_object_new_object(), *user = json_object_new_object(),
		    *caps = json_object_new_object();

	json_object_object_add(user, "uid", json_object_new_uint64(c->uid));
	json_object_object_add(user, "gid", json_object_new_uint64(c->gid));
	json_object_object_add(process, "user", user);
	json_object_object_add(process, "terminal", json_object_new_boolean(c->terminal));
	json_object_object_add(process, "args", string_array(c->args, c->nargs));
	json_object_object_add(process, "env", string_array(c->env, c->nenv));
	add_string(process, "cwd", c->cwd);
	for (size_t i = 0; i < KF_ARRAY_SIZE(sets); i++)
		json_object_object_add(caps, sets[i],
				       string_array(capabilities, KF_ARRAY_SIZE(capabilities)));
	json_object_object_add(process, "capabilities", caps);
	return process;
}

static json_object *mounts_json(const struct try_container *c)
{
	json_object *mounts = json_object_new_array();

	for (size_t i = 0; i < c->nmounts; i++) {
		const struct kf_view_mount *m = &c->mounts[i];
		json_object *mount = json_object_new_object();

		add_string(mount, "destination", m->destination);
		add_string(mount, "type", m->type);
		add_string(mount, "source", m->source);
		json_object_object_add(mount, "options", string_array(m->options, m->noptions));
		json_object_array_add(mounts, mount);
	}
	return mounts;
}

static json_object *linux_json(const struct try_container *c)
{
	json_object *linux_ = json_object_new_object(), *list = json_object_new_array();

	for (size_t i = 0; i < KF_ARRAY_SIZE(namespaces); i++) {
		json_object *ns = json_object_new_object();

		add_string(ns, "type", namespaces[i]);
		json_object_array_add(list, ns);
	}
	json_object_object_add(linux_, "namespaces", list);
	json_object_object_add(linux_, "maskedPaths",
			       string_array(masked_paths, KF_ARRAY_SIZE(masked_paths)));
	json_object_object_add(linux_, "readonlyPaths",
			       string_array(readonly_paths, KF_ARRAY_SIZE(readonly_paths)));
	if (c->seccomp)
		json_object_object_add(linux_, "seccomp", kf_oci_seccomp_new(c->seccomp));
	return linux_;
}

static json_object *annotations_json(const struct try_container *c)
{
	json_object *annotations = json_object_new_object();

	/* As containerd writes them: from here the guard reads which container it starts. */
	add_string(annotations, "io.kubernetes.cri.container-type", "container");
	add_string(annotations, "io.kubernetes.cri.container-name", TRY_CONTAINER);
	add_string(annotations, "io.kubernetes.cri.sandbox-id", TRY_POD);
	add_string(annotations, "io.kubernetes.cri.sandbox-name", TRY_POD);
	add_string(annotations, "io.kubernetes.cri.sandbox-namespace", TRY_NAMESPACE);
	add_string(annotations, "io.kubernetes.cri.sandbox-uid", c->id);
	for (size_t i = 0; i < c->nannotations; i++)
		add_string(annotations, c->annotations[i].key, c->annotations[i].value);
	return annotations;
}

static void put_json(json_object **object)
{
	json_object_put(*object);
}

int try_bundle_write(const struct try_container *c, int dirfd, struct kf_err *err)
{
	KF_CLEANUP(put_json) json_object *config = json_object_new_object();
	json_object *root = json_object_new_object();
	const char *text;

	add_string(config, "ociVersion", "1.0.2");
	json_object_object_add(config, "process", process_json(c));
	add_string(root, "path", c->rootfs);
	json_object_object_add(config, "root", root);
	add_string(config, "hostname", TRY_POD);
	json_object_object_add(config, "mounts", mounts_json(c));
	json_object_object_add(config, "annotations", annotations_json(c));
	json_object_object_add(config, "linux", linux_json(c));
	text = json_object_to_json_string_ext(config, JSON_C_TO_STRING_PRETTY |
							      JSON_C_TO_STRING_NOSLASHESCAPE);
	if (!text)
		return kf_fail_nomem(err, "config.json");
	return kf_file_replace(dirfd, "config.json", text, strlen(text), 0600, err);
}
