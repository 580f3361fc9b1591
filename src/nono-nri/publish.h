/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_PUBLISH_H
#define KF_NONO_NRI_PUBLISH_H

#include "base/err.h"
#include "policy/settings.h"

/* Write @settings for the guard to @node_dir/settings; nothing happens when they are there
 * already.  The guard refuses to create containers without them. */
int kf_publish_settings(const char *node_dir, const struct kf_settings *settings,
			struct kf_err *err);

#endif
