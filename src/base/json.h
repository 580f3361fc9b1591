/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON.  Reading it is src/json. */
#ifndef KF_BASE_JSON_H
#define KF_BASE_JSON_H

#include "base/buf.h"

#include <stdbool.h>

/* Append one value; in an object @key is its name, a text of our own, in an array or alone it is
 * NULL.  What separates it from the value before is added.  A failure of @out is the caller's to
 * check. */
void kf_json_put_string(struct kf_buf *out, const char *key, const char *value); /* NULL: "" */
void kf_json_put_bool(struct kf_buf *out, const char *key, bool value);
void kf_json_put_number(struct kf_buf *out, const char *key, long long value);
/* An object or array, @bracket '{' or '[', to be closed with '}' or ']'. */
void kf_json_open(struct kf_buf *out, const char *key, char bracket);
void kf_json_close(struct kf_buf *out, char bracket);

#endif
