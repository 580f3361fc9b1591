/* SPDX-License-Identifier: Apache-2.0 */
/* Structures whose size a program tells, and the version of the library that it runs with. */
#include "nri/sized.h"

#include <string.h>

void nri_sized_copy(void *to, size_t to_size, const void *from, size_t from_size)
{
	const size_t n = to_size < from_size ? to_size : from_size;

	memcpy(to, from, n);
	memset((char *)to + n, 0, to_size - n);
}

int nri_sized_take(void *to, size_t to_size, const void *from, size_t from_size, const char *name,
		   struct nri_error *err)
{
	for (size_t i = to_size; i < from_size; i++)
		if (((const unsigned char *)from)[i])
			return nri_fail(err, NRI_UNIMPLEMENTED,
					"struct %s: a member is set that libnri %s does not know; "
					"this program needs the release that it was built with",
					name, nri_version());
	nri_sized_copy(to, to_size, from, from_size);
	return 0;
}

const char *nri_version(void)
{
	return NRI_VERSION;
}
