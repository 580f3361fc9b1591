/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_CONFINE_H
#define KF_NONO_NRI_CONFINE_H

#include "nono-nri/options.h"
#include "nono-nri/plugin.h"

/* The plugin's last stage before it hears from a runtime or anybody else: the configuration is
 * loaded, what can be opened early is open.  From here on it can reach what @options and the
 * configuration in force name, and nothing else; it cannot start a program, nor open a port.
 * Logs what came of it.  @adopted: the runtime started us, and the log goes to syslog. */
int kf_plugin_confine(const struct kf_plugin_options *options, const struct kf_plugin *plugin,
		      bool adopted, struct kf_err *err);

#endif
