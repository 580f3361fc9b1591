/* SPDX-License-Identifier: Apache-2.0 */
/* A reader of JSON with comments that remembers the place of every value.  It scans the structure;
 * json-c decodes strings and numbers.  The strict reader for OCI bundles is json.c. */
#include "json/jsonc.h"

#include "base/limits.h"

#include <json-c/json.h>
#include <string.h>

struct scanner {
	const char *p, *end;
	struct kf_origin at; /* of p */
	struct kf_arena *arena;
	struct kf_diags *diags;
	struct json_tokener *tokener;
	size_t nvalues;
};

static const char *const kind_names[] = {
	[KF_JSONC_NULL] = "null",	[KF_JSONC_BOOL] = "true or false",
	[KF_JSONC_NUMBER] = "a number", [KF_JSONC_STRING] = "a string",
	[KF_JSONC_ARRAY] = "a list",	[KF_JSONC_OBJECT] = "an object",
};

const char *kf_jsonc_kind_name(enum kf_jsonc_kind kind)
{
	return kind_names[kind];
}

static int peek_byte(const struct scanner *s)
{
	return s->p < s->end ? (unsigned char)*s->p : -1;
}

static void skip_bytes(struct scanner *s, size_t n)
{
	for (; n; n--, s->p++) {
		if (*s->p == '\n') {
			s->at.line++;
			s->at.column = 1;
		} else if (((unsigned char)*s->p & 0xC0) != 0x80) {
			s->at.column++; /* the bytes of one character count once */
		}
	}
}

static bool starts_with(const struct scanner *s, const char *word)
{
	size_t n = strlen(word);

	return (size_t)(s->end - s->p) >= n && memcmp(s->p, word, n) == 0;
}

/* Skip white space and comments. */
static bool skip_space(struct scanner *s)
{
	for (;;) {
		int c = peek_byte(s);

		if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			skip_bytes(s, 1);
		} else if (starts_with(s, "//")) {
			while (s->p < s->end && *s->p != '\n')
				skip_bytes(s, 1);
		} else if (starts_with(s, "/*")) {
			struct kf_origin at = s->at;

			skip_bytes(s, 2);
			while (s->p < s->end && !starts_with(s, "*/"))
				skip_bytes(s, 1);
			if (s->p == s->end) {
				kf_diag_error(s->diags, &at,
					      "this comment is never closed with '*/'");
				return false;
			}
			skip_bytes(s, 2);
		} else {
			return true;
		}
	}
}

static bool fail_nomem(struct scanner *s)
{
	s->diags->nomem = true;
	return false;
}

/* Let json-c decode the @n bytes of the scalar at p, and move behind them. */
static struct json_object *decode_scalar(struct scanner *s, size_t n, const char *what)
{
	json_tokener_reset(s->tokener);
	struct json_object *obj = json_tokener_parse_ex(s->tokener, s->p, (int)n);
	enum json_tokener_error e = json_tokener_get_error(s->tokener);

	/* json-c ends a number only when it sees a byte that is not part of it. */
	if (e == json_tokener_continue)
		obj = json_tokener_parse_ex(s->tokener, " ", 1);
	e = json_tokener_get_error(s->tokener);
	if (e != json_tokener_success) {
		json_object_put(obj);
		kf_diag_error(s->diags, &s->at, "this is not %s: %s", what,
			      e == json_tokener_error_parse_utf8_string
				      ? "its bytes are not UTF-8"
				      : json_tokener_error_desc(e));
		return NULL;
	}
	return obj;
}

/* Read the string that starts at p into *ret. */
static bool read_string(struct scanner *s, const char **ret)
{
	size_t n = 1, left = (size_t)(s->end - s->p);

	for (; n < left && s->p[n] != '"'; n++) {
		if ((unsigned char)s->p[n] < 0x20) {
			kf_diag_error(
				s->diags, &s->at,
				s->p[n] == '\n' || s->p[n] == '\r'
					? "this string is not closed on its line"
					: "control characters in strings are written \\u00XX");
			return false;
		}
		n += s->p[n] == '\\';
	}
	if (n >= left) {
		kf_diag_error(s->diags, &s->at, "this string is never closed");
		return false;
	}
	struct json_object *obj = decode_scalar(s, n + 1, "a JSON string");
	if (!obj)
		return false;
	const char *text = json_object_get_string(obj);
	bool ok = strlen(text) == (size_t)json_object_get_string_len(obj);

	if (!ok)
		kf_diag_error(s->diags, &s->at, "NUL characters are not allowed");
	else if (!(*ret = kf_arena_strdup(s->arena, text)))
		ok = fail_nomem(s);
	json_object_put(obj);
	skip_bytes(s, n + 1);
	return ok;
}

static bool read_number(struct scanner *s, struct kf_jsonc *v)
{
	size_t n = 0;

	while (s->p + n < s->end && strchr("+-.0123456789eE", s->p[n]) && s->p[n])
		n++;
	struct json_object *obj = decode_scalar(s, n, "a JSON number");
	if (!obj)
		return false;
	v->kind = KF_JSONC_NUMBER;
	/* json-c clamps what is too large for 64 bits; 20 digits are the most that fit. */
	v->is_uint = json_object_is_type(obj, json_type_int) && *s->p != '-' && n <= 20;
	v->u = json_object_get_uint64(obj);
	json_object_put(obj);
	skip_bytes(s, n);
	return true;
}

static bool read_literal(struct scanner *s, struct kf_jsonc *v)
{
	static const struct {
		const char *word;
		enum kf_jsonc_kind kind;
		bool b;
	} words[] = {{"true", KF_JSONC_BOOL, true},
		     {"false", KF_JSONC_BOOL, false},
		     {"null", KF_JSONC_NULL, false}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!starts_with(s, words[i].word))
			continue;
		v->kind = words[i].kind;
		v->b = words[i].b;
		skip_bytes(s, strlen(words[i].word));
		return true;
	}
	if (s->p == s->end)
		kf_diag_error(s->diags, &s->at, "the file ends here, but a value must follow");
	else
		kf_diag_error(s->diags, &s->at,
			      "a value must stand here: an object, a list, a double-quoted string, "
			      "a number, true, false or null");
	return false;
}

static struct kf_jsonc *new_value(struct scanner *s, struct kf_jsonc *parent)
{
	struct kf_jsonc *v;

	if (++s->nvalues > KF_LIMIT_PROFILE_VALUES) {
		kf_diag_error(s->diags, &s->at, "more than %d values", KF_LIMIT_PROFILE_VALUES);
		return NULL;
	}
	if (!(v = kf_arena_alloc(s->arena, sizeof(*v)))) {
		fail_nomem(s);
		return NULL;
	}
	v->at = v->key_at = s->at;
	v->parent = parent;
	return v;
}

static bool append_child(struct scanner *s, struct kf_jsonc *parent, struct kf_jsonc *v)
{
	if (parent->kind == KF_JSONC_OBJECT) {
		if (parent->nchildren == KF_LIMIT_PROFILE_MEMBERS) {
			kf_diag_error(s->diags, &v->key_at, "more than %d keys in one object",
				      KF_LIMIT_PROFILE_MEMBERS);
			return false;
		}
		for (const struct kf_jsonc *m = parent->child; m; m = m->next) {
			if (strcmp(m->key, v->key) != 0)
				continue;
			kf_diag_error(
				s->diags, &v->key_at,
				"'%.80s' is here a second time; the first is at line %u, column %u",
				v->key, m->key_at.line, m->key_at.column);
			break;
		}
	}
	if (parent->last)
		parent->last->next = v;
	else
		parent->child = v;
	parent->last = v;
	parent->nchildren++;
	return true;
}

/* Read one value; of an object or a list only its opening bracket, since the loop in
 * read_document() reads the contents. */
static bool read_value_start(struct scanner *s, struct kf_jsonc *v)
{
	int c = peek_byte(s);

	v->at = s->at;
	if (c == '{' || c == '[') {
		v->kind = c == '{' ? KF_JSONC_OBJECT : KF_JSONC_ARRAY;
		skip_bytes(s, 1);
		return true;
	}
	if (c == '"') {
		v->kind = KF_JSONC_STRING;
		return read_string(s, &v->s);
	}
	if (c == '-' || (c >= '0' && c <= '9'))
		return read_number(s, v);
	return read_literal(s, v);
}

static bool member_key(struct scanner *s, struct kf_jsonc *v)
{
	if (peek_byte(s) != '"') {
		kf_diag_error(s->diags, &s->at, "a key in double quotes or '}' must stand here");
		return false;
	}
	v->key_at = s->at;
	if (!read_string(s, &v->key) || !skip_space(s))
		return false;
	if (peek_byte(s) != ':') {
		kf_diag_error(s->diags, &s->at, "a ':' must follow the key '%.80s'", v->key);
		return false;
	}
	skip_bytes(s, 1);
	return skip_space(s);
}

/* After a complete value: close the objects and lists that end here.  Returns the container that
 * goes on; NULL at the end of the document, or with *failed set. */
static struct kf_jsonc *close_values(struct scanner *s, struct kf_jsonc *in, unsigned *depth,
				     bool *failed)
{
	while (in) {
		bool comma = false;
		int close = in->kind == KF_JSONC_OBJECT ? '}' : ']';

		if (!skip_space(s))
			goto fail;
		if (in->child && peek_byte(s) == ',') {
			comma = true;
			skip_bytes(s, 1);
			if (!skip_space(s))
				goto fail;
		}
		if (peek_byte(s) != close) {
			if (comma || !in->child)
				return in;
			if (s->p == s->end)
				kf_diag_error(s->diags, &s->at,
					      "the file ends inside the %s that line %u opens",
					      close == '}' ? "object" : "list", in->at.line);
			else
				kf_diag_error(s->diags, &s->at, "a ',' or '%c' must stand here",
					      close);
			goto fail;
		}
		skip_bytes(s, 1);
		in = in->parent;
		--*depth;
	}
	return NULL;
fail:
	*failed = true;
	return NULL;
}

static const struct kf_jsonc *read_document(struct scanner *s)
{
	struct kf_jsonc *root = NULL, *in = NULL;
	unsigned depth = 0;
	bool failed = false;

	if (starts_with(s, "\xEF\xBB\xBF")) /* byte order mark */
		s->p += 3;
	do {
		if (!skip_space(s))
			return NULL;
		struct kf_jsonc *v = new_value(s, in);

		if (!v || (in && in->kind == KF_JSONC_OBJECT && !member_key(s, v)) ||
		    !read_value_start(s, v))
			return NULL;
		if (in && !append_child(s, in, v))
			return NULL;
		if (!root)
			root = v;
		if (v->kind == KF_JSONC_OBJECT || v->kind == KF_JSONC_ARRAY) {
			if (++depth > KF_LIMIT_PROFILE_DEPTH) {
				kf_diag_error(s->diags, &v->at, "nested deeper than %d",
					      KF_LIMIT_PROFILE_DEPTH);
				return NULL;
			}
			in = v;
		}
		in = close_values(s, in, &depth, &failed);
	} while (in);
	if (failed || !skip_space(s))
		return NULL;
	if (s->p != s->end) {
		kf_diag_error(s->diags, &s->at, "the profile ended before this");
		return NULL;
	}
	return root;
}

const struct kf_jsonc *kf_jsonc_parse(const char *text, size_t n, const char *file,
				      struct kf_arena *arena, struct kf_diags *diags)
{
	struct scanner s = {
		.p = text,
		.end = text + n,
		.at = {.file = file, .line = 1, .column = 1},
		.arena = arena,
		.diags = diags,
	};
	size_t errors = diags->nerrors;

	if (n > KF_LIMIT_PROFILE_JSON) {
		kf_diag_error(diags, &(struct kf_origin){.file = file},
			      "larger than %d bytes; profiles are small", KF_LIMIT_PROFILE_JSON);
		return NULL;
	}
	if (!(s.tokener = json_tokener_new())) {
		diags->nomem = true;
		return NULL;
	}
	json_tokener_set_flags(s.tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	const struct kf_jsonc *root = read_document(&s);
	json_tokener_free(s.tokener);
	return diags->nerrors == errors ? root : NULL;
}
