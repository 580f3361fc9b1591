/* SPDX-License-Identifier: Apache-2.0 */
#include "kubefence/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void print_help(FILE *out, const char *program, const char *purpose,
		       const struct kf_command *table)
{
	fprintf(out, "Usage: %s COMMAND [ARGUMENT...]\n\n%s\n\nCommands:\n", program, purpose);
	for (; table->name; table++)
		fprintf(out, "  %-10s %s\n", table->name, table->summary);
	fprintf(out, "\n'%s COMMAND --help' tells more about a command.\n", program);
}

int kf_command_dispatch(const char *program, const char *purpose, const struct kf_command *table,
			int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "--version") == 0) {
		printf("kubefence %s\n", KF_VERSION);
		return KF_EXIT_OK;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help(stdout, program, purpose, table);
		return KF_EXIT_OK;
	}
	for (const struct kf_command *c = table; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c->run(argc - 1, argv + 1);
	if (*name)
		return kf_command_usage("unknown command '%s %s'; '%s --help' lists them", program,
					name, program);
	print_help(stderr, program, purpose, table);
	return KF_EXIT_USAGE;
}

__attribute__((format(printf, 1, 0))) static void message(const char *fmt, va_list ap)
{
	fputs("kubefence: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int kf_command_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(fmt, ap);
	va_end(ap);
	return KF_EXIT_FAILED;
}

int kf_command_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	message(fmt, ap);
	va_end(ap);
	return KF_EXIT_USAGE;
}
