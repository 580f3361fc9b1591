/* SPDX-License-Identifier: Apache-2.0 */
/* src/sandbox, src/confine: when the kernel, or a container's seccomp policy, refuses a call that
 * the sandbox is made of, its start ends with an error that names the call; nothing goes on without
 * it. */
#include "apart.h"
#include "base/cleanup.h"
#include "confine/confine.h"
#include "confine/filter.h"
#include "flat/flat.h"
#include "kf_test.h"
#include "refuse.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/object.h"
#include "sandbox/process.h"
#include "sandbox/proof.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CREATE	 444
#define ADD	 445
#define RESTRICT 446
#define NNP	 38u /* PR_SET_NO_NEW_PRIVS */
#define DROP	 24u /* PR_CAPBSET_DROP */
#define AMBIENT	 47u
#define FILTER	 22u /* PR_SET_SECCOMP */
#define RULES	 2   /* flag of landlock_create_ruleset: the version is asked for with NULL */

#define STEP(n, condition)          \
	do {                        \
		if (!(condition))   \
			return (n); \
	} while (0)

struct trial {
	const char *name;
	struct refusal refusals[3];
	const char *says; /* part of the error; NULL: it goes on */
};
static const struct trial *trial;
static struct kf_err err;

static bool refuse_those(void)
{
	size_t n = 0;

	while (n < KF_ARRAY_SIZE(trial->refusals) && trial->refusals[n].option)
		n++;
	return !n || refuse_calls(trial->refusals, n);
}

static bool says_so(int r)
{
	const bool ok = trial->says ? r < 0 && strstr(err.msg, trial->says) : r == 0;

	if (!ok)
		(void)fprintf(stderr, "# %s: %s\n", trial->name, r < 0 ? err.msg : "it went on");
	return ok;
}

static void try_each(const struct trial *trials, size_t n, int (*fn)(void))
{
	if (!can_refuse_calls())
		skip();
	for (size_t i = 0; i < n; i++) {
		trial = &trials[i];
		assert_int_equal(apart(fn), 0);
	}
}

/* ---- the launcher's sandbox ---- */

static int enter_sandbox(void)
{
	static const struct kf_filter_insn allow[] = {{.code = 6, .k = 0x7fff0000}};
	static const struct kf_filter_policy none, policy = {allow, 1, 2}; /* with a flag: LOG */
	const struct kf_filter filter = {.block = true, .memfd_noexec = true};
	const struct kf_landlock_want want = {.block = true};
	KF_CLOSE int dir = open("/usr", O_PATH | O_CLOEXEC);
	struct kf_landlock ll = {.fd = -1};
	struct kf_proof proof;
	int r;

	STEP(1, dir >= 0 && refuse_those());
	r = kf_proof_begin(&proof, true, false, &err);
	if (r == 0)
		r = kf_landlock_open(&want, &ll, &err);
	if (r == 0)
		r = kf_landlock_allow(&ll, dir, KF_LANDLOCK_ELSEWHERE, KF_FS_READ, &err);
	if (r == 0)
		r = kf_landlock_allow_list(&ll, dir, &err);
	if (r == 0)
		r = kf_landlock_enforce(&ll, &err);
	if (r == 0)
		r = kf_filter_install(&filter, &none, &err);
	if (r == 0)
		r = kf_proof_end(&proof, &err);
	if (r == 0)
		r = kf_filter_install(&filter, &policy, &err);
	if (ll.fd >= 0)
		(void)close(ll.fd);
	STEP(2, says_so(r));
	return 0;
}

static void a_sandbox_is_whole_or_not_entered(void **state)
{
	static const struct trial trials[] = {
		{"nothing refused", {{0}}, NULL},
		{"no Landlock", {{CREATE, ANY_OPTION, ENOSYS}}, "Landlock is not in this kernel"},
		{"Landlock off",
		 {{CREATE, ANY_OPTION, EOPNOTSUPP}},
		 "built into this kernel but not active"},
		{"Landlock hidden",
		 {{CREATE, ANY_OPTION, EPERM}},
		 "refused by the container's seccomp policy"},
		{"Landlock refused",
		 {{CREATE, ANY_OPTION, EACCES}},
		 "refused by the container's seccomp policy"},
		{"a strange answer", {{CREATE, ANY_OPTION, EIO}}, "Landlock version"},
		{"an answer without error", {{CREATE, ANY_OPTION, 0}}, "version 0"},
		{"no rules", {{ADD, ANY_OPTION, EPERM}}, "add Landlock rule"},
		{"rules for which nothing is restricted", {{ADD, ANY_OPTION, EBADFD}}, NULL},
		{"not restricted", {{RESTRICT, ANY_OPTION, EPERM}}, "enter the Landlock sandbox"},
		{"too many sandboxes",
		 {{RESTRICT, ANY_OPTION, E2BIG}},
		 "already inside 16 sandboxes"},
		/* A lie is found out. */
		{"not restricted, and told that it was",
		 {{RESTRICT, ANY_OPTION, 0}},
		 "is not in force"},
		{"no no_new_privs", {{SYS_prctl, NNP, EINVAL}}, "set no_new_privs"},
		{"no no_new_privs, and told that there is",
		 {{SYS_prctl, NNP, 0}},
		 "no_new_privs was set and is not in force"},
		{"no filter", {{SYS_prctl, FILTER, EINVAL}}, "install the seccomp filter"},
		{"no filter, and told that there is one",
		 {{SYS_prctl, FILTER, 0}, {SYS_seccomp, ANY_OPTION, 0}},
		 "in force"},
		{"no filter with flags",
		 {{SYS_seccomp, ANY_OPTION, ENOSYS}},
		 "install the seccomp filter"},
		{"no /proc", {{SYS_openat, ANY_OPTION, ENOENT}}, "is /proc mounted?"},
		{"nothing read", {{SYS_read, ANY_OPTION, EIO}}, "does not say what is in force"},
		{"nothing read, and told that it was",
		 {{SYS_read, ANY_OPTION, 0}},
		 "does not say what is in force"},
	};

	(void)state;
	try_each(trials, KF_ARRAY_SIZE(trials), enter_sandbox);
}

static int ask_for_more(void)
{
	const struct kf_landlock_want udp = {.net = KF_LANDLOCK_UDP}, scope = {.signal = true},
				      tcp = {.net = KF_LANDLOCK_TCP};
	const struct kf_landlock_want *const wants[] = {&tcp, &scope, &udp};
	static const int since[] = {4, 6, 10};
	struct kf_landlock ll;
	int abi;

	STEP(1, kf_landlock_probe(&abi, &err) == 0);
	for (size_t i = 0; i < KF_ARRAY_SIZE(wants); i++) {
		const int r = kf_landlock_open(wants[i], &ll, &err);

		STEP(2, r == (abi >= since[i] ? 0 : -1));
		STEP(3, r == 0 || strstr(err.msg, "this kernel has ABI"));
		if (r == 0)
			(void)close(ll.fd);
	}
	return 0;
}

static void what_the_kernel_lacks_is_named(void **state)
{
	(void)state;
	if (under_valgrind())
		skip();
	assert_int_equal(apart(ask_for_more), 0);
}

/* ---- limits ---- */

static int set_limits(void)
{
	struct kf_rule rules[] = {
		{.kind = KF_RULE_NOTE, .arg = "x"},
		{.kind = KF_RULE_RLIMIT, .line = 4, .verb = "nofile", .soft = 50, .hard = 60}};
	const struct kf_policy policy = {.name = "p", .rules = rules, .nrules = 2};

	STEP(1, refuse_those());
	STEP(2, says_so(kf_process_limits(&policy, &err)));
	return 0;
}

static void limits_are_set_or_the_start_ends(void **state)
{
	static const struct trial trials[] = {
		{"nothing refused", {{0}}, NULL},
		{"no prlimit64", {{SYS_prlimit64, ANY_OPTION, EPERM}}, "line 4: rlimit nofile"},
	};

	(void)state;
	try_each(trials, KF_ARRAY_SIZE(trials), set_limits);
}

static int look_at_objects(void)
{
	struct kf_object object;

	STEP(1, kf_object_at(AT_FDCWD, "/usr", &object) == 0 && object.id.ino);
	STEP(2, refuse_calls(&(struct refusal){SYS_statx, ANY_OPTION, ENOSYS}, 1));
	STEP(3, kf_object_at(AT_FDCWD, "/usr", &object) < 0 && errno == ENOSYS);
	return 0;
}

static void an_object_that_cannot_be_looked_at_is_none(void **state)
{
	(void)state;
	if (!can_refuse_calls())
		skip();
	assert_int_equal(apart(look_at_objects), 0);
}

/* ---- daemons ---- */

static const char *odd_place;

static int confine_daemon(void)
{
	static const uint16_t ports[] = {443}, udp[] = {53};
	static const struct kf_calls *const calls[] = {&kf_libc_calls, &kf_event_calls};
	const struct kf_place places[] = {{"/usr", KF_PLACE_READ},
					  {"/run/none/such", KF_PLACE_CONNECT},
					  {odd_place, KF_PLACE_READ}};
	const struct kf_confinement c = {calls, 2, places, 3, ports, 1, udp, 1};
	struct kf_confined got;

	STEP(1, refuse_those());
	STEP(2, says_so(kf_confine(&c, &got, &err)));
	/* Without Landlock it works, and says so. */
	if (!trial->says)
		STEP(3, got.abi || strstr(got.why, "Landlock"));
	return 0;
}

static void a_daemon_is_confined_or_does_not_start(void **state)
{
	static const struct trial trials[] = {
		{"nothing refused", {{0}}, NULL},
		{"no Landlock", {{CREATE, ANY_OPTION, ENOSYS}}, NULL},
		{"Landlock hidden", {{CREATE, ANY_OPTION, EPERM}}, NULL},
		{"a strange answer", {{CREATE, ANY_OPTION, EIO}}, "Landlock version"},
		{"no Landlock and no no_new_privs",
		 {{CREATE, ANY_OPTION, ENOSYS}, {SYS_prctl, NNP, EPERM}},
		 "set no_new_privs"},
		{"no rules", {{ADD, ANY_OPTION, EPERM}}, "confine to '/usr'"},
		{"not restricted", {{RESTRICT, ANY_OPTION, EPERM}}, "enter the Landlock sandbox"},
		{"capabilities hidden", {{SYS_capget, ANY_OPTION, EPERM}}, "read the capabilities"},
		{"the bounding set stays", {{SYS_prctl, DROP, EPERM}}, "from the bounding set"},
		{"ambient capabilities stay",
		 {{SYS_prctl, AMBIENT, EPERM}},
		 "drop the ambient capabilities"},
		{"capabilities stay", {{SYS_capset, ANY_OPTION, EPERM}}, "drop the capabilities"},
	};

	(void)state;
	try_each(trials, KF_ARRAY_SIZE(trials), confine_daemon);
}

static int filter_daemon(void)
{
	static const struct kf_calls *const calls[] = {&kf_libc_calls, &kf_event_calls};

	STEP(1, refuse_those());
	STEP(2, says_so(kf_confine_filter(calls, KF_ARRAY_SIZE(calls), &err)));
	return 0;
}

/* Builds for sanitizers have none by themselves. */
static void a_daemon_has_its_filter_or_does_not_start(void **state)
{
	static const struct trial trials[] = {
		{"nothing refused", {{0}}, NULL},
		{"no seccomp(2)", {{SYS_seccomp, ANY_OPTION, EPERM}}, NULL},
		{"no filter",
		 {{SYS_seccomp, ANY_OPTION, EPERM}, {SYS_prctl, FILTER, EPERM}},
		 "install the seccomp filter"},
	};

	(void)state;
	try_each(trials, KF_ARRAY_SIZE(trials), filter_daemon);
}

static void a_place_that_cannot_be_told_is_an_error(void **state)
{
	static const struct trial trials[] = {{"a loop", {{0}}, "confine to '/tmp/kf-refused-"}};
	char path[] = "/tmp/kf-refused-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(path, path), 0);
	odd_place = path;
	try_each(trials, 1, confine_daemon);
	odd_place = NULL;
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sandbox_is_whole_or_not_entered),
		cmocka_unit_test(what_the_kernel_lacks_is_named),
		cmocka_unit_test(limits_are_set_or_the_start_ends),
		cmocka_unit_test(an_object_that_cannot_be_looked_at_is_none),
		cmocka_unit_test(a_daemon_is_confined_or_does_not_start),
		cmocka_unit_test(a_daemon_has_its_filter_or_does_not_start),
		cmocka_unit_test(a_place_that_cannot_be_told_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
