/* SPDX-License-Identifier: Apache-2.0 */
/* What the launcher and those that put it into a container agree on. */
#ifndef KF_FLAT_LAUNCHER_H
#define KF_FLAT_LAUNCHER_H

/* Pod annotation that names the profile; "nono.sh/profile.CONTAINER" for one
 * container wins over it. */
#define KF_ANNOTATION_PROFILE "nono.sh/profile"
/* Where the plugin mounts the launcher's directory in a container. */
#define KF_LAUNCHER_DIR	      "/nono"
#define KF_LAUNCHER_PATH      "/nono/nono"
/* Beside the launcher, and there in a container: what stands in for programs of the image when a
 * profile asks for it, such as nono-bwrap as "bwrap". */
#define KF_LAUNCHER_INNER     "inner"
#define KF_LAUNCHER_INNER_DIR KF_LAUNCHER_DIR "/" KF_LAUNCHER_INNER
/* What container runtimes fill in for an image that has no PATH. */
#define KF_DEFAULT_PATH	      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* Tells people which profile a process runs under; nothing reads it. */
#define KF_ENV_PROFILE	      "NONO_PROFILE"

#endif
