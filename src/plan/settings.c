/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a node's settings: whether a handler is in scope, and which profile has a name.  The
 * settings are read by config/. */
#include "plan/settings.h"

#include <string.h>

bool kf_settings_in_scope(const struct kf_settings *settings, const char *handler)
{
	for (size_t i = 0; i < settings->nhandlers; i++)
		if (strcmp(settings->handlers[i], handler) == 0)
			return true;
	return false;
}

const struct kf_profile_info *kf_settings_profile(const struct kf_settings *settings,
						  const char *name)
{
	for (size_t i = 0; i < settings->nprofiles; i++)
		if (strcmp(settings->profiles[i].name, name) == 0)
			return &settings->profiles[i];
	return NULL;
}
