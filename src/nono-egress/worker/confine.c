/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's confinement: the calls of its parts, the directories with keys, the ports of its
 * rules. */
#include "nono-egress/worker/confine.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "confine/confine.h"
#include "nono-egress/worker/key.h"
#include "nono-egress/worker/secret.h"
#include "nono-egress/worker/serve.h"

#include <stdio.h>
#include <time.h>

#define PLACE_TEXT 32
#define PORTS	   65536

static const struct kf_calls *const worker_calls[] = {
	&kf_libc_calls,		 &kf_event_calls,	&kf_worker_end_calls,
	&kf_worker_supply_calls, &kf_worker_dial_calls, &kf_worker_resolve_calls,
	&kf_worker_secret_calls, &kf_worker_key_calls,	&kf_worker_serve_calls,
};

struct port_set {
	bool has[PORTS];
	uint16_t list[PORTS];
	size_t n;
};

static void add_port(struct port_set *set, uint16_t port)
{
	if (!set->has[port])
		set->list[set->n++] = port;
	set->has[port] = true;
}

/* All ports that a rule or a name server has. */
static void collect_ports(struct port_set *set, const struct kf_worker *worker,
			  const struct kf_worker_resolver *resolver)
{
	uint16_t servers[KF_WORKER_SERVERS_MAX];
	unsigned n = kf_worker_resolver_ports(resolver, servers);

	for (unsigned i = 0; i < n; i++)
		add_port(set, servers[i]);
	for (const struct kf_egress_route *r = worker->rules.routes; r; r = r->next)
		add_port(set, r->port);
	for (const struct kf_egress_host *h = worker->rules.hosts; h; h = h->next)
		for (unsigned i = 0; i < h->nports; i++)
			for (unsigned port = h->ports[i].first; port <= h->ports[i].last; port++)
				add_port(set, (uint16_t)port);
}

int kf_worker_confine(const struct kf_worker *worker, const struct kf_worker_resolver *resolver,
		      struct kf_err *err)
{
	KF_FREE struct port_set *set = calloc(1, sizeof(*set));
	uint16_t servers[KF_WORKER_SERVERS_MAX];
	char texts[KF_LIMIT_EGRESS_DIRS][PLACE_TEXT];
	struct kf_place places[KF_LIMIT_EGRESS_DIRS];
	struct kf_confinement confinement = {
		.calls = worker_calls,
		.ncalls = KF_ARRAY_SIZE(worker_calls),
		.places = places,
		.nplaces = worker->rules.ndirs,
		.udp_ports = servers,
		.nudp_ports = kf_worker_resolver_ports(resolver, servers),
	};
	struct kf_confined confined;

	if (!set)
		return kf_fail_nomem(err, "confinement");
	for (size_t i = 0; i < worker->rules.ndirs; i++) {
		(void)snprintf(texts[i], PLACE_TEXT, "/proc/self/fd/%d", worker->dirs[i]);
		places[i] = (struct kf_place){texts[i], KF_PLACE_READ};
	}
	collect_ports(set, worker, resolver);
	confinement.ports = set->list;
	confinement.nports = set->n;
	tzset(); /* else OpenSSL's clock would read the time zone's file later */
	if (kf_confine(&confinement, &confined, err) < 0)
		return -1;
	if (!confined.abi || !confined.filter)
		kf_log(KF_LOG_WARN, "confined", {"landlock", confined.abi ? "on" : confined.why},
		       {"seccomp",
			confined.filter ? "on" : "off: built for sanitizers or valgrind"});
	return 0;
}
