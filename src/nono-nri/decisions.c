/* SPDX-License-Identifier: Apache-2.0 */
/* Counts decisions in a table of fixed size. */
#include "nono-nri/decisions.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const words[] = {
	[KF_DECISION_INJECT] = "inject",
	[KF_DECISION_REFUSE] = "refuse",
};

/* The count of that; a new one if there are less than @max, else NULL. */
static struct kf_decision_count *find_count(struct kf_decisions *d, enum kf_decision_kind what,
					    const char *profile, const char *reason, size_t max)
{
	struct kf_decision_count *c = d->v, *end = d->v + d->n;

	while (c < end && (c->what != what || strcmp(c->profile, profile) != 0 ||
			   strcmp(c->reason, reason) != 0))
		c++;
	if (c < end)
		return c;
	if (d->n >= max)
		return NULL;
	c->what = what;
	(void)snprintf(c->profile, sizeof(c->profile), "%s", profile);
	(void)snprintf(c->reason, sizeof(c->reason), "%s", reason);
	d->n++;
	return c;
}

void kf_decisions_count(struct kf_decisions *decisions, enum kf_decision_kind what,
			const char *profile, const char *reason)
{
	struct kf_decision_count *c =
		find_count(decisions, what, profile ? profile : "", reason, KF_DECISIONS_MAX);

	/* A refusal that has no place must not count as a start. */
	if (!c)
		c = find_count(decisions, what, "other", "other", KF_ARRAY_SIZE(decisions->v));
	if (c)
		c->n++;
}

void kf_decisions_remember(struct kf_decisions *decisions, bool guard, int64_t when,
			   const char *namespace_, const char *pod, const char *container,
			   const char *reason)
{
	struct kf_refused_lately *r =
		&decisions->lately[decisions->nlately++ % KF_DECISIONS_LATELY];

	r->time = when;
	r->guard = guard;
	(void)snprintf(r->namespace_, sizeof(r->namespace_), "%s", namespace_);
	(void)snprintf(r->pod, sizeof(r->pod), "%s", pod);
	(void)snprintf(r->container, sizeof(r->container), "%s", container);
	(void)snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

/* Names of profiles and words of ours need no escapes. */
static void put_counts(const struct kf_decisions *d, bool guard, struct kf_buf *out)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct kf_decision_count *c = &d->v[i];

		if ((c->what == KF_DECISION_GUARD_REFUSE) != guard)
			continue;
		if (guard)
			kf_buf_addf(out,
				    "nono_nri_guard_refused_total{command=\"%s\",profile=\"%s\"} "
				    "%" PRIu64 "\n",
				    c->reason, c->profile, c->n);
		else
			kf_buf_addf(out,
				    "nono_nri_decisions_total{decision=\"%s\",profile=\"%s\","
				    "reason=\"%s\"} %" PRIu64 "\n",
				    words[c->what], c->profile, c->reason, c->n);
	}
}

void kf_decisions_format(const struct kf_decisions *decisions, struct kf_buf *out)
{
	kf_buf_adds(out, "# HELP nono_nri_decisions_total Containers by decision, profile and "
			 "reason; one that is asked for again because it was refused counts once\n"
			 "# TYPE nono_nri_decisions_total counter\n");
	put_counts(decisions, false, out);
	kf_buf_adds(out, "# HELP nono_nri_guard_refused_total What the guard refused, by its "
			 "command; the same one again counts once\n"
			 "# TYPE nono_nri_guard_refused_total counter\n");
	put_counts(decisions, true, out);
}
