/* SPDX-License-Identifier: Apache-2.0 */
/* Edits of somebody's TOML: what cannot be edited is refused, what is edited is
 * as intended (kf_toml_edit proves that itself; a proof that fails is ours to
 * fix, so it aborts here), and a second edit changes nothing. */
#include "toml/edit.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct kf_toml_want wants[] = {
		{.path = {"a", "b"}, .value = "\"v\""},
		{.path = {"a", "c d", "e"}, .value = "[true, 'x']"},
		{.path = {"f"}, .value = "1"},
	};
	char *once = NULL, *twice = NULL;
	struct kf_err err = {0};
	size_t n1, n2;

	if (kf_toml_edit((const char *)data, n, "t", wants, 3, &once, &n1, &err) < 0) {
		if (strncmp(err.msg, "edit of", 7) == 0)
			abort();
		return 0;
	}
	if (kf_toml_edit(once, n1, "t", wants, 3, &twice, &n2, &err) < 0 || n1 != n2 ||
	    memcmp(once, twice, n1) != 0)
		abort();
	free(once);
	free(twice);
	return 0;
}
