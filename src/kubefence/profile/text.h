/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_PROFILE_TEXT_H
#define KF_KUBEFENCE_PROFILE_TEXT_H

#include "explain/reach.h"
#include "kubefence/profile/find.h"

/* The output of "kubefence profile", written into a buffer. */

/* A new profile to start from. */
void kf_profile_text_template(const char *name, const char *base, struct kf_buf *out);
/* All profiles, or groups, with their place and purpose.  Nonzero if one of them does not compile.
 */
int kf_profile_text_list(struct kf_profiles *profiles, bool json, struct kf_buf *out);
int kf_profile_text_groups(struct kf_profiles *profiles, bool json, struct kf_buf *out);
/* An element of a JSON list: the problems of @what, or @failure (NULL: none) if @diags are empty.
 */
void kf_profile_text_diags(const struct kf_diags *diags, const char *what, const char *failure,
			   struct kf_buf *out);
/* The rules that only one of the two has, as members of a JSON object if @json; returns whether
 * there are any. */
bool kf_profile_text_diff(const struct kf_compiled *a, const struct kf_compiled *b, bool json,
			  struct kf_buf *out);
/* What one reaches and another one does not; likewise. */
void kf_profile_text_reach(const struct kf_reach *reach, bool json, struct kf_buf *out);

#endif
