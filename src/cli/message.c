/* SPDX-License-Identifier: Apache-2.0 */
/* The name of the command that runs, and its messages on stderr, which begin with that name.
 * Results for stdout are printed here as a whole, or with print.c. */
#include "cli/message.h"

#include "base/buf.h"
#include "cli/print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *program = "kubefence";
static char path[128];

void kf_command_start(const char *name)
{
	program = name;
	path[0] = '\0';
}

void kf_command_enter(const char *name)
{
	size_t n = strlen(path);

	(void)snprintf(path + n, sizeof(path) - n, "%s%s", n ? " " : "", name);
}

const char *kf_command_program(void)
{
	return program;
}

const char *kf_command_path(void)
{
	return path;
}

__attribute__((format(printf, 1, 0))) static void print_message(const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	kf_print_line(stderr, "%s: %s%s%s", program, path, *path ? ": " : "",
		      text ? text : "out of memory");
	free(text);
}

int kf_command_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_message(fmt, ap);
	va_end(ap);
	return KF_EXIT_FAILED;
}

int kf_command_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_message(fmt, ap);
	va_end(ap);
	return KF_EXIT_USAGE;
}

int kf_command_print(struct kf_buf *out, int status)
{
	const bool whole = !out->failed;

	if (whole && out->n)
		kf_print_text(stdout, out->p);
	kf_buf_done(out);
	if (!whole)
		return kf_command_fail("there is more to print than can be kept in memory");
	return fflush(stdout) == 0 && !ferror(stdout) ? status : kf_command_fail("writing failed");
}
