/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_HOST_UNIT_H
#define KF_HOST_UNIT_H

#include "host/distro.h"
#include "host/run.h"

#define KF_SYSTEMCTL_ARGS 64

/* Whether systemd runs on the host and can be asked. */
bool kf_systemctl_there(const struct kf_host *host);
/* Run the host's systemctl with the NULL-terminated @args, over D-Bus where systemd itself
 * does not listen to us. */
int kf_systemctl(const struct kf_host *host, const char *const *args, unsigned timeout_ms,
		 struct kf_run *ret, struct kf_err *err);

/* The runtime's unit, the first of the distribution's that systemd knows to be
 * active; an error with the remedy if there is none.  @down_too: or one that is
 * enabled, for a restart that failed leaves none active. */
int kf_unit_find(const struct kf_host_runtime *rt, bool down_too, const char **ret,
		 struct kf_err *err);
/* Restart it through the host's own systemctl and wait until systemd calls it active.
 * @again: whatever systemd holds against it (start limit) is forgotten first. */
int kf_unit_restart(const struct kf_host_runtime *rt, const char *unit, bool again,
		    struct kf_err *err);
/* Have it read its configuration again, without a restart. */
int kf_unit_reload(const struct kf_host_runtime *rt, const char *unit, struct kf_err *err);

#endif
