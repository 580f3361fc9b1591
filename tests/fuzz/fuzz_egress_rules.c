/* SPDX-License-Identifier: Apache-2.0 */
/* The text of egress rules, with a good header and checksum, so that the lines are read.  Of what
 * is accepted no denied host is reached, and every list ends. */
#include "base/buf.h"
#include "base/limits.h"
#include "egress/address.h"
#include "egress/decide.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define need(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static void count_variable(void *ctx, const char *name, const char *value)
{
	need(*name && *value);
	++*(unsigned *)ctx;
}

static void check_rules(const struct kf_egress_rules *rules)
{
	const struct kf_egress_span get = {"GET", 3};
	unsigned variables = 0;

	for (const struct kf_egress_host *h = rules->denies; h; h = h->next)
		need(h->suffix ||
		     kf_egress_decide_tunnel(rules, h->name, 443) == KF_EGRESS_WHY_DENIED);
	for (const struct kf_egress_host *h = rules->hosts; h; h = h->next) {
		need(h->nports && h->ports[0].first && h->ports[0].first <= h->ports[0].last);
		(void)kf_egress_decide_request(rules, h->name, h->ports[0].first, get,
					       (struct kf_egress_span){"/a", 2});
		if (!h->suffix && !h->allows && !rules->denies)
			need(kf_egress_decide_tunnel(rules, h->name, h->ports[0].first) ==
			     KF_EGRESS_WHY_NONE);
	}
	for (const struct kf_egress_range *r = rules->ranges; r; r = r->next) {
		struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = r->address};
		const char *what = NULL;

		need(kf_egress_address_ok(rules, (struct sockaddr *)&address, &what) || what);
	}
	for (const struct kf_egress_route *r = rules->routes; r; r = r->next) {
		need(r->path[0] == '/' && r->path[1] && r->host[0] && r->port);
		need(kf_egress_decide_route(rules, (struct kf_egress_span){r->path,
									   strlen(r->path)}) == r);
		for (const struct kf_egress_credential *c = r->credentials; c; c = c->next)
			need(c->dir < rules->ndirs && c->key[0] && c->header[0]);
	}
	kf_egress_environment(rules, KF_EGRESS_PORT, count_variable, &variables);
	need(variables >= 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct kf_buf text = KF_BUF_INIT(2 * KF_LIMIT_EGRESS_RULES);
	struct kf_egress_rules rules;
	struct kf_err err = {0};

	kf_buf_adds(&text, KF_EGRESS_HEADER "name fuzz\n");
	kf_buf_add(&text, data, n);
	kf_buf_adds(&text, "\n");
	kf_egress_rules_seal(&text);
	if (!text.failed) {
		if (kf_egress_rules_parse(text.p, text.n, &rules, &err) == 0) {
			check_rules(&rules);
			kf_egress_rules_done(&rules);
		} else {
			need(err.code && err.msg[0]);
		}
	}
	kf_buf_done(&text);
	return 0;
}
