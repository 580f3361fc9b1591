/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces the variables in paths of a policy. */
#include "grants/vars.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "flat/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int kf_vars_init(struct kf_vars *ret, struct kf_err *err)
{
	char *dir = malloc(PATH_MAX);

	if (!dir)
		return kf_fail_nomem(err, "working directory");
	ret->uid = geteuid();
	/* "(unreachable)/..." is a directory outside the root. */
	if (syscall(SYS_getcwd, dir, PATH_MAX) <= 0 || *dir != '/')
		*dir = '\0';
	ret->workdir = realloc(dir, strlen(dir) + 1);
	ret->env = environ;
	return 0;
}

/* As getenv(). */
static const char *get_env(const struct kf_vars *vars, const char *name)
{
	const size_t n = strlen(name);

	for (char *const *v = vars->env; v && *v; v++)
		if (strncmp(*v, name, n) == 0 && (*v)[n] == '=')
			return *v + n + 1;
	return NULL;
}

/* Value of the variable at the start of @s, "$NAME" or "~", and its length there; @buf is
 * room for it. */
static const char *find_value(const struct kf_vars *vars, const char *s, size_t *ret_n,
			      char buf[static PATH_MAX])
{
	const struct kf_policy_variable *v;
	const char *home = get_env(vars, "HOME"), *set;
	size_t n = strspn(s + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	*ret_n = 1 + (*s == '~' ? 0 : n);
	if (*s == '~')
		return home;
	if (n == strlen("WORKDIR") && memcmp(s + 1, "WORKDIR", n) == 0)
		return vars->workdir;
	v = kf_policy_variable(s + 1, n);
	if (!v)
		return NULL;
	set = get_env(vars, v->name);
	if ((set && *set) || !*v->fallback || !home)
		return set;
	if ((size_t)snprintf(buf, PATH_MAX, "%s/%s", home, v->fallback) >= PATH_MAX)
		return NULL;
	return buf;
}

static enum kf_expansion expand_path(const struct kf_vars *vars, const char *path,
				     char out[static PATH_MAX])
{
	enum kf_expansion ret = KF_EXPANSION_LITERAL;
	size_t n = 0;

	if (*path == '~' || *path == '$') {
		size_t len;
		const char *v = find_value(vars, path, &len, out);

		if (!v || *v != '/' || strlen(v) >= PATH_MAX)
			return KF_EXPANSION_NONE;
		n = strlen(v);
		memmove(out, v, n);
		path += len;
		ret = KF_EXPANSION_VARIABLE;
	}
	while (*path) {
		char uid[16];
		const char *add = path;
		size_t len = strcspn(path + 1, "$") + 1, skip = len;

		if (*path == '$') { /* $UID: the parser lets nothing else through */
			len = (size_t)snprintf(uid, sizeof(uid), "%u", (unsigned)vars->uid);
			add = uid;
			skip = sizeof("$UID") - 1;
		}
		if (n + len >= PATH_MAX)
			return KF_EXPANSION_NONE;
		memcpy(out + n, add, len);
		n += len;
		path += skip;
	}
	out[n] = '\0';
	return kf_path_clean(out, out, PATH_MAX) ? ret : KF_EXPANSION_NONE;
}

enum kf_expansion kf_vars_expand(const struct kf_vars *vars, const char *path,
				 char out[static PATH_MAX])
{
	/* The parser has seen to it that it is short and clean. */
	for (size_t i = 0; *path == '/' && path[i] != '$'; i++)
		if (!(out[i] = path[i]))
			return KF_EXPANSION_LITERAL;
	return expand_path(vars, path, out);
}

/* Never freed: it becomes the workload's environment. */
int kf_vars_expand_env(const struct kf_vars *vars, struct kf_policy *policy, struct kf_err *err)
{
	KF_UNINIT char path[PATH_MAX];

	for (size_t i = 0; i < policy->nrules; i++) {
		struct kf_rule *rule = &policy->rules[i];
		const char *value;
		char *entry;
		size_t n;

		if (rule->kind != KF_RULE_ENV || strcmp(rule->verb, "expand") != 0)
			continue;
		value = strchr(rule->arg, '=') + 1; /* the parser has seen to it */
		if (kf_vars_expand(vars, value, path) == KF_EXPANSION_NONE)
			continue;
		n = (size_t)(value - rule->arg);
		entry = malloc(n + strlen(path) + 1);
		if (!entry)
			return kf_fail_nomem(err, "environment");
		memcpy(entry, rule->arg, n);
		memcpy(entry + n, path, strlen(path) + 1);
		rule->arg = entry;
		rule->verb = "set";
	}
	return 0;
}
