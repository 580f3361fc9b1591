/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's counters in Prometheus' text format.  They are served by http.c. */
#include "observe/metrics.h"

#include <inttypes.h>
#include <string.h>

#define DURATION "nono_nri_create_duration_seconds"

static const struct {
	const char *type, *metric, *help;
} table[] = {
#define KF_METRIC_ROW(name, type, metric, help) {type, metric, help},
	KF_METRICS(KF_METRIC_ROW)
#undef KF_METRIC_ROW
};

const unsigned kf_metric_bounds[KF_METRIC_BUCKETS] = {25, 50, 100, 250, 500, 1000, 10000, 100000};

void kf_metric_observe(struct kf_metrics *metrics, uint64_t microseconds)
{
	unsigned i = 0;

	while (i < KF_METRIC_BUCKETS && microseconds > kf_metric_bounds[i])
		i++;
	metrics->bucket[i]++;
	metrics->microseconds += microseconds;
}

static void format_duration(const struct kf_metrics *metrics, struct kf_buf *out)
{
	uint64_t n = 0;

	kf_buf_adds(out, "# HELP " DURATION " Time to answer CreateContainer, in scope\n"
			 "# TYPE " DURATION " histogram\n");
	for (unsigned i = 0; i < KF_METRIC_BUCKETS; i++) {
		n += metrics->bucket[i];
		kf_buf_addf(out, DURATION "_bucket{le=\"%u.%06u\"} %" PRIu64 "\n",
			    kf_metric_bounds[i] / 1000000, kf_metric_bounds[i] % 1000000, n);
	}
	n += metrics->bucket[KF_METRIC_BUCKETS];
	kf_buf_addf(out, DURATION "_bucket{le=\"+Inf\"} %" PRIu64 "\n", n);
	kf_buf_addf(out, DURATION "_sum %" PRIu64 ".%06" PRIu64 "\n",
		    metrics->microseconds / 1000000, metrics->microseconds % 1000000);
	kf_buf_addf(out, DURATION "_count %" PRIu64 "\n", n);
}

void kf_metrics_format(const struct kf_metrics *metrics, struct kf_buf *out)
{
	for (unsigned i = 0; i < KF_NMETRICS; i++) {
		int n = (int)strcspn(table[i].metric, "{");

		/* A row without a help belongs to the family of the row before. */
		if (table[i].help)
			kf_buf_addf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", n, table[i].metric,
				    table[i].help, n, table[i].metric, table[i].type);
		kf_buf_addf(out, "%s %" PRIu64 "\n", table[i].metric, metrics->value[i]);
	}
	format_duration(metrics, out);
	kf_buf_adds(out, "# HELP nono_nri_build_info Version of the plugin\n"
			 "# TYPE nono_nri_build_info gauge\n"
			 "nono_nri_build_info{version=\"" KF_VERSION "\"} 1\n");
}
