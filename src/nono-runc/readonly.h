/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_READONLY_H
#define KF_NONO_RUNC_READONLY_H

#include "base/err.h"
#include "oci/view.h"
#include "plan/settings.h"

/* What makes "fs readonly" true where the guard is.
 *
 * Before the runtime starts, the guard puts an empty placeholder where there is
 * nothing yet (with a line in it where empty means something else), and adds a createContainer hook
 * to config.json: itself under the name KF_READONLY_HOOK.  The hook runs in the container's mount
 * namespace when all is mounted, with the host's root still in view and no process of the
 * container's there.  It binds each path read-only over itself, and each
 * directory on the way to it over itself as it is: a mount point can be neither
 * renamed nor unlinked.  Everything is opened once and mounted by descriptor, so
 * nobody who writes to a volume can have another place mounted.
 *
 * Placeholders on volumes outlive the container.  KF_READONLY_DIR has a file for
 * each container that names those it needs; the last one's "delete" removes them.
 * A placeholder is known by its size and time of change: one
 * that was left behind (the node lost its power) belongs to the next container
 * that is created over it, and goes with that.
 *
 * Whose volumes answer and whose do not, pods decide (NFS): no lock is held for more than one
 * file system, and what is on others' volumes is removed by a process that nobody waits for long.
 */
#define KF_READONLY_DIR	 "/run/kubefence/readonly"
#define KF_READONLY_HOOK "kubefence-readonly"

/* Placeholders and hook for the container @id that @oci describes. @bundle is where
 * its config.json lies, @rootfs_fd its root. */
int kf_readonly_prepare(struct kf_oci *oci, const struct kf_profile_info *profile, int rootfs_fd,
			const char *bundle, const char *root, const char *id, struct kf_err *err);

/* The container is gone: remove placeholders that no other one needs. */
void kf_readonly_release(const char *root, const char *id);

/* main() of the hook; @argv: our name, the container's root, then one argument a
 * path, its first character being what to do where nothing is: */
enum kf_readonly_absent {
	KF_ABSENT_PARENT = '?', /* fail, unless its directory is not there either */
	KF_ABSENT_FINE = '-',	/* leave it */
	KF_ABSENT_FILE = 'f',	/* make a file */
	KF_ABSENT_DIR = 'd',	/* make a directory */
};
int kf_readonly_hook(int argc, char **argv);

/* A placeholder @name in @dirfd. */
int kf_readonly_make(int dirfd, const char *name, bool directory, struct kf_err *err);

#endif
