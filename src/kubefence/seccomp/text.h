/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_SECCOMP_TEXT_H
#define KF_KUBEFENCE_SECCOMP_TEXT_H

#include "base/buf.h"
#include "seccomp/seccomp.h"

#include <json-c/json.h>

/* Seccomp policies for people and scripts.  JSON objects are the caller's; NULL
 * when out of memory. */

bool kf_seccomp_text_names(const struct kf_seccomp_rule *rule, const char *call);

void kf_seccomp_text_show(struct kf_buf *out, const struct kf_seccomp *policy, const char *name,
			  const char *arch);
struct json_object *kf_seccomp_text_json(const struct kf_seccomp *policy, const char *name,
					 const char *arch);

/* Calls that @a and @b answer differently.  -1 when out of memory. */
int kf_seccomp_text_diff(struct kf_buf *out, const struct kf_seccomp *a, const char *name_a,
			 const struct kf_seccomp *b, const char *name_b, struct kf_arena *arena);
struct json_object *kf_seccomp_text_diff_json(const struct kf_seccomp *a,
					      const struct kf_seccomp *b, struct kf_arena *arena);

/* What @only, which has the rules about one call, answers it and why; with these arguments if
 * @has_args, otherwise in general. */
void kf_seccomp_text_explain(struct kf_buf *out, const struct kf_seccomp *only, const char *name,
			     const char *arch, const struct kf_seccomp_call *call, bool has_args);
struct json_object *kf_seccomp_text_explain_json(const struct kf_seccomp *only, const char *name,
						 const char *arch,
						 const struct kf_seccomp_call *call, bool has_args);

#endif
