/* SPDX-License-Identifier: Apache-2.0 */
/* What a bundle says of its bind mounts, and mounting something else in the place of one. */
#ifndef KF_OCI_VOLUME_H
#define KF_OCI_VOLUME_H

#include "base/err.h"
#include "oci/view.h"

/* Whether the container's users are not the host's: it has a user namespace, or @mount is
 * idmapped. */
int kf_oci_is_mapped(const struct kf_oci *oci, const struct kf_view_mount *mount, bool *ret,
		     struct kf_err *err);

/* Let @mount, one of the view's, show @source instead; in view and JSON. */
int kf_oci_set_source(struct kf_oci *oci, const struct kf_view_mount *mount, const char *source,
		      struct kf_err *err);

#endif
