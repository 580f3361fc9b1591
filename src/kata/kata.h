/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KATA_KATA_H
#define KF_KATA_KATA_H

#include "node/payload.h"

#include <stdbool.h>

/* Kata Containers on a node.  Files of kata-deploy are never changed: our handler has a directory
 * of its own, with a copy of Kata's configuration, copies of kata-deploy's drop-ins, and ours
 * behind them. */

#define KF_KATA_SHARE "/opt/kata/share/kata-containers"
#define KF_KATA_CONFIG \
	"/opt/kata/share/defaults/kata-containers/runtimes/qemu/configuration-qemu.toml"
#define KF_KATA_HANDLER "kata-nono-qemu"
#define KF_KATA_SECCOMP "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
/* The configurations of an installation (KF_LIMIT_CONFIG each), their trees and paths. */
#define KF_KATA_MEMORY	(8 * 1024 * 1024)

enum kf_kata_landlock { KF_KATA_LANDLOCK_NO, KF_KATA_LANDLOCK_YES, KF_KATA_LANDLOCK_UNKNOWN };

/* One installation of Kata.  Everything lives in the arena that was used to find it. */
struct kf_kata {
	const char *prefix;  /* /opt/kata */
	const char *version; /* of its runtime, "" = unknown */
	unsigned major, minor;
	bool rust;	     /* runtime-rs, else the Go runtime */
	const char *shim;    /* program */
	const char *config;  /* kata-deploy's configuration for QEMU, without symlinks */
	const char *skipped; /* one that is left over from an older release, or NULL */
	/* What the configuration says, drop-ins included. */
	const char *kernel;    /* the guest's */
	const char *image;     /* its root file system, "" if it is an initrd */
	bool initrd, measured; /* has an initrd; dm-verity checks its image */
	bool nvdimm;	       /* the image is an NVDIMM, else a disk of virtio-blk */
	const char *type;      /* the image's file system, "" = ext4 */
	const char *own_line;  /* a kernel parameter that says otherwise than Kata's, or NULL */
	enum kf_kata_landlock landlock; /* does that kernel have it? */
	const char *why;		/* how that is known */
};

/* Find the installation around @share_dir (kata.shareDir) whose QEMU
 * configuration is @config (kata.qemuConfigPath) or, if there is no such file,
 * in one of the places where kata-deploy puts it.  A configuration of a runtime that
 * an upgrade left behind, older than the other one, is not taken.  err->code is ENOENT
 * if there is none, or not all of it yet. */
int kf_kata_find(const struct kf_host *host, const char *share_dir, const char *config,
		 struct kf_arena *arena, struct kf_kata *ret, struct kf_err *err);

/* The same for runtime @shim with configuration @config, which is our handler's; both are borrowed.
 */
int kf_kata_look(const struct kf_host *host, const char *shim, const char *config,
		 struct kf_arena *arena, struct kf_kata *ret, struct kf_err *err);
/* Check that a machine of @kata's can boot the root file system @fd (@name for messages) under its
 * kernel command line.  *ret_why is NULL, or why that cannot be told. */
int kf_kata_check_boot(const struct kf_kata *kata, int fd, const char *name, const char **ret_why,
		       struct kf_err *err);

struct kf_kata_options {
	const char *share_dir, *config; /* for kf_kata_find() */
	const char *handler;
	/* Guest kernel with Landlock, used if Kata's has none, and root file system;
	 * paths in our own root, not the host's.  NULL: Kata's. */
	const char *kernel, *image;
	const char *image_for; /* release (beginning of the version) that @image is of; NULL: any */
	const char *accelerators;    /* kata.qemu.machineAccelerators; "": Kata's */
	const char *seccomp_sandbox; /* kata.qemu.seccompSandbox; "": off */
	bool disable_guest_seccomp;
	unsigned wait; /* how many seconds to wait for kata-deploy to finish */
};

/* Add the files of our handler to @payload, and describe the handler in *ret.  Kernel and image are
 * only named; see kf_kata_image(). */
int kf_kata_files(const struct kf_node *node, const struct kf_kata_options *options,
		  const struct kf_kata *kata, const char *kernel, const char *image,
		  struct kf_arena *arena, struct kf_payload *payload, struct kf_journal_vm *ret,
		  struct kf_err *err);

/* Check that the runtime of @kata reads every key of @config's drop-ins, but for those that
 * kata-deploy and we generate: what it does not know is without effect, or keeps machines from
 * starting. */
int kf_kata_check_dropins(const struct kf_host *host, const struct kf_kata *kata,
			  const char *config, struct kf_err *err);

enum kf_kata_image { KF_KATA_KERNEL, KF_KATA_ROOTFS };
/* The place on the host for our @file: its name is made from its contents, so that a file that a
 * running machine has mapped is never written to.  It is put there if @write; *ret_changed is only
 * ever set. */
int kf_kata_image(const struct kf_node *node, enum kf_kata_image kind, const char *file, bool write,
		  struct kf_arena *arena, const char **ret_path, bool *ret_changed,
		  struct kf_err *err);
/* Copy the only file of @kind in this container's own root to @to; -1 if there is none. */
int kf_kata_fetch(enum kf_kata_image kind, const char *to, struct kf_err *err);
/* Remove images that the NULL-terminated @keep does not name. */
int kf_kata_sweep(const struct kf_node *node, const char *const *keep, bool *ret_changed,
		  struct kf_err *err);

/* The drop-ins of @config, sorted as Kata reads them; released with kf_host_list_free(). */
int kf_kata_dropins(const struct kf_host *host, const char *config, char ***ret,
		    struct kf_err *err);
/* The configuration @config as Kata computes it from the file and config.d beside it: each value on
 * one line of TOML, with its whole key. */
int kf_kata_effective(const struct kf_host *host, const char *config, struct kf_buf *out,
		      struct kf_err *err);

/* What kf_kata_install() would do; writes nothing.  Release with kf_kata_plan_done(). */
struct kf_kata_plan {
	struct kf_arena arena;
	struct kf_kata kata;
	struct kf_payload payload;
	struct kf_journal_vm vm;
	const char *images[3]; /* the images that the configuration names, NULL-terminated */
	char note[256];	       /* for KF_KATA_NOTE; "" = none */
	struct kf_node_options options;
	const char *handlers[KF_JOURNAL_HANDLERS];
	struct kf_node_plan node; /* only of kf_kata_plan() */
};
int kf_kata_plan(struct kf_node *node, const struct kf_kata_options *options,
		 struct kf_kata_plan *ret, struct kf_err *err);
void kf_kata_plan_done(struct kf_kata_plan *plan);

int kf_kata_install(struct kf_node *node, const struct kf_kata_options *options, bool *ret_changed,
		    struct kf_err *err);
/* Check our handler @handler, and start machines with it that run profile @profile of @launcher.
 * Each finding goes through say() as "ok", "fail" or "note". -1 if one failed. */
int kf_kata_verify(struct kf_node *node, const char *handler, const char *launcher,
		   const char *profile, struct kf_err *err);
/* What an administrator should know about Kata on this node though the handler works, on one line;
 * install writes it, and removes it when there is nothing. */
#define KF_KATA_NOTE "/run/kubefence/kata-note"
/* Read it: "" if there is none. */
int kf_kata_note(const struct kf_host *host, char ret[static 256], struct kf_err *err);
/* While this file exists nothing is installed: the node is being cleaned up. */
#define KF_KATA_STOP "/run/kubefence/uninstalling"
/* *ret_kept as in kf_node_uninstall(). */
int kf_kata_uninstall(struct kf_node *node, bool *ret_kept, struct kf_err *err);

#endif
