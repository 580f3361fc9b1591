/* SPDX-License-Identifier: Apache-2.0 */
/* Putting together what the audit log says in several records.  LANDLOCK_ACCESS is the denial;
 * LANDLOCK_DOMAIN comes behind the first one of a sandbox and tells which process made that;
 * SYSCALL, if it comes, tells which process was denied.  How records are read is in audit.c, what
 * is told of denials in fold.c. */
#include "denial/feed.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDED_MAX 1024
/* The launcher's own denials are the first ones in a sandbox. */
#define PROOFS	  2
/* A sandbox of which the kernel's one record was missed is known by its processes; those of others
 * are never found, and must not cost a look for each denial. */
#define LOOKS_MAX 3

struct feed_entry {
	struct kf_denial denial;
	uint64_t serial, domain, arrived; /* domain 0: seccomp's */
	bool whole;			  /* all records of its event are there */
	struct feed_entry *later, *sooner;
};

struct feed_ended {
	uint64_t domain, when;
};

struct kf_feed {
	struct kf_feed_ops ops;
	void *ctx;
	struct kf_domains domains;
	struct kf_serials serials;
	struct feed_entry pool[KF_FEED_MAX];
	struct feed_entry *spare;	 /* by ->later */
	struct feed_entry *first, *last; /* by arrival */
	/* Domains that have ended before it was known whose they were. */
	struct feed_ended ended[ENDED_MAX];
	size_t ended_first, nended;
	uint64_t counters[KF_FEED_NCOUNTERS];
};

struct kf_feed *kf_feed_new(const struct kf_feed_ops *ops, void *ctx, struct kf_who_table *owners)
{
	struct kf_feed *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->ops = *ops;
	f->ctx = ctx;
	f->domains.owners = owners;
	for (size_t i = 0; i < KF_FEED_MAX; i++) {
		f->pool[i].later = f->spare;
		f->spare = &f->pool[i];
	}
	return f;
}

void kf_feed_free(struct kf_feed *f)
{
	if (!f)
		return;
	while (f->first) {
		kf_who_drop(f->domains.owners, f->first->denial.who);
		f->first = f->first->later;
	}
	kf_domains_done(&f->domains);
	free(f);
}

/* ---- denials that wait ---- */

static void deliver_entry(struct kf_feed *f, struct feed_entry *e, uint64_t now)
{
	struct kf_audit_domain *domain = e->domain ? kf_domains_find(&f->domains, e->domain) : NULL;

	*(e->sooner ? &e->sooner->later : &f->first) = e->later;
	*(e->later ? &e->later->sooner : &f->last) = e->sooner;
	if (!e->denial.who && domain)
		e->denial.who = kf_who_ref(domain->who);
	if (domain && domain->foreign) {
		f->counters[KF_FEED_FOREIGN]++;
	} else if (!e->domain && !e->denial.who) {
		/* Seccomp refuses calls of many that are none of ours. */
		f->counters[KF_FEED_FOREIGN]++;
	} else {
		f->counters[KF_FEED_DENIALS]++;
		f->counters[KF_FEED_UNATTRIBUTED] += !e->denial.who;
		f->ops.denied(f->ctx, &e->denial, now);
	}
	kf_who_drop(f->domains.owners, e->denial.who);
	e->denial.who = NULL;
	e->later = f->spare;
	f->spare = e;
}

static struct feed_entry *new_entry(struct kf_feed *f, uint64_t now)
{
	struct feed_entry *e;

	if (!f->spare)
		deliver_entry(f, f->first, now);
	e = f->spare;
	f->spare = e->later;
	return e;
}

static void append_entry(struct kf_feed *f, struct feed_entry *e, uint64_t serial, uint64_t now)
{
	e->serial = serial;
	e->arrived = now;
	e->whole = false;
	e->later = NULL;
	e->sooner = f->last;
	*(f->last ? &f->last->later : &f->first) = e;
	f->last = e;
}

static void drop_entry(struct kf_feed *f, struct feed_entry *e)
{
	e->denial.who = NULL;
	e->later = f->spare;
	f->spare = e;
}

/* ---- whose a domain is ---- */

static void find_owner(struct kf_feed *f, struct kf_audit_domain *domain, bool thorough)
{
	if (!domain->who && domain->pid && !domain->foreign)
		domain->who = f->ops.find(f->ctx, domain->pid, thorough);
}

/* By the process that was denied something, where nobody said which one made the sandbox. */
static void find_by_process(struct kf_feed *f, struct kf_audit_domain *domain, pid_t pid)
{
	if (!domain->who && !domain->pid && pid && domain->looks < LOOKS_MAX) {
		domain->looks++;
		domain->who = f->ops.find(f->ctx, pid, true);
	}
}

static bool owner_is_settled(const struct kf_feed *f, const struct feed_entry *e)
{
	const struct kf_audit_domain *domain;

	if (!e->domain || e->denial.who)
		return e->denial.who != NULL;
	domain = kf_domains_find(&f->domains, e->domain);
	return domain && (domain->who || domain->foreign);
}

/* Deliver @e if nothing more is to be waited for. */
static void settle_entry(struct kf_feed *f, struct feed_entry *e, uint64_t now)
{
	const uint64_t age = now - e->arrived;
	struct kf_audit_domain *domain;

	if (!e->whole && age < KF_FEED_EVENT_MS)
		return;
	if (!owner_is_settled(f, e)) {
		const bool late = age >= KF_FEED_WHO_MS;

		domain = e->domain ? kf_domains_find(&f->domains, e->domain) : NULL;
		if (domain) {
			find_owner(f, domain, late);
			find_by_process(f, domain, e->denial.pid);
		} else if (!e->domain) {
			e->denial.who = f->ops.find(f->ctx, e->denial.pid, late);
		}
		if (!late && !owner_is_settled(f, e))
			return;
	}
	deliver_entry(f, e, now);
}

/* ---- records ---- */

static void take_access(struct kf_feed *f, const struct kf_audit_record *r, uint64_t now)
{
	struct feed_entry *e = new_entry(f, now);
	struct kf_audit_domain *domain;

	if (!kf_denial_of_access(r, &e->denial, &e->domain) || !e->domain) {
		drop_entry(f, e);
		f->counters[KF_FEED_UNREADABLE]++;
		return;
	}
	domain = kf_domains_get(&f->domains, e->domain);
	if (domain && domain->seen++ < PROOFS && kf_denial_is_proof(r)) {
		drop_entry(f, e);
		f->counters[KF_FEED_PROOFS]++;
		return;
	}
	if (f->last && f->last->serial == r->serial && f->last->domain == e->domain) {
		kf_denial_merge(&f->last->denial, &e->denial);
		drop_entry(f, e);
		return;
	}
	append_entry(f, e, r->serial, now);
}

static void take_seccomp(struct kf_feed *f, const struct kf_audit_record *r, uint64_t now)
{
	struct feed_entry *e = new_entry(f, now);

	e->domain = 0;
	if (!kf_denial_of_seccomp(r, &e->denial)) {
		drop_entry(f, e);
		return;
	}
	append_entry(f, e, r->serial, now);
	e->whole = true;
	/* Where it is seen at all, the process may be gone the next moment. */
	e->denial.who = f->ops.find(f->ctx, e->denial.pid, true);
	settle_entry(f, e, now);
}

/* The guard's launcher is a memory file, the plugin's and people's a file called so. */
static bool is_launcher(const char *exe)
{
	const char *name = strrchr(exe, '/');

	return strcmp(exe, "/memfd:nono (deleted)") == 0 ||
	       strcmp(name ? name + 1 : exe, "nono") == 0;
}

static void begin_domain(struct kf_feed *f, const struct kf_audit_record *r,
			 struct kf_audit_domain *domain)
{
	char exe[KF_DENIAL_EXE];
	uint64_t pid = 0;

	(void)kf_audit_string(r, "exe", exe, sizeof(exe));
	(void)kf_audit_number(r, "pid", 10, &pid);
	domain->pid = (pid_t)pid;
	domain->whole = domain->seen == 1;
	domain->foreign = !is_launcher(exe);
	find_owner(f, domain, true);
}

/* Forget the sandbox that ended the longest time ago; whose it was is known by now, or never. */
static void forget_ended(struct kf_feed *f, uint64_t now)
{
	struct kf_audit_domain *domain =
		kf_domains_find(&f->domains, f->ended[f->ended_first].domain);

	f->ended_first = (f->ended_first + 1) % ENDED_MAX;
	f->nended--;
	if (!domain)
		return;
	if (domain->unseen) {
		const struct kf_denial unseen = {.ms = domain->ended,
						 .who = domain->who,
						 .kind = KF_DENIAL_OTHER,
						 .call = -1,
						 .count = domain->unseen,
						 .untold = true};

		f->ops.unseen(f->ctx, &unseen, now);
	}
	kf_domains_forget(&f->domains, domain);
}

/* The next denials of this domain wait for its owner no more. */
static void end_domain(struct kf_feed *f, const struct kf_audit_record *r,
		       struct kf_audit_domain *domain, uint64_t now)
{
	struct feed_ended *at;
	uint64_t denials = 0;

	(void)kf_audit_number(r, "denials", 10, &denials);
	if (!domain) {
		f->counters[KF_FEED_UNKNOWN] += denials;
		return;
	}
	if (!domain->pid && denials > domain->seen)
		f->counters[KF_FEED_UNKNOWN] += denials - domain->seen;
	if (domain->whole && denials > domain->seen && !domain->foreign) {
		domain->unseen = denials - domain->seen;
		domain->ended = r->ms;
		f->counters[KF_FEED_UNSEEN] += domain->unseen;
	}
	if (f->nended == ENDED_MAX)
		forget_ended(f, now);
	at = &f->ended[(f->ended_first + f->nended++) % ENDED_MAX];
	*at = (struct feed_ended){.domain = domain->id, .when = now};
}

static void take_domain(struct kf_feed *f, const struct kf_audit_record *r, uint64_t now)
{
	struct kf_audit_domain *domain;
	char status[16];
	uint64_t id;

	if (!kf_audit_number(r, "domain", 16, &id) ||
	    !kf_audit_string(r, "status", status, sizeof(status))) {
		f->counters[KF_FEED_UNREADABLE]++;
		return;
	}
	if (strcmp(status, "allocated") == 0) {
		domain = kf_domains_get(&f->domains, id);
		if (domain)
			begin_domain(f, r, domain);
	} else {
		end_domain(f, r, kf_domains_find(&f->domains, id), now);
	}
}

/* Those of one event stand near the end. */
#define LOOK_BACK 64

static void take_process(struct kf_feed *f, const struct kf_audit_record *r)
{
	struct feed_entry *e = f->last;

	for (unsigned i = 0; e && i < LOOK_BACK; i++, e = e->sooner)
		if (e->serial == r->serial && e->domain)
			kf_denial_add_process(&e->denial, r);
}

static void take_end(struct kf_feed *f, const struct kf_audit_record *r, uint64_t now)
{
	struct feed_entry *e = f->last, *sooner;

	for (unsigned i = 0; e && i < LOOK_BACK; i++, e = sooner) {
		sooner = e->sooner;
		if (e->serial == r->serial) {
			e->whole = true;
			settle_entry(f, e, now);
		}
	}
}

void kf_feed_take(struct kf_feed *f, unsigned type, const char *text, uint64_t now)
{
	struct kf_audit_record r;

	f->counters[KF_FEED_RECORDS]++;
	if (!kf_audit_parse(type, text, &r)) {
		f->counters[KF_FEED_UNREADABLE]++;
		return;
	}
	f->counters[KF_FEED_LOST] += kf_serials_note(&f->serials, r.serial);
	switch (type) {
	case KF_AUDIT_LANDLOCK_ACCESS:
		take_access(f, &r, now);
		break;
	case KF_AUDIT_LANDLOCK_DOMAIN:
		take_domain(f, &r, now);
		break;
	case KF_AUDIT_SECCOMP:
		take_seccomp(f, &r, now);
		break;
	case KF_AUDIT_SYSCALL:
		take_process(f, &r);
		break;
	case KF_AUDIT_END:
		take_end(f, &r, now);
		break;
	default:
		break;
	}
}

void kf_feed_tick(struct kf_feed *f, uint64_t now)
{
	struct feed_entry *later;

	for (struct feed_entry *e = f->first; e; e = later) {
		later = e->later;
		settle_entry(f, e, now);
	}
	/* What waited for its owner is delivered by now. */
	while (f->nended && now - f->ended[f->ended_first].when >= 2 * KF_FEED_WHO_MS)
		forget_ended(f, now);
}

bool kf_feed_waits(const struct kf_feed *f)
{
	return f->first || f->nended;
}

void kf_feed_flush(struct kf_feed *f, uint64_t now)
{
	while (f->first)
		deliver_entry(f, f->first, now);
	while (f->nended)
		forget_ended(f, now);
}

uint64_t kf_feed_counter(const struct kf_feed *f, enum kf_feed_counter which)
{
	return f->counters[which];
}

size_t kf_feed_domains(const struct kf_feed *f)
{
	return f->domains.n;
}

/* ---- from one process to the next ---- */

void kf_feed_save(const struct kf_feed *f, struct kf_buf *out)
{
	for (const struct kf_audit_domain *d = f->domains.oldest; d; d = d->newer)
		if (d->who)
			kf_buf_addf(out, "%" PRIx64 " %d %s\n", d->id, d->pid, d->who->id);
}

void kf_feed_load(struct kf_feed *f, const char *text,
		  struct kf_who *(*find_id)(void *ctx, const char *id))
{
	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
		struct kf_audit_domain *domain;
		char id[65], line[128];
		uint64_t number;
		int pid;

		(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		if (sscanf(line, "%" SCNx64 " %d %64[^ \n]", &number, &pid, id) != 3 || !number)
			continue;
		domain = kf_domains_get(&f->domains, number);
		if (domain && !domain->who) {
			domain->pid = pid;
			domain->who = find_id(f->ctx, id);
		}
	}
}
