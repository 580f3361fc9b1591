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

/* Whether @name under directory @dir holds the guard's path. */
static bool names_guard(int dir, const char *name)
{
	KF_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char buf[64 * 1024];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	return n > 0 && memmem(buf, (size_t)n, KF_NODE_GUARD, strlen(KF_NODE_GUARD)) != NULL;
}

/* Call @fn for each sub-directory of @path, adding up; none is 0. */
static unsigned each(const struct kf_node *node, const char *path,
		     unsigned (*fn)(const struct kf_node *, int, const char *))
{
	unsigned count = 0;
	struct dirent *de;
	DIR *dir;
	int fd;

	if (kf_host_dir(&node->host, path, false, &fd, NULL) < 0)
		return 0;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return 0;
	}
	while ((de = readdir(dir)) != NULL)
		if (de->d_name[0] != '.')
			count += fn(node, dirfd(dir), de->d_name);
	(void)closedir(dir);
	return count;
}

/* A bundle of containerd's: the shim leaves the runtime's path in it. */
static unsigned bundle(const struct kf_node *node, int dir, const char *name)
{
	KF_CLOSE int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)node;
	return fd >= 0 && (names_guard(fd, "runtime") || names_guard(fd, "options.json"));
}

/* CRI-O's monitor of a container, or a runtime at work. */
static unsigned process(const struct kf_node *node, int dir, const char *name)
{
	KF_CLOSE int fd = name[0] >= '1' && name[0] <= '9'
				  ? openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC)
				  : -1;
	char comm[32] = "";
	KF_CLOSE int c = fd < 0 ? -1 : openat(fd, "comm", O_RDONLY | O_CLOEXEC);

	(void)node;
	return c >= 0 && read(c, comm, sizeof(comm) - 1) > 0 && strncmp(comm, "conmon", 6) == 0 &&
	       names_guard(fd, "cmdline");
}

/* Where the root file says that containerd keeps its state, or NULL. */
static char *configured_state(const struct kf_node *node)
{
	KF_FREE char *text = NULL;
	struct kf_toml toml;
	char *state = NULL;
	const char *set;
	size_t n;

	if (kf_host_read(&node->host, node->distro->config, KF_LIMIT_CONFIG, &text, &n, NULL) < 0 ||
	    kf_toml_parse(text, n, "configuration", &toml, NULL) < 0)
		return NULL;
	set = kf_toml_string(toml.root, KF_TOML_PATH("state"), "");
	if (*set)
		state = strdup(set);
	kf_toml_done(&toml);
	return state;
}

static unsigned bundles(const struct kf_node *node, const char *state, size_t n, const char *tail)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%.*s%s/io.containerd.runtime.v2.task/k8s.io",
			     (int)n, state, tail) >= sizeof(path))
		return 0;
	return each(node, path, bundle);
}

unsigned kf_payload_in_use(const struct kf_node *node)
{
	KF_FREE char *state = configured_state(node);
	unsigned count = each(node, "/proc", process);

	if (state)
		return count + bundles(node, state, strlen(state), "");
	/* Beside or below its socket. */
	for (const char *const *s = node->distro->sockets; *s; s++) {
		size_t n = (size_t)(strrchr(*s, '/') - *s);

		count += bundles(node, *s, n, "") + bundles(node, *s, n, "/containerd");
	}
	return count;
}
