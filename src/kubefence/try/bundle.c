/* SPDX-License-Identifier: Apache-2.0 */
/* The bundle of a container of "kubefence try", as containerd would make it.  It is run by
 * command.c. */
#include "kubefence/try/bundle.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "oci/seccomp.h"
#include "json/json.h"

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

/* A config.json in the making. */
struct maker {
	struct kf_arena arena;
	bool failed; /* out of memory */
};

static struct kf_json *make_value(struct maker *m, enum kf_json_type type)
{
	return kf_json_new(&m->arena, type);
}

static void set_value(struct maker *m, struct kf_json *object, const char *key,
		      struct kf_json *value)
{
	m->failed |= !object || !kf_json_set(object, key, value);
}

static void set_string(struct maker *m, struct kf_json *object, const char *key, const char *value)
{
	set_value(m, object, key, kf_json_new_string(&m->arena, value));
}

static void set_strings(struct maker *m, struct kf_json *object, const char *key,
			const char *const *v, size_t n)
{
	set_value(m, object, key, kf_json_new_strings(&m->arena, v, n));
}

static void append_value(struct maker *m, struct kf_json *list, struct kf_json *value)
{
	m->failed |= !list || !kf_json_append(list, value);
}

static struct kf_json *process_json(struct maker *m, const struct try_container *c)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	struct kf_json *process = make_value(m, KF_JSON_OBJECT),
		       *user = make_value(m, KF_JSON_OBJECT), *caps = make_value(m, KF_JSON_OBJECT);

	set_value(m, user, "uid", kf_json_new_uint(&m->arena, c->uid));
	set_value(m, user, "gid", kf_json_new_uint(&m->arena, c->gid));
	set_value(m, process, "user", user);
	set_value(m, process, "terminal", kf_json_new_bool(&m->arena, c->terminal));
	set_strings(m, process, "args", c->args, c->nargs);
	set_strings(m, process, "env", c->env, c->nenv);
	set_string(m, process, "cwd", c->cwd);
	for (size_t i = 0; i < KF_ARRAY_SIZE(sets); i++)
		set_strings(m, caps, sets[i], capabilities, KF_ARRAY_SIZE(capabilities));
	set_value(m, process, "capabilities", caps);
	return process;
}

static struct kf_json *mounts_json(struct maker *m, const struct try_container *c)
{
	struct kf_json *mounts = make_value(m, KF_JSON_LIST);

	for (size_t i = 0; i < c->nmounts; i++) {
		const struct kf_view_mount *from = &c->mounts[i];
		struct kf_json *mount = make_value(m, KF_JSON_OBJECT);

		set_string(m, mount, "destination", from->destination);
		set_string(m, mount, "type", from->type);
		set_string(m, mount, "source", from->source);
		set_strings(m, mount, "options", from->options, from->noptions);
		append_value(m, mounts, mount);
	}
	return mounts;
}

static struct kf_json *masked_json(struct maker *m, const struct try_container *c)
{
	struct kf_json *list =
		kf_json_new_strings(&m->arena, masked_paths, KF_ARRAY_SIZE(masked_paths));

	for (size_t i = 0; list && i < c->nmasked; i++)
		append_value(m, list, kf_json_new_string(&m->arena, c->masked[i]));
	return list;
}

static struct kf_json *linux_json(struct maker *m, const struct try_container *c)
{
	struct kf_json *linux_ = make_value(m, KF_JSON_OBJECT), *list = make_value(m, KF_JSON_LIST);

	for (size_t i = 0; i < KF_ARRAY_SIZE(namespaces); i++) {
		struct kf_json *ns = make_value(m, KF_JSON_OBJECT);

		set_string(m, ns, "type", namespaces[i]);
		if (c->netns && strcmp(namespaces[i], "network") == 0)
			set_string(m, ns, "path", c->netns);
		append_value(m, list, ns);
	}
	set_value(m, linux_, "namespaces", list);
	set_value(m, linux_, "maskedPaths", masked_json(m, c));
	set_strings(m, linux_, "readonlyPaths", readonly_paths, KF_ARRAY_SIZE(readonly_paths));
	if (c->seccomp)
		set_value(m, linux_, "seccomp", kf_oci_seccomp_new(c->seccomp, &m->arena));
	return linux_;
}

static struct kf_json *annotations_json(struct maker *m, const struct try_container *c)
{
	struct kf_json *annotations = make_value(m, KF_JSON_OBJECT);

	/* As containerd writes them: from here the guard reads which container it starts. */
	set_string(m, annotations, "io.kubernetes.cri.container-type", "container");
	set_string(m, annotations, "io.kubernetes.cri.container-name", TRY_CONTAINER);
	set_string(m, annotations, "io.kubernetes.cri.sandbox-id", TRY_POD);
	set_string(m, annotations, "io.kubernetes.cri.sandbox-name", TRY_POD);
	set_string(m, annotations, "io.kubernetes.cri.sandbox-namespace", TRY_NAMESPACE);
	set_string(m, annotations, "io.kubernetes.cri.sandbox-uid", c->id);
	for (size_t i = 0; i < c->nannotations; i++)
		set_string(m, annotations, c->annotations[i].key, c->annotations[i].value);
	return annotations;
}

static struct kf_json *config_json(struct maker *m, const struct try_container *c)
{
	struct kf_json *config = make_value(m, KF_JSON_OBJECT),
		       *root = make_value(m, KF_JSON_OBJECT);

	set_string(m, config, "ociVersion", "1.0.2");
	set_value(m, config, "process", process_json(m, c));
	set_string(m, root, "path", c->rootfs);
	set_value(m, config, "root", root);
	set_string(m, config, "hostname", TRY_POD);
	set_value(m, config, "mounts", mounts_json(m, c));
	set_value(m, config, "annotations", annotations_json(m, c));
	set_value(m, config, "linux", linux_json(m, c));
	return config;
}

int try_bundle_write(const struct try_container *c, int dirfd, struct kf_err *err)
{
	struct kf_buf text = KF_BUF_INIT(KF_LIMIT_OCI_JSON);
	struct maker m = {.failed = false};
	const struct kf_json *config;
	int r;

	kf_arena_init(&m.arena, KF_LIMIT_REQUEST_MEMORY);
	config = config_json(&m, c);
	if (!m.failed)
		kf_json_write(config, &text);
	r = m.failed || text.failed
		    ? kf_fail_nomem(err, "config.json")
		    : kf_file_replace(dirfd, "config.json", text.p, text.n, 0600, err);
	kf_buf_done(&text);
	kf_arena_done(&m.arena);
	return r;
}
