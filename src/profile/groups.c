/* SPDX-License-Identifier: Apache-2.0 */
/* Groups and named host sets from profiles/groups.json, and replacing them by what they hold.  The
 * file is ours and tested, so mistakes in it are assertions, not messages. */
#include "profile/internal.h"

#include <string.h>

static const struct kf_jsonc *find_member(const struct kf_jsonc *object, const char *key)
{
	for (const struct kf_jsonc *m = object ? object->child : NULL; m; m = m->next)
		if (strcmp(m->key, key) == 0)
			return m;
	return NULL;
}

static const char *suggest_member(struct kf_profile_ctx *ctx, const char *word,
				  const struct kf_jsonc *object)
{
	const char **names = kf_arena_calloc(ctx->arena, object->nchildren + 1, sizeof(*names));
	size_t n = 0;

	if (!names)
		return "";
	for (const struct kf_jsonc *m = object->child; m; m = m->next)
		names[n++] = m->key;
	return kf_profile_did_you_mean(ctx, word, names);
}

static bool is_listed(const struct kf_items *items, const char *name)
{
	for (size_t i = 0; i < items->n; i++)
		if (strcmp(items->v[i].s, name) == 0)
			return true;
	return false;
}

static bool is_true(const struct kf_jsonc *v)
{
	return v && v->kind == KF_JSONC_BOOL && v->b;
}

/* Whether @group has an effect in a container. */
static bool is_effective(const struct kf_jsonc *group)
{
	const struct kf_jsonc *platform = find_member(group, "platform");

	return !find_member(group, "reports") && (!platform || strcmp(platform->s, "linux") == 0);
}

static void check_excludes(struct kf_profile_ctx *ctx, const struct kf_items *exclude,
			   const struct kf_items *include, const struct kf_jsonc *groups)
{
	for (size_t i = 0; i < exclude->n; i++) {
		const struct kf_item *item = &exclude->v[i];
		const struct kf_jsonc *group = find_member(groups, item->s);

		if (!group)
			kf_diag_error(ctx->diags, &item->at, "there is no group '%.80s'%s", item->s,
				      suggest_member(ctx, item->s, groups));
		else if (is_true(find_member(group, "required")))
			kf_diag_error(ctx->diags, &item->at,
				      "group '%s' cannot be left out; lift single denials with "
				      "filesystem.bypass_protection",
				      item->s);
		else if (is_effective(group) && !is_listed(include, item->s))
			kf_diag_warning(ctx->diags, &item->at,
					"excluding group '%s' has no effect: nothing includes it",
					item->s);
	}
}

/* Add the entries of @group; entries of the profile itself are never replaced. */
static void take_group(struct kf_profile_ctx *ctx, struct kf_profile *profile,
		       const struct kf_jsonc *group)
{
	struct kf_profile from = {0};

	if (!is_effective(group))
		return;
	if (find_member(group, "filesystem"))
		kf_profile_read_filesystem(ctx, find_member(group, "filesystem"), group->key,
					   &from);
	for (unsigned l = 0; l < KF_NLISTS; l++)
		for (size_t i = 0; i < from.lists[l].n; i++)
			kf_profile_put(ctx, profile, (enum kf_list)l, &from.lists[l].v[i]);
	for (unsigned i = 0; i < KF_NSCALARS; i++)
		if (!profile->scalars[i].s)
			profile->scalars[i] = from.scalars[i];
}

static void expand_network(struct kf_profile_ctx *ctx, struct kf_profile *profile,
			   const struct kf_jsonc *root)
{
	const struct kf_scalar *named = &profile->scalars[KF_SCALAR_NETWORK_PROFILE];
	const struct kf_jsonc *sets = find_member(root, "network_profiles");
	const struct kf_jsonc *set = named->s && *named->s ? find_member(sets, named->s) : NULL;

	if (named->s && *named->s && !set)
		kf_diag_error(ctx->diags, &named->at, "there is no network profile '%.80s'%s",
			      named->s, suggest_member(ctx, named->s, sets));
	for (const struct kf_jsonc *g = set ? set->child : NULL; g; g = g->next) {
		const struct kf_jsonc *hosts =
			find_member(find_member(root, "network_groups"), g->s);

		for (const struct kf_jsonc *h = hosts ? hosts->child : NULL; h; h = h->next) {
			struct kf_item item = {.s = h->s, .at = named->at};

			item.at.group = g->s;
			kf_profile_put(ctx, profile, KF_LIST_DOMAIN, &item);
		}
	}
}

void kf_profile_expand_groups(struct kf_profile_ctx *ctx, struct kf_profile *profile)
{
	struct kf_items include = profile->lists[KF_LIST_INCLUDE];
	const struct kf_items exclude = profile->lists[KF_LIST_EXCLUDE];
	const struct kf_jsonc *root =
		kf_jsonc_parse(kf_profile_groups.text, kf_profile_groups.n, kf_profile_groups.file,
			       ctx->arena, ctx->diags);
	const struct kf_jsonc *groups = find_member(root, "groups"),
			      *base = find_member(root, "base");
	const struct kf_scalar *gpu = &profile->scalars[KF_SCALAR_GPU];

	if (!groups || !base)
		return;
	if (kf_profile_is(profile, KF_SCALAR_BASE_GROUPS, "true"))
		for (const struct kf_jsonc *g = base->child; g; g = g->next)
			kf_profile_add(ctx, &include, &(struct kf_item){.s = g->s, .at = g->at});
	if (kf_profile_is(profile, KF_SCALAR_GPU, "true"))
		kf_profile_add(ctx, &include, &(struct kf_item){.s = "gpu", .at = gpu->at});
	check_excludes(ctx, &exclude, &include, groups);
	for (size_t i = 0; i < include.n; i++) {
		const struct kf_item *item = &include.v[i];
		const struct kf_jsonc *group = find_member(groups, item->s),
				      *why = find_member(group, "reports");

		if (!group)
			kf_diag_error(
				ctx->diags, &item->at,
				"there is no group '%.80s'%s; 'kubefence profile list --groups' "
				"shows all",
				item->s, suggest_member(ctx, item->s, groups));
		else if (why)
			kf_diag_warning(ctx->diags, &item->at, "group '%s' has no effect: it %s",
					item->s, why->s);
		else if (!is_listed(&exclude, item->s))
			take_group(ctx, profile, group);
	}
	expand_network(ctx, profile, root);
	profile->lists[KF_LIST_INCLUDE] = profile->lists[KF_LIST_EXCLUDE] = (struct kf_items){0};
	profile->scalars[KF_SCALAR_BASE_GROUPS] = profile->scalars[KF_SCALAR_NETWORK_PROFILE] =
		profile->scalars[KF_SCALAR_GPU] = (struct kf_scalar){0};
}
