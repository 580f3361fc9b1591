/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the place of musl's malloc().  The launcher lives for less than a
 * millisecond and then becomes another program: it never gives memory back, and
 * what it takes is bounded by the limits on its inputs.  musl's own costs 5 % of a start: brk(2),
 * mmap(2), and a page for each size. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN 16
#define CHUNK ((size_t)256 * 1024)
/* Enough for nearly every start, and there without a system call. */
#define FIRST ((size_t)128 * 1024)

/* In front of each allocation, so that realloc() knows how much to copy. */
struct head {
	_Alignas(ALIGN) size_t size;
};

/* Common: the linker puts it behind all other variables, which then share a page. */
extern char kf_first_chunk[];
__attribute__((common, aligned(ALIGN))) char kf_first_chunk[FIRST];
static char *chunk = kf_first_chunk;
static size_t left = FIRST;
/* What begins here in the chunk was never handed out, and is zero. */
static char *fresh = kf_first_chunk;

/* What an allocation of @size takes with its head; 0 if that is more than there can be. */
static size_t room_for(size_t size)
{
	size_t need;

	if (__builtin_add_overflow(size, sizeof(struct head) + ALIGN - 1, &need))
		return 0;
	return need & ~(size_t)(ALIGN - 1);
}

/* *ret_used: so many bytes of it were handed out before, if any; the others are zero. */
static void *take_room(size_t size, size_t *ret_used)
{
	const size_t need = room_for(size);
	struct head *head;

	if (!need) {
		errno = ENOMEM;
		return NULL;
	}
	if (need > left) {
		size_t room = need > CHUNK ? need : CHUNK;
		void *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		if (p == MAP_FAILED)
			return NULL;
		chunk = fresh = p;
		left = room;
	}
	head = (struct head *)(void *)chunk;
	head->size = size;
	chunk += need;
	left -= need;
	*ret_used = 0;
	if (fresh > (char *)(head + 1))
		*ret_used = (size_t)(fresh - (char *)(head + 1));
	if (fresh < chunk)
		fresh = chunk;
	return head + 1;
}

void *malloc(size_t size)
{
	size_t used;

	return take_room(size, &used);
}

void free(void *p)
{
	(void)p;
}

void *calloc(size_t n, size_t size)
{
	size_t total, used;
	void *p;

	if (__builtin_mul_overflow(n, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	p = take_room(total, &used);
	/* A page that nobody writes is none. */
	return p ? memset(p, 0, used < total ? used : total) : NULL;
}

/* The last allocation changes its size where it is: what is asked for generously and
 * then cut to what was needed touches no more pages than that. */
void *realloc(void *old, size_t size)
{
	const size_t need = room_for(size);
	struct head *head = old ? (struct head *)old - 1 : NULL;
	void *p;

	if (head && need && (char *)head + room_for(head->size) == chunk &&
	    need <= room_for(head->size) + left) {
		left += room_for(head->size) - need;
		chunk = (char *)head + need;
		head->size = size;
		if (fresh < chunk)
			fresh = chunk;
		return old;
	}
	p = malloc(size);
	if (p && head)
		memcpy(p, old, head->size < size ? head->size : size);
	return p;
}
