/* SPDX-License-Identifier: Apache-2.0 */
/* Names refused system calls, in debug builds. */
#ifndef KF_CONFINE_TRAP_H
#define KF_CONFINE_TRAP_H

#include "base/err.h"

#include <stdint.h>

#ifdef KF_CONFINE_TRAP
/* Let refused calls be named on standard error: installs a handler of SIGSYS, which lets the call
 * fail as *refuse would have done, and changes *refuse so that the handler is called. */
int kf_confine_trap(uint32_t *refuse, struct kf_err *err);
#else
/* Not in this build: only "meson setup --buildtype=debug" has it. */
static inline int kf_confine_trap(uint32_t *refuse, struct kf_err *err)
{
	(void)refuse;
	(void)err;
	return 0;
}
#endif

#endif
