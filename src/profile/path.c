/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of profiles: checking them, replacing variables, and comparing different spellings of one
 * place.  Paths of containers are checked in plan/paths.c. */
#include "base/path.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "flat/words.h"
#include "profile/internal.h"

#include <string.h>

/* No path begins with it, but people try. */
#define UID "UID"

static bool word_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static size_t word_length(const char *s)
{
	size_t n = 0;

	while (word_char(s[n]))
		n++;
	return n;
}

static const char *fail_path(struct kf_profile_ctx *ctx, const struct kf_origin *at,
			     const char *raw, const char *why)
{
	kf_diag_error(ctx->diags, at, "path '%.200s': %s", raw, why);
	return NULL;
}

/* Join @root (a variable or "~", not checked) and the absolute @rest. */
static const char *join_path(struct kf_profile_ctx *ctx, const struct kf_origin *at,
			     const char *raw, const char *root, const char *rest)
{
	char clean[KF_LIMIT_PROFILE_PATH + 8];

	for (const char *p = rest; (p = strstr(p, "..")); p += 2)
		if (p > rest && p[-1] == '/' && (p[2] == '/' || !p[2]))
			return fail_path(
				ctx, at, raw,
				"'..' means different places depending on symlinks; write the "
				"place itself");
	for (const char *p = rest; (p = strchr(p, '$')); p++) {
		if (strncmp(p, "$UID", 4) == 0 && !word_char(p[4]))
			continue;
		return fail_path(ctx, at, raw,
				 p[1] == '{' ? "variables are written $NAME, without braces"
					     : "only $UID may stand inside a path; other variables "
					       "stand at its start");
	}
	if (!*rest || strcmp(rest, "/") == 0)
		rest = *root ? "" : "/";
	else if (!kf_path_clean(rest, clean, sizeof(clean)))
		return fail_path(ctx, at, raw, "too long");
	else
		rest = clean;
	const char *path = kf_arena_printf(ctx->arena, "%s%s", root, rest);
	if (!path)
		ctx->diags->nomem = true;
	return path;
}

static const char *from_variable(struct kf_profile_ctx *ctx, const struct kf_origin *at,
				 const char *raw)
{
	const char *names[KF_POLICY_VARIABLES + 1];
	size_t n = word_length(raw + 1);
	char name[64];

	if (raw[1] == '{')
		return fail_path(ctx, at, raw, "variables are written $NAME, without braces");
	if (!n || n >= sizeof(name))
		return fail_path(ctx, at, raw, "no variable behind '$'");
	memcpy(name, raw + 1, n);
	name[n] = '\0';
	if (strcmp(name, "NONO_CONFIG") == 0 || strcmp(name, "NONO_PACKAGES") == 0) {
		kf_diag_warning(ctx->diags, at,
				"path '%.200s' is left out: no policy lies inside a container",
				raw);
		return NULL;
	}
	if (strcmp(name, UID) == 0)
		return fail_path(ctx, at, raw, "$UID is a number; it cannot start a path");
	if (kf_policy_variable(name, n)) {
		const char *root = kf_arena_printf(ctx->arena, "$%s", name);

		if (raw[n + 1] && raw[n + 1] != '/')
			return fail_path(ctx, at, raw, "a '/' must follow the variable");
		if (strcmp(name, "HOME") == 0)
			return join_path(ctx, at, raw, "~", raw + n + 1);
		return root ? join_path(ctx, at, raw, root, raw + n + 1) : NULL;
	}
	for (size_t i = 0; i < KF_POLICY_VARIABLES; i++)
		names[i] = kf_policy_variables[i].name;
	names[KF_POLICY_VARIABLES] = NULL;
	kf_diag_error(ctx->diags, at,
		      "path '%.200s': $%s is not known%s; there are ~, $HOME, $WORKDIR, $TMPDIR, "
		      "$UID and the $XDG_* directories",
		      raw, name, kf_profile_did_you_mean(ctx, name, names));
	return NULL;
}

bool kf_profile_path_variable(const char *s)
{
	static const char *const others[] = {"NONO_CONFIG", "NONO_PACKAGES", NULL};
	const size_t n = *s == '$' ? word_length(s + 1) : 0;

	if (n && (kf_policy_variable(s + 1, n) || (n == strlen(UID) && memcmp(UID, s + 1, n) == 0)))
		return true;
	for (const char *const *v = others; n && *v; v++)
		if (strlen(*v) == n && memcmp(*v, s + 1, n) == 0)
			return true;
	return false;
}

const char *kf_profile_path(struct kf_profile_ctx *ctx, const struct kf_origin *at, const char *raw)
{
	if (!*raw)
		return fail_path(ctx, at, raw, "empty");
	if (strlen(raw) > KF_LIMIT_PROFILE_PATH)
		return fail_path(ctx, at, raw, "too long");
	for (const char *p = raw; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7F)
			return fail_path(ctx, at, raw, "control characters cannot be expressed");
	if (raw[strlen(raw) - 1] == ' ')
		return fail_path(ctx, at, raw, "a space at the end cannot be expressed");
	if (*raw == '@')
		return fail_path(
			ctx, at, raw,
			"dynamic tokens run programs and are not supported; for git's files "
			"include the group 'git_config'");
	if (strpbrk(raw, "*?"))
		return fail_path(
			ctx, at, raw,
			"the kernel knows no patterns; name the directory that holds the files");
	if (*raw == '$')
		return from_variable(ctx, at, raw);
	if (*raw == '~') {
		if (raw[1] && raw[1] != '/')
			return fail_path(ctx, at, raw,
					 "homes of other users cannot be looked up; use ~/");
		return join_path(ctx, at, raw, "~", raw + 1);
	}
	if (*raw != '/') {
		kf_diag_error(
			ctx->diags, at,
			"path '%.200s' is relative; it must start with '/', '~' or a variable "
			"(perhaps '$WORKDIR/%.200s')",
			raw, strncmp(raw, "./", 2) == 0 ? raw + 2 : raw);
		return NULL;
	}
	return join_path(ctx, at, raw, "", raw);
}

const char *kf_profile_path_canonical(struct kf_arena *arena, const char *path)
{
	static const struct {
		const char *from, *to;
	} same[] = {
		{"/var/run", "/run"},
		{"$TMPDIR", "/tmp"},
		{"/root", "~"},
		{"$XDG_CONFIG_HOME", "~/.config"},
		{"$XDG_DATA_HOME", "~/.local/share"},
		{"$XDG_STATE_HOME", "~/.local/state"},
		{"$XDG_CACHE_HOME", "~/.cache"},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(same); i++)
		if (kf_profile_path_under(path, same[i].from))
			return kf_arena_printf(arena, "%s%s", same[i].to,
					       path + strlen(same[i].from));
	if (strncmp(path, "/home/", 6) == 0) {
		const char *rest = strchr(path + 6, '/');

		return kf_arena_printf(arena, "~%s", rest ? rest : "");
	}
	return path;
}

bool kf_profile_path_under(const char *path, const char *base)
{
	size_t n = strlen(base);

	if (strcmp(base, "/") == 0)
		return *path == '/';
	return strncmp(path, base, n) == 0 && (path[n] == '\0' || path[n] == '/');
}
