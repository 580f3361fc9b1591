/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence seccomp: its commands and options, and reading policies from files.  What they print is
 * made in text.c; policies are compared and combined in src/seccomp. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/print.h"
#include "kubefence/call_names.h"
#include "kubefence/commands.h"
#include "kubefence/seccomp/text.h"
#include "oci/seccomp.h"
#include "seccomp/launcher.h"
#include "text/diag.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>

/* A policy of every system call, each with the longest rule. */
#define TEXT_MAX (4 * 1024 * 1024)

enum seccomp_format { TEXT, JSON, OCI };

struct seccomp_options {
	unsigned format;
	const char *arch;
	struct arguments {
		uint64_t v[6];
		bool given;
	} args;
	const char *call_name;	     /* NULL if not given */
	struct kf_seccomp_call call; /* made from args and call_name */
	struct kf_arguments arguments;
	struct kf_arena arena;
};

static void options_done(struct seccomp_options *o)
{
	kf_arena_done(&o->arena);
}

static int take_args(void *target, const char *list, struct kf_err *err)
{
	struct arguments *args = target;
	char *end;

	for (size_t i = 0;; i++) {
		errno = 0;
		if (i < KF_ARRAY_SIZE(args->v))
			args->v[i] = strtoull(list, &end, 0);
		if (i == KF_ARRAY_SIZE(args->v) || end == list || errno || (*end && *end != ',') ||
		    *list == '-')
			return kf_fail(err, EINVAL, "takes up to 6 numbers, as in 0x10000011,0");
		if (!*end)
			break;
		list = end + 1;
	}
	args->given = true;
	return 0;
}

static int load_file(struct seccomp_options *o, const char *path, const struct kf_seccomp **ret,
		     struct kf_err *err)
{
	KF_FREE char *text = NULL;
	struct kf_json *obj, *container;
	size_t n;

	if (kf_file_slurp(AT_FDCWD, path, KF_LIMIT_OCI_JSON, &text, &n, err) < 0 ||
	    kf_json_parse(text, n, path, &o->arena, &obj, err) < 0)
		return -1;
	container = kf_json_find(obj, "linux");
	if (container) {
		obj = kf_json_find(container, "seccomp");
		if (!obj || obj->type != KF_JSON_OBJECT)
			return kf_fail(err, EINVAL, "'%s': its container has no seccomp profile",
				       path);
	}
	if (kf_oci_seccomp_view(obj, &o->arena, ret, err) < 0 || kf_seccomp_check(*ret, err) < 0)
		return kf_fail_wrap(err, "'%s'", path);
	return 0;
}

/* The policy called @name; NULL if there is none, which was reported. */
static const struct kf_seccomp *load_policy(struct seccomp_options *o, const char *name)
{
	const struct kf_seccomp *policy = NULL;
	enum kf_seccomp_level level;
	struct kf_err err = {0};

	if (*name && kf_seccomp_level_parse(name, &level))
		return kf_seccomp_builtin(level, o->arch);
	if (!strchr(name, '/') && !strchr(name, '.')) {
		(void)kf_command_fail("no level '%s'; there are runtime-default, "
				      "restricted and agent, and files ('./%s')",
				      name, name);
		return NULL;
	}
	if (load_file(o, name, &policy, &err) < 0) {
		(void)kf_command_fail("%s", err.msg);
		return NULL;
	}
	return policy;
}

static int print_json(struct json_object *obj)
{
	if (!obj)
		return kf_command_fail("out of memory");
	kf_print_json(stdout, obj, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	json_object_put(obj);
	return KF_EXIT_OK;
}

/* As any runtime takes it. */
static int print_oci(struct seccomp_options *o, const struct kf_seccomp *policy)
{
	const struct kf_json *obj = kf_oci_seccomp_new(policy, &o->arena);
	struct kf_buf text = KF_BUF_INIT(TEXT_MAX);
	struct json_object *pretty;

	if (obj)
		kf_json_write(obj, &text);
	pretty = text.p && !text.failed ? json_tokener_parse(text.p) : NULL;
	kf_buf_done(&text);
	return print_json(pretty);
}

static int print_policy(struct seccomp_options *o, const struct kf_seccomp *policy,
			const char *name)
{
	struct kf_buf text = KF_BUF_INIT(TEXT_MAX);

	switch (o->format) {
	case OCI:
		return print_oci(o, policy);
	case JSON:
		return print_json(kf_seccomp_text_json(policy, name, o->arch));
	default:
		kf_seccomp_text_show(&text, policy, name, o->arch);
		return kf_command_print(&text, KF_EXIT_OK);
	}
}

static int cmd_show(void *line)
{
	struct seccomp_options *o = line;
	char **names = o->arguments.v;
	const struct kf_seccomp *policy = load_policy(o, names[0]);

	return policy ? print_policy(o, policy, names[0]) : KF_EXIT_FAILED;
}

static int cmd_intersect(void *line)
{
	struct seccomp_options *o = line;
	char **names = o->arguments.v;
	const struct kf_seccomp *a = load_policy(o, names[0]),
				*b = a ? load_policy(o, names[1]) : NULL;
	struct kf_seccomp both;
	struct kf_err err = {0};
	const char *name, *denied;

	if (!b)
		return KF_EXIT_FAILED;
	if (kf_seccomp_intersect(a, b, &o->arena, &both, &err) < 0)
		return kf_command_fail("%s", err.msg);
	name = kf_arena_printf(&o->arena, "%s and %s", names[0], names[1]);
	denied = kf_seccomp_launcher_denied(a, &o->arena);
	if (denied && !*denied)
		denied = kf_seccomp_launcher_denied(b, &o->arena);
	if (!name || !denied)
		return kf_command_fail("out of memory");
	if (*denied)
		(void)kf_command_fail("a container with this policy is refused%s, because "
				      "it may deny or change what the sandbox launcher needs: %s",
				      kf_seccomp_notifies(&both) ? "" : " where there is no guard",
				      denied);
	return print_policy(o, &both, name);
}

static int cmd_diff(void *line)
{
	struct seccomp_options *o = line;
	char **names = o->arguments.v;
	const struct kf_seccomp *a = load_policy(o, names[0]),
				*b = a ? load_policy(o, names[1]) : NULL;
	struct kf_buf text = KF_BUF_INIT(TEXT_MAX);

	if (!b)
		return KF_EXIT_FAILED;
	if (o->format == OCI)
		return kf_command_usage("a difference is no profile; --output is "
					"text or json");
	if (o->format == JSON)
		return print_json(kf_seccomp_text_diff_json(a, b, &o->arena));
	text.failed = kf_seccomp_text_diff(&text, a, names[0], b, names[1], &o->arena) < 0;
	return kf_command_print(&text, KF_EXIT_OK);
}

static bool policy_names(const struct kf_seccomp *policy, const char *call)
{
	for (size_t i = 0; policy && i < policy->nrules; i++)
		if (kf_seccomp_text_names(&policy->rules[i], call))
			return true;
	return false;
}

/* Whether @call is one: the headers know it, or a policy does, which may be newer than they are and
 * of another architecture. */
static bool is_call(const struct seccomp_options *o, const struct kf_seccomp *policy,
		    const char *call)
{
	for (size_t i = 0; i < KF_CALL_NAMES; i++)
		if (kf_call_names[i] && strcmp(kf_call_names[i], call) == 0)
			return true;
	return policy_names(policy, call) ||
	       policy_names(kf_seccomp_builtin(KF_SECCOMP_LEVEL_RUNTIME_DEFAULT, o->arch), call);
}

static int fail_unknown_call(const char *call)
{
	const char *names[KF_CALL_NAMES + 1], *meant;
	size_t n = 0;

	for (size_t i = 0; i < KF_CALL_NAMES; i++)
		if (kf_call_names[i])
			names[n++] = kf_call_names[i];
	names[n] = NULL;
	meant = kf_diag_suggest(call, names);
	return kf_command_usage("--syscall: no system call '%s'%s%s%s", call,
				meant ? "; did you mean '" : " is known here, and no rule names it",
				meant ? meant : "", meant ? "'?" : "");
}

static int cmd_explain(void *line)
{
	struct seccomp_options *o = line;
	char **names = o->arguments.v;
	const struct kf_seccomp *policy = load_policy(o, names[0]);
	struct kf_seccomp only;
	struct kf_seccomp_rule *rules;
	struct kf_buf text = KF_BUF_INIT(TEXT_MAX);

	if (!policy)
		return KF_EXIT_FAILED;
	if (!o->call.name)
		return kf_command_usage("--syscall CALL is missing");
	if (!is_call(o, policy, o->call.name))
		return fail_unknown_call(o->call.name);
	/* Keep only the part of the policy that is about this call. */
	only = *policy;
	only.nrules = 0;
	only.rules = rules = kf_arena_calloc(&o->arena, policy->nrules, sizeof(*rules));
	if (!rules)
		return kf_command_fail("out of memory");
	for (size_t i = 0; i < policy->nrules; i++) {
		if (kf_seccomp_text_names(&policy->rules[i], o->call.name)) {
			rules[only.nrules] = policy->rules[i];
			rules[only.nrules].names = &o->call.name;
			rules[only.nrules++].nnames = 1;
		}
	}
	if (o->format == OCI)
		return print_oci(o, &only);
	if (o->format == JSON)
		return print_json(kf_seccomp_text_explain_json(&only, names[0], o->arch, &o->call,
							       o->args.given));
	kf_seccomp_text_explain(&text, &only, names[0], o->arch, &o->call, o->args.given);
	return kf_command_print(&text, KF_EXIT_OK);
}

/* Read the architecture whose levels are meant. */
static int take_arch(void *target, const char *arg, struct kf_err *err)
{
	if (!kf_seccomp_builtin(KF_SECCOMP_LEVEL_RESTRICTED, arg))
		return kf_fail(err, EINVAL, "'%.40s' is neither x86_64 nor aarch64", arg);
	*(const char **)target = arg;
	return 0;
}

#define OPTION_OUTPUT(words, text)                                                         \
	{                                                                                  \
		.letter = 'o', .name = "output", .kind = KF_OPTION_WORD, .value = (words), \
		KF_OPTION_AT(struct seccomp_options, format), .help = (text)               \
	}
#define OPTION_ARCH                                                                \
	{                                                                          \
		.name = "arch", .kind = KF_OPTION_CALL, .value = "x86_64|aarch64", \
		KF_OPTION_AT(struct seccomp_options, arch), .call = take_arch,     \
		.help = "of the levels (default: this machine's)"                  \
	}
#define OUTPUT_OCI                                                                              \
	OPTION_OUTPUT("text|json|oci", "for people (default), for programs, or a profile that " \
				       "any runtime takes")
#define OUTPUT_TEXT OPTION_OUTPUT("text|json", "for people (default) or for programs")
#define AFTER                                                                               \
	"NAME is runtime-default, restricted, agent, or a file: a profile as\nKubernetes' " \
	"Localhost type takes it, or a bundle's config.json."

/* Every command of the group: read the options, and do the work. */
static int run_line(const struct kf_command *self, int argc, char **argv)
{
	KF_CLEANUP(options_done) struct seccomp_options o = {.arch = KF_SECCOMP_ARCH};
	int status;

	kf_arena_init(&o.arena, KF_LIMIT_REQUEST_MEMORY);
	if (!kf_command_parse(self, argc, argv, &o, &o.arguments, &status))
		return status;
	o.call = (struct kf_seccomp_call){
		.name = o.call_name,
		.arch = strcmp(o.arch, "x86_64") == 0 ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64",
	};
	memcpy(o.call.args, o.args.v, sizeof(o.args.v));
	return self->act(&o);
}

static const struct kf_command command_show = {
	.name = "show",
	.arguments = "NAME",
	.min = 1,
	.max = 1,
	.summary = "what a policy lets through",
	.after = AFTER,
	.options = KF_OPTIONS(OUTPUT_OCI, OPTION_ARCH),
	.run = run_line,
	.act = cmd_show,
};
static const struct kf_command command_diff = {
	.name = "diff",
	.arguments = "NAME NAME",
	.min = 2,
	.max = 2,
	.summary = "what one lets through and the other does not",
	.after = AFTER,
	.options = KF_OPTIONS(OUTPUT_TEXT, OPTION_ARCH),
	.run = run_line,
	.act = cmd_diff,
};
static const struct kf_command command_intersect = {
	.name = "intersect",
	.arguments = "NAME NAME",
	.min = 2,
	.max = 2,
	.summary = "what a container gets that asks for the one on a node with the other",
	.after = AFTER,
	.options = KF_OPTIONS(OUTPUT_OCI, OPTION_ARCH),
	.run = run_line,
	.act = cmd_intersect,
};
static const struct kf_command command_explain = {
	.name = "explain",
	.arguments = "NAME",
	.min = 1,
	.max = 1,
	.summary = "what happens to a call, and which rule decides",
	.after = AFTER,
	.options = KF_OPTIONS(
		{
			.name = "syscall",
			.kind = KF_OPTION_STRING,
			.value = "CALL",
			KF_OPTION_AT(struct seccomp_options, call_name),
			.help = "by name, as in man 2 syscalls",
		},
		{
			.name = "args",
			.kind = KF_OPTION_CALL,
			.value = "NUMBER,...",
			KF_OPTION_AT(struct seccomp_options, args),
			.call = take_args,
			.help = "its arguments; those left out are 0",
		},
		OUTPUT_OCI, OPTION_ARCH),
	.run = run_line,
	.act = cmd_explain,
};

static const struct kf_command *const commands[] = {
	&command_show, &command_diff, &command_intersect, &command_explain, NULL,
};

const struct kf_command kf_cmd_seccomp = {
	.name = "seccomp",
	.summary = "what the seccomp levels let through, and why",
	.about = "Tells what the seccomp levels let through.",
	.commands = commands,
};
