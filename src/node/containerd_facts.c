/* SPDX-License-Identifier: Apache-2.0 */
/* containerd: where its configuration says what, for configuration versions 2, 3 and 4.  Reading it
 * is in containerd_read.c. */
#include "base/cleanup.h"
#include "node/containerd_int.h"

#include <string.h>

const char *kf_containerd_cri(int64_t version)
{
	return version >= 3 ? "io.containerd.cri.v1.runtime" : "io.containerd.grpc.v1.cri";
}

int64_t kf_containerd_version(const struct kf_toml_node *root)
{
	const struct kf_toml_node *v = kf_toml_get(root, "version");

	return v && v->kind == KF_TOML_INTEGER ? v->integer : root->nchildren ? 1 : 0;
}

const struct kf_toml_node *kf_containerd_runtimes(const struct kf_toml_node *root, int64_t version)
{
	return kf_toml_find(root, KF_TOML_PATH("plugins", kf_containerd_cri(version), "containerd",
					       "runtimes"));
}

const struct kf_toml_node *kf_containerd_all(const struct kf_containerd_facts *facts)
{
	return kf_containerd_runtimes(facts->dump.root, kf_containerd_version(facts->dump.root));
}

static bool has_item(const struct kf_toml_node *list, const char *item)
{
	for (const struct kf_toml_node *n = list->first_child; n; n = n->next)
		if (n->kind == KF_TOML_STRING && strcmp(n->string, item) == 0)
			return true;
	return false;
}

/* The plugin of CRI under the other name. */
static const struct kf_toml_node *find_either(const struct kf_toml_node *root,
					      const char *const *path)
{
	const struct kf_toml_node *found = kf_toml_find(root, path);
	const char *other[KF_TOML_PATH_MAX + 1] = {NULL};

	if (found || !path[0] || !path[1] || strcmp(path[0], "plugins") != 0)
		return found;
	for (size_t i = 0; i < KF_TOML_PATH_MAX && path[i]; i++)
		other[i] = path[i];
	for (int64_t version = 2; version <= 3; version++)
		if (strcmp(path[1], kf_containerd_cri(version)) == 0)
			other[1] = kf_containerd_cri(5 - version);
	return kf_toml_find(root, other);
}

int kf_containerd_where(const struct kf_containerd_facts *facts, const char *const *path,
			const char *item, const char **ret, struct kf_err *err)
{
	*ret = NULL;
	if (facts->unread.code) {
		*err = facts->unread;
		return -1;
	}
	for (size_t i = 0; i < facts->nfiles; i++) {
		const struct kf_containerd_file *file = &facts->files[i];
		const struct kf_toml_node *n = find_either(file->toml.root, path);

		if (!n || (item && !has_item(n, item)))
			continue;
		*ret = kf_arena_printf(facts->arena, "%s:%u", file->path, n->key_begin.line);
		if (!*ret)
			return kf_fail_nomem(err, "imports");
	}
	return 0;
}
