/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the program to start, as the runtime would have found it. */
#include "nono/program.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "flat/launcher.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NR_FACCESSAT2 439

/* A directory may be, too. */
static int check_executable(const char *path)
{
	/* As the effective user; musl's faccessat() forks where the call is missing. */
	if (syscall(NR_FACCESSAT2, AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
		return 0;
	if (errno != ENOSYS && errno != EPERM)
		return -1;
	return access(path, X_OK);
}

static bool is_ours(const char *dir, const char *self_dir)
{
	KF_UNINIT char clean[PATH_MAX];

	return kf_path_clean(dir, clean, sizeof(clean)) &&
	       (strcmp(clean, KF_LAUNCHER_DIR) == 0 || (*self_dir && strcmp(clean, self_dir) == 0));
}

/* Apart, for the sake of its buffers: most programs are named by a path. */
static __attribute__((noinline)) int find_in_path(const char *name, const char *self_dir,
						  const char **ret, struct kf_err *err)
{
	const char *path = getenv("PATH");
	struct stat st;
	int code = ENOENT;

	if (!path || !*path)
		path = KF_DEFAULT_PATH;
	for (size_t len; *name && *path; path += len + (path[len] == ':')) {
		KF_UNINIT char dir[PATH_MAX], full[PATH_MAX];

		len = strcspn(path, ":");
		if (*path != '/' || len >= sizeof(dir))
			continue;
		memcpy(dir, path, len);
		dir[len] = '\0';
		if (is_ours(dir, self_dir) ||
		    (size_t)snprintf(full, sizeof(full), "%s/%s", dir, name) >= sizeof(full))
			continue;
		if (check_executable(full) == 0 && stat(full, &st) == 0 && !S_ISDIR(st.st_mode)) {
			*ret = strdup(full);
			return *ret ? 0 : kf_fail_nomem(err, name);
		}
		if (errno == EACCES)
			code = EACCES;
	}
	/* "kubectl exec POD -- nono why ...", unless there is another one. */
	if (code == ENOENT && strcmp(name, "nono") == 0 &&
	    check_executable(KF_LAUNCHER_PATH) == 0) {
		*ret = KF_LAUNCHER_PATH;
		return 0;
	}
	if (code == EACCES)
		return kf_fail(err, code, "cannot start '%s': permission denied", name);
	return kf_fail(err, code, "cannot start '%s': executable file not found in $PATH", name);
}

int kf_nono_program_find(const char *name, const char *self_dir, const char **ret,
			 struct kf_err *err)
{
	if (!strchr(name, '/'))
		return find_in_path(name, self_dir, ret, err);
	if (strlen(name) >= PATH_MAX)
		return kf_fail(err, ENAMETOOLONG, "cannot start '%.80s...': path too long", name);
	if (check_executable(name) < 0)
		return kf_fail_sys(err, "cannot start '%s'", name);
	*ret = name;
	return 0;
}
