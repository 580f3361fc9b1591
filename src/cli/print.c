/* SPDX-License-Identifier: Apache-2.0 */
/* The only functions that print what others may have written; a test of the tree checks that.  Logs
 * of daemons are written by base/log.c. */
#include "cli/print.h"

#include "base/buf.h"
#include "base/escape.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Twice what kubectl may answer (cluster/cluster.c): escaped, a text is longer. */
#define PRINT_MAX ((size_t)1024 * 1024 * 1024)

static void print_buffer(FILE *out, struct kf_buf *text)
{
	if (text->failed)
		fputs("(out of memory)\n", out);
	else
		(void)fwrite(text->p, 1, text->n, out);
	kf_buf_done(text);
}

void kf_print_line(FILE *out, const char *fmt, ...)
{
	struct kf_buf line = KF_BUF_INIT(PRINT_MAX);
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		line.failed = true;
	else
		kf_buf_add_line(&line, "%s", text);
	print_buffer(out, &line);
	if (n >= 0)
		free(text);
}

void kf_print_text(FILE *out, const char *text)
{
	struct kf_buf lines = KF_BUF_INIT(PRINT_MAX);
	size_t left = strlen(text);

	while (left) {
		char piece[17];
		bool plain;
		size_t len = kf_escape_next(text, left, &plain);

		if (plain || *text == '\n' || *text == '\t')
			kf_buf_add(&lines, text, len);
		else
			kf_buf_add(&lines, piece, kf_escape(piece, sizeof(piece), text, len));
		text += len;
		left -= len;
	}
	if (lines.n || lines.failed)
		print_buffer(out, &lines);
}

/* Escape DEL and bytes beyond ASCII: they occur in strings only, and json-c has escaped the control
 * characters below. */
void kf_print_json(FILE *out, struct json_object *object, int flags)
{
	const char *text = json_object_to_json_string_ext(object, flags);
	struct kf_buf json = KF_BUF_INIT(PRINT_MAX);

	if (!text) {
		json.failed = true;
		text = "";
	}
	while (*text) {
		size_t ascii = 0, other = 0;
		char *string;

		while ((text[ascii] >= 0x20 && text[ascii] < 0x7f) || text[ascii] == '\n')
			ascii++;
		while (text[ascii + other] &&
		       (text[ascii + other] >= 0x7f || text[ascii + other] < 0x20) &&
		       text[ascii + other] != '\n')
			other++;
		kf_buf_add(&json, text, ascii);
		string = strndup(text + ascii, other);
		if (string)
			kf_buf_add_json(&json, string);
		else
			json.failed = true;
		free(string);
		text += ascii + other;
	}
	kf_buf_adds(&json, "\n");
	print_buffer(out, &json);
}

bool kf_print_colours(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(out)) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

int kf_print_raw(FILE *out, const char *data, size_t n)
{
	return fwrite(data, 1, n, out) == n && fflush(out) == 0 ? 0 : -1;
}
