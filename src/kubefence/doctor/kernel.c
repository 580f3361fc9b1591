/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of doctor on the kernel: Landlock, seccomp, audit, user namespaces, memory files. */
#include "denial/kernel.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "kubefence/doctor/doctor.h"
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef __NR_landlock_create_ruleset
#define __NR_landlock_create_ruleset 444
#endif
#define LANDLOCK_VERSION 1u
#define ABI_AUDIT	 7

#define CATEGORY	 "kernel"

/* Read the first line of a small file of the kernel's; "" if it cannot be read. */
static void first_line(const char *path, char out[static 512])
{
	KF_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, 511);

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static int landlock_abi(void)
{
	return (int)syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
}

static enum kf_doctor_result check_landlock(struct kf_doctor *d)
{
	int v = landlock_abi();

	if (v < 1)
		return kf_doctor_say(d, KF_DOCTOR_ERROR,
				     "the kernel has no Landlock, or it is off (%s)",
				     strerror(errno));
	if (v < KF_LANDLOCK_ABI_NET)
		return kf_doctor_say(d, KF_DOCTOR_WARNING,
				     "ABI %d does not know network rules; profiles that have some "
				     "are refused (kernel 6.7 has them)",
				     v);
	if (v < KF_LANDLOCK_ABI_SCOPE)
		return kf_doctor_say(d, KF_DOCTOR_WARNING,
				     "ABI %d does not scope signals and abstract sockets (kernel "
				     "6.12 does)",
				     v);
	if (v > KF_LANDLOCK_ABI_MAX)
		return kf_doctor_say(d, KF_DOCTOR_OK,
				     "ABI %d, used as ABI %d, the newest that is known here", v,
				     KF_LANDLOCK_ABI_MAX);
	return kf_doctor_say(d, KF_DOCTOR_OK, "ABI %d", v);
}

static enum kf_doctor_result check_lsm(struct kf_doctor *d)
{
	char list[512];

	first_line("/sys/kernel/security/lsm", list);
	if (!*list)
		return landlock_abi() > 0
			       ? kf_doctor_say(d, KF_DOCTOR_OK,
					       "securityfs is not mounted here, "
					       "Landlock answers")
			       : kf_doctor_say(d, KF_DOCTOR_WARNING,
					       "/sys/kernel/security/lsm cannot be read");
	if (!strstr(list, "landlock"))
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "landlock is not in \"%.200s\"", list);
	return kf_doctor_say(d, KF_DOCTOR_OK, "%.200s", list);
}

static enum kf_doctor_result check_seccomp(struct kf_doctor *d)
{
	char actions[512];

	first_line("/proc/sys/kernel/seccomp/actions_avail", actions);
	if (!strstr(actions, "errno") || !strstr(actions, "kill_process"))
		return kf_doctor_say(d, KF_DOCTOR_ERROR, "the kernel has no seccomp filters");
	if (!strstr(actions, "log"))
		return kf_doctor_say(d, KF_DOCTOR_WARNING, "no action \"log\"");
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
}

static enum kf_doctor_result check_audit(struct kf_doctor *d)
{
	struct kf_audit_status status;
	KF_CLOSE int fd = -1;
	struct kf_err err;

	if (landlock_abi() < ABI_AUDIT)
		return kf_doctor_say(d, KF_DOCTOR_WARNING,
				     "Landlock ABI %d does not log denials (kernel 6.15 does)",
				     landlock_abi());
	if (kf_audit_open(&fd, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_WARNING, "%s", err.msg);
	if (kf_audit_status(&status, &err) < 0)
		return kf_doctor_say(d, KF_DOCTOR_WARNING,
				     "whether the log is on cannot be told here: %s", err.msg);
	if (!status.enabled)
		return kf_doctor_say(
			d, KF_DOCTOR_WARNING,
			"the kernel's audit log is off: nothing records what is denied "
			"(kubefence denials --turn-on)");
	if (status.pid)
		return kf_doctor_say(
			d, KF_DOCTOR_OK,
			"the log is on%s; the audit daemon, process %u, has it as well",
			status.enabled == KF_AUDIT_LOCKED ? ", and locked until the next boot" : "",
			status.pid);
	return kf_doctor_say(d, KF_DOCTOR_OK, "the log is on%s, %u records were lost",
			     status.enabled == KF_AUDIT_LOCKED ? ", and locked until the next boot"
							       : "",
			     status.lost);
}

static enum kf_doctor_result user_namespaces(struct kf_doctor *d)
{
	char max[512], clone[512], apparmor[512];

	first_line("/proc/sys/user/max_user_namespaces", max);
	first_line("/proc/sys/kernel/unprivileged_userns_clone", clone);
	first_line("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", apparmor);
	if (strtoul(max, NULL, 10) == 0)
		return kf_doctor_say(d, KF_DOCTOR_WARNING,
				     "user.max_user_namespaces is 0: pods with hostUsers: false "
				     "cannot start");
	if (strcmp(clone, "0") == 0 || strcmp(apparmor, "1") == 0)
		return kf_doctor_say(d, KF_DOCTOR_OK, "for root only");
	return kf_doctor_say(d, KF_DOCTOR_OK, "%s", "");
}

static enum kf_doctor_result check_memfd(struct kf_doctor *d)
{
	char value[512];

	first_line("/proc/sys/vm/memfd_noexec", value);
	if (strcmp(value, "2") == 0)
		return kf_doctor_say(
			d, KF_DOCTOR_ERROR,
			"vm.memfd_noexec is 2: the guard cannot hand over the launcher, "
			"sandboxed containers fail to start");
	return kf_doctor_say(d, KF_DOCTOR_OK, "vm.memfd_noexec %s", *value ? value : "not known");
}

const struct kf_doctor_check kf_doctor_kernel[] = {
	{CATEGORY, "Landlock is available", "landlock", true, check_landlock},
	{CATEGORY, "landlock is among the security modules", "lsm", true, check_lsm},
	{CATEGORY, "seccomp filters are available", "seccomp", true, check_seccomp},
	{CATEGORY, "denials can be audited", "audit", true, check_audit},
	{CATEGORY, "user namespaces are available", "user-namespaces", true, user_namespaces},
	{CATEGORY, "sealed programs in memory may run", "memfd-noexec", true, check_memfd},
	{NULL, NULL, NULL, false, NULL},
};
