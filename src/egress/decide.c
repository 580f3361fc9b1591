/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions by the rules: pure functions.  Addresses are decided about in address.c. */
#include "egress/decide.h"

#include <string.h>

/* ---- hosts ---- */

static bool matches_name(const struct kf_egress_host *host, const char *name)
{
	const size_t n = strlen(name), suffix = strlen(host->name);

	if (!host->suffix)
		return strcmp(name, host->name) == 0;
	return n > suffix + 1 && name[n - suffix - 1] == '.' &&
	       strcmp(name + n - suffix, host->name) == 0;
}

static bool has_port(const struct kf_egress_host *host, uint16_t port)
{
	for (unsigned i = 0; i < host->nports; i++)
		if (port >= host->ports[i].first && port <= host->ports[i].last)
			return true;
	return false;
}

static bool is_denied(const struct kf_egress_rules *rules, const char *name)
{
	for (const struct kf_egress_host *h = rules->denies; h; h = h->next)
		if (matches_name(h, name))
			return true;
	return false;
}

/* ---- paths ---- */

/* An encoded slash, which some servers take for one and others for a part of a name.  A prefix,
 * which has none, does not match it; what only a slash makes dangerous is refused. */
#define CODED_SLASH '\1'

/* A path in the form in which prefixes are compared: characters decoded, query cut off. */
struct plain_path {
	char p[KF_EGRESS_HEAD_MAX];
	size_t n;
};

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_byte(struct kf_egress_span s, size_t at)
{
	int high = at + 2 < s.n ? hex_value(s.p[at + 1]) : -1;
	int low = at + 2 < s.n ? hex_value(s.p[at + 2]) : -1;

	return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* False if servers could find another path than we do: "..", "//", what is encoded twice. */
static bool make_plain(struct kf_egress_span path, struct plain_path *ret)
{
	static const char slashes[] = {'/', CODED_SLASH, '\0'};
	static const char ends[] = {'/', CODED_SLASH, ';', '\0'};

	ret->n = 0;
	for (size_t i = 0; i < path.n && path.p[i] != '?'; i++) {
		int c = (unsigned char)path.p[i];

		if (c == '%') {
			c = read_byte(path, i);
			i += 2;
			if (c < ' ' || c == 0x7f || c == '%')
				return false;
			c = c == '/' ? CODED_SLASH : c;
		}
		if (c == '\\' || ret->n == sizeof(ret->p) - 1)
			return false;
		ret->p[ret->n++] = (char)c;
	}
	ret->p[ret->n] = '\0';
	for (const char *s = strpbrk(ret->p, slashes); s; s = strpbrk(s + 1, slashes)) {
		/* Parameters of a segment (";x=1") are cut off by some servers. */
		size_t n = strcspn(s + 1, ends);

		if ((!n && s[1]) || (n == 1 && s[1] == '.') ||
		    (n == 2 && s[1] == '.' && s[2] == '.'))
			return false;
	}
	return ret->n && ret->p[0] == '/';
}

static bool is_below(const char *path, size_t n, const char *prefix)
{
	size_t length = strlen(prefix);

	if (n < length || memcmp(path, prefix, length) != 0)
		return false;
	return n == length || prefix[length - 1] == '/' || path[length] == '/';
}

static bool has_method(const char *methods, struct kf_egress_span method)
{
	if (strcmp(methods, "*") == 0)
		return true;
	for (;;) {
		size_t n = strcspn(methods, ",");

		if (n == method.n && memcmp(methods, method.p, n) == 0)
			return true;
		if (!methods[n])
			return false;
		methods += n + 1;
	}
}

/* Whether one of @allow, which may be all that there is, allows the request. */
static enum kf_egress_reason decide_allow(const struct kf_egress_allow *allow,
					  struct kf_egress_span method, struct kf_egress_span path)
{
	static struct plain_path plain; /* too large for a stack; there is one thread */

	if (!make_plain(path, &plain))
		return KF_EGRESS_WHY_PATH_FORM;
	for (const struct kf_egress_allow *a = allow; a; a = a->next)
		if (has_method(a->methods, method) && is_below(plain.p, plain.n, a->prefix))
			return KF_EGRESS_WHY_NONE;
	return allow ? KF_EGRESS_WHY_METHOD : KF_EGRESS_WHY_NONE;
}

/* ---- */

/* The pod's own loopback, by its usual names: a client asks for it that does not know NO_PROXY. */
static bool is_loopback(const char *name)
{
	const size_t n = strlen(name), tail = strlen(".localhost");

	return strncmp(name, "127.", 4) == 0 || strcmp(name, "::1") == 0 ||
	       strcmp(name, "localhost") == 0 ||
	       (n > tail && strcmp(name + n - tail, ".localhost") == 0);
}

/* The mildest answer of all lines that name the host: what one of them allows is allowed. */
static enum kf_egress_reason decide_host(const struct kf_egress_rules *rules, const char *name,
					 uint16_t port, const struct kf_egress_span *method,
					 const struct kf_egress_span *path)
{
	const enum kf_egress_reason unnamed =
		is_loopback(name) ? KF_EGRESS_WHY_LOOPBACK : KF_EGRESS_WHY_HOST;
	enum kf_egress_reason reason = unnamed;

	if (is_denied(rules, name))
		return KF_EGRESS_WHY_DENIED;
	for (const struct kf_egress_host *h = rules->hosts; h; h = h->next) {
		enum kf_egress_reason r;

		if (!matches_name(h, name))
			continue;
		if (!has_port(h, port))
			r = reason == unnamed ? KF_EGRESS_WHY_PORT : reason;
		else if (method)
			r = h->allows ? decide_allow(h->allows, *method, *path)
				      : KF_EGRESS_WHY_NONE;
		else
			r = h->allows ? KF_EGRESS_WHY_METHOD : KF_EGRESS_WHY_NONE;
		if (r == KF_EGRESS_WHY_NONE)
			return r;
		reason = r;
	}
	return reason;
}

enum kf_egress_reason kf_egress_decide_tunnel(const struct kf_egress_rules *rules, const char *name,
					      uint16_t port)
{
	return decide_host(rules, name, port, NULL, NULL);
}

enum kf_egress_reason kf_egress_decide_request(const struct kf_egress_rules *rules,
					       const char *name, uint16_t port,
					       struct kf_egress_span method,
					       struct kf_egress_span path)
{
	return decide_host(rules, name, port, &method, &path);
}

const struct kf_egress_route *kf_egress_decide_route(const struct kf_egress_rules *rules,
						     struct kf_egress_span path)
{
	const struct kf_egress_route *found = NULL;
	const char *query = memchr(path.p, '?', path.n);
	size_t n = query ? (size_t)(query - path.p) : path.n;

	for (const struct kf_egress_route *r = rules->routes; r; r = r->next)
		if (is_below(path.p, n, r->path) &&
		    (!found || strlen(r->path) > strlen(found->path)))
			found = r;
	return found;
}

enum kf_egress_reason kf_egress_decide_routed(const struct kf_egress_route *route,
					      struct kf_egress_span method,
					      struct kf_egress_span rest)
{
	/* Where the upstream has a path of its own, the key must not go to another one. */
	if (!route->allows && !*route->upstream)
		return KF_EGRESS_WHY_NONE;
	return decide_allow(route->allows, method, rest);
}
