/* SPDX-License-Identifier: Apache-2.0 */
/* src/host: running the host's programs, systemctl among them, and files on file systems that
 * cannot be written. */
#include "base/cleanup.h"
#include "container.h"
#include "host/distro.h"
#include "host/run.h"
#include "host/unit.h"
#include "kf_test.h"

#include <limits.h>
#include <sys/resource.h>

#define SOON_MS 300
#define LONG_MS 60000 /* nobody waits for it unless the test fails */

static struct kf_host here;
static struct kf_run run;
static struct kf_err err;

static int set_up(void **state)
{
	return kf_host_open("/", &here, &err) < 0 ? -1 : make_container_root(state);
}

static int tear_down(void **state)
{
	kf_host_done(&here);
	return remove_container_root(state);
}

static int shell(const char *script, unsigned timeout_ms, size_t max)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};

	return kf_run_host(&here, argv, timeout_ms, max, &run, &err);
}

static void output_and_end_of_a_program_are_told(void **state)
{
	(void)state;
	assert_int_equal(shell("echo out; echo first >&2; printf 'last \\n\\n' >&2; exit 3",
			       LONG_MS, 100),
			 0);
	assert_int_equal(run.status, 3);
	assert_string_equal(run.out, "out\n");
	assert_string_equal(run.why, "last");
	kf_run_done(&run);
	assert_int_equal(shell("kill -9 $$", LONG_MS, 100), 0);
	assert_int_equal(run.status, 128 + 9);
	kf_run_done(&run);
	/* Of very much only the end is looked at; a very long line is cut. */
	assert_int_equal(shell("i=0; while [ $i -lt 3000 ]; do echo a line of thirty characters, "
			       "about >&2; i=$((i+1)); done; echo end >&2",
			       LONG_MS, 100),
			 0);
	assert_string_equal(run.why, "end");
	kf_run_done(&run);
	assert_int_equal(shell("printf %1000s x | tr ' ' y >&2", LONG_MS, 100), 0);
	assert_int_equal(strlen(run.why), KF_RUN_WHY - 1);
	assert_string_equal(run.why + KF_RUN_WHY - 4, "...");
	kf_run_done(&run);
	/* Its environment is the same wherever we are started. */
	assert_int_equal(setenv("SECRET", "x", 1), 0);
	assert_int_equal(shell("echo ${SECRET-none} $HOME $LC_ALL; pwd; cat", LONG_MS, 100), 0);
	assert_string_equal(run.out, "none /root C\n/\n");
	kf_run_done(&run);
}

static void a_program_has_its_limits(void **state)
{
	(void)state;
	assert_int_equal(shell("sleep 600 & sleep 600", SOON_MS, 100), -1);
	assert_int_equal(err.code, ETIMEDOUT);
	assert_non_null(strstr(err.msg, "/bin/sh: not done after 0 s, stopped it"));
	/* One that closes its output and stays is stopped as well. */
	assert_int_equal(shell("exec >/dev/null 2>&1; sleep 600", SOON_MS, 100), -1);
	assert_int_equal(err.code, ETIMEDOUT);
	assert_int_equal(shell("while :; do echo much; done", LONG_MS, 100), -1);
	assert_int_equal(err.code, E2BIG);
	assert_non_null(strstr(err.msg, "says too much"));
}

static void a_program_that_cannot_be_started_is_an_error(void **state)
{
	const char *const none[] = {"/none/such", NULL};
	struct rlimit before, now;
	int next;

	(void)state;
	if (under_valgrind())
		skip();
	next = dup(0);
	assert_int_equal(kf_run_host(&here, none, LONG_MS, 100, &run, &err), -1);
	assert_string_equal(err.msg,
			    "cannot run '/none/such': /none/such: No such file or directory");
	/* With no descriptor, with two, with four, one is always missing. */
	assert_true(next >= 0 && close(next) == 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (rlim_t more = 0; more < 5; more += 2) {
		now = (struct rlimit){(rlim_t)next + more, before.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
		assert_int_equal(shell("exit 0", LONG_MS, 100), -1);
		assert_int_equal(err.code, EMFILE);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(shell("exit 0", LONG_MS, 100), 0);
	kf_run_done(&run);
	/* No descriptor is left behind. */
	assert_int_equal(dup(0), next);
	assert_int_equal(close(next), 0);
}

/* ---- in another root ---- */

#define STEP(n, condition)          \
	do {                        \
		if (!(condition))   \
			return (n); \
	} while (0)

static bool make_host(void)
{
	static const char systemctl[] = "#!/bin/sh\necho \"$*\" >>/log\n"
					"case \"$1 $2\" in\n"
					"'is-active here.service') exit 0 ;;\n"
					"'is-enabled down.service') exit 0 ;;\n"
					"'reload good'|'restart good'|'is-active good') exit 0 ;;\n"
					"*' bus') [ \"$SYSTEMCTL_FORCE_BUS\" ] && exit 0; echo "
					"'Failed to connect to bus: x' >&2 ;;\n"
					"*) echo why >&2 ;;\nesac\nexit 1\n";

	return make_dirs("bin lib lib64 usr usr/bin etc run run/systemd run/systemd/system etc/ro "
			 "proc dev etc/d.d") &&
	       mount("/usr", "usr", NULL, MS_BIND | MS_REC, NULL) == 0 &&
	       mount("/bin", "bin", NULL, MS_BIND | MS_REC, NULL) == 0 &&
	       mount("/lib", "lib", NULL, MS_BIND | MS_REC, NULL) == 0 &&
	       mount("/lib64", "lib64", NULL, MS_BIND | MS_REC, NULL) == 0 &&
	       /* Programs are found in /bin as well; this machine need not have systemd. */
	       mount("kf", "usr/bin", "tmpfs", 0, "mode=755") == 0 &&
	       make_file("usr/bin/systemctl", systemctl) && chmod("usr/bin/systemctl", 0755) == 0 &&
	       mount("kf", "etc/ro", "tmpfs", 0, NULL) == 0 && make_file("etc/ro/file", "x") &&
	       mount(NULL, "etc/ro", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0 &&
	       make_file("dev/null", "") &&
	       mount("/dev/null", "dev/null", NULL, MS_BIND, NULL) == 0;
}

static int units_are_asked_for(void)
{
	static const struct kf_distro here_too = {.name = "d",
						  .units = {"none.service", "here.service"}},
				      down = {.name = "d", .units = {"down.service"}},
				      none = {.name = "d", .units = {"none.service"}};
	const char *const bus[] = {"x", "bus", NULL}, *many[KF_SYSTEMCTL_ARGS + 2] = {NULL};
	struct kf_host host;
	struct kf_host_runtime rt = {.host = &host, .distro = &here_too, .timeout = 60};
	const char *unit;

	STEP(1, enter_container(make_host) && kf_host_open("/", &host, &err) == 0);
	STEP(2, kf_systemctl_exists(&host));
	STEP(3, kf_unit_find(&rt, false, &unit, &err) == 0 && strcmp(unit, "here.service") == 0);
	rt.distro = &down;
	STEP(4, kf_unit_find(&rt, false, &unit, &err) < 0 &&
			kf_unit_find(&rt, true, &unit, &err) == 0);
	rt.distro = &none;
	STEP(5, kf_unit_find(&rt, true, &unit, &err) < 0 &&
			strstr(err.msg, "unit 'none.service' of d is not active: why"));
	STEP(6, kf_unit_reload(&rt, "good", &err) == 0 && kf_unit_reload(&rt, "bad", &err) < 0);
	STEP(7, strstr(err.msg, "systemctl reload bad: why; see 'journalctl -u bad'"));
	STEP(8, kf_unit_restart(&rt, "good", true, &err) == 0 &&
			kf_unit_restart(&rt, "bad", false, &err) < 0);
	STEP(9, strstr(err.msg, "systemctl restart bad: why"));
	STEP(11, kf_systemctl(&host, bus, LONG_MS, &run, &err) == 0);
	kf_run_done(&run);
	for (size_t i = 0; i <= KF_SYSTEMCTL_ARGS; i++)
		many[i] = "x";
	STEP(12, kf_systemctl(&host, many, LONG_MS, &run, &err) < 0 && err.code == E2BIG);
	kf_host_done(&host);
	return 0;
}

static int what_cannot_be_written_says_where_to_write(void)
{
	static const struct {
		const char *id, *remedy;
	} systems[] = {{"talos", "machine.files of Talos's"},
		       {"flatcar", "a drop-in of containerd's unit"},
		       {"nixos", "virtualisation.containerd"},
		       {"debian", "have the runtime's unit read a file"}};
	char text[64];
	struct kf_host host;

	STEP(1, enter_container(make_host) && kf_host_open("/", &host, &err) == 0);
	for (size_t i = 0; i < KF_ARRAY_SIZE(systems); i++) {
		(void)snprintf(text, sizeof(text), "NAME=x\nID=%s", systems[i].id);
		STEP(2, make_file("/etc/os-release", text));
		STEP(3,
		     kf_host_check_replace(&host, "/etc/ro/file", &err) < 0 && err.code == EROFS);
		STEP(4, strstr(err.msg, systems[i].remedy));
	}
	STEP(5,
	     kf_host_check_replace(&host, "/etc/ro/none/such/file", &err) < 0 && err.code == EROFS);
	STEP(6, kf_host_check_replace(&host, "/etc/none/such", &err) == 0);
	STEP(7, kf_host_check_replace(&host, "relative", &err) < 0);
	STEP(8, kf_host_check_replace(&host, "/etc/os-release/x", &err) < 0);
	STEP(9, symlink("os-release", "/etc/link") == 0 &&
			kf_host_check_replace(&host, "/etc/link", &err) < 0);
	STEP(10, strstr(err.msg, "something else manages it"));
	STEP(11, kf_host_write(&host, "/etc/link", "x", 1, 0644, &err) < 0 &&
			 kf_host_write(&host, "/etc/ro/file", "y", 1, 0644, &err) < 0);
	STEP(12, kf_host_rewrite(&host, "/etc/ro/file", "y", 1, &err) < 0 &&
			 kf_host_remove(&host, "/etc/ro/file", &err) < 0);
	STEP(13, kf_host_rename(&host, "/etc/ro/file", "/etc/ro/other", &err) < 0 &&
			 kf_host_rename(&host, "/none/x", "/none/y", &err) < 0);
	STEP(14, kf_host_remove(&host, "/none/x", &err) == 0 &&
			 kf_host_remove(&host, "/etc/none", &err) == 0);
	STEP(15, kf_host_dir(&host, "relative", false, (int[]){0}, &err) < 0 &&
			 kf_host_dir(&host, "/etc/ro/new", true, (int[]){0}, &err) < 0);
	/* All files of such a directory are read: the temporary one lies above it. */
	STEP(16, kf_host_write(&host, "/etc/d.d/x.conf", "x", 1, 0644, &err) == 0);
	STEP(17, mount("kf", "/etc/d.d", "tmpfs", 0, NULL) == 0 &&
			 kf_host_write(&host, "/etc/d.d/x.conf", "x", 1, 0644, &err) == 0);
	STEP(18, make_file("/etc/d.d/.x.conf.1.tmp", "") && make_file("/etc/.x.conf.2.tmp", ""));
	STEP(19, kf_host_sweep(&host, "/etc/d.d/x.conf", &err) == 0);
	STEP(20,
	     access("/etc/d.d/.x.conf.1.tmp", F_OK) < 0 && access("/etc/.x.conf.2.tmp", F_OK) < 0);
	STEP(21, kf_host_open("/none", &host, &err) < 0);
	kf_host_done(&host);
	return 0;
}

static int too_many_files_are_not_listed(void)
{
	struct kf_host host;
	char path[64], **list;

	STEP(1, enter_container(make_host) && kf_host_open("/", &host, &err) == 0);
	for (unsigned i = 0; i < 1030; i++) {
		(void)snprintf(path, sizeof(path), "/etc/d.d/%u.conf", i);
		STEP(2, make_file(path, ""));
	}
	STEP(3, kf_host_glob(&host, "/etc/d.d/*.conf", &list, &err) < 0 && err.code == E2BIG);
	STEP(4, kf_host_glob(&host, "/etc/d.d/7.conf", &list, &err) == 0 && list[0] && !list[1]);
	kf_host_list_free(list);
	kf_host_done(&host);
	return 0;
}

static int a_lock_is_waited_for(void)
{
	struct kf_host host;
	int first, second;

	STEP(1, enter_container(make_host) && kf_host_open("/", &host, &err) == 0);
	STEP(2, kf_host_lock(&host, "/run/kf/lock", 0, &first, &err) == 0);
	STEP(3, kf_host_lock(&host, "/run/kf/lock", 0, &second, &err) < 0 && err.code == EBUSY);
	STEP(4, strstr(err.msg, "is held by another node set-up"));
	(void)close(first);
	STEP(5, kf_host_lock(&host, "/run/kf/lock", 0, &second, &err) == 0);
	STEP(6, symlink("/etc/x", "/run/link") == 0 &&
			kf_host_lock(&host, "/run/link", 0, &first, &err) < 0);
	STEP(7, kf_host_lock(&host, "/etc/ro/lock", 0, &first, &err) < 0);
	(void)close(second);
	kf_host_done(&host);
	return 0;
}

IN_CONTAINER(units, apart, units_are_asked_for)
IN_CONTAINER(read_only, apart, what_cannot_be_written_says_where_to_write)
IN_CONTAINER(many_files, apart, too_many_files_are_not_listed)
IN_CONTAINER(lock, apart, a_lock_is_waited_for)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_end_of_a_program_are_told),
		cmocka_unit_test(a_program_has_its_limits),
		cmocka_unit_test(a_program_that_cannot_be_started_is_an_error),
		{"units are asked for", units, NULL, NULL, NULL},
		{"what cannot be written says where to write", read_only, NULL, NULL, NULL},
		{"too many files are not listed", many_files, NULL, NULL, NULL},
		{"a lock is waited for", lock, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
