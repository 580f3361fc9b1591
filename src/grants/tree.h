/* SPDX-License-Identifier: Apache-2.0 */
/* The file system that a policy is applied to, as far as deciding about it needs one: the
 * container that this process is in, an image that is only looked at, or none at all.  Whoever
 * decides asks nothing else about files. */
#ifndef KF_GRANTS_TREE_H
#define KF_GRANTS_TREE_H

#include "base/err.h"
#include "flat/flat.h"
#include "grants/rt.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* One volume of the container. */
struct kf_volume {
	const char *path; /* its mount point */
	uint64_t mount;	  /* unique id of the mount; 0: unknown */
	unsigned access;  /* KF_FS_* that its options leave */
};
/* 0, or -1 with *err set, which ends the search. */
typedef int kf_volume_fn(void *ctx, const struct kf_volume *volume, struct kf_err *err);
/* The same; @fd is borrowed. */
typedef int kf_device_fn(void *ctx, const char *path, int fd, struct kf_err *err);

/* Descriptors are real ones, to be closed by whoever opened them; what they stand for is the
 * tree's to say. */
struct kf_tree {
	/* What @path, absolute and clean, leads to; @resolve: KF_RESOLVE_*, 0 to follow symlinks.
	 * -1 with errno. */
	int (*open)(const struct kf_tree *tree, const char *path, int flags, unsigned resolve);
	/* Where @path, clean, leads: what does not exist is where its nearest existing parent
	 * leads, and the rest.  false if that is longer than any path. */
	bool (*place)(const struct kf_tree *tree, const char *path, char out[static PATH_MAX]);
	/* The entry @name of the directory @dir, never followed; "." to list @dir itself. */
	int (*enter)(const struct kf_tree *tree, int dir, const char *name, int flags);
	/* Where @fd lies, no symlink in it; false if nobody can tell. */
	bool (*path)(const struct kf_tree *tree, int fd, char out[static PATH_MAX]);
	/* As kf_listing_next(). */
	const char *(*next)(const struct kf_tree *tree, struct kf_listing *dir);
	/* Whether @rule, a denial or "fs readonly", is to be enforced at @fd by granting less,
	 * because no mount there does it.  @list: it is a directory that can be listed. */
	bool (*live)(const struct kf_tree *tree, int fd, const struct kf_rule *rule, bool list,
		     const struct stat *st);
	/* For each volume: @fn, which may be told one twice.  1 if there are too many to tell.
	 * @pinned: there may be directories bound over themselves, which holds them in place for
	 * "fs readonly" and brings nothing into the container; they are left out. */
	int (*volumes)(const struct kf_tree *tree, bool pinned, kf_volume_fn *fn, void *ctx,
		       struct kf_err *err);
	/* O_PATH of what is mounted there; -1 if it is not. */
	int (*volume)(const struct kf_tree *tree, const struct kf_volume *volume);
	/* For each device that the container was given: @fn.  1 if there are too many. */
	int (*devices)(const struct kf_tree *tree, kf_device_fn *fn, void *ctx, struct kf_err *err);
	/* Whether the runtime has closed what in /proc is no process's. */
	bool (*closed)(const struct kf_tree *tree);
	/* Why the rest of /proc is not only the container's own; NULL if it is. */
	const char *(*shared)(const struct kf_tree *tree);
};

/* The container that this process is in. */
extern const struct kf_tree kf_tree_live;

/* Open @path, which is clean.  *ret_real: it is also where that lies, as no symlink is on the
 * way; else kf_tree's path() tells, which is slow. */
int kf_tree_place(const struct kf_tree *tree, const char *path, int flags, bool *ret_real);

#endif
