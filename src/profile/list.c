/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of a profile: adding entries, finding equal ones, merging a profile into its heir; and
 * where an entry comes from.  Checks of the whole profile are in check.c. */
#include "base/limits.h"
#include "profile/internal.h"

#include <string.h>

/* Which lists are maps: of two entries with one key the later value counts. */
static bool is_map(enum kf_list list)
{
	return list == KF_LIST_ENV_SET || list == KF_LIST_RLIMIT || list == KF_LIST_HINT ||
	       list == KF_LIST_DOMAIN || list == KF_LIST_CREDENTIAL;
}

static bool same_string(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_key(const struct kf_item *a, const struct kf_item *b)
{
	return same_string(a->s, b->s);
}

static bool same_item(const struct kf_item *a, const struct kf_item *b)
{
	return same_key(a, b) && same_string(a->value, b->value) && a->access == b->access &&
	       a->u == b->u && a->u2 == b->u2;
}

void kf_profile_add(struct kf_profile_ctx *ctx, struct kf_items *list, const struct kf_item *item)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 16;
		struct kf_item *v = kf_arena_calloc(ctx->arena, cap, sizeof(*v));

		if (!v) {
			ctx->diags->nomem = true;
			return;
		}
		if (list->n)
			memcpy(v, list->v, list->n * sizeof(*v));
		list->v = v;
		list->cap = cap;
	}
	list->v[list->n++] = *item;
}

/* FNV-1a. */
static uint32_t hash_string(const char *s)
{
	uint32_t h = 2166136261u;

	for (; s && *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619u;
	return h;
}

void kf_profile_put(struct kf_profile_ctx *ctx, struct kf_profile *profile, enum kf_list list,
		    const struct kf_item *added)
{
	struct kf_item copy = *added, *item = &copy;
	struct kf_items *items = &profile->lists[list];
	bool map = is_map(list);

	item->hash = hash_string(item->s);
	for (size_t i = 0; i < items->n; i++) {
		if (items->v[i].hash != item->hash)
			continue;
		if (map ? same_key(&items->v[i], item) : same_item(&items->v[i], item)) {
			/* The entry counts as written where it is written last. */
			if (map && !item->at.group)
				items->v[i] = *item;
			else if (item->at.order > items->v[i].at.order)
				items->v[i].at = item->at;
			return;
		}
	}
	if (items->n < KF_LIMIT_PROFILE_ENTRIES) {
		kf_profile_add(ctx, items, item);
		return;
	}
	if (!items->full)
		kf_diag_error(
			ctx->diags, &item->at,
			"more than %d entries of one kind; grant directories rather than what is "
			"in them",
			KF_LIMIT_PROFILE_ENTRIES);
	items->full = true;
}

/* Whether the value of @base stays, whatever its heir says. */
static bool keeps_value(struct kf_profile_ctx *ctx, const struct kf_profile *base,
			enum kf_scalar_id id, const struct kf_scalar *said)
{
	if (id != KF_SCALAR_BLOCK && id != KF_SCALAR_ENV_ANYCASE)
		return false;
	if (!kf_profile_is(base, id, "true"))
		return false;
	if (said->s && strcmp(said->s, "true") != 0)
		kf_diag_warning(
			ctx->diags, &said->at,
			"false has no effect: %s has set this to true, and a profile that extends "
			"it cannot take that back",
			kf_profile_place(ctx, &base->scalars[id].at));
	return true;
}

void kf_profile_merge(struct kf_profile_ctx *ctx, struct kf_profile *base,
		      const struct kf_profile *child)
{
	for (unsigned l = 0; l < KF_NLISTS; l++) {
		base->lists[l].full |= child->lists[l].full;
		for (size_t i = 0; i < child->lists[l].n; i++)
			kf_profile_put(ctx, base, (enum kf_list)l, &child->lists[l].v[i]);
	}
	for (unsigned i = 0; i < KF_NSCALARS; i++) {
		if (keeps_value(ctx, base, (enum kf_scalar_id)i, &child->scalars[i]))
			continue;
		if (child->scalars[i].s)
			base->scalars[i] = child->scalars[i];
	}
}

#define BUILT_IN "built-in "

bool kf_profile_is_builtin(const struct kf_origin *at)
{
	return at->group || !at->file || strncmp(at->file, BUILT_IN, strlen(BUILT_IN)) == 0;
}

const char *kf_profile_place(struct kf_profile_ctx *ctx, const struct kf_origin *at)
{
	const char *file = at->file, *s;

	if (at->group)
		s = kf_arena_printf(ctx->arena, "group '%s'", at->group);
	else if (kf_profile_is_builtin(at) && file)
		s = kf_arena_printf(ctx->arena, "profile '%.*s'",
				    (int)strcspn(file + strlen(BUILT_IN), "."),
				    file + strlen(BUILT_IN));
	else
		s = kf_arena_printf(ctx->arena, "%s:%u", file ? file : "", at->line);
	return s ? s : "";
}

const struct kf_origin *kf_profile_blame(const struct kf_profile_ctx *ctx,
					 const struct kf_origin *at)
{
	for (size_t i = 0; i < ctx->nimports; i++)
		if (at->file && strcmp(ctx->imports[i].file, at->file) == 0)
			return &ctx->imports[i].at;
	return at;
}

const char *kf_profile_did_you_mean(struct kf_profile_ctx *ctx, const char *word,
				    const char *const *names)
{
	const char *meant = kf_diag_suggest(word, names);
	const char *s = meant ? kf_arena_printf(ctx->arena, "; did you mean '%s'?", meant) : "";

	return s ? s : "";
}
