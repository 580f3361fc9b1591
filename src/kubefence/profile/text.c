/* SPDX-License-Identifier: Apache-2.0 */
/* The output of "kubefence profile": lists, problems and differences, as text and as JSON.  The
 * resolved profile is written in src/profile/show.c. */
#include "kubefence/profile/text.h"

#include "base/json.h"
#include "base/limits.h"
#include "json/jsonc.h"

#include <stdlib.h>
#include <string.h>

void kf_profile_text_template(const char *name, const char *base, struct kf_buf *out)
{
	/* Both are names, which have nothing that JSON escapes. */
	kf_buf_addf(
		out,
		"{\n  \"extends\": \"%s\",\n  \"meta\": {\n    \"name\": \"%s\""
		",\n    \"description\": \"\"\n  },\n"
		"  // Everything below adds to the base. 'kubefence profile show' prints the sum,\n"
		"  // 'kubefence explain' says which line decides about a path.\n"
		"  \"filesystem\": {\n"
		"    \"read\": [],   // read and execute\n"
		"    \"allow\": [],  // read, write and execute\n"
		"    \"deny\": [],   // take away, whatever else is granted\n"
		"    \"readonly\": [] // keep from being changed or made, whatever grants writing\n"
		"  }\n}\n",
		base, name);
}

static void list_entry(bool json, const char *name, const char *where, const char *text,
		       const char *error, struct kf_buf *out)
{
	if (!json) {
		kf_buf_addf(out, "%-20s %-28s %s%s\n", name, where, error ? "BROKEN: " : "",
			    error ? error : text);
		return;
	}
	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "name", name);
	kf_json_put_string(out, "source", where);
	kf_json_put_string(out, "description", text);
	if (error)
		kf_json_put_string(out, "error", error);
	kf_json_close(out, '}');
}

int kf_profile_text_list(struct kf_profiles *profiles, bool json, struct kf_buf *out)
{
	const struct kf_profile_library *library = &profiles->library;
	int broken = 0;

	kf_buf_adds(out, json ? "[" : "");
	for (size_t i = 0; i < library->n; i++) {
		const struct kf_profile_source *source = &library->v[i];
		struct kf_arena arena;
		struct kf_diags diags;
		struct kf_compiled compiled = {0};
		struct kf_err err;
		bool shadowed = false;

		for (size_t j = 0; j < i; j++)
			shadowed |= strcmp(library->v[j].name, source->name) == 0;
		if (shadowed)
			continue;
		kf_arena_init(&arena, KF_LIMIT_PROFILE_MEMORY);
		kf_diags_init(&diags, &arena);
		bool ok = kf_profile_compile(library, source->name, &arena, &diags, &compiled,
					     &err) == 0;
		const char *text = ok ? compiled.profile.scalars[KF_SCALAR_DESCRIPTION].s : NULL;

		list_entry(json, source->name, source->file, text ? text : "", ok ? NULL : err.msg,
			   out);
		broken |= !ok;
		kf_arena_done(&arena);
	}
	kf_buf_adds(out, json ? "\n]\n" : "");
	return broken;
}

int kf_profile_text_groups(struct kf_profiles *profiles, bool json, struct kf_buf *out)
{
	struct kf_diags diags;
	const struct kf_jsonc *root, *groups = NULL;

	kf_diags_init(&diags, &profiles->arena);
	root = kf_jsonc_parse(kf_profile_groups.text, kf_profile_groups.n, kf_profile_groups.file,
			      &profiles->arena, &diags);
	for (const struct kf_jsonc *m = root ? root->child : NULL; m; m = m->next)
		if (strcmp(m->key, "groups") == 0)
			groups = m;
	kf_buf_adds(out, json ? "[" : "");
	for (const struct kf_jsonc *g = groups ? groups->child : NULL; g; g = g->next) {
		const char *text = "", *platform = NULL;

		for (const struct kf_jsonc *m = g->child; m; m = m->next) {
			if (strcmp(m->key, "description") == 0)
				text = m->s;
			if (strcmp(m->key, "platform") == 0)
				platform = m->s;
		}
		if (platform && strcmp(platform, "linux") != 0)
			continue;
		if (!json) {
			kf_buf_addf(out, "%-26s %s\n", g->key, text);
			continue;
		}
		kf_json_open(out, NULL, '{');
		kf_json_put_string(out, "name", g->key);
		kf_json_put_string(out, "description", text);
		kf_json_close(out, '}');
	}
	kf_buf_adds(out, json ? "\n]\n" : "");
	return groups ? 0 : -1;
}

void kf_profile_text_diags(const struct kf_diags *diags, const char *what, const char *failure,
			   struct kf_buf *out)
{
	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "profile", what);
	kf_json_put_bool(out, "valid", !failure);
	kf_json_open(out, "problems", '[');
	for (size_t i = 0; i < diags->n; i++) {
		const struct kf_diag *d = &diags->v[i];

		kf_json_open(out, NULL, '{');
		kf_json_put_string(out, "severity", d->warning ? "warning" : "error");
		kf_json_put_string(out, "file", d->at.file);
		kf_json_put_number(out, "line", d->at.line);
		kf_json_put_number(out, "column", d->at.column);
		if (d->at.group)
			kf_json_put_string(out, "group", d->at.group);
		kf_json_put_string(out, "message", d->msg);
		kf_json_close(out, '}');
	}
	if (failure && !diags->n) {
		kf_json_open(out, NULL, '{');
		kf_json_put_string(out, "severity", "error");
		kf_json_put_string(out, "message", failure);
		kf_json_close(out, '}');
	}
	kf_json_close(out, ']');
	kf_json_close(out, '}');
}

/* Split the flat text into its lines, without header, name and checksum. */
static size_t split_rules(struct kf_compiled const *c, const char ***ret, char **ret_copy)
{
	char *copy = strdup(c->text), *save = NULL;
	const char **lines = calloc(c->nrules + 4, sizeof(*lines));
	size_t n = 0;

	*ret = lines;
	*ret_copy = copy;
	if (!copy || !lines)
		return 0;
	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "nono-policy ", 12) != 0 && strncmp(line, "name ", 5) != 0 &&
		    strncmp(line, "sum ", 4) != 0)
			lines[n++] = line;
	return n;
}

static bool contains_line(const char *const *lines, size_t n, const char *line)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(lines[i], line) == 0)
			return true;
	return false;
}

static bool only_in(const char *const *a, size_t na, const char *const *b, size_t nb, char sign,
		    bool json, struct kf_buf *out)
{
	bool any = false;

	for (size_t i = 0; i < na; i++) {
		if (contains_line(b, nb, a[i]))
			continue;
		if (json)
			kf_json_put_string(out, NULL, a[i]);
		else
			kf_buf_addf(out, "%c %s\n", sign, a[i]);
		any = true;
	}
	return any;
}

bool kf_profile_text_diff(const struct kf_compiled *a, const struct kf_compiled *b, bool json,
			  struct kf_buf *out)
{
	const char **x, **y;
	char *x_copy, *y_copy;
	size_t nx = split_rules(a, &x, &x_copy), ny = split_rules(b, &y, &y_copy);
	bool differ;

	if (json)
		kf_json_open(out, "removed", '[');
	differ = only_in(x, nx, y, ny, '-', json, out);
	if (json) {
		kf_json_close(out, ']');
		kf_json_open(out, "added", '[');
	}
	differ |= only_in(y, ny, x, nx, '+', json, out);
	if (json)
		kf_json_close(out, ']');
	free(x);
	free(y);
	free(x_copy);
	free(y_copy);
	return differ;
}

static const struct {
	const char *key, *text;
} reaches[KF_NREACHES] = {
#define REACH_ROW(name, key, text) {key, text},
	KF_REACHES(REACH_ROW)
#undef REACH_ROW
};

static size_t count_examples(const struct kf_reach *reach, int kind)
{
	size_t n = reach->kinds[kind].n;

	return n < KF_REACH_EXAMPLES ? n : KF_REACH_EXAMPLES;
}

void kf_profile_text_reach(const struct kf_reach *reach, bool json, struct kf_buf *out)
{
	if (json)
		kf_json_open(out, "reaches", '{');
	else
		kf_buf_adds(out, "newly reaches:\n");
	for (int kind = KF_NREACHES - 1; kind >= 0; kind--) {
		const size_t n = count_examples(reach, kind);

		if (json)
			kf_json_open(out, reaches[kind].key, '[');
		else
			kf_buf_addf(out, "  %-23s %s", reaches[kind].text,
				    reach->kinds[kind].n ? "YES" : "no");
		for (size_t i = 0; i < n; i++) {
			if (json)
				kf_json_put_string(out, NULL, reach->kinds[kind].examples[i]);
			else
				kf_buf_add_line(out, "%s%s",
						i ? "                              " : "  ",
						reach->kinds[kind].examples[i]);
		}
		if (json)
			kf_json_close(out, ']');
		else if (!n)
			kf_buf_adds(out, "\n");
		else if (reach->kinds[kind].n > n)
			kf_buf_addf(out, "                              ... and %zu more\n",
				    reach->kinds[kind].n - n);
	}
	if (json)
		kf_json_close(out, '}');
}
