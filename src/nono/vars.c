/* SPDX-License-Identifier: Apache-2.0 */
#include "nono/vars.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void kf_vars_init(struct kf_vars *ret)
{
	ret->uid = geteuid();
	/* "(unreachable)/..." is a directory outside the root. */
	if (syscall(SYS_getcwd, ret->workdir, sizeof(ret->workdir)) <= 0 || ret->workdir[0] != '/')
		ret->workdir[0] = '\0';
}

/* Value of the variable at the start of @s, "$NAME" or "~", and its length there. */
static const char *value(const struct kf_vars *vars, const char *s, size_t *ret_n)
{
	/* Where the XDG specification puts them if nothing is said. */
	static const struct {
		char name[16], fallback[16];
	} names[] = {
		{"HOME", ""},
		{"TMPDIR", ""},
		{"XDG_RUNTIME_DIR", ""},
		{"XDG_CONFIG_HOME", ".config"},
		{"XDG_DATA_HOME", ".local/share"},
		{"XDG_STATE_HOME", ".local/state"},
		{"XDG_CACHE_HOME", ".cache"},
	};
	static char buf[PATH_MAX];
	const char *home = getenv("HOME");
	size_t n = strspn(s + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	*ret_n = 1 + (*s == '~' ? 0 : n);
	if (*s == '~')
		return home;
	if (n == strlen("WORKDIR") && memcmp(s + 1, "WORKDIR", n) == 0)
		return vars->workdir;
	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++) {
		const char *set;

		if (strlen(names[i].name) != n || memcmp(s + 1, names[i].name, n) != 0)
			continue;
		set = getenv(names[i].name);
		if ((set && *set) || !*names[i].fallback || !home)
			return set;
		if ((size_t)snprintf(buf, sizeof(buf), "%s/%s", home, names[i].fallback) >=
		    sizeof(buf))
			return NULL;
		return buf;
	}
	return NULL;
}

enum kf_expansion kf_vars_expand(const struct kf_vars *vars, const char *path,
				 char out[static PATH_MAX])
{
	enum kf_expansion ret = KF_EXPANSION_LITERAL;
	KF_UNINIT char raw[PATH_MAX];
	size_t n = 0;

	if (*path == '~' || *path == '$') {
		size_t len;
		const char *v = value(vars, path, &len);

		if (!v || *v != '/' || strlen(v) >= sizeof(raw))
			return KF_EXPANSION_NONE;
		n = strlen(v);
		memcpy(raw, v, n);
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
		if (n + len >= sizeof(raw))
			return KF_EXPANSION_NONE;
		memcpy(raw + n, add, len);
		n += len;
		path += skip;
	}
	raw[n] = '\0';
	return kf_path_clean(raw, out, PATH_MAX) ? ret : KF_EXPANSION_NONE;
}
