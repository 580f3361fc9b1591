/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON Schema of profiles, written from the same table that the reader uses (keys.c). */
#include "profile/keys.h"

#include <string.h>

#define WHEN                                                                                  \
	"\"when\": {\"description\": \"linux, macos or a negation\", \"anyOf\": [{\"type\": " \
	"\"null\"}, {\"type\": \"string\"}, {\"type\": \"array\", \"items\": {\"type\": "     \
	"\"string\"}}]}"
#define ENTRIES(field)                                                                      \
	"\"type\": [\"array\", \"null\"], \"items\": {\"anyOf\": [{\"type\": \"string\"}, " \
	"{\"type\": "                                                                       \
	"\"object\", \"required\": [\"" field "\"], \"additionalProperties\": false, "      \
	"\"properties\": {\"" field "\": {\"type\": \"string\"}, " WHEN "}}]}"

/* The contents of a key's schema without its description. */
static const char *const fragments[] = {
	[KF_KEY_NOTHING] = "\"type\": [\"string\", \"null\"]",
	[KF_KEY_IGNORED] = "",
	[KF_KEY_REFUSED] = "",
	[KF_KEY_EXTENDS] = "\"anyOf\": [{\"type\": \"null\"}, {\"type\": \"string\"}, {\"type\": "
			   "\"array\", \"minItems\": 1, "
			   "\"items\": {\"type\": \"string\"}}]",
	[KF_KEY_STRING] = "\"type\": [\"string\", \"null\"]",
	[KF_KEY_TEXTS] = "\"anyOf\": [{\"type\": \"null\"}, {\"type\": \"string\"}, {\"type\": "
			 "\"array\", \"items\": "
			 "{\"type\": \"string\"}}]",
	[KF_KEY_BOOL] = "\"type\": [\"boolean\", \"null\"]",
	[KF_KEY_NAMES] = ENTRIES("name"),
	[KF_KEY_PATHS] = ENTRIES("path"),
	[KF_KEY_SOCKET] = ENTRIES("path"),
	[KF_KEY_DOMAINS] =
		"\"type\": [\"array\", \"null\"], \"items\": {\"anyOf\": [{\"type\": \"string\"}, "
		"{\"type\": \"object\", \"required\": [\"domain\"], \"additionalProperties\": "
		"false, \"properties\": {\"domain\": {\"type\": \"string\"}, \"ports\": "
		"{\"type\": [\"array\", \"null\"]}, \"allow\": {\"type\": [\"string\", "
		"\"array\", \"null\"]}, " WHEN "}}]}",
	[KF_KEY_ADDRESSES] = "\"type\": [\"array\", \"null\"], \"items\": {\"type\": \"string\", "
			     "\"pattern\": \"/[0-9]+$\"}",
	[KF_KEY_CREDENTIALS] =
		"\"type\": [\"array\", \"null\"], \"items\": {\"type\": \"object\", \"required\": "
		"[\"route\", \"upstream\", \"secret\", \"key\"], \"additionalProperties\": false, "
		"\"properties\": {\"route\": {\"type\": \"string\", \"pattern\": \"^/\"}, "
		"\"upstream\": {\"type\": \"string\", \"pattern\": \"^https://\"}, \"secret\": "
		"{\"type\": \"string\"}, \"key\": {\"type\": \"string\"}, \"header\": {\"type\": "
		"[\"string\", \"null\"]}, \"form\": {\"enum\": [\"plain\", \"bearer\", \"basic\", "
		"null]}, \"user\": {\"type\": [\"string\", \"null\"]}, \"env\": {\"type\": "
		"[\"string\", \"array\", \"null\"]}, \"placeholder\": {\"type\": [\"string\", "
		"\"array\", \"null\"]}, \"allow\": {\"type\": [\"string\", \"array\", \"null\"]}}}",
	[KF_KEY_GRANTS] =
		"\"type\": [\"array\", \"null\"], \"items\": {\"type\": \"object\", \"required\": "
		"[\"path\", "
		"\"access\"], \"additionalProperties\": false, \"properties\": {\"path\": "
		"{\"type\": \"string\"}, \"access\": {\"enum\": [\"r\", \"rx\", \"rw\", "
		"\"rwx\", \"w\"]}, " WHEN "}}",
	[KF_KEY_PORTS] = "\"type\": [\"array\", \"null\"], \"items\": {\"type\": \"integer\", "
			 "\"minimum\": 1, "
			 "\"maximum\": 65535}",
	[KF_KEY_RANGES] =
		"\"type\": [\"array\", \"null\"], \"items\": {\"type\": \"array\", \"minItems\": "
		"2, "
		"\"maxItems\": 2, \"items\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": "
		"65535}}",
	[KF_KEY_OVERRIDES] = "\"type\": [\"object\", \"null\"], \"additionalProperties\": false, "
			     "\"properties\": {\"linux\": "
			     "{\"type\": [\"object\", \"null\"]}, \"macos\": {\"type\": "
			     "[\"object\", \"null\"]}, "
			     "\"windows\": {\"type\": [\"object\", \"null\"]}}",
	[KF_KEY_ENV_NAMES] =
		"\"type\": [\"array\", \"null\"], \"items\": {\"type\": \"string\", \"pattern\": "
		"\"^[A-Za-z_*][A-Za-z0-9_*]*$\"}",
	[KF_KEY_ENV_SET] =
		"\"type\": [\"object\", \"null\"], \"propertyNames\": {\"pattern\": "
		"\"^[A-Za-z_][A-Za-z0-9_]*$\", \"not\": {\"pattern\": \"^(PATH$|NONO_)\"}}, "
		"\"additionalProperties\": {\"type\": [\"string\", \"null\"]}",
	[KF_KEY_HINTS] = "\"type\": [\"object\", \"null\"], \"additionalProperties\": {\"type\": "
			 "\"object\", "
			 "\"required\": [\"text\"], "
			 "\"additionalProperties\": false, \"properties\": {\"text\": {\"type\": "
			 "\"string\"}, "
			 "\"unless\": {\"type\": \"string\"}}}",
};

static void add_strings(struct kf_buf *out, const char *const *values)
{
	for (const char *const *v = values; *v; v++)
		kf_buf_addf(out, "%s\"%s\"", v == values ? "" : ", ", *v);
}

static void add_rlimits(struct kf_buf *out)
{
	static const char limit[] =
		"{\"anyOf\": [{\"type\": [\"integer\", \"null\"], \"minimum\": 0}, {\"const\": "
		"\"unlimited\"}]}";
	const char *names[KF_POLICY_LIMITS + 1];

	kf_profile_rlimits(names);
	kf_buf_adds(out, "\"type\": [\"object\", \"null\"], \"propertyNames\": {\"enum\": [");
	add_strings(out, names);
	kf_buf_addf(out,
		    "]}, \"additionalProperties\": {\"anyOf\": [%s, {\"type\": \"array\", "
		    "\"minItems\": 2, \"maxItems\": 2, \"items\": %s}]}",
		    limit, limit);
}

static void add_description(struct kf_buf *out, const struct kf_profile_key *key)
{
	kf_buf_adds(out, "\"description\": \"");
	if (key->modern) {
		kf_buf_adds(out, "Old key; write ");
		kf_buf_add_json(out, key->modern);
		kf_buf_adds(out, ".\", \"deprecated\": true");
		return;
	}
	if (key->kind == KF_KEY_IGNORED)
		kf_buf_adds(out, "No effect: ");
	if (key->kind == KF_KEY_REFUSED)
		kf_buf_adds(out, "Refused: ");
	kf_buf_add_json(out, key->help);
	kf_buf_adds(out, "\"");
}

static void add_section(struct kf_buf *out, const char *name, unsigned depth);

static void add_property(struct kf_buf *out, const struct kf_profile_key *key, unsigned depth)
{
	add_description(out, key);
	if (key->kind == KF_KEY_SECTION) {
		kf_buf_adds(out, ", ");
		add_section(out, key->name, depth + 1);
	} else if (key->kind == KF_KEY_ENUM) {
		kf_buf_adds(out, ", \"enum\": [");
		add_strings(out, key->values);
		kf_buf_adds(out, ", null]");
	} else if (key->kind == KF_KEY_RLIMITS) {
		kf_buf_adds(out, ", ");
		add_rlimits(out);
	} else if (*fragments[key->kind]) {
		kf_buf_addf(out, ", %s", fragments[key->kind]);
	}
}

/* A recursion; the table bounds its depth: sections are nested twice at most. */
static void add_section(struct kf_buf *out, const char *name, unsigned depth)
{
	size_t n = strlen(name);
	bool first = true;

	kf_buf_adds(out, "\"type\": [\"object\", \"null\"], \"additionalProperties\": false, "
			 "\"properties\": {");
	for (size_t i = 0; i < kf_nprofile_keys; i++) {
		const struct kf_profile_key *key = &kf_profile_keys[i];
		const char *last = key->name;

		if (n) {
			if (strncmp(last, name, n) != 0 || last[n] != '.')
				continue;
			last += n + 1;
		}
		if (strchr(last, '.'))
			continue;
		kf_buf_addf(out, "%s\n%*s\"%s\": {", first ? "" : ",", (int)(2 * depth), "", last);
		add_property(out, key, depth);
		kf_buf_adds(out, "}");
		first = false;
	}
	kf_buf_addf(out, "\n%*s}", (int)(2 * (depth - 1)), "");
}

void kf_profile_schema(struct kf_buf *out)
{
	kf_buf_adds(out, "{\n"
			 "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
			 "  \"$id\": \"urn:kubefence:profile\",\n"
			 "  \"title\": \"kubefence profile\",\n  ");
	add_section(out, "", 2);
	kf_buf_adds(out, "\n}\n");
}
