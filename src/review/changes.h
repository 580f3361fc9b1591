/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod has changed in a reviewed volume, as a list, and carrying it out. */
#ifndef KF_REVIEW_CHANGES_H
#define KF_REVIEW_CHANGES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* Changes of one volume, and all of them together as text: far more than anybody reads, and an end.
 */
#define KF_REVIEW_CHANGES_MAX 1000000
#define KF_REVIEW_TEXT_MAX    (256 * 1024 * 1024)

enum kf_review_kind {
	KF_REVIEW_ADDED,
	KF_REVIEW_CONTENT,  /* of a file or symlink */
	KF_REVIEW_METADATA, /* mode, owner, times, attributes, links */
	KF_REVIEW_TYPE,	    /* something of another type is there now */
	KF_REVIEW_REMOVED,  /* and all below */
	KF_REVIEW_REFUSED,  /* is never committed; @why */
};

struct kf_review_change {
	char *path; /* below the volume's root; as the container named it, any bytes but NUL */
	enum kf_review_kind kind;
	const char *why;       /* KF_REVIEW_REFUSED */
	bool control;	       /* others execute or obey what it says */
	bool privilege;	       /* the new file has a set-ID bit or capabilities */
	mode_t mode, old_mode; /* with the type; 0: not there */
	uid_t uid, old_uid;
	gid_t gid, old_gid;
	unsigned long long size, ino; /* of the new one */
	unsigned long links;
	char content[KF_SHA256_HEX + 1];    /* of a file's data or a symlink's target */
	char attributes[KF_SHA256_HEX + 1]; /* of extended attributes */
	bool chosen;			    /* for kf_review_apply() */
};

struct kf_review_changes {
	struct kf_review_change *v; /* sorted by path, so that parents come first */
	size_t n, cap;
	char sum[KF_SHA256_HEX + 1]; /* over all of them, times left out */
};

/* The two sides, and how to look at them. */
struct kf_review_sides {
	int upper, lower;     /* directories */
	bool keep_privilege;  /* set-ID bits of files and their capabilities are committed */
	const char *reserved; /* a name in the root that is ours while we commit */
};

/* List what differs.  A symlink is never followed and no mount is entered.  *ret is the caller's to
 * release, and empty on failure. */
int kf_review_scan(const struct kf_review_sides *sides, struct kf_review_changes *ret,
		   struct kf_err *err);
void kf_review_changes_done(struct kf_review_changes *changes);

/* Whether others - people, editors, agents, build machines - execute or obey the file @path. */
bool kf_review_is_control(const char *path);

/* Choose the changes at @path and below, "" for all, with the directories that they need;
 * false if there are none. */
bool kf_review_choose(struct kf_review_changes *changes, const char *path);

/* Make the lower side like the upper one where that is chosen.  Each file is replaced at once, when
 * its data is on disk.  The upper side stays as it is, but for a mark ("opaque") on directories
 * that are new in the lower one.  Whatever ends it in the middle, the same call finishes it. */
int kf_review_apply(const struct kf_review_sides *sides, const struct kf_review_changes *changes,
		    struct kf_err *err);

#endif
