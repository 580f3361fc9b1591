/* SPDX-License-Identifier: Apache-2.0 */
/* Leaving secrets out of a bug report.  It is better to leave too much out than too little: keys
 * are taken for secrets by a part of their name, whatever the format. */
#include "kubefence/sysdump/hide.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HIDDEN "(left out)"

/* Parts of names of keys whose values are nobody's business. */
static const char *const secret_parts[] = {"password", "passwd",     "passphrase", "secret",
					   "token",    "credential", "apikey",	   "api_key",
					   "api-key",  "private",    "access_key", "accesskey",
					   "auth",     "cookie",     "session",	   "signature"};

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

static bool has_secret_part(const char *name, size_t n)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(secret_parts); i++) {
		const size_t len = strlen(secret_parts[i]);

		for (size_t at = 0; at + len <= n; at++)
			if (strncasecmp(name + at, secret_parts[i], len) == 0)
				return true;
	}
	return false;
}

/* ---- JSON ---- */

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

/* A document of JSON, or lines, some of which may be one. */
void kf_hide_secrets(const char *text, struct kf_buf *out)
{
	struct json_object *o = *text == '{' || *text == '[' ? json_tokener_parse(text) : NULL;

	if (o) {
		hide_in_value(o);
		hide_in_lines(json_object_to_json_string_ext(
				      o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE),
			      out);
		kf_buf_adds(out, "\n");
		json_object_put(o);
		return;
	}
	hide_in_lines(text, out);
}
