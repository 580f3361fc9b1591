/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of system calls, by name.  make_syscalls.c prints the table while building, in the
 * order of names. */
#include "nono-runc/syscalls.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* All names one behind the other, so that an entry needs no address. */
#define CALL(name, ...) char name##_[sizeof(#name)];
struct names {
#include "nono-runc/syscalls_table.h"
};
#undef CALL

#define CALL(name, ...) .name##_ = #name,
static const struct names names = {
#include "nono-runc/syscalls_table.h"
};
#undef CALL

#define CALL(name, a, b, c) {offsetof(struct names, name##_), {a, b, c}},
static const struct kf_syscall {
	uint16_t name;
	int16_t numbers[3];
} calls[] = {
#include "nono-runc/syscalls_table.h"
};
#undef CALL

_Static_assert(sizeof(struct names) <= UINT16_MAX, "an offset");

const struct kf_syscall *kf_syscall_find(const char *name)
{
	size_t from = 0, to = sizeof(calls) / sizeof(calls[0]);

	while (from < to) {
		const size_t middle = from + (to - from) / 2;
		const int order = strcmp(name, (const char *)&names + calls[middle].name);

		if (order == 0)
			return &calls[middle];
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

int kf_syscall_number(const struct kf_syscall *call, enum kf_syscall_arch arch)
{
	return call ? call->numbers[arch] : -1;
}
