/* SPDX-License-Identifier: Apache-2.0 */
/* src/observe/metrics: the text that Prometheus reads. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "observe/metrics.h"

#include <string.h>

#define TEXT_MAX (64 * 1024)

/* The line of @text that begins with @start. */
static const char *line_of(const char *text, const char *start)
{
	size_t n = strlen(start);

	for (const char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (strncmp(at, start, n) == 0)
			return at;
	return NULL;
}

static void assert_line(const char *text, const char *line)
{
	const char *at = line_of(text, line);

	assert_non_null(at);
	assert_int_equal(at[strlen(line)], '\n');
}

static void every_family_has_a_type_before_its_values(void **state)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(TEXT_MAX);
	struct kf_metrics metrics = {0};
	const char *family = "";
	size_t n = 0, values = 0;

	(void)state;
	kf_metrics_format(&metrics, &out);
	assert_false(out.failed);
	for (const char *at = out.p; *at; at = strchr(at, '\n') + 1) {
		if (strncmp(at, "# TYPE ", 7) == 0) {
			family = at + 7;
			n = strcspn(family, " ");
		} else if (*at != '#') {
			assert_memory_equal(at, family, n);
			values++;
		}
	}
	assert_int_equal(values, KF_NMETRICS + KF_METRIC_BUCKETS + 3 + 1);
}

static void values_are_what_was_counted(void **state)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(TEXT_MAX);
	struct kf_metrics metrics = {0};

	(void)state;
	kf_metric_set(&metrics, KF_METRIC_PROFILES, 12);
	kf_metric_inc(&metrics, KF_METRIC_SANDBOXED);
	kf_metric_inc(&metrics, KF_METRIC_SANDBOXED);
	kf_metric_set(&metrics, KF_METRIC_UNSANDBOXED, UINT64_MAX);
	kf_metrics_format(&metrics, &out);
	assert_line(out.p, "nono_nri_profiles 12");
	assert_line(out.p, "nono_nri_synchronized_containers{sandboxed=\"true\"} 2");
	assert_line(out.p,
		    "nono_nri_synchronized_containers{sandboxed=\"false\"} 18446744073709551615");
}

static void buckets_add_up(void **state)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(TEXT_MAX);
	struct kf_metrics metrics = {0};
	unsigned long last = 0, all = 0;

	(void)state;
	kf_metric_observe(&metrics, 0);
	kf_metric_observe(&metrics, 1500000);
	kf_metric_observe(&metrics, 3600000000);
	kf_metrics_format(&metrics, &out);
	for (const char *at = out.p; (at = strstr(at, "_bucket{le=")); at++) {
		unsigned long count = strtoul(strchr(at, ' '), NULL, 10);

		assert_true(count >= last);
		last = count;
		all++;
	}
	assert_int_equal(all, KF_METRIC_BUCKETS + 1);
	assert_int_equal(last, 3);
	assert_non_null(strstr(out.p, "_count 3\n"));
	assert_non_null(strstr(out.p, "_sum 3601.500000\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_family_has_a_type_before_its_values),
		cmocka_unit_test(values_are_what_was_counted),
		cmocka_unit_test(buckets_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
