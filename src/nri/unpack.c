/* SPDX-License-Identifier: Apache-2.0 */
/* A decoder in two passes, by protobuf-c's own descriptions: the first counts what the lists hold,
 * the second stores each field where it belongs. */
#include "nri/unpack.h"

#include "nri/wire.h"

#include <string.h>

/* More than any message of NRI has, of fields and of messages in one another. */
#define FIELDS_MAX   64
#define DEPTH_MAX    16
#define MESSAGES_MAX 8

struct unpack {
	struct kf_arena *arena;
	/* What is left out: bit N for the field of number N. */
	struct {
		const ProtobufCMessageDescriptor *message;
		uint64_t fields;
	} out[MESSAGES_MAX];
	size_t nout;
};

/* More kinds of messages than there is room for are decoded whole. */
static void leave_out(struct unpack *u, const struct nri_unused *unused)
{
	size_t i = 0;

	while (i < u->nout && u->out[i].message != unused->message)
		i++;
	if (i == MESSAGES_MAX || unused->field >= FIELDS_MAX)
		return;
	if (i == u->nout) {
		u->out[i].message = unused->message;
		u->out[i].fields = 0;
		u->nout++;
	}
	u->out[i].fields |= UINT64_C(1) << unused->field;
}

static uint64_t left_out(const struct unpack *u, const ProtobufCMessageDescriptor *desc)
{
	for (size_t i = 0; i < u->nout; i++)
		if (u->out[i].message == desc)
			return u->out[i].fields;
	return 0;
}

/* Numbers are mostly without gaps. */
static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *desc,
						uint32_t number)
{
	return number - 1 < desc->n_fields && desc->fields[number - 1].id == number
		       ? &desc->fields[number - 1]
		       : protobuf_c_message_descriptor_get_field(desc, number);
}

/* 0: not a kind that is decoded here. */
static size_t size_of(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(uint32_t);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	default:
		return 0;
	}
}

static bool is_plain(const ProtobufCFieldDescriptor *field)
{
	return (field->label == PROTOBUF_C_LABEL_NONE ||
		field->label == PROTOBUF_C_LABEL_REPEATED) &&
	       !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && size_of(field);
}

/* Whether the field's bytes are a list of numbers. */
static bool is_packed(const ProtobufCFieldDescriptor *field, const struct nri_field *f)
{
	return field->label == PROTOBUF_C_LABEL_REPEATED && f->type == NRI_WIRE_BYTES &&
	       field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE;
}

/* How many end in them. */
static size_t count_numbers(const struct nri_field *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += !(f->data[i] & 0x80);
	return n;
}

/* Make room for the elements of each list in @msg, after counting them. */
static bool make_lists(const struct unpack *u, ProtobufCMessage *msg, const uint8_t *p,
		       const uint8_t *end, uint64_t skip)
{
	const ProtobufCMessageDescriptor *desc = msg->descriptor;
	const ProtobufCFieldDescriptor *field;
	size_t counts[FIELDS_MAX] = {0};
	bool any = false;
	struct nri_field f;
	int more;

	for (unsigned i = 0; i < desc->n_fields; i++)
		any |= desc->fields[i].label == PROTOBUF_C_LABEL_REPEATED;
	if (!any)
		return true;
	while ((more = nri_wire_next(&p, end, &f)) > 0) {
		if (f.number < FIELDS_MAX && (skip >> f.number & 1))
			continue;
		field = field_of(desc, f.number);
		if (field && field->label == PROTOBUF_C_LABEL_REPEATED)
			counts[field - desc->fields] +=
				is_packed(field, &f) ? count_numbers(&f) : 1;
	}
	if (more < 0)
		return false;
	for (unsigned i = 0; i < desc->n_fields; i++) {
		void **list = (void *)((char *)msg + desc->fields[i].offset);

		if (!counts[i])
			continue;
		*list = kf_arena_calloc(u->arena, counts[i], size_of(&desc->fields[i]));
		if (!*list)
			return false;
	}
	return true;
}

static bool put_string(const struct unpack *u, const struct nri_field *f, char **ret)
{
	char *s;

	if (f->n && memchr(f->data, '\0', f->n))
		return false;
	s = kf_arena_alloc(u->arena, f->n + 1);
	if (!s)
		return false;
	if (f->n)
		memcpy(s, f->data, f->n);
	*ret = s;
	return true;
}

static ProtobufCMessage *unpack_message(const struct unpack *u,
					const ProtobufCMessageDescriptor *desc, const uint8_t *p,
					const uint8_t *end, unsigned depth);

/* One field's value, at its place in the message or in the list. */
static bool put_field(const struct unpack *u, const ProtobufCFieldDescriptor *field,
		      const struct nri_field *f, void *at, unsigned depth)
{
	const bool pointer =
		field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE;

	if (f->type != (pointer ? NRI_WIRE_BYTES : NRI_WIRE_VARINT))
		return false;
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return put_string(u, f, at);
	case PROTOBUF_C_TYPE_MESSAGE:
		/* Two pieces would be merged. */
		if (*(void **)at)
			return false;
		*(ProtobufCMessage **)at =
			unpack_message(u, field->descriptor, f->data, f->data + f->n, depth - 1);
		return *(void **)at;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at = f->varint != 0;
		return true;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		*(uint64_t *)at = f->varint;
		return true;
	default:
		*(uint32_t *)at = (uint32_t)f->varint;
		return true;
	}
}

static bool put_packed(const struct unpack *u, const ProtobufCFieldDescriptor *field,
		       const struct nri_field *f, char *at, size_t *n)
{
	struct nri_field number = {.type = NRI_WIRE_VARINT};
	const uint8_t *p = f->data, *end = f->data + f->n;

	while (p < end)
		if (!nri_wire_take_varint(&p, end, &number.varint) ||
		    !put_field(u, field, &number, at + (*n)++ * size_of(field), 1))
			return false;
	return true;
}

static ProtobufCMessage *unpack_message(const struct unpack *u,
					const ProtobufCMessageDescriptor *desc, const uint8_t *p,
					const uint8_t *end, unsigned depth)
{
	const uint64_t skip = left_out(u, desc);
	ProtobufCMessage *msg;
	struct nri_field f;
	int more;

	if (!depth || desc->n_fields > FIELDS_MAX)
		return NULL;
	msg = kf_arena_alloc(u->arena, desc->sizeof_message);
	if (!msg)
		return NULL;
	desc->message_init(msg);
	if (!make_lists(u, msg, p, end, skip))
		return NULL;
	while ((more = nri_wire_next(&p, end, &f)) > 0) {
		const ProtobufCFieldDescriptor *field;
		char *at;

		if (f.number < FIELDS_MAX && (skip >> f.number & 1))
			continue;
		field = field_of(desc, f.number);
		if (!field)
			continue;
		if (!is_plain(field))
			return NULL;
		at = (char *)msg + field->offset;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			size_t *n = (void *)((char *)msg + field->quantifier_offset);

			at = *(char **)(void *)at;
			if (is_packed(field, &f)) {
				if (!put_packed(u, field, &f, at, n))
					return NULL;
				continue;
			}
			at += (*n)++ * size_of(field);
		}
		if (!put_field(u, field, &f, at, depth))
			return NULL;
	}
	return more < 0 ? NULL : msg;
}

ProtobufCMessage *nri_unpack_plain(struct kf_arena *arena, const ProtobufCMessageDescriptor *desc,
				   const void *data, size_t n, const struct nri_unused *unused,
				   size_t nunused, Nri__Event event)
{
	const uint32_t bit = event ? NRI_EVENT_BIT(event) : 0;
	const uint8_t *p = n ? data : (const void *)"";
	struct unpack u = {.arena = arena};

	for (size_t i = 0; i < nunused; i++)
		if (unused[i].events & bit)
			leave_out(&u, &unused[i]);
	return unpack_message(&u, desc, p, p + n, DEPTH_MAX);
}
