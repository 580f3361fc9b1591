/* SPDX-License-Identifier: Apache-2.0 */
/* TOML text -> tree: no crash, and every position lies in the text. */
#include "toml/toml.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct kf_toml_node *node;
	struct kf_toml t;

	if (kf_toml_parse((const char *)data, n, "fuzz", &t, KF_ERR_IGNORED) < 0)
		return 0;
	node = t.root;
	while (node) {
		if (node->begin.offset > n || node->end.offset > n || node->key_end.offset > n ||
		    node->key_begin.offset > node->key_end.offset)
			abort();
		if (node->first_child) {
			node = node->first_child;
			continue;
		}
		while (node && !node->next)
			node = node->parent;
		if (node)
			node = node->next;
	}
	kf_toml_done(&t);
	return 0;
}
