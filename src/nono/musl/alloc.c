/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the place of musl's malloc().  The launcher lives for less than a
 * millisecond and then becomes another program: it never gives memory back, and
 * what it takes is bounded by the limits on its inputs. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN 16
#define CHUNK ((size_t)256 * 1024)

/* In front of each allocation, so that realloc() knows how much to copy. */
struct head {
	_Alignas(ALIGN) size_t size;
};

static char *chunk;
static size_t left;

void *malloc(size_t size)
{
	struct head *head;
	size_t need;

	if (__builtin_add_overflow(size, sizeof(*head) + ALIGN - 1, &need)) {
		errno = ENOMEM;
		return NULL;
	}
	need &= ~(size_t)(ALIGN - 1);
	if (need > left) {
		size_t room = need > CHUNK ? need : CHUNK;
		void *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		if (p == MAP_FAILED)
			return NULL;
		chunk = p;
		left = room;
	}
	head = (struct head *)(void *)chunk;
	head->size = size;
	chunk += need;
	left -= need;
	return head + 1;
}

void free(void *p)
{
	(void)p;
}

void *calloc(size_t n, size_t size)
{
	size_t total;

	if (__builtin_mul_overflow(n, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	return malloc(total); /* fresh pages are zero, and none is used twice */
}

void *realloc(void *old, size_t size)
{
	void *p = malloc(size);

	if (p && old) {
		size_t had = ((struct head *)old)[-1].size;

		memcpy(p, old, had < size ? had : size);
	}
	return p;
}
