/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing the versions of two programs of ours. */
#include "base/version.h"

#include <stdbool.h>
#include <stdlib.h>

/* As many digits as a number of a version may have. */
#define NUMBER_MAX 9999

/* Read "N." at *@at, and go behind it. */
static bool read_number(const char **at, long *ret)
{
	char *end;

	if (**at < '0' || **at > '9')
		return false;
	*ret = strtol(*at, &end, 10);
	if (*end != '.' || *ret > NUMBER_MAX)
		return false;
	*at = end + 1;
	return true;
}

enum kf_apart kf_version_apart(const char *a, const char *b)
{
	long major_a, major_b, minor_a, minor_b, apart;

	if (!read_number(&a, &major_a) || !read_number(&a, &minor_a) ||
	    !read_number(&b, &major_b) || !read_number(&b, &minor_b) || major_a != major_b)
		return KF_APART_FAR;
	apart = minor_a > minor_b ? minor_a - minor_b : minor_b - minor_a;
	return apart == 0 ? KF_APART_NOT : apart == 1 ? KF_APART_ONE : KF_APART_FAR;
}
