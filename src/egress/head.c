/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of HTTP/1 heads.  It knows no socket and no rule.  Bodies are framed in body.c. */
#include "egress/head.h"

#include "base/cleanup.h"

#include <string.h>
#include <strings.h>

#define METHOD_MAX	32
#define LENGTH_MAX	15 /* digits */

#define wrong(sentence) (*ret_why = (sentence), -1)

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct kf_egress_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_token_char(s.p[i]))
			return false;
	return s.n;
}

bool kf_egress_span_is(struct kf_egress_span s, const char *word)
{
	return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

bool kf_egress_span_case(struct kf_egress_span s, const char *word)
{
	return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

ssize_t kf_egress_head_end(const char *text, size_t n, size_t seen)
{
	for (size_t i = seen > 3 ? seen - 3 : 0; i < n; i++) {
		const unsigned char c = (unsigned char)text[i];

		if (c == '\r' && i + 1 < n && text[i + 1] != '\n')
			return -1;
		if ((c == '\n' && (!i || text[i - 1] != '\r')) || c == 0x7f ||
		    (c < 0x20 && c != '\r' && c != '\n' && c != '\t'))
			return -1;
		if (c == '\n' && i >= 3 && text[i - 2] == '\n')
			return (ssize_t)i + 1;
	}
	return 0;
}

/* ---- lines ---- */

/* Take the next line off @text, without its end. */
static struct kf_egress_span next_line(struct kf_egress_span *text)
{
	const char *end = memchr(text->p, '\r', text->n);
	struct kf_egress_span line = {text->p, end ? (size_t)(end - text->p) : text->n};
	size_t used = line.n + (end ? 2 : 0);

	used = used < text->n ? used : text->n;
	text->p += used;
	text->n -= used;
	return line;
}

/* Take a word off @line, and the one space behind it. */
static struct kf_egress_span next_word(struct kf_egress_span *line)
{
	const char *space = memchr(line->p, ' ', line->n);
	struct kf_egress_span word = {line->p, space ? (size_t)(space - line->p) : line->n};

	line->p += word.n + (space != NULL);
	line->n -= word.n + (space != NULL);
	return word;
}

static bool read_version(struct kf_egress_span s, bool *ret_one_zero)
{
	*ret_one_zero = kf_egress_span_is(s, "HTTP/1.0");
	return *ret_one_zero || kf_egress_span_is(s, "HTTP/1.1");
}

static struct kf_egress_span trim_span(struct kf_egress_span s)
{
	while (s.n && (*s.p == ' ' || *s.p == '\t'))
		s.p++, s.n--;
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* ---- targets ---- */

bool kf_egress_head_authority(struct kf_egress_span s, struct kf_egress_span *ret_host,
			      uint16_t *ret_port)
{
	const char *close, *from, *colon;
	unsigned port = 0;

	*ret_host = s;
	if (!s.n)
		return false;
	close = *s.p == '[' ? memchr(s.p, ']', s.n) : NULL;
	from = close ? close : s.p;
	colon = memchr(from, ':', s.n - (size_t)(from - s.p));
	if (*s.p == '[' && (!close || (close + 1 != s.p + s.n && close[1] != ':')))
		return false;
	if (colon) {
		ret_host->n = (size_t)(colon - s.p);
		for (const char *c = colon + 1; c < s.p + s.n; c++) {
			if (*c < '0' || *c > '9')
				return false;
			port = 10 * port + (unsigned)(*c - '0');
			if (port > UINT16_MAX)
				return false;
		}
		if (!port || colon[1] == '0')
			return false;
		*ret_port = (uint16_t)port;
	}
	return ret_host->n;
}

static int read_absolute(struct kf_egress_span target, struct kf_egress_head *ret,
			 const char **ret_why)
{
	static const char scheme[] = "http://";
	const size_t n = sizeof(scheme) - 1;
	size_t end = n;

	if (target.n < n || strncasecmp(target.p, scheme, n) != 0)
		return wrong("the target is neither a path nor an http URL; https goes by CONNECT");
	while (end < target.n && target.p[end] != '/' && target.p[end] != '?')
		end++;
	if (end < target.n && target.p[end] == '?')
		return wrong("the URL has a query and no path");
	ret->target = KF_EGRESS_ABSOLUTE;
	ret->port = 80;
	ret->path = end < target.n ? (struct kf_egress_span){target.p + end, target.n - end}
				   : (struct kf_egress_span){"/", 1};
	if (!kf_egress_head_authority((struct kf_egress_span){target.p + n, end - n}, &ret->host,
				      &ret->port))
		return wrong("the URL's host cannot be read");
	return 0;
}

static int read_target(struct kf_egress_span target, struct kf_egress_head *ret,
		       const char **ret_why)
{
	for (size_t i = 0; i < target.n; i++)
		if (target.p[i] <= ' ' || target.p[i] >= 0x7f || target.p[i] == '#')
			return wrong("the target has a character that can be in none");
	if (kf_egress_span_is(ret->method, "CONNECT")) {
		ret->target = KF_EGRESS_AUTHORITY;
		if (!kf_egress_head_authority(target, &ret->host, &ret->port) || !ret->port)
			return wrong("CONNECT needs HOST:PORT");
		return 0;
	}
	if (target.n && *target.p == '/') {
		ret->target = KF_EGRESS_ORIGIN;
		ret->path = target;
		return 0;
	}
	return read_absolute(target, ret, ret_why);
}

static int read_request_line(struct kf_egress_span line, struct kf_egress_head *ret,
			     const char **ret_why)
{
	struct kf_egress_span target;

	ret->method = next_word(&line);
	target = next_word(&line);
	if (!is_token(ret->method) || ret->method.n > METHOD_MAX)
		return wrong("the method cannot be read");
	if (!target.n || !read_version(line, &ret->one_zero))
		return wrong("the request line is not 'METHOD TARGET HTTP/1.1'");
	return read_target(target, ret, ret_why);
}

static int read_status_line(struct kf_egress_span line, struct kf_egress_head *ret,
			    const char **ret_why)
{
	struct kf_egress_span version = next_word(&line), status = next_word(&line);

	if (!read_version(version, &ret->one_zero) || status.n != 3)
		return wrong("the status line is not 'HTTP/1.1 STATUS REASON'");
	for (size_t i = 0; i < 3; i++) {
		if (status.p[i] < '0' || status.p[i] > '9')
			return wrong("the status is not a number");
		ret->status = 10 * ret->status + (status.p[i] - '0');
	}
	if (ret->status < 100)
		return wrong("the status is below 100");
	ret->reason = line;
	return 0;
}

/* ---- fields ---- */

/* Whether the list @value, separated by commas, has @word. */
static bool has_word(struct kf_egress_span value, const char *word)
{
	while (value.n) {
		const char *comma = memchr(value.p, ',', value.n);
		size_t n = comma ? (size_t)(comma - value.p) : value.n;

		if (kf_egress_span_case(trim_span((struct kf_egress_span){value.p, n}), word))
			return true;
		value.p += n + (comma != NULL);
		value.n -= n + (comma != NULL);
	}
	return false;
}

static int read_length(struct kf_egress_span value, struct kf_egress_head *ret,
		       const char **ret_why)
{
	uint64_t length = 0;

	if (ret->has_length)
		return wrong("there are two lengths");
	if (!value.n || value.n > LENGTH_MAX)
		return wrong("the length is not a number");
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return wrong("the length is not a number");
		length = 10 * length + (uint64_t)(value.p[i] - '0');
	}
	ret->has_length = true;
	ret->length = length;
	return 0;
}

static int read_coding(struct kf_egress_span value, struct kf_egress_head *ret,
		       const char **ret_why)
{
	if (ret->framing == KF_EGRESS_CHUNKED || !kf_egress_span_case(value, "chunked"))
		return wrong("the transfer coding is not 'chunked', once");
	if (ret->one_zero)
		return wrong("HTTP/1.0 has no transfer coding");
	ret->framing = KF_EGRESS_CHUNKED;
	return 0;
}

static int read_host_field(struct kf_egress_span value, struct kf_egress_head *ret,
			   const char **ret_why)
{
	if (ret->host_field.p)
		return wrong("there are two Host fields");
	ret->host_field = value;
	return 0;
}

static int read_connection(struct kf_egress_span value, struct kf_egress_head *ret,
			   const char **ret_why)
{
	(void)ret_why;
	if (has_word(value, "close"))
		ret->close = true;
	if (has_word(value, "upgrade"))
		ret->upgrade = true;
	return 0;
}

static int read_upgrade(struct kf_egress_span value, struct kf_egress_head *ret,
			const char **ret_why)
{
	if (ret->upgrade_to.p)
		return wrong("there are two Upgrade fields");
	ret->upgrade_to = value;
	return 0;
}

/* What a field does to the message, beside being passed on. */
static int apply_field(const struct kf_egress_field *field, struct kf_egress_head *ret,
		       const char **ret_why)
{
	static const struct {
		const char *name;
		int (*read)(struct kf_egress_span value, struct kf_egress_head *ret,
			    const char **ret_why);
	} known[] = {
		{"content-length", read_length}, {"transfer-encoding", read_coding},
		{"host", read_host_field},	 {"connection", read_connection},
		{"upgrade", read_upgrade},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(known); i++)
		if (kf_egress_span_case(field->name, known[i].name))
			return known[i].read(field->value, ret, ret_why);
	return 0;
}

static int read_field(struct kf_egress_span line, struct kf_egress_head *ret, const char **ret_why)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct kf_egress_field *field;

	if (*line.p == ' ' || *line.p == '\t')
		return wrong("a field is folded over two lines");
	if (ret->nfields == KF_EGRESS_FIELDS_MAX)
		return wrong("there are too many fields");
	if (!colon)
		return wrong("a line is not 'NAME: VALUE'");
	field = &ret->fields[ret->nfields++];
	field->name = (struct kf_egress_span){line.p, (size_t)(colon - line.p)};
	if (!is_token(field->name))
		return wrong("a field's name has a character that can be in none");
	field->value = trim_span((struct kf_egress_span){colon + 1, line.n - field->name.n - 1});
	return apply_field(field, ret, ret_why);
}

static int read_fields(struct kf_egress_span rest, struct kf_egress_head *ret, const char **ret_why)
{
	for (;;) {
		struct kf_egress_span line = next_line(&rest);

		if (!line.n)
			break;
		if (read_field(line, ret, ret_why) < 0)
			return -1;
	}
	if (rest.n)
		return wrong("the head goes on behind its end");
	if (ret->framing == KF_EGRESS_CHUNKED && ret->has_length)
		return wrong("there is a length and a transfer coding");
	if (ret->one_zero)
		ret->close = true;
	ret->upgrade = ret->upgrade && ret->upgrade_to.n && !ret->one_zero;
	return 0;
}

int kf_egress_head_request(const char *text, size_t n, struct kf_egress_head *ret,
			   const char **ret_why)
{
	struct kf_egress_span rest = {text, n};

	memset(ret, 0, offsetof(struct kf_egress_head, fields));
	ret->nfields = 0;
	if (kf_egress_head_end(text, n, 0) != (ssize_t)n)
		return wrong("the head has bare line ends or control characters");
	if (read_request_line(next_line(&rest), ret, ret_why) < 0 ||
	    read_fields(rest, ret, ret_why) < 0)
		return -1;
	if (ret->framing != KF_EGRESS_CHUNKED && ret->has_length && ret->length)
		ret->framing = KF_EGRESS_LENGTH;
	if (ret->target == KF_EGRESS_AUTHORITY &&
	    (ret->framing != KF_EGRESS_NO_BODY || ret->has_length))
		return wrong("CONNECT has no body");
	if (!ret->host_field.p && !ret->one_zero && ret->target != KF_EGRESS_AUTHORITY)
		return wrong("there is no Host field");
	return 0;
}

int kf_egress_head_answer(const char *text, size_t n, bool to_head, struct kf_egress_head *ret,
			  const char **ret_why)
{
	struct kf_egress_span rest = {text, n};

	memset(ret, 0, offsetof(struct kf_egress_head, fields));
	ret->nfields = 0;
	if (kf_egress_head_end(text, n, 0) != (ssize_t)n)
		return wrong("the head has bare line ends or control characters");
	if (read_status_line(next_line(&rest), ret, ret_why) < 0 ||
	    read_fields(rest, ret, ret_why) < 0)
		return -1;
	if (to_head || ret->status < 200 || ret->status == 204 || ret->status == 304) {
		if (ret->framing == KF_EGRESS_CHUNKED && ret->status < 200)
			return wrong("an interim answer has a transfer coding");
		ret->framing = KF_EGRESS_NO_BODY;
	} else if (ret->framing != KF_EGRESS_CHUNKED) {
		ret->framing = !ret->has_length ? KF_EGRESS_UNTIL_CLOSE
			       : ret->length	? KF_EGRESS_LENGTH
						: KF_EGRESS_NO_BODY;
	}
	if (ret->framing == KF_EGRESS_UNTIL_CLOSE)
		ret->close = true;
	return 0;
}

bool kf_egress_head_hop(const struct kf_egress_head *head, struct kf_egress_span name)
{
	static const char *const hops[] = {
		"connection", "keep-alive",	    "proxy-connection", "proxy-authorization",
		"te",	      "proxy-authenticate", "trailer",		"transfer-encoding",
		"upgrade",    "http2-settings",
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(hops); i++)
		if (kf_egress_span_case(name, hops[i]))
			return true;
	for (size_t i = 0; i < head->nfields; i++) {
		const struct kf_egress_field *f = &head->fields[i];
		char word[64];

		if (!kf_egress_span_case(f->name, "connection") || name.n >= sizeof(word))
			continue;
		memcpy(word, name.p, name.n);
		word[name.n] = '\0';
		if (has_word(f->value, word))
			return true;
	}
	return false;
}
