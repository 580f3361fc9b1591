/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_TRY_BUNDLE_H
#define KF_KUBEFENCE_TRY_BUNDLE_H

#include "base/err.h"
#include "plan/view.h"

#include <stdbool.h>
#include <stdint.h>

/* The names of the containers of "kubefence try" in NRI and in the bundle. */
#define TRY_NAMESPACE "default"
#define TRY_POD	      "try"
#define TRY_CONTAINER "app"
#define TRY_HANDLER   "nono-runc"

/* A container as "kubefence try" is about to run it.  Strings and arrays live
 * in an arena or outlive the run. */
struct try_container {
	const char *id;
	const char *rootfs; /* host path, the container's own: it may write there */
	const char *cwd;
	uint32_t uid, gid;
	bool terminal;
	const char **args;
	size_t nargs;
	const char **env; /* "KEY=VALUE" */
	size_t nenv;
	struct kf_view_mount *mounts; /* the runtime's own ones first, then volumes */
	size_t nmounts;
	const struct kf_view_annotation *annotations;
	size_t nannotations;
	const char **masked; /* paths in it to be covered, besides the runtime's own */
	size_t nmasked;
	const char *netns;		  /* file of its network namespace; NULL = a new one */
	const struct kf_seccomp *seccomp; /* NULL = none */
};

/* The mounts every container gets from containerd (proc, dev, ...). */
extern const struct kf_view_mount try_base_mounts[];
extern const size_t try_nbase_mounts;

/* Write @c as @dir/config.json, an OCI runtime bundle like the one containerd
 * makes for a pod's container: default capabilities, masked and read-only
 * paths, own pid, mount, IPC, UTS and network namespaces. */
int try_bundle_write(const struct try_container *c, int dirfd, struct kf_err *err);

#endif
