/* SPDX-License-Identifier: Apache-2.0 */
/* A directory of ours in the root of a volume, where a commit makes what it then puts into its
 * place. */
#ifndef KF_REVIEW_STAGE_H
#define KF_REVIEW_STAGE_H

#include "review/internal.h"

#define KF_STAGE_NEW  "new" /* a directory */
#define KF_STAGE_OLD  "old" /* what is to be removed */
#define KF_STAGE_NAME 32

struct kf_stage {
	const struct kf_review_sides *sides;
	int dir;
	/* For each change of a file with several names: the first chosen one of them. */
	size_t *leader;
};

/* Make the directory, after removing one that an earlier commit left.  The sides and the changes
 * are borrowed. */
int kf_stage_open(const struct kf_review_sides *sides, const struct kf_review_changes *changes,
		  struct kf_stage *ret, struct kf_err *err);
int kf_stage_close(struct kf_stage *stage, struct kf_err *err);

/* The name in the directory of what change @i makes. */
void kf_stage_name(size_t i, char ret[static KF_STAGE_NAME]);
/* Whether change @i makes a file or symlink, and not another name of one. */
bool kf_stage_leads(const struct kf_stage *stage, const struct kf_review_changes *changes,
		    size_t i);
/* Make it; EBUSY if the upper side is not what was seen. */
int kf_stage_file(const struct kf_stage *stage, const struct kf_review_change *change, size_t i,
		  struct kf_err *err);
/* If change @i is another name of a file that is in its place, make that as @staged. */
int kf_stage_link(const struct kf_stage *stage, const struct kf_review_changes *changes, size_t i,
		  const char *staged, struct kf_err *err);
/* Make KF_STAGE_NEW as @change's directory, empty. */
int kf_stage_directory(const struct kf_stage *stage, const struct kf_review_change *change,
		       struct kf_err *err);
/* Give directory @fd the mode, owner and attributes of @change's. */
int kf_stage_dress(const struct kf_stage *stage, const struct kf_review_change *change, int fd,
		   struct kf_err *err);

#endif
