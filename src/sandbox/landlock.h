/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SANDBOX_LANDLOCK_H
#define KF_SANDBOX_LANDLOCK_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A Landlock ruleset while it is made, for the ABI of this kernel.  All definitions are our own, so
 * headers of the build machine do not decide which rights are handled. */
struct kf_landlock {
	int fd;
	int abi;
	uint64_t fs; /* file-system rights this ruleset denies unless a rule grants them */
	bool quiet;  /* kf_landlock_quiet() has an effect */
};

/* What can be done with a port, bits; the kernel's own. */
enum kf_landlock_net {
	KF_LANDLOCK_BIND_TCP = 1,
	KF_LANDLOCK_CONNECT_TCP = 2,
	KF_LANDLOCK_BIND_UDP = 4,
	KF_LANDLOCK_SEND_UDP = 8, /* connecting only sets the address to send to */
	KF_LANDLOCK_TCP = KF_LANDLOCK_BIND_TCP | KF_LANDLOCK_CONNECT_TCP,
	KF_LANDLOCK_UDP = KF_LANDLOCK_BIND_UDP | KF_LANDLOCK_SEND_UDP,
};

/* What a ruleset restricts besides the file system, which it always does completely. */
struct kf_landlock_want {
	unsigned net; /* enum kf_landlock_net: only ports with a rule remain */
	bool signal, abstract;
	/* No network: restrict all of the above, except signals, as far as the kernel can.  Seccomp
	 * keeps new sockets from being made; this is for sockets that are received from others, and
	 * for abstract ones outside. */
	bool block;
	bool quiet; /* kf_landlock_quiet() will be called; no effect if the kernel cannot do it */
};

/* The first ABI with each feature; on an older one asking for it is an error, so that it is never
 * silently missing. */
#define KF_LANDLOCK_ABI_NET   4
#define KF_LANDLOCK_ABI_SCOPE 6
#define KF_LANDLOCK_ABI_UDP   10
#define KF_LANDLOCK_ABI_QUIET 10
/* The newest ABI that is known here; all its rights and scopes are handled.  A newer kernel behaves
 * as that ABI for us, and its new features are not asked for. */
#define KF_LANDLOCK_ABI_MAX   11

/* ABI version of the kernel in *ret, or an error that says why there is none. */
int kf_landlock_probe(int *ret, struct kf_err *err);

/* Start a ruleset; the descriptor is close-on-exec.  *err names what this
 * kernel lacks of @want. */
int kf_landlock_open(const struct kf_landlock_want *want, struct kf_landlock *ret,
		     struct kf_err *err);

/* Where an object is. */
enum kf_landlock_place {
	KF_LANDLOCK_ELSEWHERE,
	KF_LANDLOCK_DEV,    /* it is, or lies under, /dev: write includes ioctl() on devices */
	KF_LANDLOCK_DEVICE, /* the same, and known to be no directory: saves a system call */
	KF_LANDLOCK_PROC,   /* it is, or lies under, /proc: nothing can be made or removed there */
};

/* A bit beside KF_FS_*: connect to the sockets there, which writing includes. */
#define KF_LANDLOCK_CONNECT 16u

/* Grant @access (KF_FS_* bits of flat/flat.h, KF_LANDLOCK_CONNECT) on the object of descriptor @fd
 * and, if it is a directory, on everything below it.  A device node counts as one wherever it is.
 * Objects without a path (pipes) are left alone. */
int kf_landlock_allow(const struct kf_landlock *ll, int fd, enum kf_landlock_place place,
		      unsigned access, struct kf_err *err);
/* Grant listing the directory @fd and those below it, not their files' contents. */
int kf_landlock_allow_list(const struct kf_landlock *ll, int fd, struct kf_err *err);
/* Grant connecting to the sockets below the directory @fd, which older kernels do not restrict. */
int kf_landlock_allow_unix(const struct kf_landlock *ll, int fd, struct kf_err *err);
/* Keep refusals on the object @fd and below it out of the audit log. */
int kf_landlock_quiet(const struct kf_landlock *ll, int fd, struct kf_err *err);
/* Grant @net on @port; kf_landlock_open() must have restricted it. */
int kf_landlock_allow_port(const struct kf_landlock *ll, enum kf_landlock_net net, uint16_t port,
			   struct kf_err *err);

/* Put this thread into the sandbox, for good.  Sets no_new_privs.  Denials after
 * the next execve are audited where the kernel can. */
int kf_landlock_enforce(const struct kf_landlock *ll, struct kf_err *err);

/* Rights for @access on an object of type @mode at @place under @abi; exposed for tests. */
uint64_t kf_landlock_rights(int abi, unsigned access, mode_t mode, enum kf_landlock_place place);

#endif
