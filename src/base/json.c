/* SPDX-License-Identifier: Apache-2.0 */
/* JSON, appended value by value.  Whether a comma belongs in front of a value shows in what was
 * written last. */
#include "base/json.h"

#include <string.h>

static void start_value(struct kf_buf *out, const char *key)
{
	const char last = out->n ? out->p[out->n - 1] : '\n';

	if (!strchr("{[\n", last))
		kf_buf_adds(out, ",");
	if (key)
		kf_buf_addf(out, "\"%s\":", key);
}

void kf_json_put_string(struct kf_buf *out, const char *key, const char *value)
{
	start_value(out, key);
	kf_buf_adds(out, "\"");
	kf_buf_add_json(out, value ? value : "");
	kf_buf_adds(out, "\"");
}

void kf_json_put_bool(struct kf_buf *out, const char *key, bool value)
{
	start_value(out, key);
	kf_buf_adds(out, value ? "true" : "false");
}

void kf_json_put_number(struct kf_buf *out, const char *key, long long value)
{
	start_value(out, key);
	kf_buf_addf(out, "%lld", value);
}

void kf_json_open(struct kf_buf *out, const char *key, char bracket)
{
	start_value(out, key);
	kf_buf_add(out, &bracket, 1);
}

void kf_json_close(struct kf_buf *out, char bracket)
{
	kf_buf_add(out, &bracket, 1);
}
