/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of an HTTP request: the request line and those headers that matter.  It knows no
 * socket; connections are in http.c. */
#include "observe/http_request.h"

#include <string.h>
#include <strings.h>

enum { MORE = 0, OK = 200, BAD = 400, METHOD = 405, BODY = 413, TOO_LARGE = 431 };

/* Part of a request: neither owned nor terminated. */
struct http_span {
	const char *p;
	size_t n;
};

/* Take the next line off @text, without its end; false if the line is not complete. */
static bool next_line(struct http_span *text, struct http_span *ret)
{
	const char *end = memchr(text->p, '\n', text->n);

	if (!end)
		return false;
	*ret = (struct http_span){text->p, (size_t)(end - text->p)};
	text->n -= ret->n + 1;
	text->p = end + 1;
	if (ret->n && ret->p[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

static bool has_control(struct http_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return true;
	return false;
}

static bool is_word(struct http_span s, const char *word)
{
	return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

/* Take a word off @line, and the one space behind it. */
static struct http_span next_word(struct http_span *line)
{
	const char *space = memchr(line->p, ' ', line->n);
	struct http_span word = {line->p, space ? (size_t)(space - line->p) : line->n};

	line->p += word.n + (space != NULL);
	line->n -= word.n + (space != NULL);
	return word;
}

/* Find the path of "/path?query" and of "http://host/path?query", which proxies send. */
static bool find_path(struct http_span target, struct kf_http_request *ret)
{
	static const char scheme[] = "http://";
	const size_t n = sizeof(scheme) - 1;

	if (target.n > n && strncasecmp(target.p, scheme, n) == 0) {
		const char *slash = memchr(target.p + n, '/', target.n - n);

		if (!slash)
			return false;
		target.n -= (size_t)(slash - target.p);
		target.p = slash;
	}
	if (!target.n || target.p[0] != '/')
		return false;
	ret->path = target.p;
	for (ret->npath = 1; ret->npath < target.n; ret->npath++)
		if (target.p[ret->npath] == '?' || target.p[ret->npath] == '#')
			break;
	return true;
}

static int parse_line(struct http_span line, struct kf_http_request *ret)
{
	struct http_span method = next_word(&line), target = next_word(&line);

	if (!method.n || !find_path(target, ret) ||
	    (!is_word(line, "HTTP/1.1") && !is_word(line, "HTTP/1.0")))
		return BAD;
	ret->head = is_word(method, "HEAD");
	return ret->head || is_word(method, "GET") ? OK : METHOD;
}

static bool has_name(struct http_span header, const char *name)
{
	size_t n = strlen(name);

	return header.n > n && header.p[n] == ':' && strncasecmp(header.p, name, n) == 0;
}

static int check_header(struct http_span header)
{
	if (header.p[0] == ' ' || header.p[0] == '\t' || !memchr(header.p, ':', header.n))
		return BAD;
	if (has_name(header, "transfer-encoding"))
		return BODY;
	if (!has_name(header, "content-length"))
		return OK;
	for (size_t i = sizeof("content-length"); i < header.n; i++)
		if (!strchr("0 \t", header.p[i]))
			return BODY;
	return OK;
}

int kf_http_request_parse(const char *text, size_t n, struct kf_http_request *ret)
{
	struct http_span rest = {text, n}, line;
	struct kf_http_request request = {0};
	int status = MORE;

	/* The first mistake decides, but only when the whole request has arrived: an answer while
	 * the client still sends would be lost. */
	while (next_line(&rest, &line)) {
		if (!line.n && status == OK)
			*ret = request;
		if (!line.n && status)
			return status;
		if (has_control(line))
			return BAD;
		if (!status)
			status = line.n ? parse_line(line, &request) : BAD;
		else if (status == OK)
			status = check_header(line);
		if (!line.n)
			return BAD;
	}
	return n >= KF_HTTP_REQUEST_MAX ? TOO_LARGE : MORE;
}
