/* SPDX-License-Identifier: Apache-2.0 */
/* Says what a profile may be called. */
#include "flat/name.h"

#include "base/limits.h"

#include <string.h>

bool kf_profile_name_valid(const char *name)
{
	static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_-";
	size_t n = strlen(name);

	return n >= 1 && n <= KF_LIMIT_PROFILE_NAME && name[0] != '_' && name[0] != '-' &&
	       strspn(name, alnum) == n;
}
