/* SPDX-License-Identifier: Apache-2.0 */
/* Units of systemd: finding, reloading and restarting the runtime's, with the host's own systemctl.
 * Its journal is read in unit_log.c. */
#include "host/unit.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define QUESTION_MS 20000
#define ANSWER_MAX  (1024 * 1024)

static const char *const programs[] = {"/usr/bin/systemctl", "/bin/systemctl",
				       "/run/current-system/sw/bin/systemctl", NULL};

/* systemctl's message when it could not ask systemd at all. */
#define NO_BUS "Failed to connect to bus"
/* systemctl talks to systemd directly, but refuses that in a PID namespace without systemd, such as
 * a pod's without hostPID.  Over D-Bus there is no such limit. */
#define BY_BUS "SYSTEMCTL_FORCE_BUS=1"

bool kf_systemctl_exists(const struct kf_host *host)
{
	return kf_host_exists(host, "/run/systemd/system") && kf_host_first(host, programs);
}

int kf_systemctl(const struct kf_host *host, const char *const *args, unsigned timeout_ms,
		 struct kf_run *ret, struct kf_err *err)
{
	static const char *const ways[] = {NULL, BY_BUS};
	const char *argv[KF_SYSTEMCTL_ARGS + 2] = {kf_host_first(host, programs)};
	struct kf_run run;
	size_t n = 1;

	if (!argv[0])
		return kf_fail(
			err, ENOENT,
			"no systemctl on the host; restart the container runtime yourself and "
			"run again with --no-restart");
	for (; *args; args++) {
		if (n > KF_SYSTEMCTL_ARGS)
			return kf_fail(err, E2BIG, "systemctl: more than %d arguments",
				       KF_SYSTEMCTL_ARGS);
		argv[n++] = *args;
	}
	for (size_t i = 0;; i++) {
		if (kf_run_host_with(host, ways[i], argv, timeout_ms, ANSWER_MAX, &run, err) < 0)
			return -1;
		if (run.status == 0 || strncmp(run.why, NO_BUS, strlen(NO_BUS)) != 0 ||
		    i + 1 == KF_ARRAY_SIZE(ways))
			break;
		kf_run_done(&run);
	}
	*ret = run;
	return 0;
}

/* "systemctl VERB UNIT"; *ret_ok: exit code 0. */
static int run_verb(const struct kf_host_runtime *rt, const char *verb, const char *unit,
		    unsigned timeout_ms, bool *ret_ok, char why[static 256], struct kf_err *err)
{
	const char *const args[] = {verb, unit, NULL};
	struct kf_run run;

	if (kf_systemctl(rt->host, args, timeout_ms, &run, err) < 0)
		return -1;
	*ret_ok = run.status == 0;
	(void)snprintf(why, 256, "%.255s", run.why);
	kf_run_done(&run);
	return 0;
}

int kf_unit_find(const struct kf_host_runtime *rt, bool down_too, const char **ret,
		 struct kf_err *err)
{
	static const char *const questions[] = {"is-active", "is-enabled"};
	char why[256] = "";

	for (size_t q = 0; q < (down_too ? 2 : 1); q++) {
		for (const char *const *u = rt->distro->units; *u; u++) {
			bool yes;

			if (run_verb(rt, questions[q], *u, QUESTION_MS, &yes, why, err) < 0)
				return -1;
			if (yes) {
				*ret = *u;
				return 0;
			}
		}
	}
	return kf_fail(
		err, ENOENT,
		"unit '%s' of %s is not active%s%s; start it, or use --no-restart and restart "
		"the runtime yourself",
		rt->distro->units[0], rt->distro->name, *why ? ": " : "", why);
}

int kf_unit_reload(const struct kf_host_runtime *rt, const char *unit, struct kf_err *err)
{
	char why[256] = "";
	bool ok;

	if (run_verb(rt, "reload", unit, QUESTION_MS, &ok, why, err) < 0)
		return -1;
	return ok ? 0
		  : kf_fail(err, EIO, "systemctl reload %s: %s; see 'journalctl -u %s'", unit,
			    *why ? why : "failed", unit);
}

int kf_unit_restart(const struct kf_host_runtime *rt, const char *unit, bool again,
		    struct kf_err *err)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	char why[256] = "";
	bool ok;

	/* Ignore the answer: the restart shows whether this helped. */
	if (again && run_verb(rt, "reset-failed", unit, QUESTION_MS, &ok, why, err) < 0)
		return -1;
	if (run_verb(rt, "restart", unit, rt->timeout * 1000, &ok, why, err) < 0)
		return -1;
	if (!ok)
		return kf_fail(err, EIO, "systemctl restart %s: %s; see 'journalctl -u %s'", unit,
			       *why ? why : "failed", unit);
	/* Wait: a unit that fails right after its start is restarting or failed. */
	for (unsigned i = 0; i < 50; i++) {
		if (run_verb(rt, "is-active", unit, QUESTION_MS, &ok, why, err) < 0)
			return -1;
		if (ok)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return kf_fail(err, EIO,
		       "unit '%s' does not stay active after its restart; see 'journalctl "
		       "-u %s'",
		       unit, unit);
}
