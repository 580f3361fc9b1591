/* SPDX-License-Identifier: Apache-2.0 */
/* How far versions of our programs are from one another. */
#ifndef KF_BASE_VERSION_H
#define KF_BASE_VERSION_H

enum kf_apart {
	KF_APART_NOT, /* the same, but for the last number */
	KF_APART_ONE, /* neighbours: they work together while a node or a cluster is upgraded */
	KF_APART_FAR, /* nobody has tried them together; or a text that is no version of ours */
};

/* @a and @b are "MAJOR.MINOR.PATCH", with whatever behind the last number. */
enum kf_apart kf_version_apart(const char *a, const char *b);

#endif
