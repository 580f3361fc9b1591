/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata policy: prints the policy for Kata's agent, for the profiles that are allowed.
 * Its text is in src/kata/agent_policy.c. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "cli/print.h"
#include "config/settings_text.h"
#include "kata/agent_policy.h"
#include "kubefence/kata/kata.h"
#include "profile/profile.h"

#include <stdio.h>
#include <string.h>

#define PROFILES_MAX   1024
/* Their names, and the settings. */
#define ALLOWED_MEMORY (1024 * 1024)

struct allowed_profiles {
	struct kf_arena arena;
	const char *v[PROFILES_MAX];
	size_t n;
};

/* Add a profile, in the order of their names and each once, so that the same profiles give the same
 * policy. */
static int allow_profile(struct allowed_profiles *a, const char *name, struct kf_err *err)
{
	size_t at = 0;

	while (at < a->n && strcmp(a->v[at], name) < 0)
		at++;
	if (at < a->n && strcmp(a->v[at], name) == 0)
		return 0;
	if (!kf_profile_name_valid(name))
		return kf_fail(err, EINVAL, "'%.80s' is not a profile name", name);
	if (a->n == PROFILES_MAX)
		return kf_fail(err, E2BIG, "more than %d profiles", PROFILES_MAX);
	memmove(&a->v[at + 1], &a->v[at], (a->n - at) * sizeof(a->v[0]));
	a->v[at] = kf_arena_strdup(&a->arena, name);
	a->n++;
	return a->v[at] ? 0 : kf_fail_nomem(err, "policy");
}

/* Allow every profile beside the launcher; if there are none, the built-in ones. */
static int allow_existing(struct allowed_profiles *a, const struct kf_host *host,
			  const char *launcher, struct kf_err *err)
{
	char **list, pattern[512];
	int r = 0;

	(void)snprintf(pattern, sizeof(pattern), "%.*sprofiles/*",
		       (int)(kf_path_base(launcher) - launcher), launcher);
	if (kf_host_glob(host, pattern, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++)
		if (kf_profile_name_valid(kf_path_base(*p)))
			r = allow_profile(a, kf_path_base(*p), err);
	kf_host_list_free(list);
	if (a->n)
		return r;
	for (size_t i = 0; i < kf_nprofile_builtins && r == 0; i++)
		r = allow_profile(a, kf_profile_builtins[i].name, err);
	return r;
}

/* Allow what a namespace has of its own: the guest does not know whose pod it runs. */
static int allow_namespace(struct allowed_profiles *a, const char *text, struct kf_err *err)
{
	char name[KF_LIMIT_PROFILE_NAME + 1];

	for (text += strcspn(text, " "); *text; text += strcspn(text, " ,")) {
		text++;
		(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(text, " ,"), text);
		if (strcmp(name, "-") != 0 && allow_profile(a, name, err) < 0)
			return -1;
	}
	return 0;
}

/* Allow what the node's settings allow.  Without settings only profiles on the command line can be
 * allowed. */
static int from_settings(const struct kf_host *host, const char *file, struct allowed_profiles *a,
			 enum kf_exec_mode *exec, bool exec_given, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	struct kf_settings_text s;
	size_t n;
	int r;

	if (kf_host_read(host, file, KF_LIMIT_CONFIG, &text, &n, err) < 0)
		return err->code == ENOENT ? kf_fail(err, ENOENT,
						     "there are no settings at '%s'; name profiles "
						     "with --profile, "
						     "or run this on a node that is set up",
						     file)
					   : -1;
	if (kf_settings_text_parse(text, n, &s, err) < 0)
		return kf_fail_wrap(err, "'%s'", file);
	if (!exec_given)
		*exec = s.settings.exec;
	r = 0;
	for (size_t i = 0; i < s.settings.nallowed_profiles && r == 0; i++)
		r = allow_profile(a, s.settings.allowed_profiles[i], err);
	for (size_t i = 0; i < s.settings.nnamespaces && a->n && r == 0; i++)
		r = allow_namespace(a, s.settings.namespaces[i], err);
	if (r == 0 && !a->n)
		r = allow_existing(a, host, s.settings.launcher, err);
	if (r == 0)
		r = allow_profile(a, s.settings.default_profile, err);
	kf_settings_text_done(&s);
	return r;
}

struct policy_line {
	const char *root, *settings, *pause;
	struct kf_option_list profiles;
	unsigned exec; /* 0: as the settings say; else which of the words, plus 1 */
};

static int take_exec(void *target, const char *arg, struct kf_err *err)
{
	int word = kf_options_word("sandbox|deny", arg);

	if (word < 0)
		return kf_fail(err, EINVAL, "'%.40s' is neither sandbox nor deny", arg);
	*(unsigned *)target = 1 + (unsigned)word;
	return 0;
}

/* Collect the allowed profiles, and how processes may enter unless @l says so. */
static int collect_allowed(const struct policy_line *l, struct allowed_profiles *a,
			   enum kf_exec_mode *exec, struct kf_err *err)
{
	struct kf_host host;
	int r;

	for (size_t i = 0; i < l->profiles.n; i++)
		if (allow_profile(a, l->profiles.v[i], err) < 0)
			return -1;
	if (a->n)
		return 0;
	if (kf_host_open(l->root, &host, err) < 0)
		return -1;
	r = from_settings(&host, l->settings, a, exec, l->exec != 0, err);
	kf_host_done(&host);
	return r;
}

static int run_policy(const struct kf_command *self, int argc, char **argv)
{
	const char *profiles[PROFILES_MAX];
	struct policy_line l = {
		.root = "/",
		.settings = KF_SETTINGS_TEXT_PATH,
		.pause = "/pause",
		.profiles = KF_OPTION_LIST(profiles),
	};
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	static struct allowed_profiles allowed;
	struct kf_arguments arguments;
	enum kf_exec_mode exec;
	struct kf_err err;
	int r, status;

	if (!kf_command_parse(self, argc, argv, &l, &arguments, &status))
		return status;
	exec = l.exec == 2 ? KF_EXEC_DENY : KF_EXEC_SANDBOX;
	kf_arena_init(&allowed.arena, ALLOWED_MEMORY);
	r = collect_allowed(&l, &allowed, &exec, &err);
	if (r == 0) {
		kf_kata_agent_policy(allowed.v, allowed.n, exec, l.pause, &out);
		r = out.failed ? kf_fail_nomem(&err, "policy") : 0;
	}
	if (r == 0)
		(void)kf_print_raw(stdout, out.p, out.n);
	kf_buf_done(&out);
	kf_arena_done(&allowed.arena);
	return r == 0 ? KF_EXIT_OK : kf_command_fail("%s", err.msg);
}

const struct kf_command kf_cmd_kata_policy = {
	.name = "policy",
	.summary = "the policy for Kata's agent: nothing starts but in the sandbox",
	.about =
		"Prints the policy (Rego) for Kata's agent: containers start, and processes enter\n"
		"them, through the launcher with one of the profiles or not at all. For "
		"'kubefence\n"
		"kata inject'. Make it anew when profiles come or go.",
	.options =
		(const struct kf_option[]){
			{
				.name = "profile",
				.kind = KF_OPTION_EACH,
				.value = "PROFILE",
				KF_OPTION_AT(struct policy_line, profiles),
				.help = "allow this one; may be repeated (default: what the "
					"settings allow, else all that are published, else the "
					"built-in ones)",
			},
			{
				.name = "exec",
				.kind = KF_OPTION_CALL,
				.value = "sandbox|deny",
				KF_OPTION_AT(struct policy_line, exec),
				.call = take_exec,
				.help = "(default: as the settings say)",
			},
			{
				.name = "pause",
				.kind = KF_OPTION_STRING,
				.value = "COMMAND",
				KF_OPTION_AT(struct policy_line, pause),
				.help = "of the pod's pause container (default: /pause)",
			},
			{
				.name = "settings",
				.kind = KF_OPTION_STRING,
				.value = "FILE",
				KF_OPTION_AT(struct policy_line, settings),
				.help = "(default: " KF_SETTINGS_TEXT_PATH ")",
			},
			KF_OPT_HOST_ROOT(struct policy_line, root),
			{0},
		},
	.run = run_policy,
};
