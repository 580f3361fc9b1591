/* SPDX-License-Identifier: Apache-2.0 */
/* src/confine: the seccomp program that is made of the parts' lists. */
#include "base/cleanup.h"
#include "bpf.h"
#include "confine/confine.h"
#include "confine/filter.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCH  AUDIT_ARCH_X86_64
#define OTHER AUDIT_ARCH_I386
#else
#define ARCH  AUDIT_ARCH_AARCH64
#define OTHER AUDIT_ARCH_ARM
#endif
#define REFUSED (SECCOMP_RET_ERRNO | EPERM)
#define CALLS	600 /* more than any architecture has */

static uint32_t run(const struct kf_calls *const *calls, size_t n, const struct seccomp_data *data)
{
	struct sock_filter prog[KF_CONFINE_PROGRAM_MAX];
	size_t length = kf_confine_program(calls, n, REFUSED, prog);

	assert_true(length > 0);
	_Static_assert(sizeof(*prog) == sizeof(struct kf_filter_insn), "the kernel's instruction");
	return run_program((const struct kf_filter_insn *)prog, length, data);
}

static uint32_t answer(const struct kf_calls *const *calls, size_t n, unsigned nr)
{
	return run(calls, n, &(struct seccomp_data){.arch = ARCH, .nr = (int)nr});
}

static bool listed(const struct kf_calls *calls, unsigned nr)
{
	for (size_t i = 0; i < calls->n; i++)
		if (calls->v[i].nr == nr)
			return true;
	return false;
}

static void exactly_what_a_list_names_is_allowed(void **state)
{
	static const struct kf_call v[] = {KF_CALL(read),    KF_CALL(exit_group), KF_CALL(openat),
					   KF_CALL(close),   KF_CALL(getpid),	  KF_CALL(renameat),
					   KF_CALL(openat2), KF_CALL(close),	  KF_CALL(fsync),
					   KF_CALL(futex)};

	(void)state;
	/* Of every length, so that each shape of the search is met. */
	for (size_t n = 0; n <= KF_ARRAY_SIZE(v); n++) {
		const struct kf_calls list = {v, n}, *calls[] = {&list};

		for (unsigned nr = 0; nr < CALLS; nr++)
			assert_int_equal(answer(calls, 1, nr),
					 listed(&list, nr) ? SECCOMP_RET_ALLOW : REFUSED);
	}
}

static void lists_add_up_and_may_overlap(void **state)
{
	static const struct kf_call a[] = {KF_CALL(read), KF_CALL(write)};
	static const struct kf_call b[] = {KF_CALL(write), KF_CALL(close)};
	static const struct kf_calls first = {a, 2}, second = {b, 2};
	static const struct kf_calls *const calls[] = {&first, &second}, *const once[] = {&first};
	struct sock_filter prog[KF_CONFINE_PROGRAM_MAX];
	size_t both = kf_confine_program(calls, 2, REFUSED, prog);

	(void)state;
	assert_int_equal(answer(calls, 2, SYS_read), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(calls, 2, SYS_write), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(calls, 2, SYS_close), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(calls, 2, SYS_execve), REFUSED);
	/* one more row, of two instructions */
	assert_int_equal(both, kf_confine_program(once, 1, REFUSED, prog) + 2);
}

static void arguments_are_checked_where_a_list_says_so(void **state)
{
	static const struct kf_call v[] = {KF_CALL_IS(socket, 0, AF_UNIX),
					   KF_CALL_IS(socket, 0, AF_INET),
					   KF_CALL_NOT(mmap, 2, PROT_EXEC), KF_CALL(read)};
	static const struct kf_calls list = {v, KF_ARRAY_SIZE(v)}, *const calls[] = {&list};
	static const struct {
		int nr;
		unsigned arg;
		uint64_t value;
		bool allowed;
	} cases[] = {
		{SYS_socket, 0, AF_UNIX, true},
		{SYS_socket, 0, AF_INET, true},
		{SYS_socket, 0, AF_INET6, false},
		{SYS_socket, 0, AF_NETLINK, false},
		/* the kernel reads an int there */
		{SYS_socket, 0, UINT64_C(0x100000000) | AF_UNIX, true},
		{SYS_mmap, 2, PROT_READ | PROT_WRITE, true},
		{SYS_mmap, 2, PROT_READ | PROT_EXEC, false},
		{SYS_mmap, 2, PROT_EXEC, false},
		{SYS_read, 2, PROT_EXEC, true},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct seccomp_data data = {.arch = ARCH, .nr = cases[i].nr};

		data.args[cases[i].arg] = cases[i].value;
		assert_int_equal(run(calls, 1, &data),
				 cases[i].allowed ? SECCOMP_RET_ALLOW : REFUSED);
	}
}

static void another_architecture_ends_the_process(void **state)
{
	static const struct kf_calls *const calls[] = {&kf_libc_calls};
	const struct seccomp_data other = {.arch = OTHER, .nr = SYS_read};
	const struct seccomp_data x32 = {.arch = ARCH, .nr = 0x40000000 | SYS_read};

	(void)state;
	assert_int_equal(answer(calls, 1, SYS_read), SECCOMP_RET_ALLOW);
	assert_int_equal(run(calls, 1, &other), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run(calls, 1, &x32), REFUSED);
}

static void too_many_rows_are_an_error(void **state)
{
	static struct kf_call v[KF_CONFINE_CALLS_MAX + 1];
	struct sock_filter prog[KF_CONFINE_PROGRAM_MAX];
	struct kf_calls list = {v, KF_CONFINE_CALLS_MAX};
	const struct kf_calls *calls[] = {&list};

	(void)state;
	for (unsigned i = 0; i < KF_ARRAY_SIZE(v); i++)
		v[i] = (struct kf_call){.nr = i};
	assert_int_not_equal(kf_confine_program(calls, 1, REFUSED, prog), 0);
	list.n++;
	assert_int_equal(kf_confine_program(calls, 1, REFUSED, prog), 0);
	/* and so is too long a program */
	for (unsigned i = 0; i < KF_ARRAY_SIZE(v); i++)
		v[i] = (struct kf_call)KF_CALL_IS(read, 0, i);
	list.n--;
	assert_int_equal(kf_confine_program(calls, 1, REFUSED, prog), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_what_a_list_names_is_allowed),
		cmocka_unit_test(lists_add_up_and_may_overlap),
		cmocka_unit_test(arguments_are_checked_where_a_list_says_so),
		cmocka_unit_test(another_architecture_ends_the_process),
		cmocka_unit_test(too_many_rows_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
