/* SPDX-License-Identifier: Apache-2.0 */
/* Says which paths are the system's own, and which files are the pod's: no volume, variable or
 * symlink makes the former writable.  Nothing here looks at files. */
#include "base/cleanup.h"
#include "base/path.h"
#include "flat/flat.h"

#include <string.h>

/* Where programs and their configuration live, in any image. */
static const char dirs[][16] = {
	"/bin",		  "/boot",     "/etc",	     "/lib",	 "/lib32",	 "/lib64",
	"/libx32",	  "/nono",     "/sbin",	     "/usr/bin", "/usr/lib",	 "/usr/lib64",
	"/usr/local/bin", "/usr/sbin", "/usr/share", "/var/run", "/run/secrets",
};
/* Kernel file systems: nothing at all below them is anybody's home. */
static const char trees[][8] = {"/dev", "/proc", "/sys"};
/* The pod's, not the container's. */
static const char pod_files[][24] = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"};

/* What the image brings and nobody works in. */
static const char owned[][8] = {"/bin",	   "/boot", "/etc", "/lib",  "/lib32", "/lib64",
				"/libx32", "/nono", "/opt", "/sbin", "/usr"};

bool kf_policy_below_system(const char *path)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(owned); i++)
		if (kf_path_under(path, owned[i]))
			return true;
	return false;
}

bool kf_policy_covers_system(const char *path)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(dirs); i++)
		if (kf_path_under(dirs[i], path))
			return true;
	for (size_t i = 0; i < KF_ARRAY_SIZE(trees); i++)
		if (kf_path_under(trees[i], path) || kf_path_under(path, trees[i]))
			return true;
	return false;
}

bool kf_policy_is_pod_file(const char *path)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(pod_files); i++)
		if (strcmp(path, pod_files[i]) == 0)
			return true;
	return false;
}

bool kf_policy_writes_pod_files(const struct kf_rule *rule)
{
	if (rule->kind != KF_RULE_FS || !(rule->access & KF_FS_WRITE))
		return false;
	for (size_t i = 0; i < KF_ARRAY_SIZE(pod_files); i++)
		if (kf_path_under(pod_files[i], rule->arg))
			return true;
	return false;
}

unsigned kf_policy_volume_access(const char *mount_point, bool writable)
{
	if (kf_policy_is_pod_file(mount_point))
		return KF_FS_READ;
	return KF_FS_READ | KF_FS_EXEC | (writable ? KF_FS_WRITE : 0);
}
