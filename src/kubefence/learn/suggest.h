/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_LEARN_SUGGEST_H
#define KF_KUBEFENCE_LEARN_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

/* Print the profile that allows what pod @pod of namespace @namespace_ was denied, by the feed
 * @text of denials.  Returns an exit code; what went wrong was reported. */
int learn_suggest(const char *text, size_t n, const char *namespace_, const char *pod,
		  bool allow_sensitive);

#endif
