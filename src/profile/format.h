/* SPDX-License-Identifier: Apache-2.0 */
/* Writing flat policy text, which flat/flat.h reads. */
#ifndef KF_PROFILE_FORMAT_H
#define KF_PROFILE_FORMAT_H

#include "base/buf.h"
#include "flat/flat.h"

/* Append the text of @nrules rules, with header and checksum. kf_policy_parse() reads the same
 * rules back from it, or refuses it if a rule cannot be expressed: so parse the text before you
 * rely on it.  @line is ignored.  The caller checks whether @out failed. */
void kf_policy_format(const char *name, const struct kf_rule *rules, size_t nrules,
		      struct kf_buf *out);

#endif
