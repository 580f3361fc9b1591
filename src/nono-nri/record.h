/* SPDX-License-Identifier: Apache-2.0 */
/* What the plugin remembers of a container of ours: until its state entry is written and, where
 * only the guard tells of its end, until then. */
#ifndef KF_NONO_NRI_RECORD_H
#define KF_NONO_NRI_RECORD_H

#include "nono-nri/plugin.h"

/* Hexadecimal digits of the name that the guard's record of a container has. */
#define KF_GUARD_NAME 64

/* The strings lie behind it. */
struct kf_life {
	struct kf_life *next;
	struct kf_state_entry entry;
	bool written;		       /* the entry was there already */
	char guard[KF_GUARD_NAME + 1]; /* name of the guard's record; "": not seen yet */
	char strings[];
};

#endif
