/* SPDX-License-Identifier: Apache-2.0 */
/* Why something was refused or failed: the word for records and metrics, the HTTP status, and the
 * sentence that the agent reads.  One table. */
#ifndef KF_EGRESS_REASON_H
#define KF_EGRESS_REASON_H

enum kf_egress_verdict { KF_EGRESS_ALLOWED, KF_EGRESS_REFUSED, KF_EGRESS_FAILED };

/* name, word, verdict, status, sentence; "ask" is added to those that a profile can allow. */
#define KF_EGRESS_REASONS(X)                                                                     \
	X(NONE, "", ALLOWED, 200, "")                                                            \
	X(HOST, "host", REFUSED, 403, "the profile does not allow this host")                    \
	X(LOOPBACK, "loopback", REFUSED, 403,                                                    \
	  "this is the pod's own loopback, which is open without the proxy; the client does "    \
	  "not follow NO_PROXY")                                                                 \
	X(DENIED, "host-denied", REFUSED, 403, "the profile denies this host")                   \
	X(PORT, "port", REFUSED, 403, "the profile allows this host on other ports only")        \
	X(METHOD, "request", REFUSED, 403,                                                       \
	  "the profile allows other methods or paths of this host only")                         \
	X(PATH_FORM, "path-form", REFUSED, 403,                                                  \
	  "the path has '..', '//' or a character encoded in vain, and this host is limited to " \
	  "some paths")                                                                          \
	X(ADDRESS, "address", REFUSED, 403,                                                      \
	  "the name leads to an address that is not public, and no range of the profile has it") \
	X(ADDRESS_FORM, "address-form", REFUSED, 403, "an address in place of a name")           \
	X(NAME_FORM, "name-form", REFUSED, 400, "this is not a host name")                       \
	X(ROUTE, "route", REFUSED, 404,                                                          \
	  "the broker has no such route, and a proxy is asked with a whole URL")                 \
	X(ORIGIN, "origin", REFUSED, 403,                                                        \
	  "a route serves programs of the pod, not pages of other "                              \
	  "sites")                                                                               \
	X(NOT_TLS, "not-tls", REFUSED, 403, "what follows CONNECT must be TLS")                  \
	X(NO_SNI, "no-sni", REFUSED, 403, "the TLS hello names no host")                         \
	X(SNI, "sni", REFUSED, 403, "the TLS hello names another host than CONNECT did")         \
	X(ECH, "ech", REFUSED, 403, "the TLS hello hides the host's name (ECH)")                 \
	X(HEAD, "malformed", FAILED, 400, "the request is not well-formed HTTP")                 \
	X(HEAD_SIZE, "head-size", FAILED, 431, "the request's head is too long")                 \
	X(SLOW, "slow", FAILED, 408, "the request did not arrive in time")                       \
	X(RESOLVE, "resolve", FAILED, 502, "the name cannot be resolved")                        \
	X(CONNECT, "connect", FAILED, 502, "no connection to the host")                          \
	X(TLS, "tls", FAILED, 502,                                                               \
	  "no TLS connection to the host, or its certificate is not "                            \
	  "trusted")                                                                             \
	X(SECRET, "secret", FAILED, 502, "the route's key cannot be read")                       \
	X(ANSWER, "answer", FAILED, 502, "the host's answer is not well-formed HTTP")            \
	X(TIMEOUT, "timeout", FAILED, 504, "the host did not answer in time")                    \
	X(BROKEN, "broken", FAILED, 502, "the connection broke")                                 \
	X(BUSY, "busy", FAILED, 503, "the broker has no socket or memory left")

enum kf_egress_reason {
#define KF_EGRESS_ENUM(name, word, verdict, status, text) KF_EGRESS_WHY_##name,
	KF_EGRESS_REASONS(KF_EGRESS_ENUM)
#undef KF_EGRESS_ENUM
};

struct kf_egress_reason_text {
	const char *word;
	enum kf_egress_verdict verdict;
	int status;
	const char *text;
};

/* Never NULL. */
const struct kf_egress_reason_text *kf_egress_reason(enum kf_egress_reason reason);
/* The one with that word, as records have it; NULL if there is none. */
const struct kf_egress_reason_text *kf_egress_reason_of(const char *word);

#endif
