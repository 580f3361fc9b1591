/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of plain messages, which is all that runtimes send, in a fraction of protobuf-c's time.
 */
#ifndef KF_NRI_UNPACK_H
#define KF_NRI_UNPACK_H

#include "base/arena.h"

#include <nri/nri.h>

/* Decode the @n bytes at @data into memory of @arena, without the fields that @unused names for
 * @event.  NULL if the message is not plain: malformed, with NUL in a string, with a submessage in
 * two pieces, with a field of a kind that NRI does not have, or too large for the arena.  What
 * became of it is then for protobuf_c_message_unpack() to say, which otherwise finds the same but
 * for unknown fields. */
ProtobufCMessage *nri_unpack_plain(struct kf_arena *arena, const ProtobufCMessageDescriptor *desc,
				   const void *data, size_t n, const struct nri_unused *unused,
				   size_t nunused, Nri__Event event);

#endif
