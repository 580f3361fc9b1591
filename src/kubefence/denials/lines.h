/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of JSON, as "kubefence denials" tells them, for people. */
#ifndef KF_KUBEFENCE_DENIALS_LINES_H
#define KF_KUBEFENCE_DENIALS_LINES_H

#include "base/buf.h"

#include <stdbool.h>

struct json_object;

/* Which lines, and how; NULL: all. */
struct kf_lines_want {
	const char *namespace_, *pod, *container;
	bool json; /* unchanged */
};

/* Append what the line @object says as one sentence, without its end: when, who, what.  Nothing if
 * it is no such line.  What others have named is not escaped. */
void kf_lines_format(struct json_object *object, struct kf_buf *out);
/* Print @line, without its end, if it is wanted.  What is no such line is passed over. */
void kf_lines_print(const char *line, const struct kf_lines_want *want);

#endif
