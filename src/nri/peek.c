/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a message are walked over, its strings found where they lie; nothing is copied. */
#include "nri/peek.h"

#include "base/cleanup.h"
#include "nri/wire.h"

#include <string.h>

/* Fields of a PodSandbox by their number; 0: one that is not asked for. */
#define MEMBER(name) (offsetof(struct nri_peek, name))
static const size_t members[] = {
	[1] = MEMBER(id),
	[2] = MEMBER(name),
	[3] = MEMBER(uid),
	[4] = MEMBER(pod_namespace),
	[7] = MEMBER(runtime_handler),
};
_Static_assert(MEMBER(id) > 0, "the first member is none of them");

/* The message's only field @number; false if that is not so. */
static bool find_only(const uint8_t *p, const uint8_t *end, uint32_t number, struct nri_field *ret)
{
	struct nri_field f;
	bool found = false;
	int more;

	while ((more = nri_wire_next(&p, end, &f)) > 0) {
		if (f.number != number)
			continue;
		/* Two would be merged. */
		if (found)
			return false;
		found = true;
		*ret = f;
	}
	return found && more == 0;
}

bool nri_peek_pod(const uint8_t *data, size_t n, uint32_t field, struct nri_peek *ret)
{
	struct nri_peek peek = {0};
	struct nri_field pod, f;
	const uint8_t *p, *end;
	int more;

	if (!n || !find_only(data, data + n, field, &pod) || pod.type != NRI_WIRE_BYTES)
		return false;
	p = pod.data;
	end = pod.data + pod.n;
	while ((more = nri_wire_next(&p, end, &f)) > 0) {
		struct nri_bytes *to;

		if (f.number >= KF_ARRAY_SIZE(members) || !members[f.number])
			continue;
		/* A decoder refuses NUL, and another type than a string's. */
		if (f.type != NRI_WIRE_BYTES || (f.n && memchr(f.data, '\0', f.n)))
			return false;
		to = (void *)((char *)&peek + members[f.number]);
		*to = (struct nri_bytes){(const char *)f.data, f.n};
	}
	if (more < 0)
		return false;
	*ret = peek;
	return true;
}

Nri__Event nri_peek_event(const uint8_t *data, size_t n)
{
	struct nri_field f;

	return n && find_only(data, data + n, 1, &f) && f.type == NRI_WIRE_VARINT && f.varint < 32
		       ? (Nri__Event)f.varint
		       : NRI__EVENT__UNKNOWN;
}
