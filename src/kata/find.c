/* SPDX-License-Identifier: Apache-2.0 */
/* Finding Kata on a node: its prefix, configuration, version and whether the guest's kernel has
 * Landlock.  Nothing is written here. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "host/run.h"
#include "kata/kata.h"
#include "toml/edit.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first release whose guest kernel has Landlock. */
#define LANDLOCK_MAJOR 3
#define LANDLOCK_MINOR 32
/* The kernel's configuration file is some 200 KiB. */
#define KCONFIG_MAX    (1024 * 1024)
/* One line from a program that only prints it. */
#define SHIM_MS	       20000
#define SHIM_MAX       4096

/* Where kata-deploy puts its files, below its prefix; the preferred place first. */
static const struct {
	bool rust;
	const char *shim, *config;
} layouts[] = {
	{false, "bin/containerd-shim-kata-v2",
	 "share/defaults/kata-containers/runtimes/qemu/configuration-qemu.toml"},
	{true, "runtime-rs/bin/containerd-shim-kata-v2",
	 "share/defaults/kata-containers/runtime-rs/runtimes/qemu-runtime-rs/"
	 "configuration-qemu-runtime-rs.toml"},
	/* Older releases, in which the shims had no directories of their own. */
	{false, "bin/containerd-shim-kata-v2",
	 "share/defaults/kata-containers/configuration-qemu.toml"},
	{true, "runtime-rs/bin/containerd-shim-kata-v2",
	 "share/defaults/kata-containers/runtime-rs/configuration-qemu-runtime-rs.toml"},
};

static int find_prefix(const char *share_dir, struct kf_arena *arena, struct kf_kata *k,
		       struct kf_err *err)
{
	static const char tail[] = "/share/kata-containers";
	size_t n, t = sizeof(tail) - 1;
	char clean[PATH_MAX];

	if (!kf_path_clean(share_dir, clean, sizeof(clean)) || share_dir[0] != '/' ||
	    (n = strlen(clean)) <= t || strcmp(clean + n - t, tail) != 0)
		return kf_fail(err, EINVAL,
			       "'%s': Kata's share directory is PREFIX/share/kata-containers",
			       share_dir);
	k->prefix = kf_arena_printf(arena, "%.*s", (int)(n - t), clean);
	return k->prefix ? 0 : kf_fail_nomem(err, "Kata");
}

/* One of the runtimes of an installation, and its configuration. */
struct found_runtime {
	bool rust;
	const char *config, *shim, *version;
	unsigned major, minor;
};

/* Those of one prefix, the preferred one first. */
struct found_runtimes {
	const struct kf_host *host;
	const char *prefix;
	struct kf_arena *arena;
	struct found_runtime v[KF_ARRAY_SIZE(layouts) + 1];
	size_t n;
	const char *missing; /* the program of one that is not complete */
};

/* What the shim says of itself, as both runtimes do: "..., version: 4.1.0, commit: ...".  *ret is
 * NULL if it cannot be run, or says nothing of the kind. */
static int ask_shim(const struct kf_host *host, const char *shim, struct kf_arena *arena,
		    const char **ret, struct kf_err *err)
{
	const char *const argv[] = {shim, "--version", NULL};
	struct kf_run run = {0};
	const char *at;

	*ret = NULL;
	if (kf_run_host(host, argv, SHIM_MS, SHIM_MAX, &run, KF_ERR_IGNORED) < 0)
		return 0;
	at = run.status == 0 ? strstr(run.out, ", version: ") : NULL;
	if (at) {
		at += strlen(", version: ");
		*ret = kf_arena_printf(arena, "%.*s", (int)strcspn(at, ", \r\n"), at);
	}
	kf_run_done(&run);
	return at && !*ret ? kf_fail_nomem(err, "Kata") : 0;
}

/* What the file VERSION says, which kata-deploy laid before 3.32; *ret is NULL if there is none. */
static int read_version(const struct kf_host *host, const char *prefix, struct kf_arena *arena,
			const char **ret, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	char path[PATH_MAX];

	*ret = NULL;
	(void)snprintf(path, sizeof(path), "%s/VERSION", prefix);
	if (kf_host_read(host, path, 256, &text, NULL, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	*ret = kf_arena_printf(arena, "%.*s", (int)strcspn(text, " \r\n"), text);
	return *ret ? 0 : kf_fail_nomem(err, "Kata");
}

/* The shim is asked first: an upgrade from a release before 3.32 leaves its VERSION behind. */
static int find_version(const struct kf_host *host, const char *prefix, struct kf_arena *arena,
			struct found_runtime *r, struct kf_err *err)
{
	if (ask_shim(host, r->shim, arena, &r->version, err) < 0 ||
	    (!r->version && read_version(host, prefix, arena, &r->version, err) < 0))
		return -1;
	if (!r->version) {
		r->version = "";
		return 0;
	}
	if (sscanf(r->version, "%u.%u", &r->major, &r->minor) != 2)
		return kf_fail(
			err, EINVAL,
			"'%s' is no version of Kata; '%s --version' and '%s/VERSION' tell it",
			r->version, r->shim, prefix);
	return 0;
}

/* Whether both versions are known, and that of @a is the newer one. */
static bool is_newer(const struct found_runtime *a, const struct found_runtime *b)
{
	if (!*b->version)
		return false;
	return a->major > b->major || (a->major == b->major && a->minor > b->minor);
}

/* Add the runtime of layout @l with @config, unless it has none or one of them is not there. */
static int add_runtime(struct found_runtimes *f, size_t l, const char *config, struct kf_err *err)
{
	struct found_runtime *r = &f->v[f->n];
	char real[PATH_MAX];

	r->rust = layouts[l].rust;
	r->shim = kf_arena_printf(f->arena, "%s/%s", f->prefix, layouts[l].shim);
	if (!r->shim || !config)
		return kf_fail_nomem(err, "Kata");
	if (!kf_host_exists(f->host, config))
		return 0;
	if (!kf_host_exists(f->host, r->shim)) {
		f->missing = r->shim;
		return 0;
	}
	/* kata-deploy's drop-ins lie beside the file, not beside a symlink to it. */
	if (kf_host_real(f->host, config, real, sizeof(real), err) < 0)
		return -1;
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].config, real) == 0)
			return 0;
	r->config = kf_arena_strdup(f->arena, real);
	if (!r->config)
		return kf_fail_nomem(err, "Kata");
	if (find_version(f->host, f->prefix, f->arena, r, err) < 0)
		return -1;
	f->n++;
	return 0;
}

/* The default of the option is a path below Kata's usual prefix: it says nothing about another. */
static bool is_elsewhere(const char *prefix, const char *config)
{
	size_t n = strlen(prefix);

	return strcmp(config, KF_KATA_CONFIG) == 0 &&
	       (strncmp(config, prefix, n) != 0 || config[n] != '/');
}

static int find_runtimes(struct found_runtimes *f, const char *config, struct kf_err *err)
{
	if (config && !is_elsewhere(f->prefix, config) &&
	    add_runtime(f, strstr(config, "/runtime-rs/") ? 1 : 0, config, err) < 0)
		return -1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(layouts); i++)
		if (add_runtime(f, i,
				kf_arena_printf(f->arena, "%s/%s", f->prefix, layouts[i].config),
				err) < 0)
			return -1;
	if (!f->n && f->missing)
		return kf_fail(err, ENOENT, "Kata's runtime is not at '%s'; is kata-deploy done?",
			       f->missing);
	if (!f->n)
		return kf_fail(err, ENOENT,
			       "Kata's QEMU configuration is not at '%s' nor elsewhere in '%s'; "
			       "install Kata first (kata-deploy), or name it with --config",
			       config ? config : KF_KATA_CONFIG, f->prefix);
	return 0;
}

static void take_runtime(const struct found_runtime *r, struct kf_kata *ret)
{
	ret->config = r->config;
	ret->rust = r->rust;
	ret->shim = r->shim;
	ret->version = r->version;
	ret->major = r->major;
	ret->minor = r->minor;
}

static int find_config(const struct kf_host *host, const char *config, struct kf_arena *arena,
		       struct kf_kata *k, struct kf_err *err)
{
	struct found_runtimes found = {.host = host, .prefix = k->prefix, .arena = arena};
	const struct found_runtime *best = found.v;

	if (find_runtimes(&found, config, err) < 0)
		return -1;
	for (size_t i = 1; i < found.n; i++)
		if (is_newer(&found.v[i], best))
			best = &found.v[i];
	take_runtime(best, k);
	if (best != found.v)
		k->skipped = found.v[0].config;
	return 0;
}

/* Read the configuration beside the kernel: "vmlinux-6.18.35-190" comes with "config-6.18.35-190".
 * *ret is NULL if there is none. */
static int kernel_config(const struct kf_host *host, const char *kernel, char **ret,
			 struct kf_err *err)
{
	char target[PATH_MAX], path[PATH_MAX + 16];
	const char *name, *dash;

	*ret = NULL;
	/* Follow the symlink "vmlinux.container". */
	if (kf_host_real(host, kernel, target, sizeof(target), err) < 0)
		return err->code == ENOENT ? 0 : -1;
	name = kf_path_base(target);
	dash = strchr(name, '-');
	if (!dash)
		return 0;
	(void)snprintf(path, sizeof(path), "%.*sconfig%s", (int)(name - target), target, dash);
	if (kf_host_read(host, path, KCONFIG_MAX, ret, NULL, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	return 0;
}

/* Whether Landlock is built in and, according to the list of security modules, turned on. */
static bool has_landlock(const char *kconfig)
{
	const char *lsm = strstr(kconfig, "CONFIG_LSM=\""), *at;

	if (!strstr(kconfig, "\nCONFIG_SECURITY_LANDLOCK=y"))
		return false;
	if (!lsm)
		return true;
	at = strstr(lsm, "landlock");
	return at && at < lsm + strcspn(lsm, "\n");
}

static int find_landlock(const struct kf_host *host, struct kf_arena *arena, struct kf_kata *k,
			 struct kf_err *err)
{
	KF_FREE char *kconfig = NULL;

	if (kernel_config(host, k->kernel, &kconfig, err) < 0)
		return -1;
	if (kconfig) {
		k->landlock = has_landlock(kconfig) ? KF_KATA_LANDLOCK_YES : KF_KATA_LANDLOCK_NO;
		k->why = kf_arena_printf(arena, "the configuration beside '%s' %s", k->kernel,
					 k->landlock == KF_KATA_LANDLOCK_YES ? "has it"
									     : "lacks it");
	} else if (!*k->version) {
		k->landlock = KF_KATA_LANDLOCK_UNKNOWN;
		k->why = kf_arena_printf(arena,
					 "neither '%s --version' nor '%s/VERSION' nor the "
					 "kernel's configuration tells",
					 k->shim, k->prefix);
	} else {
		bool yes = k->major > LANDLOCK_MAJOR ||
			   (k->major == LANDLOCK_MAJOR && k->minor >= LANDLOCK_MINOR);

		k->landlock = yes ? KF_KATA_LANDLOCK_YES : KF_KATA_LANDLOCK_NO;
		k->why = kf_arena_printf(arena, "Kata %s; it came with %d.%d", k->version,
					 LANDLOCK_MAJOR, LANDLOCK_MINOR);
	}
	return k->why ? 0 : kf_fail_nomem(err, "Kata");
}

static const char *copy_string(struct kf_arena *arena, const struct kf_toml_node *root,
			       const char *key)
{
	return kf_arena_strdup(arena,
			       kf_toml_string(root, KF_TOML_PATH("hypervisor", "qemu", key), ""));
}

/* Whether the image becomes an NVDIMM: Go has it so unless told otherwise, Rust names a driver. */
static bool is_nvdimm(const struct kf_kata *k, const struct kf_toml_node *root)
{
	if (!k->rust)
		return !kf_toml_bool(
			root, KF_TOML_PATH("hypervisor", "qemu", "disable_image_nvdimm"), false);
	return strcmp(kf_toml_string(root, KF_TOML_PATH("hypervisor", "qemu", "vm_rootfs_driver"),
				     ""),
		      "virtio-pmem") == 0;
}

/* Parameters that say otherwise than Kata what is mounted, or who is started: the last one counts,
 * and these come behind Kata's own. */
static const char *find_own(struct kf_arena *arena, const char *params)
{
	static const char *const own[] = {
		"root=", "rootflags=", "rootfstype=", "systemd.unit=", "init=", "rdinit="};

	for (const char *word = params; *word; word += strcspn(word, " ")) {
		word += strspn(word, " ");
		for (size_t i = 0; i < KF_ARRAY_SIZE(own); i++)
			if (strncmp(word, own[i], strlen(own[i])) == 0)
				return kf_arena_printf(arena, "%.*s", (int)strcspn(word, " "),
						       word);
	}
	return NULL;
}

static int read_config(const struct kf_host *host, struct kf_arena *arena, struct kf_kata *k,
		       struct kf_err *err)
{
	struct kf_buf text = KF_BUF_INIT(KF_LIMIT_CONFIG);
	const char *params;
	struct kf_toml toml;
	bool qemu;

	if (kf_kata_effective(host, k->config, &text, err) < 0 ||
	    kf_toml_parse(text.p ? text.p : "", text.n, k->config, &toml, err) < 0) {
		kf_buf_done(&text);
		return -1;
	}
	kf_buf_done(&text);
	qemu = kf_toml_find(toml.root, KF_TOML_PATH("hypervisor", "qemu")) != NULL;
	k->kernel = copy_string(arena, toml.root, "kernel");
	k->image = copy_string(arena, toml.root, "image");
	k->type = copy_string(arena, toml.root, "rootfs_type");
	params = copy_string(arena, toml.root, "kernel_params");
	k->initrd = *kf_toml_string(toml.root, KF_TOML_PATH("hypervisor", "qemu", "initrd"), "");
	k->measured = *kf_toml_string(
		toml.root, KF_TOML_PATH("hypervisor", "qemu", "kernel_verity_params"), "");
	k->nvdimm = is_nvdimm(k, toml.root);
	kf_toml_done(&toml);
	if (!k->kernel || !k->image || !k->type || !params)
		return kf_fail_nomem(err, "Kata");
	if (!qemu)
		return kf_fail(err, ENOTSUP,
			       "'%s' has no section [hypervisor.qemu]; only QEMU is supported",
			       k->config);
	k->own_line = find_own(arena, params);
	return 0;
}

int kf_kata_find(const struct kf_host *host, const char *share_dir, const char *config,
		 struct kf_arena *arena, struct kf_kata *ret, struct kf_err *err)
{
	struct kf_kata k = {0};

	if (find_prefix(share_dir, arena, &k, err) < 0 ||
	    find_config(host, config, arena, &k, err) < 0 ||
	    read_config(host, arena, &k, err) < 0 || find_landlock(host, arena, &k, err) < 0)
		return -1;
	*ret = k;
	return 0;
}

int kf_kata_look(const struct kf_host *host, const char *shim, const char *config,
		 struct kf_arena *arena, struct kf_kata *ret, struct kf_err *err)
{
	struct found_runtime c = {.config = config, .shim = shim};
	struct kf_kata k = {.config = config, .shim = shim};

	for (size_t i = 0; i < KF_ARRAY_SIZE(layouts); i++) {
		size_t n = strlen(shim), tail = strlen(layouts[i].shim);

		if (n <= tail + 1 || strcmp(shim + n - tail, layouts[i].shim) != 0 ||
		    (k.prefix && k.rust))
			continue;
		k.rust = layouts[i].rust;
		k.prefix = kf_arena_printf(arena, "%.*s", (int)(n - tail - 1), shim);
		if (!k.prefix)
			return kf_fail_nomem(err, "Kata");
	}
	if (!k.prefix)
		return kf_fail(err, EINVAL, "'%s' is no runtime of Kata's", shim);
	if (find_version(host, k.prefix, arena, &c, err) < 0)
		return -1;
	c.rust = k.rust;
	take_runtime(&c, &k);
	if (read_config(host, arena, &k, err) < 0 || find_landlock(host, arena, &k, err) < 0)
		return -1;
	*ret = k;
	return 0;
}
