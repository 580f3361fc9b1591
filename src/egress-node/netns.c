/* SPDX-License-Identifier: Apache-2.0 */
/* Goes into a pod's network namespace to make sockets.  A socket stays where it was made, so the
 * process is there only for socket(2). */
#include "egress-node/netns.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int home = -1;

int kf_netns_init(struct kf_err *err)
{
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return home < 0 ? kf_fail_sys(err, "open /proc/self/ns/net") : 0;
}

int kf_netns_sockets(int netns, const struct kf_netns_socket *want, size_t n, int *ret,
		     struct kf_err *err)
{
	size_t made = 0;
	int error = 0;

	if (netns >= 0 && setns(netns, CLONE_NEWNET) < 0)
		return kf_fail_sys(err, "enter the pod's network namespace");
	for (; made < n; made++) {
		ret[made] = socket(want[made].family, want[made].type | SOCK_CLOEXEC,
				   want[made].protocol);
		if (ret[made] < 0) {
			error = errno;
			break;
		}
	}
	/* Whatever this process did next would be done in the pod's namespace. */
	if (netns >= 0 && setns(home, CLONE_NEWNET) < 0)
		abort();
	if (!error)
		return 0;
	while (made)
		(void)close(ret[--made]);
	errno = error;
	return kf_fail_sys(err, "socket in the pod's network namespace");
}

int kf_netns_check(int fd, struct kf_err *err)
{
	struct stat it, own;

	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET || fstat(fd, &it) < 0 || fstat(home, &own) < 0)
		return kf_fail(err, EINVAL, "this is not a network namespace");
	if (it.st_ino == own.st_ino && it.st_dev == own.st_dev)
		return kf_fail(err, EPERM, "this is the node's network namespace");
	return 0;
}
