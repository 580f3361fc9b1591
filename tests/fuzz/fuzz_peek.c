/* SPDX-License-Identifier: Apache-2.0 */
/* A request, as bytes, decoded by protobuf-c and by libnri's two short cuts: the pod that the
 * filter is asked about is the one that is decoded, and what nri_unpack_plain() makes of a message
 * is what protobuf-c makes of it.  The first byte of the input chooses the kind of request. */
#include "base/cleanup.h"
#include "nri/message.h"
#include "nri/peek.h"
#include "nri/unpack.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MEMORY (64 * 1024 * 1024)

static const struct {
	const ProtobufCMessageDescriptor *desc;
	uint32_t pod; /* the field's number */
} kinds[] = {
	{&nri__create_container_request__descriptor, 1},
	{&nri__validate_container_adjustment_request__descriptor, 1},
	{&nri__container_request__descriptor, 1},
	{&nri__state_change_event__descriptor, 2},
	{&nri__synchronize_request__descriptor, 0},
};

static void need_equal(struct nri_bytes bytes, const char *s)
{
	if (!nri_bytes_equal(bytes, s))
		abort();
}

/* The decoded message's pod; NULL if it has none. */
static const Nri__PodSandbox *pod_of(const ProtobufCMessage *msg, size_t kind)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(kinds[kind].desc, kinds[kind].pod);

	return *(Nri__PodSandbox *const *)(const void *)((const char *)msg + field->offset);
}

static void check_peek(const uint8_t *data, size_t n, size_t kind)
{
	struct nri_decoder decoder;
	struct nri_peek peek;
	ProtobufCMessage *msg;
	const Nri__PodSandbox *pod;

	if (!kinds[kind].pod || !nri_peek_pod(data, n, kinds[kind].pod, &peek))
		return;
	nri_decoder_init(&decoder, MEMORY, NRI_CHECK_NO_NUL);
	if (nri_decode(&decoder, kinds[kind].desc, data, n, &msg, NULL) == 0) {
		pod = pod_of(msg, kind);
		if (!pod)
			abort();
		need_equal(peek.id, pod->id);
		need_equal(peek.name, pod->name);
		need_equal(peek.uid, pod->uid);
		need_equal(peek.pod_namespace, pod->pod_namespace);
		need_equal(peek.runtime_handler, pod->runtime_handler);
	}
	nri_decoder_done(&decoder);
}

struct bytes {
	void *data;
	size_t n;
};

static struct bytes pack(const ProtobufCMessage *msg)
{
	struct bytes b = {.n = protobuf_c_message_get_packed_size(msg)};

	b.data = malloc(b.n + 1);
	if (!b.data)
		abort();
	protobuf_c_message_pack(msg, b.data);
	return b;
}

static ProtobufCMessage *plain(struct kf_arena *arena, const void *data, size_t n, size_t kind)
{
	return nri_unpack_plain(arena, kinds[kind].desc, data, n, NULL, 0, NRI__EVENT__UNKNOWN);
}

static void check_unpack(const uint8_t *data, size_t n, size_t kind)
{
	struct bytes ours = {0}, theirs = {0}, again = {0};
	ProtobufCMessage *fast, *slow, *other;
	struct kf_arena arena, second;

	kf_arena_init(&arena, MEMORY);
	kf_arena_init(&second, MEMORY);
	fast = plain(&arena, data, n, kind);
	if (fast) {
		slow = protobuf_c_message_unpack(kinds[kind].desc, NULL, n, data);
		if (!slow)
			abort();
		ours = pack(fast);
		theirs = pack(slow);
		/* Once more, for protobuf-c keeps fields that nobody knows. */
		other = plain(&second, theirs.data, theirs.n, kind);
		if (!other)
			abort();
		again = pack(other);
		if (ours.n != again.n || memcmp(ours.data, again.data, ours.n) != 0)
			abort();
		protobuf_c_message_free_unpacked(slow, NULL);
	}
	free(ours.data);
	free(theirs.data);
	free(again.data);
	kf_arena_done(&arena);
	kf_arena_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t kind;

	if (!n)
		return 0;
	kind = data[0] % KF_ARRAY_SIZE(kinds);
	check_peek(data + 1, n - 1, kind);
	check_unpack(data + 1, n - 1, kind);
	return 0;
}
