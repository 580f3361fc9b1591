/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_COMMAND_H
#define KF_NONO_COMMAND_H

#include "base/err.h"

/* Exit statuses besides the workload's own. */
enum { KF_EXIT_FAILED = 1, KF_EXIT_USAGE = 2 };

/* Each command gets the arguments after its name and returns the exit status,
 * or does not return. */
int kf_command_wrap(char **argv);
int kf_command_why(char **argv);
int kf_command_setup(char **argv);

/* "nono: MESSAGE" on stderr. */
int kf_command_usage(const struct kf_err *err);

#endif
