/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that decide what is ours (ours.c) and that take it out (ours_cut.c). */
#ifndef KF_NODE_OURS_INT_H
#define KF_NODE_OURS_INT_H

#include "node/ours.h"

/* Find @path in @root, whichever version's name the CRI plugin has there. */
const struct kf_toml_node *kf_ours_find(const struct kf_toml_node *root, const char *const *path);
/* The line of @text that holds @offset, without its end. */
struct kf_text kf_ours_line(const char *text, size_t offset);
/* Whether our text has @line. */
bool kf_ours_has_line(const struct kf_ours *o, struct kf_text line);

#endif
