/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of Kata's configuration, by runtime and release. */
#ifndef KF_KATA_KEYS_H
#define KF_KATA_KEYS_H

#include "kata/kata.h"
#include "toml/toml.h"

/* What we set, and look at, in Kata's configuration. */
enum kf_kata_set {
	KF_KATA_SET_NONE,
	KF_KATA_SET_KERNEL,
	KF_KATA_SET_IMAGE,
	KF_KATA_SET_ROOTFS_TYPE,
	KF_KATA_SET_INITRD,
	KF_KATA_SET_VERITY,
	KF_KATA_SET_SECCOMP, /* QEMU's own */
	KF_KATA_SET_ACCELERATORS,
	KF_KATA_SET_ANNOTATIONS,
	KF_KATA_SET_GUEST_SECCOMP,
};

/* The path of the key by which the runtime of @kata reads @set, and NULL behind it: in ret[0] and
 * ret[1] its tables, or only in ret[0].  Fails if the runtime has no such key. */
int kf_kata_key(const struct kf_kata *kata, enum kf_kata_set set, const char *ret[static 4],
		struct kf_err *err);

/* Check that the runtime of @kata reads every key of the drop-in @root (file @name).  What it does
 * not read has no effect, or no machine starts.  A key that no release has is an error unless Kata
 * is newer than this table. */
int kf_kata_check_keys(const struct kf_kata *kata, const struct kf_toml_node *root,
		       const char *name, struct kf_err *err);

#endif
