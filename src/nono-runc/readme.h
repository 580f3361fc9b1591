/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_README_H
#define KF_NONO_RUNC_README_H

#include "base/buf.h"
#include "nono-runc/profiles.h"
#include "oci/view.h"

/* Append what /nono/README tells whoever is inside: which profile this is, what may be written, how
 * to ask.  Ten lines; the policy is @text, and the names of its variables are as @oci has them.
 */
int kf_readme_format(const struct kf_oci *oci, const struct kf_profile_text *text,
		     struct kf_buf *out, struct kf_err *err);

#endif
