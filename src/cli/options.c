/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of options: parsing with getopt_long(3), which is given its own tables made from ours, and
 * the text of --help.  Nothing here prints or ends the program. */
#include "cli/options.h"

#include "base/cleanup.h"
#include "text/diag.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX     48
/* The names of so many options and their values. */
#define NAMES_MAX    (64 * 1024)
#define COLUMNS	     80
#define COLUMN_LEAST 20
#define COLUMN_MOST  30
/* What getopt_long() returns for the first row without a letter; the others follow. */
#define FIRST_ROW    256
#define HELP	     (FIRST_ROW + ROWS_MAX)

static size_t count_rows(const struct kf_option *table)
{
	size_t n = 0;

	while (table && table[n].name)
		n++;
	return n < ROWS_MAX ? n : ROWS_MAX;
}

int kf_options_word(const char *words, const char *word)
{
	size_t length = strlen(word);
	int i = 0;

	if (strcmp(word, "table") == 0 && strncmp(words, "text", 4) == 0)
		return 0;
	for (const char *at = words;; i++) {
		size_t n = strcspn(at, "|");

		if (n == length && strncmp(at, word, n) == 0)
			return i;
		if (!at[n])
			return -1;
		at += n + 1;
	}
}

static int read_bool(const char *s, bool *ret, struct kf_err *err)
{
	static const char *const words[2][6] = {
		{"0", "f", "F", "false", "FALSE", "False"},
		{"1", "t", "T", "true", "TRUE", "True"},
	};

	for (unsigned value = 0; value < 2; value++)
		for (unsigned i = 0; i < KF_ARRAY_SIZE(words[value]); i++)
			if (strcmp(s, words[value][i]) == 0) {
				*ret = value;
				return 0;
			}
	return kf_fail(err, EINVAL, "'%.40s' is neither true nor false", s);
}

static int read_number(const struct kf_option *o, const char *s, unsigned *ret, struct kf_err *err)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(s, &end, 10);
	if (*s < '0' || *s > '9' || *end || errno || n < o->min || n > o->max)
		return kf_fail(err, EINVAL, "'%.40s' is not a number between %u and %u", s, o->min,
			       o->max);
	*ret = (unsigned)n;
	return 0;
}

static int read_value(const struct kf_option *o, const char *arg, void *target, struct kf_err *err)
{
	void *at = target ? (char *)target + o->target : NULL;
	struct kf_option_list *list = at;
	int word;

	if (!at)
		return kf_fail(err, EINVAL, "is not understood");
	switch (o->kind) {
	case KF_OPTION_SET:
	case KF_OPTION_CLEAR:
		*(bool *)at = o->kind == KF_OPTION_SET;
		return 0;
	case KF_OPTION_BOOL:
		return read_bool(arg ? arg : "true", at, err);
	case KF_OPTION_NUMBER:
		return read_number(o, arg, at, err);
	case KF_OPTION_WORD:
		word = kf_options_word(o->value, arg);
		if (word < 0)
			return kf_fail(err, EINVAL, "'%.40s' is none of %s", arg, o->value);
		*(unsigned *)at = (unsigned)word;
		return 0;
	case KF_OPTION_EACH:
		if (list->n == list->max)
			return kf_fail(err, E2BIG, "given more than %zu times", list->max);
		list->v[list->n++] = arg;
		return 0;
	case KF_OPTION_CALL:
		return o->call(at, arg, err);
	case KF_OPTION_PLACE:
		if (*arg != '/')
			return kf_fail(err, EINVAL, "'%.200s' is not an absolute path", arg);
		__attribute__((fallthrough));
	case KF_OPTION_STRING:
		*(const char **)at = arg;
		return 0;
	}
	return kf_fail(err, EINVAL, "cannot be read");
}

const struct kf_option *kf_options_find(const struct kf_option *table, const char *word)
{
	const char *name = word + strspn(word, "-");
	size_t dashes = (size_t)(name - word), n = strcspn(name, "=");

	for (const struct kf_option *o = table; o && o->name; o++)
		if (dashes == 2 ? strncmp(o->name, name, n) == 0 && !o->name[n]
				: dashes == 1 && o->letter && o->letter == *name)
			return o;
	return NULL;
}

/* Report an option that is not in the table: @word. */
static int fail_unknown(const struct kf_option *table, const char *word, struct kf_err *err)
{
	const char *names[ROWS_MAX + 2];
	char name[64];
	const char *start = word + strspn(word, "-"), *meant;
	size_t n = 0;

	for (; n < count_rows(table); n++)
		names[n] = table[n].name;
	names[n++] = "help";
	names[n] = NULL;
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(start, "="), start);
	meant = start - word >= 2 ? kf_diag_suggest(name, names) : NULL;
	return kf_fail(err, EINVAL, "unknown option '%.80s'%s%s%s", word,
		       meant ? "; did you mean '--" : "", meant ? meant : "", meant ? "'?" : "");
}

/* Make getopt_long()'s tables from ours; a row is found again by its letter or number. */
static void make_tables(const struct kf_option *table, enum kf_option_style style,
			struct option longs[static ROWS_MAX + 2], char letters[static 2 * ROWS_MAX])
{
	size_t n = count_rows(table);

	if (style != KF_OPTIONS_GNU)
		*letters++ = '+';
	*letters++ = ':';
	for (size_t i = 0; i < n; i++) {
		longs[i] = (struct option){table[i].name,
					   table[i].kind == KF_OPTION_BOOL ? optional_argument
					   : table[i].value		   ? required_argument
									   : no_argument,
					   NULL, FIRST_ROW + (int)i};
		if (!table[i].letter)
			continue;
		*letters++ = table[i].letter;
		if (table[i].value)
			*letters++ = ':';
	}
	longs[n] = (struct option){"help", no_argument, NULL, HELP};
	longs[n + 1] = (struct option){0};
	*letters++ = 'h';
	*letters = '\0';
}

static const struct kf_option *row_of(const struct kf_option *table, int c)
{
	if (c >= FIRST_ROW)
		return c < HELP ? &table[c - FIRST_ROW] : NULL;
	for (const struct kf_option *o = table; o && o->name; o++)
		if (o->letter == c)
			return o;
	return NULL;
}

/* Report what getopt_long() refused, at the word before optind. */
static int fail_word(const struct kf_option *table, int c, const char *word, struct kf_err *err)
{
	const struct kf_option *o = optopt ? row_of(table, optopt) : NULL;
	const char letter[] = {'-', (char)optopt, '\0'};

	if (c == ':' && o)
		return kf_fail(err, EINVAL, "'--%s' needs a value", o->name);
	if (optopt >= FIRST_ROW)
		return kf_fail(err, EINVAL, "'--%s' takes no value", o ? o->name : "help");
	return fail_unknown(table, optopt ? letter : word, err);
}

int kf_options_read(const struct kf_option *table, enum kf_option_style style, int argc,
		    char **argv, void *target, struct kf_arguments *ret, bool *ret_help,
		    struct kf_err *err)
{
	struct option longs[ROWS_MAX + 2];
	char letters[2 * ROWS_MAX + 8];
	const struct kf_option *o;
	int c;

	make_tables(table, style, longs, letters);
	*ret_help = false;
	opterr = 0;
	optind = 0;
	for (;;) {
		optopt = 0;
		c = style == KF_OPTIONS_GO ? getopt_long_only(argc, argv, letters, longs, NULL)
					   : getopt_long(argc, argv, letters, longs, NULL);
		if (c == -1)
			break;
		if (c == HELP || c == 'h') {
			*ret_help = true;
			return 0;
		}
		if (c == ':' || c == '?')
			return fail_word(table, c, argv[optind - 1], err);
		o = row_of(table, c);
		if (read_value(o, optarg, target, err) < 0)
			return kf_fail_wrap(err, "--%s", o->name);
	}
	*ret = (struct kf_arguments){argv + optind, argc - optind};
	return 0;
}

/* ---- help ---- */

/* How much of @text is to stay together: up to a blank, of a list that fits no line up to a comma.
 */
static size_t word_length(const char *text, size_t room)
{
	size_t n = strcspn(text, " "), comma = 0;

	for (size_t i = 0; n > room && i < room; i++)
		if (text[i] == ',')
			comma = i + 1;
	return comma ? comma : n;
}

/* Append @text, broken at blanks; the first line goes on at column @indent. */
static void add_wrapped(const char *text, size_t indent, struct kf_buf *out)
{
	size_t column = indent;

	for (; *text; text += strspn(text, " ")) {
		size_t n = word_length(text, COLUMNS - indent);

		if (column > indent && column + 1 + n > COLUMNS) {
			kf_buf_addf(out, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent && text[-1] == ' ') {
			kf_buf_adds(out, " ");
			column++;
		}
		kf_buf_add(out, text, n);
		column += n;
		text += n;
	}
	kf_buf_adds(out, "\n");
}

/* "-o, --output text|json" */
static size_t add_name(const struct kf_option *o, bool letters, struct kf_buf *out)
{
	size_t before = out->n;

	if (o->letter)
		kf_buf_addf(out, "  -%c, --%s", o->letter, o->name);
	else
		kf_buf_addf(out, "  %s--%s", letters ? "    " : "", o->name);
	if (o->value)
		kf_buf_addf(out, o->kind == KF_OPTION_BOOL ? "[=%s]" : " %s", o->value);
	return out->n - before;
}

void kf_options_help(const struct kf_option *table, struct kf_buf *out)
{
	static const struct kf_option help = {.name = "help", .letter = 'h', .help = "this text"};
	struct kf_buf scratch = KF_BUF_INIT(NAMES_MAX);
	size_t n = count_rows(table), column = COLUMN_LEAST;

	for (size_t i = 0; i < n; i++) {
		size_t width = add_name(&table[i], true, &scratch) + 2;

		if (width > column && width <= COLUMN_MOST)
			column = width;
	}
	kf_buf_done(&scratch);
	for (size_t i = 0; i <= n; i++) {
		const struct kf_option *o = i < n ? &table[i] : &help;
		size_t width;

		if (o->group)
			kf_buf_addf(out, "%s%s:\n", i ? "\n" : "", o->group);
		width = add_name(o, true, out);
		if (width + 2 > column) {
			kf_buf_adds(out, "\n");
			width = 0;
		}
		kf_buf_addf(out, "%*s", (int)(column - width), "");
		add_wrapped(o->help, column, out);
	}
}
