/* SPDX-License-Identifier: Apache-2.0 */
/* Running a command of a tree: finding it, its --help, its options and the number of its arguments.
 * What shells ask is in complete.c. */
#include "cli/command.h"

#include "base/cleanup.h"
#include "cli/complete.h"
#include "cli/print.h"
#include "text/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMANDS_MAX 48
/* The help of a command, options and all. */
#define HELP_MAX     (256 * 1024)

static const struct kf_command *find_command(const struct kf_command *group, const char *name)
{
	for (const struct kf_command *const *c = group->commands; *c; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

static void add_commands(const struct kf_command *group, struct kf_buf *out)
{
	int width = 10;

	for (const struct kf_command *const *c = group->commands; *c; c++)
		if (!(*c)->hidden && (int)strlen((*c)->name) > width)
			width = (int)strlen((*c)->name);
	kf_buf_adds(out, "\nCommands:\n");
	for (const struct kf_command *const *c = group->commands; *c; c++)
		if (!(*c)->hidden)
			kf_buf_addf(out, "  %-*s %s\n", width, (*c)->name, (*c)->summary);
}

static void add_help(const struct kf_command *c, struct kf_buf *out)
{
	const char *blank = *kf_command_path() ? " " : "";

	if (c->commands)
		kf_buf_addf(out, "Usage: %s%s%s COMMAND [ARGUMENT...]\n", kf_command_program(),
			    blank, kf_command_path());
	else
		kf_buf_addf(out, "Usage: %s%s%s%s%s%s\n", kf_command_program(), blank,
			    kf_command_path(), c->options ? " [OPTION...]" : "",
			    c->arguments ? " " : "", c->arguments ? c->arguments : "");
	if (c->about)
		kf_buf_addf(out, "\n%s\n", c->about);
	else /* the summary, as a sentence */
		kf_buf_addf(out, "\n%c%s.\n",
			    c->summary[0] >= 'a' ? c->summary[0] - 'a' + 'A' : c->summary[0],
			    c->summary + 1);
	if (c->commands)
		add_commands(c, out);
	if (c->options) {
		kf_buf_adds(out, c->options->group ? "\n" : "\nOptions:\n");
		kf_options_help(c->options, out);
	}
	if (c->after)
		kf_buf_addf(out, "\n%s\n", c->after);
	if (c->commands)
		kf_buf_addf(out, "\n'%s%s%s COMMAND --help' tells more about a command.\n",
			    kf_command_program(), blank, kf_command_path());
}

static int print_help(const struct kf_command *c, FILE *to, int status)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(HELP_MAX);

	add_help(c, &out);
	if (out.failed)
		return kf_command_fail("out of memory");
	kf_print_text(to, out.p);
	return fflush(to) == 0 ? status : kf_command_fail("cannot write the help text");
}

static int unknown_command(const struct kf_command *group, const char *name)
{
	const char *names[COMMANDS_MAX + 1], *meant;
	size_t n = 0;

	for (const struct kf_command *const *c = group->commands; *c && n < COMMANDS_MAX; c++)
		if (!(*c)->hidden)
			names[n++] = (*c)->name;
	names[n] = NULL;
	meant = kf_diag_suggest(name, names);
	return kf_command_usage("unknown command '%s'%s%s%s; '%s%s%s --help' lists them", name,
				meant ? "; did you mean '" : "", meant ? meant : "",
				meant ? "'?" : "", kf_command_program(),
				*kf_command_path() ? " " : "", kf_command_path());
}

/* Move the command's name to the front of the arguments; options of the group may stand before it.
 * False if there is no name. */
static bool take_name(const struct kf_command *group, int argc, char **argv)
{
	char *name;
	int at = 1;

	while (at < argc && argv[at][0] == '-' && group->options) {
		const struct kf_option *o = kf_options_find(group->options, argv[at]);

		if (!o)
			break;
		/* Skip its value as well, if that is a word of its own. */
		at += o->value && !strchr(argv[at], '=') && (argv[at][1] == '-' || !argv[at][2])
			      ? 2
			      : 1;
	}
	if (at >= argc)
		return false;
	name = argv[at];
	memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof(*argv));
	argv[1] = name;
	return true;
}

/* "help A B": the help of B in group A. */
static int help_about(const struct kf_command *c, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const struct kf_command *next = c->commands ? find_command(c, argv[i]) : NULL;

		if (!next)
			return c->commands ? unknown_command(c, argv[i])
					   : kf_command_usage("'%s' has no commands",
							      kf_command_path());
		kf_command_enter(argv[i]);
		c = next;
	}
	return print_help(c, stdout, KF_EXIT_OK);
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int run_command(const struct kf_command *c, int argc, char **argv)
{
	const struct kf_command *next;

	if (!c->commands)
		return c->run(c, argc, argv);
	if (argc > 1 && is_help(argv[1]))
		return print_help(c, stdout, KF_EXIT_OK);
	if (!take_name(c, argc, argv))
		return print_help(c, stderr, KF_EXIT_USAGE);
	next = find_command(c, argv[1]);
	if (next) {
		kf_command_enter(next->name);
		return run_command(next, argc - 1, argv + 1);
	}
	if (strcmp(argv[1], "help") == 0)
		return help_about(c, argc - 2, argv + 2);
	return unknown_command(c, argv[1]);
}

int kf_command_main(const struct kf_command *root, int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	kf_command_start(root->name);
	if (strcmp(word, "--version") == 0 || strcmp(word, "version") == 0) {
		kf_print_line(stdout, "kubefence %s", KF_VERSION);
		return KF_EXIT_OK;
	}
	if (strcmp(word, "completion") == 0)
		return kf_complete_script(root, argc - 1, argv + 1);
	if (strcmp(word, KF_COMPLETE_COMMAND) == 0)
		return kf_complete_words(root, argc - 2, argv + 2);
	return run_command(root, argc, argv);
}

bool kf_command_parse(const struct kf_command *self, int argc, char **argv, void *target,
		      struct kf_arguments *ret, int *ret_status)
{
	struct kf_err err;
	bool help;

	*ret_status = KF_EXIT_OK;
	if (kf_options_read(self->options, self->style, argc, argv, target, ret, &help, &err) < 0) {
		*ret_status = kf_command_usage("%s; '%s %s --help' lists all", err.msg,
					       kf_command_program(), kf_command_path());
		return false;
	}
	if (help) {
		*ret_status = print_help(self, stdout, KF_EXIT_OK);
		return false;
	}
	if (ret->n >= self->min && ret->n <= self->max)
		return true;
	*ret_status =
		!self->max ? kf_command_usage("'%s' is not understood; '%s %s --help' tells more",
					      ret->v[0], kf_command_program(), kf_command_path())
		: ret->n < self->min
			? kf_command_usage("%s is missing; '%s %s --help' tells more",
					   self->arguments, kf_command_program(), kf_command_path())
			: kf_command_usage("'%s' is one argument too many; '%s %s --help' tells "
					   "more",
					   ret->v[self->max], kf_command_program(),
					   kf_command_path());
	return false;
}
