/* SPDX-License-Identifier: Apache-2.0 */
/* Printing for people, for programs and as JSON. */
#ifndef KF_CLI_PRINT_H
#define KF_CLI_PRINT_H

#include <stdbool.h>
#include <stdio.h>

/* What a command collects before it prints it: far more than anybody reads, and an end. */
#define KF_PRINT_MAX (64 * 1024 * 1024)

struct json_object;

/* The only ways to print what others may have written: names of pods, nodes and files, values of
 * annotations, messages of runtimes.  A test of the tree checks that. */

/* One line: the formatted text is escaped (base/escape.h), line ends in it as well, and a line end
 * follows. */
void kf_print_line(FILE *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Text of several lines: everything but line ends and tabs is escaped. */
void kf_print_text(FILE *out, const char *text);
/* JSON and a line end; @flags are json-c's.  Characters that a terminal would obey become \u
 * escapes. */
void kf_print_json(FILE *out, struct json_object *object, int flags);
/* Whether @out may be coloured: a terminal that can, whose owner has not said NO_COLOR. */
bool kf_print_colours(FILE *out);
/* Bytes for a program or a file, unchanged. -1 if writing fails. */
int kf_print_raw(FILE *out, const char *data, size_t n);

#endif
