/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "policy/profile_int.h"

#include <string.h>

/* What only the whole profile can tell: denials against grants, hosts that
 * nothing would filter, grants that would give the system away. */

static const char *place(struct kf_profile_ctx *ctx, const struct kf_origin *at)
{
	const char *s = kf_arena_printf(ctx->arena, "%s:%u%s%s%s", at->file, at->line,
					at->group ? ", group '" : "", at->group ? at->group : "",
					at->group ? "'" : "");
	return s ? s : "";
}

static void remove_item(struct kf_items *items, size_t i)
{
	memmove(&items->v[i], &items->v[i + 1], (items->n - i - 1) * sizeof(items->v[0]));
	items->n--;
}

static const char *canonical(struct kf_profile_ctx *ctx, const char *path)
{
	const char *s = kf_profile_path_canonical(ctx->arena, path);

	if (!s)
		ctx->diags->nomem = true;
	return s ? s : path;
}

/* Take @path off @items; whether it was there.  *ret_above: one that covers it. */
static bool lift_from(struct kf_profile_ctx *ctx, struct kf_items *items, const char *path,
		      const struct kf_item **ret_above)
{
	bool lifted = false;

	for (size_t i = 0; i < items->n;) {
		const char *at = canonical(ctx, items->v[i].s);

		if (strcmp(at, path) == 0) {
			remove_item(items, i);
			lifted = true;
			continue;
		}
		if (kf_profile_path_under(path, at))
			*ret_above = &items->v[i];
		i++;
	}
	return lifted;
}

static void apply_bypass(struct kf_profile_ctx *ctx, struct kf_profile *profile)
{
	static const struct {
		enum kf_list list;
		const char *done, *verb;
	} kinds[] = {{KF_LIST_DENY, "denied", "deny"}, {KF_LIST_READONLY, "read-only", "keep"}};
	const struct kf_items *lifts = &profile->lists[KF_LIST_BYPASS];

	for (size_t b = 0; b < lifts->n; b++) {
		const struct kf_item *lift = &lifts->v[b];
		const char *path = canonical(ctx, lift->s);
		bool known = false;

		for (size_t k = 0; k < KF_ARRAY_SIZE(kinds); k++) {
			const struct kf_item *above = NULL;

			known |= lift_from(ctx, &profile->lists[kinds[k].list], path, &above);
			known |= above != NULL;
			if (above)
				kf_diag_error(ctx->diags, &lift->at,
					      "'%.200s' lies in '%.200s', which is %s as a whole "
					      "(%s); lift that and %s the rest by name",
					      lift->s, above->s, kinds[k].done,
					      place(ctx, &above->at), kinds[k].verb);
		}
		if (!known)
			kf_diag_warning(ctx->diags, &lift->at,
					"'%.200s' lifts nothing: no denial or read-only path is "
					"written like that",
					lift->s);
	}
	profile->lists[KF_LIST_BYPASS] = (struct kf_items){0};
}

static void check_readonly(struct kf_profile_ctx *ctx, struct kf_profile *profile)
{
	struct kf_items *kept = &profile->lists[KF_LIST_READONLY];

	for (size_t i = 0; i < kept->n;) {
		if (strcmp(kept->v[i].s, "/") != 0 && ++i)
			continue;
		kf_diag_error(ctx->diags, &kept->v[i].at,
			      "a read-only '/' is the pod's to ask for "
			      "(readOnlyRootFilesystem); grant less instead");
		remove_item(kept, i);
	}
}

static void check_denies(struct kf_profile_ctx *ctx, struct kf_profile *profile)
{
	struct kf_items *denies = &profile->lists[KF_LIST_DENY];

	for (size_t i = 0; i < denies->n;) {
		const struct kf_item *deny = &denies->v[i];

		if (strcmp(deny->s, "/") == 0)
			kf_diag_error(ctx->diags, &deny->at,
				      "denying '/' would leave nothing to run; grant less instead");
		else if (strchr(deny->s, '$'))
			kf_diag_error(ctx->diags, &deny->at,
				      "'%.200s' cannot be denied: only the program knows what the "
				      "variable "
				      "is; write the path, or one that starts with '~'",
				      deny->s);
		else if (++i)
			continue;
		remove_item(denies, i);
	}
}

/* A denial covers all below it.  It beats what groups and bases grant; a grant
 * written as late or later than the denial would silently not work. */
static void apply_denies(struct kf_profile_ctx *ctx, struct kf_profile *profile)
{
	struct kf_items *grants = &profile->lists[KF_LIST_GRANT];
	const struct kf_items *denies = &profile->lists[KF_LIST_DENY];
	const char **places = kf_arena_calloc(ctx->arena, denies->n, sizeof(*places));

	if (denies->n && !places) {
		ctx->diags->nomem = true;
		return;
	}
	for (size_t d = 0; d < denies->n; d++)
		places[d] = canonical(ctx, denies->v[d].s);
	for (size_t i = 0; i < grants->n;) {
		const struct kf_item *grant = &grants->v[i], *by = NULL;
		const char *path = canonical(ctx, grant->s);

		for (size_t d = 0; d < denies->n; d++)
			if (kf_profile_path_under(path, places[d]) &&
			    (!by || denies->v[d].at.order > by->at.order))
				by = &denies->v[d];
		if (!by) {
			i++;
			continue;
		}
		if (!grant->at.group && by->at.order <= grant->at.order)
			kf_diag_error(
				ctx->diags, &grant->at,
				"'%.200s' is granted here, but '%.200s' is denied (%s); lift that "
				"with filesystem.bypass_protection or drop the grant",
				grant->s, by->s, place(ctx, &by->at));
		remove_item(grants, i);
	}
}

/* Directories that programs come from, or that are the kernel's. */
static const char *const precious[] = {
	"/bin",	 "/boot", "/dev",  "/etc", "/lib",     "/lib32",   "/lib64",	 "/libx32",
	"/nono", "/proc", "/sbin", "/sys", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/sbin",
};

static void check_grants(struct kf_profile_ctx *ctx, const struct kf_profile *profile)
{
	const struct kf_items *grants = &profile->lists[KF_LIST_GRANT];

	for (size_t i = 0; i < grants->n; i++) {
		const struct kf_item *grant = &grants->v[i];

		if (strcmp(grant->s, "/") == 0) {
			kf_diag_error(
				ctx->diags, &grant->at,
				"granting '/' covers everything, and no denial could hold; use "
				"\"image\": true and name what else is needed");
			continue;
		}
		for (size_t p = 0; p < KF_ARRAY_SIZE(precious); p++) {
			if (!(grant->access & KF_FS_WRITE) ||
			    !kf_profile_path_under(precious[p], grant->s))
				continue;
			kf_diag_error(
				ctx->diags, &grant->at,
				"writing to '%.200s' would give the whole system away (%s); grant "
				"what the program writes below it",
				grant->s, precious[p]);
			break;
		}
	}
}

static void check_network(struct kf_profile_ctx *ctx, const struct kf_profile *profile)
{
	const struct kf_items *domains = &profile->lists[KF_LIST_DOMAIN];
	bool block = kf_profile_is(profile, KF_SCALAR_BLOCK, "true");

	if (!domains->n)
		return;
	if (block)
		kf_diag_warning(ctx->diags, &domains->v[0].at,
				"no host can be reached: network.block is set (%s)",
				place(ctx, &profile->scalars[KF_SCALAR_BLOCK].at));
	else if (!profile->scalars[KF_SCALAR_DOMAINS_BY].s)
		kf_diag_error(
			ctx->diags, &domains->v[0].at,
			"the kernel does not filter by host name; have the cluster do it: apply "
			"what 'kubefence profile netpol' writes, and say so here with "
			"\"network\": {\"enforced_by\": \"network-policy\"}");
}

void kf_profile_check(struct kf_profile_ctx *ctx, struct kf_profile *profile)
{
	apply_bypass(ctx, profile);
	check_denies(ctx, profile);
	check_readonly(ctx, profile);
	apply_denies(ctx, profile);
	check_grants(ctx, profile);
	check_network(ctx, profile);
}
