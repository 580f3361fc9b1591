/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: from one file's JSON to typed values, by the table of keys (keys.c).  Bases and groups
 * are added in resolve.c, checks of the whole profile are in check.c. */
#include "base/cleanup.h"
#include "profile/internal.h"
#include "profile/keys.h"

#include <string.h>

struct profile_reader {
	struct kf_profile_ctx *ctx;
	struct kf_profile *profile;
	struct kf_items *extends; /* NULL in groups and overrides, which have no bases */
	struct kf_profile *over;  /* likewise */
	const char *group;
};

static struct kf_origin origin_of(const struct profile_reader *r, const struct kf_jsonc *v)
{
	struct kf_origin at = v->at;

	at.group = r->group;
	return at;
}

static const char *join_names(struct profile_reader *r, const char *const *names)
{
	const char *s = "";

	for (; *names && s; names++)
		s = kf_arena_printf(r->ctx->arena, "%s%s%s", s, *s ? ", " : "", *names);
	return s ? s : "";
}

static bool check_kind(struct profile_reader *r, const struct kf_profile_key *key,
		       const struct kf_jsonc *v, enum kf_jsonc_kind kind)
{
	if (v->kind == kind)
		return true;
	kf_diag_error(r->ctx->diags, &v->at, "%s must be %s, not %s", key->name,
		      kf_jsonc_kind_name(kind), kf_jsonc_kind_name(v->kind));
	return false;
}

static void put_item(struct profile_reader *r, enum kf_list list, struct kf_item item,
		     const struct kf_jsonc *v)
{
	item.at = origin_of(r, v);
	kf_profile_put(r->ctx, r->profile, list, &item);
}

static void set_scalar(struct profile_reader *r, enum kf_scalar_id id, const char *s,
		       const struct kf_jsonc *v)
{
	r->profile->scalars[id] = (struct kf_scalar){.s = s, .at = origin_of(r, v)};
}

/* Whether @v is one line of text that the flat text can hold and a terminal can show. */
static bool one_line(struct profile_reader *r, const struct kf_profile_key *key,
		     const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_STRING))
		return false;
	for (const char *p = v->s; *p; p++) {
		if ((unsigned char)*p >= 0x20 && *p != 0x7F)
			continue;
		kf_diag_error(r->ctx->diags, &v->at,
			      "%s: line breaks and control characters cannot be expressed%s",
			      key->name,
			      key->kind == KF_KEY_TEXTS ? "; write a list of lines" : "");
		return false;
	}
	return true;
}

/* Read a list's entry: a string, or {FIELD: string, "when": predicate}. NULL if it is neither
 * (reported) or does not apply on this platform. */
static const struct kf_jsonc *read_entry(struct profile_reader *r, const struct kf_profile_key *key,
					 const struct kf_jsonc *v, const char *field)
{
	const struct kf_jsonc *value = NULL, *when = NULL;
	bool ok = true;

	if (v->kind == KF_JSONC_STRING)
		return v;
	if (v->kind != KF_JSONC_OBJECT) {
		kf_diag_error(r->ctx->diags, &v->at,
			      "an entry of %s is a string or {\"%s\": ..., \"when\": ...}, not %s",
			      key->name, field, kf_jsonc_kind_name(v->kind));
		return NULL;
	}
	for (const struct kf_jsonc *m = v->child; m; m = m->next) {
		const char *names[] = {field, "when", NULL};

		if (strcmp(m->key, field) == 0) {
			value = m;
		} else if (strcmp(m->key, "when") == 0) {
			when = m->kind == KF_JSONC_NULL ? NULL : m;
		} else if (key->kind == KF_KEY_DOMAINS && strcmp(m->key, "endpoints") == 0) {
			kf_diag_error(
				r->ctx->diags, &m->key_at,
				"%s: methods and paths show only where nothing is encrypted: "
				"write \"ports\": [80] and \"allow\": [\"GET,HEAD /path\"], or "
				"the host alone",
				key->name);
			ok = false;
		} else if (key->list == KF_LIST_DOMAIN && key->kind == KF_KEY_DOMAINS &&
			   (strcmp(m->key, "ports") == 0 || strcmp(m->key, "allow") == 0)) {
			continue; /* egress.c */
		} else if (key->kind != KF_KEY_GRANTS || strcmp(m->key, "access") != 0) {
			kf_diag_error(r->ctx->diags, &m->key_at,
				      "unknown key '%.80s' in an entry of %s%s", m->key, key->name,
				      kf_profile_did_you_mean(r->ctx, m->key, names));
			ok = false;
		}
	}
	if (!value) {
		kf_diag_error(r->ctx->diags, &v->at, "an entry of %s needs \"%s\"", key->name,
			      field);
		return NULL;
	}
	if (!check_kind(r, key, value, KF_JSONC_STRING) || !ok)
		return NULL;
	return when && !kf_profile_when(r->ctx, when) ? NULL : value;
}

static void read_extends(struct profile_reader *r, const struct kf_profile_key *key,
			 const struct kf_jsonc *v)
{
	if (!r->extends) {
		kf_diag_error(r->ctx->diags, &v->key_at,
			      "extends cannot stand in platform_overrides");
		return;
	}
	if (v->kind == KF_JSONC_STRING) {
		kf_profile_add(r->ctx, r->extends, &(struct kf_item){.s = v->s, .at = v->at});
		return;
	}
	if (v->kind != KF_JSONC_ARRAY || !v->child) {
		kf_diag_error(r->ctx->diags, &v->at,
			      "extends is the name of a profile or a list of at least one");
		return;
	}
	for (const struct kf_jsonc *e = v->child; e; e = e->next)
		if (check_kind(r, key, e, KF_JSONC_STRING))
			kf_profile_add(r->ctx, r->extends,
				       &(struct kf_item){.s = e->s, .at = e->at});
}

static void read_string(struct profile_reader *r, const struct kf_profile_key *key,
			const struct kf_jsonc *v)
{
	if (v->kind == KF_JSONC_NULL) /* null gets here only for keys that it clears */
		set_scalar(r, key->scalar, "", v);
	else if (one_line(r, key, v))
		set_scalar(r, key->scalar, v->s, v);
}

static void read_texts(struct profile_reader *r, const struct kf_profile_key *key,
		       const struct kf_jsonc *v)
{
	const struct kf_jsonc *e = v;

	if (v->kind == KF_JSONC_ARRAY)
		e = v->child;
	for (; e; e = v->kind == KF_JSONC_ARRAY ? e->next : NULL)
		if (one_line(r, key, e))
			put_item(r, key->list, (struct kf_item){.s = e->s}, e);
}

static void read_bool(struct profile_reader *r, const struct kf_profile_key *key,
		      const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_BOOL))
		return;
	set_scalar(r, key->scalar, v->b ? "true" : "false", v);
}

static void read_enum(struct profile_reader *r, const struct kf_profile_key *key,
		      const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_STRING))
		return;
	for (const char *const *value = key->values; *value; value++) {
		if (strcmp(*value, v->s) == 0) {
			set_scalar(r, key->scalar, *value, v);
			return;
		}
	}
	kf_diag_error(r->ctx->diags, &v->at, "%s '%.80s' is not one of: %s%s", key->name, v->s,
		      join_names(r, key->values),
		      kf_profile_did_you_mean(r->ctx, v->s, key->values));
}

static void read_names(struct profile_reader *r, const struct kf_profile_key *key,
		       const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_ARRAY))
		return;
	for (const struct kf_jsonc *e = v->child; e; e = e->next) {
		const struct kf_jsonc *name = read_entry(r, key, e, "name");

		if (name)
			put_item(r, key->list, (struct kf_item){.s = name->s}, name);
	}
}

static void read_paths(struct profile_reader *r, const struct kf_profile_key *key,
		       const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_ARRAY))
		return;
	for (const struct kf_jsonc *e = v->child; e; e = e->next) {
		const struct kf_jsonc *raw = read_entry(r, key, e, "path");
		const struct kf_origin at = raw ? origin_of(r, raw) : v->at;
		const char *path = raw ? kf_profile_path(r->ctx, &at, raw->s) : NULL;

		unsigned access = key->access;

		if (!path)
			continue;
		if ((key->list == KF_LIST_READONLY || key->list == KF_LIST_DENY) &&
		    raw->s[strlen(raw->s) - 1] == '/')
			access = KF_READONLY_DIRECTORY;
		put_item(r, key->list, (struct kf_item){.s = path, .access = access}, raw);
	}
}

/* Creating a socket needs the right to make one in its directory. */
static void read_socket(struct profile_reader *r, const struct kf_profile_key *key,
			const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_ARRAY))
		return;
	for (const struct kf_jsonc *e = v->child; e; e = e->next) {
		const struct kf_jsonc *raw = read_entry(r, key, e, "path");
		const char *path = raw ? kf_profile_path(r->ctx, &raw->at, raw->s) : NULL;
		const char *slash = path ? strrchr(path, '/') : NULL;

		if (!path)
			continue;
		if (!slash || slash == path) {
			kf_diag_error(r->ctx->diags, &raw->at,
				      "socket '%.200s': its directory cannot be granted as a whole",
				      raw->s);
			continue;
		}
		char *dir = kf_arena_strdup(r->ctx->arena, path);

		if (!dir)
			continue;
		dir[slash - path] = '\0';
		kf_diag_warning(r->ctx->diags, &raw->at,
				"socket '%.200s': its whole directory '%.200s' becomes writable",
				raw->s, dir);
		put_item(r, key->list, (struct kf_item){.s = dir, .access = key->access}, raw);
	}
}

static void read_grants(struct profile_reader *r, const struct kf_profile_key *key,
			const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_ARRAY))
		return;
	for (const struct kf_jsonc *e = v->child; e; e = e->next) {
		const struct kf_jsonc *raw, *access = NULL;
		const char *path;

		if (e->kind != KF_JSONC_OBJECT) {
			kf_diag_error(r->ctx->diags, &e->at,
				      "an entry of %s is {\"path\": ..., \"access\": ...}, not %s",
				      key->name, kf_jsonc_kind_name(e->kind));
			continue;
		}
		for (const struct kf_jsonc *m = e->child; m; m = m->next)
			if (strcmp(m->key, "access") == 0)
				access = m;
		raw = read_entry(r, key, e, "path");
		if (!access || access->kind != KF_JSONC_STRING || !kf_profile_access(access->s)) {
			kf_diag_error(r->ctx->diags, access ? &access->at : &e->at,
				      "an entry of %s needs \"access\", one of: %s", key->name,
				      join_names(r, kf_profile_accesses));
			continue;
		}
		path = raw ? kf_profile_path(r->ctx, &raw->at, raw->s) : NULL;
		if (path)
			put_item(r, key->list,
				 (struct kf_item){.s = path,
						  .access = kf_profile_access(access->s)},
				 raw);
	}
}

static void put_ports(struct profile_reader *r, const struct kf_profile_key *key, uint64_t first,
		      uint64_t last, const struct kf_jsonc *v)
{
	const struct kf_item item = {.u = first, .u2 = last};

	for (unsigned list = KF_LIST_CONNECT; list <= KF_LIST_BIND_UDP; list++)
		if (key->access & 1u << (list - KF_LIST_CONNECT))
			put_item(r, list, item, v);
}

static void read_ports(struct profile_reader *r, const struct kf_profile_key *key,
		       const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_ARRAY))
		return;
	for (const struct kf_jsonc *e = v->child; e; e = e->next) {
		if (e->kind != KF_JSONC_NUMBER || !e->is_uint || e->u < 1 || e->u > 65535) {
			kf_diag_error(r->ctx->diags, &e->at,
				      "%s: a port is a number from 1 to 65535", key->name);
			continue;
		}
		put_ports(r, key, e->u, e->u, e);
	}
}

static bool is_port(const struct kf_jsonc *v)
{
	return v->kind == KF_JSONC_NUMBER && v->is_uint && v->u >= 1 && v->u <= 65535;
}

static void read_ranges(struct profile_reader *r, const struct kf_profile_key *key,
			const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_ARRAY))
		return;
	for (const struct kf_jsonc *e = v->child; e; e = e->next) {
		if (e->kind != KF_JSONC_ARRAY || e->nchildren != 2 || !is_port(e->child) ||
		    !is_port(e->last) || e->child->u > e->last->u)
			kf_diag_error(r->ctx->diags, &e->at,
				      "%s: a range is [first, last], two ports from 1 to 65535",
				      key->name);
		else
			put_ports(r, key, e->child->u, e->last->u, e);
	}
}

static bool valid_domain(const char *s)
{
	size_t label = 0;

	if (!*s || strlen(s) > 253)
		return false;
	for (; *s; s++) {
		/* "*" must be a whole label. */
		bool alnum = (*s == '*' && !label && (!s[1] || s[1] == '.')) ||
			     (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			     (*s >= '0' && *s <= '9');

		if (*s == '.') {
			if (!label || s[-1] == '-' || !s[1])
				return false;
			label = 0;
		} else if (++label > 63 || !(alnum || *s == '_' || (*s == '-' && label > 1))) {
			return false;
		}
	}
	return s[-1] != '-';
}

static void read_domains(struct profile_reader *r, const struct kf_profile_key *key,
			 const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_ARRAY))
		return;
	for (const struct kf_jsonc *e = v->child; e; e = e->next) {
		const struct kf_jsonc *name = read_entry(r, key, e, "domain");

		if (!name)
			continue;
		if (!valid_domain(name->s))
			kf_diag_error(r->ctx->diags, &name->at,
				      "%s '%.120s' is not a host name, with * for whole labels (no "
				      "scheme, port or path)",
				      key->name, name->s);
		else {
			struct kf_item item = {.s = name->s};

			if (e->kind == KF_JSONC_OBJECT)
				kf_profile_read_host(r->ctx, key, e, &item);
			put_item(r, key->list, item, name);
		}
	}
}

static void read_addresses(struct profile_reader *r, const struct kf_profile_key *key,
			   const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_ARRAY))
		return;
	for (const struct kf_jsonc *e = v->child; e; e = e->next)
		if (one_line(r, key, e))
			put_item(r, key->list, (struct kf_item){.s = e->s}, e);
}

static void read_credentials(struct profile_reader *r, const struct kf_profile_key *key,
			     const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_ARRAY))
		return;
	for (const struct kf_jsonc *e = v->child; e; e = e->next) {
		struct kf_item item = {0};

		if (check_kind(r, key, e, KF_JSONC_OBJECT) &&
		    kf_profile_read_credential(r->ctx, key, e, &item))
			put_item(r, key->list, item, e);
	}
}

static bool valid_variable(const char *s, bool pattern)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	size_t n = strspn(s, chars);

	if (*s >= '0' && *s <= '9')
		return false;
	while (pattern && s[n] == '*')
		n += 1 + strspn(s + n + 1, chars);
	return n > 0 && !s[n];
}

static void read_env_names(struct profile_reader *r, const struct kf_profile_key *key,
			   const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_ARRAY))
		return;
	if (key->list == KF_LIST_ENV_KEEP)
		set_scalar(r, KF_SCALAR_ENV_KEEP_SET, "true", v);
	for (const struct kf_jsonc *e = v->child; e; e = e->next) {
		if (!check_kind(r, key, e, KF_JSONC_STRING))
			continue;
		if (!valid_variable(e->s, true))
			kf_diag_error(
				r->ctx->diags, &e->at,
				"%s: '%.80s' is not a variable's name, with or without * in it",
				key->name, e->s);
		else
			put_item(r, key->list, (struct kf_item){.s = e->s}, e);
	}
}

/* Whether @s starts with "~" or with a variable that paths may start with. */
static bool starts_with_place(const char *s)
{
	return (*s == '~' && (!s[1] || s[1] == '/')) || kf_profile_path_variable(s);
}

/* Nono replaces variables in values.  So do we, if the value is a path that begins with one. */
static void read_env_value(struct profile_reader *r, const struct kf_profile_key *key,
			   const struct kf_jsonc *m)
{
	struct kf_item item = {.s = m->key, .value = m->s};

	if (starts_with_place(m->s)) {
		item.value = kf_profile_path(r->ctx, &m->at, m->s);
		item.access = KF_ENV_PATH;
	} else {
		for (const char *p = m->s; (p = strchr(p, '$')); p++) {
			if (!kf_profile_path_variable(p))
				continue;
			kf_diag_error(
				r->ctx->diags, &m->at,
				"%s: %s: a variable is replaced at the start of a value only, "
				"as in \"$HOME/x\"; set this one in the pod",
				key->name, m->key);
			return;
		}
	}
	if (item.value)
		put_item(r, key->list, item, m);
}

static void read_env_set(struct profile_reader *r, const struct kf_profile_key *key,
			 const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_OBJECT))
		return;
	for (const struct kf_jsonc *m = v->child; m; m = m->next) {
		if (m->kind == KF_JSONC_NULL || !one_line(r, key, m))
			continue;
		if (!valid_variable(m->key, false))
			kf_diag_error(r->ctx->diags, &m->key_at,
				      "%s: '%.80s' is not a variable's name", key->name, m->key);
		else if (strcmp(m->key, "PATH") == 0 || strncmp(m->key, "NONO_", 5) == 0)
			kf_diag_error(r->ctx->diags, &m->key_at,
				      "%s: %s is not a profile's to set; set it in the pod",
				      key->name, m->key);
		else if (*m->s && m->s[strlen(m->s) - 1] == ' ')
			kf_diag_error(r->ctx->diags, &m->at,
				      "%s: %s: a space at the end cannot be expressed", key->name,
				      m->key);
		else
			read_env_value(r, key, m);
	}
}

static bool read_limit(const struct kf_jsonc *v, uint64_t *ret)
{
	if (v->kind == KF_JSONC_STRING && strcmp(v->s, "unlimited") == 0)
		*ret = UINT64_MAX;
	else if (v->kind == KF_JSONC_NUMBER && v->is_uint && v->u < UINT64_MAX)
		*ret = v->u;
	else
		return false;
	return true;
}

static void read_rlimits(struct profile_reader *r, const struct kf_profile_key *key,
			 const struct kf_jsonc *v)
{
	const char *names[KF_POLICY_LIMITS + 1];

	if (!check_kind(r, key, v, KF_JSONC_OBJECT))
		return;
	for (const struct kf_jsonc *m = v->child; m; m = m->next) {
		const struct kf_jsonc *soft = m, *hard = m;
		struct kf_item item = {.s = m->key};

		if (m->kind == KF_JSONC_NULL)
			continue;
		if (!kf_policy_limit(m->key)) {
			kf_profile_rlimits(names);
			kf_diag_error(r->ctx->diags, &m->key_at,
				      "there is no limit '%.80s'%s; there are %s", m->key,
				      kf_profile_did_you_mean(r->ctx, m->key, names),
				      join_names(r, names));
			continue;
		}
		if (m->kind == KF_JSONC_ARRAY && m->nchildren == 2) {
			soft = m->child;
			hard = m->last;
		}
		if (!read_limit(soft, &item.u) || !read_limit(hard, &item.u2))
			kf_diag_error(r->ctx->diags, &m->at,
				      "limit '%s' is a number, \"unlimited\", or [soft, hard]",
				      m->key);
		else if (item.u > item.u2)
			kf_diag_error(r->ctx->diags, &m->at, "limit '%s': soft is above hard",
				      m->key);
		else
			put_item(r, key->list, item, m);
	}
}

static void read_hint(struct profile_reader *r, const struct kf_profile_key *key,
		      const struct kf_jsonc *v)
{
	static const char *const names[] = {"text", "unless", NULL};
	const struct kf_jsonc *text = NULL, *unless = NULL;
	const char *value;

	for (const struct kf_jsonc *m = v->child; m; m = m->next) {
		if (strcmp(m->key, "text") == 0)
			text = m;
		else if (strcmp(m->key, "unless") == 0)
			unless = m;
		else
			kf_diag_error(r->ctx->diags, &m->key_at, "unknown key '%.80s' in a hint%s",
				      m->key, kf_profile_did_you_mean(r->ctx, m->key, names));
	}
	if (unless && (!one_line(r, key, unless) || !*unless->s || strchr(unless->s, ' '))) {
		kf_diag_error(r->ctx->diags, &unless->at,
			      "\"unless\" is how an argument starts, without spaces");
		return;
	}
	if (!text || !one_line(r, key, text) || !*text->s || *text->s == ' ' ||
	    text->s[strlen(text->s) - 1] == ' ') {
		kf_diag_error(r->ctx->diags, &v->at,
			      "a hint needs \"text\", without space around it");
		return;
	}
	value = kf_arena_printf(r->ctx->arena, "%s %s", unless ? unless->s : KF_HINT_ALWAYS,
				text->s);
	if (value)
		put_item(r, key->list, (struct kf_item){.s = v->key, .value = value}, v);
}

static void read_hints(struct profile_reader *r, const struct kf_profile_key *key,
		       const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_OBJECT))
		return;
	for (const struct kf_jsonc *m = v->child; m; m = m->next) {
		if (!check_kind(r, key, m, KF_JSONC_OBJECT))
			continue;
		if (!*m->key || strpbrk(m->key, " /"))
			kf_diag_error(r->ctx->diags, &m->key_at,
				      "%s: '%.80s' is not a program's name (without directory)",
				      key->name, m->key);
		else
			read_hint(r, key, m);
	}
}

/* Whether @v means the same as a missing key. */
static bool says_nothing(const struct kf_jsonc *v)
{
	return v->kind == KF_JSONC_NULL || (v->kind == KF_JSONC_BOOL && !v->b) ||
	       ((v->kind == KF_JSONC_ARRAY || v->kind == KF_JSONC_OBJECT) && !v->child);
}

static void read_ignored(struct profile_reader *r, const struct kf_profile_key *key,
			 const struct kf_jsonc *v)
{
	if (!says_nothing(v))
		kf_diag_warning(r->ctx->diags, &v->key_at, "%s has no effect: %s", key->name,
				key->help);
}

static void read_refused(struct profile_reader *r, const struct kf_profile_key *key,
			 const struct kf_jsonc *v)
{
	if (says_nothing(v))
		return;
	if (key->values && v->kind == KF_JSONC_STRING)
		for (const char *const *value = key->values; *value; value++)
			if (strcmp(*value, v->s) == 0)
				return;
	kf_diag_error(r->ctx->diags, &v->key_at, "%s cannot be enforced: %s", key->name, key->help);
}

static void read_section(struct profile_reader *r, const struct kf_profile_key *key,
			 const struct kf_jsonc *v);
static void read_members(struct profile_reader *r, const char *section, const struct kf_jsonc *v);

static void read_overrides(struct profile_reader *r, const struct kf_profile_key *key,
			   const struct kf_jsonc *v)
{
	static const char *const systems[] = {"linux", "macos", "windows", NULL};

	if (!r->over) {
		kf_diag_error(r->ctx->diags, &v->key_at, "platform_overrides cannot be nested");
		return;
	}
	if (!check_kind(r, key, v, KF_JSONC_OBJECT))
		return;
	for (const struct kf_jsonc *m = v->child; m; m = m->next) {
		struct profile_reader own = {.ctx = r->ctx, .profile = r->over};
		size_t i = 0;

		while (systems[i] && strcmp(systems[i], m->key) != 0)
			i++;
		if (!systems[i])
			kf_diag_error(r->ctx->diags, &m->key_at, "unknown system '%.80s' in %s%s",
				      m->key, key->name,
				      kf_profile_did_you_mean(r->ctx, m->key, systems));
		else if (m->kind != KF_JSONC_NULL && check_kind(r, key, m, KF_JSONC_OBJECT) &&
			 i == 0)
			read_members(&own, "", m);
	}
}

static void read_nothing(struct profile_reader *r, const struct kf_profile_key *key,
			 const struct kf_jsonc *v)
{
	(void)check_kind(r, key, v, KF_JSONC_STRING);
}

static void (*const readers[])(struct profile_reader *r, const struct kf_profile_key *key,
			       const struct kf_jsonc *v) = {
	[KF_KEY_SECTION] = read_section,
	[KF_KEY_NOTHING] = read_nothing,
	[KF_KEY_IGNORED] = read_ignored,
	[KF_KEY_REFUSED] = read_refused,
	[KF_KEY_EXTENDS] = read_extends,
	[KF_KEY_STRING] = read_string,
	[KF_KEY_TEXTS] = read_texts,
	[KF_KEY_BOOL] = read_bool,
	[KF_KEY_ENUM] = read_enum,
	[KF_KEY_NAMES] = read_names,
	[KF_KEY_PATHS] = read_paths,
	[KF_KEY_SOCKET] = read_socket,
	[KF_KEY_GRANTS] = read_grants,
	[KF_KEY_PORTS] = read_ports,
	[KF_KEY_DOMAINS] = read_domains,
	[KF_KEY_ENV_NAMES] = read_env_names,
	[KF_KEY_ENV_SET] = read_env_set,
	[KF_KEY_RLIMITS] = read_rlimits,
	[KF_KEY_HINTS] = read_hints,
	[KF_KEY_RANGES] = read_ranges,
	[KF_KEY_OVERRIDES] = read_overrides,
	[KF_KEY_ADDRESSES] = read_addresses,
	[KF_KEY_CREDENTIALS] = read_credentials,
};

static void read_member(struct profile_reader *r, const char *section, const struct kf_jsonc *m)
{
	const struct kf_profile_key *key = kf_profile_key(section, m->key);
	const char *names[48];

	if (!key) {
		kf_profile_key_names(section, names, KF_ARRAY_SIZE(names) - 1);
		kf_diag_error(r->ctx->diags, &m->key_at, "unknown key '%s%s%.80s'%s", section,
			      *section ? "." : "", m->key,
			      kf_profile_did_you_mean(r->ctx, m->key, names));
		return;
	}
	/* Null means that the key is missing, except for the one key that null clears. */
	if (m->kind == KF_JSONC_NULL && strcmp(key->name, "network.network_profile") != 0)
		return;
	if (key->modern && key->kind != KF_KEY_SECTION)
		kf_diag_warning(r->ctx->diags, &m->key_at, "'%s' is an old key; write '%s'",
				key->name, key->modern);
	readers[key->kind](r, key, m);
}

static void read_members(struct profile_reader *r, const char *section, const struct kf_jsonc *v)
{
	for (const struct kf_jsonc *m = v->child; m; m = m->next)
		read_member(r, section, m);
}

/* A recursion; the table of keys bounds its depth. */
static void read_section(struct profile_reader *r, const struct kf_profile_key *key,
			 const struct kf_jsonc *v)
{
	if (!check_kind(r, key, v, KF_JSONC_OBJECT))
		return;
	read_members(r, key->name, v);
}

void kf_profile_read(struct kf_profile_ctx *ctx, const struct kf_jsonc *root,
		     struct kf_profile_file *ret)
{
	struct profile_reader r = {
		.ctx = ctx, .profile = &ret->profile, .extends = &ret->extends, .over = &ret->over};

	if (root->kind != KF_JSONC_OBJECT) {
		kf_diag_error(ctx->diags, &root->at, "a profile is an object, not %s",
			      kf_jsonc_kind_name(root->kind));
		return;
	}
	read_members(&r, "", root);
}

void kf_profile_read_filesystem(struct kf_profile_ctx *ctx, const struct kf_jsonc *section,
				const char *group, struct kf_profile *ret)
{
	struct profile_reader r = {.ctx = ctx, .profile = ret, .group = group};

	read_section(&r, kf_profile_key("", "filesystem"), section);
}
