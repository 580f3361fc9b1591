/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_GRANTS_GIVEN_H
#define KF_GRANTS_GIVEN_H

#include "grants/tree.h"

#include <stdbool.h>

/* What a container was given beside files, by what the kernel shows of it: nothing that the
 * workload says or writes is asked. */

/* Whether the runtime has closed what in /proc is the kernel's own and no process's, by mounts
 * over it, as it does for every container but privileged ones. */
bool kf_given_proc_closed(void);
/* Whether a process of the container's may come to look behind these mounts: CAP_SYS_ADMIN clones
 * /proc without them. */
bool kf_given_sys_admin(void);
/* Whether the container has a PID namespace of its own: process 1 lives in it.  Not so where it
 * shares a pod's, another container's or the node's. */
bool kf_given_own_pids(void);

/* For each device node in /dev, and in directories there, that is not in every container: @fn with
 * its path and a descriptor, which is borrowed.  Stops when @fn does not return 0; else 1 if there
 * is more than is looked at. */
int kf_given_devices(kf_device_fn *fn, void *ctx, struct kf_err *err);
/* Whether every container has @path, a device in /dev (OCI runtime specification, "Default
 * Devices"). */
bool kf_given_everywhere(const char *path);

#endif
