/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard finds from its own place: the node's settings and the real runtime of its handler.
 */
#include "nono-runc/node.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SELF   "/proc/self/exe"
#define PREFIX "nono-runc."

int kf_guard_node_init(const char *argv0, struct kf_guard_node *ret, struct kf_err *err)
{
	struct kf_guard_node node;
	ssize_t n = readlink(SELF, node.base, sizeof(node.base) - 1);
	const char *name = kf_path_base(argv0);

	if (n < 0)
		return kf_fail_sys(err, "readlink " SELF " (is /proc mounted?)");
	node.base[n] = '\0';
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(node.base, '/');

		if (!slash)
			return kf_fail(err, EINVAL, "'%s': unexpected place", node.base);
		*slash = '\0';
	}
	if (strncmp(name, PREFIX, strlen(PREFIX)) == 0)
		name += strlen(PREFIX);
	if (!kf_handler_name_valid(name))
		return kf_fail(err, EINVAL,
			       "started as '%.80s', from which no runtime handler follows: use "
			       "nono-runc or nono-runc.HANDLER",
			       argv0);
	(void)snprintf(node.handler, sizeof(node.handler), "%s", name);
	*ret = node;
	return 0;
}

static int read_trusted(const struct kf_guard_node *node, const char *name, char **ret,
			size_t *ret_n, struct kf_err *err)
{
	char path[PATH_MAX + 16];
	KF_CLOSE int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s", node->base, name);
	if (kf_file_open_trusted(path, &fd, err) < 0)
		return -1;
	return kf_fd_slurp(fd, path, KF_LIMIT_CONFIG, ret, ret_n, err);
}

int kf_guard_node_settings(const struct kf_guard_node *node, struct kf_settings_text *ret,
			   struct kf_err *err)
{
	KF_FREE char *text = NULL;
	size_t n;

	if (read_trusted(node, "settings", &text, &n, err) < 0 ||
	    kf_settings_text_parse(text, n, ret, err) < 0)
		return kf_fail_wrap(err,
				    "the node's settings cannot be used (is nono-nri running?)");
	return 0;
}

/* Running ourselves again would never end. */
static bool is_self(const char *path)
{
	struct stat self, other;

	return stat(SELF, &self) == 0 && stat(path, &other) == 0 && self.st_dev == other.st_dev &&
	       self.st_ino == other.st_ino;
}

int kf_guard_node_runtime(const struct kf_guard_node *node, char ret[static PATH_MAX],
			  struct kf_err *err)
{
	KF_FREE char *text = NULL;
	struct kf_runtimes runtimes;
	const char *path;
	size_t n;
	int r = 0;

	if (read_trusted(node, "runtime", &text, &n, err) < 0 ||
	    kf_runtimes_parse(text, n, &runtimes, err) < 0)
		return kf_fail_wrap(err, "the real runtime is not known");
	path = kf_runtimes_find(&runtimes, node->handler);
	if (!path)
		r = kf_fail(err, ENOENT,
			    "%s/runtime names no runtime for handler '%s'; run 'kubefence node "
			    "install'",
			    node->base, node->handler);
	else if (is_self(path))
		r = kf_fail(err, ELOOP, "%s/runtime names the guard itself for handler '%s'",
			    node->base, node->handler);
	else
		(void)snprintf(ret, PATH_MAX, "%s", path);
	kf_runtimes_done(&runtimes);
	return r;
}

int kf_guard_node_any_runtime(char ret[static PATH_MAX], struct kf_err *err)
{
	static const char *const places[] = {
		"/usr/local/sbin/runc", "/usr/local/bin/runc", "/usr/sbin/runc",
		"/usr/bin/runc",	"/usr/local/bin/crun", "/usr/bin/crun",
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(places); i++) {
		if (access(places[i], X_OK) == 0 && !is_self(places[i])) {
			(void)snprintf(ret, PATH_MAX, "%s", places[i]);
			return 0;
		}
	}
	return kf_fail_wrap(err, "and no runc or crun in the usual places");
}
