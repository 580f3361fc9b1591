/* SPDX-License-Identifier: Apache-2.0 */
/* src/nono-nri/decisions: every decision is counted once under its own kind, also when more are
 * told apart than there are places; the last refusals are remembered whole or cut. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "nono-nri/decisions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1024 * 1024)
/* More than there are places, by far. */
#define MANY	 (2 * KF_DECISIONS_MAX)

static const struct {
	enum kf_decision_kind kind;
	const char *starts; /* of its lines */
	const char *other;  /* its line of what has no place, without the number */
} kinds[] = {
	{KF_DECISION_INJECT, "nono_nri_decisions_total{decision=\"inject\",",
	 "nono_nri_decisions_total{decision=\"inject\",profile=\"other\",reason=\"other\"}"},
	{KF_DECISION_REFUSE, "nono_nri_decisions_total{decision=\"refuse\",",
	 "nono_nri_decisions_total{decision=\"refuse\",profile=\"other\",reason=\"other\"}"},
	{KF_DECISION_GUARD_REFUSE, "nono_nri_guard_refused_total{",
	 "nono_nri_guard_refused_total{command=\"other\",profile=\"other\"}"},
};

static void count_many(struct kf_decisions *d, enum kf_decision_kind kind)
{
	char profile[32];

	for (unsigned i = 0; i < MANY; i++) {
		(void)snprintf(profile, sizeof(profile), "p%u", i);
		kf_decisions_count(d, kind, profile, "why");
	}
}

/* The sum of the values of the lines that begin with @starts. */
static unsigned long long sum_of(const char *text, const char *starts)
{
	unsigned long long sum = 0;

	for (const char *at = text; *at; at = strchr(at, '\n') + 1)
		if (strncmp(at, starts, strlen(starts)) == 0)
			sum += strtoull(strchr(at, '}') + 1, NULL, 10);
	return sum;
}

static void none_is_lost_and_none_changes_its_kind(void **state)
{
	(void)state;
	/* Whichever kind fills the table first. */
	for (size_t first = 0; first < KF_ARRAY_SIZE(kinds); first++) {
		KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(TEXT_MAX);
		struct kf_decisions *d = calloc(1, sizeof(*d));

		assert_non_null(d);
		for (size_t i = 0; i < KF_ARRAY_SIZE(kinds); i++)
			count_many(d, kinds[(first + i) % KF_ARRAY_SIZE(kinds)].kind);
		kf_decisions_format(d, &out);
		assert_false(out.failed);
		for (size_t i = 0; i < KF_ARRAY_SIZE(kinds); i++) {
			assert_int_equal(sum_of(out.p, kinds[i].starts), MANY);
			assert_int_equal(sum_of(out.p, kinds[i].other),
					 i == first ? MANY - KF_DECISIONS_MAX : MANY);
		}
		free(d);
	}
}

static void the_same_again_counts_at_its_place(void **state)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(TEXT_MAX);
	struct kf_decisions d = {0};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		kf_decisions_count(&d, KF_DECISION_REFUSE, "base", "policy");
	kf_decisions_count(&d, KF_DECISION_REFUSE, NULL, "policy");
	kf_decisions_count(&d, KF_DECISION_INJECT, "base", "");
	kf_decisions_format(&d, &out);
	assert_int_equal(d.n, 3);
	assert_non_null(strstr(out.p, "nono_nri_decisions_total{decision=\"refuse\","
				      "profile=\"base\",reason=\"policy\"} 3\n"));
	assert_non_null(strstr(out.p, "nono_nri_decisions_total{decision=\"refuse\",profile=\"\","
				      "reason=\"policy\"} 1\n"));
	assert_non_null(strstr(out.p, "nono_nri_decisions_total{decision=\"inject\","
				      "profile=\"base\",reason=\"\"} 1\n"));
}

static void the_last_refusals_are_remembered(void **state)
{
	struct kf_decisions d = {0};
	char pod[16], longer[512];

	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	for (unsigned i = 0; i < 3 * KF_DECISIONS_LATELY + 1; i++) {
		(void)snprintf(pod, sizeof(pod), "pod-%u", i);
		kf_decisions_remember(&d, i % 2, 1000 + i, "team", pod, "main", longer);
	}
	assert_int_equal(d.nlately, 3 * KF_DECISIONS_LATELY + 1);
	for (unsigned i = 0; i < KF_DECISIONS_LATELY; i++) {
		size_t nth = d.nlately - 1 - i;
		const struct kf_refused_lately *r = &d.lately[nth % KF_DECISIONS_LATELY];

		(void)snprintf(pod, sizeof(pod), "pod-%zu", nth);
		assert_string_equal(r->pod, pod);
		assert_string_equal(r->namespace_, "team");
		assert_string_equal(r->container, "main");
		assert_int_equal(r->guard, nth % 2);
		assert_int_equal(strlen(r->reason), sizeof(r->reason) - 1);
		assert_int_equal(r->time, 1000 + nth);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_is_lost_and_none_changes_its_kind),
		cmocka_unit_test(the_same_again_counts_at_its_place),
		cmocka_unit_test(the_last_refusals_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
