/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a node's settings: whether a handler is in scope, which profile has a name, and
 * which ones the pods of a namespace get and may name.  The settings are read by config/. */
#include "plan/settings.h"

#include <stdio.h>
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

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789"

/* Names of namespaces are DNS labels. */
static bool is_namespace(const char *s, size_t n)
{
	return n >= 1 && n <= 63 && strspn(s, LOWER "-") >= n && s[0] != '-' && s[n - 1] != '-';
}

static bool is_profile(const char *s, size_t n)
{
	char name[KF_LIMIT_PROFILE_NAME + 1];

	if (n >= sizeof(name))
		return false;
	memcpy(name, s, n);
	name[n] = '\0';
	return kf_profile_name_valid(name);
}

bool kf_settings_namespace_valid(const char *text)
{
	size_t n = strcspn(text, " ");
	const char *at = text + n;

	if (strlen(text) > KF_SETTINGS_NAMESPACE || !is_namespace(text, n) || *at++ != ' ')
		return false;
	n = strcspn(at, " ");
	if (!is_profile(at, n) && !(n == 1 && *at == '-'))
		return false;
	at += n;
	if (*at++ != ' ')
		return false;
	if (strcmp(at, "-") == 0)
		return true;
	for (;; at += n + 1) {
		n = strcspn(at, ",");
		if (!is_profile(at, n))
			return false;
		if (!at[n])
			return true;
	}
}

/* The text of @namespace_, behind its name; NULL if it has none. */
static const char *find_namespace(const struct kf_settings *settings, const char *namespace_)
{
	const size_t n = strlen(namespace_);

	for (size_t i = 0; n && i < settings->nnamespaces; i++)
		if (strncmp(settings->namespaces[i], namespace_, n) == 0 &&
		    settings->namespaces[i][n] == ' ')
			return settings->namespaces[i] + n + 1;
	return NULL;
}

const char *kf_settings_default(const struct kf_settings *settings, const char *namespace_,
				char buf[static KF_LIMIT_PROFILE_NAME + 1])
{
	const char *own = find_namespace(settings, namespace_);

	if (!own || *own == '-')
		return settings->default_profile;
	(void)snprintf(buf, KF_LIMIT_PROFILE_NAME + 1, "%.*s", (int)strcspn(own, " "), own);
	return buf;
}

bool kf_settings_allows(const struct kf_settings *settings, const char *namespace_,
			const char *profile)
{
	const char *own = find_namespace(settings, namespace_), *list;
	char buf[KF_LIMIT_PROFILE_NAME + 1];

	if (strcmp(profile, kf_settings_default(settings, namespace_, buf)) == 0)
		return true;
	list = own ? own + strcspn(own, " ") + 1 : "-";
	if (*list != '-') {
		for (size_t n = strlen(profile);; list++) {
			if (strncmp(list, profile, n) == 0 && (list[n] == ',' || !list[n]))
				return true;
			list += strcspn(list, ",");
			if (!*list)
				return false;
		}
	}
	for (size_t i = 0; i < settings->nallowed_profiles; i++)
		if (strcmp(settings->allowed_profiles[i], profile) == 0)
			return true;
	return !settings->nallowed_profiles;
}
