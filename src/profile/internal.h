/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_PROFILE_INTERNAL_H
#define KF_PROFILE_INTERNAL_H

#include "profile/profile.h"
#include "json/jsonc.h"

/* Between the files of the profile compiler only. */

/* A built-in profile, and where a profile of somebody's own extends it. */
struct kf_profile_import {
	const char *file;
	struct kf_origin at;
};

struct kf_profile_ctx {
	const struct kf_profile_library *library;
	struct kf_arena *arena;
	struct kf_diags *diags;
	struct kf_profile_import *imports; /* one a source of the library */
	size_t nimports;
};

/* What one file says: its own values, and what it builds on. */
struct kf_profile_file {
	struct kf_profile profile;
	struct kf_items extends; /* s: name */
	struct kf_profile over;	 /* of platform_overrides, what is for Linux */
};

/* profile_list.c: typed lists.  Additions that equal an entry already there are
 * dropped; in the maps (environment set, rlimits, hints) the later value wins. */
void kf_profile_add(struct kf_profile_ctx *ctx, struct kf_items *list, const struct kf_item *item);
void kf_profile_put(struct kf_profile_ctx *ctx, struct kf_profile *profile, enum kf_list list,
		    const struct kf_item *item);
/* @child over @base, into @base: lists append, scalars of the child win. */
void kf_profile_merge(struct kf_profile_ctx *ctx, struct kf_profile *base,
		      const struct kf_profile *child);
static inline bool kf_profile_is(const struct kf_profile *profile, enum kf_scalar_id id,
				 const char *value)
{
	const char *s = profile->scalars[id].s;

	return s && __builtin_strcmp(s, value) == 0;
}

/* profile_path.c: @raw as written at @at, checked and in the launcher's form
 * (clean, "$HOME" as "~").  NULL if it is wrong (reported) or has no meaning in
 * a container (warned). */
const char *kf_profile_path(struct kf_profile_ctx *ctx, const struct kf_origin *at,
			    const char *raw);
/* Whether @s starts with a variable that a path may start with, or that is nono's own. */
bool kf_profile_path_variable(const char *s);
/* @path with all spellings of one place made one: /var/run is /run, $TMPDIR is
 * /tmp, /root, /home/X and $XDG_* are under "~".  For comparing only. */
const char *kf_profile_path_canonical(struct kf_arena *arena, const char *path);
/* As kf_path_under(), "~" and "$WORKDIR" at the start of both being places too. */
bool kf_profile_path_under(const char *path, const char *base);

/* profile_when.c: whether an entry with this predicate counts in a Linux
 * container.  Wrong or undecidable predicates are reported and count as false. */
bool kf_profile_when(struct kf_profile_ctx *ctx, const struct kf_jsonc *when);

/* profile_read.c: the values of @root into @ret.  Groups use a subset of the
 * same language: then @group is the group's name and only "filesystem" is read. */
void kf_profile_read(struct kf_profile_ctx *ctx, const struct kf_jsonc *root,
		     struct kf_profile_file *ret);
void kf_profile_read_filesystem(struct kf_profile_ctx *ctx, const struct kf_jsonc *section,
				const char *group, struct kf_profile *ret);

/* profile_resolve.c: file @name, its bases and its groups, merged. */
int kf_profile_resolve(struct kf_profile_ctx *ctx, const char *name, struct kf_compiled *ret);
/* profile_groups.c: replace groups and network profile by what they hold. */
void kf_profile_expand_groups(struct kf_profile_ctx *ctx, struct kf_profile *profile);
/* profile_check.c: conflicts that only the whole can show. */
void kf_profile_check(struct kf_profile_ctx *ctx, struct kf_profile *profile);

/* Where @at is, for messages: a file's line, or what is built in by its name. */
const char *kf_profile_place(struct kf_profile_ctx *ctx, const struct kf_origin *at);
/* Whether a built-in profile or group says it. */
bool kf_profile_is_builtin(const struct kf_origin *at);
/* The place to point at when @at is wrong: if a built-in profile says it, where a profile of
 * somebody's own brought that in. */
const struct kf_origin *kf_profile_blame(const struct kf_profile_ctx *ctx,
					 const struct kf_origin *at);

/* Message tail: "; did you mean 'X'?" or "". */
const char *kf_profile_did_you_mean(struct kf_profile_ctx *ctx, const char *word,
				    const char *const *names);

#endif
