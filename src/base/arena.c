/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one request, handed out piece by piece and released as a whole.  A string that grows is
 * a kf_buf (buf.c), not an arena. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One chunk of this size is kept between requests and is enough for most of them.  Larger chunks go
 * back to the system, so that one huge request does not keep a daemon's memory large. */
#define CHUNK (64 * 1024)

struct kf_arena_chunk {
	struct kf_arena_chunk *next;
	size_t size, used;
	alignas(max_align_t) unsigned char data[];
};

void kf_arena_init(struct kf_arena *arena, size_t limit)
{
	*arena = (struct kf_arena){.limit = limit};
}

void kf_arena_done(struct kf_arena *arena)
{
	struct kf_arena_chunk *c = arena->head, *next;

	for (; c; c = next) {
		next = c->next;
		free(c);
	}
	arena->head = NULL;
	arena->used = 0;
}

void kf_arena_reset(struct kf_arena *arena)
{
	struct kf_arena_chunk *keep = NULL, *c = arena->head, *next;

	for (; c; c = next) {
		next = c->next;
		if (!keep && c->size == CHUNK)
			keep = c;
		else
			free(c);
	}
	/* Unused memory is always zero: cleared in one go here, not in each of many
	 * small pieces. */
	if (keep) {
		memset(keep->data, 0, keep->used);
		keep->next = NULL;
		keep->used = 0;
	}
	arena->head = keep;
	arena->used = 0;
}

void *kf_arena_alloc(struct kf_arena *arena, size_t size)
{
	struct kf_arena_chunk *c = arena->head;
	size_t need, total;
	void *p;

	if (__builtin_add_overflow(size, alignof(max_align_t) - 1, &need))
		return NULL;
	need &= ~(alignof(max_align_t) - 1);
	if (!need)
		need = alignof(max_align_t);
	if (__builtin_add_overflow(arena->used, need, &total) || total > arena->limit)
		return NULL;
	if (!c || c->size - c->used < need) {
		size_t room = need > CHUNK ? need : CHUNK;

		if (__builtin_add_overflow(room, sizeof(*c), &total))
			return NULL;
		c = calloc(1, total);
		if (!c)
			return NULL;
		c->next = arena->head;
		c->size = room;
		arena->head = c;
	}
	p = c->data + c->used;
	c->used += need;
	arena->used += need;
	return p;
}

void *kf_arena_calloc(struct kf_arena *arena, size_t count, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	return kf_arena_alloc(arena, total);
}

char *kf_arena_strdup(struct kf_arena *arena, const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = kf_arena_alloc(arena, n);

	return p ? memcpy(p, s, n) : NULL;
}

char *kf_arena_printf(struct kf_arena *arena, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return NULL;
	p = kf_arena_alloc(arena, (size_t)n + 1);
	if (!p)
		return NULL;
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}
