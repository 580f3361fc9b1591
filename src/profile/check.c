/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a whole, resolved profile: denials against grants, hosts that nothing would filter,
 * grants that would give the system away.  Mistakes within a single entry are found in read.c. */
#include "base/cleanup.h"
#include "profile/internal.h"
#include "profile/keys.h"

#include <string.h>

static void remove_item(struct kf_items *items, size_t i)
{
	memmove(&items->v[i], &items->v[i + 1], (items->n - i - 1) * sizeof(items->v[0]));
	items->n--;
}

static const char *canonical_path(struct kf_profile_ctx *ctx, const char *path)
{
	const char *s = kf_profile_path_canonical(ctx->arena, path);

	if (!s)
		ctx->diags->nomem = true;
	return s ? s : path;
}

#define RWX (KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC)

/* One entry of bypass_protection and what it applies to. */
struct lift {
	const struct kf_item *at;
	const char *path;     /* canonical */
	bool known;	      /* it meets some denial or read-only path */
	bool granted, needed; /* a grant of the user's goes with it; such a grant is needed */
	bool narrow;	      /* a grant lies at or below @path, so grants above it are not meant */
};

static bool covers_item(struct kf_profile_ctx *ctx, const char *above, const struct kf_item *item)
{
	return kf_profile_path_under(canonical_path(ctx, item->s), above);
}

/* Whether @lift was written for @grant: the grant lies at or below the lifted path or, if none
 * does, above it and in the user's own profile.  A built-in profile that grants the whole home is
 * not meant. */
static bool goes_with(struct kf_profile_ctx *ctx, const struct lift *lift,
		      const struct kf_item *grant)
{
	const char *path = canonical_path(ctx, grant->s);

	if (grant->at.group)
		return false;
	if (kf_profile_path_under(path, lift->path))
		return true;
	return !lift->narrow && !kf_profile_is_builtin(&grant->at) &&
	       kf_profile_path_under(lift->path, path);
}

/* The access that @path has anyway: by grants above it that do not belong to @lift, and by sets
 * such as volumes and homes. */
static unsigned access_otherwise(struct kf_profile_ctx *ctx, const struct kf_profile *profile,
				 const struct lift *lift, const char *path)
{
	const struct kf_items *grants = &profile->lists[KF_LIST_GRANT];
	unsigned access = 0;

	if (kf_profile_is(profile, KF_SCALAR_VOLUMES, "true") ||
	    (kf_profile_is(profile, KF_SCALAR_HOMES, "true") && kf_profile_path_under(path, "~")))
		access = RWX;
	for (size_t i = 0; i < grants->n; i++)
		if (!goes_with(ctx, lift, &grants->v[i]) &&
		    kf_profile_path_under(path, canonical_path(ctx, grants->v[i].s)))
			access |= grants->v[i].access;
	return access;
}

/* Write the path of @item, which lies at or below @deny, in the way @deny is written. */
static void spell_like(struct kf_profile_ctx *ctx, struct kf_item *item, const struct kf_item *deny)
{
	const char *path = canonical_path(ctx, item->s) + strlen(canonical_path(ctx, deny->s));
	const char *s = kf_arena_printf(ctx->arena, "%s%s", deny->s, path);

	if (!s)
		ctx->diags->nomem = true;
	else
		item->s = s;
}

/* Whether the launcher will take @grant for an exception from @deny, as the two are written. */
static bool is_exception(const struct kf_item *grant, const struct kf_item *deny)
{
	const struct kf_rule rule = {.kind = KF_RULE_FS, .arg = grant->s};
	const struct kf_rule denial = {.kind = KF_RULE_FS_DENY, .arg = deny->s};

	return kf_policy_is_exception(&rule, &denial);
}

/* Make @grant an exception from @deny; the denial itself stays. */
static void make_exception(struct kf_profile_ctx *ctx, struct kf_profile *profile,
			   struct kf_item *grant, const struct kf_item *deny)
{
	const struct kf_items *denies = &profile->lists[KF_LIST_DENY];

	if (!is_exception(grant, deny))
		spell_like(ctx, grant, deny);
	grant->lifted = true;
	for (size_t i = 0; i < denies->n; i++) {
		if (covers_item(ctx, canonical_path(ctx, denies->v[i].s), grant) &&
		    !is_exception(grant, &denies->v[i]))
			kf_diag_error(
				ctx->diags, kf_profile_blame(ctx, &grant->at),
				"'%.200s' is denied twice in different spellings, '%.200s' and "
				"'%.200s'; write them alike",
				grant->s, deny->s, denies->v[i].s);
	}
}

/* Make an exception from @deny for @path alone, with the access of @grant, which lies above it. */
static void except_part(struct kf_profile_ctx *ctx, struct kf_profile *profile,
			const struct kf_item *grant, const char *path, const struct lift *lift,
			const struct kf_item *deny)
{
	struct kf_item part = {.s = path, .access = grant->access, .at = lift->at->at};

	make_exception(ctx, profile, &part, deny);
	kf_profile_put(ctx, profile, KF_LIST_GRANT, &part);
}

/* Make the grants that go with @lift exceptions from @deny.  With @whole this includes those that
 * grant everything that it denies. */
static void except_grants(struct kf_profile_ctx *ctx, struct kf_profile *profile, struct lift *lift,
			  const struct kf_item *deny, bool whole)
{
	const char *denied = canonical_path(ctx, deny->s);

	for (size_t i = 0, n = profile->lists[KF_LIST_GRANT].n; i < n; i++) {
		struct kf_item *grant = &profile->lists[KF_LIST_GRANT].v[i];
		const char *path = canonical_path(ctx, grant->s);

		if (!goes_with(ctx, lift, grant) ||
		    (!whole && kf_profile_path_under(denied, path) &&
		     kf_profile_path_under(denied, lift->path)))
			continue;
		if (kf_profile_path_under(path, denied) && kf_profile_path_under(path, lift->path))
			make_exception(ctx, profile, grant, deny);
		else if (!kf_profile_path_under(lift->path, path))
			continue; /* this grant is about another path below the lift */
		else if (kf_profile_path_under(lift->path, denied))
			except_part(ctx, profile, grant, lift->at->s, lift, deny);
		else
			except_part(ctx, profile, grant, deny->s, lift, deny);
		lift->granted = true;
	}
}

/* The access that the grants that go with @lift give to everything that @deny denies, once it is
 * lifted. */
static unsigned granted_whole(struct kf_profile_ctx *ctx, const struct kf_profile *profile,
			      const struct lift *lift, const struct kf_item *deny)
{
	const struct kf_items *grants = &profile->lists[KF_LIST_GRANT];
	const char *denied = canonical_path(ctx, deny->s);
	unsigned access = 0;

	for (size_t i = 0; kf_profile_path_under(denied, lift->path) && i < grants->n; i++)
		if (goes_with(ctx, lift, &grants->v[i]) &&
		    kf_profile_path_under(denied, canonical_path(ctx, grants->v[i].s)))
			access |= grants->v[i].access;
	return access;
}

/* Apply @lift to denial @i; returns whether the denial is still there. */
static bool lift_denial(struct kf_profile_ctx *ctx, struct kf_profile *profile, struct lift *lift,
			size_t i)
{
	const struct kf_item deny = profile->lists[KF_LIST_DENY].v[i];
	const char *denied = canonical_path(ctx, deny.s);
	unsigned access, more;

	if (!kf_profile_path_under(denied, lift->path) &&
	    !kf_profile_path_under(lift->path, denied))
		return true;
	lift->known = lift->needed = true;
	access = granted_whole(ctx, profile, lift, &deny);
	more = access_otherwise(ctx, profile, lift, denied) & ~access;
	if (!access || (more & KF_FS_READ)) {
		/* The denial has to stay: no read-only mount can take reading away. */
		except_grants(ctx, profile, lift, &deny, access != 0);
		return true;
	}
	lift->granted = true;
	remove_item(&profile->lists[KF_LIST_DENY], i);
	/* A grant above must not give write access there, so the path becomes read-only.  If it
	 * gives execution, a later check warns. */
	if (more & KF_FS_WRITE)
		kf_profile_put(
			ctx, profile, KF_LIST_READONLY,
			&(struct kf_item){.s = deny.s, .access = deny.access, .at = lift->at->at});
	return false;
}

/* A read-only path is lifted if it is written in the same way; the grant for it exists already. */
static void lift_readonly(struct kf_profile_ctx *ctx, struct kf_profile *profile, struct lift *lift)
{
	struct kf_items *kept = &profile->lists[KF_LIST_READONLY];

	for (size_t i = 0; i < kept->n;) {
		const char *path = canonical_path(ctx, kept->v[i].s);

		if (strcmp(path, lift->path) == 0) {
			lift->known = true;
			remove_item(kept, i);
			continue;
		}
		if (kf_profile_path_under(lift->path, path)) {
			lift->known = true;
			kf_diag_error(ctx->diags, &lift->at->at,
				      "'%.200s' lies in '%.200s', which is read-only as a whole "
				      "(%s); lift that and keep the rest by name",
				      lift->at->s, kept->v[i].s,
				      kf_profile_place(ctx, &kept->v[i].at));
		}
		i++;
	}
}

static void apply_bypass(struct kf_profile_ctx *ctx, struct kf_profile *profile)
{
	const struct kf_items lifts = profile->lists[KF_LIST_BYPASS];

	profile->lists[KF_LIST_BYPASS] = (struct kf_items){0};
	for (size_t b = 0; b < lifts.n; b++) {
		struct lift lift = {.at = &lifts.v[b], .path = canonical_path(ctx, lifts.v[b].s)};
		const struct kf_items *grants = &profile->lists[KF_LIST_GRANT];

		for (size_t i = 0; i < grants->n; i++)
			lift.narrow |= !grants->v[i].at.group &&
				       covers_item(ctx, lift.path, &grants->v[i]);

		lift_readonly(ctx, profile, &lift);
		for (size_t i = 0; i < profile->lists[KF_LIST_DENY].n;)
			i += lift_denial(ctx, profile, &lift, i);
		if (lift.needed && !lift.granted)
			kf_diag_error(ctx->diags, kf_profile_blame(ctx, &lift.at->at),
				      "'%.200s' is lifted, but nothing grants it: name it in "
				      "filesystem.read or allow as well",
				      lift.at->s);
		else if (!lift.known)
			kf_diag_warning(
				ctx->diags, kf_profile_blame(ctx, &lift.at->at),
				"'%.200s' lifts nothing: no denial or read-only path covers "
				"it",
				lift.at->s);
	}
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
			kf_diag_error(ctx->diags, kf_profile_blame(ctx, &deny->at),
				      "denying '/' would leave nothing to run; grant less instead");
		else if (strchr(deny->s, '$'))
			kf_diag_error(ctx->diags, kf_profile_blame(ctx, &deny->at),
				      "'%.200s' cannot be denied: only the program knows what the "
				      "variable "
				      "is; write the path, or one that starts with '~'",
				      deny->s);
		else if (++i)
			continue;
		remove_item(denies, i);
	}
}

/* Apply the denials.  A denial covers everything below it and is stronger than grants of groups and
 * bases.  A grant that is written as late as the denial or later would silently have no effect:
 * that is an error. */
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
		places[d] = canonical_path(ctx, denies->v[d].s);
	for (size_t i = 0; i < grants->n;) {
		const struct kf_item *grant = &grants->v[i], *by = NULL;
		const char *path = canonical_path(ctx, grant->s);

		for (size_t d = 0; !grant->lifted && d < denies->n; d++)
			if (kf_profile_path_under(path, places[d]) &&
			    (!by || denies->v[d].at.order > by->at.order))
				by = &denies->v[d];
		if (!by) {
			i++;
			continue;
		}
		if (!grant->at.group && by->at.order <= grant->at.order)
			kf_diag_error(
				ctx->diags, kf_profile_blame(ctx, &grant->at),
				"'%.200s' is granted here, but '%.200s' is denied (%s); name "
				"'%.200s' in filesystem.bypass_protection too, or drop the grant",
				grant->s, by->s, kf_profile_place(ctx, &by->at), grant->s);
		remove_item(grants, i);
	}
}

/* Directories that hold programs, or that belong to the kernel. */
static const char *const precious[] = {
	"/bin",	 "/boot", "/dev",  "/etc", "/lib",     "/lib32",   "/lib64",	 "/libx32",
	"/nono", "/proc", "/sbin", "/sys", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/sbin",
};

const char *kf_profile_precious(const char *path)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(precious); i++)
		if (kf_profile_path_under(precious[i], path))
			return precious[i];
	return NULL;
}

static void check_grants(struct kf_profile_ctx *ctx, const struct kf_profile *profile)
{
	const struct kf_items *grants = &profile->lists[KF_LIST_GRANT];

	for (size_t i = 0; i < grants->n; i++) {
		const struct kf_item *grant = &grants->v[i];
		const char *given;

		if (strcmp(grant->s, "/") == 0) {
			kf_diag_error(
				ctx->diags, &grant->at,
				"granting '/' covers everything, and no denial could hold; use "
				"\"image\": true and name what else is needed");
			continue;
		}
		given = grant->access & KF_FS_WRITE ? kf_profile_precious(grant->s) : NULL;
		if (given)
			kf_diag_error(
				ctx->diags, &grant->at,
				"writing to '%.200s' would give the whole system away (%s); grant "
				"what the program writes below it",
				grant->s, given);
	}
}

/* Whether @path stays read-only, whatever grants writing there. */
static bool is_kept(struct kf_profile_ctx *ctx, const struct kf_profile *profile, const char *path)
{
	const struct kf_items *kept = &profile->lists[KF_LIST_READONLY];

	for (size_t i = 0; i < kept->n; i++)
		if (kf_profile_path_under(path, canonical_path(ctx, kept->v[i].s)))
			return true;
	return false;
}

/* Directories in which "image": true grants nothing (grants/grants.c has the same list). */
static const char *const not_image[] = {"/proc", "/sys", "/dev", "/run", "/tmp", "/home", "/root"};

static bool in_image(const char *path)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(not_image); i++)
		if (kf_profile_path_under(path, not_image[i]))
			return false;
	return *path == '/';
}

/* The access at @grant's path that it does not give itself, and *ret_by: what gives it, in words.
 */
static unsigned access_beyond(struct kf_profile_ctx *ctx, const struct kf_profile *profile,
			      const struct kf_item *grant, const char **ret_by)
{
	const struct kf_items *grants = &profile->lists[KF_LIST_GRANT];
	const char *path = canonical_path(ctx, grant->s);
	const unsigned missing = RWX & ~grant->access;
	unsigned most = 0;

	*ret_by = NULL;
	if (kf_profile_is(profile, KF_SCALAR_HOMES, "true") && kf_profile_path_under(path, "~")) {
		*ret_by = kf_arena_printf(ctx->arena, "homes are granted as a whole (%s)",
					  kf_profile_place(ctx,
							   &profile->scalars[KF_SCALAR_HOMES].at));
		return missing;
	}
	for (size_t i = 0; i < grants->n; i++) {
		const struct kf_item *other = &grants->v[i];
		const char *above = canonical_path(ctx, other->s);
		const unsigned more = other->access & missing;

		/* Two grants of one path add up: reading in one and writing in the other. */
		if (!kf_profile_path_under(path, above) || (more | most) == most ||
		    (strcmp(path, above) == 0 && (grant->access & ~other->access)))
			continue;
		most |= more;
		*ret_by = kf_arena_printf(ctx->arena, "'%.200s' is granted as \"%s\" (%s)",
					  other->s, kf_profile_access_name(other->access),
					  kf_profile_place(ctx, &other->at));
	}
	if (!most && kf_profile_is(profile, KF_SCALAR_IMAGE, "true") && in_image(path)) {
		most = (KF_FS_READ | KF_FS_EXEC) & missing;
		*ret_by = kf_arena_printf(ctx->arena, "the image is granted as a whole (%s)",
					  kf_profile_place(ctx,
							   &profile->scalars[KF_SCALAR_IMAGE].at));
	}
	return most;
}

/* Rights add up: a grant below another one cannot take away what the upper one gives.  Warn about
 * those that look as if they should. */
static void check_narrower(struct kf_profile_ctx *ctx, const struct kf_profile *profile)
{
	static const char *const words[] = {
		[KF_FS_READ] = "read",
		[KF_FS_WRITE] = "written",
		[KF_FS_READ | KF_FS_WRITE] = "read and written",
		[KF_FS_EXEC] = "executed",
		[KF_FS_READ | KF_FS_EXEC] = "read and executed",
		[KF_FS_WRITE | KF_FS_EXEC] = "written and executed",
		[RWX] = "used in every way",
	};
	const struct kf_items *grants = &profile->lists[KF_LIST_GRANT];

	for (size_t i = 0; i < grants->n; i++) {
		const struct kf_item *grant = &grants->v[i];
		const char *by;
		unsigned more;

		if (grant->lifted || kf_profile_is_builtin(&grant->at))
			continue;
		more = access_beyond(ctx, profile, grant, &by);
		if (is_kept(ctx, profile, canonical_path(ctx, grant->s)))
			more &= ~(unsigned)KF_FS_WRITE;
		if (more && by)
			kf_diag_warning(
				ctx->diags, &grant->at,
				"'%.200s' is granted as \"%s\", but can be %s as well: %s%s",
				grant->s, kf_profile_access_name(grant->access), words[more], by,
				more & KF_FS_WRITE
					? "; name it in filesystem.readonly to prevent writing"
					: "");
	}
}

static bool holds_port(const struct kf_items *ports, unsigned port)
{
	for (size_t i = 0; i < ports->n; i++)
		if (ports->v[i].u <= port && port <= ports->v[i].u2)
			return true;
	return false;
}

static void check_network(struct kf_profile_ctx *ctx, const struct kf_profile *profile)
{
	const struct kf_items *domains = &profile->lists[KF_LIST_DOMAIN];
	const struct kf_items *ports = &profile->lists[KF_LIST_CONNECT];
	const struct kf_items *udp = &profile->lists[KF_LIST_CONNECT_UDP];
	const struct kf_scalar *block = &profile->scalars[KF_SCALAR_BLOCK];
	const bool blocked = kf_profile_is(profile, KF_SCALAR_BLOCK, "true");

	if (!domains->n)
		return;
	if (blocked && !ports->n)
		kf_diag_warning(ctx->diags, kf_profile_blame(ctx, &domains->v[0].at),
				"no host can be reached: network.block is set (%s), and no "
				"connect_port",
				kf_profile_place(ctx, &block->at));
	else if (blocked && profile->scalars[KF_SCALAR_DOMAINS_BY].s && !holds_port(ports, 53) &&
		 !holds_port(udp, 53))
		kf_diag_warning(ctx->diags, kf_profile_blame(ctx, &domains->v[0].at),
				"no host can be found by its name: network.block closes UDP (%s), "
				"and neither connect_port has 53, for DNS by TCP, nor "
				"connect_udp_port",
				kf_profile_place(ctx, &block->at));
}

void kf_profile_check(struct kf_profile_ctx *ctx, struct kf_profile *profile)
{
	check_readonly(ctx, profile);
	apply_bypass(ctx, profile);
	check_denies(ctx, profile);
	apply_denies(ctx, profile);
	check_grants(ctx, profile);
	check_narrower(ctx, profile);
	check_network(ctx, profile);
}
