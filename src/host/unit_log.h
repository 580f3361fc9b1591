/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's messages in the journal of systemd. */
#ifndef KF_HOST_UNIT_LOG_H
#define KF_HOST_UNIT_LOG_H

#include "host/distro.h"

#define KF_UNIT_LINE 400

/* The last line with @needle that the runtime's units have logged since the machine started.  It is
 * whole if it fits into @line.  False if there is none, or no journal that can be read. */
bool kf_unit_logged(const struct kf_host_runtime *rt, const char *needle,
		    char line[static KF_UNIT_LINE]);

#endif
