/* SPDX-License-Identifier: Apache-2.0 */
/* How a daemon gives up its rights: Landlock, capabilities, seccomp, in this order.  What a daemon
 * still needs is said by itself; the seccomp program is made in filter.c. */
#include "confine/confine.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "confine/filter.h"
#include "flat/flat.h"
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Landlock ---- */

/* Open @path, or the nearest directory above it that exists. */
static int open_nearest(const char *path)
{
	char at[PATH_MAX];
	int fd;

	(void)snprintf(at, sizeof(at), "%s", path);
	while ((fd = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0 && errno == ENOENT) {
		char *slash = strrchr(at, '/');

		if (!slash || !at[1])
			break;
		slash[slash == at] = '\0';
	}
	return fd;
}

static int allow_place(const struct kf_landlock *ll, const struct kf_place *place,
		       struct kf_err *err)
{
	const bool connect = place->access & KF_PLACE_CONNECT;
	KF_CLOSE int fd =
		connect ? open_nearest(place->path) : open(place->path, O_PATH | O_CLOEXEC);
	unsigned access = (place->access & KF_PLACE_READ ? KF_FS_READ : 0) |
			  (place->access & KF_PLACE_WRITE ? KF_FS_WRITE : 0) |
			  (place->access & KF_PLACE_EXECUTE ? KF_FS_EXEC : 0);

	/* Nothing is granted for a path that does not exist. */
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return kf_fail_sys(err, "confine to '%s'", place->path);
	if (connect ? kf_landlock_allow_unix(ll, fd, err) < 0
		    : kf_landlock_allow(ll, fd, KF_LANDLOCK_ELSEWHERE, access, err) < 0)
		return kf_fail_wrap(err, "confine to '%s'", place->path);
	return 0;
}

static int fill_ruleset(const struct kf_landlock *ll, const struct kf_confinement *c,
			struct kf_err *err)
{
	for (size_t i = 0; i < c->nplaces; i++)
		if (c->places[i].path && allow_place(ll, &c->places[i], err) < 0)
			return -1;
	/* A socket that asks gets a port of its own, as if it had bound port 0. */
	if (c->nudp_ports && ll->abi >= KF_LANDLOCK_ABI_UDP &&
	    kf_landlock_allow_port(ll, KF_LANDLOCK_BIND_UDP, 0, err) < 0)
		return -1;
	for (size_t i = 0; ll->abi >= KF_LANDLOCK_ABI_UDP && i < c->nudp_ports; i++)
		if (kf_landlock_allow_port(ll, KF_LANDLOCK_SEND_UDP, c->udp_ports[i], err) < 0)
			return -1;
	for (size_t i = 0; ll->abi >= KF_LANDLOCK_ABI_NET && i < c->nports; i++)
		if (kf_landlock_allow_port(ll, KF_LANDLOCK_CONNECT_TCP, c->ports[i], err) < 0)
			return -1;
	return 0;
}

/* The three errors that mean that Landlock is not available.  The log says so, but the daemon works
 * without it. */
static bool is_absent(int code)
{
	return code == ENOSYS || code == EOPNOTSUPP || code == EPERM;
}

static int enter_domain(const struct kf_confinement *c, struct kf_confined *ret, struct kf_err *err)
{
	struct kf_landlock_want want = {0};
	struct kf_landlock ll;
	int r;

	if (kf_landlock_probe(&ret->abi, err) < 0) {
		ret->abi = 0;
		if (!is_absent(err->code))
			return -1;
		(void)snprintf(ret->why, sizeof(ret->why), "%s", err->msg);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) < 0)
			return kf_fail_sys(err, "set no_new_privs");
		return 0;
	}
	want.block = !c->network;
	want.signal = ret->abi >= KF_LANDLOCK_ABI_SCOPE;
	if (kf_landlock_open(&want, &ll, err) < 0)
		return -1;
	r = fill_ruleset(&ll, c, err) < 0 || kf_landlock_enforce(&ll, err) < 0 ? -1 : 0;
	(void)close(ll.fd);
	return r;
}

/* ---- capabilities ---- */

static int drop_bounds(uint64_t keep, struct kf_err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return kf_fail_sys(err, "read the capabilities");
	/* Without CAP_SETPCAP the bounding set stays as the container runtime made it:
	 * no_new_privs keeps its capabilities from coming back. */
	if (data[0].effective & 1U << CAP_SETPCAP)
		for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0UL, 0UL, 0UL) >= 0; cap++)
			if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0UL, 0UL, 0UL) < 0)
				return kf_fail_sys(err, "drop capability %lu from the bounding set",
						   cap);
	return 0;
}

int kf_confine_bounds(struct kf_err *err)
{
	return drop_bounds(0, err);
}

int kf_confine_capabilities(uint64_t keep, struct kf_err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (drop_bounds(keep, err) < 0)
		return -1;
	if (syscall(SYS_capget, &header, data) < 0)
		return kf_fail_sys(err, "read the capabilities");
	for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		const uint32_t part = (uint32_t)(keep >> (32 * i));

		data[i].permitted &= part;
		data[i].effective &= part;
		data[i].inheritable = 0;
	}
	if (prctl(PR_CAP_AMBIENT, (unsigned long)PR_CAP_AMBIENT_CLEAR_ALL, 0UL, 0UL, 0UL) < 0)
		return kf_fail_sys(err, "drop the ambient capabilities");
	if (syscall(SYS_capset, &header, data) < 0)
		return kf_fail_sys(err, "drop the capabilities");
	return 0;
}

/* ---- */

int kf_confine(const struct kf_confinement *confinement, struct kf_confined *ret,
	       struct kf_err *err)
{
	struct kf_confined out = {.filter = KF_CONFINE_FILTER};

	if (enter_domain(confinement, &out, err) < 0 ||
	    kf_confine_capabilities(confinement->capabilities, err) < 0)
		return -1;
	/* The filter comes last, since it forbids the calls that the other steps need. */
	if (out.filter && kf_confine_filter(confinement->calls, confinement->ncalls, err) < 0)
		return -1;
	*ret = out;
	return 0;
}
