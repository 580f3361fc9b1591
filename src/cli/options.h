/* SPDX-License-Identifier: Apache-2.0 */
/* Options of command lines as tables.  The same rows are parsed, printed by --help, completed by
 * shells and listed in the man pages. */
#ifndef KF_CLI_OPTIONS_H
#define KF_CLI_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum kf_option_kind {
	KF_OPTION_SET,	  /* bool: becomes true */
	KF_OPTION_CLEAR,  /* bool: becomes false */
	KF_OPTION_BOOL,	  /* bool: true without a value, or one of Go's words */
	KF_OPTION_STRING, /* const char * */
	KF_OPTION_PLACE,  /* const char *, an absolute path */
	KF_OPTION_NUMBER, /* unsigned, from @min to @max */
	KF_OPTION_WORD,	  /* unsigned: which of the words in @value it is */
	KF_OPTION_EACH,	  /* struct kf_option_list: one more of them */
	KF_OPTION_CALL,	  /* @call reads it into @target */
};

/* The values of an option that may be repeated, in the caller's array of @max elements. */
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
	/* The name of its value: "DIR" and "FILE" are completed as such, "PROFILE" with the names
	 * of profiles, "A|B" with these words.  NULL: the option has no value. */
	const char *value;
	size_t target;	   /* offset in what the table is parsed into */
	unsigned min, max; /* KF_OPTION_NUMBER */
	/* May fail with a message that does not name the option. */
	int (*call)(void *target, const char *arg, struct kf_err *err);
	const char *help; /* a sentence, of any length */
	/* The heading above this row and the next ones; NULL: no new heading. */
	const char *group;
};

#define KF_OPTION_AT(type, member) .target = offsetof(type, member)
/* The options of one command, as a table that ends. */
#define KF_OPTIONS(...)            \
	(const struct kf_option[]) \
	{                          \
		__VA_ARGS__,       \
		{                  \
			0          \
		}                  \
	}

/* The arguments that are left without the options. */
struct kf_arguments {
	char **v;
	int n;
};

enum kf_option_style {
	KF_OPTIONS_GNU,	 /* options may stand behind arguments */
	KF_OPTIONS_STOP, /* the rest is another program's */
	KF_OPTIONS_GO,	 /* the same, and a long option may begin with one dash */
};

/* Parse @argv, whose first element is the command's name and whose order is changed, with @table
 * into @target.  Every table knows "--help" and "-h": *ret_help is set then, and the rest is not
 * parsed.  An error names the option, and the one that was probably meant; @target has the values
 * before it. */
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
