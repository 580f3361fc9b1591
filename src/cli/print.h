/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_CLI_PRINT_H
#define KF_CLI_PRINT_H

#include <stdio.h>

struct json_object;

/* The only ways to print what others may have written: names of pods, nodes and files, values of
 * annotations, messages of runtimes.  A test of the tree sees to it. */

/* One line: what it says is escaped (base/escape.h), line ends too, and a line end follows. */
void kf_print_line(FILE *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Text of several lines of our own: all but their ends, and tabs, is escaped. */
void kf_print_text(FILE *out, const char *text);
/* JSON and a line end; @flags are json-c's.  What a terminal would obey is an escape of JSON's. */
void kf_print_json(FILE *out, struct json_object *object, int flags);
/* What a program or a file is to get, byte by byte.  -1 if that fails. */
int kf_print_raw(FILE *out, const char *data, size_t n);

#endif
