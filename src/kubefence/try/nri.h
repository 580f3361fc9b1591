/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's side of NRI, for "kubefence try". */
#ifndef KF_KUBEFENCE_TRY_NRI_H
#define KF_KUBEFENCE_TRY_NRI_H

#include "base/arena.h"
#include "base/err.h"
#include "kubefence/try/bundle.h"
#include "kubefence/try/stage.h"

#include <sys/types.h>

struct try_nri;

/* Act as the runtime of a real nono-nri process, which is started from the stage (bin/nono-nri with
 * configuration file @config, both relative to it): register, configure and synchronise it over the
 * NRI socket @socket_path, which the configuration names, too.  @node_dir: where it publishes
 * settings for the guard; "" = nowhere. */
int try_nri_start(const struct try_stage *stage, const char *config, const char *node_dir,
		  const char *socket_path, struct try_nri **ret, struct kf_err *err);

/* Send CreateContainer for @c, change @c as the answer says, then send ValidateContainerAdjustment
 * and StartContainer if the plugin asked for them.  New strings live in @arena.  A refusal is an
 * error with the plugin's reason. */
int try_nri_create(struct try_nri *nri, struct try_container *c, struct kf_arena *arena,
		   struct kf_err *err);

/* Tell the plugin that the container has ended, end the plugin with SIGTERM and wait. */
void try_nri_stop(struct try_nri *nri, const struct try_container *c);

#endif
