/* SPDX-License-Identifier: Apache-2.0 */
/* nono: put this process into the sandbox of a profile, then become the workload. */
#include "base/cleanup.h"
#include "nono/command.h"
#include "nono/report.h"

#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

static const struct {
	char name[8];
	int (*run)(char **argv);
} commands[] = {
	{"wrap", kf_nono_wrap},
	/* The same for people in a container: a sandbox within its own one, only ever narrower. */
	{"run", kf_nono_wrap},
	{"bwrap", kf_nono_bwrap},
	{"why", kf_nono_why},
	{"setup", kf_nono_setup},
};

/* musl's start of a static PIE relocates, and leaves what it has relocated writable.  That this
 * fails leaves it so. */
static void protect_relocations(void)
{
	extern const char __ehdr_start[] __attribute__((visibility("hidden")));
	const ElfW(Ehdr) *e = (const void *)__ehdr_start;
	const ElfW(Phdr) *p = (const void *)(__ehdr_start + e->e_phoff);
	const uintptr_t page = (uintptr_t)getauxval(AT_PAGESZ);

	for (unsigned i = 0; i < e->e_phnum; i++) {
		uintptr_t start = (uintptr_t)__ehdr_start + p[i].p_vaddr;
		uintptr_t end = (start + p[i].p_memsz) & ~(page - 1);

		start &= ~(page - 1);
		if (p[i].p_type == PT_GNU_RELRO && start < end)
			(void)mprotect((void *)start, end - start, PROT_READ);
	}
}

int main(int argc, char **argv)
{
	struct kf_err err;

	(void)argc;
	protect_relocations();
	/* "nono -s wrap ..." is accepted as well. */
	while (*argv && argv[1] && (strcmp(argv[1], "-s") == 0 || strcmp(argv[1], "--silent") == 0))
		argv++;
	if (!*argv || !argv[1]) {
		kf_nono_print_help(STDERR_FILENO);
		return KF_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return kf_nono_help();
	if (strcmp(argv[1], "--version") == 0) {
		kf_nono_print(STDOUT_FILENO, "nono " KF_VERSION "\n");
		return 0;
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argv + 2);
	kf_err_set(&err, EINVAL, "there is no command '%s'", argv[1]);
	return kf_nono_usage(&err);
}
