/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the policy: on a descriptor, beside the launcher, or built in, and trusts only what root on
 * the node wrote.  flat/flat.c reads it. */
#include "nono/source.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "flat/builtin.h"
#include "flat/launcher.h"
#include "flat/name.h"
#include "grants/rt.h"
#include "nono/options.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FD_PATH	     "/proc/self/fd/"

/* uid that the kernel shows for owners who do not exist in our user namespace. */
#define UID_UNMAPPED 65534

int kf_nono_self_find(struct kf_nono_self *ret, struct kf_err *err)
{
	const char *execfn = (const char *)(uintptr_t)getauxval(AT_EXECFN);
	char *dir = malloc(PATH_MAX), *slash;
	ssize_t n = 0;

	if (!dir)
		return kf_fail_nomem(err, "this program's path");
	ret->exec_fd = -1;
	if (execfn && strncmp(execfn, FD_PATH, sizeof(FD_PATH) - 1) == 0)
		(void)kf_nono_parse_fd(execfn + sizeof(FD_PATH) - 1, &ret->exec_fd);
	/* Where the guard or the plugin has put it; asking /proc costs as much as ten rules. */
	if (execfn && strcmp(execfn, KF_LAUNCHER_PATH) == 0)
		memcpy(dir, execfn, (size_t)(n = sizeof(KF_LAUNCHER_PATH) - 1));
	else if (ret->exec_fd < 0)
		n = readlink("/proc/self/exe", dir, PATH_MAX);
	if (n < 0 || n >= PATH_MAX)
		n = 0;
	dir[n] = '\0';
	slash = strrchr(dir, '/');
	if (!slash || strncmp(dir, "/memfd:", 7) == 0)
		slash = dir;
	else if (slash == dir)
		slash++;
	*slash = '\0';
	ret->dir = realloc(dir, (size_t)n + 1);
	return 0;
}

/* Open @name under @dirfd and nowhere else: no symlink or "..", and no other mount on the way
 * unless @mounts. */
static int open_beneath(int dirfd, const char *name, int flags, bool mounts)
{
	return kf_open_resolve(dirfd, name, flags,
			       (mounts ? 0 : KF_RESOLVE_NO_XDEV) | KF_RESOLVE_NO_MAGICLINKS |
				       KF_RESOLVE_NO_SYMLINKS | KF_RESOLVE_BENEATH);
}

/* The directory of profiles in @dir; where the guard has made that, as its "policy" shows, the
 * node's is mounted in it. */
static int open_profiles(int dir)
{
	int fd = open_beneath(dir, "profiles", O_PATH | O_DIRECTORY, false), policy;

	if (fd >= 0 || errno != EXDEV)
		return fd;
	policy = open_beneath(dir, "policy", O_PATH, false);
	if (policy < 0) {
		errno = EXDEV;
		return -1;
	}
	(void)close(policy);
	return open_beneath(dir, "profiles", O_PATH | O_DIRECTORY, true);
}

/* Only the node's root may have written what @fd refers to. */
static int check_owner(int fd, const char *name, struct kf_err *err)
{
	struct statvfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0 || fstatvfs(fd, &fs) < 0)
		return kf_fail_sys(err, "stat '%s'", name);
	if (st.st_mode & 022)
		return kf_fail(err, EPERM, "'%s' may be written by others than root: chmod go-w",
			       name);
	/* In a user namespace the node's root is unmapped; the mount is then what
	 * keeps the container's users from having made the file. */
	if (st.st_uid != 0 && !(st.st_uid == UID_UNMAPPED && (fs.f_flag & ST_RDONLY)))
		return kf_fail(err, EPERM, "'%s' belongs to uid %u, not to root: chown root", name,
			       (unsigned)st.st_uid);
	return 0;
}

/* @profile: NULL for whatever it holds; @ret_domain: NULL where no domain file can be. */
static int from_fd(int fd, const char *what, const char *profile, struct kf_policy *ret,
		   struct kf_domain *ret_domain, struct kf_err *err)
{
	struct kf_domain domain = {0};
	struct kf_policy policy;
	char *text;
	size_t n;

	/* The text stays: a domain's program and objects are used where they are. */
	if (kf_fd_slurp(fd, what, ret_domain ? KF_DOMAIN_MAX : KF_LIMIT_POLICY_TEXT, &text, &n,
			err) < 0)
		return -1;
	if (ret_domain && kf_domain_is(text, n)) {
		if (kf_domain_parse(text, n, &domain, err) < 0)
			return -1;
	} else {
		domain.policy = text;
		domain.head.policy = (uint32_t)n;
	}
	if (kf_policy_parse(domain.policy, domain.head.policy, &policy, err) < 0)
		return kf_fail_wrap(err, "%s", what);
	if (profile && strcmp(policy.name, profile) != 0)
		return kf_fail(err, EINVAL, "%s holds profile '%s', not '%s'", what, policy.name,
			       profile);
	*ret = policy;
	if (ret_domain && *domain.head.magic)
		*ret_domain = domain;
	return 0;
}

int kf_nono_source_policy(const struct kf_nono_self *self, const char *profile, int policy_fd,
			  struct kf_policy *ret, struct kf_domain *ret_domain, struct kf_err *err)
{
	KF_CLOSE int exe = -1, profiles = -1, file = -1;

	*ret_domain = (struct kf_domain){0};
	if (!kf_profile_name_valid(profile))
		return kf_fail(err, EINVAL,
			       "'%.80s' is not a profile name (letters, digits, '_' and '-', at "
			       "most %d)",
			       profile, KF_LIMIT_PROFILE_NAME);
	if (policy_fd >= 0)
		return from_fd(policy_fd, "policy descriptor", profile, ret, ret_domain, err);
	if (!*self->dir)
		return kf_builtin_policy(profile, ret, err);
	exe = kf_open(AT_FDCWD, self->dir, O_PATH | O_DIRECTORY);
	if (exe < 0)
		return kf_fail_sys(err, "open this program's directory '%s'", self->dir);
	profiles = open_profiles(exe);
	if (profiles < 0 && errno == ENOENT)
		return kf_builtin_policy(profile, ret, err);
	if (profiles < 0)
		return kf_fail_sys(err, "open '%s/profiles'", self->dir);
	file = open_beneath(profiles, profile, O_RDONLY | O_NONBLOCK, false);
	if (file < 0 && errno == ENOENT)
		return kf_fail(err, ENOENT, "profile '%s' is not installed on this node", profile);
	if (file < 0)
		return kf_fail_sys(err, "open '%s/profiles/%s'", self->dir, profile);
	if (check_owner(profiles, "profiles", err) < 0 || check_owner(file, profile, err) < 0)
		return -1;
	return from_fd(file, profile, profile, ret, NULL, err);
}

int kf_nono_source_in_force(const struct kf_nono_self *self, struct kf_policy *ret,
			    char **ret_start, struct kf_err *err)
{
	KF_CLOSE int dir = *self->dir ? kf_open(AT_FDCWD, self->dir, O_PATH | O_DIRECTORY) : -1;
	KF_CLOSE int policy = dir < 0 ? -1 : open_beneath(dir, "policy", O_RDONLY, false);
	KF_CLOSE int start = policy < 0 ? -1 : open_beneath(dir, "start", O_RDONLY, false);

	if (policy < 0)
		return !*self->dir || (dir >= 0 && errno == ENOENT)
			       ? 1
			       : kf_fail_sys(err, "open '%s/policy'", self->dir);
	if (start < 0)
		return kf_fail_sys(err, "open '%s/start'", self->dir);
	if (check_owner(policy, "policy", err) < 0 ||
	    kf_fd_slurp(start, "start", KF_LIMIT_POLICY_TEXT, ret_start, NULL, err) < 0)
		return -1;
	return from_fd(policy, "policy", NULL, ret, NULL, err);
}
