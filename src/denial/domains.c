/* SPDX-License-Identifier: Apache-2.0 */
/* A table of Landlock's domains, of fixed size. */
#include "denial/domains.h"

#include <stdlib.h>

static struct kf_audit_domain **find_place(struct kf_domains *d, uint64_t id)
{
	struct kf_audit_domain **at = &d->buckets[(id ^ id >> 16) % KF_DOMAINS_BUCKETS];

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void unlink_use(struct kf_domains *d, struct kf_audit_domain *domain)
{
	*(domain->newer ? &domain->newer->older : &d->newest) = domain->older;
	*(domain->older ? &domain->older->newer : &d->oldest) = domain->newer;
}

static void link_newest(struct kf_domains *d, struct kf_audit_domain *domain)
{
	domain->newer = NULL;
	domain->older = d->newest;
	*(d->newest ? &d->newest->newer : &d->oldest) = domain;
	d->newest = domain;
}

struct kf_audit_domain *kf_domains_find(const struct kf_domains *domains, uint64_t id)
{
	return *find_place((struct kf_domains *)domains, id);
}

struct kf_audit_domain *kf_domains_get(struct kf_domains *d, uint64_t id)
{
	struct kf_audit_domain *domain = *find_place(d, id);

	if (domain) {
		if (domain != d->newest) {
			unlink_use(d, domain);
			link_newest(d, domain);
		}
		return domain;
	}
	if (d->n == KF_DOMAINS_MAX)
		kf_domains_forget(d, d->oldest);
	domain = calloc(1, sizeof(*domain));
	if (!domain)
		return NULL;
	domain->id = id;
	*find_place(d, id) = domain;
	link_newest(d, domain);
	d->n++;
	return domain;
}

void kf_domains_forget(struct kf_domains *d, struct kf_audit_domain *domain)
{
	*find_place(d, domain->id) = domain->next;
	unlink_use(d, domain);
	kf_who_drop(d->owners, domain->who);
	d->n--;
	free(domain);
}

void kf_domains_done(struct kf_domains *d)
{
	while (d->oldest)
		kf_domains_forget(d, d->oldest);
}
