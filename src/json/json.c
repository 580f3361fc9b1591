/* SPDX-License-Identifier: Apache-2.0 */
/* Strict JSON as a tree in an arena: reading, changing, writing.  JSON with comments, and with
 * places for messages, is in jsonc.c. */
#include "json/json.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32 /* a runtime specification is 8 deep */
/* So many keys are compared each with each; more are sorted. */
#define FEW_KEYS  16

struct json_reader {
	const char *text, *p, *name;
	struct kf_arena *arena;
	struct kf_err *err;
};

static const char *const type_names[] = {
	[KF_JSON_NULL] = "null",     [KF_JSON_BOOL] = "boolean",  [KF_JSON_INT] = "int",
	[KF_JSON_REAL] = "double",   [KF_JSON_STRING] = "string", [KF_JSON_LIST] = "array",
	[KF_JSON_OBJECT] = "object",
};

static bool is_open(const struct kf_json *value)
{
	return value->type == KF_JSON_LIST || value->type == KF_JSON_OBJECT;
}

/* --- reading --------------------------------------------------------------- */

static int fail_here(const struct json_reader *r, const char *why)
{
	return kf_fail(r->err, EINVAL, "%s: not JSON: %s at byte %zu", r->name, why,
		       (size_t)(r->p - r->text));
}

static int fail_nul(const struct json_reader *r)
{
	return kf_fail(r->err, EINVAL, "%s: holds a NUL character", r->name);
}

static void skip_space(struct json_reader *r)
{
	while (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r')
		r->p++;
}

/* Four hexadecimal digits; -1 if they are not there. */
static int32_t hex_digits(const char *s)
{
	int32_t code = 0;

	for (int i = 0; i < 4; i++) {
		const char c = s[i], low = (char)(c | 0x20);

		if (c >= '0' && c <= '9')
			code = code * 16 + c - '0';
		else if (low >= 'a' && low <= 'f')
			code = code * 16 + low - 'a' + 10;
		else
			return -1;
	}
	return code;
}

static char *put_utf8(char *to, uint32_t code)
{
	if (code < 0x80) {
		*to++ = (char)code;
	} else if (code < 0x800) {
		*to++ = (char)(0xc0 | code >> 6);
		*to++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*to++ = (char)(0xe0 | code >> 12);
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
		*to++ = (char)(0x80 | (code & 0x3f));
	} else {
		*to++ = (char)(0xf0 | code >> 18);
		*to++ = (char)(0x80 | (code >> 12 & 0x3f));
		*to++ = (char)(0x80 | (code >> 6 & 0x3f));
		*to++ = (char)(0x80 | (code & 0x3f));
	}
	return to;
}

/* r->p is at the 'u'.  Leave it at the last digit. */
static int read_code(struct json_reader *r, char **to)
{
	int32_t code = hex_digits(r->p + 1), low;

	if (code < 0)
		return fail_here(r, "\\u without four hexadecimal digits");
	if (code == 0)
		return fail_nul(r);
	r->p += 4;
	if (code >= 0xd800 && code < 0xe000) {
		low = code < 0xdc00 && r->p[1] == '\\' && r->p[2] == 'u' ? hex_digits(r->p + 3)
									 : -1;
		if (low >= 0xdc00 && low < 0xe000) {
			code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
			r->p += 6;
		} else {
			code = 0xfffd;
		}
	}
	*to = put_utf8(*to, (uint32_t)code);
	return 0;
}

/* r->p is behind the backslash. */
static int read_escape(struct json_reader *r, char **to)
{
	static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (*r->p == 'u')
		return read_code(r, to);
	at = strchr(escapes, *r->p);
	if (!at || !*at)
		return fail_here(r, "unknown escape");
	*(*to)++ = meant[at - escapes];
	return 0;
}

/* r->p is at the opening quotation mark. */
static int read_string(struct json_reader *r, const char **ret)
{
	size_t n = 0;
	char *text, *to;

	for (const char *s = ++r->p; s[n] != '"'; n++) {
		if ((unsigned char)s[n] < 0x20 || (s[n] == '\\' && !s[++n])) {
			r->p += n;
			return fail_here(r, "a string is not closed, or has a control character");
		}
	}
	text = to = kf_arena_alloc(r->arena, n + 1);
	if (!text)
		return kf_fail_nomem(r->err, r->name);
	while (*r->p != '"') {
		const size_t run = strcspn(r->p, "\"\\");

		memcpy(to, r->p, run);
		to += run;
		r->p += run;
		if (*r->p != '\\')
			continue;
		r->p++;
		if (read_escape(r, &to) < 0)
			return -1;
		r->p++;
	}
	r->p++;
	*ret = text;
	return 0;
}

static size_t count_digits(const char *s)
{
	size_t n = 0;

	while (s[n] >= '0' && s[n] <= '9')
		n++;
	return n;
}

static int check_range(const struct json_reader *r, const char *number)
{
	errno = 0;
	if (*number == '-')
		(void)strtoll(number, NULL, 10);
	else
		(void)strtoull(number, NULL, 10);
	return errno ? kf_fail(r->err, ERANGE, "%s: number %.40s does not fit 64 bits", r->name,
			       number)
		     : 0;
}

static int read_number(struct json_reader *r, struct kf_json *value)
{
	const char *start = r->p;
	size_t digits, n;
	char *text;

	value->type = KF_JSON_INT;
	r->p += *r->p == '-';
	digits = count_digits(r->p);
	if (!digits || (digits > 1 && *r->p == '0'))
		return fail_here(r, "no number");
	r->p += digits;
	if (*r->p == '.') {
		value->type = KF_JSON_REAL;
		digits = count_digits(++r->p);
		if (!digits)
			return fail_here(r, "no digit behind the point");
		r->p += digits;
	}
	if (*r->p == 'e' || *r->p == 'E') {
		value->type = KF_JSON_REAL;
		r->p++;
		r->p += *r->p == '+' || *r->p == '-';
		digits = count_digits(r->p);
		if (!digits)
			return fail_here(r, "no digit in an exponent");
		r->p += digits;
	}
	n = (size_t)(r->p - start);
	text = kf_arena_alloc(r->arena, n + 1);
	if (!text)
		return kf_fail_nomem(r->err, r->name);
	value->text = memcpy(text, start, n);
	return value->type == KF_JSON_INT ? check_range(r, text) : 0;
}

static int read_word(struct json_reader *r, struct kf_json *value)
{
	static const struct {
		const char *word;
		enum kf_json_type type;
	} words[] = {{"true", KF_JSON_BOOL}, {"false", KF_JSON_BOOL}, {"null", KF_JSON_NULL}};

	for (size_t i = 0; i < KF_ARRAY_SIZE(words); i++) {
		const size_t n = strlen(words[i].word);

		if (strncmp(r->p, words[i].word, n) != 0)
			continue;
		value->type = words[i].type;
		value->text = words[i].word;
		r->p += n;
		return 0;
	}
	return fail_here(r, *r->p ? "unexpected character" : "unexpected end");
}

/* Of an object or a list only the opening bracket. */
static int read_start(struct json_reader *r, struct kf_json *value)
{
	switch (*r->p) {
	case '{':
	case '[':
		value->type = *r->p == '{' ? KF_JSON_OBJECT : KF_JSON_LIST;
		r->p++;
		return 0;
	case '"':
		value->type = KF_JSON_STRING;
		return read_string(r, &value->text);
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return read_number(r, value);
	default:
		return read_word(r, value);
	}
}

static void link_last(struct kf_json *parent, struct kf_json *value)
{
	value->parent = parent;
	value->next = NULL;
	if (parent->last)
		parent->last->next = value;
	else
		parent->first = value;
	parent->last = value;
	parent->n++;
}

static int read_key(struct json_reader *r, const char **ret)
{
	if (*r->p != '"')
		return fail_here(r, "no key in quotation marks");
	if (read_string(r, ret) < 0)
		return -1;
	skip_space(r);
	if (*r->p != ':')
		return fail_here(r, "no ':' behind a key");
	r->p++;
	skip_space(r);
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp((*(struct kf_json *const *)a)->key, (*(struct kf_json *const *)b)->key);
}

static bool few_twice(const struct kf_json *obj)
{
	for (const struct kf_json *a = obj->first; a; a = a->next)
		for (const struct kf_json *b = a->next; b; b = b->next)
			if (strcmp(a->key, b->key) == 0)
				return true;
	return false;
}

static int many_twice(const struct json_reader *r, const struct kf_json *obj, bool *ret)
{
	const struct kf_json **sorted = kf_arena_calloc(r->arena, obj->n, sizeof(*sorted));
	size_t n = 0;

	if (!sorted)
		return kf_fail_nomem(r->err, r->name);
	for (const struct kf_json *v = obj->first; v; v = v->next)
		sorted[n++] = v;
	qsort(sorted, n, sizeof(*sorted), compare_keys);
	*ret = false;
	for (size_t i = 1; i < n; i++)
		*ret |= strcmp(sorted[i - 1]->key, sorted[i]->key) == 0;
	return 0;
}

static int check_keys(const struct json_reader *r, const struct kf_json *value)
{
	bool twice = false;

	if (value->type != KF_JSON_OBJECT)
		return 0;
	if (value->n <= FEW_KEYS)
		twice = few_twice(value);
	else if (many_twice(r, value, &twice) < 0)
		return -1;
	return twice ? kf_fail(r->err, EINVAL,
			       "%s: an object has the same key twice; readers would disagree on it",
			       r->name)
		     : 0;
}

/* Behind a value: close what ends here.  *in is what goes on with another value, NULL at the end of
 * the document.  @opened: nothing is in *in yet. */
static int close_values(struct json_reader *r, struct kf_json **in, size_t *depth, bool opened)
{
	for (; *in; opened = false, *in = (*in)->parent, --*depth) {
		skip_space(r);
		if (*r->p != ((*in)->type == KF_JSON_OBJECT ? '}' : ']')) {
			if (opened)
				return 0;
			if (*r->p != ',')
				return fail_here(r,
						 *r->p ? "unexpected character" : "unexpected end");
			r->p++;
			skip_space(r);
			return 0;
		}
		r->p++;
		if (check_keys(r, *in) < 0)
			return -1;
	}
	return 0;
}

static int read_document(struct json_reader *r, struct kf_json **ret)
{
	struct kf_json *root = NULL, *in = NULL;
	size_t depth = 0;

	skip_space(r);
	do {
		struct kf_json *value = kf_arena_alloc(r->arena, sizeof(*value));

		if (!value)
			return kf_fail_nomem(r->err, r->name);
		if (in && in->type == KF_JSON_OBJECT && read_key(r, &value->key) < 0)
			return -1;
		if (read_start(r, value) < 0)
			return -1;
		if (in)
			link_last(in, value);
		else
			root = value;
		if (is_open(value)) {
			if (++depth > DEPTH_MAX)
				return fail_here(r, "nested too deep");
			in = value;
		}
		if (close_values(r, &in, &depth, is_open(value)) < 0)
			return -1;
	} while (in);
	*ret = root;
	return 0;
}

int kf_json_parse(const char *text, size_t n, const char *name, struct kf_arena *arena,
		  struct kf_json **ret, struct kf_err *err)
{
	struct json_reader r = {.text = text, .p = text, .name = name, .arena = arena, .err = err};
	struct kf_json *root;

	if (memchr(text, '\0', n))
		return fail_nul(&r);
	if (!kf_utf8_valid(text, n))
		return kf_fail(err, EINVAL, "%s: not valid UTF-8", name);
	if (read_document(&r, &root) < 0)
		return -1;
	skip_space(&r);
	if (*r.p)
		return kf_fail(err, EINVAL, "%s: text after the JSON value at byte %zu", name,
			       (size_t)(r.p - text));
	if (root->type != KF_JSON_OBJECT)
		return kf_fail(err, EINVAL, "%s: not a JSON object", name);
	*ret = root;
	return 0;
}

/* --- writing --------------------------------------------------------------- */

static void write_string(struct kf_buf *out, const char *text)
{
	kf_buf_add(out, "\"", 1);
	kf_buf_add_json(out, text);
	kf_buf_add(out, "\"", 1);
}

static void write_start(struct kf_buf *out, const struct kf_json *value, bool member)
{
	if (member) {
		write_string(out, value->key);
		kf_buf_add(out, ":", 1);
	}
	if (is_open(value))
		kf_buf_add(out, value->type == KF_JSON_OBJECT ? "{" : "[", 1);
	else if (value->type == KF_JSON_STRING)
		write_string(out, value->text);
	else
		kf_buf_adds(out, value->text);
}

static void write_end(struct kf_buf *out, const struct kf_json *value)
{
	if (is_open(value))
		kf_buf_add(out, value->type == KF_JSON_OBJECT ? "}" : "]", 1);
}

void kf_json_write(const struct kf_json *value, struct kf_buf *out)
{
	const struct kf_json *v = value;

	for (;;) {
		write_start(out, v, v != value && v->key);
		if (v->first) {
			v = v->first;
			continue;
		}
		for (;; v = v->parent) {
			write_end(out, v);
			if (v == value)
				return;
			if (v->next)
				break;
		}
		kf_buf_add(out, ",", 1);
		v = v->next;
	}
}

/* --- looking --------------------------------------------------------------- */

/* Read one character of a key in lower case; the two characters that Go folds to ASCII are folded,
 * too. */
static int fold_character(const char **s)
{
	const unsigned char *p = (const unsigned char *)*s;

	if (p[0] == 0xc5 && p[1] == 0xbf) {
		*s += 2;
		return 's';
	}
	if (p[0] == 0xe2 && p[1] == 0x84 && p[2] == 0xaa) {
		*s += 3;
		return 'k';
	}
	(*s)++;
	return p[0] >= 'A' && p[0] <= 'Z' ? p[0] + ('a' - 'A') : p[0];
}

bool kf_json_key_folds(const char *a, const char *b)
{
	while (*a && *b)
		if (fold_character(&a) != fold_character(&b))
			return false;
	return *a == *b;
}

int kf_json_member(struct kf_json *obj, const char *where, const char *key, enum kf_json_type type,
		   struct kf_json **ret, struct kf_err *err)
{
	struct kf_json *found = NULL;

	for (struct kf_json *v = obj->first; v; v = v->next) {
		if (!kf_json_key_folds(v->key, key))
			continue;
		if (strcmp(v->key, key) != 0)
			return kf_fail(err, EINVAL,
				       "%s: key '%.80s' is another spelling of '%s'; some runtimes "
				       "read it, others do not",
				       where, v->key, key);
		if (v->type == KF_JSON_NULL)
			continue;
		if (v->type != type)
			return kf_fail(err, EINVAL, "%s.%s: not of type %s", where, key,
				       type_names[type]);
		found = v;
	}
	*ret = found;
	return 0;
}

static struct kf_json *find_any(const struct kf_json *obj, const char *key)
{
	if (!obj || obj->type != KF_JSON_OBJECT)
		return NULL;
	for (struct kf_json *v = obj->first; v; v = v->next)
		if (strcmp(v->key, key) == 0)
			return v;
	return NULL;
}

struct kf_json *kf_json_find(const struct kf_json *obj, const char *key)
{
	struct kf_json *value = find_any(obj, key);

	return value && value->type != KF_JSON_NULL ? value : NULL;
}

const char *kf_json_string(const struct kf_json *value)
{
	return value && value->type == KF_JSON_STRING ? value->text : NULL;
}

int64_t kf_json_int(const struct kf_json *value)
{
	return strtoll(value->text, NULL, 10);
}

uint64_t kf_json_uint(const struct kf_json *value)
{
	return *value->text == '-' ? 0 : strtoull(value->text, NULL, 10);
}

int kf_json_strings(const struct kf_json *list, const char *where, const char *key,
		    struct kf_arena *arena, const char *const **ret, size_t *ret_n,
		    struct kf_err *err)
{
	const char **v = kf_arena_calloc(arena, list ? (size_t)list->n + 1 : 1, sizeof(*v));
	size_t n = 0;

	if (!v)
		return kf_fail_nomem(err, where);
	for (const struct kf_json *item = list ? list->first : NULL; item; item = item->next) {
		if (item->type != KF_JSON_STRING)
			return kf_fail(err, EINVAL, "%s.%s: element %zu is not a string", where,
				       key, n);
		v[n++] = item->text;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

/* --- changing -------------------------------------------------------------- */

struct kf_json *kf_json_new(struct kf_arena *arena, enum kf_json_type type)
{
	struct kf_json *value = kf_arena_alloc(arena, sizeof(*value));

	if (value)
		value->type = type;
	return value;
}

/* @text may be NULL, for want of memory. */
static struct kf_json *new_text(struct kf_arena *arena, enum kf_json_type type, const char *text)
{
	struct kf_json *value = text ? kf_json_new(arena, type) : NULL;

	if (value)
		value->text = text;
	return value;
}

struct kf_json *kf_json_new_string(struct kf_arena *arena, const char *text)
{
	return new_text(arena, KF_JSON_STRING, kf_arena_strdup(arena, text));
}

struct kf_json *kf_json_new_strings(struct kf_arena *arena, const char *const *v, size_t n)
{
	struct kf_json *list = kf_json_new(arena, KF_JSON_LIST);

	for (size_t i = 0; list && i < n; i++)
		if (!kf_json_append(list, kf_json_new_string(arena, v[i])))
			return NULL;
	return list;
}

struct kf_json *kf_json_new_uint(struct kf_arena *arena, uint64_t number)
{
	return new_text(arena, KF_JSON_INT, kf_arena_printf(arena, "%" PRIu64, number));
}

struct kf_json *kf_json_new_bool(struct kf_arena *arena, bool value)
{
	return new_text(arena, KF_JSON_BOOL, value ? "true" : "false");
}

bool kf_json_append(struct kf_json *list, struct kf_json *value)
{
	if (!value)
		return false;
	value->key = NULL;
	link_last(list, value);
	return true;
}

/* Take @value out of @obj and put @other, which may be NULL, in its place. */
static void replace_member(struct kf_json *obj, const struct kf_json *value, struct kf_json *other)
{
	struct kf_json *before = NULL;

	if (obj->first != value)
		for (before = obj->first; before->next != value;)
			before = before->next;
	if (other) {
		other->parent = obj;
		other->next = value->next;
	} else {
		obj->n--;
	}
	*(before ? &before->next : &obj->first) = other ? other : value->next;
	if (obj->last == value)
		obj->last = other ? other : before;
}

bool kf_json_set(struct kf_json *obj, const char *key, struct kf_json *value)
{
	const struct kf_json *old = find_any(obj, key);

	if (!value)
		return false;
	value->key = key;
	if (old)
		replace_member(obj, old, value);
	else
		link_last(obj, value);
	return true;
}

void kf_json_remove(struct kf_json *obj, const char *key)
{
	const struct kf_json *value = find_any(obj, key);

	if (value)
		replace_member(obj, value, NULL);
}

struct kf_json *kf_json_take_all(struct kf_json *list)
{
	struct kf_json *first = list->first;

	list->first = list->last = NULL;
	list->n = 0;
	return first;
}
