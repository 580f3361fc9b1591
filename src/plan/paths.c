/* SPDX-License-Identifier: Apache-2.0 */
/* Which paths the mounts, devices, masked and read-only paths of a container may have.  Cleaning a
 * path as text is in base/path.c; the plan (plan.c) asks here. */
#include "plan/paths.h"

#include "base/cleanup.h"
#include "base/path.h"

#include <string.h>

const char *const kf_plan_proc_files[] = {
	"cpuinfo",
	"diskstats",
	"loadavg",
	"meminfo",
	"slabinfo",
	"stat",
	"swaps",
	"sys/crypto/fips_enabled",
	"sys/kernel/ns_last_pid",
	"uptime",
	NULL,
};

/* The symlinks of /proc, which lead into a process's directory. */
static const char *const proc_links[] = {"mounts", "net", "self", "thread-self"};

static const char *const names[] = {
	[KF_PATH_MOUNT] = "mount",
	[KF_PATH_DEVICE] = "device",
	[KF_PATH_MASKED] = "masked path",
	[KF_PATH_READONLY] = "read-only path",
};

/* Whether a component of @path is "..". */
static bool goes_up(const char *path)
{
	for (const char *at = path; (at = strstr(at, "..")); at++)
		if ((at == path || at[-1] == '/') && (at[2] == '/' || !at[2]))
			return true;
	return false;
}

/* Whether the first component of @name, which lies in /proc, is a process or leads to one. */
static bool is_process(const char *name)
{
	if (*name >= '0' && *name <= '9')
		return true;
	for (size_t i = 0; i < KF_ARRAY_SIZE(proc_links); i++)
		if (kf_path_under(name, proc_links[i]))
			return true;
	return false;
}

static bool is_proc_file(const char *name)
{
	for (size_t i = 0; kf_plan_proc_files[i]; i++)
		if (strcmp(name, kf_plan_proc_files[i]) == 0)
			return true;
	return false;
}

/* @name: what follows "/proc/". */
static bool allowed_in_proc(enum kf_path_use use, const char *name)
{
	if (use == KF_PATH_MOUNT)
		return is_proc_file(name);
	return use != KF_PATH_DEVICE && !is_process(name);
}

int kf_plan_path_check(enum kf_path_use use, const char *path, char ret_clean[static PATH_MAX],
		       struct kf_err *err)
{
	KF_UNINIT char clean[PATH_MAX];

	if (!kf_path_clean(path, clean, sizeof(clean)))
		return kf_fail(err, ENAMETOOLONG, "%s '%.120s...': path too long", names[use],
			       path);
	if (*path != '/' || goes_up(path))
		return kf_fail(err, EPERM,
			       "%s '%.90s': another program could read this path differently; "
			       "write it as '%.90s'",
			       names[use], path, clean);
	if (strcmp(clean, "/") == 0 || (strcmp(clean, "/proc") == 0 && use != KF_PATH_MOUNT))
		return kf_fail(err, EPERM,
			       "%s '%.120s': the sandbox launcher is reached by what is there; "
			       "choose another path",
			       names[use], path);
	if (kf_path_under(clean, "/proc") && clean[strlen("/proc")] &&
	    !allowed_in_proc(use, clean + strlen("/proc/")))
		return kf_fail(err, EPERM,
			       "%s '%.120s': nothing may be mounted over this part of /proc: the "
			       "sandbox launcher is started through it and reads it; choose "
			       "another path",
			       names[use], path);
	memcpy(ret_clean, clean, strlen(clean) + 1);
	return 0;
}

bool kf_plan_proc_mount_is_proc(const struct kf_view_mount *mount)
{
	/* The options make a mount a bind mount, whatever its type says. */
	for (size_t i = 0; i < mount->noptions; i++)
		if (strcmp(mount->options[i], "bind") == 0 ||
		    strcmp(mount->options[i], "rbind") == 0)
			return strcmp(mount->source, "/proc") == 0;
	return strcmp(mount->type, "proc") == 0 ||
	       (strcmp(mount->type, "bind") == 0 && strcmp(mount->source, "/proc") == 0);
}
