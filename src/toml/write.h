/* SPDX-License-Identifier: Apache-2.0 */
/* TOML's notation of keys and strings. */
#ifndef KF_TOML_WRITE_H
#define KF_TOML_WRITE_H

#include "base/buf.h"

/* Append @key as TOML wants it written: bare if it can be. */
void kf_toml_put_key(struct kf_buf *buf, const char *key);
/* Append @s as a basic string with its quotes. */
void kf_toml_put_string(struct kf_buf *buf, const char *s);

#endif
