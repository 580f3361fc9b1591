/* SPDX-License-Identifier: Apache-2.0 */
/* The rules by which a pod's traffic may leave it: what the plan decided, as flat text that the
 * broker's worker reads.  Lines as in a policy: versioned, with a checksum at the end. */
#ifndef KF_EGRESS_RULES_H
#define KF_EGRESS_RULES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* The text.  Words are separated by one space; there are no comments and no empty lines.
 *
 *     nono-egress 1
 *     name PROFILE                  the second line, as in a policy
 *     ask TEXT                      whom a refusal tells the agent to ask; at most once
 *     host PATTERN PORTS            a host that may be reached
 *       allow METHODS PREFIX          requests to it that the broker sees (plain HTTP) must be one
 *                                     of these; without such a line all may be made
 *     deny PATTERN                  never, whatever "host" says and however exactly
 *     secret NAME                   a Secret of the pod's, at most KF_LIMIT_EGRESS_DIRS: in the
 *                                   order of these lines the worker is given their directories
 *     grant RANGE                   addresses that a name may lead to though they are not public
 *     refuse RANGE WORD             addresses that it may not, and what they are: "node",
 *                                   "api-server"
 *     route PATH URL                requests for PATH on the loopback go to URL, an https one
 *       allow METHODS PREFIX          as for a host; PREFIX counts from the route's own path
 *       credential DIR KEY HEADER plain|bearer
 *       credential DIR KEY HEADER basic USER
 *       env NAME                      is set to the route's URL in the pod, unless it has it
 *       placeholder NAME              is set to KF_EGRESS_PLACEHOLDER, likewise
 *     sum HEX                       SHA-256 of all before it
 *
 * "allow" and the three below it belong to the host or route above; no line begins with a space.
 *
 * PATTERN  a name in lower case, "*.suffix" for all names below the suffix and not itself, or an
 *          address as inet_ntop() writes it.
 * PORTS    "443", "80,443", "8000-8010".
 * METHODS  "*", "GET", "GET,HEAD".
 * PREFIX   a path: what is it, or below it.  "/" is everything.
 * RANGE    ADDRESS/BITS.  Of all that contain an address, built-in ones (address.h) too, the
 *          longest decides; of two as long a "grant".
 * DIR      index of the "secret" line, from 0, and of the worker's "--secrets"; KEY a file there.
 *
 * A route's own host needs no "host" line, and gets none by the route: only the route leads to it.
 */

#define KF_EGRESS_HEADER      "nono-egress 1\n"
/* What a client gets that insists on a token: it opens nothing. */
#define KF_EGRESS_PLACEHOLDER "nono-egress-adds-the-key"
/* The port in a pod, unless something there listens on it. */
#define KF_EGRESS_PORT	      3128
#define KF_EGRESS_PORT_TEXT   "3128"

struct kf_egress_range {
	struct kf_egress_range *next;
	struct in6_addr address; /* IPv4 as ::ffff:a.b.c.d, with 96 more bits */
	unsigned bits;
	bool grant;
	const char *what; /* a refused range: the word */
};

struct kf_egress_allow {
	struct kf_egress_allow *next;
	const char *methods; /* "*", or separated by commas */
	const char *prefix;
};

struct kf_egress_ports {
	uint16_t first, last;
};

struct kf_egress_host {
	struct kf_egress_host *next;
	const char *name; /* without "*." */
	bool suffix;
	struct kf_egress_ports *ports; /* none for "deny" */
	unsigned nports;
	struct kf_egress_allow *allows; /* NULL: all */
};

enum kf_egress_form { KF_EGRESS_PLAIN, KF_EGRESS_BEARER, KF_EGRESS_BASIC };

struct kf_egress_credential {
	struct kf_egress_credential *next;
	unsigned dir;
	const char *key, *header;
	enum kf_egress_form form;
	const char *user; /* of KF_EGRESS_BASIC, else NULL */
};

/* Variables of the pod. */
struct kf_egress_env {
	struct kf_egress_env *next;
	const char *name;
	bool placeholder; /* else the route's URL */
};

struct kf_egress_route {
	struct kf_egress_route *next;
	const char *path;     /* "/anthropic" */
	const char *host;     /* of the upstream */
	const char *upstream; /* path there, without a '/' at the end: "" or "/base" */
	uint16_t port;
	struct kf_egress_allow *allows;
	struct kf_egress_credential *credentials;
	struct kf_egress_env *env;
};

/* Lists in the text's order. */
struct kf_egress_rules {
	const char *profile, *ask; /* @ask may be NULL */
	struct kf_egress_host *hosts, *denies;
	struct kf_egress_range *ranges;
	struct kf_egress_route *routes;
	unsigned ndirs; /* one more than the highest DIR */
	const char *secrets[KF_LIMIT_EGRESS_DIRS];
	unsigned nsecrets;
	struct kf_arena arena;
};

/* Read the @n bytes at @text.  *ret is released with kf_egress_rules_done().  Returns 0, or -1 with
 * *err naming the line. */
int kf_egress_rules_parse(const char *text, size_t n, struct kf_egress_rules *ret,
			  struct kf_err *err);
void kf_egress_rules_done(struct kf_egress_rules *rules);

/* Append the lines for the broker that the flat policy text of a profile has (flat/flat.h), without
 * header and name. */
void kf_egress_rules_of_policy(const char *text, size_t n, struct kf_buf *out);
/* Append the rules of the profile with that policy text, whole and sealed. */
void kf_egress_rules_whole(const char *text, size_t n, struct kf_buf *out);
/* Append the line with the checksum to @text, all of which is the rules so far. */
void kf_egress_rules_seal(struct kf_buf *text);
/* Check header, characters and checksum; *ret_body is how much lies before the checksum's line.
 * Whoever adds lines (the parent: "refuse" for its node) takes that much and seals again. */
int kf_egress_rules_check(const char *text, size_t n, size_t *ret_body, struct kf_err *err);

/* Append the policy text of a container in a network that is closed, sealed: that of its profile,
 * and that no socket may be made that no rule sees.  @broker: its own profile has hosts, so that it
 * reaches the broker's port, whichever ports it is limited to.  @more: further lines. */
void kf_egress_close_policy(const char *text, size_t n, bool broker, const char *more,
			    struct kf_buf *out);

/* The environment of a program whose broker listens on @port of the loopback: proxies, and what the
 * routes say.  Calls @set for each; what the program has already is for the caller to leave. */
void kf_egress_environment(const struct kf_egress_rules *rules, uint16_t port,
			   void (*set)(void *ctx, const char *name, const char *value), void *ctx);

#endif
