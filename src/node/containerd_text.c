/* SPDX-License-Identifier: Apache-2.0 */
/* containerd: the new text of the file that changes. */
#include "base/cleanup.h"
#include "node/containerd_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char dropin_head[] =
	"# Written by 'kubefence node install', removed by 'kubefence node uninstall'.\n";

/* A file that is written anew, and has no place for a drop-in. */
static int fail_generated(const struct kf_containerd_facts *f, struct kf_err *err)
{
	const struct kf_distro *d = f->node->distro;

	if (f->major < 2)
		return kf_fail(
			err, ENOTSUP,
			"'%s' is rewritten by %s at each start, and containerd %u.%u merges no "
			"drop-ins; upgrade %s to a release with containerd 2",
			d->config, d->name, f->major, f->minor, d->name);
	return kf_fail(
		err, ENOTSUP,
		"'%s' is rewritten by %s at each start and imports no directory of drop-ins; "
		"add imports = [\"%.*s/config-v3.toml.d/*.toml\"] to the template that was "
		"put beside it (config-v3.toml.tmpl) and restart %s",
		d->config, d->name, (int)(strrchr(d->config, '/') - d->config), d->config, d->name);
}

/* What the wants are put into: the root file, what others wrote into our drop-in, or a new one.
 * *ret_seed is what of it has to be freed. */
static int start_text(const struct kf_containerd_facts *f, const char *version, char **ret_seed,
		      struct kf_text *ret, struct kf_err *err)
{
	struct kf_text from = f->root_text;

	if (f->dropin)
		from = (struct kf_text){dropin_head, sizeof(dropin_head) - 1};
	*ret = f->kept.n ? f->kept : from;
	if (f->kept.n || (!f->dropin && kf_toml_get(f->root.root, "version")))
		return 0;
	if (asprintf(ret_seed, "%.*s%sversion = %s\n", (int)from.n, from.p,
		     from.n && from.p[from.n - 1] != '\n' ? "\n" : "", version) < 0) {
		*ret_seed = NULL;
		return kf_fail_nomem(err, "plan");
	}
	*ret = (struct kf_text){*ret_seed, strlen(*ret_seed)};
	return 0;
}

int kf_containerd_text(const struct kf_containerd_facts *facts,
		       const struct kf_containerd_wants *wants, struct kf_node_plan *plan,
		       struct kf_err *err)
{
	const char *version = kf_arena_printf(facts->arena, "%lld", (long long)facts->version);
	KF_FREE char *seed = NULL, *out = NULL;
	struct kf_text from;

	if (!facts->dropin && facts->node->distro->generated)
		return fail_generated(facts, err);
	if (!version)
		return kf_fail_nomem(err, "plan");
	if (start_text(facts, version, &seed, &from, err) < 0 ||
	    kf_toml_edit(from.p, from.n, facts->target, wants->v, wants->n, &out, &plan->nafter,
			 err) < 0)
		return -1;
	plan->after = kf_arena_strdup(facts->arena, out);
	return plan->after ? 0 : kf_fail_nomem(err, "plan");
}
