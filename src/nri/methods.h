/* SPDX-License-Identifier: Apache-2.0 */
/* NRI's events as calls of the plugin's service. */
#ifndef KF_NRI_METHODS_H
#define KF_NRI_METHODS_H

#include <nri/nri.h>

/* Method of its own for @event; NULL if there is no such event. */
const char *nri_event_method(Nri__Event event);
/* Whether releases before 0.12 tell @event through StateChange. */
bool nri_event_is_state_change(Nri__Event event);

#endif
