/* SPDX-License-Identifier: Apache-2.0 */
/* Compiling: from the resolved profile to rules in a canonical order, and to flat text.  How a rule
 * is written is in format.c, where a profile comes from in resolve.c. */
#include "base/limits.h"
#include "flat/flat.h"
#include "flat/name.h"
#include "profile/format.h"
#include "profile/internal.h"

#include <stdlib.h>
#include <string.h>

struct emitter {
	struct kf_profile_ctx *ctx;
	struct kf_rule *rules;
	struct kf_origin *origins;
	size_t n, cap;
};

static void emit_rule(struct emitter *e, const struct kf_origin *at, struct kf_rule rule)
{
	if (e->n < e->cap) {
		e->rules[e->n] = rule;
		e->origins[e->n++] = *at;
	}
}

static int compare_items(const void *a, const void *b)
{
	const struct kf_item *x = a, *y = b;
	int c = x->s && y->s ? strcmp(x->s, y->s) : 0;

	if (c)
		return c;
	if (x->u != y->u)
		return x->u < y->u ? -1 : 1;
	/* If an entry occurs twice, the profile's own is shown before a group's, and the latest
	 * before earlier ones. */
	if (!x->at.group != !y->at.group)
		return x->at.group ? 1 : -1;
	if (x->at.order != y->at.order)
		return x->at.order > y->at.order ? -1 : 1;
	return x->access > y->access ? -1 : x->access < y->access;
}

/* @list sorted, with each key once; equal keys have their access united. */
static struct kf_items canonical_list(struct kf_profile_ctx *ctx, const struct kf_items *list)
{
	struct kf_items out = {.v = kf_arena_calloc(ctx->arena, list->n, sizeof(*list->v))};

	if (!list->n)
		return out;
	if (!out.v) {
		ctx->diags->nomem = true;
		return out;
	}
	memcpy(out.v, list->v, list->n * sizeof(*list->v));
	qsort(out.v, list->n, sizeof(*out.v), compare_items);
	for (size_t i = 0; i < list->n; i++) {
		struct kf_item *last = out.n ? &out.v[out.n - 1] : NULL;

		if (last && last->u == out.v[i].u && (last->s || last->u2 == out.v[i].u2) &&
		    (!last->s || strcmp(last->s, out.v[i].s) == 0))
			last->access |= out.v[i].access, last->lifted |= out.v[i].lifted;
		else
			out.v[out.n++] = out.v[i];
	}
	return out;
}

static void emit_scalar(struct emitter *e, const struct kf_profile *p, enum kf_scalar_id id,
			const char *value, struct kf_rule rule)
{
	if (kf_profile_is(p, id, value))
		emit_rule(e, &p->scalars[id].at, rule);
}

static void emit_filesystem(struct emitter *e, const struct kf_profile *p)
{
	const struct kf_items *grants = &p->lists[KF_LIST_GRANT];
	const struct kf_items *denies = &p->lists[KF_LIST_DENY];
	const struct kf_items *kept = &p->lists[KF_LIST_READONLY];
	const struct kf_items *quiet = &p->lists[KF_LIST_QUIET];

	emit_scalar(e, p, KF_SCALAR_IMAGE, "true", (struct kf_rule){.kind = KF_RULE_FS_ROOT});
	emit_scalar(e, p, KF_SCALAR_HOMES, "true", (struct kf_rule){.kind = KF_RULE_FS_HOMES});
	emit_scalar(e, p, KF_SCALAR_VOLUMES, "true", (struct kf_rule){.kind = KF_RULE_FS_VOLUMES});
	emit_scalar(e, p, KF_SCALAR_PROCESSES, "true",
		    (struct kf_rule){.kind = KF_RULE_FS_PROCESSES});
	emit_scalar(e, p, KF_SCALAR_DEVICES, "true", (struct kf_rule){.kind = KF_RULE_FS_DEVICES});
	for (size_t i = 0; i < grants->n; i++)
		emit_rule(e, &grants->v[i].at,
			  (struct kf_rule){.kind = KF_RULE_FS,
					   .arg = grants->v[i].s,
					   .access = grants->v[i].access});
	for (size_t i = 0; i < denies->n; i++)
		emit_rule(e, &denies->v[i].at,
			  (struct kf_rule){.kind = KF_RULE_FS_DENY, .arg = denies->v[i].s});
	for (size_t i = 0; i < kept->n; i++)
		emit_rule(e, &kept->v[i].at,
			  (struct kf_rule){.kind = KF_RULE_FS_READONLY,
					   .arg = kept->v[i].s,
					   .access = kept->v[i].access});
	for (size_t i = 0; i < quiet->n; i++)
		emit_rule(e, &quiet->v[i].at,
			  (struct kf_rule){.kind = KF_RULE_FS_QUIET, .arg = quiet->v[i].s});
}

static void emit_ports(struct emitter *e, const struct kf_items *ports, enum kf_rule_kind kind)
{
	for (size_t i = 0; i < ports->n; i++)
		emit_rule(e, &ports->v[i].at,
			  (struct kf_rule){.kind = kind,
					   .port = (uint16_t)ports->v[i].u,
					   .port_last = (uint16_t)ports->v[i].u2});
}

static void emit_env(struct emitter *e, const struct kf_profile *p)
{
	/* @other: the form for case_insensitive_vars, and for values that are paths. */
	static const struct {
		enum kf_list list;
		const char *verb, *other;
	} verbs[] = {{KF_LIST_ENV_DROP, "drop", "drop-anycase"},
		     {KF_LIST_ENV_KEEP, "keep", "keep-anycase"},
		     {KF_LIST_ENV_SET, "set", "expand"}};
	const bool any_case = kf_profile_is(p, KF_SCALAR_ENV_ANYCASE, "true");

	/* The profile keeps only an empty list of variables. */
	if (p->scalars[KF_SCALAR_ENV_KEEP_SET].s && !p->lists[KF_LIST_ENV_KEEP].n)
		emit_rule(e, &p->scalars[KF_SCALAR_ENV_KEEP_SET].at,
			  (struct kf_rule){.kind = KF_RULE_ENV, .verb = "drop", .arg = "*"});
	for (size_t v = 0; v < sizeof(verbs) / sizeof(verbs[0]); v++) {
		const struct kf_items *list = &p->lists[verbs[v].list];

		for (size_t i = 0; i < list->n; i++) {
			const struct kf_item *item = &list->v[i];
			const bool other = verbs[v].list == KF_LIST_ENV_SET
						   ? item->access & KF_ENV_PATH
						   : any_case;
			const char *arg = item->value ? kf_arena_printf(e->ctx->arena, "%s=%s",
									item->s, item->value)
						      : item->s;

			if (!arg)
				e->ctx->diags->nomem = true;
			emit_rule(e, &item->at,
				  (struct kf_rule){.kind = KF_RULE_ENV,
						   .verb = other ? verbs[v].other : verbs[v].verb,
						   .arg = arg});
		}
	}
}

static void emit_egress(void *to, const struct kf_origin *at, const char *line)
{
	emit_rule(to, at, (struct kf_rule){.kind = KF_RULE_EGRESS, .arg = line});
}

static void emit_rest(struct emitter *e, const struct kf_profile *p)
{
	const struct kf_items *limits = &p->lists[KF_LIST_RLIMIT];
	const struct kf_items *hints = &p->lists[KF_LIST_HINT];
	const struct kf_items *recipe = &p->lists[KF_LIST_RECIPE];

	for (size_t i = 0; i < limits->n; i++)
		emit_rule(e, &limits->v[i].at,
			  (struct kf_rule){.kind = KF_RULE_RLIMIT,
					   .verb = limits->v[i].s,
					   .soft = limits->v[i].u,
					   .hard = limits->v[i].u2});
	for (size_t i = 0; i < hints->n; i++) {
		const char *arg = kf_arena_printf(e->ctx->arena, "hint %s %s", hints->v[i].s,
						  hints->v[i].value);

		if (!arg)
			e->ctx->diags->nomem = true;
		emit_rule(e, &hints->v[i].at, (struct kf_rule){.kind = KF_RULE_NOTE, .arg = arg});
	}
	for (size_t i = 0; i < recipe->n; i++)
		emit_rule(e, &recipe->v[i].at,
			  (struct kf_rule){.kind = KF_RULE_NOTE, .arg = recipe->v[i].s});
}

static void emit_all(struct emitter *e, const struct kf_profile *p)
{
	static const struct kf_rule scope_signal = {.kind = KF_RULE_SCOPE, .verb = "signal"};

	if (p->scalars[KF_SCALAR_SECCOMP].s)
		emit_rule(e, &p->scalars[KF_SCALAR_SECCOMP].at,
			  (struct kf_rule){.kind = KF_RULE_SECCOMP,
					   .arg = p->scalars[KF_SCALAR_SECCOMP].s});
	emit_filesystem(e, p);
	emit_scalar(e, p, KF_SCALAR_BLOCK, "true", (struct kf_rule){.kind = KF_RULE_NET_BLOCK});
	emit_ports(e, &p->lists[KF_LIST_CONNECT], KF_RULE_NET_CONNECT);
	emit_ports(e, &p->lists[KF_LIST_BIND], KF_RULE_NET_BIND);
	emit_ports(e, &p->lists[KF_LIST_CONNECT_UDP], KF_RULE_NET_CONNECT_UDP);
	emit_ports(e, &p->lists[KF_LIST_BIND_UDP], KF_RULE_NET_BIND_UDP);
	emit_scalar(e, p, KF_SCALAR_SIGNAL, "isolated", scope_signal);
	emit_scalar(e, p, KF_SCALAR_SIGNAL, "allow_same_sandbox", scope_signal);
	emit_scalar(e, p, KF_SCALAR_IPC, "shared_memory_only",
		    (struct kf_rule){.kind = KF_RULE_SCOPE, .verb = "abstract"});
	emit_scalar(e, p, KF_SCALAR_MEMFD_EXEC, "false",
		    (struct kf_rule){.kind = KF_RULE_MEMFD_NOEXEC});
	emit_scalar(e, p, KF_SCALAR_INNER, "true", (struct kf_rule){.kind = KF_RULE_INNER});
	emit_env(e, p);
	kf_profile_emit_egress(e->ctx, p, emit_egress, e);
	emit_rest(e, p);
}

/* Add the grant that "workdir" stands for. */
static void grant_workdir(struct kf_profile_ctx *ctx, struct kf_profile *p)
{
	static const struct {
		const char *word;
		unsigned access;
	} words[] = {{"read", KF_FS_READ | KF_FS_EXEC},
		     {"write", KF_FS_WRITE},
		     {"readwrite", KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC}};
	struct kf_item item = {.s = "$WORKDIR", .at = p->scalars[KF_SCALAR_WORKDIR].at};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!kf_profile_is(p, KF_SCALAR_WORKDIR, words[i].word))
			continue;
		item.access = words[i].access;
		kf_profile_put(ctx, p, KF_LIST_GRANT, &item);
	}
	p->scalars[KF_SCALAR_WORKDIR].s = NULL;
}

/* Unite ranges that overlap.  Neighbouring ranges were written apart and stay apart. */
static void unite_ranges(struct kf_items *ports)
{
	size_t n = 0;

	for (size_t i = 0; i < ports->n; i++) {
		struct kf_item *last = n ? &ports->v[n - 1] : NULL;

		if (!last || ports->v[i].u > last->u2)
			ports->v[n++] = ports->v[i];
		else if (ports->v[i].u2 > last->u2)
			last->u2 = ports->v[i].u2;
	}
	ports->n = n;
}

static int to_text(struct kf_profile_ctx *ctx, struct kf_compiled *c, struct kf_err *err)
{
	struct kf_buf text = KF_BUF_INIT(KF_LIMIT_POLICY_TEXT);
	struct kf_policy parsed;
	char *copy;

	kf_policy_format(c->name, c->rules, c->nrules, &text);
	if (text.failed) {
		kf_buf_done(&text);
		kf_diag_error(
			ctx->diags, &(struct kf_origin){.file = c->file},
			"compiles to more than %d bytes; grant directories rather than what is in "
			"them",
			KF_LIMIT_POLICY_TEXT);
		return kf_fail(err, EFBIG, "%s: compiles to more than %d bytes", c->file,
			       KF_LIMIT_POLICY_TEXT);
	}
	/* Parse the text as the launcher does: what it would refuse is an error here. */
	if (kf_policy_parse(text.p, text.n, &parsed, err) < 0) {
		kf_diag_error(ctx->diags, &(struct kf_origin){.file = c->file},
			      "cannot be expressed: %s", err->msg);
		kf_buf_done(&text);
		return -1;
	}
	kf_policy_done(&parsed);
	c->n = text.n;
	copy = kf_arena_alloc(ctx->arena, text.n + 1);
	if (copy)
		memcpy(copy, text.p, text.n);
	kf_buf_done(&text);
	c->text = copy;
	return copy ? 0 : kf_fail_nomem(err, "profile");
}

static int report_failure(struct kf_diags *diags, const char *name, struct kf_err *err)
{
	kf_diags_sort(diags);
	if (diags->nomem)
		return kf_fail_nomem(err, "profile");
	for (size_t i = 0; i < diags->n; i++) {
		const struct kf_diag *d = &diags->v[i];

		if (!d->warning)
			return kf_fail(err, EINVAL, "%s:%u:%u: %s", d->at.file, d->at.line,
				       d->at.column, d->msg);
	}
	return kf_fail(err, EINVAL, "%s: too many problems", name);
}

static size_t count_lines(const char *lines)
{
	size_t n = 0;

	for (; lines && *lines; lines++)
		n += *lines == '\n';
	return lines ? n + 1 : 0;
}

int kf_profile_compile(const struct kf_profile_library *library, const char *name,
		       struct kf_arena *arena, struct kf_diags *diags, struct kf_compiled *ret,
		       struct kf_err *err)
{
	struct kf_profile_ctx ctx = {.library = library, .arena = arena, .diags = diags};
	struct emitter e = {.ctx = &ctx, .cap = 16};
	struct kf_compiled c = {0};

	if (!kf_profile_name_valid(name)) {
		kf_diag_error(diags, &(struct kf_origin){.file = name},
			      "not a profile name: letters, digits, '_' and '-', at most %d",
			      KF_LIMIT_PROFILE_NAME);
		return report_failure(diags, name, err);
	}
	if (kf_profile_resolve(&ctx, name, &c) < 0)
		return report_failure(diags, name, err);
	grant_workdir(&ctx, &c.profile);
	kf_profile_check(&ctx, &c.profile);
	for (unsigned l = 0; l < KF_NLISTS; l++) {
		if (l != KF_LIST_RECIPE)
			c.profile.lists[l] = canonical_list(&ctx, &c.profile.lists[l]);
		if (l >= KF_LIST_CONNECT && l <= KF_LIST_BIND_UDP)
			unite_ranges(&c.profile.lists[l]);
		/* A host or credential becomes several lines. */
		for (size_t i = 0; i < c.profile.lists[l].n; i++)
			e.cap += 1 + count_lines(c.profile.lists[l].v[i].lines);
	}
	e.rules = kf_arena_calloc(arena, e.cap, sizeof(*e.rules));
	e.origins = kf_arena_calloc(arena, e.cap, sizeof(*e.origins));
	if (!e.rules || !e.origins)
		diags->nomem = true;
	if (diags->nerrors || diags->nomem)
		return report_failure(diags, name, err);
	emit_all(&e, &c.profile);
	c.rules = e.rules;
	c.origins = e.origins;
	c.nrules = e.n;
	if (diags->nomem || diags->nerrors)
		return report_failure(diags, name, err);
	if (to_text(&ctx, &c, err) < 0)
		return -1;
	kf_diags_sort(diags);
	*ret = c;
	return 0;
}

bool kf_profile_file_name(const char *file, char *ret_name, size_t size)
{
	static const char *const endings[] = {".json", ".jsonc"};
	size_t n = strlen(file);

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t end = strlen(endings[i]);
		char name[KF_LIMIT_PROFILE_NAME + 1];

		if (n <= end || n - end > KF_LIMIT_PROFILE_NAME || n - end >= size ||
		    strcmp(file + n - end, endings[i]) != 0)
			continue;
		memcpy(name, file, n - end);
		name[n - end] = '\0';
		if (!kf_profile_name_valid(name))
			return false;
		memcpy(ret_name, name, n - end + 1);
		return true;
	}
	return false;
}
