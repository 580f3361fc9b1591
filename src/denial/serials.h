/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_DENIAL_SERIALS_H
#define KF_DENIAL_SERIALS_H

#include <stdbool.h>
#include <stdint.h>

/* The numbers of the audit log's events: each event has one, and they follow each other; of those
 * that are at work at the same time a later one may come first.  What is missing when the window
 * has moved on was lost on the way. */
#define KF_SERIALS_WINDOW 4096

struct kf_serials {
	bool started;
	uint64_t first; /* of the window */
	uint64_t seen[KF_SERIALS_WINDOW / 64];
};

/* Note @serial.  Returns how many events are now known to be lost, beyond those already told. */
uint64_t kf_serials_note(struct kf_serials *serials, uint64_t serial);

#endif
