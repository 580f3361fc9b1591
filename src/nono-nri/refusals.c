/* SPDX-License-Identifier: Apache-2.0 */
/* Remembers refusals, so that each is told once in the log and not every few seconds. */
#include "nono-nri/refusals.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

#define HOUR ((uint64_t)3600 * 1000000)

static struct kf_refusal *find_entry(struct kf_refusals *refusals, const char *key)
{
	struct kf_refusal *oldest = &refusals->v[0];

	for (size_t i = 0; i < KF_REFUSALS_MAX; i++) {
		struct kf_refusal *r = &refusals->v[i];

		if (r->seen && strcmp(r->key, key) == 0)
			return r;
		if (r->seen < oldest->seen)
			oldest = r;
	}
	*oldest = (struct kf_refusal){0};
	return oldest;
}

bool kf_refusals_tell(struct kf_refusals *refusals, const char *uid, const char *name,
		      const char *id, const char *reason, uint64_t now, unsigned *ret_times,
		      bool *ret_first)
{
	char text[1024], key[KF_SHA256_HEX + 1];
	struct kf_refusal *r;

	/* What is cut off can make two refusals one. */
	(void)snprintf(text, sizeof(text), "%.128s\n%.128s\n%.700s", uid, name, reason);
	kf_sha256_hex(text, strlen(text), key);
	r = find_entry(refusals, key);
	*ret_first = !r->seen;
	memcpy(r->key, key, sizeof(key));
	(void)snprintf(r->id, sizeof(r->id), "%s", id);
	r->seen = now;
	*ret_times = ++r->times;
	if (r->said && now - r->said < HOUR)
		return false;
	r->said = now;
	r->times = 0;
	return true;
}

bool kf_refusals_has(const struct kf_refusals *refusals, const char *id)
{
	for (size_t i = 0; i < KF_REFUSALS_MAX; i++)
		if (refusals->v[i].seen && strcmp(refusals->v[i].id, id) == 0)
			return true;
	return false;
}
