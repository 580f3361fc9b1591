/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BWRAP_OPTIONS_H
#define KF_BWRAP_OPTIONS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* codex passes about 60 mounts for a workspace with many read-only places. */
#define KF_BWRAP_MOUNTS_MAX  512
#define KF_BWRAP_ENV_MAX     512
/* bubblewrap 0.11 has a limit of 9000 arguments, with those of --args. */
#define KF_BWRAP_ARGS_MAX    9000
#define KF_BWRAP_FILTERS_MAX 16

enum kf_bwrap_kind {
	KF_BWRAP_BIND,	   /* read, execute, write */
	KF_BWRAP_RO_BIND,  /* read, execute */
	KF_BWRAP_DEV_BIND, /* all, and devices */
	KF_BWRAP_EMPTY,	   /* a tmpfs: what is there now is hidden */
	KF_BWRAP_PROC,
	KF_BWRAP_DEV,
	KF_BWRAP_REMOUNT_RO,
	KF_BWRAP_DIR,	  /* must be there */
	KF_BWRAP_SYMLINK, /* must be there, and lead to @source */
};

/* One change of what is seen where, in the order of the command line. */
struct kf_bwrap_mount {
	enum kf_bwrap_kind kind;
	bool optional;	    /* that @source is missing is no error */
	const char *source; /* NULL if the kind has none; else a path, or, of a symlink, its text */
	const char *dest;
};

/* What a command line of bubblewrap's asks for.  Strings are the command line's. */
struct kf_bwrap {
	struct kf_bwrap_mount *mounts; /* KF_BWRAP_MOUNTS_MAX */
	size_t nmounts;
	bool unshare_user, unshare_pid, unshare_net, unshare_ipc, no_userns;
	bool new_session, die_with_parent, clear_env;
	bool drop_caps_all;
	uint64_t drop_caps; /* bits */
	const char *chdir, *argv0;
	/* In order: value NULL is --unsetenv. */
	struct kf_bwrap_env {
		const char *name, *value;
	} * env; /* KF_BWRAP_ENV_MAX */
	size_t nenv;
	int filters[KF_BWRAP_FILTERS_MAX]; /* descriptors of seccomp programs */
	size_t nfilters;
	bool help, version;
	char **command; /* *command is NULL if there is none */
};

/* Read @argv, after the program's name.  An option that cannot be had, or not as strictly, is an
 * error that says why. */
int kf_bwrap_options_parse(char **argv, struct kf_bwrap *ret, struct kf_err *err);

/* Help on the descriptor @out: each option, and whether it is "same", "stronger" or an "error". */
void kf_bwrap_options_help(int out);

#endif
