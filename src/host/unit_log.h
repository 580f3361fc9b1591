/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime wrote to the journal of systemd. */
#ifndef KF_HOST_UNIT_LOG_H
#define KF_HOST_UNIT_LOG_H

#include "host/distro.h"

#define KF_UNIT_LINE 400

/* The last line of the runtime's units since the machine started that has @needle in it, as a whole
 * if it fits into @line; false if there is none, or no journal that can be read. */
bool kf_unit_logged(const struct kf_host_runtime *rt, const char *needle,
		    char line[static KF_UNIT_LINE]);

#endif
