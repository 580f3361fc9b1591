/* SPDX-License-Identifier: Apache-2.0 */
/* Writing flat policy text, which flat/flat.h reads. */
#ifndef KF_PROFILE_FORMAT_H
#define KF_PROFILE_FORMAT_H

#include "base/buf.h"
#include "flat/flat.h"

/* The text of @nrules rules, header and checksum included: what
 * kf_policy_parse() reads back as the same rules, and refuses if one is not
 * expressible (so parse what you formatted before you rely on it).  @line is
 * ignored.  A failure of @out is the caller's to check. */
void kf_policy_format(const char *name, const struct kf_rule *rules, size_t nrules,
		      struct kf_buf *out);

#endif
