/* SPDX-License-Identifier: Apache-2.0 */
/* Inheritance: merging a profile's bases, from left to right, and then the profile itself.  One
 * file is read in read.c, groups are expanded in groups.c. */
#include "base/limits.h"
#include "profile/internal.h"

#include <string.h>

struct node {
	enum { NEW, OPEN, DONE } state;
	struct kf_profile profile; /* its bases and itself */
	struct kf_profile over;	   /* their platform_overrides, which are merged last */
};

struct resolver {
	struct kf_profile_ctx *ctx;
	struct node *nodes; /* one for each source of the library */
	size_t stack[KF_LIMIT_PROFILE_EXTENDS + 1];
	size_t depth, nread;
	unsigned order;
};

/* Index of the first source called @name at or behind @from; library->n if there is none. */
static size_t find_source(const struct kf_profile_library *library, const char *name, size_t from)
{
	size_t i = from;

	while (i < library->n && strcmp(library->v[i].name, name) != 0)
		i++;
	return i;
}

static const char *suggest_profile(struct resolver *r, const char *word)
{
	const struct kf_profile_library *library = r->ctx->library;
	const char **names = kf_arena_calloc(r->ctx->arena, library->n + 1, sizeof(*names));

	for (size_t i = 0; names && i < library->n; i++)
		names[i] = library->v[i].name;
	return names ? kf_profile_did_you_mean(r->ctx, word, names) : "";
}

static void report_cycle(struct resolver *r, size_t to, const struct kf_origin *at)
{
	const char *s = "";
	size_t i = 0;

	while (r->stack[i] != to)
		i++;
	for (; i < r->depth && s; i++)
		s = kf_arena_printf(r->ctx->arena, "%s%s -> ", s,
				    r->ctx->library->v[r->stack[i]].name);
	kf_diag_error(r->ctx->diags, at, "extends goes in a circle: %s%s", s ? s : "",
		      r->ctx->library->v[to].name);
}

static void resolve_source(struct resolver *r, size_t index);

/* Packs of nono's registry that have another name than the built-in profile for the same purpose.
 */
static const char *pack_profile(struct resolver *r, const char *name)
{
	static const char *const others[][2] = {{"claude", "claude-code"},
						{"gemini-cli", "gemini"}};
	const char *base = strchr(name, '/') ? strrchr(name, '/') + 1 : name;
	char word[KF_LIMIT_PROFILE_NAME + 1];
	size_t n = strcspn(base, "@");

	if (n >= sizeof(word))
		return NULL;
	memcpy(word, base, n);
	word[n] = '\0';
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strcmp(others[i][0], word) == 0)
			return others[i][1];
	n = find_source(r->ctx->library, word, 0);
	return n < r->ctx->library->n ? r->ctx->library->v[n].name : NULL;
}

static void refuse_fetch(struct resolver *r, const struct kf_item *base)
{
	const char *instead = pack_profile(r, base->s);

	if (instead)
		kf_diag_error(r->ctx->diags, &base->at,
			      "extends '%.80s': bases are named, not fetched; write \"%s\", the "
			      "profile for the same program",
			      base->s, instead);
	else
		kf_diag_error(r->ctx->diags, &base->at,
			      "extends '%.80s': bases are named, not fetched; put the profile "
			      "beside this one and write its name",
			      base->s);
}

/* Remember the place where a user's profile extends a built-in one. */
static void note_import(struct resolver *r, size_t heir, size_t index, const struct kf_origin *at)
{
	const struct kf_profile_library *library = r->ctx->library;
	const struct kf_origin here = {.file = library->v[heir].file};
	const struct kf_origin there = {.file = library->v[index].file};

	if (!kf_profile_is_builtin(&there))
		return;
	r->ctx->imports[r->ctx->nimports] = (struct kf_profile_import){
		.file = there.file,
		.at = kf_profile_is_builtin(&here) ? *kf_profile_blame(r->ctx, &here) : *at,
	};
	r->ctx->nimports++;
}

/* Merge base @name, named by source @heir, into @into. */
static void resolve_base(struct resolver *r, size_t heir, const struct kf_item *base,
			 struct node *into)
{
	const struct kf_profile_library *library = r->ctx->library;
	/* A profile of the administrator's may replace a built-in and extend it. */
	size_t from = strcmp(library->v[heir].name, base->s) == 0 ? heir + 1 : 0;
	size_t i = find_source(library, base->s, from);

	if (strpbrk(base->s, "/@")) {
		refuse_fetch(r, base);
	} else if (i == library->n && from) {
		kf_diag_error(r->ctx->diags, &base->at, "extends goes in a circle: %s -> %s",
			      base->s, base->s);
	} else if (i == library->n) {
		kf_diag_error(r->ctx->diags, &base->at, "there is no profile '%.80s'%s", base->s,
			      suggest_profile(r, base->s));
	} else if (r->nodes[i].state == OPEN) {
		report_cycle(r, i, &base->at);
	} else if (r->nodes[i].state == NEW && r->depth == KF_LIMIT_PROFILE_EXTENDS) {
		kf_diag_error(r->ctx->diags, &base->at, "extends reaches deeper than %d profiles",
			      KF_LIMIT_PROFILE_EXTENDS);
	} else if (r->nodes[i].state == NEW && r->nread == KF_LIMIT_PROFILE_BASES) {
		kf_diag_error(r->ctx->diags, &base->at, "builds on more than %d profiles",
			      KF_LIMIT_PROFILE_BASES);
	} else {
		if (r->nodes[i].state == NEW)
			note_import(r, heir, i, &base->at);
		resolve_source(r, i);
		kf_profile_merge(r->ctx, &into->profile, &r->nodes[i].profile);
		kf_profile_merge(r->ctx, &into->over, &r->nodes[i].over);
	}
}

/* Number the entries, so that those of bases come before those of their heirs. */
static void number_entries(struct kf_profile *profile, unsigned order)
{
	for (unsigned l = 0; l < KF_NLISTS; l++)
		for (size_t i = 0; i < profile->lists[l].n; i++)
			profile->lists[l].v[i].at.order = order;
}

/* Read source @index and merge its bases below it; each source is read at most once. */
static void resolve_source(struct resolver *r, size_t index)
{
	const struct kf_profile_source *source = &r->ctx->library->v[index];
	struct node *node = &r->nodes[index];
	struct kf_profile_file file = {0};
	const struct kf_jsonc *root;

	if (node->state == DONE)
		return;
	node->state = OPEN;
	r->stack[r->depth++] = index;
	r->nread++;
	root = kf_jsonc_parse(source->text, source->n, source->file, r->ctx->arena, r->ctx->diags);
	if (root)
		kf_profile_read(r->ctx, root, &file);
	for (size_t i = 0; i < file.extends.n; i++)
		resolve_base(r, index, &file.extends.v[i], node);
	number_entries(&file.profile, ++r->order);
	/* Each root decides for itself whether it starts from the base groups; in the end one root
	 * that does is enough. */
	struct kf_scalar base = file.profile.scalars[KF_SCALAR_BASE_GROUPS];

	file.profile.scalars[KF_SCALAR_BASE_GROUPS].s = NULL;
	kf_profile_merge(r->ctx, &node->profile, &file.profile);
	file.over.scalars[KF_SCALAR_BASE_GROUPS].s = NULL;
	kf_profile_merge(r->ctx, &node->over, &file.over);
	if (!file.extends.n && !(base.s && strcmp(base.s, "false") == 0))
		node->profile.scalars[KF_SCALAR_BASE_GROUPS] = (struct kf_scalar){.s = "true"};
	else if (file.extends.n && base.s)
		kf_diag_warning(r->ctx->diags, &base.at,
				"groups.base has no effect in a profile that extends another");
	node->state = DONE;
	r->depth--;
}

int kf_profile_resolve(struct kf_profile_ctx *ctx, const char *name, struct kf_compiled *ret)
{
	struct resolver r = {.ctx = ctx};
	size_t i = find_source(ctx->library, name, 0);

	if (i == ctx->library->n) {
		kf_diag_error(ctx->diags, &(struct kf_origin){.file = name},
			      "there is no such profile%s", suggest_profile(&r, name));
		return -1;
	}
	r.nodes = kf_arena_calloc(ctx->arena, ctx->library->n, sizeof(*r.nodes));
	ctx->imports = kf_arena_calloc(ctx->arena, ctx->library->n, sizeof(*ctx->imports));
	if (!r.nodes || !ctx->imports) {
		ctx->diags->nomem = true;
		return -1;
	}
	resolve_source(&r, i);
	number_entries(&r.nodes[i].over, ++r.order);
	kf_profile_merge(ctx, &r.nodes[i].profile, &r.nodes[i].over);
	const struct kf_scalar *said = &r.nodes[i].profile.scalars[KF_SCALAR_NAME];

	if (said->s && strcmp(said->s, name) != 0 && said->at.file == ctx->library->v[i].file)
		kf_diag_warning(ctx->diags, &said->at,
				"meta.name is '%.80s', but pods use the file's name, '%s'", said->s,
				name);
	ret->name = ctx->library->v[i].name;
	ret->file = ctx->library->v[i].file;
	ret->profile = r.nodes[i].profile;
	kf_profile_expand_groups(ctx, &ret->profile);
	return 0;
}
