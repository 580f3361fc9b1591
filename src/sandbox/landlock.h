/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SANDBOX_LANDLOCK_H
#define KF_SANDBOX_LANDLOCK_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A Landlock ruleset under construction, for the ABI that this kernel has.
 * Our own definitions: no header of the build machine decides what is handled. */
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
	KF_LANDLOCK_SEND_UDP = 8, /* connecting is no more than naming whom one sends to */
	KF_LANDLOCK_TCP = KF_LANDLOCK_BIND_TCP | KF_LANDLOCK_CONNECT_TCP,
	KF_LANDLOCK_UDP = KF_LANDLOCK_BIND_UDP | KF_LANDLOCK_SEND_UDP,
};

/* What a ruleset restricts besides the file system, which it always does completely. */
struct kf_landlock_want {
	unsigned net; /* enum kf_landlock_net: only ports with a rule remain */
	bool signal, abstract;
	/* No network: of all of that, but of signals, what the kernel can.  That no socket is made
	 * is seccomp's; this is about sockets that are received, and abstract ones outside. */
	bool block;
	bool quiet; /* kf_landlock_quiet() is called; no effect where the kernel cannot */
};

/* First ABI that has what; below it the request is an error, not a silent nothing. */
#define KF_LANDLOCK_ABI_NET   4
#define KF_LANDLOCK_ABI_SCOPE 6
#define KF_LANDLOCK_ABI_UDP   10
#define KF_LANDLOCK_ABI_QUIET 10
/* Newest ABI that is known here, whose every right and scope is handled.  A newer kernel does
 * what it does for programs of that ABI; what it could do more is not asked for. */
#define KF_LANDLOCK_ABI_MAX   11

/* ABI version of the kernel in *ret, or an error that says why there is none. */
int kf_landlock_probe(int *ret, struct kf_err *err);

/* Start a ruleset; the descriptor is close-on-exec.  *err names what this
 * kernel lacks of @want. */
int kf_landlock_open(const struct kf_landlock_want *want, struct kf_landlock *ret,
		     struct kf_err *err);

/* Where an object lies. */
enum kf_landlock_place {
	KF_LANDLOCK_ELSEWHERE,
	KF_LANDLOCK_DEV,    /* it is, or lies under, /dev: write includes ioctl() on devices */
	KF_LANDLOCK_DEVICE, /* the same, and known to be no directory: saves a system call */
	KF_LANDLOCK_PROC,   /* it is, or lies under, /proc: nothing can be made or removed there */
};

/* Beside KF_FS_* bits: connect to the sockets there, as writing includes. */
#define KF_LANDLOCK_CONNECT 16u

/* Grant @access (KF_FS_* bits of policy/flat.h, KF_LANDLOCK_CONNECT) on the object that
 * descriptor @fd stands for, and for a directory all below it; a device node is one wherever it
 * lies.  Objects that no path leads to (pipes) are left alone. */
int kf_landlock_allow(const struct kf_landlock *ll, int fd, enum kf_landlock_place place,
		      unsigned access, struct kf_err *err);
/* Grant listing the directory @fd and those below it, not their files' contents. */
int kf_landlock_allow_list(const struct kf_landlock *ll, int fd, struct kf_err *err);
/* Grant connecting to the sockets below the directory @fd, which older kernels do not restrict. */
int kf_landlock_allow_unix(const struct kf_landlock *ll, int fd, struct kf_err *err);
/* Leave out of the audit log what is refused on the object @fd and below. */
int kf_landlock_quiet(const struct kf_landlock *ll, int fd, struct kf_err *err);
/* Grant @net on @port, which kf_landlock_open() was to restrict. */
int kf_landlock_allow_port(const struct kf_landlock *ll, enum kf_landlock_net net, uint16_t port,
			   struct kf_err *err);

/* Put this thread into the sandbox, for good.  Sets no_new_privs.  Denials after
 * the next execve are audited where the kernel can. */
int kf_landlock_enforce(const struct kf_landlock *ll, struct kf_err *err);

/* Rights for @access on an object of type @mode at @place under @abi; exposed for tests. */
uint64_t kf_landlock_rights(int abi, unsigned access, mode_t mode, enum kf_landlock_place place);

#endif
