/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that the kernel answers with an error of the test's choice, for a thread of apart():
 * as an older kernel does, or a container's seccomp policy. */
#ifndef KF_TESTS_REFUSE_H
#define KF_TESTS_REFUSE_H

#include "valgrind.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REFUSALS_MAX 8
#define ANY_OPTION   UINT32_MAX

struct refusal {
	unsigned call;
	uint32_t option; /* its first argument; ANY_OPTION: any */
	unsigned error;
};

/* Nor under valgrind, whose own calls would be refused as well. */
static inline bool can_refuse_calls(void)
{
	return geteuid() == 0 && !under_valgrind();
}

/* By root, who needs no no_new_privs for it. */
static inline bool refuse_calls(const struct refusal *refusals, size_t n)
{
	struct sock_filter prog[REFUSALS_MAX * 5 + 1];
	struct sock_fprog program = {.filter = prog};
	unsigned short k = 0;

	for (size_t i = 0; i < n && i < REFUSALS_MAX; i++) {
		const struct refusal *r = &refusals[i];

		prog[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							 offsetof(struct seccomp_data, nr));
		prog[k++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->call, 0, 3);
		prog[k++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							 offsetof(struct seccomp_data, args));
		prog[k++] = r->option == ANY_OPTION
				    ? (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 0, 0, 0)
				    : (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
								   r->option, 0, 1);
		prog[k++] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | r->error);
	}
	prog[k++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = k;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#endif
