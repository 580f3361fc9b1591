/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata policy */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "config/settings_text.h"
#include "kata/agent_policy.h"
#include "kubefence/command.h"
#include "kubefence/kata/kata.h"
#include "kubefence/print.h"
#include "profile/profile.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define PROFILES_MAX 1024

static const char usage[] =
	"Usage: kubefence kata policy [OPTION...]\n\n"
	"Prints the policy (Rego) for Kata's agent: containers start, and processes enter\n"
	"them, through the launcher with one of the profiles or not at all. For 'kubefence\n"
	"kata inject'. Make it anew when profiles come or go.\n\n"
	"  --profile NAME      allow this one; may be repeated (default: what the settings\n"
	"                      allow, else all that are published, else the built-in ones)\n"
	"  --exec MODE         sandbox or deny (default: as the settings say)\n"
	"  --pause COMMAND     of the pod's pause container (default: /pause)\n"
	"  --settings FILE     (default: " KF_SETTINGS_TEXT_PATH ")\n"
	"  --host-root DIR     where the node's root is mounted (default: /)\n";

enum { OPT_PROFILE = 256, OPT_EXEC, OPT_PAUSE, OPT_SETTINGS, OPT_ROOT };

static const struct option long_options[] = {
	{"profile", required_argument, NULL, OPT_PROFILE},
	{"exec", required_argument, NULL, OPT_EXEC},
	{"pause", required_argument, NULL, OPT_PAUSE},
	{"settings", required_argument, NULL, OPT_SETTINGS},
	{"host-root", required_argument, NULL, OPT_ROOT},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

struct allowed {
	struct kf_arena arena;
	const char *v[PROFILES_MAX];
	size_t n;
};

/* In the order of their names, each once: the same policy for the same profiles. */
static int allow(struct allowed *a, const char *name, struct kf_err *err)
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

/* Every profile that lies beside the launcher, or the built-in ones. */
static int allow_existing(struct allowed *a, const struct kf_host *host, const char *launcher,
			  struct kf_err *err)
{
	char **list, pattern[512];
	int r = 0;

	(void)snprintf(pattern, sizeof(pattern), "%.*sprofiles/*",
		       (int)(kf_path_base(launcher) - launcher), launcher);
	if (kf_host_glob(host, pattern, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++)
		if (kf_profile_name_valid(kf_path_base(*p)))
			r = allow(a, kf_path_base(*p), err);
	kf_host_list_free(list);
	if (a->n)
		return r;
	for (size_t i = 0; i < kf_nprofile_builtins && r == 0; i++)
		r = allow(a, kf_profile_builtins[i].name, err);
	return r;
}

/* What the node's settings say; without any only what was asked for counts. */
static int from_settings(const struct kf_host *host, const char *file, struct allowed *a,
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
	if (kf_settings_parse(text, n, &s, err) < 0)
		return kf_fail_wrap(err, "'%s'", file);
	if (!exec_given)
		*exec = s.settings.exec;
	r = 0;
	for (size_t i = 0; i < s.settings.nallowed_profiles && r == 0; i++)
		r = allow(a, s.settings.allowed_profiles[i], err);
	if (r == 0 && !a->n)
		r = allow_existing(a, host, s.settings.launcher, err);
	if (r == 0)
		r = allow(a, s.settings.default_profile, err);
	kf_settings_text_done(&s);
	return r;
}

int kf_cmd_kata_policy(int argc, char **argv)
{
	const char *root = "/", *settings = KF_SETTINGS_TEXT_PATH, *pause = "/pause";
	struct kf_buf out = KF_BUF_INIT(1024 * 1024);
	enum kf_exec_mode exec = KF_EXEC_SANDBOX;
	static struct allowed allowed;
	bool exec_given = false;
	struct kf_host host;
	struct kf_err err;
	int c, r = 0;

	kf_arena_init(&allowed.arena, 1024 * 1024);
	optind = 0;
	while (r == 0 && (c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		switch (c) {
		case OPT_PROFILE:
			r = allow(&allowed, optarg, &err);
			break;
		case OPT_EXEC:
			exec_given = true;
			exec = strcmp(optarg, "deny") == 0 ? KF_EXEC_DENY : KF_EXEC_SANDBOX;
			if (exec == KF_EXEC_SANDBOX && strcmp(optarg, "sandbox") != 0)
				return kf_command_usage(
					"kata policy: --exec: '%s' is neither sandbox nor deny",
					optarg);
			break;
		case OPT_PAUSE:
			pause = optarg;
			break;
		case OPT_SETTINGS:
			settings = optarg;
			break;
		case OPT_ROOT:
			root = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return KF_EXIT_OK;
		default:
			return KF_EXIT_USAGE;
		}
	}
	if (r == 0 && optind != argc)
		return kf_command_usage("kata policy: '%s' is not understood", argv[optind]);
	if (r == 0 && !allowed.n) {
		r = kf_host_open(root, &host, &err);
		if (r == 0) {
			r = from_settings(&host, settings, &allowed, &exec, exec_given, &err);
			kf_host_done(&host);
		}
	}
	if (r == 0) {
		kf_agent_policy(allowed.v, allowed.n, exec, pause, &out);
		r = out.failed ? kf_fail_nomem(&err, "policy") : 0;
	}
	if (r == 0)
		(void)kf_print_raw(stdout, out.p, out.n);
	kf_buf_done(&out);
	kf_arena_done(&allowed.arena);
	return r == 0 ? KF_EXIT_OK : kf_command_fail("kata policy: %s", err.msg);
}
