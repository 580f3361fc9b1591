/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_KATA_H
#define KF_NODE_KATA_H

#include "base/arena.h"
#include "node/host.h"

#include <stdbool.h>

/* Kata Containers on a node: what kata-deploy has left there.  Nothing of it is
 * ever written to. */

#define KF_KATA_SHARE "/opt/kata/share/kata-containers"
#define KF_KATA_CONFIG \
	"/opt/kata/share/defaults/kata-containers/runtimes/qemu/configuration-qemu.toml"

enum kf_kata_landlock { KF_KATA_LANDLOCK_NO, KF_KATA_LANDLOCK_YES, KF_KATA_LANDLOCK_UNKNOWN };

/* One installation.  Everything lives in the arena it was found with. */
struct kf_kata {
	const char *prefix;  /* /opt/kata */
	const char *version; /* of Kata, "" = unknown */
	unsigned major, minor;
	bool rust;			/* runtime-rs, else the Go runtime */
	const char *shim;		/* program */
	const char *config;		/* its configuration for QEMU, kata-deploy's */
	const char *kernel;		/* the guest's, as configured */
	const char *image;		/* its root file system, "" if it is an initrd */
	enum kf_kata_landlock landlock; /* does that kernel have it? */
	const char *why;		/* how that is known */
};

/* Find the installation around @share_dir (kata.shareDir) whose QEMU
 * configuration is @config (kata.qemuConfigPath) or, if there is no such file,
 * in one of the places where kata-deploy puts it.  err->code is ENOENT if there
 * is none, or not all of it yet. */
int kf_kata_find(const struct kf_host *host, const char *share_dir, const char *config,
		 struct kf_arena *arena, struct kf_kata *ret, struct kf_err *err);

#endif
