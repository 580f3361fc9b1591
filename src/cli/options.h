/* SPDX-License-Identifier: Apache-2.0 */
/* Options of command lines as tables: what is parsed, what --help says, what a shell completes and
 * what the man pages list are the same rows. */
#ifndef KF_CLI_OPTIONS_H
#define KF_CLI_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum kf_option_kind {
	KF_OPTION_SET,	  /* bool: becomes true */
	KF_OPTION_CLEAR,  /* bool: becomes false */
	KF_OPTION_BOOL,	  /* bool: alone it is true; else one of the words of Go's flag package */
	KF_OPTION_STRING, /* const char * */
	KF_OPTION_PLACE,  /* const char *, an absolute path */
	KF_OPTION_NUMBER, /* unsigned, from @min to @max */
	KF_OPTION_WORD,	  /* unsigned: which of the words in @value it is */
	KF_OPTION_EACH,	  /* struct kf_option_list: one more of them */
	KF_OPTION_CALL,	  /* @call takes it; @target is what it gets */
};

/* What may be given several times: the caller's array of @max. */
struct kf_option_list {
	const char **v;
	size_t n, max;
};

#define KF_OPTION_LIST(array)                    \
	{                                        \
		(array), 0, KF_ARRAY_SIZE(array) \
	}

/* One row.  A table ends with a row without @name. */
struct kf_option {
	const char *name; /* without its dashes */
	char letter;	  /* 0: none */
	enum kf_option_kind kind;
	/* What its argument is called: "DIR" and "FILE" are completed as such, "PROFILE" with the
	 * names of profiles, "A|B" with these.  NULL: it takes none. */
	const char *value;
	size_t target;	   /* offset in what the table is parsed into */
	unsigned min, max; /* KF_OPTION_NUMBER */
	/* May fail with a message that does not name the option. */
	int (*call)(void *target, const char *arg, struct kf_err *err);
	const char *help; /* a sentence, of any length */
	/* The heading above it and those that follow, NULL: the one before goes on. */
	const char *group;
};

#define KF_OPTION_AT(type, member) .target = offsetof(type, member)

/* What is left when options are taken out. */
struct kf_arguments {
	char **v;
	int n;
};

enum kf_option_style {
	KF_OPTIONS_GNU,	 /* options may stand behind arguments */
	KF_OPTIONS_STOP, /* they end at the first argument, which is somebody else's */
	KF_OPTIONS_GO,	 /* the same, and one dash will do for a long option */
};

/* Parse @argv, whose first is the command's own name and whose order is changed, with @table into
 * @target.  "--help" and "-h" are known to every table: *ret_help says that they were there, and
 * what follows was not looked at.  An error names the option, and the one that was probably meant;
 * @target has then what came before. */
int kf_options_read(const struct kf_option *table, enum kf_option_style style, int argc,
		    char **argv, void *target, struct kf_arguments *ret, bool *ret_help,
		    struct kf_err *err);
/* Which of @words ("text|json") @word is; "table" is another word for "text".  -1: none. */
int kf_options_word(const char *words, const char *word);
/* The row for the argument @word ("--name", "--name=value", "-x", ...); NULL: none. */
const struct kf_option *kf_options_find(const struct kf_option *table, const char *word);
/* Append the rows for people, in two columns. */
void kf_options_help(const struct kf_option *table, struct kf_buf *out);
#endif
