/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_COMMAND_H
#define KF_KUBEFENCE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

/* Exit codes of every command: done; it failed or a check did not hold; the
 * command line was wrong. */
enum { KF_EXIT_OK = 0, KF_EXIT_FAILED = 1, KF_EXIT_USAGE = 2 };

/* One subcommand, in a file of its own (cmd_<name>.c).  argv[0] is the
 * command's name.  Returns an exit code; messages for people go to stderr
 * behind "kubefence: ", results to stdout.  "--help" is the command's to answer. */
struct kf_command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
};

/* Run the command of the NULL-name terminated @table that argv[1] names, or
 * answer --help, -h, help, --version; @program is for messages ("kubefence",
 * "kubefence node"). */
int kf_command_dispatch(const char *program, const char *purpose, const struct kf_command *table,
			int argc, char **argv);

/* The directory of this program. */
bool kf_own_directory(char *out, size_t size);

/* "PROGRAM: MESSAGE" on stderr; returns KF_EXIT_FAILED / KF_EXIT_USAGE. */
int kf_command_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int kf_command_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
