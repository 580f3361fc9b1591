/* SPDX-License-Identifier: Apache-2.0 */
/* Structures that a program and the library hand to one another, of which either may have been
 * built with a header that knows fewer members.  Members are only ever added at the end, and 0
 * is what a member that is not known means. */
#ifndef KF_NRI_SIZED_H
#define KF_NRI_SIZED_H

#include <nri/nri.h>

/* Copy what both sizes have of @from to @to; what only @to has becomes 0. */
void nri_sized_copy(void *to, size_t to_size, const void *from, size_t from_size);
/* The same for what a program asks of us: fails if it sets a member that is not known here, as
 * what it asks for would not happen.  @name is the structure's. */
int nri_sized_take(void *to, size_t to_size, const void *from, size_t from_size, const char *name,
		   struct nri_error *err);

#endif
