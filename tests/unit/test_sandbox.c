/* SPDX-License-Identifier: Apache-2.0 */
/* src/sandbox: rights per ABI and object type, the socket filter, the environment. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "bpf.h"
#include "flat/flat.h"
#include "kf_test.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/process.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define R	     KF_FS_READ
#define W	     KF_FS_WRITE
#define X	     KF_FS_EXEC

/* Bits of the kernel's documentation, written out again. */
#define EXECUTE	     0x1u
#define WRITE_FILE   0x2u
#define READ_FILE    0x4u
#define READ_DIR     0x8u
#define MAKE_CHAR    0x40u
#define MAKE_BLOCK   0x800u
#define REFER	     0x2000u
#define TRUNCATE     0x4000u
#define IOCTL_DEV    0x8000u
#define RESOLVE_UNIX 0x10000u

static void rights_follow_access_and_object(void **state)
{
	(void)state;
	assert_int_equal(kf_landlock_rights(7, R, S_IFDIR, KF_LANDLOCK_ELSEWHERE),
			 READ_FILE | READ_DIR);
	assert_int_equal(kf_landlock_rights(7, R, S_IFREG, KF_LANDLOCK_ELSEWHERE), READ_FILE);
	assert_int_equal(kf_landlock_rights(7, X, S_IFREG, KF_LANDLOCK_ELSEWHERE), EXECUTE);
	assert_int_equal(kf_landlock_rights(7, R | X, S_IFDIR, KF_LANDLOCK_ELSEWHERE),
			 EXECUTE | READ_FILE | READ_DIR);
	assert_int_equal(kf_landlock_rights(7, W, S_IFREG, KF_LANDLOCK_ELSEWHERE),
			 WRITE_FILE | TRUNCATE);
	assert_int_equal(kf_landlock_rights(7, R | W, S_IFCHR, KF_LANDLOCK_DEV),
			 READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV);
	assert_int_equal(kf_landlock_rights(7, R, S_IFCHR, KF_LANDLOCK_DEV), READ_FILE);
	assert_int_equal(kf_landlock_rights(7, 0, S_IFDIR, KF_LANDLOCK_DEV), 0);
	/* Sockets of a read-only volume */
	assert_int_equal(kf_landlock_rights(9, R | KF_LANDLOCK_CONNECT, S_IFDIR,
					    KF_LANDLOCK_ELSEWHERE),
			 READ_FILE | READ_DIR | RESOLVE_UNIX);
	assert_int_equal(kf_landlock_rights(8, KF_LANDLOCK_CONNECT, S_IFDIR, KF_LANDLOCK_ELSEWHERE),
			 0);
	/* So that the launcher can prove that it is inside: no renaming in /proc. */
	assert_int_equal(kf_landlock_rights(9, R | W, S_IFDIR, KF_LANDLOCK_PROC),
			 READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | RESOLVE_UNIX);
}

static void no_abi_gets_rights_it_does_not_know(void **state)
{
	static const struct {
		int abi;
		uint64_t known;
	} cases[] = {
		{1, 0x1fff}, {2, 0x3fff}, {3, 0x7fff}, {4, 0x7fff},  {5, 0xffff},
		{6, 0xffff}, {7, 0xffff}, {8, 0xffff}, {9, 0x1ffff}, {12, 0x1ffff},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		uint64_t all =
			kf_landlock_rights(cases[i].abi, R | W | X, S_IFDIR, KF_LANDLOCK_DEV);

		assert_int_equal(all & ~cases[i].known, 0);
		/* everything the ABI has, but the making of device nodes */
		assert_int_equal(all, cases[i].known & ~(uint64_t)(MAKE_CHAR | MAKE_BLOCK));
	}
}

static uint32_t run(const struct kf_filter *filter, const struct seccomp_data *data)
{
	struct kf_filter_insn prog[KF_FILTER_MAX];
	size_t n = kf_filter_build(filter, prog);

	assert_true(n > 0 && n <= KF_FILTER_MAX);
	return run_program(prog, n, data);
}

#define ARCH  AUDIT_ARCH_X86_64
#define ALLOW SECCOMP_RET_ALLOW
#define E(n)  (SECCOMP_RET_ERRNO | (n))

struct call {
	uint32_t arch;
	int nr;
	uint64_t a0, a1, a2, a3;
	uint32_t want;
};

static void check(const struct kf_filter *filter, const struct call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct call *c = &calls[i];
		const struct seccomp_data data = {
			.arch = c->arch, .nr = c->nr, .args = {c->a0, c->a1, c->a2, c->a3}};
		uint32_t got = run(filter, &data);

		if (got != c->want)
			fail_msg("case %zu: got %#x, want %#x", i, got, c->want);
	}
}

#if defined(__x86_64__)
static void blocked_network_leaves_unix_and_route_netlink(void **state)
{
	static const struct kf_filter filter = {.block = true};
	static const struct call calls[] = {
		{ARCH, SYS_socket, AF_UNIX, SOCK_STREAM, 0, 0, ALLOW},
		{ARCH, SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, 0, ALLOW},
		{ARCH, SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_AUDIT, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET, SOCK_STREAM, 0, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET, SOCK_DGRAM, 0, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET6, SOCK_STREAM, IPPROTO_TCP, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET, SOCK_STREAM, 262, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_PACKET, SOCK_RAW, 0, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_VSOCK, SOCK_STREAM, 0, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_ALG, SOCK_SEQPACKET, 0, 0, E(EACCES)},
		/* the kernel looks at 32 bits of an int argument */
		{ARCH, SYS_socket, 0x100000000u | AF_INET, SOCK_STREAM, 0, 0, E(EACCES)},
		{ARCH, SYS_socket, 0x100000000u | AF_UNIX, SOCK_STREAM, 0, 0, ALLOW},
		{ARCH, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 0, ALLOW},
		{ARCH, SYS_socketpair, AF_INET, SOCK_STREAM, 0, 0, E(EACCES)},
		{ARCH, 425, 8, 0, 0, 0, E(ENOSYS)},
		{ARCH, SYS_read, AF_INET, 0, 0, 0, ALLOW},
		/* x32: the same calls under other numbers */
		{ARCH, SYS_socket | 0x40000000, AF_INET, SOCK_STREAM, 0, 0, E(ENOSYS)},
		{AUDIT_ARCH_I386, 359, AF_INET, SOCK_STREAM, 0, 0, E(EACCES)},
		{AUDIT_ARCH_I386, 359, AF_UNIX, SOCK_STREAM, 0, 0, ALLOW},
		{AUDIT_ARCH_I386, 102, 1, 0, 0, 0, E(EACCES)},
		{AUDIT_ARCH_I386, 425, 8, 0, 0, 0, E(ENOSYS)},
		{AUDIT_ARCH_I386, 3, 0, 0, 0, 0, ALLOW},
		{AUDIT_ARCH_ARM, 281, AF_INET, 0, 0, 0, E(ENOSYS)},
	};

	(void)state;
	check(&filter, calls, KF_ARRAY_SIZE(calls));
}

static void single_ports_leave_tcp_and_close_the_ways_around(void **state)
{
	static const struct kf_filter blocked = {
		.block = true, .tcp = true, .restrict_connect = true};
	static const struct kf_filter open = {.restrict_connect = true};
	static const struct call both[] = {
		{ARCH, SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, 0, ALLOW},
		{ARCH, SYS_socket, AF_INET6, SOCK_STREAM, IPPROTO_TCP, 0, ALLOW},
		{ARCH, SYS_sendto, 3, 0, 0, 0x20000000, E(EOPNOTSUPP)},
		{ARCH, SYS_sendto, 3, 0, 0, MSG_NOSIGNAL, ALLOW},
		{ARCH, SYS_sendmsg, 3, 0, 0x20000000, 0, E(EOPNOTSUPP)},
		{ARCH, SYS_sendmmsg, 3, 0, 0, 0x20004000, E(EOPNOTSUPP)},
		{ARCH, 425, 8, 0, 0, 0, E(ENOSYS)},
	};
	static const struct call strict[] = {
		{ARCH, SYS_socket, AF_INET, SOCK_DGRAM, 0, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET, SOCK_RAW, IPPROTO_TCP, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET, SOCK_STREAM, 262, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_SCTP, 0, E(EACCES)},
	};
	static const struct call lax[] = {
		{ARCH, SYS_socket, AF_INET, SOCK_DGRAM, 0, 0, ALLOW},
		{ARCH, SYS_socket, AF_INET, SOCK_STREAM, 262, 0, E(EPROTONOSUPPORT)},
	};

	(void)state;
	check(&blocked, both, KF_ARRAY_SIZE(both));
	check(&open, both, KF_ARRAY_SIZE(both));
	check(&blocked, strict, KF_ARRAY_SIZE(strict));
	check(&open, lax, KF_ARRAY_SIZE(lax));
}

static void single_udp_ports_leave_udp(void **state)
{
	static const struct kf_filter udp = {.block = true, .udp = true};
	static const struct kf_filter both = {
		.block = true, .tcp = true, .udp = true, .restrict_connect = true};
	static const struct kf_filter all = {.block = true,
					     .tcp = true,
					     .udp = true,
					     .restrict_connect = true,
					     .memfd_noexec = true};
	static const struct call calls[] = {
		{ARCH, SYS_socket, AF_INET, SOCK_DGRAM, 0, 0, ALLOW},
		{ARCH, SYS_socket, AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP, 0, ALLOW},
		{ARCH, SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_ICMP, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET, SOCK_RAW, IPPROTO_UDP, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET, SOCK_STREAM, 262, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET, SOCK_DCCP, 0, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_PACKET, SOCK_DGRAM, 0, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_UNIX, SOCK_DGRAM, 0, 0, ALLOW},
		{ARCH, 425, 8, 0, 0, 0, E(ENOSYS)},
		{AUDIT_ARCH_I386, 359, AF_INET, SOCK_DGRAM, 0, 0, ALLOW},
	};
	static const struct call tcp[] = {
		{ARCH, SYS_socket, AF_INET, SOCK_STREAM, 0, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET6, SOCK_STREAM, IPPROTO_TCP, 0, E(EACCES)},
	};
	static const struct call tcp_too[] = {
		{ARCH, SYS_socket, AF_INET, SOCK_STREAM, 0, 0, ALLOW},
		{ARCH, SYS_socket, AF_INET, SOCK_STREAM, IPPROTO_UDP, 0, E(EACCES)},
		{ARCH, SYS_socket, AF_INET, SOCK_DGRAM, IPPROTO_TCP, 0, E(EACCES)},
	};

	(void)state;
	check(&udp, calls, KF_ARRAY_SIZE(calls));
	check(&both, calls, KF_ARRAY_SIZE(calls));
	check(&all, calls, KF_ARRAY_SIZE(calls));
	check(&udp, tcp, KF_ARRAY_SIZE(tcp));
	check(&both, tcp_too, KF_ARRAY_SIZE(tcp_too));
}

static void memory_files_are_made_only_without_execution(void **state)
{
	static const struct kf_filter filter = {.memfd_noexec = true};
	static const struct kf_filter both = {.memfd_noexec = true, .block = true};
	static const struct call calls[] = {
		{ARCH, SYS_memfd_create, 1, 0, 0, 0, E(EACCES)},
		{ARCH, SYS_memfd_create, 1, 0x10, 0, 0, E(EACCES)}, /* MFD_EXEC */
		{ARCH, SYS_memfd_create, 1, 0x1, 0, 0, E(EACCES)},
		{ARCH, SYS_memfd_create, 1, 0x100000000, 0, 0, E(EACCES)},
		{ARCH, SYS_memfd_create, 1, 0x8, 0, 0, ALLOW}, /* MFD_NOEXEC_SEAL */
		{ARCH, SYS_memfd_create, 1, 0xb, 0, 0, ALLOW},
		{ARCH, SYS_memfd_create | 0x40000000, 1, 0, 0, 0, E(ENOSYS)},
		{AUDIT_ARCH_I386, 356, 1, 0, 0, 0, E(EACCES)},
		{AUDIT_ARCH_I386, 356, 1, 0x8, 0, 0, ALLOW},
		{ARCH, SYS_read, 1, 0, 0, 0, ALLOW},
	};
	static const struct call network[] = {
		{ARCH, SYS_socket, AF_INET, SOCK_STREAM, 0, 0, ALLOW}};

	(void)state;
	check(&filter, calls, KF_ARRAY_SIZE(calls));
	check(&both, calls, KF_ARRAY_SIZE(calls));
	check(&filter, network, 1);
}
#endif

static void environment_rules_keep_drop_and_set(void **state)
{
	static struct kf_rule rules[] = {
		{.kind = KF_RULE_ENV, .verb = "keep", .arg = "PATH"},
		{.kind = KF_RULE_ENV, .verb = "keep", .arg = "APP_*"},
		{.kind = KF_RULE_ENV, .verb = "keep", .arg = "OLD"},
		{.kind = KF_RULE_ENV, .verb = "drop", .arg = "APP_SECRET"},
		{.kind = KF_RULE_ENV, .verb = "set", .arg = "OLD=new=1"},
	};
	static const char *const env[] = {"PATH=/bin",	  "HOME=/x",   "APP_A=1",
					  "APP_SECRET=s", "APP=2",     "OLD=old",
					  "PATHS=/y",	  "no-equals", NULL};
	static const char *const want[] = {"PATH=/bin", "APP_A=1", "OLD=new=1"};
	struct kf_policy policy = {.rules = rules, .nrules = KF_ARRAY_SIZE(rules)};
	struct kf_err err;
	KF_FREE char **out = NULL, **same = NULL;

	(void)state;
	assert_int_equal(kf_process_environment(&policy, (char *const *)(uintptr_t)env, &out, &err),
			 0);
	for (size_t i = 0; i < KF_ARRAY_SIZE(want); i++)
		assert_string_equal(out[i], want[i]);
	assert_null(out[KF_ARRAY_SIZE(want)]);
	policy.nrules = 0;
	assert_int_equal(
		kf_process_environment(&policy, (char *const *)(uintptr_t)env, &same, &err), 0);
	for (size_t i = 0; i < KF_ARRAY_SIZE(env); i++)
		assert_ptr_equal(same[i], env[i]);
}

static void patterns_of_variables_mean_whole_names(void **state)
{
	static const struct {
		const char *verb, *pattern, *name;
		bool dropped;
	} cases[] = {
		{"drop", "*TOKEN*", "GH_TOKEN=1", true},
		{"drop", "*TOKEN*", "TOKEN=1", true},
		{"drop", "*TOKEN*", "TOKENS_A=1", true},
		{"drop", "*TOKEN*", "TOKE_N=TOKEN", false},
		{"drop", "*TOKEN*", "gh_token=1", false},
		{"drop-anycase", "*TOKEN*", "Gh_ToKeN=1", true},
		{"drop-anycase", "*token*", "GH_TOKEN=1", true},
		{"drop", "AWS_*_KEY", "AWS_SECRET_ACCESS_KEY=x", true},
		{"drop", "AWS_*_KEY", "AWS_KEY=x", false},
		{"drop", "AWS_*_KEY", "AWS__KEY=x", true},
		{"drop", "AWS_*_KEY", "AWS_A_KEY_ID=x", false},
		{"drop", "*_A*_A", "X_AB_A_A=x", true},
		{"drop", "*", "=odd", true},
		{"drop", "**", "A=", true},
		{"drop", "A", "AB=", false},
		{"drop", "A", "A", true},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_rule rules[] = {
			{.kind = KF_RULE_ENV, .verb = cases[i].verb, .arg = cases[i].pattern}};
		struct kf_rule keeps[] = {
			{.kind = KF_RULE_ENV,
			 .verb = strchr(cases[i].verb, '-') ? "keep-anycase" : "keep",
			 .arg = cases[i].pattern}};
		struct kf_policy policy = {.rules = rules, .nrules = 1};
		const char *env[] = {cases[i].name, NULL};
		KF_FREE char **dropped = NULL, **kept = NULL;
		struct kf_err err;

		assert_int_equal(kf_process_environment(&policy, (char *const *)(uintptr_t)env,
							&dropped, &err),
				 0);
		assert_int_equal(!dropped[0], cases[i].dropped);
		policy.rules = keeps;
		assert_int_equal(kf_process_environment(&policy, (char *const *)(uintptr_t)env,
							&kept, &err),
				 0);
		assert_int_equal(!!kept[0], cases[i].dropped);
	}
}

static void limits_are_only_lowered(void **state)
{
	static struct kf_rule rules[] = {
		{.kind = KF_RULE_RLIMIT, .verb = "core", .soft = 4096, .hard = 8192},
		{.kind = KF_RULE_RLIMIT, .verb = "nofile", .soft = UINT64_MAX, .hard = UINT64_MAX},
	};
	struct kf_policy policy = {.rules = rules, .nrules = KF_ARRAY_SIZE(rules)};
	struct rlimit before, after;
	struct kf_err err;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(kf_process_limits(&policy, &err), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_int_equal(after.rlim_cur, before.rlim_cur);
	assert_int_equal(after.rlim_max, before.rlim_max);
	assert_int_equal(getrlimit(RLIMIT_CORE, &after), 0);
	assert_true(after.rlim_cur <= 4096 && after.rlim_max <= 8192);
	rules[0].soft = rules[0].hard = 1 << 20;
	assert_int_equal(kf_process_limits(&policy, &err), 0);
	assert_int_equal(getrlimit(RLIMIT_CORE, &after), 0);
	assert_true(after.rlim_max <= 8192);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rights_follow_access_and_object),
		cmocka_unit_test(no_abi_gets_rights_it_does_not_know),
#if defined(__x86_64__)
		cmocka_unit_test(blocked_network_leaves_unix_and_route_netlink),
		cmocka_unit_test(single_ports_leave_tcp_and_close_the_ways_around),
		cmocka_unit_test(single_udp_ports_leave_udp),
		cmocka_unit_test(memory_files_are_made_only_without_execution),
#endif
		cmocka_unit_test(environment_rules_keep_drop_and_set),
		cmocka_unit_test(patterns_of_variables_mean_whole_names),
		cmocka_unit_test(limits_are_only_lowered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
