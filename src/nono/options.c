/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher's command line.  It is read without src/cli: that would make the launcher larger
 * than its size allows, and nono's own rules are others. */
#include "nono/options.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

enum option {
	OPT_PROFILE,
	OPT_POLICY_FD,
	OPT_REPORT_FD,
	OPT_WORKDIR,
	OPT_DRY_RUN,
	OPT_SILENT,
	OPT_VERBOSE,
	OPT_BLOCK_NET,
	OPT_GRANT,
	OPT_PATH,
	OPT_OP,
	OPT_JSON,
	OPT_PORT,
	OPT_HELP,
	OPT_NOTHING,
};

#define RWX (KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC)
#define ANY (KF_NONO_WRAP | KF_NONO_WHY)

/* In place of access, for ports. */
enum { PORT_CONNECT = 1, PORT_BIND = 2 };

static const struct spec {
	char name[20], letter;
	bool value, file;
	enum option option;
	unsigned commands, access;
} specs[] = {
	{"profile", 'p', true, false, OPT_PROFILE, ANY, 0},
	{"policy-fd", 0, true, false, OPT_POLICY_FD, ANY, 0},
	{"report-fd", 0, true, false, OPT_REPORT_FD, KF_NONO_WRAP, 0},
	{"workdir", 0, true, false, OPT_WORKDIR, ANY, 0},
	{"dry-run", 0, false, false, OPT_DRY_RUN, KF_NONO_WRAP, 0},
	{"silent", 's', false, false, OPT_SILENT, KF_NONO_WRAP, 0},
	{"verbose", 'v', false, false, OPT_VERBOSE, ANY, 0},
	{"block-net", 0, false, false, OPT_BLOCK_NET, KF_NONO_WRAP, 0},
	{"allow", 'a', true, false, OPT_GRANT, ANY, RWX},
	{"read", 'r', true, false, OPT_GRANT, ANY, KF_FS_READ | KF_FS_EXEC},
	{"write", 'w', true, false, OPT_GRANT, ANY, KF_FS_WRITE},
	{"allow-file", 0, true, true, OPT_GRANT, ANY, RWX},
	{"read-file", 0, true, true, OPT_GRANT, ANY, KF_FS_READ | KF_FS_EXEC},
	{"write-file", 0, true, true, OPT_GRANT, ANY, KF_FS_WRITE},
	{"path", 0, true, false, OPT_PATH, KF_NONO_WHY, 0},
	{"op", 0, true, false, OPT_OP, KF_NONO_WHY, 0},
	{"json", 0, false, false, OPT_JSON, KF_NONO_WHY, 0},
	/* Nono's, for what is always done here. */
	{"self", 0, false, false, OPT_NOTHING, KF_NONO_WHY, 0},
	{"open-port", 0, true, false, OPT_PORT, KF_NONO_WRAP, PORT_CONNECT | PORT_BIND},
	{"allow-connect-port", 0, true, false, OPT_PORT, KF_NONO_WRAP, PORT_CONNECT},
	{"help", 'h', false, false, OPT_HELP, ANY, 0},
	/* Nono's, for what is never done here: it neither asks nor records, and the working
	 * directory is the profile's to grant. */
	{"allow-cwd", 0, false, false, OPT_NOTHING, ANY, 0},
	{"no-audit", 0, false, false, OPT_NOTHING, ANY, 0},
	{"no-diagnostics", 0, false, false, OPT_NOTHING, ANY, 0},
};

/* The option that @arg is, with its "=VALUE" or NULL in *ret_value. */
static const struct spec *find_option(unsigned command, const char *arg, const char **ret_value)
{
	size_t n = strcspn(arg, "=");

	*ret_value = arg[n] ? arg + n + 1 : NULL;
	for (size_t i = 0; i < KF_ARRAY_SIZE(specs); i++) {
		const struct spec *s = &specs[i];

		if (!(s->commands & command))
			continue;
		if (arg[1] == '-' ? strlen(s->name) == n - 2 && memcmp(arg + 2, s->name, n - 2) == 0
				  : s->letter && arg[1] == s->letter && !arg[2])
			return s;
	}
	return NULL;
}

bool kf_nono_parse_fd(const char *s, int *ret)
{
	int fd = 0;

	if (!*s)
		return false;
	for (; *s; s++)
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(fd, 10, &fd) ||
		    __builtin_add_overflow(fd, *s - '0', &fd))
			return false;
	*ret = fd;
	return true;
}

static int add_port(struct kf_nono_options *o, const struct spec *spec, const char *value,
		    struct kf_err *err)
{
	static const struct {
		unsigned access;
		enum kf_rule_kind kind;
	} kinds[] = {{PORT_CONNECT, KF_RULE_NET_CONNECT}, {PORT_BIND, KF_RULE_NET_BIND}};
	int port;

	if (!kf_nono_parse_fd(value, &port) || port < 1 || port > UINT16_MAX)
		return kf_fail(err, EINVAL, "--%s '%s' is not a port, 1 to 65535", spec->name,
			       value);
	for (size_t i = 0; i < KF_ARRAY_SIZE(kinds); i++) {
		if (!(spec->access & kinds[i].access))
			continue;
		if (o->nports == KF_NONO_PORTS_MAX)
			return kf_fail(err, E2BIG, "too many ports");
		o->ports[o->nports++] = (struct kf_rule){
			.kind = kinds[i].kind, .port = (uint16_t)port, .port_last = (uint16_t)port};
	}
	return 0;
}

static int apply_option(struct kf_nono_options *o, const struct spec *spec, const char *value,
			struct kf_err *err)
{
	switch (spec->option) {
	case OPT_PROFILE:
		o->profile = value;
		break;
	case OPT_POLICY_FD:
	case OPT_REPORT_FD:
		if (!kf_nono_parse_fd(value, spec->option == OPT_POLICY_FD ? &o->policy_fd
									   : &o->report_fd))
			return kf_fail(err, EINVAL, "--%s '%s' is not a descriptor number",
				       spec->name, value);
		break;
	case OPT_WORKDIR:
		o->workdir = value;
		break;
	case OPT_DRY_RUN:
		o->dry_run = true;
		break;
	case OPT_SILENT: /* nothing but errors is ever printed */
	case OPT_NOTHING:
		break;
	case OPT_VERBOSE:
		o->verbose++;
		break;
	case OPT_BLOCK_NET:
		o->block_net = true;
		break;
	case OPT_GRANT:
		if (o->ngrants == KF_NONO_GRANTS_MAX)
			return kf_fail(err, E2BIG, "more than %d paths", KF_NONO_GRANTS_MAX);
		if (!o->grants)
			o->grants = calloc(KF_NONO_GRANTS_MAX, sizeof(*o->grants));
		if (!o->grants)
			return kf_fail_nomem(err, "options");
		o->grants[o->ngrants++] = (struct kf_option_grant){
			.path = value, .access = spec->access, .file = spec->file};
		break;
	case OPT_PATH:
		o->path = value;
		break;
	case OPT_OP:
		o->op = value;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_PORT:
		return add_port(o, spec, value, err);
	case OPT_HELP:
		o->help = true;
		break;
	}
	return 0;
}

int kf_nono_options_parse(unsigned command, char **argv, struct kf_nono_options *ret,
			  struct kf_err *err)
{
	struct kf_nono_options o = {.policy_fd = -1, .report_fd = -1};

	for (; *argv && (*argv)[0] == '-' && (*argv)[1]; argv++) {
		const char *arg = *argv, *value;
		const struct spec *spec;

		if (strcmp(arg, "--") == 0) {
			argv++;
			break;
		}
		if (arg[1] == 'v' && !arg[1 + strspn(arg + 1, "v")]) {
			o.verbose += (unsigned)strlen(arg + 1);
			continue;
		}
		spec = find_option(command, arg, &value);
		if (!spec)
			return kf_fail(err, EINVAL, "there is no option '%s' here", arg);
		if (!spec->value && value)
			return kf_fail(err, EINVAL, "option '--%s' takes no value", spec->name);
		if (spec->value && !value)
			value = *++argv;
		if (spec->value && (!value || !*value))
			return kf_fail(err, EINVAL, "option '--%s' needs a value", spec->name);
		if (apply_option(&o, spec, value, err) < 0)
			return -1;
	}
	if (!o.profile && command == KF_NONO_WRAP)
		o.profile = "default";
	o.command = argv;
	*ret = o;
	return 0;
}

int kf_nono_options_network(const struct kf_nono_options *options, struct kf_policy *policy,
			    struct kf_err *err)
{
	struct kf_rule *rules;
	size_t n = 0;

	if (!options->block_net && !options->nports)
		return 0;
	rules = malloc((policy->nrules + options->nports + 1) * sizeof(*rules));
	if (!rules)
		return kf_fail_nomem(err, "options");
	for (size_t i = 0; i < policy->nrules; i++) {
		const enum kf_rule_kind kind = policy->rules[i].kind;

		if (!options->block_net || kind < KF_RULE_NET_BLOCK || kind > KF_RULE_NET_BIND_UDP)
			rules[n++] = policy->rules[i];
	}
	if (options->block_net)
		rules[n++] = (struct kf_rule){.kind = KF_RULE_NET_BLOCK};
	for (size_t i = 0; i < options->nports; i++)
		rules[n++] = options->ports[i];
	free(policy->rules);
	policy->rules = rules;
	policy->nrules = n;
	return 0;
}
