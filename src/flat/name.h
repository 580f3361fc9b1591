/* SPDX-License-Identifier: Apache-2.0 */
/* Names of profiles. */
#ifndef KF_FLAT_NAME_H
#define KF_FLAT_NAME_H

#include <stdbool.h>

/* Limit and syntax: ^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$, the configuration
 * reference's rule for profile names everywhere. */
bool kf_profile_name_valid(const char *name);

#endif
