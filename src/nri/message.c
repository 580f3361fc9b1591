/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes and encodes messages within limits on memory and size, and checks their strings: the
 * plain ones with unpack.c, the rest with protobuf-c. */
#include "nri/message.h"

#include "nri/ttrpc.h"
#include "nri/unpack.h"

#include <stdlib.h>
#include <string.h>

/* Buffers up to this size stay for the next answer. */
#define KEEP	    (64 * 1024)
/* What an envelope adds to a payload. */
#define PAYLOAD_MAX (NRI_TTRPC_DATA_MAX - NRI_TTRPC_ENVELOPE_MAX)

static void *decoder_alloc(void *data, size_t size)
{
	struct nri_decoder *d = data;
	void *p = kf_arena_alloc(&d->arena, size);

	if (!p)
		d->exhausted = true;
	return p;
}

static void decoder_free(void *data, void *p)
{
	(void)data;
	(void)p;
}

void nri_decoder_init(struct nri_decoder *decoder, size_t memory_max, enum nri_string_check check)
{
	*decoder = (struct nri_decoder){
		.check = check,
		.allocator = {decoder_alloc, decoder_free, decoder},
	};
	kf_arena_init(&decoder->arena, memory_max ? memory_max : NRI_MEMORY_MAX_DEFAULT);
}

void nri_decoder_done(struct nri_decoder *decoder)
{
	kf_arena_done(&decoder->arena);
}

void nri_decoder_reset(struct nri_decoder *decoder)
{
	kf_arena_reset(&decoder->arena);
	decoder->exhausted = false;
}

/* What @decoder's owner wants to hear about the strings; NULL if they are fine. */
static const char *bad_string(const struct nri_decoder *decoder,
			      const ProtobufCMessageDescriptor *desc, const void *data, size_t n)
{
	/* Most messages have no NUL byte anywhere. */
	if (!n || (decoder->check == NRI_CHECK_NO_NUL && !memchr(data, '\0', n)))
		return NULL;
	return nri_wire_bad_string(desc, data, n, decoder->check);
}

int nri_decode(struct nri_decoder *decoder, const ProtobufCMessageDescriptor *desc,
	       const void *data, size_t n, ProtobufCMessage **ret, struct nri_error *err)
{
	return nri_decode_event(decoder, desc, data, n, NRI__EVENT__UNKNOWN, ret, err);
}

int nri_decode_event(struct nri_decoder *decoder, const ProtobufCMessageDescriptor *desc,
		     const void *data, size_t n, Nri__Event event, ProtobufCMessage **ret,
		     struct nri_error *err)
{
	ProtobufCMessage *msg;
	const char *bad;

	nri_decoder_reset(decoder);
	if (decoder->check == NRI_CHECK_NO_NUL) {
		msg = nri_unpack_plain(&decoder->arena, desc, data, n, decoder->unused,
				       decoder->nunused, event);
		if (msg) {
			*ret = msg;
			return 0;
		}
		nri_decoder_reset(decoder);
	}
	msg = protobuf_c_message_unpack(desc, &decoder->allocator, n, data);
	if (!msg)
		return decoder->exhausted
			       ? nri_fail(err, NRI_RESOURCE_EXHAUSTED,
					  "%s of %zu bytes needs more than the %zu bytes of memory "
					  "that one message may take",
					  desc->short_name, n, decoder->arena.limit)
			       : nri_fail(err, NRI_INVALID_ARGUMENT, "%s: malformed message",
					  desc->short_name);
	bad = bad_string(decoder, desc, data, n);
	if (bad)
		return nri_fail(err, NRI_INVALID_ARGUMENT, "%s: field '%s' %s", desc->short_name,
				bad,
				decoder->check == NRI_CHECK_UTF8 ? "is not valid UTF-8"
								 : "contains a NUL byte");
	*ret = msg;
	return 0;
}

void nri_reply_init(struct nri_reply *reply)
{
	*reply = (struct nri_reply){.buf = KF_BUF_INIT(PAYLOAD_MAX)};
}

void nri_reply_done(struct nri_reply *reply)
{
	kf_buf_done(&reply->buf);
}

void nri_reply_reset(struct nri_reply *reply)
{
	if (reply->buf.cap > KEEP)
		kf_buf_done(&reply->buf);
	kf_buf_reset(&reply->buf);
	reply->failed = false;
}

/* The first failure is the one that is told. */
static void reply_fail(struct nri_reply *reply, const struct nri_error *err)
{
	if (!reply->failed)
		reply->err = *err;
	reply->failed = true;
}

static void too_large(const char *what, size_t n, struct nri_error *err)
{
	nri_error_set(err, NRI_RESOURCE_EXHAUSTED,
		      "%s of %zu bytes: more than the %d that may be sent, or out of memory", what,
		      n, PAYLOAD_MAX);
}

/* Encode @msg into @out, which has room for its packed size @n. */
static int pack_message(const ProtobufCMessage *msg, void *out, size_t n, struct nri_error *err)
{
	const char *bad;

	protobuf_c_message_pack(msg, out);
	bad = nri_wire_bad_string(msg->descriptor, out, n, NRI_CHECK_UTF8);
	return bad ? nri_fail(err, NRI_INVALID_ARGUMENT, "%s: field '%s' is not valid UTF-8",
			      msg->descriptor->short_name, bad)
		   : 0;
}

void nri_reply_add(struct nri_reply *reply, const ProtobufCMessage *msg)
{
	size_t n = protobuf_c_message_get_packed_size(msg);
	struct nri_error err;
	char *out;

	if (reply->failed)
		return;
	out = kf_buf_extend(&reply->buf, n);
	if (!out)
		too_large(msg->descriptor->short_name, n, &err);
	if (!out || pack_message(msg, out, n, &err) < 0)
		reply_fail(reply, &err);
}

void nri_reply_add_encoded(struct nri_reply *reply, const void *data, size_t n)
{
	struct nri_error err;

	kf_buf_add(&reply->buf, data, n);
	if (reply->buf.failed) {
		too_large("answer", n, &err);
		reply_fail(reply, &err);
	}
}

int nri_encode(const ProtobufCMessage *msg, void **ret, size_t *ret_n, struct nri_error *err)
{
	size_t n = protobuf_c_message_get_packed_size(msg);
	void *out = n <= PAYLOAD_MAX ? malloc(n ? n : 1) : NULL;

	if (!out) {
		too_large(msg->descriptor->short_name, n, err);
		return -1;
	}
	if (pack_message(msg, out, n, err) < 0) {
		free(out);
		return -1;
	}
	*ret = out;
	*ret_n = n;
	return 0;
}
