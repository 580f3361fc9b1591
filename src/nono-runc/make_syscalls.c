/* SPDX-License-Identifier: Apache-2.0 */
/* make_syscalls FAMILY: print the table of syscalls.c, which names and numbers the system calls of
 * a machine's architectures.  Runs while building; libseccomp knows them, and here is what it does
 * not know. */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X32_BIT	    0x40000000
/* As in syscalls.h: more than any architecture has. */
#define NUMBERS_MAX 1024
#define CALLS_MAX   2048
#define ARCHS	    3

/* Calls that libseccomp 2.5 does not know; the same numbers on all architectures. */
static const struct {
	const char *name;
	int number;
} newer[] = {
	{"futex_waitv", 449},	    {"set_mempolicy_home_node", 450},
	{"cachestat", 451},	    {"fchmodat2", 452},
	{"map_shadow_stack", 453},  {"futex_wake", 454},
	{"futex_wait", 455},	    {"futex_requeue", 456},
	{"statmount", 457},	    {"listmount", 458},
	{"lsm_get_self_attr", 459}, {"lsm_set_self_attr", 460},
	{"lsm_list_modules", 461},  {"mseal", 462},
	{"setxattrat", 463},	    {"getxattrat", 464},
	{"listxattrat", 465},	    {"removexattrat", 466},
	{"open_tree_attr", 467},    {"file_getattr", 468},
	{"file_setattr", 469},	    {"listns", 470},
	{"rseq_slice_yield", 471},
};
/* Of one architecture alone. */
#define URETPROBE 335 /* x86_64 */

struct machine {
	const char *name;
	uint32_t archs[ARCHS]; /* in the order of program.c; 0: no further one */
};

static const struct machine machines[] = {
	{"x86_64", {SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32}},
	{"aarch64", {SCMP_ARCH_AARCH64, SCMP_ARCH_ARM}},
};

static char *names[CALLS_MAX];
static size_t nnames;

/* @name is taken over. */
static void add_name(char *name)
{
	if (!name)
		abort();
	for (size_t i = 0; i < nnames; i++) {
		if (strcmp(names[i], name) == 0) {
			free(name);
			return;
		}
	}
	if (nnames == CALLS_MAX)
		abort();
	names[nnames++] = name;
}

static void add_names(uint32_t arch)
{
	for (int nr = 0; nr < NUMBERS_MAX; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(
			arch, arch == SCMP_ARCH_X32 ? nr | X32_BIT : nr);

		if (name)
			add_name(name);
	}
}

static int find_number(uint32_t arch, const char *name)
{
	int nr = seccomp_syscall_resolve_name_arch(arch, name);

	for (size_t i = 0; nr == __NR_SCMP_ERROR && i < sizeof(newer) / sizeof(newer[0]); i++)
		if (strcmp(newer[i].name, name) == 0)
			return newer[i].number;
	if (nr == __NR_SCMP_ERROR && strcmp(name, "uretprobe") == 0 &&
	    (arch == SCMP_ARCH_X86_64 || arch == SCMP_ARCH_X32))
		return URETPROBE;
	/* Negative ones are libseccomp's own, for calls that other architectures have. */
	if (nr >= 0 && arch == SCMP_ARCH_X32)
		nr &= ~X32_BIT;
	return nr >= 0 && nr < NUMBERS_MAX ? nr : -1;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int main(int argc, char **argv)
{
	const struct machine *f = NULL;

	for (size_t i = 0; argc == 2 && i < sizeof(machines) / sizeof(machines[0]); i++)
		if (strcmp(machines[i].name, argv[1]) == 0)
			f = &machines[i];
	if (!f) {
		fprintf(stderr, "usage: make_syscalls x86_64|aarch64\n");
		return 2;
	}
	for (size_t i = 0; i < ARCHS && f->archs[i]; i++)
		add_names(f->archs[i]);
	for (size_t i = 0; i < sizeof(newer) / sizeof(newer[0]); i++)
		add_name(strdup(newer[i].name));
	add_name(strdup("uretprobe"));
	qsort(names, nnames, sizeof(names[0]), compare_names);
	for (size_t i = 0; i < nnames; i++) {
		printf("CALL(%s", names[i]);
		for (size_t k = 0; k < ARCHS; k++)
			printf(", %d", f->archs[k] ? find_number(f->archs[k], names[i]) : -1);
		puts(")");
		free(names[i]);
	}
	return 0;
}
