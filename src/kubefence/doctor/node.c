/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of doctor on the runtime, its configuration and the guard.  The plugin and what runs is
 * checked in workload.c; "kubefence node verify" is src/node/verify.c. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "config/settings_text.h"
#include "cri/cri.h"
#include "egress/pod.h"
#include "host/socket.h"
#include "kubefence/doctor/doctor.h"
#include "node/handler.h"
#include "node/payload.h"
#include "node/predecessor.h"

#include <fcntl.h>
#include <nri/nri.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NEED_PLAN(d)                                                                      \
	do {                                                                              \
		if (!(d)->planned)                                                        \
			return kf_doctor_say((d), KF_DOCTOR_SKIP, "needs the one above"); \
	} while (0)

/* --- runtime --- */

static enum kf_doctor_result runtime_found(struct kf_doctor *d)
{
	if (!d->found)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", d->why.msg);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", d->node.distro->name);
}

static enum kf_doctor_result runtime_configuration(struct kf_doctor *d)
{
	if (!d->planned)
		return d->found ? kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", d->why.msg)
				: kf_doctor_say(d, KF_DOCTOR_SKIP, "needs the one above");
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", d->plan.config);
}

/* What the version makes likely; only the plugin can find out what really works. */
static bool expect_validation(const struct kf_doctor *d)
{
	struct nri_features expected;
	char version[32];

	(void)snprintf(version, sizeof(version), "%u.%u", d->plan.major, d->plan.minor);
	nri_features_parse(d->node.distro->kind == KF_RUNTIME_CRIO ? "cri-o" : "containerd",
			   version, "", &expected);
	return expected.validate;
}

static enum kf_doctor_result runtime_version(struct kf_doctor *d)
{
	NEED_PLAN(d);
	if (!expect_validation(d))
		return kf_doctor_say(
			d, KF_DOCTOR_WARNING,
			"%u.%u has, by its version, NRI before 0.10: only the guard sandboxes, and "
			"there is no default validator (containerd 2.2, CRI-O 1.35)",
			d->plan.major, d->plan.minor);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%u.%u: plugin and guard", d->plan.major,
			     d->plan.minor);
}

static enum kf_doctor_result runtime_answers(struct kf_doctor *d)
{
	struct kf_host_runtime rt;
	struct kf_err err;

	if (!d->found)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs the one above");
	rt = kf_node_runtime(&d->node);
	rt.timeout = 1;
	if (kf_cri_wait(&rt, NULL, 0, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", err.msg);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
}

/* --- configuration --- */

static enum kf_doctor_result check_installed(struct kf_doctor *d)
{
	const struct kf_journal *j = &d->node.journal;

	if (!d->found || !j->exists)
		return kf_doctor_say(d, KF_DOCTOR_ERROR,
				     "this node is not set up; run 'kubefence node install'");
	if (j->busy)
		return kf_doctor_say(d, KF_DOCTOR_ERROR,
				     "the last run was interrupted; run 'kubefence node install'");
	if (j->pending)
		return kf_doctor_say(
			d, KF_DOCTOR_ERROR,
			"the runtime was not restarted since its configuration changed");
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
}

static enum kf_doctor_result check_predecessor(struct kf_doctor *d)
{
	char what[256];
	bool runs;

	if (!d->found)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs a runtime");
	if (!kf_predecessor_find(&d->node, what, &runs))
		return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
	return kf_doctor_say(d, runs ? KF_DOCTOR_ERROR : KF_DOCTOR_WARNING, "%s", what);
}

static enum kf_doctor_result check_effective(struct kf_doctor *d)
{
	struct kf_err err;

	NEED_PLAN(d);
	if (!d->plan.existed || d->plan.nbefore != d->plan.nafter ||
	    memcmp(d->plan.before, d->plan.after, d->plan.nafter) != 0)
		return kf_doctor_say(
			d, KF_DOCTOR_ERROR,
			"'%s' is not as install leaves it; 'kubefence node plan' shows "
			"the difference",
			d->plan.config);
	if (d->node.adapter->check(&d->node, &d->plan, true, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", err.msg);
	return kf_doctor_say(d, KF_DOCTOR_OK, "NRI, %shandlers",
			     expect_validation(d) ? "validator, " : "");
}

static enum kf_doctor_result handlers_served(struct kf_doctor *d)
{
	struct kf_host_runtime rt;
	struct kf_err err;

	NEED_PLAN(d);
	rt = kf_node_runtime(&d->node);
	rt.timeout = 1;
	if (kf_cri_wait(&rt, d->options->handlers, d->options->nhandlers, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", err.msg);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
}

/* --- guard --- */

static enum kf_doctor_result check_guard(struct kf_doctor *d)
{
	struct kf_runtimes recorded;
	struct kf_err err;

	NEED_PLAN(d);
	if (kf_node_recorded(&d->node.host, &recorded, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", err.msg);
	for (size_t i = 0; i < d->plan.nhandlers; i++) {
		const struct kf_node_handler *h = &d->plan.handlers[i];
		const char *real = h->guard ? kf_runtimes_find(&recorded, h->name) : NULL;

		if (!h->guard)
			continue;
		if (!kf_host_exists(&d->node.host, h->guard))
			kf_doctor_say(
				d, KF_DOCTOR_ERROR,
				"handler '%s' has no guard: '%s' is missing; its containers can "
				"neither start nor be deleted; run 'kubefence node programs'",
				h->name, h->guard);
		else if (!real || !kf_host_exists(&d->node.host, real))
			kf_doctor_say(d, KF_DOCTOR_ERROR,
				      "handler '%s': the runtime behind its guard (%s) is missing",
				      h->name, real ? real : "not recorded");
		else
			continue;
		kf_runtimes_done(&recorded);
		return KF_DOCTOR_ERROR;
	}
	kf_runtimes_done(&recorded);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
}

static enum kf_doctor_result guard_files(struct kf_doctor *d)
{
	for (size_t i = 0; d->found && i < d->node.journal.nfiles; i++) {
		const char *path = d->node.journal.files[i].path;
		KF_CLOSE int fd = -1;
		struct stat st;

		if (kf_host_fd(&d->node.host, path, O_PATH | O_NOFOLLOW, &fd, KF_ERR_IGNORED) < 0 ||
		    fstat(fd, &st) < 0)
			return kf_doctor_say(d, KF_DOCTOR_ERROR, "'%s' is missing", path);
		if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022))
			return kf_doctor_say(d, KF_DOCTOR_ERROR,
					     "'%s' must be a regular file of root's that only root "
					     "can write",
					     path);
	}
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
}

static enum kf_doctor_result check_settings(struct kf_doctor *d)
{
	struct kf_settings_text s;
	KF_FREE char *text = NULL;
	struct kf_err err = {0};
	size_t n;

	if (!d->found)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs a runtime");
	if (kf_host_read(&d->node.host, KF_NODE_SETTINGS, KF_LIMIT_CONFIG, &text, &n, &err) < 0 ||
	    kf_settings_text_parse(text, n, &s, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", err.msg);
	kf_doctor_say(d, KF_DOCTOR_OK, "default profile %s", s.settings.default_profile);
	kf_settings_text_done(&s);
	return KF_DOCTOR_OK;
}

/* Whether pods whose profile names hosts can start. */
static enum kf_doctor_result check_broker(struct kf_doctor *d)
{
	struct kf_settings_text s;
	KF_FREE char *text = NULL;
	struct kf_err err = {0};
	bool wanted;
	size_t n;

	if (!d->found ||
	    kf_host_read(&d->node.host, KF_NODE_SETTINGS, KF_LIMIT_CONFIG, &text, &n, &err) < 0 ||
	    kf_settings_text_parse(text, n, &s, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs the one above");
	wanted = s.settings.egress;
	kf_settings_text_done(&s);
	if (!wanted)
		return kf_doctor_say(d, KF_DOCTOR_OK, "not wanted on this node");
	if (kf_socket_served(&d->node.host, KF_EGRESS_SOCKET))
		return kf_doctor_say(d, KF_DOCTOR_OK, "nono-egress serves " KF_EGRESS_SOCKET);
	return kf_doctor_say(d, KF_DOCTOR_ERROR,
			     "nobody serves '" KF_EGRESS_SOCKET "': pods whose profile names hosts "
			     "do not start, and those that run reach nothing; start nono-egress "
			     "(the chart's egress.enabled, or systemctl start nono-egress)");
}

const struct kf_doctor_check kf_doctor_node[] = {
	{"runtime", "a container runtime is there", "runtime", true, runtime_found},
	{"runtime", "its configuration can be read and changed", "configuration", true,
	 runtime_configuration},
	{"runtime", "its version allows plugin and guard", "version", true, runtime_version},
	{"runtime", "it answers on its CRI socket", "cri", true, runtime_answers},
	{"runtime", "nothing of an earlier implementation is in the way", "predecessor", true,
	 check_predecessor},
	{"configuration", "the node is set up", "installed", false, check_installed},
	{"configuration", "the runtime uses what was installed", "effective", false,
	 check_effective},
	{"configuration", "the runtime serves the handlers", "handlers", false, handlers_served},
	{"guard", "every handler of runc's type has the guard", "guard", false, check_guard},
	{"guard", "installed files are safe", "files", false, guard_files},
	{"guard", "settings are valid", "settings", false, check_settings},
	{"guard", "the egress broker answers", "egress", false, check_broker},
	{NULL, NULL, NULL, false, NULL},
};
