/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing one HTTP request. */
#ifndef KF_OBSERVE_HTTP_REQUEST_H
#define KF_OBSERVE_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/* The size of request line and headers together. */
#define KF_HTTP_REQUEST_MAX 8192

struct kf_http_request {
	bool head;	  /* HEAD, else GET */
	const char *path; /* within the text, @npath bytes, without the query */
	size_t npath;
	const char *host; /* how the client calls us, within the text; NULL if it does not say */
	size_t nhost;
};

/* Read a request of which @n bytes at @text have arrived.  Returns 0 if more is needed, 200 if *ret
 * is set, or the status to refuse the request with.  Only GET and HEAD without a body are accepted.
 */
int kf_http_request_parse(const char *text, size_t n, struct kf_http_request *ret);
/* Whether the client calls us by an address, by "localhost" or not at all: a name that somebody
 * else's name server may lead here is none of these. */
bool kf_http_request_by_address(const struct kf_http_request *request);

#endif
