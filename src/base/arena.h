/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BASE_ARENA_H
#define KF_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct kf_arena_chunk;

/* Bump allocator with a cap: all that one request needs, released in one step.
 * The first chunk is kept by kf_arena_reset(), so a daemon's steady state does
 * not call malloc.  Not thread-safe. */
struct kf_arena {
	struct kf_arena_chunk *head; /* current chunk, newest first */
	size_t used;		     /* bytes handed out since the last reset */
	size_t limit;		     /* most bytes that may be handed out */
};

/* @limit: most bytes the arena hands out between resets.  Allocates nothing yet. */
void kf_arena_init(struct kf_arena *arena, size_t limit);
/* Release all memory; the arena may be initialised again. */
void kf_arena_done(struct kf_arena *arena);
/* Forget all allocations but keep one chunk for the next round. */
void kf_arena_reset(struct kf_arena *arena);
/* @size bytes aligned for any type, zeroed; NULL when over the limit or out of memory. */
void *kf_arena_alloc(struct kf_arena *arena, size_t size);
/* @count objects of @size bytes, overflow-checked, zeroed. */
void *kf_arena_calloc(struct kf_arena *arena, size_t count, size_t size);
/* Copy of the string @s; NULL as above. */
char *kf_arena_strdup(struct kf_arena *arena, const char *s);
char *kf_arena_printf(struct kf_arena *arena, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
