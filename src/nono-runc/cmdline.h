/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_RUNC_CMDLINE_H
#define KF_NONO_RUNC_CMDLINE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* The command lines of runc and crun, as far as the guard must know them: both
 * take "--flag value" and "--flag=value", runc also one dash for two. */

enum kf_verb {
	KF_VERB_OTHER, /* passed on as it is */
	KF_VERB_CREATE,
	KF_VERB_DELETE,
	KF_VERB_EXEC,
	KF_VERB_RESTORE,
	KF_VERB_RUN,
	KF_VERB_START,
};

/* Flags whose values matter to us. */
enum kf_flag {
	KF_FLAG_NONE,
	KF_FLAG_BUNDLE,
	KF_FLAG_DETACH, /* takes none: itself */
	KF_FLAG_LOG,
	KF_FLAG_LOG_FORMAT,
	KF_FLAG_PID_FILE,
	KF_FLAG_PRESERVE_FDS,
	KF_FLAG_PROCESS,
	KF_FLAG_ROOT,
	KF_NFLAGS,
};

struct kf_cmdline_flag;

struct kf_cmdline {
	int argc;
	char *const *argv;
	enum kf_verb verb;
	int verb_at;			     /* index of the subcommand; argc if there is none */
	const struct kf_cmdline_flag *flags; /* of the subcommand; NULL if it is passed on */
	/* Last value given, or NULL.  Each points into argv. */
	const char *value[KF_NFLAGS];
	const char *id; /* the container; NULL if there is none */
	int id_at;	/* its index; argc if there is none */
};

/* Understand @argv.  Fails, with a reason, where create, run, exec or restore
 * could be meant but something in front of the container's ID is unknown; every
 * other command line is KF_VERB_OTHER at worst.  --log and its format are filled
 * in also on failure, as far as they were understood. */
int kf_cmdline_parse(int argc, char *const *argv, struct kf_cmdline *ret, struct kf_err *err);

/* The runtime's argv for a create, run or exec (all understood): the same, but
 * in place of --bundle and --preserve-fds of the caller the @nextra arguments
 * @extra directly before the container's ID (the last of equal flags counts); and
 * if @args is not NULL, its @nargs arguments in place of what follows the ID.  NULL-terminated,
 * from malloc; the strings are borrowed.  NULL: out of memory. */
char **kf_cmdline_rewrite(const struct kf_cmdline *cmd, const char *const *extra, size_t nextra,
			  const char *const *args, size_t nargs);

/* The command line as it is; ownership as above. */
char **kf_cmdline_copy(const struct kf_cmdline *cmd);

#endif
