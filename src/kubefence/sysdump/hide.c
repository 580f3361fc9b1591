/* SPDX-License-Identifier: Apache-2.0 */
/* Leaving secrets out of a bug report.  It is better to leave too much out than too little: keys
 * are taken for secrets by a part of their name, whatever the format. */
#include "kubefence/sysdump/hide.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HIDDEN "(left out)"

/* Parts of names of keys whose values are nobody's business. */
static const char *const secret_parts[] = {"password", "passwd",     "passphrase", "secret",
					   "token",    "credential", "apikey",	   "api_key",
					   "api-key",  "private",    "access_key", "accesskey",
					   "auth",     "cookie",     "session",	   "signature"};

/* Whose annotations say how something is set up, and not what somebody put there: by the end of the
 * domain in their keys. */
static const char *const known_domains[] = {"nono.sh", "kubernetes.io", "k8s.io", "helm.sh",
					    "noderesource.dev"};

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

static bool has_secret_part(const char *name, size_t n)
{
	/* Of a variable, in JSON that was cut off. */
	if (n == 5 && strncmp(name, "value", n) == 0)
		return true;
	for (size_t i = 0; i < KF_ARRAY_SIZE(secret_parts); i++) {
		const size_t len = strlen(secret_parts[i]);

		for (size_t at = 0; at + len <= n; at++)
			if (strncasecmp(name + at, secret_parts[i], len) == 0)
				return true;
	}
	return false;
}

/* ---- JSON ---- */

static bool is_known_key(const char *key)
{
	const size_t n = strcspn(key, "/");

	for (size_t i = 0; key[n] && i < KF_ARRAY_SIZE(known_domains); i++) {
		const size_t len = strlen(known_domains[i]);

		if (n >= len && strncmp(key + n - len, known_domains[i], len) == 0 &&
		    (n == len || key[n - len - 1] == '.'))
			return true;
	}
	return false;
}

static void hide_in_object(struct json_object *o);

/* Depth is json-c's own limit (32). */
static void hide_in_value(struct json_object *value)
{
	if (json_object_is_type(value, json_type_object))
		hide_in_object(value);
	for (size_t i = 0;
	     json_object_is_type(value, json_type_array) && i < json_object_array_length(value);
	     i++)
		hide_in_value(json_object_array_get_idx(value, i));
}

static void replace_member(struct json_object *o, const char *key)
{
	(void)json_object_object_add(o, key, json_object_new_string(HIDDEN));
}

/* Anybody keeps anything in an annotation. */
static void hide_in_annotations(struct json_object *o)
{
	json_object_object_foreach(o, key, value)
	{
		(void)value;
		if (!is_known_key(key))
			replace_member(o, key);
	}
}

/* {"name": ..., "value": ...} is how Kubernetes and runtimes write a variable of the environment.
 */
static void hide_in_object(struct json_object *o)
{
	const bool variable = json_object_object_get_ex(o, "name", NULL) &&
			      json_object_object_get_ex(o, "value", NULL);

	json_object_object_foreach(o, key, value)
	{
		const bool text = json_object_is_type(value, json_type_string);

		if ((variable && strcmp(key, "value") == 0) ||
		    strcmp(key, "kubectl.kubernetes.io/last-applied-configuration") == 0 ||
		    (text && has_secret_part(key, strlen(key))))
			replace_member(o, key);
		else
			hide_in_value(value);
		if (strcmp(key, "annotations") == 0 && json_object_is_type(value, json_type_object))
			hide_in_annotations(value);
	}
}

/* ---- lines ---- */

/* The end of a value that begins at @at: of a quoted one its quote, else of the line or list. */
static const char *end_of_value(const char *at)
{
	if (*at == '"' || *at == '\'') {
		const char quote = *at++;

		while (*at && *at != '\n' && *at != quote)
			at += *at == '\\' && at[1] ? 2 : 1;
		return at + (*at == quote);
	}
	return at + strcspn(at, "\n,;&}])");
}

/* Behind the name of a key that ends at @at: where its value begins; NULL if none does. */
static const char *find_value(const char *at)
{
	at += *at == '"' || *at == '\'';
	at += strspn(at, " \t");
	if (*at != '=' && *at != ':')
		return NULL;
	at += strspn(at, "=:");
	at += strspn(at, " \t");
	return *at && *at != '\n' ? at : NULL;
}

/* What is one whole secret wherever it stands; its end, or NULL. */
static const char *end_of_secret(const char *at)
{
	static const char *const starts[] = {"eyJ", "ghp_",  "gho_", "github_pat_",
					     "sk-", "xoxb-", "AKIA", "glpat-"};
	static const char pem[] = "-----BEGIN ";

	if (strncmp(at, pem, sizeof(pem) - 1) == 0) {
		const char *end = strstr(at, "-----END ");
		char head[64];

		(void)snprintf(head, sizeof(head), "%.*s", (int)strcspn(at, "\n"), at);
		if (!strstr(head, "PRIVATE"))
			return NULL;
		return end ? end + strcspn(end, "\n") : at + strlen(at);
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(starts); i++)
		if (strncmp(at, starts[i], strlen(starts[i])) == 0) {
			const char *end = at;

			while (is_word(*end) || *end == '/' || *end == '+')
				end++;
			return end - at > 16 ? end : NULL;
		}
	return NULL;
}

/* "user:password@" behind "://". */
static const char *end_of_login(const char *at)
{
	const size_t n = strcspn(at, "/@ \n\"'");

	return at[n] == '@' && memchr(at, ':', n) ? at + n : NULL;
}

static void hide_in_lines(const char *at, struct kf_buf *out)
{
	bool begins = true; /* a word may begin here */

	while (*at) {
		const char *end = begins ? end_of_secret(at) : NULL;
		size_t n = 0;

		if (!end && strncmp(at, "://", 3) == 0 && (end = end_of_login(at + 3))) {
			kf_buf_adds(out, "://");
		} else if (!end && begins && strncasecmp(at, "bearer ", 7) == 0) {
			kf_buf_add(out, at, 7);
			end = at + 7 + strcspn(at + 7, " \n\"'");
		} else if (!end && begins) {
			while (is_word(at[n]))
				n++;
			if (n && has_secret_part(at, n)) {
				const char *value = find_value(at + n);

				if (value) {
					kf_buf_add(out, at, (size_t)(value - at));
					end = end_of_value(value);
				}
			}
		}
		if (end) {
			kf_buf_adds(out, HIDDEN);
			at = end;
			begins = true;
			continue;
		}
		n = n ? n : 1;
		kf_buf_add(out, at, n);
		at += n;
		begins = !is_word(at[-1]);
	}
}

/* The document of JSON that begins at @at, and where it ends; NULL: none does. */
static struct json_object *parse_document(const char *at, size_t *ret_n)
{
	struct json_tokener *tokener = json_tokener_new();
	size_t n = strlen(at);
	struct json_object *o =
		tokener ? json_tokener_parse_ex(tokener, at, (int)(n < INT_MAX ? n : INT_MAX))
			: NULL;

	if (o) {
		n = json_tokener_get_parse_end(tokener);
		while (n && isspace((unsigned char)at[n - 1]))
			n--;
		*ret_n = n;
	}
	if (tokener)
		json_tokener_free(tokener);
	return o;
}

static void hide_in_document(struct json_object *o, bool one_line, struct kf_buf *out)
{
	hide_in_value(o);
	hide_in_lines(json_object_to_json_string_ext(o,
						     JSON_C_TO_STRING_NOSLASHESCAPE |
							     (one_line ? JSON_C_TO_STRING_PLAIN
								       : JSON_C_TO_STRING_PRETTY)),
		      out);
	kf_buf_adds(out, "\n");
}

static void hide_until(char *from, char *to, struct kf_buf *out)
{
	const char kept = *to;

	*to = '\0';
	hide_in_lines(from, out);
	*to = kept;
}

/* Documents of JSON, and lines before, between and behind them: what a program said as well. */
void kf_hide_secrets(const char *text, struct kf_buf *out)
{
	KF_FREE char *copy = strdup(text);
	char *lines = copy, *at = copy;

	if (!copy) {
		out->failed = true;
		return;
	}
	while (*at) {
		size_t n = 0;
		struct json_object *o = *at == '{' || *at == '[' ? parse_document(at, &n) : NULL;

		if (o) {
			hide_until(lines, at, out);
			hide_in_document(o, !memchr(at, '\n', n), out);
			json_object_put(o);
			at += n;
			at += *at == '\n';
			lines = at;
			continue;
		}
		at += strcspn(at, "\n");
		at += *at == '\n';
	}
	hide_in_lines(lines, out);
}
