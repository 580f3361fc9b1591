/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_COMMAND_H
#define KF_NONO_COMMAND_H

#include "base/err.h"

/* Exit statuses besides the workload's own.  As runc and crun, "exec" ends with another one than
 * "create" and "run" if nothing could be started. */
enum { KF_EXIT_FAILED = 1, KF_EXIT_USAGE = 2, KF_EXIT_ENTER_FAILED = 255 };

/* Each command gets the arguments after its name and returns the exit status,
 * or does not return. */
int kf_nono_wrap(char **argv);
int kf_nono_why(char **argv);
/* nono-bwrap, if the container's profile asks for it. */
int kf_nono_bwrap(char **argv);
int kf_nono_setup(char **argv);

/* The help on the descriptor @out; on standard output, with the exit status. */
void kf_nono_print_help(int out);
int kf_nono_help(void);
/* "nono: MESSAGE" on stderr; the exit status. */
int kf_nono_usage(const struct kf_err *err);

#endif
