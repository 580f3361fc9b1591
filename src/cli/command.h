/* SPDX-License-Identifier: Apache-2.0 */
/* Trees of commands: who runs what, with which options and arguments. */
#ifndef KF_CLI_COMMAND_H
#define KF_CLI_COMMAND_H

#include "cli/message.h"
#include "cli/options.h"

/* One command, or a group of them. */
struct kf_command {
	const char *name;
	const char *summary; /* a line, in the group's --help */
	/* What may follow the name, without its options: "PROFILE..."; NULL: nothing.  "PROFILE",
	 * "FILE" and "DIR" are completed as such.  Of a group: not used. */
	const char *arguments;
	/* How many; @max 0: none. */
	int min, max;
	const char *about; /* lines of at most 80 columns, below the usage */
	const char *after; /* ... and below the options; may be NULL */
	/* Of a group: the options that may also be written before the command's name. */
	const struct kf_option *options;
	enum kf_option_style style;
	const struct kf_command *const *commands; /* a group, which has no @run; NULL ends it */
	/* Returns an exit code; messages for people go to stderr behind "kubefence: ", results to
	 * stdout.  argv[0] is the command's name. */
	int (*run)(const struct kf_command *self, int argc, char **argv);
	/* For a @run that several commands share, which reads their options into @line and has this
	 * one do its work then; src/cli does not look at it. */
	int (*act)(void *line);
	bool hidden; /* from --help */
};

/* Run the command that @argv names in the tree of @root, whose name is what people call the
 * program.  Answers --help, -h and "help [COMMAND...]" for every command, --version and "version",
 * and what shells ask ("completion SHELL").  Returns an exit code. */
int kf_command_main(const struct kf_command *root, int argc, char **argv);

/* For @run: read the options of @self into @target and count the arguments.  False: the program
 * must end with *ret_status; the reason, or the answer to --help, has been printed. */
bool kf_command_parse(const struct kf_command *self, int argc, char **argv, void *target,
		      struct kf_arguments *ret, int *ret_status);

/* Gives the names that complete "PROFILE", one for each @i, until it returns NULL; set by main. */
extern const char *(*kf_command_profiles)(size_t i);

#endif
