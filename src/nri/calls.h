/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NRI_CALLS_H
#define KF_NRI_CALLS_H

#include "base/calls.h"

/* What the plugin side needs where nri_plugin_options.connect makes its connections. */
extern const struct kf_calls nri_plugin_calls;

#endif
