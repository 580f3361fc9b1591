/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_BASE_ESCAPE_H
#define KF_BASE_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

/* Strings that others wrote - pods, images, nodes, runtimes - on their way to people.
 *
 * Length of the first character of the @n (not 0) bytes at @s.  *ret_plain: it stands for itself.
 * Not plain are control characters and line ends, what turns or hides the text around it
 * (directions, widths of zero), and bytes that are no UTF-8. */
size_t kf_escape_next(const char *s, size_t n, bool *ret_plain);

/* Copy the @n bytes at @s into the @size (not 0) bytes at @out, NUL-terminated: each byte of what
 * is not plain as "\xNN".  Returns what the whole takes, without NUL; from @size on it was cut,
 * between two characters.  What is escaped already stays as it is.  No heap, no stdio. */
size_t kf_escape(char *out, size_t size, const char *s, size_t n);

#endif
