/* SPDX-License-Identifier: Apache-2.0 */
/* Which versions of our programs lie on this node. */
#ifndef KF_NONO_NRI_PROGRAMS_H
#define KF_NONO_NRI_PROGRAMS_H

#define KF_PROGRAM_VERSION 32 /* with its NUL */

/* The version of program @name in file @path, by the text that it prints for --version, which lies
 * in it: it need not be executed, and a confined process cannot.  -1: no such file, or none of
 * ours.  What is known of a file is kept as long as the file is the same. */
int kf_program_version(const char *path, const char *name, char ret[static KF_PROGRAM_VERSION]);

#endif
