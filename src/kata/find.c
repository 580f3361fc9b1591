/* SPDX-License-Identifier: Apache-2.0 */
/* Finding Kata on a node: its prefix, configuration, version and whether the guest's kernel has
 * Landlock.  Nothing is written here. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "kata/kata.h"
#include "toml/edit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first release whose guest kernel has Landlock. */
#define LANDLOCK_MAJOR 3
#define LANDLOCK_MINOR 32
/* The kernel's configuration file is some 200 KiB. */
#define KCONFIG_MAX    (1024 * 1024)

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

static int find_config(const struct kf_host *host, const char *config, struct kf_arena *arena,
		       struct kf_kata *k, struct kf_err *err)
{
	const char *shim = NULL;

	if (config && kf_host_exists(host, config)) {
		k->config = config;
		k->rust = strstr(config, "/runtime-rs/") != NULL;
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(layouts); i++) {
		const char *path = kf_arena_printf(arena, "%s/%s", k->prefix, layouts[i].config);

		if (!path)
			return kf_fail_nomem(err, "Kata");
		if (!k->config && kf_host_exists(host, path)) {
			k->config = path;
			k->rust = layouts[i].rust;
		}
		if (k->config && k->rust == layouts[i].rust)
			shim = layouts[i].shim;
	}
	if (!k->config)
		return kf_fail(err, ENOENT,
			       "Kata's QEMU configuration is not at '%s' nor elsewhere in '%s'; "
			       "install Kata first (kata-deploy), or name it with --config",
			       config ? config : KF_KATA_CONFIG, k->prefix);
	k->shim = kf_arena_printf(arena, "%s/%s", k->prefix, shim);
	if (!k->shim)
		return kf_fail_nomem(err, "Kata");
	if (!kf_host_exists(host, k->shim))
		return kf_fail(err, ENOENT, "Kata's runtime is not at '%s'; is kata-deploy done?",
			       k->shim);
	return 0;
}

static int find_version(const struct kf_host *host, struct kf_arena *arena, struct kf_kata *k,
			struct kf_err *err)
{
	KF_FREE char *text = NULL;
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/VERSION", k->prefix);
	k->version = "";
	if (kf_host_read(host, path, 256, &text, NULL, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	text[strcspn(text, " \r\n")] = '\0';
	if (sscanf(text, "%u.%u", &k->major, &k->minor) != 2)
		return kf_fail(err, EINVAL, "'%s' does not tell a version", path);
	k->version = kf_arena_strdup(arena, text);
	return k->version ? 0 : kf_fail_nomem(err, "Kata");
}

/* Read the configuration beside the kernel: "vmlinux-6.18.35-190" comes with "config-6.18.35-190".
 * *ret is NULL if there is none. */
static int kernel_config(const struct kf_host *host, const char *kernel, char **ret,
			 struct kf_err *err)
{
	char link[64], target[PATH_MAX], path[PATH_MAX + 16];
	KF_CLOSE int fd = -1;
	const char *name, *dash;
	ssize_t n;

	*ret = NULL;
	if (kf_host_fd(host, kernel, O_PATH, &fd, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	/* Follow the symlink "vmlinux.container". */
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return kf_fail_sys(err, "what '%s' leads to", kernel);
	target[n] = '\0';
	name = kf_path_base(target);
	dash = strchr(name, '-');
	if (!dash)
		return 0;
	(void)snprintf(path, sizeof(path), "%.*sconfig%s", (int)(kf_path_base(kernel) - kernel),
		       kernel, dash);
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
					 "neither '%s/VERSION' nor the kernel's "
					 "configuration is there",
					 k->prefix);
	} else {
		bool yes = k->major > LANDLOCK_MAJOR ||
			   (k->major == LANDLOCK_MAJOR && k->minor >= LANDLOCK_MINOR);

		k->landlock = yes ? KF_KATA_LANDLOCK_YES : KF_KATA_LANDLOCK_NO;
		k->why = kf_arena_printf(arena, "Kata %s; it came with %d.%d", k->version,
					 LANDLOCK_MAJOR, LANDLOCK_MINOR);
	}
	return k->why ? 0 : kf_fail_nomem(err, "Kata");
}

static int read_config(const struct kf_host *host, struct kf_arena *arena, struct kf_kata *k,
		       struct kf_err *err)
{
	KF_FREE char *text = NULL;
	const char *kernel, *image;
	struct kf_toml toml;
	size_t n;
	bool qemu;

	if (kf_host_read(host, k->config, KF_LIMIT_CONFIG, &text, &n, err) < 0 ||
	    kf_toml_parse(text, n, k->config, &toml, err) < 0)
		return -1;
	qemu = kf_toml_find(toml.root, KF_TOML_PATH("hypervisor", "qemu")) != NULL;
	kernel = kf_toml_string(toml.root, KF_TOML_PATH("hypervisor", "qemu", "kernel"), "");
	image = kf_toml_string(toml.root, KF_TOML_PATH("hypervisor", "qemu", "image"), "");
	k->kernel = kf_arena_strdup(arena, kernel);
	k->image = kf_arena_strdup(arena, image);
	k->initrd = *kf_toml_string(toml.root, KF_TOML_PATH("hypervisor", "qemu", "initrd"), "");
	k->measured = *kf_toml_string(
		toml.root, KF_TOML_PATH("hypervisor", "qemu", "kernel_verity_params"), "");
	kf_toml_done(&toml);
	if (!k->kernel || !k->image)
		return kf_fail_nomem(err, "Kata");
	if (!qemu)
		return kf_fail(err, ENOTSUP,
			       "'%s' has no section [hypervisor.qemu]; only QEMU is supported",
			       k->config);
	return 0;
}

int kf_kata_find(const struct kf_host *host, const char *share_dir, const char *config,
		 struct kf_arena *arena, struct kf_kata *ret, struct kf_err *err)
{
	struct kf_kata k = {0};

	if (find_prefix(share_dir, arena, &k, err) < 0 ||
	    find_config(host, config, arena, &k, err) < 0 ||
	    find_version(host, arena, &k, err) < 0 || read_config(host, arena, &k, err) < 0 ||
	    find_landlock(host, arena, &k, err) < 0)
		return -1;
	*ret = k;
	return 0;
}
