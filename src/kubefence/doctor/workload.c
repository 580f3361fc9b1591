/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of doctor on the plugin, its profiles, the containers, Kata and agents.  The runtime and
 * the guard are checked in node.c. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/version.h"
#include "flat/flat.h"
#include "host/run.h"
#include "host/socket.h"
#include "kata/kata.h"
#include "kubefence/agent/agent.h"
#include "kubefence/doctor/doctor.h"
#include "kubefence/profile/find.h"
#include "node/handler.h"
#include "node/payload.h"
#include "observe/state.h"

#include <dirent.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a program of ours says of itself, in one line; it only prints. */
#define VERSION_TEXT 128
#define VERSION_MS   (10 * 1000)

/* --- plugin --- */

static enum kf_doctor_result nri_socket(struct kf_doctor *d)
{
	struct kf_err err = {.msg = "there is no runtime"};

	/* /var/run is a symlink to /run on every host that we know. */
	if (!d->found || kf_socket_wait(&d->node.host, d->options->nri_socket, 0, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", err.msg);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", d->options->nri_socket);
}

/* Whether a process with that name runs on the host. */
static bool is_running(const struct kf_doctor *d, const char *name)
{
	bool found = false;
	struct dirent *de;
	DIR *dir;
	int fd;

	if (kf_host_dir(&d->node.host, "/proc", false, &fd, KF_ERR_IGNORED) < 0)
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

/* What holds while the plugin does not answer. */
static const char *without_plugin(struct kf_doctor *d)
{
	KF_FREE char *text = NULL;
	struct kf_err err;
	size_t n;

	return d->found && kf_host_read(&d->node.host, KF_NODE_SETTINGS, KF_LIMIT_CONFIG, &text, &n,
					&err) == 0
		       ? "the guard sandboxes with the settings it was given last"
		       : "no guard was given settings either: nothing is sandboxed here";
}

static enum kf_doctor_result check_plugin(struct kf_doctor *d)
{
	if (!d->found || !is_running(d, "nono-nri"))
		return kf_doctor_say(d, KF_DOCTOR_WARNING, "nono-nri does not run on this node; %s",
				     without_plugin(d));
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
}

static enum kf_doctor_result check_connected(struct kf_doctor *d)
{
	struct kf_plugin_result result;
	char why[160];

	if (!d->found || !is_running(d, "nono-nri"))
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs the one above");
	kf_agent_plugin_do(&d->node.host, &result);
	if (kf_agent_plugin_judge(&result, why, sizeof(why)))
		return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
	return kf_doctor_say(d, KF_DOCTOR_WARNING, "%s; %s", why, without_plugin(d));
}

/* The version that one of our programs on the node says of itself; "" if it does not. */
static void read_version(const struct kf_host *host, const char *program, const char *option,
			 char ret[static VERSION_TEXT])
{
	const char *const argv[] = {program, option, NULL};
	struct kf_run run;
	struct kf_err err;
	const char *word;

	ret[0] = '\0';
	if (kf_run_host(host, argv, VERSION_MS, VERSION_TEXT, &run, &err) < 0)
		return;
	word = run.status == 0 ? strrchr(run.out, ' ') : NULL;
	if (word)
		(void)snprintf(ret, VERSION_TEXT, "%.*s", (int)strcspn(word + 1, "\n"), word + 1);
	kf_run_done(&run);
}

/* Launcher, guard and plugin of this node, against this program. */
static enum kf_doctor_result check_versions(struct kf_doctor *d)
{
	struct {
		const char *name;
		char version[VERSION_TEXT];
	} ours[] = {{"the launcher", ""}, {"the guard", ""}, {"nono-nri", ""}};
	enum kf_apart most = KF_APART_NOT;
	struct kf_plugin_result result;
	size_t which = 0;

	if (!d->found || !d->node.journal.exists)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs a node that is set up");
	read_version(&d->node.host, d->options->launcher, "--version", ours[0].version);
	read_version(&d->node.host, KF_NODE_GUARD, "--kubefence-version", ours[1].version);
	kf_agent_plugin_do(&d->node.host, &result);
	(void)kf_agent_plugin_said(&result, "version", ours[2].version, VERSION_TEXT);
	for (size_t i = 0; i < KF_ARRAY_SIZE(ours); i++) {
		/* Who does not run, or has no guard, is told of by other checks. */
		enum kf_apart apart = *ours[i].version
					      ? kf_version_apart(ours[i].version, KF_VERSION)
					      : KF_APART_NOT;

		if (apart > most) {
			most = apart;
			which = i;
		}
	}
	if (most == KF_APART_NOT)
		return kf_doctor_say(d, KF_DOCTOR_OK, KF_VERSION);
	return kf_doctor_say(
		d, most == KF_APART_ONE ? KF_DOCTOR_WARNING : KF_DOCTOR_ERROR,
		"%s is %s, this program " KF_VERSION ": %s", ours[which].name, ours[which].version,
		most == KF_APART_ONE
			? "neighbours work together; end the upgrade with 'kubefence node install'"
			: "nobody has tried these together; upgrade by one minor version at a "
			  "time");
}

/* Whether the runtime applies what the plugin asks for, and validates it; only the plugin knows. */
static enum kf_doctor_result check_given(struct kf_doctor *d)
{
	struct kf_plugin_result result;
	char runtime[96], validation[96], without[192];

	if (!d->found || !is_running(d, "nono-nri"))
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs the ones above");
	kf_agent_plugin_do(&d->node.host, &result);
	if (!kf_agent_plugin_said(&result, "runtime", runtime, sizeof(runtime)) ||
	    !kf_agent_plugin_said(&result, "validation", validation, sizeof(validation)) ||
	    !kf_agent_plugin_said(&result, "without the guard", without, sizeof(without)))
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs the ones above");
	if (strcmp(validation, "yes") == 0)
		return kf_doctor_say(d, KF_DOCTOR_OK, "%s: arguments, validation", runtime);
	return kf_doctor_say(d, KF_DOCTOR_WARNING,
			     "%s: validation: %s; only the guard sandboxes; without it %s", runtime,
			     validation, without);
}

/* List the files of the published profiles in *ret (kf_host_list_free()). */
static int list_published(struct kf_doctor *d, char ***ret, struct kf_err *err)
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

static enum kf_doctor_result check_profiles(struct kf_doctor *d)
{
	struct kf_plugin_result result = {0};
	unsigned count = 0;
	char **list, rejected[512];
	struct kf_err err = {0};
	bool bad = false;

	if (!d->found)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs a runtime");
	kf_agent_plugin_do(&d->node.host, &result);
	if (kf_agent_plugin_said(&result, "rejected profiles", rejected, sizeof(rejected)))
		return kf_doctor_say(d, KF_DOCTOR_ERROR,
				     "the plugin rejects %s; what it had before is in force",
				     rejected);
	if (list_published(d, &list, &err) < 0)
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

static enum kf_doctor_result check_containers(struct kf_doctor *d)
{
	struct kf_in_use pods;
	struct kf_err err;

	if (!d->found)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs a runtime");
	if (kf_payload_in_use(&d->node, &pods, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_WARNING, "cannot be listed: %s", err.msg);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%u%s%s", pods.n, pods.n ? ": " : "", pods.names);
}

/* If the container of state file @path runs outside of the sandbox, put the reason into
 * doctor->text and return true. */
static bool find_outside(struct kf_doctor *d, const char *path)
{
	KF_FREE char *text = NULL;
	struct json_object *root, *why = NULL, *pod = NULL, *ns = NULL;
	bool is;

	if (kf_host_read(&d->node.host, path, KF_LIMIT_CONFIG, &text, NULL, KF_ERR_IGNORED) < 0)
		return false; /* the container ended meanwhile */
	root = json_tokener_parse(text);
	is = json_object_object_get_ex(root, "unsandboxed", &why) && why;
	if (is) {
		(void)json_object_object_get_ex(root, "pod", &pod);
		(void)json_object_object_get_ex(root, "namespace", &ns);
		kf_doctor_say(d, KF_DOCTOR_ERROR,
			      "pod %.80s/%.80s has a container that runs outside the sandbox "
			      "(%.120s); delete the pod",
			      ns ? json_object_get_string(ns) : "?",
			      pod ? json_object_get_string(pod) : "?", json_object_get_string(why));
	}
	json_object_put(root);
	return is;
}

/* When the plugin connects, it looks at every container of its handlers and writes this state. */
static enum kf_doctor_result check_unsandboxed(struct kf_doctor *d)
{
	unsigned count = 0;
	struct kf_err err;
	bool bad = false;
	char **pods;

	if (!d->found || !kf_host_exists(&d->node.host, KF_STATE_DIR))
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "the plugin has not run yet");
	if (kf_host_glob(&d->node.host, KF_STATE_DIR "/*", &pods, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", err.msg);
	for (char **p = pods; *p && !bad; p++) {
		char pattern[512], path[1024];
		char **containers;

		(void)snprintf(pattern, sizeof(pattern), "%s/*", *p);
		if (kf_host_glob(&d->node.host, pattern, &containers, &err) < 0)
			continue; /* it is not a directory */
		for (char **c = containers; *c && !bad; c++, count++) {
			(void)snprintf(path, sizeof(path), "%s/metadata.json", *c);
			bad = find_outside(d, path);
		}
		kf_host_list_free(containers);
	}
	kf_host_list_free(pods);
	return bad ? KF_DOCTOR_ERROR : kf_doctor_say(d, KF_DOCTOR_OK, "%u looked at", count);
}

static enum kf_doctor_result check_kata(struct kf_doctor *d)
{
	KF_CLEANUP(kf_arena_done) struct kf_arena arena;
	struct kf_kata found;
	char note[256];
	struct kf_err err;

	kf_arena_init(&arena, KF_KATA_MEMORY);
	if (d->found && kf_kata_note(&d->node.host, note, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "%s", err.msg);
	if (d->found && d->node.journal.nvms && *note)
		return kf_doctor_say(d, KF_DOCTOR_WARNING, "%s", note);
	if (!d->found ||
	    kf_kata_find(&d->node.host, KF_KATA_SHARE, KF_KATA_CONFIG, &arena, &found, &err) < 0)
		return !d->found || err.code == ENOENT
			       ? kf_doctor_say(d, KF_DOCTOR_SKIP, "Kata is not installed")
			       : kf_doctor_say(d, KF_DOCTOR_WARNING, "%s", err.msg);
	if (found.landlock == KF_KATA_LANDLOCK_YES || d->node.journal.nvms)
		return kf_doctor_say(d, KF_DOCTOR_OK, "Kata %s", found.version);
	return kf_doctor_say(d, KF_DOCTOR_WARNING,
			     "Kata %s: %s: %.120s (3.32 has it); give it a kernel with "
			     "'kubefence kata' or kata.kernelImage",
			     found.version,
			     found.landlock == KF_KATA_LANDLOCK_NO
				     ? "no Landlock in its guest kernel"
				     : "nobody knows whether its guest kernel has Landlock",
			     found.why);
}

static enum kf_doctor_result kata_handlers(struct kf_doctor *d)
{
	const struct kf_node_options *o = d->options;
	const char *theirs = NULL;

	if (!d->found)
		return kf_doctor_say(d, KF_DOCTOR_SKIP, "needs a runtime");
	for (size_t i = 0; i < d->node.journal.nvms; i++)
		if (!kf_host_exists(&d->node.host, d->node.journal.vms[i].shim))
			return kf_doctor_say(
				d, KF_DOCTOR_ERROR,
				"Kata is gone, pods of handler '%s' cannot start; install it, or "
				"run 'kubefence kata uninstall'",
				d->node.journal.vms[i].name);
	for (size_t i = 0; i < o->nhandlers && !theirs; i++)
		if (kf_node_not_ours(o->handlers[i]) && !kf_node_is_vm(&d->node, o->handlers[i]))
			theirs = o->handlers[i];
	if (theirs)
		return kf_doctor_say(
			d, KF_DOCTOR_WARNING,
			"every pod of handler '%s' is sandboxed, and its configuration is "
			"Kata's own; 'kubefence kata install' registers " KF_KATA_HANDLER
			", which pods cannot change",
			theirs);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
}

/* Add the first line of the recipe in @rules: for agents it is about the sandbox that the program
 * brings itself. */
static void add_recipe(struct kf_doctor *d, const char *name, const struct kf_rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (rules[i].kind != KF_RULE_NOTE || strncmp(rules[i].arg, "hint ", 5) == 0)
			continue;
		kf_buf_addf(&d->advice, "%s: %s\n", name, rules[i].arg);
		return;
	}
}

/* Add the recipes of the profiles that this node has; false if it has none of its own. */
static bool published_recipes(struct kf_doctor *d)
{
	struct kf_err ignored;
	char **list;
	bool any;

	if (!d->found || list_published(d, &list, &ignored) < 0)
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

		/* Each profile gets its own memory: a built-in one may be as large as the limit. */
		kf_profiles_init(&all);
		if (kf_profiles_compile(&all, kf_profile_builtins[i].name, &compiled, &err) == 0)
			add_recipe(d, compiled.name, compiled.rules, compiled.nrules);
		kf_profiles_done(&all);
	}
}

static enum kf_doctor_result check_agents(struct kf_doctor *d)
{
	if (!published_recipes(d))
		builtin_recipes(d);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s",
			     d->advice.n ? "bubblewrap cannot mount inside Landlock; "
					   "'kubefence explain PROFILE' tells more"
					 : "");
}

const struct kf_doctor_check kf_doctor_workload[] = {
	{"plugin", "the NRI socket is there", "nri", false, nri_socket},
	{"plugin", "the plugin runs", "plugin", false, check_plugin},
	{"plugin", "it is connected to the runtime and ready", "connected", false, check_connected},
	{"plugin", "all programs are of one version", "versions", false, check_versions},
	{"plugin", "the runtime does what it asks for", "given", false, check_given},
	{"plugin", "published profiles are valid", "profiles", false, check_profiles},
	{"workload", "containers", "containers", false, check_containers},
	{"workload", "every container of the handlers is sandboxed", "unsandboxed", false,
	 check_unsandboxed},
	{"workload", "Kata's guest kernel has Landlock", "kata", true, check_kata},
	{"workload", "handlers of virtual machines are ours", "kata-handler", false, kata_handlers},
	{"workload", "agents that bring a sandbox of their own", "agents", true, check_agents},
	{NULL, NULL, NULL, false, NULL},
};
