/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts and credentials: from a profile's JSON to lines of the egress broker's rules
 * (egress/rules.h), which the flat text carries.  Each entry is checked by the broker's own
 * parser, so that what it would refuse is a mistake of the profile's with its place. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "egress/rules.h"
#include "flat/flat.h"
#include "profile/internal.h"
#include "profile/keys.h"

#include <ctype.h>
#include <string.h>

/* What one entry of a profile becomes: lines, and the JSON to show. */
struct entry_text {
	struct kf_profile_ctx *ctx;
	const struct kf_profile_key *key;
	struct kf_buf lines, json;
	bool ok;
};

#define ENTRY_MAX 4096 /* a line of rules, some variables, some prefixes */

static void entry_done(struct entry_text *t)
{
	kf_buf_done(&t->lines);
	kf_buf_done(&t->json);
}

static void entry_error(struct entry_text *t, const struct kf_jsonc *v, const char *what)
{
	kf_diag_error(t->ctx->diags, &v->at, "%s: \"%.40s\" %s", t->key->name, v->key, what);
	t->ok = false;
}

static void show_member(struct entry_text *t, const char *key)
{
	kf_buf_addf(&t->json, ", \"%s\": ", key);
}

static void show_string(struct entry_text *t, const char *s)
{
	kf_buf_adds(&t->json, "\"");
	kf_buf_add_json(&t->json, s);
	kf_buf_adds(&t->json, "\"");
}

/* One word of a line, or with @spaces several. */
static bool is_words(const char *s, bool spaces)
{
	if (!*s || *s == ' ' || s[strlen(s) - 1] == ' ')
		return false;
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f || (*s == ' ' && !spaces))
			return false;
	return true;
}

/* Add a line "@word VALUE" for each string of @v, a string or a list of them. */
static void add_strings(struct entry_text *t, const struct kf_jsonc *v, const char *word,
			bool spaces)
{
	const bool list = v->kind == KF_JSONC_ARRAY;

	show_member(t, v->key);
	kf_buf_adds(&t->json, list ? "[" : "");
	for (const struct kf_jsonc *e = list ? v->child : v; e; e = list ? e->next : NULL) {
		if (e->kind != KF_JSONC_STRING || !is_words(e->s, spaces)) {
			entry_error(t, v,
				    spaces ? "is a list of strings such as \"GET,HEAD /path\""
					   : "is a word or a list of words");
			return;
		}
		kf_buf_addf(&t->lines, "%s %s\n", word, e->s);
		kf_buf_adds(&t->json, list && e != v->child ? ", " : "");
		show_string(t, e->s);
	}
	kf_buf_adds(&t->json, list ? "]" : "");
}

static bool is_port(const struct kf_jsonc *v)
{
	return v->kind == KF_JSONC_NUMBER && v->is_uint && v->u >= 1 && v->u <= UINT16_MAX;
}

/* "80,8000-8010" */
static void add_host_ports(struct entry_text *t, const struct kf_jsonc *v)
{
	show_member(t, v->key);
	kf_buf_adds(&t->json, "[");
	if (v->kind != KF_JSONC_ARRAY || !v->child) {
		entry_error(t, v,
			    "is a list of ports or [first, last], such as [443, [8000, 8010]]");
		return;
	}
	for (const struct kf_jsonc *e = v->child; e; e = e->next) {
		const char *comma = e == v->child ? "" : ",";
		const struct kf_jsonc *first = e, *last = e;

		if (e->kind == KF_JSONC_ARRAY && e->nchildren == 2) {
			first = e->child;
			last = e->last;
		}
		if (!is_port(first) || !is_port(last) || first->u > last->u) {
			entry_error(t, v, "has neither a port from 1 to 65535 nor [first, last]");
			return;
		}
		kf_buf_addf(&t->lines, "%s%u", comma, (unsigned)first->u);
		kf_buf_addf(&t->json, first == last ? "%s%s%u" : "%s%s[%u", comma,
			    *comma ? " " : "", (unsigned)first->u);
		if (first == last)
			continue;
		if (first->u < last->u)
			kf_buf_addf(&t->lines, "-%u", (unsigned)last->u);
		kf_buf_addf(&t->json, ", %u]", (unsigned)last->u);
	}
	kf_buf_adds(&t->json, "]");
}

/* Have the broker's parser read @lines. */
static bool check_lines(struct kf_profile_ctx *ctx, const struct kf_origin *at, const char *lines)
{
	struct kf_buf text = KF_BUF_INIT(KF_LIMIT_EGRESS_RULES);
	struct kf_egress_rules rules;
	struct kf_err err;
	bool ok;

	kf_buf_addf(&text, KF_EGRESS_HEADER "name x\n%s", lines);
	kf_egress_rules_seal(&text);
	ok = !text.failed && kf_egress_rules_parse(text.p, text.n, &rules, &err) == 0;
	if (ok)
		kf_egress_rules_done(&rules);
	else if (text.failed)
		ctx->diags->nomem = true;
	else
		kf_diag_error(ctx->diags, at, "%s",
			      strncmp(err.msg, "egress rules: line ", 19) == 0
				      ? strchr(err.msg + 19, ' ') + 1
				      : err.msg);
	kf_buf_done(&text);
	return ok;
}

static const char *entry_string(struct kf_profile_ctx *ctx, const struct kf_buf *text)
{
	const char *s = text->failed ? NULL : kf_arena_strdup(ctx->arena, text->n ? text->p : "");

	if (!s)
		ctx->diags->nomem = true;
	return s ? s : "";
}

void kf_profile_read_host(struct kf_profile_ctx *ctx, const struct kf_profile_key *key,
			  const struct kf_jsonc *v, struct kf_item *item)
{
	struct entry_text t = {.ctx = ctx,
			       .key = key,
			       .lines = KF_BUF_INIT(ENTRY_MAX),
			       .json = KF_BUF_INIT(ENTRY_MAX),
			       .ok = true};
	const struct kf_jsonc *ports = NULL, *allow = NULL;

	for (const struct kf_jsonc *m = v->child; m; m = m->next) {
		if (m->kind == KF_JSONC_NULL)
			continue;
		if (strcmp(m->key, "ports") == 0)
			ports = m;
		else if (strcmp(m->key, "allow") == 0)
			allow = m;
	}
	if (ports)
		add_host_ports(&t, ports);
	kf_buf_adds(&t.lines, "\n");
	if (allow && t.ok)
		add_strings(&t, allow, "allow", true);
	if (t.ok && (ports || allow)) {
		item->lines = entry_string(ctx, &t.lines);
		item->value = entry_string(ctx, &t.json);
	}
	entry_done(&t);
}

/* The members of a credential, by what they are needed for. */
enum {
	ROUTE,
	UPSTREAM,
	SECRET,
	KEY,
	HEADER,
	FORM,
	USER,
	WORDS,
	ENV = WORDS,
	PLACEHOLDER,
	ALLOW,
	MEMBERS
};
static const char *const members[MEMBERS + 1] = {
	[ROUTE] = "route", [UPSTREAM] = "upstream", [SECRET] = "secret",
	[KEY] = "key",	   [HEADER] = "header",	    [FORM] = "form",
	[USER] = "user",   [ENV] = "env",	    [PLACEHOLDER] = "placeholder",
	[ALLOW] = "allow",
};

static bool take_members(struct entry_text *t, const struct kf_jsonc *v,
			 const struct kf_jsonc *ret[static MEMBERS])
{
	for (const struct kf_jsonc *m = v->child; m; m = m->next) {
		size_t i = 0;

		while (i < MEMBERS && strcmp(m->key, members[i]) != 0)
			i++;
		if (i == MEMBERS) {
			kf_diag_error(t->ctx->diags, &m->key_at,
				      "unknown key '%.80s' in an entry of %s%s", m->key,
				      t->key->name,
				      kf_profile_did_you_mean(t->ctx, m->key, members));
			t->ok = false;
		} else if (m->kind != KF_JSONC_NULL) {
			if (i < WORDS && (m->kind != KF_JSONC_STRING || !is_words(m->s, false)))
				entry_error(t, m, "is a string without spaces");
			ret[i] = m;
		}
	}
	for (size_t i = ROUTE; t->ok && i <= KEY; i++) {
		if (ret[i])
			continue;
		kf_diag_error(t->ctx->diags, &v->at, "an entry of %s needs \"%s\"", t->key->name,
			      members[i]);
		t->ok = false;
	}
	return t->ok;
}

static void credential_lines(struct entry_text *t, const struct kf_jsonc *const m[static MEMBERS])
{
	const char *header = m[HEADER] ? m[HEADER]->s : "authorization";
	const char *form = m[FORM]     ? m[FORM]->s
			   : m[HEADER] ? "plain"
			   : m[USER]   ? "basic"
				       : "bearer";

	kf_buf_addf(&t->lines, "route %s %s\n", m[ROUTE]->s, m[UPSTREAM]->s);
	/* The Secret's name is replaced by its number when all of them are known. */
	kf_buf_addf(&t->lines, "credential %s %s %s %s%s%s\n", m[SECRET]->s, m[KEY]->s, header,
		    form, m[USER] ? " " : "", m[USER] ? m[USER]->s : "");
	for (size_t i = UPSTREAM; i < WORDS; i++) {
		if (!m[i])
			continue;
		show_member(t, members[i]);
		show_string(t, m[i]->s);
	}
	if (m[ENV])
		add_strings(t, m[ENV], "env", false);
	if (m[PLACEHOLDER])
		add_strings(t, m[PLACEHOLDER], "placeholder", false);
	if (m[ALLOW])
		add_strings(t, m[ALLOW], "allow", true);
}

/* The lines of a credential with @name, a Secret's, replaced by its number. */
static const char *number_secret(struct kf_profile_ctx *ctx, const char *lines, const char *name,
				 unsigned number)
{
	const char *at = strstr(lines, "\ncredential ") + 12;
	const char *s = kf_arena_printf(ctx->arena, "%.*s%u%s", (int)(at - lines), lines, number,
					at + strlen(name));

	if (!s)
		ctx->diags->nomem = true;
	return s ? s : "";
}

/* The name of the Secret in lines that are not numbered. */
static const char *secret_of(struct kf_profile_ctx *ctx, const char *lines)
{
	const char *at = strstr(lines, "\ncredential ") + 12;
	const char *s = kf_arena_printf(ctx->arena, "%.*s", (int)strcspn(at, " "), at);

	if (!s)
		ctx->diags->nomem = true;
	return s ? s : "";
}

static bool check_credential(struct entry_text *t, const struct kf_jsonc *v, const char *lines)
{
	const char *secret = secret_of(t->ctx, lines);
	const char *numbered = kf_arena_printf(t->ctx->arena, "secret %s\n%s", secret,
					       number_secret(t->ctx, lines, secret, 0));

	return numbered && check_lines(t->ctx, &v->at, numbered);
}

bool kf_profile_read_credential(struct kf_profile_ctx *ctx, const struct kf_profile_key *key,
				const struct kf_jsonc *v, struct kf_item *item)
{
	const struct kf_jsonc *found[MEMBERS] = {0};
	struct entry_text t = {.ctx = ctx,
			       .key = key,
			       .lines = KF_BUF_INIT(ENTRY_MAX),
			       .json = KF_BUF_INIT(ENTRY_MAX),
			       .ok = true};

	if (take_members(&t, v, found)) {
		credential_lines(&t, found);
		item->s = found[ROUTE]->s;
		item->lines = entry_string(ctx, &t.lines);
		item->value = entry_string(ctx, &t.json);
		t.ok = t.ok && !ctx->diags->nomem && check_credential(&t, v, item->lines);
	}
	entry_done(&t);
	return t.ok;
}

/* ---- the rules of a whole profile ---- */

struct rules_writer {
	struct kf_profile_ctx *ctx;
	void (*emit)(void *to, const struct kf_origin *at, const char *line);
	void *to;
	bool elsewhere; /* the cluster does it where no broker does */
	const char *secrets[KF_LIMIT_EGRESS_DIRS];
	unsigned nsecrets;
};

/* Emit @lines one by one. */
static void emit_lines(struct rules_writer *w, const struct kf_origin *at, const char *lines)
{
	while (*lines) {
		size_t n = strcspn(lines, "\n");
		const char *line = kf_arena_printf(w->ctx->arena, "%.*s", (int)n, lines);

		if (!line)
			w->ctx->diags->nomem = true;
		else
			w->emit(w->to, at, line);
		lines += n + (lines[n] == '\n');
	}
}

/* The ports of hosts that name none: those that connections may go to, else HTTPS. */
static const char *default_ports(struct kf_profile_ctx *ctx, const struct kf_profile *p)
{
	const struct kf_items *ports = &p->lists[KF_LIST_CONNECT];
	const char *s = ports->n ? "" : "443";

	for (size_t i = 0; s && i < ports->n; i++) {
		const unsigned first = (unsigned)ports->v[i].u, last = (unsigned)ports->v[i].u2;

		s = first == last ? kf_arena_printf(ctx->arena, "%s%s%u", s, i ? "," : "", first)
				  : kf_arena_printf(ctx->arena, "%s%s%u-%u", s, i ? "," : "", first,
						    last);
	}
	if (!s)
		ctx->diags->nomem = true;
	return s ? s : "443";
}

/* @name in lower case, as names are compared. */
static const char *lower_name(struct kf_profile_ctx *ctx, const char *name)
{
	char *s = kf_arena_strdup(ctx->arena, name);

	if (!s)
		ctx->diags->nomem = true;
	for (char *c = s; c && *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return s ? s : name;
}

/* Whether the broker can match hosts by @name; a cluster's policies know more. */
static bool is_pattern(const char *name)
{
	return !strchr(strncmp(name, "*.", 2) == 0 ? name + 2 : name, '*');
}

static void emit_host(struct rules_writer *w, const struct kf_item *item, const char *ports)
{
	const char *lines = item->lines ? item->lines : "\n";
	const char *text =
		kf_arena_printf(w->ctx->arena, "host %s %s%s", lower_name(w->ctx, item->s),
				*lines == '\n' ? ports : "", lines);

	if (!text)
		w->ctx->diags->nomem = true;
	else if (w->elsewhere && !is_pattern(item->s))
		kf_diag_warning(w->ctx->diags, kf_profile_blame(w->ctx, &item->at),
				"'%.120s': the egress broker knows '*' only at the start; where it "
				"is on, this host cannot be reached",
				item->s);
	else if (check_lines(w->ctx, kf_profile_blame(w->ctx, &item->at), text))
		emit_lines(w, &item->at, text);
}

static void emit_words(struct rules_writer *w, const struct kf_items *items, const char *word)
{
	for (size_t i = 0; i < items->n; i++) {
		const struct kf_item *item = &items->v[i];
		const char *text = kf_arena_printf(w->ctx->arena, "%s %s\n", word,
						   lower_name(w->ctx, item->s));

		if (!text)
			w->ctx->diags->nomem = true;
		else if (check_lines(w->ctx, kf_profile_blame(w->ctx, &item->at), text))
			emit_lines(w, &item->at, text);
	}
}

static void emit_secret(struct rules_writer *w, const struct kf_item *item)
{
	const char *name = secret_of(w->ctx, item->lines), *line;

	for (unsigned i = 0; i < w->nsecrets; i++)
		if (strcmp(w->secrets[i], name) == 0)
			return;
	if (w->nsecrets == KF_LIMIT_EGRESS_DIRS) {
		kf_diag_error(w->ctx->diags, &item->at, "more than %d Secrets; put keys into one",
			      KF_LIMIT_EGRESS_DIRS);
		return;
	}
	w->secrets[w->nsecrets++] = name;
	line = kf_arena_printf(w->ctx->arena, "secret %s", name);
	if (!line)
		w->ctx->diags->nomem = true;
	else
		w->emit(w->to, &item->at, line);
}

static void emit_route(struct rules_writer *w, const struct kf_item *item)
{
	const char *name = secret_of(w->ctx, item->lines);

	for (unsigned i = 0; i < w->nsecrets; i++)
		if (strcmp(w->secrets[i], name) == 0)
			emit_lines(w, &item->at, number_secret(w->ctx, item->lines, name, i));
}

bool kf_profile_has_egress(const struct kf_profile *p)
{
	return (p->lists[KF_LIST_DOMAIN].n || p->lists[KF_LIST_CREDENTIAL].n) &&
	       (!kf_profile_is(p, KF_SCALAR_BLOCK, "true") || p->lists[KF_LIST_CONNECT].n);
}

void kf_profile_emit_egress(struct kf_profile_ctx *ctx, const struct kf_profile *p,
			    void (*emit)(void *to, const struct kf_origin *at, const char *line),
			    void *to)
{
	struct rules_writer w = {.ctx = ctx, .emit = emit, .to = to};
	const struct kf_items *hosts = &p->lists[KF_LIST_DOMAIN];
	const struct kf_items *credentials = &p->lists[KF_LIST_CREDENTIAL];
	const struct kf_scalar *ask = &p->scalars[KF_SCALAR_ASK];
	const struct kf_scalar *by = &p->scalars[KF_SCALAR_DOMAINS_BY];
	const char *ports, *line;

	if (!kf_profile_has_egress(p))
		return;
	ports = default_ports(ctx, p);
	/* No cluster denies single names or adds keys. */
	w.elsewhere = by->s && !credentials->n && !p->lists[KF_LIST_DENY_DOMAIN].n;
	if (w.elsewhere)
		emit(to, &by->at, KF_EGRESS_ELSEWHERE);
	line = ask->s ? kf_arena_printf(ctx->arena, "ask %s", ask->s) : NULL;
	if (line)
		emit(to, &ask->at, line);
	for (size_t i = 0; i < hosts->n; i++)
		emit_host(&w, &hosts->v[i], ports);
	emit_words(&w, &p->lists[KF_LIST_DENY_DOMAIN], "deny");
	emit_words(&w, &p->lists[KF_LIST_RANGE], "grant");
	for (size_t i = 0; i < credentials->n; i++)
		emit_secret(&w, &credentials->v[i]);
	for (size_t i = 0; i < credentials->n; i++)
		emit_route(&w, &credentials->v[i]);
}
