/* SPDX-License-Identifier: Apache-2.0 */
#include "kubefence/command.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "kubefence/commands.h"
#include "kubefence/print.h"
#include "kubefence/seccomp/text.h"
#include "oci/seccomp.h"
#include "seccomp/launcher.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>

static const char help[] =
	"Usage: kubefence seccomp show NAME\n"
	"       kubefence seccomp diff NAME NAME\n"
	"       kubefence seccomp intersect NAME NAME\n"
	"       kubefence seccomp explain NAME --syscall CALL [--args ARG,...]\n"
	"\n"
	"Tell what the seccomp levels let through.  NAME is runtime-default, restricted,\n"
	"agent, or a file: a profile as Kubernetes' Localhost type takes it, or a bundle's\n"
	"config.json.  'intersect' shows what a container gets that asks for the one on a\n"
	"node with the other.\n"
	"\n"
	"  -o, --output FORMAT  text (default), json, or oci: a profile that any runtime takes\n"
	"  --arch ARCH          x86_64 or aarch64 for the levels; default: this machine's\n"
	"  --syscall CALL       by name, as in man 2 syscalls\n"
	"  --args ARG,...       its arguments; those left out are 0\n";

#define TEXT_MAX (4 * 1024 * 1024)

enum format { TEXT, JSON, OCI };

struct options {
	enum format format;
	const char *arch;
	struct kf_seccomp_call call; /* name NULL if not given */
	bool has_args;
	struct kf_arena arena;
	struct json_object *files[2]; /* what the policies borrow from */
	size_t nfiles;
};

static void options_done(struct options *o)
{
	for (size_t i = 0; i < o->nfiles; i++)
		json_object_put(o->files[i]);
	kf_arena_done(&o->arena);
}

static int parse_args(const char *list, struct options *o)
{
	char *end;

	for (size_t i = 0;; i++) {
		errno = 0;
		if (i < 6)
			o->call.args[i] = strtoull(list, &end, 0);
		if (i == 6 || end == list || errno || (*end && *end != ',') || *list == '-')
			return kf_command_usage("seccomp: --args takes up to 6 numbers, as in "
						"0x10000011,0");
		if (!*end)
			break;
		list = end + 1;
	}
	o->has_args = true;
	return KF_EXIT_OK;
}

static int parse_format(const char *word, enum format *ret)
{
	static const char *const words[] = {[TEXT] = "text", [JSON] = "json", [OCI] = "oci"};

	for (unsigned i = 0; i < KF_ARRAY_SIZE(words); i++) {
		if (strcmp(word, words[i]) == 0) {
			*ret = (enum format)i;
			return KF_EXIT_OK;
		}
	}
	return kf_command_usage("seccomp: --output '%s': text, json and oci exist", word);
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longopts[] = {
		{"output", required_argument, NULL, 'o'},  {"arch", required_argument, NULL, 'a'},
		{"syscall", required_argument, NULL, 's'}, {"args", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},	   {NULL, 0, NULL, 0},
	};
	int c, status = KF_EXIT_OK;

	opterr = 0;
	while (status == KF_EXIT_OK &&
	       (c = getopt_long(argc, argv, ":o:h", longopts, NULL)) != -1) {
		switch (c) {
		case 'o':
			status = parse_format(optarg, &o->format);
			break;
		case 'a':
			o->arch = optarg;
			if (!kf_seccomp_builtin(KF_SECCOMP_LEVEL_RESTRICTED, optarg))
				status = kf_command_usage(
					"seccomp: --arch '%s': x86_64 and aarch64 exist", optarg);
			break;
		case 's':
			o->call.name = optarg;
			break;
		case 'r':
			status = parse_args(optarg, o);
			break;
		default:
			status = kf_command_usage("seccomp: '%s': unknown option or no value; see "
						  "'kubefence seccomp --help'",
						  argv[optind - 1]);
		}
	}
	return status;
}

static int load_file(struct options *o, const char *path, const struct kf_seccomp **ret,
		     struct kf_err *err)
{
	KF_FREE char *text = NULL;
	struct json_object *obj, *member;
	size_t n;

	if (kf_file_slurp(AT_FDCWD, path, KF_LIMIT_OCI_JSON, &text, &n, err) < 0 ||
	    kf_json_parse(text, n, path, &o->files[o->nfiles], err) < 0)
		return -1;
	obj = o->files[o->nfiles++];
	if (json_object_object_get_ex(obj, "linux", &member)) {
		if (!json_object_is_type(member, json_type_object) ||
		    !json_object_object_get_ex(member, "seccomp", &obj) ||
		    !json_object_is_type(obj, json_type_object))
			return kf_fail(err, EINVAL, "'%s': its container has no seccomp profile",
				       path);
	}
	if (kf_oci_seccomp_view(obj, &o->arena, ret, err) < 0 || kf_seccomp_check(*ret, err) < 0)
		return kf_fail_wrap(err, "'%s'", path);
	return 0;
}

/* The policy called @name; NULL with the message printed. */
static const struct kf_seccomp *load(struct options *o, const char *name)
{
	const struct kf_seccomp *policy = NULL;
	enum kf_seccomp_level level;
	struct kf_err err = {0};

	if (*name && kf_seccomp_level_parse(name, &level))
		return kf_seccomp_builtin(level, o->arch);
	if (!strchr(name, '/') && !strchr(name, '.')) {
		(void)kf_command_fail("seccomp: no level '%s'; there are runtime-default, "
				      "restricted and agent, and files ('./%s')",
				      name, name);
		return NULL;
	}
	if (load_file(o, name, &policy, &err) < 0) {
		(void)kf_command_fail("seccomp: %s", err.msg);
		return NULL;
	}
	return policy;
}

static int print_json(struct json_object *obj)
{
	if (!obj)
		return kf_command_fail("seccomp: out of memory");
	kf_print_json(stdout, obj, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	json_object_put(obj);
	return KF_EXIT_OK;
}

static int print_text(struct kf_buf *text)
{
	bool failed = text->failed;

	if (!failed && text->n)
		kf_print_text(stdout, text->p);
	kf_buf_done(text);
	return failed ? kf_command_fail("seccomp: out of memory") : KF_EXIT_OK;
}

static int print_policy(const struct options *o, const struct kf_seccomp *policy, const char *name)
{
	struct kf_buf text = KF_BUF_INIT(TEXT_MAX);

	switch (o->format) {
	case OCI:
		return print_json(kf_oci_seccomp_new(policy));
	case JSON:
		return print_json(kf_seccomp_text_json(policy, name, o->arch));
	default:
		kf_seccomp_text_show(&text, policy, name, o->arch);
		return print_text(&text);
	}
}

static int cmd_show(struct options *o, char **names)
{
	const struct kf_seccomp *policy = load(o, names[0]);

	return policy ? print_policy(o, policy, names[0]) : KF_EXIT_FAILED;
}

static int cmd_intersect(struct options *o, char **names)
{
	const struct kf_seccomp *a = load(o, names[0]), *b = a ? load(o, names[1]) : NULL;
	struct kf_seccomp both;
	struct kf_err err = {0};
	const char *name, *denied;

	if (!b)
		return KF_EXIT_FAILED;
	if (kf_seccomp_intersect(a, b, &o->arena, &both, &err) < 0)
		return kf_command_fail("seccomp: %s", err.msg);
	name = kf_arena_printf(&o->arena, "%s and %s", names[0], names[1]);
	denied = kf_seccomp_launcher_denied(a, &o->arena);
	if (denied && !*denied)
		denied = kf_seccomp_launcher_denied(b, &o->arena);
	if (!name || !denied)
		return kf_command_fail("seccomp: out of memory");
	if (*denied)
		(void)kf_command_fail("seccomp: a container with this policy is refused%s, because "
				      "it may deny or change what the sandbox launcher needs: %s",
				      kf_seccomp_notifies(&both) ? "" : " where there is no guard",
				      denied);
	return print_policy(o, &both, name);
}

static int cmd_diff(struct options *o, char **names)
{
	const struct kf_seccomp *a = load(o, names[0]), *b = a ? load(o, names[1]) : NULL;
	struct kf_buf text = KF_BUF_INIT(TEXT_MAX);

	if (!b)
		return KF_EXIT_FAILED;
	if (o->format == OCI)
		return kf_command_usage("seccomp diff: a difference is no profile; --output is "
					"text or json");
	if (o->format == JSON)
		return print_json(kf_seccomp_text_diff_json(a, b, &o->arena));
	text.failed = kf_seccomp_text_diff(&text, a, names[0], b, names[1], &o->arena) < 0;
	return print_text(&text);
}

static int cmd_explain(struct options *o, char **names)
{
	const struct kf_seccomp *policy = load(o, names[0]);
	struct kf_seccomp only;
	struct kf_seccomp_rule *rules;
	struct kf_buf text = KF_BUF_INIT(TEXT_MAX);

	if (!policy)
		return KF_EXIT_FAILED;
	if (!o->call.name)
		return kf_command_usage("seccomp explain: --syscall CALL is missing");
	/* The part of the policy that is about this call. */
	only = *policy;
	only.nrules = 0;
	only.rules = rules = kf_arena_calloc(&o->arena, policy->nrules, sizeof(*rules));
	if (!rules)
		return kf_command_fail("seccomp: out of memory");
	for (size_t i = 0; i < policy->nrules; i++) {
		if (kf_seccomp_text_names(&policy->rules[i], o->call.name)) {
			rules[only.nrules] = policy->rules[i];
			rules[only.nrules].names = &o->call.name;
			rules[only.nrules++].nnames = 1;
		}
	}
	if (o->format == OCI)
		return print_json(kf_oci_seccomp_new(&only));
	if (o->format == JSON)
		return print_json(kf_seccomp_text_explain_json(&only, names[0], o->arch, &o->call,
							       o->has_args));
	kf_seccomp_text_explain(&text, &only, names[0], o->arch, &o->call, o->has_args);
	return print_text(&text);
}

int kf_cmd_seccomp(int argc, char **argv)
{
	static const struct {
		const char *verb;
		int nnames;
		int (*run)(struct options *o, char **names);
	} verbs[] = {
		{"show", 1, cmd_show},
		{"diff", 2, cmd_diff},
		{"intersect", 2, cmd_intersect},
		{"explain", 1, cmd_explain},
	};
	KF_CLEANUP(options_done) struct options o = {.arch = KF_SECCOMP_ARCH};
	const char *verb = argc > 1 ? argv[1] : "";
	int status;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(help, stdout);
			return KF_EXIT_OK;
		}
	}
	kf_arena_init(&o.arena, KF_LIMIT_PLAN_MEMORY);
	for (size_t i = 0; i < KF_ARRAY_SIZE(verbs); i++) {
		if (strcmp(verb, verbs[i].verb) != 0)
			continue;
		status = parse_options(argc - 1, argv + 1, &o);
		if (status != KF_EXIT_OK)
			return status;
		o.call.arch =
			strcmp(o.arch, "x86_64") == 0 ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64";
		if (argc - 1 - optind != verbs[i].nnames)
			return kf_command_usage("seccomp %s takes %d name%s; see 'kubefence "
						"seccomp --help'",
						verb, verbs[i].nnames,
						verbs[i].nnames == 1 ? "" : "s");
		return verbs[i].run(&o, argv + 1 + optind);
	}
	return kf_command_usage("seccomp: unknown '%s'; 'kubefence seccomp --help' tells more",
				verb);
}
