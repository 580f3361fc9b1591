/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence profile: its commands and their options.  What they print is made in text.c; profiles
 * are found in find.c and compiled in src/profile. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "cli/print.h"
#include "kubefence/commands.h"
#include "kubefence/options.h"
#include "kubefence/profile/find.h"
#include "kubefence/profile/text.h"
#include "profile/netpol.h"

#include <fcntl.h>
#include <string.h>

/* Exit codes of diff: the rules differ and nothing is newly reached; the first of the kinds of what
 * is, from the harmless to the dangerous. */
enum { DIFF_NARROWER = 3, DIFF_REACHES = 10 };

struct profile_options {
	const char *dirs_v[KF_PROFILE_DIRS_MAX];
	struct kf_option_list dirs;
	unsigned output;
	const char *extends, *namespace_, *selector;
	bool groups, strict;
	struct kf_arguments arguments;
	struct kf_profiles profiles;
};

/* Compile, report problems; KF_EXIT_FAILED if there is an error. */
static int compile_profile(struct profile_options *o, const char *what, struct kf_compiled *ret)
{
	struct kf_err err;
	int r = kf_profiles_compile(&o->profiles, what, ret, &err);

	if (kf_profiles_report(&o->profiles) == 0 && r < 0)
		return kf_command_fail("%s", err.msg);
	return r < 0 ? KF_EXIT_FAILED : KF_EXIT_OK;
}

static int cmd_init(void *line)
{
	struct profile_options *o = line;
	const char *base = o->extends ? o->extends : "default";
	KF_FREE char *file = NULL;
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	char name[KF_LIMIT_PROFILE_NAME + 1];
	struct kf_err err;
	int fd, r;

	if (asprintf(&file, "%s.json", o->arguments.v[0]) < 0)
		return kf_command_fail("out of memory");
	if (!kf_profile_file_name(file, name, sizeof(name)))
		return kf_command_usage("'%s' is not a profile name: letters, digits, '_' and "
					"'-', at most %d",
					o->arguments.v[0], KF_LIMIT_PROFILE_NAME);
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return kf_command_fail("%s: %s", file, strerror(errno));
	kf_profile_text_template(name, base, &out);
	r = out.failed ? -1 : kf_write_all(fd, out.p, out.n, &err);
	kf_buf_done(&out);
	if (close(fd) < 0 || r < 0)
		return kf_command_fail("writing %s failed", file);
	kf_print_line(stdout, "%s", file);
	return KF_EXIT_OK;
}

static int cmd_list(void *line)
{
	struct profile_options *o = line;
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	int status;
	bool as_json = o->output == KF_OUTPUT_JSON;

	if (o->groups)
		status = kf_profile_text_groups(&o->profiles, as_json, &out);
	else
		status = kf_profile_text_list(&o->profiles, as_json, &out);
	return kf_command_print(&out, status ? KF_EXIT_FAILED : KF_EXIT_OK);
}

static int cmd_show(void *line)
{
	struct profile_options *o = line;
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	struct kf_compiled compiled;
	bool as_json = o->output == KF_OUTPUT_JSON;
	int status = compile_profile(o, o->arguments.v[0], &compiled);

	if (status)
		return status;
	kf_profile_show(&compiled, !as_json, &out);
	return kf_command_print(&out, KF_EXIT_OK);
}

static int cmd_validate(void *line)
{
	struct profile_options *o = line;
	/* Each file brings the profiles of its own directory. */
	const struct kf_profile_library library = o->profiles.library;
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	size_t errors = 0, warnings = 0;
	bool as_json = o->output == KF_OUTPUT_JSON;

	kf_buf_adds(&out, as_json ? "[" : "");
	for (int i = 0; i < o->arguments.n; i++) {
		struct kf_compiled compiled;
		struct kf_err err;
		int r = kf_profiles_compile(&o->profiles, o->arguments.v[i], &compiled, &err);

		errors += r < 0;
		warnings += o->profiles.diags.nwarnings;
		if (as_json)
			kf_profile_text_diags(&o->profiles.diags, o->arguments.v[i],
					      r < 0 ? err.msg : NULL, &out);
		else if (kf_profiles_report(&o->profiles) == 0 && r < 0)
			(void)kf_command_fail("%s", err.msg);
		else if (r == 0)
			kf_buf_addf(&out, "%s: ok, %zu rules\n", o->arguments.v[i],
				    compiled.nrules);
		o->profiles.library = library;
	}
	kf_buf_adds(&out, as_json ? "\n]\n" : "");
	return kf_command_print(&out,
				errors || (o->strict && warnings) ? KF_EXIT_FAILED : KF_EXIT_OK);
}

static int cmd_compile(void *line)
{
	struct profile_options *o = line;
	struct kf_compiled compiled;
	int status = compile_profile(o, o->arguments.v[0], &compiled);

	if (status)
		return status;
	return kf_print_raw(stdout, compiled.text, compiled.n) < 0
		       ? kf_command_fail("writing failed")
		       : KF_EXIT_OK;
}

/* Hosts are no rules of the launcher's. */
static bool has_hosts(const struct kf_compiled *c)
{
	return c->profile.lists[KF_LIST_DOMAIN].n > 0;
}

static int cmd_diff(void *line)
{
	struct profile_options *o = line;
	const struct kf_profile_library library = o->profiles.library;
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	struct kf_compiled a, b;
	bool as_json = o->output == KF_OUTPUT_JSON, differ;
	int status = compile_profile(o, o->arguments.v[0], &a), worst;
	struct kf_reach reach = {0};
	struct kf_err err;

	if (status)
		return status;
	o->profiles.library = library;
	if ((status = compile_profile(o, o->arguments.v[1], &b)))
		return status;
	if (as_json)
		kf_json_open(&out, NULL, '{');
	differ = kf_profile_text_diff(&a, &b, as_json, &out);
	if ((differ || has_hosts(&a) || has_hosts(&b)) &&
	    kf_reach_compare(&a, &b, &o->profiles.arena, &reach, &err) < 0) {
		kf_buf_done(&out);
		return kf_command_fail("%s", err.msg);
	}
	worst = kf_reach_worst(&reach);
	if (as_json || differ || worst >= 0)
		kf_profile_text_reach(&reach, as_json, &out);
	kf_buf_adds(&out, as_json ? "}\n" : "");
	status = worst >= 0 ? DIFF_REACHES + worst : differ ? DIFF_NARROWER : KF_EXIT_OK;
	return kf_command_print(&out, status);
}

static int cmd_schema(void *line)
{
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);

	(void)line;
	kf_profile_schema(&out);
	return kf_command_print(&out, KF_EXIT_OK);
}

static bool label_part(const char *s, size_t n)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-_./";

	return n > 0 && n <= 317 && strspn(s, chars) >= n;
}

static int cmd_netpol(void *line)
{
	struct profile_options *o = line;
	struct kf_netpol netpol = {.namespace_ = o->namespace_, .label_key = "nono.sh/profile"};
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	KF_FREE char *selector = NULL, *name = NULL;
	struct kf_compiled compiled;
	int status;

	netpol.kind = o->output ? KF_NETPOL_CILIUM : KF_NETPOL_KUBERNETES;
	if (o->namespace_ && !label_part(o->namespace_, strlen(o->namespace_)))
		return kf_command_usage("--namespace '%s' is not a namespace", o->namespace_);
	if ((status = compile_profile(o, o->arguments.v[0], &compiled)))
		return status;
	if (!compiled.profile.lists[KF_LIST_DOMAIN].n &&
	    !compiled.profile.scalars[KF_SCALAR_BLOCK].s)
		return kf_command_fail("'%s' limits no hosts: it has neither "
				       "network.allow_domain nor network.block",
				       compiled.name);
	netpol.label_value = compiled.name;
	if (o->selector) {
		selector = strdup(o->selector);
		char *value = selector ? strchr(selector, '=') : NULL;

		if (!value || !label_part(selector, (size_t)(value - selector)) ||
		    !label_part(value + 1, strlen(value + 1)))
			return kf_command_usage("--selector '%s' is not KEY=VALUE", o->selector);
		*value = '\0';
		netpol.label_key = selector;
		netpol.label_value = value + 1;
	}
	if (asprintf(&name, "%s-egress", compiled.name) < 0)
		return kf_command_fail("out of memory");
	for (char *p = name; *p; p++) /* object names have no upper case and no '_' */
		*p = (char)(*p == '_' ? '-' : *p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	netpol.name = name;
	kf_netpol_write(&compiled, &netpol, &out);
	return kf_command_print(&out, KF_EXIT_OK);
}

#define OPTION(letter_, name_, value_, kind_, member, help_)                                     \
	{                                                                                        \
		.letter = (letter_), .name = (name_), .kind = KF_OPTION_##kind_,                 \
		.value = (value_), KF_OPTION_AT(struct profile_options, member), .help = (help_) \
	}
#define OPTION_DIR    KF_OPT_DIR(struct profile_options, dirs)
#define OPTION_OUTPUT KF_OPT_OUTPUT(struct profile_options, output)
#define AFTER \
	"PROFILE is a name, or a file NAME.json; its bases are then looked for beside it\nfirst."

/* Every command of the group: read the options, find the profiles, and do the work. */
static int run_line(const struct kf_command *self, int argc, char **argv)
{
	struct profile_options o = {0};
	struct kf_err err;
	int status;

	o.dirs = (struct kf_option_list)KF_OPTION_LIST(o.dirs_v);
	if (!kf_command_parse(self, argc, argv, &o, &o.arguments, &status))
		return status;
	kf_profiles_init(&o.profiles);
	status = kf_profiles_add_dirs(&o.profiles, &o.dirs, &err) < 0
			 ? kf_command_fail("%s", err.msg)
			 : self->act(&o);
	kf_profiles_done(&o.profiles);
	return status;
}

static const struct kf_command command_init = {
	.name = "init",
	.arguments = "NAME",
	.min = 1,
	.max = 1,
	.summary = "write NAME.json, a profile to start from",
	.after = AFTER,
	.options = KF_OPTIONS(OPTION('e', "extends", "PROFILE", STRING, extends,
				     "what to build on (default: default)")),
	.run = run_line,
	.act = cmd_init,
};
static const struct kf_command command_list = {
	.name = "list",
	.summary = "the profiles that there are",
	.after = AFTER,
	.options = KF_OPTIONS(OPTION('g', "groups", NULL, SET, groups,
				     "the groups that profiles can include"),
			      OPTION_DIR, OPTION_OUTPUT),
	.run = run_line,
	.act = cmd_list,
};
static const struct kf_command command_show = {
	.name = "show",
	.arguments = "PROFILE",
	.min = 1,
	.max = 1,
	.summary = "a profile with all that it builds on",
	.after = AFTER,
	.options = KF_OPTIONS(OPTION_DIR, OPTION_OUTPUT),
	.run = run_line,
	.act = cmd_show,
};
static const struct kf_command command_validate = {
	.name = "validate",
	.arguments = "PROFILE...",
	.min = 1,
	.max = 64,
	.summary = "find the mistakes in profiles",
	.after = AFTER,
	.options = KF_OPTIONS(OPTION(0, "strict", NULL, SET, strict, "warnings fail as well"),
			      OPTION_DIR, OPTION_OUTPUT),
	.run = run_line,
	.act = cmd_validate,
};
static const struct kf_command command_compile = {
	.name = "compile",
	.arguments = "PROFILE",
	.min = 1,
	.max = 1,
	.summary = "print the flat text that the launcher reads",
	.after = AFTER,
	.options = KF_OPTIONS(OPTION_DIR),
	.run = run_line,
	.act = cmd_compile,
};
static const struct kf_command command_diff = {
	.name = "diff",
	.arguments = "PROFILE PROFILE",
	.min = 2,
	.max = 2,
	.summary = "what differs between two, and what the second one newly reaches",
	.after = AFTER,
	.options = KF_OPTIONS(OPTION_DIR, OPTION_OUTPUT),
	.run = run_line,
	.act = cmd_diff,
};
static const struct kf_command command_schema = {
	.name = "schema",
	.summary = "print the JSON schema of profiles",
	.after = AFTER,
	.options = KF_OPTIONS(OPTION_DIR),
	.run = run_line,
	.act = cmd_schema,
};
static const struct kf_command command_netpol = {
	.name = "netpol",
	.arguments = "PROFILE",
	.min = 1,
	.max = 1,
	.summary = "print a network policy that allows the profile's hosts",
	.after = AFTER,
	.options = KF_OPTIONS(OPTION('o', "output", "networkpolicy|cilium", WORD, output,
				     "what kind (default: networkpolicy)"),
			      OPTION('n', "namespace", "NAMESPACE", STRING, namespace_,
				     "namespace to write"),
			      OPTION('l', "selector", "KEY=VALUE", STRING, selector,
				     "label of the pods (default: nono.sh/profile=NAME)"),
			      OPTION_DIR),
	.run = run_line,
	.act = cmd_netpol,
};

static const struct kf_command *const commands[] = {
	&command_init,	   &command_list,    &command_show,
	&command_validate, &command_compile, &command_diff,
	&command_schema,   &command_netpol,  NULL,
};

const struct kf_command kf_cmd_profile = {
	.name = "profile",
	.summary = "write, check and look at profiles",
	.about = "Write, check and look at profiles.",
	.after =
		"Exit status: 0 fine; 1 an error in a profile; 2 usage. Of diff also: 3 the rules\n"
		"differ, and nothing is newly reached; else what is, the most dangerous kind:\n"
		"10 in the workspace, 11 hosts or ports, 12 a protection is gone, 13 outside of "
		"the\n"
		"workspace, 14 something executable and writable, 15 credentials.",
	.commands = commands,
};
