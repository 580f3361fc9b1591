/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf's wire format, as far as the envelopes and the string checks need it. */
#ifndef KF_NRI_WIRE_H
#define KF_NRI_WIRE_H

#include <protobuf-c/protobuf-c.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nri_wire_type { NRI_WIRE_VARINT, NRI_WIRE_FIXED64, NRI_WIRE_BYTES, NRI_WIRE_FIXED32 = 5 };

struct nri_field {
	uint32_t number;
	enum nri_wire_type type;
	uint64_t varint;     /* NRI_WIRE_VARINT */
	const uint8_t *data; /* NRI_WIRE_BYTES, borrowed */
	size_t n;
};

/* Take the next field off the message that reaches from *@p to @end.  1: there is one; 0: the
 * message ends here; -1: it is malformed. */
int nri_wire_next_any(const uint8_t **p, const uint8_t *end, struct nri_field *ret);
/* The same, without a call for what most fields are: short, with a low number. */
static inline int nri_wire_next(const uint8_t **p, const uint8_t *end, struct nri_field *ret)
{
	const uint8_t *at = *p;

	if (end - at < 2 || (at[0] & 0x87) != NRI_WIRE_BYTES || at[0] >> 3 == 0 || at[1] & 0x80 ||
	    at[1] > end - at - 2)
		return nri_wire_next_any(p, end, ret);
	ret->number = at[0] >> 3;
	ret->type = NRI_WIRE_BYTES;
	ret->data = at + 2;
	ret->n = at[1];
	*p = ret->data + ret->n;
	return 1;
}

/* Take a number off *@p; false if none ends before @end. */
bool nri_wire_take_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret);

/* Write @value at @out (room for NRI_VARINT_MAX bytes); returns the bytes used. */
#define NRI_VARINT_MAX 10
size_t nri_wire_put_varint(uint8_t *out, uint64_t value);
/* Write the key and length of a field whose @n bytes follow. */
size_t nri_wire_put_key(uint8_t *out, uint32_t number, uint64_t n);

enum nri_string_check {
	NRI_CHECK_NO_NUL, /* a C string could not show what is behind a NUL */
	NRI_CHECK_UTF8,	  /* what Go insists on when it decodes */
};

/* Name of the first string field of the encoded message that fails @check, or
 * NULL.  Malformed input fails, as the field "?". */
const char *nri_wire_bad_string(const ProtobufCMessageDescriptor *desc, const void *data, size_t n,
				enum nri_string_check check);

#endif
