/* SPDX-License-Identifier: Apache-2.0 */
/* The file that names the real runtime of each handler: writing, reading, looking up.  Node set-up
 * (src/node) decides what is in it. */
#include "config/runtime_text.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/sha256.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HEADER	     "kubefence-runtime 1\n"
#define HANDLER_MAX  63
#define RUNTIMES_MAX 256

bool kf_handler_name_valid(const char *name)
{
	size_t n = strlen(name);

	return n >= 1 && n <= HANDLER_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && name[0] != '-' &&
	       name[n - 1] != '-';
}

static bool path_valid(const char *path)
{
	char clean[PATH_MAX];

	return path[0] == '/' && path[1] && !strchr(path, '\n') &&
	       kf_path_clean(path, clean, sizeof(clean)) && strcmp(path, clean) == 0;
}

static int by_handler(const void *a, const void *b)
{
	return strcmp(((const struct kf_runtime *)a)->handler,
		      ((const struct kf_runtime *)b)->handler);
}

/* Check what both the writer and the reader demand; @sorted is in the order of the handlers' names.
 */
static int check_runtimes(const struct kf_runtime *sorted, size_t n, struct kf_err *err)
{
	if (n > RUNTIMES_MAX)
		return kf_fail(err, E2BIG, "more than %d handlers", RUNTIMES_MAX);
	for (size_t i = 0; i < n; i++) {
		if (!kf_handler_name_valid(sorted[i].handler))
			return kf_fail(err, EINVAL, "'%s': not a handler's name",
				       sorted[i].handler);
		if (!path_valid(sorted[i].path))
			return kf_fail(err, EINVAL,
				       "handler '%s': '%s' is not a plain absolute path",
				       sorted[i].handler, sorted[i].path);
		if (i && strcmp(sorted[i - 1].handler, sorted[i].handler) >= 0)
			return kf_fail(err, EINVAL, "handler '%s' twice or out of order",
				       sorted[i].handler);
	}
	return 0;
}

int kf_runtimes_format(const struct kf_runtime *runtimes, size_t n, struct kf_buf *buf,
		       struct kf_err *err)
{
	KF_FREE struct kf_runtime *sorted = calloc(n + 1, sizeof(*sorted));
	char sum[KF_SHA256_HEX + 1];
	size_t start = buf->n;

	if (!sorted)
		return kf_fail_nomem(err, "runtime file");
	if (n)
		memcpy(sorted, runtimes, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_handler);
	if (check_runtimes(sorted, n, err) < 0)
		return -1;
	kf_buf_adds(buf, HEADER);
	for (size_t i = 0; i < n; i++)
		kf_buf_addf(buf, "runtime %s %s\n", sorted[i].handler, sorted[i].path);
	if (buf->failed)
		return kf_fail_nomem(err, "runtime file");
	kf_sha256_hex(buf->p + start, buf->n - start, sum);
	kf_buf_addf(buf, "sum %s\n", sum);
	return buf->failed ? kf_fail_nomem(err, "runtime file") : 0;
}

/* Cut the next line off *@at; NULL at the end or if no newline ends it. */
static char *next_line(char **at)
{
	char *line = *at, *nl = strchr(line, '\n');

	if (!nl)
		return NULL;
	*nl = '\0';
	*at = nl + 1;
	return line;
}

static int parse_lines(char *text, struct kf_runtimes *out, struct kf_err *err)
{
	char *at = text + strlen(HEADER), *line;

	for (unsigned number = 2; *at; number++) {
		char *path;

		line = next_line(&at);
		if (!line || strncmp(line, "runtime ", 8) != 0)
			return kf_fail(err, EINVAL, "line %u: not understood", number);
		line += 8;
		path = strchr(line, ' ');
		if (!path)
			return kf_fail(err, EINVAL, "line %u: no path", number);
		*path++ = '\0';
		if (out->n == RUNTIMES_MAX)
			return kf_fail(err, E2BIG, "more than %d handlers", RUNTIMES_MAX);
		out->v[out->n++] = (struct kf_runtime){.handler = line, .path = path};
	}
	return check_runtimes(out->v, out->n, err);
}

int kf_runtimes_parse(const char *text, size_t n, struct kf_runtimes *ret, struct kf_err *err)
{
	const size_t trailer = strlen("sum ") + KF_SHA256_HEX + 1, header = strlen(HEADER);
	struct kf_runtimes out = {0};
	char sum[KF_SHA256_HEX + 1];

	if (n > KF_LIMIT_CONFIG)
		return kf_fail(err, EFBIG, "runtime file: larger than %d bytes", KF_LIMIT_CONFIG);
	if (n < header + trailer || memcmp(text, HEADER, header) != 0 || memchr(text, '\0', n))
		return kf_fail(err, EINVAL,
			       "runtime file: does not begin with '%.*s'; run "
			       "'kubefence node install'",
			       (int)header - 1, HEADER);
	kf_sha256_hex(text, n - trailer, sum);
	if (memcmp(text + n - trailer, "sum ", 4) != 0 ||
	    memcmp(text + n - trailer + 4, sum, KF_SHA256_HEX) != 0 || text[n - 1] != '\n')
		return kf_fail(err, EINVAL,
			       "runtime file: checksum is missing or wrong; run "
			       "'kubefence node install'");
	out.text = malloc(n - trailer + 1);
	out.v = calloc(RUNTIMES_MAX, sizeof(*out.v));
	if (!out.text || !out.v) {
		kf_runtimes_done(&out);
		return kf_fail_nomem(err, "runtime file");
	}
	memcpy(out.text, text, n - trailer);
	out.text[n - trailer] = '\0';
	if (parse_lines(out.text, &out, err) < 0) {
		kf_runtimes_done(&out);
		return kf_fail_wrap(err, "runtime file");
	}
	*ret = out;
	return 0;
}

void kf_runtimes_done(struct kf_runtimes *runtimes)
{
	free(runtimes->v);
	free(runtimes->text);
	*runtimes = (struct kf_runtimes){0};
}

const char *kf_runtimes_find(const struct kf_runtimes *runtimes, const char *handler)
{
	for (size_t i = 0; i < runtimes->n; i++)
		if (strcmp(runtimes->v[i].handler, handler) == 0)
			return runtimes->v[i].path;
	return NULL;
}
