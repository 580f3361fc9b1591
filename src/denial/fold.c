/* SPDX-License-Identifier: Apache-2.0 */
/* Folding denials into lines, with a memory and a rate that do not grow with their number. */
#include "denial/fold.h"

#include <stdlib.h>
#include <string.h>

struct kf_fold_entry {
	struct kf_denial denial; /* .count: not told yet */
	uint64_t due;
	unsigned bucket;
	struct kf_fold_entry *next;	      /* in the bucket */
	struct kf_fold_entry *later, *sooner; /* by @due */
};

static uint32_t hash_text(uint32_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 16777619;
	return (h ^ 0xFF) * 16777619;
}

static unsigned bucket_of(const struct kf_denial *d)
{
	uint32_t h = hash_text(2166136261, d->path);

	h = hash_text(hash_text(h, d->process), d->blockers);
	h = hash_text(h ^ d->port, d->who ? d->who->id : "");
	return h % KF_FOLD_BUCKETS;
}

/* ---- the entries ---- */

static void append_entry(struct kf_fold *f, struct kf_fold_entry *e)
{
	e->later = NULL;
	e->sooner = f->last;
	*(f->last ? &f->last->later : &f->first) = e;
	f->last = e;
}

static void unlink_entry(struct kf_fold *f, struct kf_fold_entry *e)
{
	*(e->sooner ? &e->sooner->later : &f->first) = e->later;
	*(e->later ? &e->later->sooner : &f->last) = e->sooner;
}

static void remove_entry(struct kf_fold *f, struct kf_fold_entry *e)
{
	struct kf_fold_entry **at = &f->buckets[e->bucket];

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	unlink_entry(f, e);
	kf_who_drop(f->owners, e->denial.who);
	f->n--;
	free(e);
}

static struct kf_fold_entry *find_entry(const struct kf_fold *f, const struct kf_denial *d,
					unsigned bucket)
{
	struct kf_fold_entry *e = f->buckets[bucket];

	while (e && !kf_denial_same(&e->denial, d))
		e = e->next;
	return e;
}

/* ---- lines ---- */

static void tell_line(struct kf_fold *f, const struct kf_denial *d)
{
	f->lines++;
	f->line(f->ctx, d);
}

/* A line for @d if there may be one now. */
static bool may_tell(struct kf_fold *f, struct kf_who *who, uint64_t now)
{
	return (!who || kf_bucket_take(&who->lines, &f->options.each, now)) &&
	       kf_bucket_take(&f->all, &f->options.all, now);
}

/* The number of what was not told of @who goes into a line of its own when its window is over. */
static void keep_untold(struct kf_fold *f, const struct kf_denial *d, uint64_t now)
{
	struct kf_denial sum = {
		.ms = d->ms, .who = d->who, .kind = d->kind, .call = -1, .untold = true};
	const unsigned bucket = bucket_of(&sum);
	struct kf_fold_entry *e = find_entry(f, &sum, bucket);

	if (!e && f->n < KF_FOLD_MAX && (e = calloc(1, sizeof(*e)))) {
		e->denial = sum;
		(void)kf_who_ref(sum.who);
		e->bucket = bucket;
		e->next = f->buckets[bucket];
		f->buckets[bucket] = e;
		e->due = now + f->options.window;
		append_entry(f, e);
		f->n++;
	}
	if (e)
		e->denial.count += d->count;
	else
		f->untold += d->count;
}

/* The window of @e is over: tell how often it happened once more, or forget it.  A sum is told
 * whatever the rate: there is one for each container and window. */
static void end_window(struct kf_fold *f, struct kf_fold_entry *e, uint64_t now)
{
	struct kf_denial d = e->denial;

	if (d.count && (d.untold || may_tell(f, d.who, now))) {
		tell_line(f, &d);
		d.count = 0;
		e->denial.count = 0;
		if (!d.untold) {
			unlink_entry(f, e);
			e->due = now + f->options.window;
			append_entry(f, e);
			return;
		}
	}
	(void)kf_who_ref(d.who);
	remove_entry(f, e);
	if (d.count)
		keep_untold(f, &d, now);
	kf_who_drop(f->owners, d.who);
}

void kf_fold_add(struct kf_fold *f, const struct kf_denial *d, uint64_t now)
{
	const unsigned bucket = bucket_of(d);
	struct kf_fold_entry *e;

	if (d->untold) {
		keep_untold(f, d, now);
		return;
	}
	e = find_entry(f, d, bucket);
	if (e) {
		e->denial.count += d->count;
		e->denial.ms = d->ms;
		e->denial.pid = d->pid;
		return;
	}
	if (!may_tell(f, d->who, now)) {
		keep_untold(f, d, now);
		return;
	}
	tell_line(f, d);
	if (f->n >= KF_FOLD_MAX - 1)
		end_window(f, f->first, now);
	if (f->n >= KF_FOLD_MAX - 1 || !(e = calloc(1, sizeof(*e))))
		return; /* it is told, and would be told again */
	e->denial = *d;
	e->denial.count = 0;
	(void)kf_who_ref(d->who);
	e->bucket = bucket;
	e->next = f->buckets[bucket];
	f->buckets[bucket] = e;
	e->due = now + f->options.window;
	append_entry(f, e);
	f->n++;
}

void kf_fold_tick(struct kf_fold *f, uint64_t now)
{
	while (f->first && f->first->due <= now)
		end_window(f, f->first, now);
}

void kf_fold_done(struct kf_fold *f, uint64_t now)
{
	while (f->first) {
		struct kf_fold_entry *e = f->first;

		(void)now;
		if (e->denial.count)
			tell_line(f, &e->denial);
		remove_entry(f, e);
	}
}
