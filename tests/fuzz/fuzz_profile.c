/* SPDX-License-Identifier: Apache-2.0 */
/* Profile JSON -> flat text.  A NUL splits the input into the profile and one
 * that it may extend as "q".  No crash; every message has a place in its file;
 * what compiles is what the launcher parses, and showing it compiles to the same. */
#include "base/limits.h"
#include "flat/flat.h"
#include "profile/profile.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_places(const struct kf_diags *diags, const struct kf_profile_library *library)
{
	for (size_t i = 0; i < diags->n; i++) {
		const struct kf_origin *at = &diags->v[i].at;

		for (size_t f = 0; f < library->n; f++)
			if (at->file == library->v[f].file &&
			    (at->line > library->v[f].n + 1 || at->column > library->v[f].n + 1))
				abort();
	}
}

/* The flat text of profile "p", to be freed; NULL if it does not compile.  With
 * @ret_shown also what it looks like as JSON. */
static char *compile(const struct kf_profile_library *library, char **ret_shown)
{
	struct kf_arena arena;
	struct kf_compiled compiled;
	struct kf_policy policy;
	struct kf_diags diags;
	struct kf_err err;
	char *text = NULL;

	kf_arena_init(&arena, KF_LIMIT_PROFILE_MEMORY);
	kf_diags_init(&diags, &arena);
	if (kf_profile_compile(library, "p", &arena, &diags, &compiled, &err) == 0) {
		if (diags.nerrors || kf_policy_parse(compiled.text, compiled.n, &policy, &err) < 0)
			abort();
		kf_policy_done(&policy);
		text = strdup(compiled.text);
		if (ret_shown) {
			struct kf_buf out = KF_BUF_INIT(16 * 1024 * 1024);

			kf_profile_show(&compiled, true, &out);
			*ret_shown = kf_buf_take(&out);
		}
	} else if (!err.code || (!diags.nerrors && !diags.nomem)) {
		abort();
	}
	check_places(&diags, library);
	kf_arena_done(&arena);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *text = (const char *)data;
	const char *nul = n ? memchr(text, 0, n) : NULL;
	const size_t head = nul ? (size_t)(nul - text) : n;
	struct kf_profile_source v[16] = {
		{"p", "p.json", text, head},
		{"q", "q.json", nul ? nul + 1 : "{}", nul ? n - head - 1 : 2},
	};
	struct kf_profile_library library = {v, 2};
	char *flat, *shown = NULL, *again;

	/* Two to extend are enough; all of them would only be slower. */
	for (size_t i = 0; i < kf_nprofile_builtins; i++)
		if (strcmp(kf_profile_builtins[i].name, "default") == 0 ||
		    strcmp(kf_profile_builtins[i].name, "strict") == 0)
			v[library.n++] = kf_profile_builtins[i];
	flat = compile(&library, &shown);
	if (flat && shown && strlen(shown) <= KF_LIMIT_PROFILE_JSON) {
		v[0].text = shown;
		v[0].n = strlen(shown);
		again = compile(&library, NULL);
		if (!again || strcmp(flat, again) != 0)
			abort();
		free(again);
	}
	free(flat);
	free(shown);
	return 0;
}
