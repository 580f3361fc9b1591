/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_OBSERVE_METRICS_H
#define KF_OBSERVE_METRICS_H

#include "base/buf.h"

#include <stdint.h>

/* Counters and gauges of the plugin, for Prometheus: X(NAME, type, metric, help). */
#define KF_METRICS(X)                                                                          \
	X(INJECTED, "counter", "nono_nri_containers_total{decision=\"inject\"}",               \
	  "Containers that were asked about, by decision")                                     \
	X(SKIPPED, "counter", "nono_nri_containers_total{decision=\"skip\"}", NULL)            \
	X(REFUSED, "counter", "nono_nri_containers_total{decision=\"refuse\"}", NULL)          \
	X(VALIDATE_REFUSED, "counter", "nono_nri_validate_refused_total",                      \
	  "Containers that other plugins would have taken out of the sandbox")                 \
	X(START_REFUSED, "counter", "nono_nri_start_refused_total",                            \
	  "Containers that were not in the sandbox when they were about to start")             \
	X(STATE_ERRORS, "counter", "nono_nri_state_errors_total",                              \
	  "Entries of the state directory that could not be written")                          \
	X(RELOADS, "counter", "nono_nri_reloads_total{result=\"ok\"}",                         \
	  "Changes of configuration and profiles, by result")                                  \
	X(RELOAD_ERRORS, "counter", "nono_nri_reloads_total{result=\"error\"}", NULL)          \
	X(CONNECTIONS, "counter", "nono_nri_connections_total",                                \
	  "Times the runtime has taken the plugin into its list")                              \
	X(CONNECTED, "gauge", "nono_nri_connected",                                            \
	  "1 while the runtime has the plugin in its list")                                    \
	X(READY, "gauge", "nono_nri_ready",                                                    \
	  "1 while the runtime knows the plugin and everything asked for can be enforced")     \
	X(SANDBOXED, "gauge", "nono_nri_synchronized_containers{sandboxed=\"true\"}",          \
	  "Containers of ours that were there when the plugin connected")                      \
	X(UNSANDBOXED, "gauge", "nono_nri_synchronized_containers{sandboxed=\"false\"}", NULL) \
	X(PROFILES, "gauge", "nono_nri_profiles", "Profiles that pods can name")

enum kf_metric {
#define KF_METRIC_ENUM(name, type, metric, help) KF_METRIC_##name,
	KF_METRICS(KF_METRIC_ENUM)
#undef KF_METRIC_ENUM
		KF_NMETRICS
};

/* Upper bounds of the request duration's buckets, in microseconds. */
#define KF_METRIC_BUCKETS 8
extern const unsigned kf_metric_bounds[KF_METRIC_BUCKETS];

struct kf_metrics {
	uint64_t value[KF_NMETRICS];
	uint64_t bucket[KF_METRIC_BUCKETS + 1]; /* the last: beyond all bounds */
	uint64_t microseconds;			/* sum */
};

static inline void kf_metric_inc(struct kf_metrics *metrics, enum kf_metric which)
{
	metrics->value[which]++;
}

static inline void kf_metric_set(struct kf_metrics *metrics, enum kf_metric which, uint64_t value)
{
	metrics->value[which] = value;
}

/* Count one CreateContainer request that took @microseconds to answer. */
void kf_metric_observe(struct kf_metrics *metrics, uint64_t microseconds);
/* Append the Prometheus text format, version 0.0.4. */
void kf_metrics_format(const struct kf_metrics *metrics, struct kf_buf *out);

#endif
