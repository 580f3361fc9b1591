/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/limits.h"
#include "node/handler.h"
#include "node/payload.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What was there a moment ago: containers and processes come and go. */
static bool is_gone(int code)
{
	return code == ENOENT || code == ENOTDIR || code == ESRCH;
}

/* Up to @max - 1 bytes of file @name under @dir, with NUL; none if there is no such file. */
static int read_some(int dir, const char *name, char *buf, size_t max, size_t *ret_n,
		     struct kf_err *err)
{
	KF_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, max - 1);

	if (n < 0 && !is_gone(errno))
		return kf_fail_sys(err, "read '%s'", name);
	*ret_n = n > 0 ? (size_t)n : 0;
	buf[*ret_n] = '\0';
	return 0;
}

/* Whether @name under directory @dir holds the guard's path. */
static int names_guard(int dir, const char *name, bool *ret, struct kf_err *err)
{
	char buf[64 * 1024];
	size_t n;

	if (read_some(dir, name, buf, sizeof(buf), &n, err) < 0)
		return -1;
	*ret = memmem(buf, n, KF_NODE_GUARD, strlen(KF_NODE_GUARD)) != NULL;
	return 0;
}

/* Whether the entry @name of directory @dir is a container of the guard's. */
typedef int judge(int dir, const char *name, bool *ret, struct kf_err *err);

/* A bundle of containerd's: the shim leaves the runtime's path in it. */
static int bundle(int dir, const char *name, bool *ret, struct kf_err *err)
{
	KF_CLOSE int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	*ret = false;
	if (fd < 0)
		return is_gone(errno) ? 0 : kf_fail_sys(err, "open bundle '%s'", name);
	if (names_guard(fd, "runtime", ret, err) < 0)
		return -1;
	return *ret ? 0 : names_guard(fd, "options.json", ret, err);
}

/* CRI-O's monitor of a container, or a runtime at work. */
static int process(int dir, const char *name, bool *ret, struct kf_err *err)
{
	KF_CLOSE int fd = -1;
	char comm[32];
	size_t n;

	*ret = false;
	if (name[0] < '1' || name[0] > '9')
		return 0;
	fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return is_gone(errno) ? 0 : kf_fail_sys(err, "open process '%s'", name);
	if (read_some(fd, "comm", comm, sizeof(comm), &n, err) < 0)
		return -1;
	return strncmp(comm, "conmon", 6) == 0 ? names_guard(fd, "cmdline", ret, err) : 0;
}

/* Count the entries of @path that are containers of the guard's; no directory is none. */
static int count(const struct kf_node *node, const char *path, judge *is, unsigned *ret,
		 struct kf_err *err)
{
	struct dirent *de;
	DIR *dir;
	int fd, r = 0;

	if (kf_host_dir(&node->host, path, false, &fd, err) < 0)
		return is_gone(err->code) ? 0 : -1;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return kf_fail_sys(err, "read '%s'", path);
	}
	while (r == 0) {
		bool yes = false;

		errno = 0;
		de = readdir(dir);
		if (!de && errno)
			r = kf_fail_sys(err, "read '%s'", path);
		if (!de)
			break;
		if (de->d_name[0] != '.')
			r = is(dirfd(dir), de->d_name, &yes, err);
		*ret += yes;
	}
	(void)closedir(dir);
	return r < 0 ? kf_fail_wrap(err, "'%s'", path) : 0;
}

/* Where the root file says that containerd keeps its state, or NULL. */
static int configured_state(const struct kf_node *node, char **ret, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	struct kf_toml toml;
	const char *set;
	size_t n;
	int r = 0;

	*ret = NULL;
	if (kf_host_read(&node->host, node->distro->config, KF_LIMIT_CONFIG, &text, &n, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	if (kf_toml_parse(text, n, node->distro->config, &toml, err) < 0)
		return -1;
	set = kf_toml_string(toml.root, KF_TOML_PATH("state"), "");
	if (*set && !(*ret = strdup(set)))
		r = kf_fail_nomem(err, "state");
	kf_toml_done(&toml);
	return r;
}

static int bundles(const struct kf_node *node, const char *state, size_t n, const char *tail,
		   unsigned *ret, struct kf_err *err)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%.*s%s/io.containerd.runtime.v2.task/k8s.io",
			     (int)n, state, tail) >= sizeof(path))
		return kf_fail(err, ENAMETOOLONG, "'%s'", state);
	return count(node, path, bundle, ret, err);
}

int kf_payload_in_use(const struct kf_node *node, unsigned *ret, struct kf_err *err)
{
	KF_FREE char *state = NULL;
	unsigned found = 0;

	if (configured_state(node, &state, err) < 0 ||
	    count(node, "/proc", process, &found, err) < 0)
		return -1;
	if (state && bundles(node, state, strlen(state), "", &found, err) < 0)
		return -1;
	/* Beside or below its socket. */
	for (const char *const *s = node->distro->sockets; *s && !state; s++) {
		size_t n = (size_t)(strrchr(*s, '/') - *s);

		if (bundles(node, *s, n, "", &found, err) < 0 ||
		    bundles(node, *s, n, "/containerd", &found, err) < 0)
			return -1;
	}
	*ret = found;
	return 0;
}
