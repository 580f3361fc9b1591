/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence node install --profiles DIR: compiles the profiles. src/node/profiles.c writes them. */
#include "kubefence/node/profiles.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "cli/print.h"
#include "kubefence/profile/find.h"

#include <stdio.h>
#include <string.h>

static int compile_one(const struct kf_profile_library *library, const char *name,
		       struct kf_arena *arena, struct kf_node_profile *ret, struct kf_err *err)
{
	KF_CLEANUP(kf_arena_done) struct kf_arena work;
	struct kf_buf problems = KF_BUF_INIT(KF_DIAGS_TEXT);
	struct kf_compiled compiled;
	struct kf_diags diags;
	int r;

	kf_arena_init(&work, KF_LIMIT_PROFILE_MEMORY);
	kf_diags_init(&diags, &work);
	r = kf_profile_compile(library, name, &work, &diags, &compiled, err);
	kf_diags_format(&diags, &problems);
	if (problems.n)
		kf_print_text(stderr, problems.p);
	kf_buf_done(&problems);
	if (r < 0)
		return -1;
	*ret = (struct kf_node_profile){
		.name = kf_arena_strdup(arena, name),
		.text = kf_arena_strdup(arena, compiled.text),
		.n = compiled.n,
	};
	return ret->name && ret->text ? 0 : kf_fail_nomem(err, "profiles");
}

/* Whether an earlier profile has the same name. */
static bool is_hidden(const struct kf_profile_library *library, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(library->v[i].name, library->v[at].name) == 0)
			return true;
	return false;
}

static int compile_all(const struct kf_profile_library *library, struct kf_arena *arena,
		       const struct kf_node_profile **ret, size_t *ret_n, struct kf_err *err)
{
	struct kf_node_profile *list = kf_arena_calloc(arena, library->n, sizeof(*list));
	unsigned broken = 0;
	size_t n = 0;

	if (!list)
		return kf_fail_nomem(err, "profiles");
	for (size_t i = 0; i < library->n; i++) {
		if (is_hidden(library, i))
			continue;
		if (compile_one(library, library->v[i].name, arena, &list[n], err) == 0)
			n++;
		else
			broken++;
	}
	if (broken)
		return kf_fail(err, EINVAL, "%u profiles do not compile; nothing was changed",
			       broken);
	*ret = list;
	*ret_n = n;
	return 0;
}

int kf_install_profiles(const char *dir, struct kf_arena *arena, const struct kf_node_profile **ret,
			size_t *ret_n, struct kf_err *err)
{
	struct kf_profiles profiles;
	int r;

	kf_profiles_init(&profiles);
	r = kf_profiles_add_dir(&profiles, dir, err);
	if (r == 0)
		r = compile_all(&profiles.library, arena, ret, ret_n, err);
	kf_profiles_done(&profiles);
	return r;
}
