/* SPDX-License-Identifier: Apache-2.0 */
/* What holds the changes to a reviewed volume: making it with a limit, emptying and removing it. */
#ifndef KF_REVIEW_STORE_H
#define KF_REVIEW_STORE_H

#include "base/err.h"

#include <stdbool.h>

/* Make "store" in @dirfd with "upper" and "work" in it, unless it is there: it holds at most @size
 * MiB.  The new root of the volume has mode and owner of @lower. */
int kf_review_store_make(int dirfd, unsigned size, int lower, struct kf_err *err);

/* Remove "store" and all else in @dirfd. */
int kf_review_store_remove(int dirfd, struct kf_err *err);

/* Put an empty "upper" in the place of the one in @dirfd, at once. */
int kf_review_store_empty(int dirfd, int lower, struct kf_err *err);

/* Whether "upper" has an entry. */
int kf_review_store_used(int dirfd, bool *ret, struct kf_err *err);

/* Remove @name in @at; if it is a directory with all that is in it, however deep.  No mount is
 * crossed: one is an error. */
int kf_review_remove(int at, const char *name, struct kf_err *err);

#endif
