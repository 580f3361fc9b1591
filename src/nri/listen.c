/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the socket that a runtime listens on for plugins. */
#include "base/cleanup.h"

#include <errno.h>
#include <nri/nri.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

int nri_listen(const char *path, int *ret_fd, struct nri_error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	KF_CLOSE int fd = -1;
	struct stat st;
	mode_t mask;
	int bound;

	if (strlen(path) >= sizeof(addr.sun_path))
		return nri_fail(err, NRI_INVALID_ARGUMENT,
				"socket path '%s': at most %zu characters", path,
				sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path) + 1);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mask = umask(0177);
	bound = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&addr, sizeof(addr));
	(void)umask(mask);
	if (bound < 0 || listen(fd, SOMAXCONN) < 0)
		return nri_fail(err, NRI_UNAVAILABLE, "listening on %s: %s", path, strerror(errno));
	*ret_fd = kf_steal_fd(&fd);
	return 0;
}
