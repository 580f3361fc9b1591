/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of HTTP/1 requests and answers.  Two programs that read one head in two ways are how
 * requests are smuggled: what could be read in two ways is refused. */
#ifndef KF_EGRESS_HEAD_H
#define KF_EGRESS_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* First line and headers of a request or an answer; servers take 8 to 64 KiB. */
#define KF_EGRESS_HEAD_MAX   (32 * 1024)
#define KF_EGRESS_FIELDS_MAX 128

/* Part of a head: neither owned nor terminated. */
struct kf_egress_span {
	const char *p;
	size_t n;
};

struct kf_egress_field {
	struct kf_egress_span name, value;
};

enum kf_egress_framing {
	KF_EGRESS_NO_BODY,
	KF_EGRESS_LENGTH,
	KF_EGRESS_CHUNKED,
	KF_EGRESS_UNTIL_CLOSE, /* answers only */
};

enum kf_egress_target {
	KF_EGRESS_ORIGIN,    /* "/path" */
	KF_EGRESS_ABSOLUTE,  /* "http://host/path" */
	KF_EGRESS_AUTHORITY, /* "host:port", of CONNECT only */
};

struct kf_egress_head {
	bool one_zero; /* HTTP/1.0, else 1.1 */
	/* of a request */
	struct kf_egress_span method;
	enum kf_egress_target target;
	struct kf_egress_span host; /* of an absolute URL and of CONNECT; brackets included */
	uint16_t port;
	struct kf_egress_span path;	  /* with the query; "/" if an absolute URL has none */
	struct kf_egress_span host_field; /* value of "Host"; p is NULL if there is none */
	/* of an answer */
	int status;
	struct kf_egress_span reason;

	enum kf_egress_framing framing;
	uint64_t length;
	bool has_length; /* also where there is no body */
	bool close;	 /* the sender closes, or cannot keep the connection */
	bool upgrade;	 /* "Connection: upgrade" with @upgrade_to */
	struct kf_egress_span upgrade_to;
	struct kf_egress_field fields[KF_EGRESS_FIELDS_MAX];
	size_t nfields;
};

/* How long the head is that begins the @n bytes at @text, of which the first @seen were looked at
 * before: 0 if more must come, -1 if it can be no head. */
ssize_t kf_egress_head_end(const char *text, size_t n, size_t seen);

/* Read a whole head of @n bytes.  *ret points into @text.  Returns 0; or -1 and *ret_why, a
 * sentence. */
int kf_egress_head_request(const char *text, size_t n, struct kf_egress_head *ret,
			   const char **ret_why);
/* The same for the answer to a request whose method was HEAD or not. */
int kf_egress_head_answer(const char *text, size_t n, bool to_head, struct kf_egress_head *ret,
			  const char **ret_why);

/* "NAME:PORT" or "NAME", as in "Host"; without a port *ret_port stays as it is. */
bool kf_egress_head_authority(struct kf_egress_span s, struct kf_egress_span *ret_host,
			      uint16_t *ret_port);

bool kf_egress_span_is(struct kf_egress_span s, const char *word);
bool kf_egress_span_case(struct kf_egress_span s, const char *word);

/* Whether the field is for this hop alone: listed in RFC 9110, or named by @head's "Connection".
 * What frames the message is such a field, too. */
bool kf_egress_head_hop(const struct kf_egress_head *head, struct kf_egress_span name);

#endif
