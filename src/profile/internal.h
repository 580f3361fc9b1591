/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_PROFILE_INTERNAL_H
#define KF_PROFILE_INTERNAL_H

#include "profile/profile.h"
#include "json/jsonc.h"

/* Types and functions that only the files of the profile compiler share. */

/* A built-in profile, and the place where a user's profile extends it. */
struct kf_profile_import {
	const char *file;
	struct kf_origin at;
};

struct kf_profile_ctx {
	const struct kf_profile_library *library;
	struct kf_arena *arena;
	struct kf_diags *diags;
	struct kf_profile_import *imports; /* one for each source of the library */
	size_t nimports;
};

/* The contents of one file: its own values, and the names of its bases. */
struct kf_profile_file {
	struct kf_profile profile;
	struct kf_items extends; /* s: name */
	struct kf_profile over;	 /* the part of platform_overrides that is for Linux */
};

/* list.c: typed lists.  An addition that equals an existing entry is dropped; in the maps
 * (environment set, rlimits, hints) the later value wins. */
void kf_profile_add(struct kf_profile_ctx *ctx, struct kf_items *list, const struct kf_item *item);
void kf_profile_put(struct kf_profile_ctx *ctx, struct kf_profile *profile, enum kf_list list,
		    const struct kf_item *added);
/* Merge @child into @base: lists are appended, scalars of the child win. */
void kf_profile_merge(struct kf_profile_ctx *ctx, struct kf_profile *base,
		      const struct kf_profile *child);
static inline bool kf_profile_is(const struct kf_profile *profile, enum kf_scalar_id id,
				 const char *value)
{
	const char *s = profile->scalars[id].s;

	return s && __builtin_strcmp(s, value) == 0;
}

/* path.c: check @raw, written at @at, and return it in the launcher's form (clean, "$HOME" as "~").
 * NULL if it is wrong (reported) or has no meaning in a container (warned). */
const char *kf_profile_path(struct kf_profile_ctx *ctx, const struct kf_origin *at,
			    const char *raw);
/* Whether @s starts with a variable that a path may start with, or that is nono's own. */
bool kf_profile_path_variable(const char *s);
/* @path with all spellings of one place made equal: /var/run is /run, $TMPDIR is /tmp, /root,
 * /home/X and $XDG_* are under "~".  Only for comparing. */
const char *kf_profile_path_canonical(struct kf_arena *arena, const char *path);
/* As kf_path_under(), for paths that may begin with "~" or "$WORKDIR". */
bool kf_profile_path_under(const char *path, const char *base);

/* when.c: whether an entry with this predicate applies in a Linux container.  Predicates that are
 * wrong or cannot be decided are reported and count as false. */
bool kf_profile_when(struct kf_profile_ctx *ctx, const struct kf_jsonc *when);

/* read.c: the values of @root into *ret.  Groups use a subset of the same language: then @group is
 * the group's name and only "filesystem" is read. */
void kf_profile_read(struct kf_profile_ctx *ctx, const struct kf_jsonc *root,
		     struct kf_profile_file *ret);
void kf_profile_read_filesystem(struct kf_profile_ctx *ctx, const struct kf_jsonc *section,
				const char *group, struct kf_profile *ret);

/* egress.c: what an entry of allow_domain that is an object, and one of credentials, says. */
struct kf_profile_key;
void kf_profile_read_host(struct kf_profile_ctx *ctx, const struct kf_profile_key *key,
			  const struct kf_jsonc *v, struct kf_item *item);
bool kf_profile_read_credential(struct kf_profile_ctx *ctx, const struct kf_profile_key *key,
				const struct kf_jsonc *v, struct kf_item *item);
/* Whether the broker has something to do for @profile, which is canonical. */
bool kf_profile_has_egress(const struct kf_profile *profile);
/* The lines that the broker gets for it. */
void kf_profile_emit_egress(struct kf_profile_ctx *ctx, const struct kf_profile *profile,
			    void (*emit)(void *to, const struct kf_origin *at, const char *line),
			    void *to);

/* resolve.c: merge file @name, its bases and its groups. */
int kf_profile_resolve(struct kf_profile_ctx *ctx, const char *name, struct kf_compiled *ret);
/* groups.c: replace groups and network profile by what they hold. */
void kf_profile_expand_groups(struct kf_profile_ctx *ctx, struct kf_profile *profile);
/* check.c: conflicts that show only in the whole profile. */
void kf_profile_check(struct kf_profile_ctx *ctx, struct kf_profile *profile);

/* The place @at for messages: file and line, or the name of a built-in profile. */
const char *kf_profile_place(struct kf_profile_ctx *ctx, const struct kf_origin *at);
/* Whether @at lies in a built-in profile or group. */
bool kf_profile_is_builtin(const struct kf_origin *at);
/* The place that a message about @at names.  If @at lies in a built-in profile, that is the place
 * where a user's profile extends it. */
const struct kf_origin *kf_profile_blame(const struct kf_profile_ctx *ctx,
					 const struct kf_origin *at);

/* Message tail: "; did you mean 'X'?" or "". */
const char *kf_profile_did_you_mean(struct kf_profile_ctx *ctx, const char *word,
				    const char *const *names);

#endif
