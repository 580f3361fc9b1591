/* SPDX-License-Identifier: Apache-2.0 */
/* Closes the ways out of a process as the guard closes a pod's, with what an ordinary user has: a
 * network namespace with nothing in it needs no rules. */
#include "nono-egress/closed.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIT(cap) (UINT64_C(1) << (cap))
/* With these a process enters another namespace, makes sockets that no namespace closes, or makes a
 * process outside do it. */
#define LEAD_OUT                                                                            \
	(BIT(CAP_SYS_ADMIN) | BIT(CAP_NET_ADMIN) | BIT(CAP_NET_RAW) | BIT(CAP_SYS_MODULE) | \
	 BIT(CAP_SYS_PTRACE))
#define NUMBER_MAX 32

/* Whether the kernel's setting @file is @value. */
static bool setting_is(const char *file, const char *value)
{
	char text[NUMBER_MAX] = "";
	KF_CLOSE int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n > 0)
		text[strcspn(text, "\n")] = '\0';
	return n > 0 && strcmp(text, value) == 0;
}

/* @step failed, with errno set, as an ordinary user: say which setting of the machine's it is. */
static int explain_failure(const char *step, struct kf_err *err)
{
	static const struct {
		const char *file, *value, *remedy;
	} settings[] = {
		{"/proc/sys/user/max_user_namespaces", "0",
		 "sysctl user.max_user_namespaces=10000"},
		{"/proc/sys/user/max_net_namespaces", "0", "sysctl user.max_net_namespaces=10000"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0",
		 "sysctl kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
		 "an AppArmor profile for this program with the rule 'userns,', or sysctl "
		 "kernel.apparmor_restrict_unprivileged_userns=0"},
	};
	const char *remedy = "run it as root";
	const int error = errno;

	for (size_t i = 0; i < KF_ARRAY_SIZE(settings); i++)
		if (setting_is(settings[i].file, settings[i].value)) {
			remedy = settings[i].remedy;
			break;
		}
	errno = error;
	return kf_fail(err, error,
		       "%s: %s; a network of the command's own needs a user namespace, which this "
		       "machine does not let user %u have: %s%s",
		       step, strerror(error), (unsigned)geteuid(), remedy,
		       remedy[0] == 'r' ? "" : " (or run it as root)");
}

/* -1 with errno set. */
static int write_map(const char *file, const char *text)
{
	KF_CLOSE int fd = open(file, O_WRONLY | O_CLOEXEC);
	struct kf_err err;

	if (fd < 0)
		return -1;
	if (kf_write_all(fd, text, strlen(text), &err) == 0)
		return 0;
	errno = err.code;
	return -1;
}

/* The same user and group inside as outside, and no other. */
static int enter_user(struct kf_err *err)
{
	const unsigned uid = geteuid(), gid = getegid();
	char users[NUMBER_MAX], groups[NUMBER_MAX];

	(void)snprintf(users, sizeof(users), "%u %u 1", uid, uid);
	(void)snprintf(groups, sizeof(groups), "%u %u 1", gid, gid);
	if (unshare(CLONE_NEWUSER) < 0)
		return explain_failure("make a user namespace", err);
	return write_map("/proc/self/setgroups", "deny") < 0 ||
			       write_map("/proc/self/uid_map", users) < 0 ||
			       write_map("/proc/self/gid_map", groups) < 0
		       ? explain_failure("map this user into a user namespace", err)
		       : 0;
}

static int raise_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	KF_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -1 : 0;
}

int kf_closed_enter(struct kf_err *err)
{
	const bool root = geteuid() == 0;

	if (!root && enter_user(err) < 0)
		return -1;
	if (unshare(CLONE_NEWNET) < 0)
		return root ? kf_fail_sys(err, "make a network namespace")
			    : explain_failure("make a network namespace", err);
	if (raise_loopback() < 0)
		return root ? kf_fail_sys(err, "loopback")
			    : explain_failure("start the loopback", err);
	return kf_confine_capabilities(~LEAD_OUT, err);
}

/* ---- passing descriptors ---- */

union closed_rights {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

int kf_closed_send(int channel, int fd, struct kf_err *err)
{
	union closed_rights rights = {.align = {.cmsg_len = CMSG_LEN(sizeof(int)),
						.cmsg_level = SOL_SOCKET,
						.cmsg_type = SCM_RIGHTS}};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	const struct msghdr msg = {.msg_iov = &iov,
				   .msg_iovlen = 1,
				   .msg_control = rights.space,
				   .msg_controllen = sizeof(rights.space)};

	memcpy(CMSG_DATA(&rights.align), &fd, sizeof(fd));
	return sendmsg(channel, &msg, MSG_NOSIGNAL) == 1 ? 0 : kf_fail_sys(err, "send a socket");
}

int kf_closed_receive(int channel, int *ret_fd, struct kf_err *err)
{
	union closed_rights rights = {.space = {0}};
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = rights.space,
			     .msg_controllen = sizeof(rights.space)};
	ssize_t n;

	do
		n = recvmsg(channel, &msg, 0);
	while (n < 0 && errno == EINTR);
	if (n != 1 || rights.align.cmsg_type != SCM_RIGHTS ||
	    rights.align.cmsg_len != CMSG_LEN(sizeof(int)))
		return kf_fail(err, ECHILD, "no socket came from the command's network");
	memcpy(ret_fd, CMSG_DATA(&rights.align), sizeof(*ret_fd));
	return 0;
}
