/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_TOML_EDIT_H
#define KF_TOML_EDIT_H

#include "base/err.h"
#include "toml/compare.h"
#include "toml/write.h"

#include <stddef.h>

/* Changes values in somebody else's TOML file and nothing else: comments,
 * order, quoting, indentation, line ends and every untouched byte survive. */

/* Make all @wants true in the @n bytes at @text; @name is for messages.  Tables
 * that are missing are added next to their relatives, in the notation that is
 * there (headers, dotted keys, inline tables).  The result is parsed again and
 * proven to differ from @text in the wants only.  *ret is the caller's; equal
 * bytes mean that there was nothing to do.  Fails, with the place and a remedy,
 * if a path leads through something that is no table. */
int kf_toml_edit(const char *text, size_t n, const char *name, const struct kf_toml_want *wants,
		 size_t nwants, char **ret, size_t *ret_n, struct kf_err *err);

#endif
