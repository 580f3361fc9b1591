/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_TOML_EDIT_H
#define KF_TOML_EDIT_H

#include "base/err.h"
#include "toml/compare.h"
#include "toml/write.h"

#include <stddef.h>

/* Changing values in somebody else's TOML file and nothing else: comments, order, quoting,
 * indentation, line ends and every other byte stay. */

/* Make all @wants true in the @n bytes at @text; @name is for messages.  Missing tables are added
 * beside related ones, in the notation that these use (headers, dotted keys, inline tables).  The
 * result is parsed again and compared: it differs from @text in the wants only.  *ret is the
 * caller's; equal bytes mean that nothing had to change.  Fails, with the place and a remedy, if a
 * path leads through something that is not a table. */
int kf_toml_edit(const char *text, size_t n, const char *name, const struct kf_toml_want *wants,
		 size_t nwants, char **ret, size_t *ret_n, struct kf_err *err);

#endif
