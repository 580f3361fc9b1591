/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_CONFINE_CONFINE_H
#define KF_CONFINE_CONFINE_H

#include "base/calls.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* How our daemons give up what they do not need, once they have what they do need:
 * a Landlock domain, no capability, no_new_privs, a seccomp filter.  The stages of each are in
 * docs/architecture.md. */

enum {
	KF_PLACE_READ = 1,    /* files and directories, and what lies below */
	KF_PLACE_WRITE = 2,   /* also make, rename and remove */
	KF_PLACE_CONNECT = 4, /* only: connect to sockets there, or that will be there */
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
	bool dns; /* of UDP the name servers' port may be asked, and no other */
};

/* What came of it, for the log. */
struct kf_confined {
	int abi;       /* of Landlock; 0: the kernel, or the container, has none */
	bool filter;   /* false: built for sanitizers or valgrind, which need other calls */
	char why[256]; /* there is no Landlock; else "" */
};

/* Confine this process, which has one thread, for good.  Landlock is left out, and *ret says
 * why, where the kernel does not have it; every other failure is one. */
int kf_confine(const struct kf_confinement *confinement, struct kf_confined *ret,
	       struct kf_err *err);

/* What every program needs: memory, signals, clocks, standard descriptors, its end. */
extern const struct kf_calls kf_libc_calls;
/* What libevent's loop needs. */
extern const struct kf_calls kf_event_calls;

#endif
