/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock for all that we confine: which rights a kernel knows, making a ruleset, adding rules,
 * entering it.  Which paths are granted is decided by the callers. */
#include "sandbox/landlock.h"

#include "base/cleanup.h"
#include "flat/flat.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's interface (Documentation/userspace-api/landlock.rst). */
#define NR_CREATE_RULESET  444
#define NR_ADD_RULE	   445
#define NR_RESTRICT_SELF   446

#define CREATE_VERSION	   1
#define RULE_PATH	   1
#define RULE_PORT	   2
#define RULE_QUIET	   1 /* ABI 10 */
#define LOG_NEW_EXEC_ON	   2 /* ABI 7 */
#define LOG_SUBDOMAINS_OFF 4
#define SCOPE_ABSTRACT	   1 /* ABI 6 */
#define SCOPE_SIGNAL	   2
#define ABI_REFER	   2
#define ABI_TRUNCATE	   3
#define ABI_IOCTL_DEV	   5
#define ABI_AUDIT	   7
#define ABI_RESOLVE_UNIX   9

#define FS_EXECUTE	   ((uint64_t)1 << 0)
#define FS_WRITE_FILE	   ((uint64_t)1 << 1)
#define FS_READ_FILE	   ((uint64_t)1 << 2)
#define FS_READ_DIR	   ((uint64_t)1 << 3)
#define FS_REMOVE_DIR	   ((uint64_t)1 << 4)
#define FS_REMOVE_FILE	   ((uint64_t)1 << 5)
#define FS_MAKE_CHAR	   ((uint64_t)1 << 6)
#define FS_MAKE_DIR	   ((uint64_t)1 << 7)
#define FS_MAKE_REG	   ((uint64_t)1 << 8)
#define FS_MAKE_SOCK	   ((uint64_t)1 << 9)
#define FS_MAKE_FIFO	   ((uint64_t)1 << 10)
#define FS_MAKE_BLOCK	   ((uint64_t)1 << 11)
#define FS_MAKE_SYM	   ((uint64_t)1 << 12)
#define FS_REFER	   ((uint64_t)1 << 13)
#define FS_TRUNCATE	   ((uint64_t)1 << 14)
#define FS_IOCTL_DEV	   ((uint64_t)1 << 15)
#define FS_RESOLVE_UNIX	   ((uint64_t)1 << 16)

/* Rights that mean something on what is not a directory; others are EINVAL there. */
#define FS_FILE \
	(FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV | FS_RESOLVE_UNIX)
/* No access of ours includes making device nodes. */
#define FS_WRITE                                                                      \
	(FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | FS_MAKE_REG | \
	 FS_MAKE_SOCK | FS_MAKE_FIFO | FS_MAKE_SYM | FS_REFER | FS_TRUNCATE | FS_RESOLVE_UNIX)

struct ruleset_attr {
	uint64_t handled_fs, handled_net, scoped;
	uint64_t quiet_fs, quiet_net, quiet_scoped;
};
/* The sizes of the struct that kernels know.  A longer one is accepted if the rest is 0, but old
 * kernels are not to depend on that. */
#define ATTR_SIZE_FS	sizeof(uint64_t)
#define ATTR_SIZE_NET	(2 * sizeof(uint64_t))
#define ATTR_SIZE_SCOPE (3 * sizeof(uint64_t))
#define ATTR_SIZE_QUIET (6 * sizeof(uint64_t))

struct path_attr {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

struct port_attr {
	uint64_t allowed, port;
};

/* All file-system rights of @abi.  Later ABIs are not used further: 8 (all threads at once) because
 * this process has one thread, and 11 (no_new_privs by the same call) because no_new_privs is set
 * before, on every kernel alike.  Neither has rights of its own. */
static uint64_t handled_fs(int abi)
{
	uint64_t all = FS_REFER - 1; /* ABI 1: EXECUTE to MAKE_SYM */

	if (abi >= ABI_REFER)
		all |= FS_REFER;
	if (abi >= ABI_TRUNCATE)
		all |= FS_TRUNCATE;
	if (abi >= ABI_IOCTL_DEV)
		all |= FS_IOCTL_DEV;
	if (abi >= ABI_RESOLVE_UNIX)
		all |= FS_RESOLVE_UNIX;
	return all;
}

uint64_t kf_landlock_rights(int abi, unsigned access, mode_t mode, enum kf_landlock_place place)
{
	const bool dev = place == KF_LANDLOCK_DEV || place == KF_LANDLOCK_DEVICE;
	uint64_t rights = 0;

	if (access & KF_FS_READ)
		rights |= FS_READ_FILE | FS_READ_DIR;
	if (access & KF_FS_EXEC)
		rights |= FS_EXECUTE;
	if (access & KF_LANDLOCK_CONNECT)
		rights |= FS_RESOLVE_UNIX;
	if (access & KF_FS_WRITE) {
		rights |= FS_WRITE;
		if (dev)
			rights |= FS_IOCTL_DEV;
	}
	if (place == KF_LANDLOCK_PROC)
		rights &= FS_FILE | FS_READ_DIR;
	if (!S_ISDIR(mode))
		rights &= FS_FILE;
	return rights & handled_fs(abi);
}

int kf_landlock_probe(int *ret, struct kf_err *err)
{
	long abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_VERSION);

	if (abi >= 1) {
		*ret = (int)abi;
		return 0;
	}
	if (abi == 0)
		return kf_fail(err, ENOSYS, "Landlock: the kernel reports version 0");
	switch (errno) {
	case ENOSYS:
		return kf_fail(
			err, ENOSYS,
			"Landlock is not in this kernel (needs Linux 5.13 built with "
			"CONFIG_SECURITY_LANDLOCK), or the container's seccomp policy hides it");
	case EOPNOTSUPP:
		return kf_fail(
			err, EOPNOTSUPP,
			"Landlock is built into this kernel but not active: add 'landlock' to "
			"lsm= on the node's kernel command line");
	case EPERM:
	case EACCES:
		return kf_fail(
			err, EPERM,
			"Landlock is refused by the container's seccomp policy: it must allow "
			"landlock_create_ruleset, landlock_add_rule and landlock_restrict_self");
	default:
		return kf_fail_sys(err, "Landlock version");
	}
}

static int check_want(const struct kf_landlock_want *want, int abi, struct kf_err *err)
{
	int needs = 0;
	const char *what = "";

	if (want->net & KF_LANDLOCK_UDP)
		needs = KF_LANDLOCK_ABI_UDP,
		what = "single UDP ports need Landlock ABI 10 (Linux 7.2)";
	else if (want->signal || want->abstract)
		needs = KF_LANDLOCK_ABI_SCOPE, what = "scopes need Landlock ABI 6 (Linux 6.12)";
	else if (want->net)
		needs = KF_LANDLOCK_ABI_NET, what = "single ports need Landlock ABI 4 (Linux 6.7)";
	return abi >= needs ? 0 : kf_fail(err, EOPNOTSUPP, "%s; this kernel has ABI %d", what, abi);
}

static unsigned handled_net(int abi)
{
	return (abi >= KF_LANDLOCK_ABI_NET ? KF_LANDLOCK_TCP : 0) |
	       (abi >= KF_LANDLOCK_ABI_UDP ? KF_LANDLOCK_UDP : 0);
}

int kf_landlock_open(const struct kf_landlock_want *want, struct kf_landlock *ret,
		     struct kf_err *err)
{
	struct ruleset_attr attr = {0};
	size_t size = ATTR_SIZE_FS;
	int abi;
	long fd;

	if (kf_landlock_probe(&abi, err) < 0 || check_want(want, abi, err) < 0)
		return -1;
	attr.handled_fs = handled_fs(abi);
	if (abi >= KF_LANDLOCK_ABI_NET)
		size = ATTR_SIZE_NET;
	if (abi >= KF_LANDLOCK_ABI_SCOPE)
		size = ATTR_SIZE_SCOPE;
	attr.handled_net = want->block ? handled_net(abi) : want->net;
	attr.scoped =
		(want->abstract || (want->block && size == ATTR_SIZE_SCOPE) ? SCOPE_ABSTRACT : 0) |
		(want->signal ? SCOPE_SIGNAL : 0);
	if (want->quiet && abi >= KF_LANDLOCK_ABI_QUIET) {
		attr.quiet_fs = attr.handled_fs;
		size = ATTR_SIZE_QUIET;
	}
	fd = syscall(NR_CREATE_RULESET, &attr, size, 0);
	if (fd < 0)
		return kf_fail_sys(err, "create Landlock ruleset (ABI %d)", abi);
	*ret = (struct kf_landlock){
		.fd = (int)fd, .abi = abi, .fs = attr.handled_fs, .quiet = attr.quiet_fs};
	return 0;
}

/* 0, or -1 with errno. */
static int add_path(const struct kf_landlock *ll, int fd, uint64_t rights)
{
	const struct path_attr attr = {.allowed = rights, .fd = fd};

	if (!rights || syscall(NR_ADD_RULE, ll->fd, RULE_PATH, &attr, 0) == 0)
		return 0;
	/* A pipe or socket, such as behind /dev/stdout, has no path, so Landlock does not restrict
	 * it. */
	return errno == EBADFD ? 0 : -1;
}

static bool is_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode));
}

int kf_landlock_allow(const struct kf_landlock *ll, int fd, enum kf_landlock_place place,
		      unsigned access, struct kf_err *err)
{
	mode_t mode = place == KF_LANDLOCK_DEVICE ? S_IFCHR : S_IFDIR;
	int r = add_path(ll, fd, kf_landlock_rights(ll->abi, access, mode, place));

	/* If the object is not a directory, the kernel refuses rights of directories with EINVAL.
	 */
	if (r < 0 && errno == EINVAL && S_ISDIR(mode)) {
		if (place == KF_LANDLOCK_ELSEWHERE && is_device(fd))
			place = KF_LANDLOCK_DEVICE;
		r = add_path(ll, fd, kf_landlock_rights(ll->abi, access, S_IFREG, place));
	}
	return r < 0 ? kf_fail_sys(err, "add Landlock rule") : 0;
}

int kf_landlock_allow_list(const struct kf_landlock *ll, int fd, struct kf_err *err)
{
	return add_path(ll, fd, FS_READ_DIR) < 0 ? kf_fail_sys(err, "add Landlock rule") : 0;
}

int kf_landlock_allow_unix(const struct kf_landlock *ll, int fd, struct kf_err *err)
{
	return add_path(ll, fd, FS_RESOLVE_UNIX & ll->fs) < 0
		       ? kf_fail_sys(err, "add Landlock rule")
		       : 0;
}

int kf_landlock_quiet(const struct kf_landlock *ll, int fd, struct kf_err *err)
{
	const struct path_attr attr = {.fd = fd};

	if (!ll->quiet || syscall(NR_ADD_RULE, ll->fd, RULE_PATH, &attr, RULE_QUIET) == 0 ||
	    errno == EBADFD)
		return 0;
	return kf_fail_sys(err, "add quiet Landlock rule");
}

int kf_landlock_allow_port(const struct kf_landlock *ll, enum kf_landlock_net net, uint16_t port,
			   struct kf_err *err)
{
	const struct port_attr attr = {.allowed = net, .port = port};

	if (syscall(NR_ADD_RULE, ll->fd, RULE_PORT, &attr, 0) < 0)
		return kf_fail_sys(err, "add Landlock rule for port %u", port);
	return 0;
}

int kf_landlock_enforce(const struct kf_landlock *ll, struct kf_err *err)
{
	/* What programs refuse themselves, in sandboxes of their own, is theirs to know: the log is
	 * about ours, and is not to be filled by them. */
	const unsigned flags = ll->abi >= ABI_AUDIT ? LOG_NEW_EXEC_ON | LOG_SUBDOMAINS_OFF : 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) < 0)
		return kf_fail_sys(err, "set no_new_privs");
	if (syscall(NR_RESTRICT_SELF, ll->fd, flags) == 0)
		return 0;
	if (errno == E2BIG)
		return kf_fail(err, E2BIG,
			       "this process is already inside 16 sandboxes, the most Landlock can "
			       "stack: something calls 'nono wrap' from inside itself");
	return kf_fail_sys(err, "enter the Landlock sandbox");
}
