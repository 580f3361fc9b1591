/* SPDX-License-Identifier: Apache-2.0 */
#include "node/unit.h"

#include "node/run.h"

#include <string.h>
#include <time.h>

#define QUESTION_MS 20000

static const char *const programs[] = {"/usr/bin/systemctl", "/bin/systemctl",
				       "/run/current-system/sw/bin/systemctl", NULL};

/* "systemctl VERB UNIT"; *ret_ok: exit code 0. */
static int ask(const struct kf_node *node, const char *verb, const char *unit, unsigned timeout_ms,
	       bool *ret_ok, char why[static 256], struct kf_err *err)
{
	const char *argv[] = {kf_host_first(&node->host, programs), verb, unit, NULL};
	struct kf_run run;

	if (!argv[0])
		return kf_fail(
			err, ENOENT,
			"no systemctl on the host; restart the container runtime yourself and "
			"run again with --no-restart");
	if (kf_run_host(&node->host, argv, timeout_ms, 64 * 1024, &run, err) < 0)
		return -1;
	*ret_ok = run.status == 0;
	memcpy(why, run.why, 256);
	kf_run_done(&run);
	return 0;
}

int kf_unit_find(const struct kf_node *node, const char **ret, struct kf_err *err)
{
	char why[256] = "";

	for (const char *const *u = node->distro->units; *u; u++) {
		bool active;

		if (ask(node, "is-active", *u, QUESTION_MS, &active, why, err) < 0)
			return -1;
		if (active) {
			*ret = *u;
			return 0;
		}
	}
	return kf_fail(
		err, ENOENT,
		"unit '%s' of %s is not active%s%s; start it, or use --no-restart and restart "
		"the runtime yourself",
		node->distro->units[0], node->distro->name, *why ? ": " : "", why);
}

int kf_unit_restart(const struct kf_node *node, const char *unit, struct kf_err *err)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	char why[256] = "";
	bool ok;

	if (ask(node, "restart", unit, node->options->timeout * 1000, &ok, why, err) < 0)
		return -1;
	if (!ok)
		return kf_fail(err, EIO, "systemctl restart %s: %s; see 'journalctl -u %s'", unit,
			       *why ? why : "failed", unit);
	/* A unit that fails right after its start is restarting or failed. */
	for (unsigned i = 0; i < 50; i++) {
		if (ask(node, "is-active", unit, QUESTION_MS, &ok, why, err) < 0)
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
