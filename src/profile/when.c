/* SPDX-License-Identifier: Apache-2.0 */
/* Platform predicates: "linux", "macos:>=15", "linux:debian:>=12", "!linux:nixos".  A profile is
 * compiled before its image is known, so only the operating system can be decided here. */
#include "profile/internal.h"

#include <string.h>

enum when_answer { NO, YES, UNKNOWN };

static enum when_answer eval_predicate(const char *s)
{
	bool negated = *s == '!';
	size_t n;

	s += negated;
	n = strcspn(s, ":");
	if (n == 5 && strncmp(s, "macos", 5) == 0)
		return negated ? YES : NO;
	if (n == 5 && strncmp(s, "linux", 5) == 0)
		return s[n] ? UNKNOWN : negated ? NO : YES;
	return UNKNOWN;
}

static bool known_system(const char *s)
{
	static const char *const systems[] = {"linux", "macos"};

	s += *s == '!';
	for (size_t i = 0; i < 2; i++)
		if (strncmp(s, systems[i], 5) == 0 && (!s[5] || (s[5] == ':' && s[6])))
			return true;
	return false;
}

static enum when_answer eval_value(struct kf_profile_ctx *ctx, const struct kf_jsonc *v)
{
	static const char *const names[] = {"linux", "macos", NULL};
	enum when_answer a;

	if (v->kind != KF_JSONC_STRING) {
		kf_diag_error(ctx->diags, &v->at, "'when' is a predicate such as \"linux\", not %s",
			      kf_jsonc_kind_name(v->kind));
		return UNKNOWN;
	}
	if (!known_system(v->s)) {
		kf_diag_error(
			ctx->diags, &v->at,
			"predicate '%.80s' is not understood%s; it starts with linux or macos",
			v->s, kf_profile_did_you_mean(ctx, v->s, names));
		return UNKNOWN;
	}
	a = eval_predicate(v->s);
	if (a == UNKNOWN)
		kf_diag_error(
			ctx->diags, &v->at,
			"predicate '%.80s' depends on the image, which is not known when a profile "
			"is compiled; use \"linux\" (paths that an image lacks are skipped)",
			v->s);
	return a;
}

bool kf_profile_when(struct kf_profile_ctx *ctx, const struct kf_jsonc *when)
{
	size_t yes = 0, no = 0;

	if (when->kind != KF_JSONC_ARRAY)
		return eval_value(ctx, when) == YES;
	if (!when->child)
		kf_diag_error(ctx->diags, &when->at, "'when' has no predicate in it");
	for (const struct kf_jsonc *v = when->child; v; v = v->next) {
		switch (eval_value(ctx, v)) {
		case YES:
			yes++;
			break;
		case NO:
			no++;
			break;
		case UNKNOWN:
			return false;
		}
	}
	if (yes && no) {
		/* Nono's documentation does not say whether all of them or any of them must hold.
		 */
		kf_diag_error(ctx->diags, &when->at,
			      "these predicates disagree; write one entry for each");
		return false;
	}
	return yes > 0;
}
