/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BWRAP_SUPERVISE_H
#define KF_BWRAP_SUPERVISE_H

#include "base/err.h"

#include <stdbool.h>

/* Split this process.  1 in a new one, which shall become the program; 0 in the caller when all
 * that the program has started has ended, with what it should exit with in *ret_status.  Whoever
 * ends the caller ends them; with @die_with_parent, so does the end of the caller's parent. */
int kf_bwrap_supervise(bool die_with_parent, int *ret_status, struct kf_err *err);

#endif
