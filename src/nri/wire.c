/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf's wire format: fields one after the other, and the strings in them. */
#include "nri/wire.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

/* Our message types nest less than this; it ends the recursion whatever a descriptor says. */
#define DEPTH_MAX 16
/* The largest field number that there is. */
#define FIELD_MAX ((1U << 29) - 1)

bool nri_wire_take_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
		uint8_t byte = *(*p)++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

/* A key or a length, which other decoders take in five bytes at most. */
static bool take_short(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	const uint8_t *start = *p;

	return nri_wire_take_varint(p, end, ret) && *p - start <= 5;
}

int nri_wire_next_any(const uint8_t **p, const uint8_t *end, struct nri_field *ret)
{
	struct nri_field f = {0};
	uint64_t key, n;

	if (*p == end)
		return 0;
	if (!take_short(p, end, &key) || key >> 3 == 0 || key >> 3 > FIELD_MAX)
		return -1;
	f.number = (uint32_t)(key >> 3);
	switch (key & 7) {
	case NRI_WIRE_VARINT:
		f.type = NRI_WIRE_VARINT;
		if (!nri_wire_take_varint(p, end, &f.varint))
			return -1;
		*ret = f;
		return 1;
	case NRI_WIRE_FIXED64:
		f.type = NRI_WIRE_FIXED64;
		n = 8;
		break;
	case NRI_WIRE_FIXED32:
		f.type = NRI_WIRE_FIXED32;
		n = 4;
		break;
	case NRI_WIRE_BYTES:
		f.type = NRI_WIRE_BYTES;
		if (!take_short(p, end, &n))
			return -1;
		break;
	default: /* groups are not proto3 */
		return -1;
	}
	if (n > (uint64_t)(end - *p))
		return -1;
	f.data = *p;
	f.n = (size_t)n;
	*p += n;
	*ret = f;
	return 1;
}

size_t nri_wire_put_varint(uint8_t *out, uint64_t value)
{
	size_t n = 0;

	for (; value >= 0x80; value >>= 7)
		out[n++] = (uint8_t)(value | 0x80);
	out[n++] = (uint8_t)value;
	return n;
}

size_t nri_wire_put_key(uint8_t *out, uint32_t number, uint64_t n)
{
	size_t used = nri_wire_put_varint(out, (uint64_t)number << 3 | NRI_WIRE_BYTES);

	return used + nri_wire_put_varint(out + used, n);
}

static bool string_ok(const struct nri_field *f, enum nri_string_check check)
{
	if (check == NRI_CHECK_UTF8)
		return kf_utf8_valid((const char *)f->data, f->n);
	return !f->n || !memchr(f->data, '\0', f->n);
}

/* Bounded by @depth, and by the types: they do not contain themselves. */
static const char *bad_string(const ProtobufCMessageDescriptor *desc, const uint8_t *p,
			      const uint8_t *end, enum nri_string_check check, unsigned depth)
{
	struct nri_field f;
	int more;

	if (!depth)
		return "?";
	while ((more = nri_wire_next(&p, end, &f)) > 0) {
		const ProtobufCFieldDescriptor *fd;
		const char *bad = NULL;

		if (f.type != NRI_WIRE_BYTES)
			continue;
		fd = protobuf_c_message_descriptor_get_field(desc, f.number);
		if (fd && fd->type == PROTOBUF_C_TYPE_STRING && !string_ok(&f, check))
			bad = fd->name;
		else if (fd && fd->type == PROTOBUF_C_TYPE_MESSAGE)
			bad = bad_string(fd->descriptor, f.data, f.data + f.n, check, depth - 1);
		if (bad)
			return bad;
	}
	return more < 0 ? "?" : NULL;
}

const char *nri_wire_bad_string(const ProtobufCMessageDescriptor *desc, const void *data, size_t n,
				enum nri_string_check check)
{
	const uint8_t *p = data;

	return n ? bad_string(desc, p, p + n, check, DEPTH_MAX) : NULL;
}
