/* SPDX-License-Identifier: Apache-2.0 */
/* State entries, written when the runtime has stopped asking for a while: it waits for
 * answers, nobody waits for these, and several at once cost a third less. */
#include "nono-nri/record.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "nono-nri/lives.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long is a while, and how many may wait for it to come.  What a plugin that is killed
 * leaves unwritten, the next one's Synchronize makes up for. */
static const struct timeval quiet = {.tv_usec = 10000};
#define RECORDS_MAX 256

static void write_one(struct kf_plugin *p, const struct kf_state_entry *entry)
{
	struct kf_err err;

	if (kf_state_write(&p->state, entry, &err) == 0)
		return;
	kf_metric_inc(&p->metrics, KF_METRIC_STATE_ERRORS);
	kf_log(KF_LOG_WARN, "state-not-written", {"container_id", entry->container_id},
	       {"error", err.msg});
}

void kf_plugin_write_records(struct kf_plugin *plugin)
{
	struct kf_life *r = plugin->records, *next;

	plugin->records = NULL;
	plugin->nrecords = 0;
	for (; r; r = next) {
		next = r->next;
		if (!r->written)
			write_one(plugin, &r->entry);
		if (plugin->told_by_guard)
			kf_lives_take(plugin->lives, r);
		else
			free(r);
	}
}

/* The container has ended and is gone: say so, and take its state away. */
static void tell_end(void *ctx, const struct kf_life *record)
{
	struct kf_plugin *plugin = ctx;
	static const char *const words[] = {"container-stopping", "container-removed"};
	const struct kf_state_entry *e = &record->entry;

	kf_state_remove(&plugin->state, e->pod_uid, e->container_id);
	for (unsigned i = 0; i < KF_ARRAY_SIZE(words); i++)
		kf_log(KF_LOG_INFO, words[i], {"container_id", e->container_id},
		       {"container", e->container}, {"namespace", e->namespace_}, {"pod", e->pod},
		       {"profile", e->profile}, {"runtime_handler", e->handler});
}

static void expect_news(void *ctx)
{
	kf_plugin_write_records(ctx);
}

const struct kf_lives_ops kf_plugin_lives_ops = {expect_news, tell_end};

static void on_quiet(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	kf_plugin_write_records(ctx);
}

/* Move @s behind the record, at *@at. */
static const char *keep_string(char **at, const char *s)
{
	size_t n = s ? strlen(s) + 1 : 0;
	char *p = *at;

	if (!s)
		return NULL;
	*at += n;
	return memcpy(p, s, n);
}

static size_t size_of(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

void kf_plugin_record(struct kf_plugin *plugin, const Nri__PodSandbox *pod,
		      const Nri__Container *container, const char *profile, const char *unsandboxed,
		      bool written)
{
	size_t n = size_of(container->id) + size_of(pod->uid) + size_of(pod->name) +
		   size_of(pod->pod_namespace) + size_of(profile) + size_of(unsandboxed) +
		   size_of(container->name) + size_of(pod->runtime_handler);
	struct kf_life *r = malloc(sizeof(*r) + n);
	char *at;

	if (!plugin->write_records)
		plugin->write_records = evtimer_new(plugin->base, on_quiet, plugin);
	if (!r || !plugin->write_records) {
		kf_metric_inc(&plugin->metrics, KF_METRIC_STATE_ERRORS);
		free(r);
		return;
	}
	at = r->strings;
	r->entry = (struct kf_state_entry){
		.container_id = keep_string(&at, container->id),
		.pod_uid = keep_string(&at, pod->uid),
		.pod = keep_string(&at, pod->name),
		.namespace_ = keep_string(&at, pod->pod_namespace),
		.container = keep_string(&at, container->name),
		.profile = keep_string(&at, profile),
		.handler = keep_string(&at, pod->runtime_handler),
		.guard = kf_plugin_guarded(plugin, pod->runtime_handler),
		.time = time(NULL),
		.unsandboxed = keep_string(&at, unsandboxed),
	};
	r->written = written;
	r->guard[0] = '\0';
	if (!plugin->records)
		plugin->records_end = &plugin->records;
	r->next = NULL;
	*plugin->records_end = r;
	plugin->records_end = &r->next;
	/* Not here: the answer at hand goes out when this callback is through. */
	if (++plugin->nrecords >= RECORDS_MAX || event_add(plugin->write_records, &quiet) < 0)
		event_active(plugin->write_records, EV_TIMEOUT, 0);
}

void kf_plugin_records_done(struct kf_plugin *plugin)
{
	kf_plugin_write_records(plugin);
	if (plugin->write_records)
		event_free(plugin->write_records);
	plugin->write_records = NULL;
}
