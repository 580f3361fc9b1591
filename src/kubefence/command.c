/* SPDX-License-Identifier: Apache-2.0 */
#include "kubefence/command.h"
#include "kubefence/print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_help(FILE *out, const char *program, const char *purpose,
		       const struct kf_command *table)
{
	kf_print_line(out, "Usage: %s COMMAND [ARGUMENT...]", program);
	fputs("\n", out);
	kf_print_line(out, "%s", purpose);
	fputs("\nCommands:\n", out);
	for (; table->name; table++)
		kf_print_line(out, "  %-10s %s", table->name, table->summary);
	fputs("\n", out);
	kf_print_line(out, "'%s COMMAND --help' tells more about a command.", program);
}

int kf_command_dispatch(const char *program, const char *purpose, const struct kf_command *table,
			int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "--version") == 0) {
		kf_print_line(stdout, "kubefence %s", KF_VERSION);
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
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	kf_print_line(stderr, "kubefence: %s", text ? text : "out of memory");
	free(text);
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

bool kf_own_directory(char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size - 1);
	char *slash;

	if (n <= 0)
		return false;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash)
		return false;
	slash[slash == out] = '\0';
	return true;
}
