/* SPDX-License-Identifier: Apache-2.0 */
/* Where "kubefence denials" keeps what was denied, for the programs of this node that show it. */
#ifndef KF_CONFIG_DENIALS_H
#define KF_CONFIG_DENIALS_H

#define KF_DENIALS_DIR	 "/run/kubefence/denials"
/* The last denials, one JSON object a line, and those before them; each at most so long. */
#define KF_DENIALS_LOG	 "log"
#define KF_DENIALS_OLD	 "log.1"
#define KF_DENIALS_SIZE	 ((size_t)4 * 1024 * 1024)
/* Whose the kernel's sandboxes are; written anew every few seconds while the feed runs, so that its
 * age says whether it does. */
#define KF_DENIALS_STATE "sandboxes"
#define KF_DENIALS_EVERY 10 /* seconds */

#endif
