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

/* Two readers of a request with two hosts would take one each. */
static int take_host(struct http_span value, struct kf_http_request *ret)
{
	while (value.n && (*value.p == ' ' || *value.p == '\t')) {
		value.p++;
		value.n--;
	}
	while (value.n && (value.p[value.n - 1] == ' ' || value.p[value.n - 1] == '\t'))
		value.n--;
	if (ret->host)
		return BAD;
	ret->host = value.p;
	ret->nhost = value.n;
	return OK;
}

static int check_header(struct http_span header, struct kf_http_request *ret)
{
	static const char host[] = "host";

	if (header.p[0] == ' ' || header.p[0] == '\t' || !memchr(header.p, ':', header.n))
		return BAD;
	if (has_name(header, host))
		return take_host(
			(struct http_span){header.p + sizeof(host), header.n - sizeof(host)}, ret);
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
			status = check_header(line, &request);
		if (!line.n)
			return BAD;
	}
	return n >= KF_HTTP_REQUEST_MAX ? TOO_LARGE : MORE;
}

bool kf_http_request_by_address(const struct kf_http_request *request)
{
	static const char local[] = "localhost", digits[] = "0123456789",
			  hex[] = "0123456789abcdefABCDEF:.";
	struct http_span name = {request->host, request->nhost};
	const char *port;

	if (!name.n)
		return true;
	port = memrchr(name.p, ':', name.n);
	/* Within brackets colons belong to the address. */
	if (port && !memchr(port, ']', name.n - (size_t)(port - name.p))) {
		for (const char *at = port + 1; at < name.p + name.n; at++)
			if (!memchr(digits, *at, sizeof(digits) - 1))
				return false;
		name.n = (size_t)(port - name.p);
	}
	if (name.n == sizeof(local) - 1 && strncasecmp(name.p, local, name.n) == 0)
		return true;
	if (name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']') {
		for (size_t i = 1; i + 1 < name.n; i++)
			if (!memchr(hex, name.p[i], sizeof(hex) - 1))
				return false;
		return true;
	}
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] != '.' && !memchr(digits, name.p[i], sizeof(digits) - 1))
			return false;
	return name.n > 0;
}
