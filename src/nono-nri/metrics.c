/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's metrics that are no row of observe/metrics.h, since each has labels of its own. */
#include "base/cleanup.h"
#include "base/log.h"
#include "nono-nri/export.h"
#include "nono-nri/guard_refused.h"
#include "nono-nri/plugin.h"
#include "nono-nri/programs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* @value within quotes, as Prometheus reads it. */
static void put_label(struct kf_buf *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			kf_buf_adds(out, "\\n");
		else if (*value == '"' || *value == '\\')
			kf_buf_addf(out, "\\%c", *value);
		else
			kf_buf_add(out, value, 1);
	}
}

static void put_family(struct kf_buf *out, const char *name, const char *help)
{
	kf_buf_addf(out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void put_rejected(const struct kf_plugin *p, struct kf_buf *out)
{
	if (!p->setup.names.nrejected)
		return;
	put_family(out, "nono_nri_profile_rejected",
		   "1 for each own profile that does not compile; the version before it stays in "
		   "force, if there is one");
	for (size_t i = 0; i < p->setup.names.nrejected; i++)
		kf_buf_addf(out, "nono_nri_profile_rejected{profile=\"%s\"} 1\n",
			    p->setup.names.rejected[i].name);
}

static void put_connection(const struct kf_plugin *p, struct kf_buf *out)
{
	const struct kf_settings *s = &p->setup.config.settings;

	if (p->connected) {
		put_family(out, "nono_nri_runtime_info", "1 for the runtime that is connected");
		kf_buf_adds(out, "nono_nri_runtime_info{runtime=\"");
		put_label(out, p->runtime);
		kf_buf_addf(out, "\",validates=\"%s\"} 1\n",
			    p->features.validate ? "true" : "false");
	}
	put_family(out, "nono_nri_handler_guarded",
		   "1 for each sandboxed handler that has the guard, else 0");
	for (size_t i = 0; i < s->nhandlers; i++) {
		kf_buf_adds(out, "nono_nri_handler_guarded{handler=\"");
		put_label(out, s->handlers[i]);
		kf_buf_addf(out, "\"} %d\n", kf_plugin_guarded(p, s->handlers[i]));
	}
}

void kf_plugin_programs(const struct kf_plugin *plugin,
			void (*tell)(struct kf_buf *out, const char *name, const char *version),
			struct kf_buf *out)
{
	char guard[PATH_MAX], version[KF_PROGRAM_VERSION];
	const struct {
		const char *name, *path;
	} programs[] = {
		{"nono", plugin->setup.config.settings.launcher},
		{"nono-runc", guard},
	};

	(void)snprintf(guard, sizeof(guard), "%s/bin/nono-runc", plugin->node_dir);
	tell(out, KF_PLUGIN_NAME, KF_VERSION);
	for (size_t i = 0; i < KF_ARRAY_SIZE(programs); i++)
		if (kf_program_version(programs[i].path, programs[i].name, version) == 0)
			tell(out, programs[i].name, version);
}

static void put_program(struct kf_buf *out, const char *name, const char *version)
{
	kf_buf_addf(out, "nono_nri_program_info{program=\"%s\",version=\"", name);
	put_label(out, version);
	kf_buf_adds(out, "\"} 1\n");
}

static void export_guard(const struct kf_plugin *p, const struct kf_refused *refused,
			 unsigned times)
{
	kf_plugin_export(p, &(const struct kf_export){.by = "nono-runc",
						      .operation = refused->command,
						      .reason = refused->reason,
						      .ms = refused->time * 1000,
						      .count = times,
						      .profile = refused->profile,
						      .namespace_ = refused->namespace_,
						      .pod = refused->pod,
						      .uid = refused->uid,
						      .container = refused->container,
						      .container_id = refused->id});
}

/* The same container, refused for the same reason, comes again and again. */
static void count_guard(void *ctx, const struct kf_refused *refused, bool known)
{
	struct kf_plugin *p = ctx;
	struct timespec t = {0};
	unsigned times;
	bool first, told;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	/* A container of no pod is told from others by its ID. */
	told = kf_refusals_tell(&p->guard_refusals, *refused->uid ? refused->uid : refused->id,
				refused->container, refused->id, refused->reason,
				(uint64_t)t.tv_sec * 1000000 + 1, &times, &first);
	if (told && !known)
		export_guard(p, refused, times);
	if (!first)
		return;
	if (!known)
		kf_decisions_count(&p->decisions, KF_DECISION_GUARD_REFUSE,
				   kf_profile_name_valid(refused->profile) ? refused->profile : "",
				   strcmp(refused->command, "exec") == 0 ? "exec" : "create");
	kf_decisions_remember(&p->decisions, true, refused->time, refused->namespace_, refused->pod,
			      refused->container, refused->reason);
}

void kf_plugin_read_guard_refused(struct kf_plugin *plugin)
{
	struct kf_err err;

	if (!plugin->guard_refused ||
	    kf_guard_refused_read(plugin->guard_refused, count_guard, plugin, &err) == 0)
		return;
	kf_metric_inc(&plugin->metrics, KF_METRIC_STATE_ERRORS);
	kf_log(KF_LOG_WARN, "state-not-written", {"error", err.msg},
	       {"effect", "after a restart, refusals of the guard may be counted twice, or not"});
}

void kf_plugin_metrics(struct kf_plugin *plugin, struct kf_buf *out)
{
	kf_metric_set(&plugin->metrics, KF_METRIC_READY, !kf_plugin_not_ready(plugin));
	kf_metric_set(&plugin->metrics, KF_METRIC_CONNECTED, plugin->connected);
	kf_metrics_format(&plugin->metrics, out);
	kf_plugin_read_guard_refused(plugin);
	kf_decisions_format(&plugin->decisions, out);
	put_rejected(plugin, out);
	put_connection(plugin, out);
	put_family(out, "nono_nri_program_info", "1 for each program of ours on the node");
	kf_plugin_programs(plugin, put_program, out);
}
