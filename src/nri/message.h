/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NRI_MESSAGE_H
#define KF_NRI_MESSAGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "nri/wire.h"

#include <nri/nri.h>

#define NRI_MEMORY_MAX_DEFAULT (64 * 1024 * 1024)

/* Decodes one message at a time into memory with a cap: what a peer can make us
 * hold is known, and all of it is released in one step. */
struct nri_decoder {
	struct kf_arena arena;
	enum nri_string_check check;
	bool exhausted;
	ProtobufCAllocator allocator;
	const struct nri_unused *unused;
	size_t nunused;
};

/* @memory_max: 0 means NRI_MEMORY_MAX_DEFAULT.  The decoder must not move afterwards. */
void nri_decoder_init(struct nri_decoder *decoder, size_t memory_max, enum nri_string_check check);
void nri_decoder_done(struct nri_decoder *decoder);
/* Decode the @n bytes at @data; *ret is valid until the next call or nri_decoder_reset(). */
int nri_decode(struct nri_decoder *decoder, const ProtobufCMessageDescriptor *desc,
	       const void *data, size_t n, ProtobufCMessage **ret, struct nri_error *err);
/* The same for a request about @event, whose unused fields need not be there. */
int nri_decode_event(struct nri_decoder *decoder, const ProtobufCMessageDescriptor *desc,
		     const void *data, size_t n, Nri__Event event, ProtobufCMessage **ret,
		     struct nri_error *err);
/* Release what was decoded. */
void nri_decoder_reset(struct nri_decoder *decoder);

struct nri_reply {
	struct kf_buf buf;
	bool failed;
	struct nri_error err; /* why, if failed */
};

void nri_reply_init(struct nri_reply *reply);
void nri_reply_done(struct nri_reply *reply);
/* Empty, for the next answer. */
void nri_reply_reset(struct nri_reply *reply);

#endif
