/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_CONFINE_CONFINE_H
#define KF_CONFINE_CONFINE_H

#include "base/calls.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* How our daemons give up the rights that they do not need, once they hold what they do need: with
 * a Landlock domain, without capabilities, with no_new_privs and a seccomp filter.
 * docs/architecture.md lists the stages. */

enum {
	KF_PLACE_READ = 1,    /* files and directories, and what lies below */
	KF_PLACE_WRITE = 2,   /* also make, rename and remove */
	KF_PLACE_CONNECT = 4, /* only connecting to sockets there, also to later ones */
	KF_PLACE_EXECUTE = 8, /* start the program there */
};

struct kf_place {
	const char *path; /* NULL: none; what does not exist is not granted */
	unsigned access;
};

struct kf_confinement {
	const struct kf_calls *const *calls;
	size_t ncalls;
	const struct kf_place *places;
	size_t nplaces;
	/* TCP ports that may be connected to; none may be bound. */
	const uint16_t *ports;
	size_t nports;
	/* Ports that UDP may go to: name servers'. */
	const uint16_t *udp_ports;
	size_t nudp_ports;
	/* For a daemon that makes sockets for others: Landlock restricts no network. */
	bool network;
	/* The capabilities that stay, a bit for each. */
	uint64_t capabilities;
};

/* The result, for the log. */
struct kf_confined {
	int abi;       /* of Landlock; 0: the kernel, or the container, has none */
	bool filter;   /* false: built for sanitizers or valgrind, which need other calls */
	char why[256]; /* why there is no Landlock; "" if there is */
};

/* Confine this process, which has one thread, for good.  If the kernel has no Landlock, that part
 * is left out and *ret says why; every other failure is an error. */
int kf_confine(const struct kf_confinement *confinement, struct kf_confined *ret,
	       struct kf_err *err);

/* Empty the bounding set of capabilities, if this process may.  kf_confine() does it, too; a
 * process that becomes another user before has to do it as root. */
int kf_confine_bounds(struct kf_err *err);
/* Give up all capabilities but those of @keep, a bit for each: now, and as far as this process may
 * empty its bounding set, for what it executes. */
int kf_confine_capabilities(uint64_t keep, struct kf_err *err);

/* The system calls that every program needs: memory, signals, clocks, standard descriptors, exit.
 */
extern const struct kf_calls kf_libc_calls;
/* The system calls of libevent's loop. */
extern const struct kf_calls kf_event_calls;

#endif
