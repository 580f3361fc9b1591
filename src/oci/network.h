/* SPDX-License-Identifier: Apache-2.0 */
/* What a bundle says of the container's network, and the changes for one that the egress broker
 * serves. */
#ifndef KF_OCI_NETWORK_H
#define KF_OCI_NETWORK_H

#include "base/err.h"
#include "oci/view.h"

/* The path of the network namespace that the container enters, borrowed from @oci: "" if the
 * runtime makes a new one, NULL if it stays in the runtime's own. */
int kf_oci_netns(const struct kf_oci *oci, const char **ret, struct kf_err *err);

/* Whether the process has one of the capabilities @names (NULL ends them; without "CAP_"), in
 * whichever set.  *ret is the one, or NULL. */
int kf_oci_capability(const struct kf_oci *oci, const char *const *names, const char **ret,
		      struct kf_err *err);
/* Take the capability @name out of all sets. */
int kf_oci_drop_capability(struct kf_oci *oci, const char *name, struct kf_err *err);

/* Set the variable @name unless the process has it. */
int kf_oci_default_env(struct kf_oci *oci, const char *name, const char *value, struct kf_err *err);

#endif
