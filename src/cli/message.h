/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the command that runs. */
#ifndef KF_CLI_MESSAGE_H
#define KF_CLI_MESSAGE_H

struct kf_buf;

/* Exit codes of every command: done; it failed or a check did not hold; the command line was
 * wrong. */
enum { KF_EXIT_OK = 0, KF_EXIT_FAILED = 1, KF_EXIT_USAGE = 2 };

/* "PROGRAM: COMMAND: MESSAGE" on stderr; returns KF_EXIT_FAILED / KF_EXIT_USAGE.  COMMAND is the
 * one that runs, without the program's name. */
int kf_command_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int kf_command_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Print what the command has collected for people, and release it; returns @status, or
 * KF_EXIT_FAILED if it cannot be printed. */
int kf_command_print(struct kf_buf *out, int status);

/* Remember that @program ("kubectl nono") runs; no command of it has been entered yet. */
void kf_command_start(const char *name);
/* Remember that its command @name was entered; for "node install" this is called twice. */
void kf_command_enter(const char *name);
/* The program, and the path of its commands ("node install"). */
const char *kf_command_program(void);
const char *kf_command_path(void);

#endif
