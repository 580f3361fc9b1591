/* SPDX-License-Identifier: Apache-2.0 */
/* The command lines of runc and crun: their tables of flags, how both read them, and the runtime's
 * command line made from ours.  What follows from a command is in guard.c. */
#include "nono-runc/cmdline.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

struct kf_cmdline_flag {
	const char *name; /* one letter: short, with one dash */
	bool takes_value;
	enum kf_flag flag;
};

/* Of runc 1.0 to 1.6 and crun 1.8 to 1.29.  A flag that only one of them has is
 * for that one to refuse. */
static const struct kf_cmdline_flag global_flags[] = {
	{"cgroup-manager", true},
	{"criu", true},
	{"debug", false},
	{"log", true, KF_FLAG_LOG},
	{"log-format", true, KF_FLAG_LOG_FORMAT},
	{"log-level", true},
	{"root", true, KF_FLAG_ROOT},
	{"rootless", true},
	{"systemd-cgroup", false},
	{NULL},
};
/* crun's create --config is left out: another file than config.json. */
static const struct kf_cmdline_flag create_flags[] = {
	{"b", true, KF_FLAG_BUNDLE},
	{"bundle", true, KF_FLAG_BUNDLE},
	{"console-socket", true},
	{"d", false, KF_FLAG_DETACH},
	{"detach", false, KF_FLAG_DETACH},
	{"keep", false},
	{"no-new-keyring", false},
	{"no-pivot", false},
	{"no-subreaper", false},
	{"pid-file", true, KF_FLAG_PID_FILE},
	{"pidfd-socket", true},
	{"preserve-fds", true, KF_FLAG_PRESERVE_FDS},
	{NULL},
};
static const struct kf_cmdline_flag exec_flags[] = {
	{"additional-gids", true},
	{"apparmor", true},
	{"c", true},
	{"cap", true},
	{"cgroup", true},
	{"console-socket", true},
	{"cwd", true},
	{"d", false, KF_FLAG_DETACH},
	{"detach", false, KF_FLAG_DETACH},
	{"e", true},
	{"env", true},
	{"g", true},
	{"ignore-paused", false},
	{"no-new-privs", false},
	{"p", true, KF_FLAG_PROCESS},
	{"pid-file", true, KF_FLAG_PID_FILE},
	{"pidfd-socket", true},
	{"preserve-fds", true, KF_FLAG_PRESERVE_FDS},
	{"process", true, KF_FLAG_PROCESS},
	{"process-label", true},
	{"t", false},
	{"tty", false},
	{"u", true},
	{"user", true},
	{NULL},
};
static const struct kf_cmdline_flag delete_flags[] = {
	{"f", false},
	{"force", false},
	{NULL},
};
static const struct kf_cmdline_flag no_flags[] = {
	{NULL},
};

static const struct verb {
	const char *name;
	enum kf_verb verb;
	const struct kf_cmdline_flag *flags;
	bool strict; /* what is not understood is refused, not passed on */
	bool one_id; /* nothing follows the container's ID: runc would reorder flags there */
} verbs[] = {
	{"create", KF_VERB_CREATE, create_flags, true, true},
	{"delete", KF_VERB_DELETE, delete_flags, false, true},
	{"exec", KF_VERB_EXEC, exec_flags, true, false},
	{"restore", KF_VERB_RESTORE, NULL, true, false},
	{"run", KF_VERB_RUN, create_flags, true, true},
	{"start", KF_VERB_START, no_flags, false, true},
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

/* The flag of @table that @arg is, *ret_value its value after "=", or NULL. */
static const struct kf_cmdline_flag *find_flag(const struct kf_cmdline_flag *table, const char *arg,
					       const char **ret_value)
{
	size_t dashes = arg[0] == '-' ? (arg[1] == '-' ? 2 : 1) : 0, n;

	if (!dashes)
		return NULL;
	arg += dashes;
	n = strcspn(arg, "=");
	for (; table->name; table++) {
		size_t len = strlen(table->name);

		if (len != n || memcmp(table->name, arg, n) != 0)
			continue;
		*ret_value = arg[n] == '=' ? arg + n + 1 : NULL;
		return table;
	}
	return NULL;
}

/* runc takes white space, Unicode's too, off an argument before it asks whether it is a flag or a
 * command (1.6), or passes over an empty one: what begins otherwise than a name does is none. */
static bool begins_as_a_word(const char *arg)
{
	return arg[0] > ' ' && arg[0] < 0x7f;
}

/* Parse the flags of @table from *at on; stops at the first argument that is
 * none.  False: that argument starts with '-' and is unknown, or could be read
 * as a flag all the same, or a value is missing. */
static bool parse_flags(struct kf_cmdline *cmd, const struct kf_cmdline_flag *table, int *at)
{
	while (*at < cmd->argc) {
		const char *arg = cmd->argv[*at], *value = NULL;
		const struct kf_cmdline_flag *flag;

		if (arg[0] != '-' || strcmp(arg, "-") == 0)
			return arg[0] != '-' && begins_as_a_word(arg);
		flag = find_flag(table, arg, &value);
		if (!flag)
			return false;
		if (flag->takes_value && !value) {
			if (++*at >= cmd->argc)
				return false;
			value = cmd->argv[*at];
		}
		if (flag->flag)
			cmd->value[flag->flag] = value ? value : arg;
		(*at)++;
	}
	return true;
}

/* Whether a strict verb stands anywhere after an argument we do not know. */
static const struct verb *strict_verb_after(const struct kf_cmdline *cmd, int at)
{
	for (; at < cmd->argc; at++) {
		const struct verb *v = find_verb(cmd->argv[at]);

		if (v && v->strict)
			return v;
	}
	return NULL;
}

int kf_cmdline_parse(int argc, char *const *argv, struct kf_cmdline *ret, struct kf_err *err)
{
	struct kf_cmdline cmd = {.argc = argc, .argv = argv, .verb_at = argc, .id_at = argc};
	const struct verb *verb;
	int at = 1;
	bool known = parse_flags(&cmd, global_flags, &at);

	*ret = cmd;
	if (!known) {
		verb = strict_verb_after(&cmd, at);
		if (verb)
			return kf_fail(
				err, EINVAL,
				"'%.80s' in front of '%s' is not understood; the guard knows "
				"the global flags of runc and crun",
				argv[at < argc ? at : argc - 1], verb->name);
		return 0;
	}
	if (at == argc)
		return 0;
	cmd.verb_at = at;
	verb = find_verb(argv[at]);
	if (!verb) {
		*ret = cmd;
		return 0;
	}
	cmd.verb = verb->verb;
	cmd.flags = verb->flags;
	*ret = cmd;
	if (!verb->flags)
		return 0;
	at++;
	known = parse_flags(&cmd, verb->flags, &at);
	if (known && at < argc) {
		cmd.id_at = at;
		cmd.id = argv[at];
	}
	if (known && cmd.id && (!verb->one_id || at == argc - 1)) {
		*ret = cmd;
		return 0;
	}
	if (!verb->strict) {
		ret->verb = KF_VERB_OTHER;
		return 0;
	}
	if (known && cmd.id)
		return kf_fail(err, EINVAL, "%s: '%.80s' after the container's ID", verb->name,
			       argv[at + 1]);
	return kf_fail(err, EINVAL,
		       "%s: '%.80s' is not understood; the guard knows the flags of "
		       "runc and crun",
		       verb->name, argv[at < argc ? at : argc - 1]);
}

char **kf_cmdline_rewrite(const struct kf_cmdline *cmd, const char *const *extra, size_t nextra,
			  const char *const *args, size_t nargs)
{
	char **out = calloc((size_t)cmd->argc + nextra + nargs + 1, sizeof(*out));
	size_t n = 0;

	if (!out)
		return NULL;
	for (int i = 0; i <= cmd->verb_at; i++)
		out[n++] = cmd->argv[i];
	for (int i = cmd->verb_at + 1; i < cmd->id_at; i++) {
		const char *value = NULL;
		const struct kf_cmdline_flag *flag = find_flag(cmd->flags, cmd->argv[i], &value);
		bool separate = flag->takes_value && !value;

		if (flag->flag != KF_FLAG_BUNDLE && flag->flag != KF_FLAG_PRESERVE_FDS) {
			out[n++] = cmd->argv[i];
			if (separate)
				out[n++] = cmd->argv[i + 1];
		}
		i += separate;
	}
	for (size_t i = 0; i < nextra; i++)
		out[n++] = (char *)extra[i];
	for (int i = cmd->id_at; i < (args ? cmd->id_at + 1 : cmd->argc); i++)
		out[n++] = cmd->argv[i];
	for (size_t i = 0; args && i < nargs; i++)
		out[n++] = (char *)args[i];
	return out;
}

char **kf_cmdline_copy(const struct kf_cmdline *cmd)
{
	char **out = calloc((size_t)cmd->argc + 1, sizeof(*out));

	if (out)
		memcpy(out, cmd->argv, (size_t)cmd->argc * sizeof(*out));
	return out;
}
