/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence explain: its options and output.  Which rule decides is worked out in explain.c. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "cli/print.h"
#include "egress/decide.h"
#include "egress/name.h"
#include "explain/explain.h"
#include "grants/decide.h"
#include "kubefence/commands.h"
#include "kubefence/options.h"
#include "kubefence/profile/find.h"
#include "profile/format.h"
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PATHS_MAX  4096
#define MOUNTS_MAX 64
#define HOSTS_MAX  256

static const struct {
	const char *name;
	unsigned access;
	bool asked; /* if --op is not given */
} operations[] = {
	{"read", KF_FS_READ, true},
	{"write", KF_FS_WRITE, true},
	{"exec", KF_FS_EXEC, true},
	{"connect", KF_LANDLOCK_CONNECT, false},
};

struct explain_options {
	struct kf_explain explain;
	struct kf_explain_mount mounts[MOUNTS_MAX];
	const char *hosts_v[HOSTS_MAX], *dirs_v[KF_PROFILE_DIRS_MAX], *mounts_v[MOUNTS_MAX];
	struct kf_option_list paths, hosts, dirs, volumes;
	unsigned ops; /* bits of operations; 0: those without --op */
	unsigned output, abi;
	const char *rootfs;
	struct kf_profiles profiles;
	struct kf_policy flat; /* if PROFILE was a compiled one */
	const char *file;
	struct kf_compiled compiled;
};

static int take_op(void *target, const char *word, struct kf_err *err)
{
	unsigned op;

	if (!kf_decide_parse(word, &op))
		return kf_fail(err, EINVAL, "'%.40s' is none of " KF_DECIDE_NAMES, word);
	*(unsigned *)target |= op;
	return 0;
}

/* Add PATH[:ro], a volume's mount point. */
static int add_mount(struct explain_options *o, const char *arg)
{
	struct kf_explain_mount *mount = &o->mounts[o->explain.nmounts];
	const char *colon = strrchr(arg, ':');

	if (*arg != '/')
		return kf_command_usage("--mount '%s' is not absolute", arg);
	*mount = (struct kf_explain_mount){.path = arg};
	if (colon && strcmp(colon, ":ro") == 0) {
		mount->path = kf_arena_printf(&o->profiles.arena, "%.*s", (int)(colon - arg), arg);
		mount->read_only = true;
	}
	if (!mount->path)
		return kf_command_fail("out of memory");
	o->explain.nmounts++;
	return KF_EXIT_OK;
}

#define OPTION(letter_, name_, value_, kind_, member, help_)                                     \
	{                                                                                        \
		.letter = (letter_), .name = (name_), .kind = KF_OPTION_##kind_,                 \
		.value = (value_), KF_OPTION_AT(struct explain_options, member), .help = (help_) \
	}

static const struct kf_option options[] = {
	OPTION('p', "path", "PATH", EACH, paths, "path inside the container; may be repeated"),
	OPTION(0, "host", "NAME[:PORT]", EACH, hosts,
	       "host to connect to, on port 443 unless said otherwise; may be repeated"),
	{
		.name = "op",
		.kind = KF_OPTION_CALL,
		.value = "read|write|exec|connect",
		KF_OPTION_AT(struct explain_options, ops),
		.call = take_op,
		.help = "what to do with it, connect: to a unix socket; may be repeated (default: "
			"read, write and exec)",
	},
	OPTION('r', "rootfs", "DIR", STRING, rootfs,
	       "look up paths in DIR, an unpacked image; without it, symlinks are unknown and "
	       "everything is taken to exist"),
	{
		.letter = 'u',
		.name = "uid",
		.kind = KF_OPTION_NUMBER,
		.value = "UID",
		.max = UINT32_MAX,
		KF_OPTION_AT(struct explain_options, explain.uid),
		.help = "user the container starts as (default: 0)",
	},
	OPTION(0, "home", "DIR", STRING, explain.home,
	       "its HOME (default: /root for uid 0, else none)"),
	OPTION('w', "workdir", "DIR", STRING, explain.workdir,
	       "its working directory (default: none)"),
	OPTION(0, "tmpdir", "DIR", STRING, explain.tmpdir, "its TMPDIR (default: none)"),
	{
		.name = "abi",
		.kind = KF_OPTION_NUMBER,
		.value = "N",
		.max = 1000,
		KF_OPTION_AT(struct explain_options, abi),
		.help = "Landlock ABI of the node's kernel (default: this kernel's)",
	},
	OPTION('m', "mount", "PATH[:ro]", EACH, volumes, "a volume's mount point; may be repeated"),
	KF_OPT_DIR(struct explain_options, dirs),
	KF_OPT_OUTPUT(struct explain_options, output),
	{0},
};

/* Fill in and check what depends on several options. */
static int complete_options(struct explain_options *o)
{
	struct kf_err err;

	if (!o->explain.home && o->explain.uid == 0)
		o->explain.home = "/root";
	o->explain.abi = (int)o->abi;
	/* A node's kernel has Landlock.  If this one has not, explain for the newest ABI. */
	if (!o->abi && kf_landlock_probe(&o->explain.abi, &err) < 0)
		o->explain.abi = KF_LANDLOCK_ABI_MAX;
	for (size_t i = 0; i < o->volumes.n; i++) {
		int status = add_mount(o, o->volumes.v[i]);

		if (status != KF_EXIT_OK)
			return status;
	}
	return kf_profiles_add_dirs(&o->profiles, &o->dirs, &err) == 0
		       ? KF_EXIT_OK
		       : kf_command_fail("%s", err.msg);
}

/* Load PROFILE if it is a file with a compiled profile. 1 if it is not. */
static int load_flat(struct explain_options *o, const char *what, struct kf_err *err)
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

static int load_profile(struct explain_options *o, const char *what)
{
	struct kf_err err = {0};
	int r = load_flat(o, what, &err);

	if (r < 0)
		return kf_command_fail("%s", err.msg);
	if (r > 0) {
		r = kf_profiles_compile(&o->profiles, what, &o->compiled, &err);
		if (kf_profiles_report(&o->profiles) == 0 && r < 0)
			return kf_command_fail("%s", err.msg);
	}
	return r < 0 ? KF_EXIT_FAILED : KF_EXIT_OK;
}

/* "fs rx /usr" */
static void rule_text(const struct kf_rule *rule, struct kf_buf *out)
{
	struct kf_buf text = KF_BUF_INIT(KF_LIMIT_POLICY_TEXT);
	const char *line;

	kf_policy_format("x", rule, 1, &text);
	/* The rule is the third line, behind header and name. */
	line = text.p ? strchr(strchr(text.p, '\n') + 1, '\n') + 1 : "\n";
	kf_buf_add(out, line, strcspn(line, "\n"));
	kf_buf_done(&text);
}

static void rule_place(const struct explain_options *o, const struct kf_rule *rule,
		       struct kf_buf *out)
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

static void print_json(const struct explain_options *o, const char *path, const char *op,
		       const struct kf_explained *e, struct kf_buf *out)
{
	struct kf_buf part = KF_BUF_INIT(KF_LIMIT_POLICY_TEXT);

	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "path", path);
	kf_json_put_string(out, "op", op);
	kf_json_put_bool(out, "allowed", e->allowed);
	kf_json_put_string(out, "real", e->real);
	kf_json_put_bool(out, "exists", e->exists);
	kf_json_put_string(out, "why", e->why);
	if (e->rule) {
		rule_text(e->rule, &part);
		kf_json_put_string(out, "rule", part.p);
		kf_buf_reset(&part);
		rule_place(o, e->rule, &part);
		kf_json_put_string(out, "at", part.p);
	}
	kf_json_close(out, '}');
	kf_buf_done(&part);
}

static void print_text(const struct explain_options *o, const char *path, const char *op,
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

static int explain_paths(struct explain_options *o, struct kf_buf *out)
{
	bool all = true;
	struct kf_err err;

	for (size_t i = 0; i < o->paths.n; i++) {
		for (size_t op = 0; op < KF_ARRAY_SIZE(operations); op++) {
			struct kf_explained e;

			if (o->ops ? !(o->ops & operations[op].access) : !operations[op].asked)
				continue;
			if (kf_explain_path(&o->explain, o->compiled.rules, o->compiled.nrules,
					    o->paths.v[i], operations[op].access, &e, &err) < 0)
				return kf_command_fail("%s", err.msg);
			if (o->output == KF_OUTPUT_JSON)
				print_json(o, o->paths.v[i], operations[op].name, &e, out);
			else
				print_text(o, o->paths.v[i], operations[op].name, &e, out);
			all &= e.allowed;
		}
	}
	return all ? KF_EXIT_OK : KF_EXIT_FAILED;
}

/* The broker's rules as its worker would get them. */
static int broker_rules(const struct explain_options *o, struct kf_egress_rules *ret,
			struct kf_err *err)
{
	struct kf_buf text = KF_BUF_INIT(KF_LIMIT_EGRESS_RULES);
	int r;

	kf_egress_rules_whole(o->compiled.text, o->compiled.n, &text);
	r = text.failed ? kf_fail_nomem(err, "egress rules")
			: kf_egress_rules_parse(text.p, text.n, ret, err);
	kf_buf_done(&text);
	return r;
}

/* The rule about hosts that decides: the last line whose pattern is @pattern, as "host" or "deny".
 */
static const struct kf_rule *host_rule(const struct explain_options *o, const char *word,
				       const struct kf_egress_host *host)
{
	for (size_t i = 0; host && i < o->compiled.nrules; i++) {
		const struct kf_rule *rule = &o->compiled.rules[i];
		const size_t n = strlen(word);
		const char *pattern;

		if (rule->kind != KF_RULE_EGRESS || strncmp(rule->arg, word, n) != 0)
			continue;
		pattern = rule->arg + n + (strncmp(rule->arg + n, "*.", 2) == 0 ? 2 : 0);
		if (host->suffix == (pattern != rule->arg + n) &&
		    strncmp(pattern, host->name, strlen(host->name)) == 0 &&
		    strchr(" ", pattern[strlen(host->name)]) != NULL)
			return rule;
	}
	return NULL;
}

static bool covers_host(const struct kf_egress_host *host, const char *name)
{
	const size_t n = strlen(name), m = strlen(host->name);

	if (!host->suffix)
		return strcmp(host->name, name) == 0;
	return n > m + 1 && name[n - m - 1] == '.' && strcmp(name + n - m, host->name) == 0;
}

static const struct kf_rule *deciding_rule(const struct explain_options *o,
					   const struct kf_egress_rules *rules, const char *name)
{
	for (const struct kf_egress_host *h = rules->denies; h; h = h->next)
		if (covers_host(h, name))
			return host_rule(o, "deny ", h);
	for (const struct kf_egress_host *h = rules->hosts; h; h = h->next)
		if (covers_host(h, name))
			return host_rule(o, "host ", h);
	return NULL;
}

/* What is said of a host. */
struct host_answer {
	bool allowed;
	const char *why; /* "": the rule says it */
	const struct kf_rule *rule;
};

static void print_host(const struct explain_options *o, const char *asked,
		       const struct host_answer *a, struct kf_buf *out)
{
	const struct kf_rule *rule = a->rule;

	if (o->output == KF_OUTPUT_JSON) {
		struct kf_buf part = KF_BUF_INIT(KF_LIMIT_POLICY_TEXT);

		kf_json_open(out, NULL, '{');
		kf_json_put_string(out, "host", asked);
		kf_json_put_bool(out, "allowed", a->allowed);
		kf_json_put_string(out, "why", a->why);
		if (rule) {
			rule_text(rule, &part);
			kf_json_put_string(out, "rule", part.p);
			kf_buf_reset(&part);
			rule_place(o, rule, &part);
			kf_json_put_string(out, "at", part.p);
		}
		kf_json_close(out, '}');
		kf_buf_done(&part);
		return;
	}
	kf_buf_adds(out, "host ");
	kf_buf_add_escaped(out, asked);
	kf_buf_adds(out, a->allowed ? ": allowed" : ": DENIED");
	if (*a->why)
		kf_buf_addf(out, "\n    %s", a->why);
	if (rule) {
		kf_buf_adds(out, "\n    by '");
		rule_text(rule, out);
		kf_buf_adds(out, "'  ");
		rule_place(o, rule, out);
	}
	kf_buf_adds(out, "\n");
}

/* NAME or NAME:PORT; false if the port is none. */
static bool split_host(const char *asked, size_t *ret_n, unsigned *ret_port)
{
	const char *colon = strrchr(asked, ':'), *digits;

	*ret_n = strlen(asked);
	*ret_port = 443;
	if (!colon || (strchr(asked, ':') != colon && asked[0] != '['))
		return true; /* no port, or an IPv6 address */
	if (colon[-(colon > asked)] != ']' && asked[0] == '[')
		return true;
	*ret_n = (size_t)(colon - asked);
	digits = colon + 1;
	if (!*digits || strspn(digits, "0123456789") != strlen(digits) || strlen(digits) > 5)
		return false;
	*ret_port = (unsigned)strtoul(digits, NULL, 10);
	return *ret_port >= 1 && *ret_port <= UINT16_MAX;
}

/* Whether pods of the profile have the broker as their only way out. */
static bool has_broker(const struct explain_options *o)
{
	for (size_t i = 0; i < o->compiled.nrules; i++) {
		const struct kf_rule *rule = &o->compiled.rules[i];

		if (rule->kind == KF_RULE_EGRESS && strcmp(rule->arg, KF_EGRESS_ELSEWHERE) != 0)
			return true;
	}
	return false;
}

/* Without the broker a host is as open as its port. */
static struct host_answer decide_port(const struct explain_options *o, unsigned port)
{
	const struct kf_rule *closes = NULL;

	for (size_t i = 0; i < o->compiled.nrules; i++) {
		const struct kf_rule *rule = &o->compiled.rules[i];

		if (rule->kind == KF_RULE_NET_CONNECT && port >= rule->port &&
		    port <= rule->port_last)
			return (struct host_answer){
				true, "the profile names no hosts: all are open on this port",
				rule};
		if (!closes &&
		    (rule->kind == KF_RULE_NET_BLOCK || rule->kind == KF_RULE_NET_CONNECT))
			closes = rule;
	}
	if (!closes)
		return (struct host_answer){
			true, "the profile names no hosts and closes no port: all are open", NULL};
	return (struct host_answer){false,
				    closes->kind == KF_RULE_NET_BLOCK
					    ? "the profile closes the network"
					    : "the profile opens other ports only",
				    closes};
}

static enum kf_egress_reason decide_host(const struct kf_egress_rules *rules, const char *asked,
					 char name[static KF_EGRESS_NAME_MAX + 1])
{
	enum kf_egress_name_form form;
	unsigned port;
	size_t n;

	*name = '\0';
	if (!split_host(asked, &n, &port))
		return KF_EGRESS_WHY_NAME_FORM;
	form = kf_egress_name_read(asked, n, name);
	if (form == KF_EGRESS_NAME_BAD || form == KF_EGRESS_NAME_NUMBER)
		return form == KF_EGRESS_NAME_BAD ? KF_EGRESS_WHY_NAME_FORM
						  : KF_EGRESS_WHY_ADDRESS_FORM;
	return kf_egress_decide_tunnel(rules, name, (uint16_t)port);
}

static struct host_answer answer_host(const struct explain_options *o,
				      const struct kf_egress_rules *rules, const char *asked)
{
	char name[KF_EGRESS_NAME_MAX + 1];
	enum kf_egress_reason reason = decide_host(rules, asked, name);
	unsigned port;
	size_t n;

	if (!has_broker(o) && reason != KF_EGRESS_WHY_NAME_FORM && split_host(asked, &n, &port))
		return decide_port(o, port);
	return (struct host_answer){!reason, reason ? kf_egress_reason(reason)->text : "",
				    deciding_rule(o, rules, name)};
}

static int explain_hosts(struct explain_options *o, struct kf_buf *out)
{
	struct kf_egress_rules rules;
	struct kf_err err;
	bool all = true;

	if (broker_rules(o, &rules, &err) < 0)
		return kf_command_fail("%s", err.msg);
	for (size_t i = 0; i < o->hosts.n; i++) {
		struct host_answer a = answer_host(o, &rules, o->hosts.v[i]);

		print_host(o, o->hosts.v[i], &a, out);
		all &= a.allowed;
	}
	kf_egress_rules_done(&rules);
	return all ? KF_EXIT_OK : KF_EXIT_FAILED;
}

/* Whether @rule is a note for people, and not a hint that the launcher prints when the program
 * starts. */
static bool is_recipe(const struct kf_rule *rule)
{
	return rule->kind == KF_RULE_NOTE && strncmp(rule->arg, "hint ", 5) != 0;
}

/* Describe the profile as a whole. */
static void explain_profile(const struct explain_options *o, struct kf_buf *out)
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

static void explain_profile_json(const struct explain_options *o, struct kf_buf *out)
{
	struct kf_buf part = KF_BUF_INIT(KF_LIMIT_POLICY_TEXT);

	kf_json_put_string(out, "description",
			   o->compiled.profile.scalars[KF_SCALAR_DESCRIPTION].s);
	kf_json_open(out, "recipe", '[');
	for (size_t i = 0; i < o->compiled.nrules; i++)
		if (is_recipe(&o->compiled.rules[i]))
			kf_json_put_string(out, NULL, o->compiled.rules[i].arg);
	kf_json_close(out, ']');
	kf_json_open(out, "rules", '[');
	for (size_t i = 0; i < o->compiled.nrules; i++) {
		kf_json_open(out, NULL, '{');
		kf_buf_reset(&part);
		rule_text(&o->compiled.rules[i], &part);
		kf_json_put_string(out, "rule", part.p);
		kf_buf_reset(&part);
		rule_place(o, &o->compiled.rules[i], &part);
		kf_json_put_string(out, "at", part.p);
		kf_json_close(out, '}');
	}
	kf_json_close(out, ']');
	kf_buf_done(&part);
}

static int explain_all(struct explain_options *o, const char *what)
{
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	int status = load_profile(o, what);

	if (status)
		return status;
	if (o->rootfs) {
		o->explain.rootfs = open(o->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (o->explain.rootfs < 0)
			return kf_command_fail("--rootfs '%s': %s", o->rootfs, strerror(errno));
	}
	if (o->output == KF_OUTPUT_JSON) {
		kf_json_open(&out, NULL, '{');
		kf_json_put_string(&out, "profile", o->compiled.name);
		if (o->paths.n + o->hosts.n)
			kf_json_open(&out, "answers", '[');
	}
	if (o->paths.n)
		status = explain_paths(o, &out);
	if (o->hosts.n && status != KF_EXIT_USAGE) {
		int hosts = explain_hosts(o, &out);

		status = status == KF_EXIT_OK ? hosts : status;
	}
	if (!o->paths.n && !o->hosts.n)
		(o->output == KF_OUTPUT_JSON ? explain_profile_json : explain_profile)(o, &out);
	if (o->output == KF_OUTPUT_JSON)
		kf_buf_adds(&out, o->paths.n + o->hosts.n ? "]}\n" : "}\n");
	return kf_command_print(&out, status);
}

static int run_explain(const struct kf_command *self, int argc, char **argv)
{
	KF_FREE const char **paths = calloc(PATHS_MAX, sizeof(*paths));
	struct explain_options o = {
		.explain = {.rootfs = -1},
		.paths = {paths, 0, PATHS_MAX},
	};
	struct kf_arguments arguments;
	int status;

	if (!paths)
		return kf_command_fail("out of memory");
	o.hosts = (struct kf_option_list)KF_OPTION_LIST(o.hosts_v);
	o.dirs = (struct kf_option_list)KF_OPTION_LIST(o.dirs_v);
	o.volumes = (struct kf_option_list)KF_OPTION_LIST(o.mounts_v);
	if (!kf_command_parse(self, argc, argv, &o, &arguments, &status))
		return status;
	kf_profiles_init(&o.profiles);
	o.explain.arena = &o.profiles.arena;
	o.explain.mounts = o.mounts;
	status = complete_options(&o);
	if (status == KF_EXIT_OK)
		status = explain_all(&o, arguments.v[0]);
	if (o.explain.rootfs >= 0)
		close(o.explain.rootfs);
	kf_policy_done(&o.flat);
	kf_profiles_done(&o.profiles);
	return status;
}

const struct kf_command kf_cmd_explain = {
	.name = "explain",
	.summary = "which rule of a profile decides about a path or a host",
	.arguments = "PROFILE",
	.min = 1,
	.max = 1,
	.about = "Says what PROFILE does, or which of its rules decides about a path or host, and\n"
		 "where that rule is written.  PROFILE is a name, a file NAME.json, or a compiled\n"
		 "profile.",
	.after = "Exit status: 0 all allowed, 1 one is not, or an error; 2 usage.",
	.options = options,
	.run = run_explain,
};
