/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_TESTS_BPF_H
#define KF_TESTS_BPF_H

#include "kf_test.h"
#include "sandbox/filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>

/* What a kernel would answer to @data, by interpreting the program. */
static uint32_t run_program(const struct kf_filter_insn *prog, size_t n,
			    const struct seccomp_data *data)
{
	uint32_t a = 0, memory[BPF_MEMWORDS] = {0};
	size_t pc = 0;

	while (pc < n) {
		const struct kf_filter_insn *i = &prog[pc++];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(i->k % 4 == 0 && i->k + 4 <= sizeof(*data));
			memcpy(&a, (const char *)data + i->k, 4);
			break;
		case BPF_LD | BPF_MEM:
			assert_true(i->k < BPF_MEMWORDS);
			a = memory[i->k];
			break;
		case BPF_ST:
			assert_true(i->k < BPF_MEMWORDS);
			memory[i->k] = a;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			fail_msg("instruction %zu: code %#x", pc - 1, i->code);
		}
	}
	fail_msg("ran past the end");
	return 0;
}

#endif
