/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and strings in TOML's notation.  Where they are inserted into a document is decided in
 * edit.c. */
#include "toml/write.h"

#include <string.h>

static bool is_bare_key(const char *key)
{
	static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	return *key && key[strspn(key, ok)] == '\0';
}

void kf_toml_put_string(struct kf_buf *buf, const char *s)
{
	kf_buf_adds(buf, "\"");
	for (; *s; s++)
		if (*s == '"' || *s == '\\')
			kf_buf_addf(buf, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			kf_buf_addf(buf, "\\u%04X", (unsigned)(unsigned char)*s);
		else
			kf_buf_add(buf, s, 1);
	kf_buf_adds(buf, "\"");
}

void kf_toml_put_key(struct kf_buf *buf, const char *key)
{
	if (is_bare_key(key))
		kf_buf_adds(buf, key);
	else
		kf_toml_put_string(buf, key);
}
