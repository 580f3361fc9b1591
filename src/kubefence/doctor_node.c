/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/limits.h"
#include "kubefence/doctor.h"
#include "kubefence/profiles.h"
#include "node/cri.h"
#include "node/handler.h"
#include "node/payload.h"
#include "policy/flat.h"
#include "policy/settings_text.h"

#include <dirent.h>
#include <fcntl.h>
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

static enum kf_doctor_result runtime_version(struct kf_doctor *d)
{
	unsigned major, minor;

	NEED_PLAN(d);
	major = d->plan.major;
	minor = d->plan.minor;
	if (d->node.distro->kind == KF_RUNTIME_CRIO ? minor < 34 : major * 100 + minor < 202)
		return kf_doctor_say(
			d, KF_DOCTOR_WARNING,
			"%u.%u has NRI before 0.10: only the guard sandboxes, and there "
			"is no default validator (containerd 2.2, CRI-O 1.34)",
			major, minor);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%u.%u: plugin and guard", major, minor);
}

static enum kf_doctor_result runtime_answers(struct kf_doctor *d)
{
	struct kf_node_options quick = *d->options;
	struct kf_node node = d->node;
	struct kf_err err;

	if (!d->found)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs the one above");
	quick.timeout = 1;
	node.options = &quick;
	if (kf_cri_wait(&node, NULL, 0, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", err.msg);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
}

/* --- configuration --- */

static enum kf_doctor_result installed(struct kf_doctor *d)
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

static enum kf_doctor_result effective(struct kf_doctor *d)
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
	return kf_doctor_say(d, KF_DOCTOR_OK, "NRI, validator, handlers");
}

static enum kf_doctor_result handlers_served(struct kf_doctor *d)
{
	struct kf_node_options quick = *d->options;
	struct kf_node node = d->node;
	struct kf_err err;

	NEED_PLAN(d);
	quick.timeout = 1;
	node.options = &quick;
	if (kf_cri_wait(&node, d->options->handlers, d->options->nhandlers, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", err.msg);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
}

/* --- guard --- */

static enum kf_doctor_result guard(struct kf_doctor *d)
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

		if (kf_host_fd(&d->node.host, path, O_PATH | O_NOFOLLOW, &fd, NULL) < 0 ||
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

static enum kf_doctor_result settings(struct kf_doctor *d)
{
	struct kf_settings_text s;
	KF_FREE char *text = NULL;
	struct kf_err err = {0};
	size_t n;

	if (!d->found)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs a runtime");
	if (kf_host_read(&d->node.host, KF_NODE_SETTINGS, KF_LIMIT_CONFIG, &text, &n, &err) < 0 ||
	    kf_settings_parse(text, n, &s, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", err.msg);
	kf_doctor_say(d, KF_DOCTOR_OK, "default profile %s", s.settings.default_profile);
	kf_settings_text_done(&s);
	return KF_DOCTOR_OK;
}

/* --- plugin --- */

static enum kf_doctor_result nri_socket(struct kf_doctor *d)
{
	/* /var/run is a link to /run on every host that we know. */
	if (!d->found || !kf_host_exists(&d->node.host, d->options->nri_socket))
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "there is no socket '%s'",
				     d->options->nri_socket);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", d->options->nri_socket);
}

/* Whether a process of that name runs on the host. */
static bool runs(const struct kf_doctor *d, const char *name)
{
	bool found = false;
	struct dirent *de;
	DIR *dir;
	int fd;

	if (kf_host_dir(&d->node.host, "/proc", false, &fd, NULL) < 0)
		return false;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return false;
	}
	while (!found && (de = readdir(dir)) != NULL) {
		char path[300], comm[32] = "";
		KF_CLOSE int c = -1;

		if (de->d_name[0] < '1' || de->d_name[0] > '9')
			continue;
		(void)snprintf(path, sizeof(path), "%s/comm", de->d_name);
		c = openat(dirfd(dir), path, O_RDONLY | O_CLOEXEC);
		if (c >= 0 && read(c, comm, sizeof(comm) - 1) > 0) {
			comm[strcspn(comm, "\n")] = '\0';
			found = strcmp(comm, name) == 0;
		}
	}
	(void)closedir(dir);
	return found;
}

static enum kf_doctor_result plugin(struct kf_doctor *d)
{
	if (!d->found || !runs(d, "nono-nri"))
		return kf_doctor_say(d, KF_DOCTOR_WARNING,
				     "nono-nri does not run on this node; the guard sandboxes with "
				     "the settings it was given last");
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
}

/* The names of the published profiles' files into *ret (kf_host_list_free()). */
static int published(struct kf_doctor *d, char ***ret, struct kf_err *err)
{
	char pattern[600];

	(void)snprintf(pattern, sizeof(pattern), "%.*s/profiles/*",
		       (int)(strrchr(d->options->launcher, '/') - d->options->launcher),
		       d->options->launcher);
	return kf_host_glob(&d->node.host, pattern, ret, err);
}

static int read_profile(struct kf_doctor *d, const char *path, struct kf_policy *ret,
			struct kf_err *err)
{
	KF_FREE char *text = NULL;
	size_t n;

	return kf_host_read(&d->node.host, path, KF_LIMIT_POLICY_TEXT, &text, &n, err) < 0
		       ? -1
		       : kf_policy_parse(text, n, ret, err);
}

static enum kf_doctor_result profiles(struct kf_doctor *d)
{
	unsigned count = 0;
	char **list;
	struct kf_err err = {0};
	bool bad = false;

	if (!d->found)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs a runtime");
	if (published(d, &list, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", err.msg);
	for (char **p = list; *p && !bad; p++, count++) {
		struct kf_policy policy;

		bad = read_profile(d, *p, &policy, &err) < 0;
		if (bad)
			kf_doctor_say(d, KF_DOCTOR_ERROR, "'%s': %s", *p, err.msg);
		else
			kf_policy_done(&policy);
	}
	kf_host_list_free(list);
	if (bad)
		return KF_DOCTOR_ERROR;
	if (!count)
		return kf_doctor_say(d, KF_DOCTOR_OK,
				     "none published yet, the built-in ones count");
	return kf_doctor_say(d, KF_DOCTOR_OK, "%u", count);
}

/* --- the rest --- */

static enum kf_doctor_result containers(struct kf_doctor *d)
{
	if (!d->found)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs a runtime");
	return kf_doctor_say(d, KF_DOCTOR_OK, "%u started through the guard",
			     kf_payload_in_use(&d->node));
}

static enum kf_doctor_result kata(struct kf_doctor *d)
{
	KF_FREE char *version = NULL;
	unsigned major, minor;

	if (!d->found ||
	    kf_host_read(&d->node.host, "/opt/kata/VERSION", 256, &version, NULL, NULL) < 0)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "Kata is not installed");
	if (sscanf(version, "%u.%u", &major, &minor) != 2 || major * 1000 + minor < 3032)
		return kf_doctor_say(
			d, KF_DOCTOR_WARNING,
			"Kata %.20s has no Landlock in its guest kernel (3.32 has); give "
			"it one with kata.kernelImage",
			version);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%u.%u", major, minor);
}

/* The first line of the recipe among @rules: with agents, about the sandbox that the
 * program brings itself. */
static void add_recipe(struct kf_doctor *d, const char *name, const struct kf_rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (rules[i].kind != KF_RULE_NOTE || strncmp(rules[i].arg, "hint ", 5) == 0)
			continue;
		kf_buf_addf(&d->advice, "%s: %s\n", name, rules[i].arg);
		return;
	}
}

/* Recipes of the profiles that this node has; false if it has none of its own. */
static bool published_recipes(struct kf_doctor *d)
{
	struct kf_err ignored;
	char **list;
	bool any;

	if (!d->found || published(d, &list, &ignored) < 0)
		return false;
	any = *list != NULL;
	for (char **p = list; *p; p++) {
		struct kf_policy policy;

		if (read_profile(d, *p, &policy, &ignored) < 0)
			continue;
		add_recipe(d, policy.name, policy.rules, policy.nrules);
		kf_policy_done(&policy);
	}
	kf_host_list_free(list);
	return any;
}

static void builtin_recipes(struct kf_doctor *d)
{
	struct kf_profiles all;
	struct kf_err err;

	for (size_t i = 0; i < kf_nprofile_builtins; i++) {
		struct kf_compiled compiled;

		/* Each with memory of its own: a builtin may be as large as its limit. */
		kf_profiles_init(&all);
		if (kf_profiles_compile(&all, kf_profile_builtins[i].name, &compiled, &err) == 0)
			add_recipe(d, compiled.name, compiled.rules, compiled.nrules);
		kf_profiles_done(&all);
	}
}

static enum kf_doctor_result agents(struct kf_doctor *d)
{
	if (!published_recipes(d))
		builtin_recipes(d);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s",
			     d->advice.n ? "bubblewrap cannot mount inside Landlock; "
					   "'kubefence explain PROFILE' tells more"
					 : "");
}

const struct kf_doctor_check kf_doctor_node[] = {
	{"runtime", "a container runtime is there", "runtime", true, runtime_found},
	{"runtime", "its configuration can be read and changed", "configuration", true,
	 runtime_configuration},
	{"runtime", "its version allows plugin and guard", "version", true, runtime_version},
	{"runtime", "it answers on its CRI socket", "cri", true, runtime_answers},
	{"configuration", "the node is set up", "installed", false, installed},
	{"configuration", "the runtime uses what was installed", "effective", false, effective},
	{"configuration", "the runtime serves the handlers", "handlers", false, handlers_served},
	{"guard", "every handler of runc's type has the guard", "guard", false, guard},
	{"guard", "installed files are safe", "files", false, guard_files},
	{"guard", "settings are valid", "settings", false, settings},
	{"plugin", "the NRI socket is there", "nri", false, nri_socket},
	{"plugin", "the plugin runs", "plugin", false, plugin},
	{"plugin", "published profiles are valid", "profiles", false, profiles},
	{"workload", "containers", "containers", false, containers},
	{"workload", "Kata's guest kernel has Landlock", "kata", true, kata},
	{"workload", "agents that bring a sandbox of their own", "agents", true, agents},
	{NULL, NULL, NULL, false, NULL},
};
