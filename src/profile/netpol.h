/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_PROFILE_NETPOL_H
#define KF_PROFILE_NETPOL_H

#include "profile/profile.h"

/* An egress policy for the cluster's network that enforces network.allow_domain. */
enum kf_netpol_kind {
	KF_NETPOL_KUBERNETES, /* NetworkPolicy: knows addresses and ports only */
	KF_NETPOL_CILIUM,     /* CiliumNetworkPolicy: host names */
};

struct kf_netpol {
	enum kf_netpol_kind kind;
	const char *name, *namespace_;	     /* namespace_ NULL: none is written */
	const char *label_key, *label_value; /* of the pods it is for */
};

/* YAML into @out. */
void kf_netpol_write(const struct kf_compiled *compiled, const struct kf_netpol *options,
		     struct kf_buf *out);

#endif
