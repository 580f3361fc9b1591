/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_OBSERVE_HTTP_REQUEST_H
#define KF_OBSERVE_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

/* Request line and headers together. */
#define KF_HTTP_REQUEST_MAX 8192

struct kf_http_request {
	bool head;	  /* HEAD, else GET */
	const char *path; /* within the text, @npath bytes, without the query */
	size_t npath;
};

/* Read the request of which @n bytes at @text have come so far.  0: more is needed; 200: *ret is
 * set; any other number is the status to refuse it with.  Only what asks, and sends no body, is
 * accepted. */
int kf_http_request_parse(const char *text, size_t n, struct kf_http_request *ret);

#endif
