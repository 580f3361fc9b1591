/* SPDX-License-Identifier: Apache-2.0 */
#include "kubefence/command.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "kubefence/commands.h"
#include "kubefence/explain/explain.h"
#include "kubefence/print.h"
#include "kubefence/profile/find.h"
#include "profile/format.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define PATHS_MAX  4096
#define MOUNTS_MAX 64

static const char help[] =
	"Usage: kubefence explain PROFILE [--path PATH [--op read|write|exec]]...\n"
	"\n"
	"Say what PROFILE does, or which of its rules decides about a path and where that\n"
	"rule is written.  PROFILE is a name, a file NAME.json, or a compiled profile.\n"
	"\n"
	"  -p, --path PATH     path inside the container; may be given several times\n"
	"      --op OPERATION  read, write or exec; default: all three\n"
	"  -r, --rootfs DIR    look up paths in DIR, an unpacked image; without it, symlinks\n"
	"                      are unknown and everything is taken to exist\n"
	"  -u, --uid N         user the container starts as (default 0)\n"
	"      --home DIR      its HOME (default: /root for uid 0, else none)\n"
	"  -w, --workdir DIR   its working directory (default: none)\n"
	"      --tmpdir DIR    its TMPDIR (default: none)\n"
	"  -m, --mount PATH[:ro]  a volume's mount point; may be given several times\n"
	"  -d, --dir DIR       take profiles of DIR before the built-in ones\n"
	"  -o, --output json   for programs\n"
	"\n"
	"Exit status: 0 all allowed, 1 one is not, or an error; 2 usage.\n";

enum { OPT_OP = 256, OPT_HOME, OPT_TMPDIR };

static const struct {
	const char *name;
	unsigned access;
} operations[] = {{"read", KF_FS_READ}, {"write", KF_FS_WRITE}, {"exec", KF_FS_EXEC}};

struct options {
	struct kf_explain explain;
	struct kf_explain_mount mounts[MOUNTS_MAX];
	const char **paths;
	size_t npaths;
	unsigned ops; /* KF_FS_*; 0: all */
	const char *rootfs;
	bool json, has_home;
	struct kf_profiles profiles;
	struct kf_policy flat; /* PROFILE was a compiled one */
	const char *file;
	struct kf_compiled compiled;
};

static int parse_op(const char *word, unsigned *ops)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(operations); i++) {
		if (strcmp(operations[i].name, word) == 0) {
			*ops |= operations[i].access;
			return KF_EXIT_OK;
		}
	}
	return kf_command_usage("explain: --op '%s': read, write and exec exist", word);
}

static int parse_mount(struct options *o, char *arg)
{
	struct kf_explain_mount *mount = &o->mounts[o->explain.nmounts];
	char *colon = strrchr(arg, ':');

	if (o->explain.nmounts == MOUNTS_MAX)
		return kf_command_usage("explain: more than %d mounts", MOUNTS_MAX);
	if (colon && strcmp(colon, ":ro") == 0) {
		*colon = '\0';
		mount->read_only = true;
	}
	mount->path = arg;
	o->explain.nmounts++;
	return *arg == '/' ? KF_EXIT_OK
			   : kf_command_usage("explain: --mount '%s' is not absolute", arg);
}

static int parse_uid(struct options *o, const char *arg)
{
	char *end;
	unsigned long v = strtoul(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end || v > UINT32_MAX)
		return kf_command_usage("explain: --uid '%s' is not a number", arg);
	o->explain.uid = (unsigned)v;
	return KF_EXIT_OK;
}

static int parse_option(struct options *o, int c, char **argv)
{
	struct kf_err err;

	switch (c) {
	case 'p':
		if (o->npaths == PATHS_MAX)
			return kf_command_usage("explain: more than %d paths", PATHS_MAX);
		o->paths[o->npaths++] = optarg;
		return KF_EXIT_OK;
	case OPT_OP:
		return parse_op(optarg, &o->ops);
	case 'r':
		o->rootfs = optarg;
		return KF_EXIT_OK;
	case 'u':
		return parse_uid(o, optarg);
	case OPT_HOME:
		o->explain.home = optarg;
		o->has_home = true;
		return KF_EXIT_OK;
	case 'w':
		o->explain.workdir = optarg;
		return KF_EXIT_OK;
	case OPT_TMPDIR:
		o->explain.tmpdir = optarg;
		return KF_EXIT_OK;
	case 'm':
		return parse_mount(o, optarg);
	case 'd':
		if (kf_profiles_add_dir(&o->profiles, optarg, &err) < 0)
			return kf_command_fail("explain: %s", err.msg);
		return KF_EXIT_OK;
	case 'o':
		o->json = strcmp(optarg, "json") == 0;
		if (o->json || strcmp(optarg, "text") == 0)
			return KF_EXIT_OK;
		return kf_command_usage("explain: --output '%s': text and json exist", optarg);
	default:
		return kf_command_usage("explain: '%s': unknown option or no value; see 'kubefence "
					"explain --help'",
					argv[optind - 1]);
	}
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longopts[] = {
		{"path", required_argument, NULL, 'p'},
		{"op", required_argument, NULL, OPT_OP},
		{"rootfs", required_argument, NULL, 'r'},
		{"uid", required_argument, NULL, 'u'},
		{"home", required_argument, NULL, OPT_HOME},
		{"workdir", required_argument, NULL, 'w'},
		{"tmpdir", required_argument, NULL, OPT_TMPDIR},
		{"mount", required_argument, NULL, 'm'},
		{"dir", required_argument, NULL, 'd'},
		{"output", required_argument, NULL, 'o'},
		{NULL, 0, NULL, 0},
	};
	int c, status = KF_EXIT_OK;

	opterr = 0;
	while (status == KF_EXIT_OK &&
	       (c = getopt_long(argc, argv, ":p:r:u:w:m:d:o:", longopts, NULL)) != -1)
		status = parse_option(o, c, argv);
	if (status == KF_EXIT_OK && argc - optind != 1)
		return kf_command_usage(
			"explain: one profile must be named; see 'kubefence explain "
			"--help'");
	if (!o->has_home && o->explain.uid == 0)
		o->explain.home = "/root";
	return status;
}

/* PROFILE as a compiled profile, if the file is one; else 1. */
static int load_flat(struct options *o, const char *what, struct kf_err *err)
{
	static const char magic[] = "nono-policy ";
	KF_FREE char *text = NULL;
	size_t n;

	if (!strchr(what, '/') ||
	    kf_file_slurp(AT_FDCWD, what, KF_LIMIT_PROFILE_JSON, &text, &n, err) < 0 ||
	    strncmp(text, magic, sizeof(magic) - 1) != 0)
		return 1;
	if (kf_policy_parse(text, n, &o->flat, err) < 0)
		return kf_fail_wrap(err, "'%s'", what);
	o->file = what;
	o->compiled = (struct kf_compiled){
		.name = o->flat.name, .rules = o->flat.rules, .nrules = o->flat.nrules};
	return 0;
}

static int load(struct options *o, const char *what)
{
	struct kf_err err = {0};
	int r = load_flat(o, what, &err);

	if (r < 0)
		return kf_command_fail("explain: %s", err.msg);
	if (r > 0) {
		r = kf_profiles_compile(&o->profiles, what, &o->compiled, &err);
		if (kf_profiles_report(&o->profiles) == 0 && r < 0)
			return kf_command_fail("explain: %s", err.msg);
	}
	return r < 0 ? KF_EXIT_FAILED : KF_EXIT_OK;
}

/* "fs rx /usr" */
static void rule_text(const struct kf_rule *rule, struct kf_buf *out)
{
	struct kf_buf text = KF_BUF_INIT(KF_LIMIT_POLICY_TEXT);
	const char *line;

	kf_policy_format("x", rule, 1, &text);
	/* The third line, behind header and name. */
	line = text.p ? strchr(strchr(text.p, '\n') + 1, '\n') + 1 : "\n";
	kf_buf_add(out, line, strcspn(line, "\n"));
	kf_buf_done(&text);
}

static void rule_place(const struct options *o, const struct kf_rule *rule, struct kf_buf *out)
{
	const struct kf_origin *at;

	if (o->flat.text) {
		kf_buf_addf(out, "%s:%u", o->file, rule->line);
		return;
	}
	at = &o->compiled.origins[rule - o->compiled.rules];
	kf_buf_addf(out, "%s:%u:%u", at->file, at->line, at->column);
	if (at->group)
		kf_buf_addf(out, ", group '%s'", at->group);
}

static void quoted(struct kf_buf *out, const char *s)
{
	kf_buf_adds(out, "\"");
	kf_buf_add_json(out, s ? s : "");
	kf_buf_adds(out, "\"");
}

static void print_json(const struct options *o, const char *path, const char *op,
		       const struct kf_explained *e, bool first, struct kf_buf *out)
{
	struct kf_buf part = KF_BUF_INIT(KF_LIMIT_POLICY_TEXT);

	kf_buf_adds(out, first ? "\n    {\"path\": " : ",\n    {\"path\": ");
	quoted(out, path);
	kf_buf_addf(out, ", \"op\": \"%s\", \"allowed\": %s, \"real\": ", op,
		    e->allowed ? "true" : "false");
	quoted(out, e->real);
	kf_buf_addf(out, ", \"exists\": %s, \"why\": \"%s\"", e->exists ? "true" : "false", e->why);
	if (e->rule) {
		rule_text(e->rule, &part);
		kf_buf_adds(out, ", \"rule\": ");
		quoted(out, part.p);
		kf_buf_reset(&part);
		rule_place(o, e->rule, &part);
		kf_buf_adds(out, ", \"at\": ");
		quoted(out, part.p);
	}
	kf_buf_adds(out, "}");
	kf_buf_done(&part);
}

static void print_text(const struct options *o, const char *path, const char *op,
		       const struct kf_explained *e, struct kf_buf *out)
{
	kf_buf_addf(out, "%s ", op);
	kf_buf_add_escaped(out, path);
	kf_buf_adds(out, e->allowed ? ": allowed" : ": DENIED");
	if (strcmp(e->real, path) != 0) {
		kf_buf_adds(out, " (it is ");
		kf_buf_add_escaped(out, e->real);
		kf_buf_adds(out, ")");
	}
	if (e->rule) {
		kf_buf_adds(out, "\n    by '");
		rule_text(e->rule, out);
		kf_buf_adds(out, "'  ");
		rule_place(o, e->rule, out);
	} else {
		kf_buf_addf(out, "\n    %s", e->why);
	}
	kf_buf_adds(out, "\n");
}

static int explain_paths(struct options *o, struct kf_buf *out)
{
	bool all = true, first = true;
	struct kf_err err;

	for (size_t i = 0; i < o->npaths; i++) {
		for (size_t op = 0; op < KF_ARRAY_SIZE(operations); op++) {
			struct kf_explained e;

			if (o->ops && !(o->ops & operations[op].access))
				continue;
			if (kf_explain_path(&o->explain, o->compiled.rules, o->compiled.nrules,
					    o->paths[i], operations[op].access, &e, &err) < 0)
				return kf_command_fail("explain: %s", err.msg);
			if (o->json)
				print_json(o, o->paths[i], operations[op].name, &e, first, out);
			else
				print_text(o, o->paths[i], operations[op].name, &e, out);
			first = false;
			all &= e.allowed;
		}
	}
	return all ? KF_EXIT_OK : KF_EXIT_FAILED;
}

/* A note for people, and not one that the launcher tells them when it is time. */
static bool is_recipe(const struct kf_rule *rule)
{
	return rule->kind == KF_RULE_NOTE && strncmp(rule->arg, "hint ", 5) != 0;
}

/* What there is to say about the profile as a whole. */
static void explain_profile(const struct options *o, struct kf_buf *out)
{
	const char *text = o->compiled.profile.scalars[KF_SCALAR_DESCRIPTION].s;
	bool noted = false;

	kf_buf_add_line(out, "%s%s%s", o->compiled.name, text ? ": " : "", text ? text : "");
	for (size_t i = 0; i < o->compiled.nrules; i++) {
		if (!is_recipe(&o->compiled.rules[i]))
			continue;
		kf_buf_adds(out, noted ? "" : "\nTo use it:\n");
		kf_buf_add_line(out, "  %s", o->compiled.rules[i].arg);
		noted = true;
	}
	kf_buf_adds(out, "\nRules:\n");
	for (size_t i = 0; i < o->compiled.nrules; i++) {
		if (is_recipe(&o->compiled.rules[i]))
			continue;
		kf_buf_adds(out, "  ");
		rule_text(&o->compiled.rules[i], out);
		kf_buf_adds(out, "  (");
		rule_place(o, &o->compiled.rules[i], out);
		kf_buf_adds(out, ")\n");
	}
}

static void explain_profile_json(const struct options *o, struct kf_buf *out)
{
	struct kf_buf part = KF_BUF_INIT(KF_LIMIT_POLICY_TEXT);
	bool first = true;

	quoted(out, o->compiled.profile.scalars[KF_SCALAR_DESCRIPTION].s);
	kf_buf_adds(out, ", \"recipe\": [");
	for (size_t i = 0; i < o->compiled.nrules; i++) {
		if (!is_recipe(&o->compiled.rules[i]))
			continue;
		kf_buf_adds(out, first ? "" : ", ");
		quoted(out, o->compiled.rules[i].arg);
		first = false;
	}
	kf_buf_adds(out, "], \"rules\": [");
	for (size_t i = 0; i < o->compiled.nrules; i++) {
		kf_buf_adds(out, i ? ",\n    {\"rule\": " : "\n    {\"rule\": ");
		kf_buf_reset(&part);
		rule_text(&o->compiled.rules[i], &part);
		quoted(out, part.p);
		kf_buf_reset(&part);
		rule_place(o, &o->compiled.rules[i], &part);
		kf_buf_adds(out, ", \"at\": ");
		quoted(out, part.p);
		kf_buf_adds(out, "}");
	}
	kf_buf_adds(out, "]");
	kf_buf_done(&part);
}

static int run(struct options *o, const char *what)
{
	struct kf_buf out = KF_BUF_INIT(64 * 1024 * 1024);
	int status = load(o, what);

	if (status)
		return status;
	if (o->rootfs) {
		o->explain.rootfs = open(o->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (o->explain.rootfs < 0)
			return kf_command_fail("explain: --rootfs '%s': %s", o->rootfs,
					       strerror(errno));
	}
	if (o->json) {
		kf_buf_adds(&out, "{\"profile\": ");
		quoted(&out, o->compiled.name);
		kf_buf_adds(&out, o->npaths ? ", \"answers\": [" : ", \"description\": ");
	}
	if (o->npaths)
		status = explain_paths(o, &out);
	else if (o->json)
		explain_profile_json(o, &out);
	else
		explain_profile(o, &out);
	if (o->json)
		kf_buf_adds(&out, o->npaths ? "\n]}\n" : "}\n");
	if (out.n && !out.failed)
		kf_print_text(stdout, out.p);
	if (out.failed || fflush(stdout) != 0)
		status = kf_command_fail("explain: writing failed");
	kf_buf_done(&out);
	return status;
}

int kf_cmd_explain(int argc, char **argv)
{
	struct options o = {.explain = {.rootfs = -1}};
	int status;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(help, stdout);
			return KF_EXIT_OK;
		}
	}
	kf_profiles_init(&o.profiles);
	o.explain.arena = &o.profiles.arena;
	o.explain.mounts = o.mounts;
	o.paths = calloc(PATHS_MAX, sizeof(*o.paths));
	status =
		o.paths ? parse_options(argc, argv, &o) : kf_command_fail("explain: out of memory");
	if (status == KF_EXIT_OK)
		status = run(&o, argv[optind]);
	if (o.explain.rootfs >= 0)
		close(o.explain.rootfs);
	kf_policy_done(&o.flat);
	free(o.paths);
	kf_profiles_done(&o.profiles);
	return status;
}
