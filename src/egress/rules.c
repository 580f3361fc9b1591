/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and sealing the text of rules.  Who is matched by them is decided in decide.c, addresses
 * in address.c. */
#include "egress/rules.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "egress/name.h"
#include "flat/flat.h"
#include "flat/name.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SUM	   "sum "
#define MEMORY_MAX (16 * KF_LIMIT_EGRESS_RULES) /* no line needs more for its structures */

/* Where the next object of a list goes. */
struct rules_parser {
	struct kf_egress_rules *rules;
	struct kf_egress_host **host, **deny;
	struct kf_egress_range **range;
	struct kf_egress_route **route;
	struct kf_egress_route *at_route; /* the lines below belong to it, or to @at_host */
	struct kf_egress_host *at_host;
	unsigned line;
	struct kf_err *err;
};

#define bad(p, ...) \
	(kf_err_set((p)->err, EINVAL, __VA_ARGS__), kf_fail_wrap((p)->err, "line %u", (p)->line))

static void *new_object(struct rules_parser *p, size_t size)
{
	void *object = kf_arena_alloc(&p->rules->arena, size);

	if (!object)
		(void)kf_fail_nomem(p->err, "egress rules");
	return object;
}

/* ---- words ---- */

/* Cut the first word off *s, in place. */
static char *next_word(char **s)
{
	char *word = *s, *end = strchr(word, ' ');

	*s = end ? end + 1 : word + strlen(word);
	if (end)
		*end = '\0';
	return word;
}

static bool read_number(const char *s, unsigned max, unsigned *ret)
{
	unsigned n = 0;

	if (!*s || (*s == '0' && s[1]))
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		n = 10 * n + (unsigned)(*s - '0');
		if (n > max)
			return false;
	}
	*ret = n;
	return true;
}

static bool is_token(const char *s, const char *more)
{
	for (const char *c = s; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		      (*c >= '0' && *c <= '9') || strchr(more, *c)))
			return false;
	return *s;
}

/* Absolute and plain: it is compared with paths in this form. */
static bool is_plain_path(const char *s)
{
	if (*s != '/' || strstr(s, "//") || strstr(s, "/./") || strstr(s, "/../"))
		return false;
	for (const char *c = s; *c; c++)
		if (*c <= ' ' || *c >= 0x7f || strchr("%?#\\;", *c))
			return false;
	return true;
}

/* ---- lines ---- */

static int read_ports(struct rules_parser *p, char *s, struct kf_egress_host *host)
{
	unsigned n = 1;

	for (const char *c = s; *c; c++)
		n += *c == ',';
	host->ports = new_object(p, n * sizeof(*host->ports));
	if (!host->ports)
		return -1;
	while (host->nports < n) {
		char *end = strchr(s, ','), *dash;
		unsigned first, last;

		if (end)
			*end = '\0';
		dash = strchr(s, '-');
		if (dash)
			*dash = '\0';
		if (!read_number(s, UINT16_MAX, &first) || !first ||
		    (dash && (!read_number(dash + 1, UINT16_MAX, &last) || last <= first)))
			return bad(p, "'%s' is not a port, nor FIRST-LAST", s);
		host->ports[host->nports++] =
			(struct kf_egress_ports){(uint16_t)first, (uint16_t)(dash ? last : first)};
		s = end ? end + 1 : s;
	}
	return 0;
}

static int add_pattern(struct rules_parser *p, char *pattern, struct kf_egress_host ***end,
		       struct kf_egress_host **ret)
{
	char name[KF_EGRESS_NAME_MAX + 1];
	struct kf_egress_host *host = new_object(p, sizeof(*host));
	bool six = strchr(pattern, ':') != NULL;
	enum kf_egress_name_form form;

	if (!host)
		return -1;
	host->suffix = strncmp(pattern, "*.", 2) == 0;
	host->name = pattern + (host->suffix ? 2 : 0);
	if (six) {
		char bracketed[KF_EGRESS_NAME_MAX + 3];

		(void)snprintf(bracketed, sizeof(bracketed), "[%s]", host->name);
		form = kf_egress_name_read(bracketed, strlen(bracketed), name);
	} else {
		form = kf_egress_name_read(host->name, strlen(host->name), name);
	}
	if ((form != KF_EGRESS_NAME_HOST && (form != KF_EGRESS_NAME_ADDRESS || host->suffix)) ||
	    strcmp(name, host->name) != 0)
		return bad(p, "'%s' is not a host: a name in lower case, '*.SUFFIX' or an address",
			   pattern);
	**end = host;
	*end = &host->next;
	*ret = host;
	return 0;
}

static int read_host(struct rules_parser *p, char *s)
{
	char *pattern = next_word(&s);

	if (add_pattern(p, pattern, &p->host, &p->at_host) < 0)
		return -1;
	p->at_route = NULL;
	return read_ports(p, s, p->at_host);
}

static int read_deny(struct rules_parser *p, char *s)
{
	struct kf_egress_host *denied;

	return add_pattern(p, s, &p->deny, &denied);
}

static bool read_range(char *s, struct kf_egress_range *ret)
{
	char *slash = strchr(s, '/');
	struct in_addr four;
	unsigned bits;

	if (!slash)
		return false;
	*slash++ = '\0';
	if (inet_pton(AF_INET6, s, &ret->address) == 1)
		return read_number(slash, 128, &ret->bits);
	if (inet_pton(AF_INET, s, &four) != 1 || !read_number(slash, 32, &bits))
		return false;
	ret->address = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
	memcpy(ret->address.s6_addr + 12, &four, sizeof(four));
	ret->bits = 96 + bits;
	return true;
}

static int add_range(struct rules_parser *p, char *s, const char *what)
{
	struct kf_egress_range *range = new_object(p, sizeof(*range));

	if (!range)
		return -1;
	if (!read_range(s, range))
		return bad(p, "'%s' is not ADDRESS/BITS", s);
	range->grant = !what;
	range->what = what;
	*p->range = range;
	p->range = &range->next;
	return 0;
}

static int read_grant(struct rules_parser *p, char *s)
{
	return add_range(p, s, NULL);
}

static int read_refuse(struct rules_parser *p, char *s)
{
	char *range = next_word(&s);

	if (!is_token(s, "-"))
		return bad(p, "'refuse %s' needs a word that says what lies there", range);
	return add_range(p, range, s);
}

static int read_upstream(struct rules_parser *p, char *s, struct kf_egress_route *route)
{
	static const char scheme[] = "https://";
	char name[KF_EGRESS_NAME_MAX + 1], *path, *port;
	unsigned number = 443;

	if (strncmp(s, scheme, sizeof(scheme) - 1) != 0)
		return bad(p, "'%s' does not begin with 'https://': a key goes by TLS only", s);
	s += sizeof(scheme) - 1;
	path = strchr(s, '/');
	route->upstream = "";
	if (path) {
		size_t n = strlen(path);

		if (!is_plain_path(path))
			return bad(p, "'%s' is not a plain path", path);
		route->upstream = kf_arena_strdup(&p->rules->arena, path);
		if (!route->upstream)
			return kf_fail_nomem(p->err, "egress rules");
		if (path[n - 1] == '/')
			((char *)(uintptr_t)route->upstream)[n - 1] = '\0';
		*path = '\0';
	}
	port = strchr(s, ':');
	if (port)
		*port++ = '\0';
	if ((port && (!read_number(port, UINT16_MAX, &number) || !number)) ||
	    kf_egress_name_read(s, strlen(s), name) != KF_EGRESS_NAME_HOST || strcmp(s, name) != 0)
		return bad(p, "'%s' is not a host's name, with or without ':PORT'", s);
	route->host = s;
	route->port = (uint16_t)number;
	return 0;
}

static int read_route(struct rules_parser *p, char *s)
{
	struct kf_egress_route *route = new_object(p, sizeof(*route));
	const char *path = next_word(&s);

	if (!route)
		return -1;
	if (!is_plain_path(path) || !path[1] || path[strlen(path) - 1] == '/')
		return bad(p, "'route %s': not a plain path such as '/anthropic'", path);
	for (const struct kf_egress_route *r = p->rules->routes; r; r = r->next)
		if (strcmp(r->path, path) == 0)
			return bad(p, "'route %s' is there twice", path);
	route->path = path;
	if (read_upstream(p, s, route) < 0)
		return -1;
	*p->route = route;
	p->route = &route->next;
	p->at_route = route;
	p->at_host = NULL;
	return 0;
}

static int read_allow(struct rules_parser *p, char *s)
{
	struct kf_egress_allow *allow = new_object(p, sizeof(*allow)), **end;

	if (!allow)
		return -1;
	allow->methods = next_word(&s);
	allow->prefix = s;
	if (strcmp(allow->methods, "*") != 0 && !is_token(allow->methods, ",-_"))
		return bad(p, "'allow %s': neither '*' nor methods with ',' between them",
			   allow->methods);
	if (!is_plain_path(s))
		return bad(p, "'%s' is not a plain path", s);
	end = p->at_route ? &p->at_route->allows : &p->at_host->allows;
	while (*end)
		end = &(*end)->next;
	*end = allow;
	return 0;
}

static int read_form(struct rules_parser *p, char *s, struct kf_egress_credential *ret)
{
	const char *form = next_word(&s);

	if (strcmp(form, "plain") == 0 && !*s)
		ret->form = KF_EGRESS_PLAIN;
	else if (strcmp(form, "bearer") == 0 && !*s)
		ret->form = KF_EGRESS_BEARER;
	else if (strcmp(form, "basic") == 0 && is_token(s, "-_.@+") &&
		 strlen(s) <= KF_LIMIT_EGRESS_WORD)
		ret->form = KF_EGRESS_BASIC;
	else
		return bad(p, "'%s %s': not plain, bearer or 'basic USER'", form, s);
	ret->user = ret->form == KF_EGRESS_BASIC ? s : NULL;
	return 0;
}

/* What frames a message, or is for the next hop alone, cannot carry a key. */
static bool is_framing(const char *header)
{
	static const char *const names[] = {
		"host",	   "connection", "content-length", "transfer-encoding", "te",
		"trailer", "upgrade",	 "expect",	   "keep-alive",
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++)
		if (strcasecmp(header, names[i]) == 0)
			return true;
	return strncasecmp(header, "proxy-", 6) == 0;
}

static int read_credential(struct rules_parser *p, char *s)
{
	struct kf_egress_credential *c = new_object(p, sizeof(*c)), **end;
	const char *dir = next_word(&s);

	if (!c)
		return -1;
	if (!read_number(dir, KF_LIMIT_EGRESS_DIRS - 1, &c->dir))
		return bad(p, "'credential %s': not the index of a directory", dir);
	c->key = next_word(&s);
	c->header = next_word(&s);
	if (!is_token(c->key, "-_.") || *c->key == '.')
		return bad(p, "'%s' is not a key of a Secret", c->key);
	if (!is_token(c->header, "-_") || strlen(c->header) > KF_LIMIT_EGRESS_WORD ||
	    is_framing(c->header))
		return bad(p, "'%s' is not a header for a key", c->header);
	for (end = &p->at_route->credentials; *end; end = &(*end)->next)
		if (strcasecmp((*end)->header, c->header) == 0)
			return bad(p, "header '%s' is there twice", c->header);
	*end = c;
	if (p->rules->ndirs <= c->dir)
		p->rules->ndirs = c->dir + 1;
	return read_form(p, s, c);
}

static int add_env(struct rules_parser *p, const char *name, bool placeholder)
{
	struct kf_egress_env *env = new_object(p, sizeof(*env)), **end;

	if (!env)
		return -1;
	if (!is_token(name, "_") || (*name >= '0' && *name <= '9'))
		return bad(p, "'%s' is not a variable's name", name);
	env->name = name;
	env->placeholder = placeholder;
	for (end = &p->at_route->env; *end; end = &(*end)->next)
		;
	*end = env;
	return 0;
}

static int read_env(struct rules_parser *p, char *s)
{
	return add_env(p, s, false);
}

static int read_placeholder(struct rules_parser *p, char *s)
{
	return add_env(p, s, true);
}

static int read_ask(struct rules_parser *p, char *s)
{
	if (p->rules->ask)
		return bad(p, "'ask' is there twice");
	p->rules->ask = s;
	return 0;
}

static int read_secret(struct rules_parser *p, char *s)
{
	if (!is_token(s, "-."))
		return bad(p, "'secret %s': not the name of a Secret", s);
	if (p->rules->nsecrets == KF_LIMIT_EGRESS_DIRS)
		return bad(p, "more than %d secrets", KF_LIMIT_EGRESS_DIRS);
	p->rules->secrets[p->rules->nsecrets++] = s;
	return 0;
}

enum { TOP, BELOW_ANY, BELOW_ROUTE };

static int read_line(struct rules_parser *p, char *s)
{
	static const struct {
		char word[12];
		int below;
		int (*read)(struct rules_parser *p, char *s);
	} words[] = {
		{"ask", TOP, read_ask},		  {"host", TOP, read_host},
		{"deny", TOP, read_deny},	  {"grant", TOP, read_grant},
		{"refuse", TOP, read_refuse},	  {"route", TOP, read_route},
		{"allow", BELOW_ANY, read_allow}, {"credential", BELOW_ROUTE, read_credential},
		{"env", BELOW_ROUTE, read_env},	  {"placeholder", BELOW_ROUTE, read_placeholder},
		{"secret", TOP, read_secret},
	};
	size_t n = strlen(s);
	const char *word;

	if (n && s[n - 1] == ' ')
		return bad(p, "space at the end of the line");
	word = next_word(&s);
	for (size_t i = 0; i < KF_ARRAY_SIZE(words); i++) {
		if (strcmp(word, words[i].word) != 0)
			continue;
		if (!*s || *s == ' ')
			return bad(p, "'%s' needs a value after one space", word);
		if (words[i].below == TOP)
			p->at_host = NULL, p->at_route = NULL;
		else if (!p->at_route && (words[i].below == BELOW_ROUTE || !p->at_host))
			return bad(p, "'%s' belongs below a %s", word,
				   words[i].below == BELOW_ROUTE ? "route" : "host or a route");
		return words[i].read(p, s);
	}
	return bad(p, "'%.40s' is not understood; rules for a newer nono-egress?", word);
}

/* ---- text ---- */

int kf_egress_rules_check(const char *text, size_t n, size_t *ret_body, struct kf_err *err)
{
	const size_t head = sizeof(KF_EGRESS_HEADER) - 1;
	const size_t tail = sizeof(SUM) - 1 + KF_SHA256_HEX + 1;
	char sum[KF_SHA256_HEX + 1];

	if (n > KF_LIMIT_EGRESS_RULES)
		return kf_fail(err, EFBIG, "egress rules: longer than %d bytes",
			       KF_LIMIT_EGRESS_RULES);
	if (n < head || memcmp(text, KF_EGRESS_HEADER, head) != 0)
		return kf_fail(err, EINVAL, "egress rules: line 1: not 'nono-egress 1'");
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)text[i] < 0x20 && text[i] != '\n') || text[i] == 0x7f)
			return kf_fail(err, EINVAL,
				       "egress rules: byte %zu: control character 0x%02x", i,
				       (unsigned char)text[i]);
	if (n < head + tail || text[n - 1] != '\n' || text[n - tail - 1] != '\n' ||
	    memcmp(text + n - tail, SUM, sizeof(SUM) - 1) != 0)
		return kf_fail(err, EINVAL,
			       "egress rules: do not end in a line 'sum HEX': cut short?");
	kf_sha256_hex(text, n - tail, sum);
	if (memcmp(text + n - 1 - KF_SHA256_HEX, sum, KF_SHA256_HEX) != 0)
		return kf_fail(err, EINVAL,
			       "egress rules: checksum does not match: damaged or edited by hand");
	*ret_body = n - tail;
	return 0;
}

static int read_body(struct rules_parser *p, char *next)
{
	for (p->line = 2; *next; p->line++) {
		char *line = next;

		next = strchr(line, '\n');
		if (!next)
			return bad(p, "cut short");
		*next++ = '\0';
		if (p->line == 2) {
			if (strncmp(line, "name ", 5) != 0 || !kf_profile_name_valid(line + 5))
				return bad(p, "not 'name' and a profile name");
			p->rules->profile = line + 5;
		} else if (read_line(p, line) < 0) {
			return -1;
		}
	}
	if (!p->rules->profile)
		return bad(p, "the rules have no name");
	return 0;
}

static int read_text(struct kf_egress_rules *rules, const char *text, size_t n, struct kf_err *err)
{
	const size_t head = sizeof(KF_EGRESS_HEADER) - 1;
	struct rules_parser p = {
		.rules = rules,
		.host = &rules->hosts,
		.deny = &rules->denies,
		.range = &rules->ranges,
		.route = &rules->routes,
		.err = err,
	};
	char *copy = kf_arena_alloc(&rules->arena, n - head + 1);

	if (!copy)
		return kf_fail_nomem(err, "egress rules");
	memcpy(copy, text + head, n - head);
	if (read_body(&p, copy) < 0)
		return kf_fail_wrap(err, "egress rules");
	return 0;
}

int kf_egress_rules_parse(const char *text, size_t n, struct kf_egress_rules *ret,
			  struct kf_err *err)
{
	struct kf_egress_rules rules = {0};
	size_t body;

	if (kf_egress_rules_check(text, n, &body, err) < 0)
		return -1;
	kf_arena_init(&rules.arena, MEMORY_MAX);
	if (read_text(&rules, text, body, err) < 0) {
		kf_egress_rules_done(&rules);
		return -1;
	}
	*ret = rules;
	return 0;
}

void kf_egress_rules_done(struct kf_egress_rules *rules)
{
	kf_arena_done(&rules->arena);
	*rules = (struct kf_egress_rules){0};
}

void kf_egress_rules_of_policy(const char *text, size_t n, struct kf_buf *out)
{
	static const char word[] = "egress ", elsewhere[] = KF_EGRESS_ELSEWHERE "\n";
	const char *at = text, *end = text + n;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		const size_t line = (size_t)((stop ? stop + 1 : end) - at);
		const size_t skip = sizeof(word) - 1;

		if (line > skip && memcmp(at, word, skip) == 0 &&
		    (line - skip != sizeof(elsewhere) - 1 ||
		     memcmp(at + skip, elsewhere, sizeof(elsewhere) - 1) != 0))
			kf_buf_add(out, at + skip, line - skip);
		at += line;
	}
}

void kf_egress_rules_whole(const char *text, size_t n, struct kf_buf *out)
{
	const char *begin = memchr(text, '\n', n);
	const char *name = begin ? begin + 1 : text;
	const char *end = memchr(name, '\n', n - (size_t)(name - text));

	kf_buf_adds(out, KF_EGRESS_HEADER);
	kf_buf_add(out, name, end ? (size_t)(end - name) : 0);
	kf_buf_adds(out, "\n");
	kf_egress_rules_of_policy(text, n, out);
	kf_egress_rules_seal(out);
}

static bool has_text(const char *text, size_t n, const char *part)
{
	return memmem(text, n, part, strlen(part)) != NULL;
}

void kf_egress_close_policy(const char *text, size_t n, bool broker, const char *more,
			    struct kf_buf *out)
{
	const size_t tail = sizeof(SUM) - 1 + KF_SHA256_HEX + 1;

	if (n < tail) {
		out->failed = true;
		return;
	}
	kf_buf_add(out, text, n - tail);
	if (!has_text(text, n, "\nnet block\n"))
		kf_buf_adds(out, "net tcp\n");
	if (broker && has_text(text, n, "\nnet connect "))
		kf_buf_addf(out, "net connect %d\n", KF_EGRESS_PORT);
	kf_buf_adds(out, more);
	kf_egress_rules_seal(out);
}

void kf_egress_rules_seal(struct kf_buf *text)
{
	char sum[KF_SHA256_HEX + 1];

	if (text->failed)
		return;
	kf_sha256_hex(text->p, text->n, sum);
	kf_buf_addf(text, SUM "%s\n", sum);
}
