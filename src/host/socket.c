/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a program serves a unix socket of the host's, found out without connecting.  What the
 * runtime answers on its socket is asked in cri/. */
#include "host/socket.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

bool kf_socket_served(const struct kf_host *host, const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	KF_CLOSE int at = -1, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || kf_host_fd(host, path, O_PATH, &at, KF_ERR_IGNORED) < 0)
		return false;
	/* The address is a descriptor, since the path is the host's and may be too long.  The
	 * socket type is another one, so that the kernel tells a served socket from one that nobody
	 * serves (ECONNREFUSED) before anything is queued. */
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", at);
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno == EPROTOTYPE;
}

int kf_socket_wait(const struct kf_host *host, const char *path, unsigned seconds,
		   struct kf_err *err)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	struct timespec start, now;

	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	while (!kf_socket_served(host, path)) {
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec >= (time_t)seconds)
			return kf_fail(err, ENOENT, "%s '%s'",
				       kf_host_exists(host, path) ? "nobody serves the socket"
								  : "there is no socket",
				       path);
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}
