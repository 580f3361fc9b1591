/* SPDX-License-Identifier: Apache-2.0 */
#include "kubefence/command.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "kubefence/commands.h"
#include "kubefence/print.h"
#include "kubefence/profile/find.h"
#include "kubefence/profile/text.h"
#include "profile/netpol.h"

#include <fcntl.h>
#include <getopt.h>
#include <string.h>

static const char help[] =
	"Usage: kubefence profile init NAME [--extends PROFILE]\n"
	"       kubefence profile list [--groups]\n"
	"       kubefence profile show PROFILE\n"
	"       kubefence profile validate PROFILE... [--strict]\n"
	"       kubefence profile compile PROFILE\n"
	"       kubefence profile diff PROFILE PROFILE\n"
	"       kubefence profile schema\n"
	"       kubefence profile netpol PROFILE [-o networkpolicy|cilium]\n"
	"\n"
	"Write, check and look at profiles.  PROFILE is a name, or a file NAME.json;\n"
	"its bases are then looked for beside it first.\n"
	"\n"
	"  -d, --dir DIR        take profiles of DIR before the built-in ones\n"
	"  -o, --output FORMAT  text (default) or json; netpol: networkpolicy or cilium\n"
	"  -e, --extends NAME   init: what to build on (default: default)\n"
	"  -g, --groups         list: the groups that profiles can include\n"
	"      --strict         validate: warnings fail as well\n"
	"  -n, --namespace NS   netpol: namespace to write\n"
	"  -l, --selector K=V   netpol: label of the pods (default: nono.sh/profile=NAME)\n"
	"\n"
	"Exit status: 0 fine; 1 an error in a profile, or for diff a difference; 2 usage.\n";

enum { OPT_STRICT = 256 };

struct options {
	const char *output, *extends, *namespace_, *selector;
	bool groups, strict;
	char **args; /* behind the options */
	int nargs;
	struct kf_profiles profiles;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longopts[] = {
		{"dir", required_argument, NULL, 'd'},
		{"output", required_argument, NULL, 'o'},
		{"extends", required_argument, NULL, 'e'},
		{"groups", no_argument, NULL, 'g'},
		{"strict", no_argument, NULL, OPT_STRICT},
		{"namespace", required_argument, NULL, 'n'},
		{"selector", required_argument, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	struct kf_err err;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":d:o:e:gn:l:", longopts, NULL)) != -1) {
		switch (c) {
		case 'd':
			if (kf_profiles_add_dir(&o->profiles, optarg, &err) < 0)
				return kf_command_fail("profile: %s", err.msg);
			break;
		case 'o':
			o->output = optarg;
			break;
		case 'e':
			o->extends = optarg;
			break;
		case 'g':
			o->groups = true;
			break;
		case OPT_STRICT:
			o->strict = true;
			break;
		case 'n':
			o->namespace_ = optarg;
			break;
		case 'l':
			o->selector = optarg;
			break;
		default:
			return kf_command_usage("profile: '%s': unknown option or no value; see "
						"'kubefence profile --help'",
						argv[optind - 1]);
		}
	}
	o->args = argv + optind;
	o->nargs = argc - optind;
	return KF_EXIT_OK;
}

/* Whether -o asks for JSON; false and a message with *status if for something else. */
static bool json(const struct options *o, int *status)
{
	*status = KF_EXIT_OK;
	if (!o->output || strcmp(o->output, "text") == 0)
		return false;
	if (strcmp(o->output, "json") == 0)
		return true;
	*status = kf_command_usage("profile: --output '%s': text and json exist", o->output);
	return false;
}

/* Compile, report problems; KF_EXIT_FAILED if there is an error. */
static int compile(struct options *o, const char *what, struct kf_compiled *ret)
{
	struct kf_err err;
	int r = kf_profiles_compile(&o->profiles, what, ret, &err);

	if (kf_profiles_report(&o->profiles) == 0 && r < 0)
		return kf_command_fail("profile: %s", err.msg);
	return r < 0 ? KF_EXIT_FAILED : KF_EXIT_OK;
}

static int print(struct kf_buf *out)
{
	bool ok = !out->failed;

	if (ok && out->n)
		kf_print_text(stdout, out->p);
	ok = ok && !ferror(stdout) && fflush(stdout) == 0;

	kf_buf_done(out);
	return ok ? KF_EXIT_OK : kf_command_fail("profile: writing failed");
}

static int cmd_init(struct options *o)
{
	const char *base = o->extends ? o->extends : "default";
	KF_FREE char *file = NULL;
	struct kf_buf out = KF_BUF_INIT(64 * 1024);
	char name[KF_LIMIT_PROFILE_NAME + 1];
	struct kf_err err;
	int fd, r;

	if (asprintf(&file, "%s.json", o->args[0]) < 0)
		return kf_command_fail("profile: out of memory");
	if (!kf_profile_file_name(file, name, sizeof(name)))
		return kf_command_usage(
			"profile: '%s' is not a profile name: letters, digits, '_' and "
			"'-', at most %d",
			o->args[0], KF_LIMIT_PROFILE_NAME);
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return kf_command_fail("profile: %s: %s", file, strerror(errno));
	kf_profile_text_template(name, base, &out);
	r = out.failed ? -1 : kf_write_all(fd, out.p, out.n, &err);
	kf_buf_done(&out);
	if (close(fd) < 0 || r < 0)
		return kf_command_fail("profile: writing %s failed", file);
	kf_print_line(stdout, "%s", file);
	return KF_EXIT_OK;
}

static int cmd_list(struct options *o)
{
	struct kf_buf out = KF_BUF_INIT(1024 * 1024);
	int status;
	bool as_json = json(o, &status);

	if (status)
		return status;
	if (o->groups)
		status = kf_profile_text_groups(&o->profiles, as_json, &out);
	else
		status = kf_profile_text_list(&o->profiles, as_json, &out);
	return print(&out) || status ? KF_EXIT_FAILED : KF_EXIT_OK;
}

static int cmd_show(struct options *o)
{
	struct kf_buf out = KF_BUF_INIT(1024 * 1024);
	struct kf_compiled compiled;
	int status;
	bool as_json = json(o, &status);

	if (status || (status = compile(o, o->args[0], &compiled)))
		return status;
	kf_profile_show(&compiled, !as_json, &out);
	return print(&out);
}

static int cmd_validate(struct options *o)
{
	/* Each file has neighbours of its own. */
	const struct kf_profile_library library = o->profiles.library;
	struct kf_buf out = KF_BUF_INIT(4 * 1024 * 1024);
	size_t errors = 0, warnings = 0;
	int status;
	bool as_json = json(o, &status);

	if (status)
		return status;
	kf_buf_adds(&out, as_json ? "[" : "");
	for (int i = 0; i < o->nargs; i++) {
		struct kf_compiled compiled;
		struct kf_err err;
		int r = kf_profiles_compile(&o->profiles, o->args[i], &compiled, &err);

		errors += r < 0;
		warnings += o->profiles.diags.nwarnings;
		if (as_json)
			kf_profile_text_diags(&o->profiles.diags, o->args[i], r < 0 ? &err : NULL,
					      i == 0, &out);
		else if (kf_profiles_report(&o->profiles) == 0 && r < 0)
			(void)kf_command_fail("profile: %s", err.msg);
		else if (r == 0)
			kf_buf_addf(&out, "%s: ok, %zu rules\n", o->args[i], compiled.nrules);
		o->profiles.library = library;
	}
	kf_buf_adds(&out, as_json ? "\n]\n" : "");
	status = print(&out);
	return status || errors || (o->strict && warnings) ? KF_EXIT_FAILED : KF_EXIT_OK;
}

static int cmd_compile(struct options *o)
{
	struct kf_compiled compiled;
	int status = compile(o, o->args[0], &compiled);

	if (status)
		return status;
	return kf_print_raw(stdout, compiled.text, compiled.n) < 0
		       ? kf_command_fail("profile: writing failed")
		       : KF_EXIT_OK;
}

static int cmd_diff(struct options *o)
{
	const struct kf_profile_library library = o->profiles.library;
	struct kf_buf out = KF_BUF_INIT(4 * 1024 * 1024);
	struct kf_compiled a, b;
	int status;
	bool as_json = json(o, &status), differ;

	if (status || (status = compile(o, o->args[0], &a)))
		return status;
	o->profiles.library = library;
	if ((status = compile(o, o->args[1], &b)))
		return status;
	differ = kf_profile_text_diff(&a, &b, as_json, &out);
	status = print(&out);
	return status ? status : differ ? KF_EXIT_FAILED : KF_EXIT_OK;
}

static int cmd_schema(struct options *o)
{
	struct kf_buf out = KF_BUF_INIT(1024 * 1024);

	(void)o;
	kf_profile_schema(&out);
	return print(&out);
}

static bool label_part(const char *s, size_t n)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-_./";

	return n > 0 && n <= 317 && strspn(s, chars) >= n;
}

static int cmd_netpol(struct options *o)
{
	struct kf_netpol netpol = {.namespace_ = o->namespace_, .label_key = "nono.sh/profile"};
	struct kf_buf out = KF_BUF_INIT(1024 * 1024);
	KF_FREE char *selector = NULL, *name = NULL;
	struct kf_compiled compiled;
	int status;

	if (!o->output || strcmp(o->output, "networkpolicy") == 0)
		netpol.kind = KF_NETPOL_KUBERNETES;
	else if (strcmp(o->output, "cilium") == 0)
		netpol.kind = KF_NETPOL_CILIUM;
	else
		return kf_command_usage("profile: --output '%s': networkpolicy and cilium exist",
					o->output);
	if (o->namespace_ && !label_part(o->namespace_, strlen(o->namespace_)))
		return kf_command_usage("profile: --namespace '%s' is not a namespace",
					o->namespace_);
	if ((status = compile(o, o->args[0], &compiled)))
		return status;
	if (!compiled.profile.lists[KF_LIST_DOMAIN].n &&
	    !compiled.profile.scalars[KF_SCALAR_BLOCK].s)
		return kf_command_fail("profile: '%s' limits no hosts: it has neither "
				       "network.allow_domain nor network.block",
				       compiled.name);
	netpol.label_value = compiled.name;
	if (o->selector) {
		selector = strdup(o->selector);
		char *value = selector ? strchr(selector, '=') : NULL;

		if (!value || !label_part(selector, (size_t)(value - selector)) ||
		    !label_part(value + 1, strlen(value + 1)))
			return kf_command_usage("profile: --selector '%s' is not KEY=VALUE",
						o->selector);
		*value = '\0';
		netpol.label_key = selector;
		netpol.label_value = value + 1;
	}
	if (asprintf(&name, "%s-egress", compiled.name) < 0)
		return kf_command_fail("profile: out of memory");
	for (char *p = name; *p; p++) /* object names are lower case and have no '_' */
		*p = (char)(*p == '_' ? '-' : *p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	netpol.name = name;
	kf_netpol_write(&compiled, &netpol, &out);
	return print(&out);
}

static const struct {
	const char *name;
	int min, max; /* number of arguments */
	int (*run)(struct options *o);
} commands[] = {
	{"init", 1, 1, cmd_init},	   {"list", 0, 0, cmd_list},	   {"show", 1, 1, cmd_show},
	{"validate", 1, 64, cmd_validate}, {"compile", 1, 1, cmd_compile}, {"diff", 2, 2, cmd_diff},
	{"schema", 0, 0, cmd_schema},	   {"netpol", 1, 1, cmd_netpol},
};

int kf_cmd_profile(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	struct options o = {0};
	int status;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(help, stdout);
			return KF_EXIT_OK;
		}
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		kf_profiles_init(&o.profiles);
		status = parse_options(argc - 1, argv + 1, &o);
		if (status == KF_EXIT_OK &&
		    (o.nargs < commands[i].min || o.nargs > commands[i].max))
			status = kf_command_usage(
				"profile %s: wrong number of arguments; see 'kubefence "
				"profile --help'",
				name);
		if (status == KF_EXIT_OK)
			status = commands[i].run(&o);
		kf_profiles_done(&o.profiles);
		return status;
	}
	if (*name)
		return kf_command_usage(
			"unknown command 'profile %s'; 'kubefence profile --help' lists "
			"them",
			name);
	fputs(help, stderr);
	return KF_EXIT_USAGE;
}
