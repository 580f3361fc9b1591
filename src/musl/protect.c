/* SPDX-License-Identifier: Apache-2.0 */
/* What glibc's start does and musl's does not: RELRO in a static PIE. */
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

/* musl's start of a static PIE relocates, and leaves what it has relocated writable.  That this
 * fails leaves it so. */
__attribute__((constructor)) static void protect_relocations(void)
{
	extern const char __ehdr_start[] __attribute__((visibility("hidden")));
	const ElfW(Ehdr) *e = (const void *)__ehdr_start;
	const ElfW(Phdr) *p = (const void *)(__ehdr_start + e->e_phoff);
	const uintptr_t page = (uintptr_t)getauxval(AT_PAGESZ);
	const uintptr_t base = e->e_type == ET_DYN ? (uintptr_t)__ehdr_start : 0;

	for (unsigned i = 0; i < e->e_phnum; i++) {
		uintptr_t start = base + p[i].p_vaddr;
		uintptr_t end = (start + p[i].p_memsz) & ~(page - 1);

		start &= ~(page - 1);
		if (p[i].p_type == PT_GNU_RELRO && start < end)
			(void)mprotect((void *)start, end - start, PROT_READ);
	}
}
