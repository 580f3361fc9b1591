/* SPDX-License-Identifier: Apache-2.0 */
/* Completion: one command that answers, and a few lines for each shell that ask it. */
#ifndef KF_CLI_COMPLETE_H
#define KF_CLI_COMPLETE_H

#include "cli/command.h"

/* The command that the shells' lines call: "kubefence __complete WORD... LAST". */
#define KF_COMPLETE_COMMAND "__complete"

/* Print what can stand in the place of the last of @words, one a line: WORD, a tab, what it is for;
 * ":files" or ":dirs" if the shell knows the candidates itself.  @words are those behind the
 * program's name. */
int kf_complete_words(const struct kf_command *root, int n, char **words);
/* The same as kubectl expects it of the program kubectl_complete-NAME for its plugin NAME: the last
 * line is ":" and a number instead. */
int kf_complete_kubectl(const struct kf_command *root, int n, char **words);
/* "completion bash|zsh|fish": the lines for the shell to read. */
int kf_complete_script(const struct kf_command *root, int argc, char **argv);

#endif
