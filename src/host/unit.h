/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's unit of systemd. */
#ifndef KF_HOST_UNIT_H
#define KF_HOST_UNIT_H

#include "host/distro.h"
#include "host/run.h"

#define KF_SYSTEMCTL_ARGS 64

/* Whether systemd runs on the host and can be asked. */
bool kf_systemctl_exists(const struct kf_host *host);
/* Run the host's systemctl with the NULL-terminated @args; over D-Bus if it cannot talk to systemd
 * directly. */
int kf_systemctl(const struct kf_host *host, const char *const *args, unsigned timeout_ms,
		 struct kf_run *ret, struct kf_err *err);

/* The runtime's unit: the first of the distribution's that is active; an error with the remedy if
 * there is none.  @down_too: a unit that is enabled counts as well, since a restart that failed
 * leaves none active. */
int kf_unit_find(const struct kf_host_runtime *rt, bool down_too, const char **ret,
		 struct kf_err *err);
/* Restart the unit and wait until systemd calls it active.  @again: first reset its start limit and
 * its failures. */
int kf_unit_restart(const struct kf_host_runtime *rt, const char *unit, bool again,
		    struct kf_err *err);
/* Let the unit read its configuration again, without a restart. */
int kf_unit_reload(const struct kf_host_runtime *rt, const char *unit, struct kf_err *err);

#endif
