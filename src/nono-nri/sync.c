/* SPDX-License-Identifier: Apache-2.0 */
/* Synchronize: what exists already.  The state directory is brought in line with
 * it, and what runs outside the sandbox although it is ours is reported.
 * The request may come in parts, a container before its pod. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "nono-nri/export.h"
#include "nono-nri/library.h"
#include "nono-nri/lives.h"
#include "nono-nri/plugin.h"
#include "nri-plan/view.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A container of ours that lives. */
struct live {
	struct live *next;
	const char *pod_uid, *container_id;
};

/* A container whose pod has not been seen yet. */
struct deferred {
	struct deferred *next;
	Nri__Container *container;
};

struct pod {
	struct pod *next;
	const char *id;
	const Nri__PodSandbox *ours; /* copy; NULL: out of scope */
};

#define BUCKETS 1024

struct kf_sync {
	struct kf_arena arena; /* everything below */
	struct pod *pods[BUCKETS];
	struct deferred *deferred;
	struct live *live;
	size_t nlive;
	unsigned sandboxed, unsandboxed;
};

static unsigned bucket_of(const char *id)
{
	uint32_t h = 2166136261;

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 16777619;
	return h % BUCKETS;
}

static struct pod *find_pod(const struct kf_sync *s, const char *id)
{
	struct pod *pod = s->pods[bucket_of(id)];

	while (pod && strcmp(pod->id, id) != 0)
		pod = pod->next;
	return pod;
}

/* ---- copies: a request's memory is gone when its callback returns ---- */

static Nri__PodSandbox *copy_pod(struct kf_arena *arena, const Nri__PodSandbox *pod)
{
	Nri__PodSandbox *c = kf_arena_alloc(arena, sizeof(*c));
	Nri__KeyValue *pairs = kf_arena_calloc(arena, pod->n_annotations, sizeof(*pairs));

	if (!c || !pairs)
		return NULL;
	nri__pod_sandbox__init(c);
	c->annotations = kf_arena_calloc(arena, pod->n_annotations, sizeof(*c->annotations));
	c->name = kf_arena_strdup(arena, pod->name);
	c->uid = kf_arena_strdup(arena, pod->uid);
	c->pod_namespace = kf_arena_strdup(arena, pod->pod_namespace);
	c->runtime_handler = kf_arena_strdup(arena, pod->runtime_handler);
	if (!c->annotations || !c->name || !c->uid || !c->pod_namespace || !c->runtime_handler)
		return NULL;
	for (size_t i = 0; i < pod->n_annotations; i++) {
		Nri__KeyValue *pair = &pairs[c->n_annotations];
		const Nri__KeyValue *from = pod->annotations[i];

		if (strncmp(from->key, KF_ANNOTATION_PROFILE, strlen(KF_ANNOTATION_PROFILE)) != 0)
			continue;
		nri__key_value__init(pair);
		pair->key = kf_arena_strdup(arena, from->key);
		pair->value = kf_arena_strdup(arena, from->value);
		if (!pair->key || !pair->value)
			return NULL;
		c->annotations[c->n_annotations++] = pair;
	}
	return c;
}

static Nri__Container *copy_container(struct kf_arena *arena, const Nri__Container *from)
{
	Nri__Container *c = kf_arena_alloc(arena, sizeof(*c));
	Nri__Mount *mounts = kf_arena_calloc(arena, from->n_mounts, sizeof(*mounts));

	if (!c || !mounts)
		return NULL;
	nri__container__init(c);
	c->id = kf_arena_strdup(arena, from->id);
	c->pod_sandbox_id = kf_arena_strdup(arena, from->pod_sandbox_id);
	c->name = kf_arena_strdup(arena, from->name);
	c->args = kf_arena_calloc(arena, from->n_args, sizeof(*c->args));
	c->mounts = kf_arena_calloc(arena, from->n_mounts, sizeof(*c->mounts));
	if (!c->id || !c->pod_sandbox_id || !c->name || !c->args || !c->mounts)
		return NULL;
	for (; c->n_args < from->n_args; c->n_args++) {
		c->args[c->n_args] = kf_arena_strdup(arena, from->args[c->n_args]);
		if (!c->args[c->n_args])
			return NULL;
	}
	for (; c->n_mounts < from->n_mounts; c->n_mounts++) {
		Nri__Mount *m = &mounts[c->n_mounts];

		nri__mount__init(m);
		m->destination = kf_arena_strdup(arena, from->mounts[c->n_mounts]->destination);
		m->source = kf_arena_strdup(arena, from->mounts[c->n_mounts]->source);
		if (!m->destination || !m->source)
			return NULL;
		c->mounts[c->n_mounts] = m;
	}
	return c;
}

/* ---- one pod, one container ---- */

static int add_pod(struct kf_plugin *p, const Nri__PodSandbox *from)
{
	struct kf_sync *s = p->sync;
	struct pod *pod = kf_arena_alloc(&s->arena, sizeof(*pod));
	unsigned b = bucket_of(from->id);

	if (!pod)
		return -1;
	pod->id = kf_arena_strdup(&s->arena, from->id);
	if (!pod->id)
		return -1;
	if (kf_settings_in_scope(&p->setup.config.settings, from->runtime_handler)) {
		pod->ours = copy_pod(&s->arena, from);
		if (!pod->ours)
			return -1;
	}
	pod->next = s->pods[b];
	s->pods[b] = pod;
	return 0;
}

/* The profile a container runs under: its prefix says it or, where the guard
 * wraps, the plan. */
static const char *profile_of(struct kf_plugin *p, const struct kf_view *view)
{
	static const struct kf_launch by_path;
	const struct kf_launch launch = {.guard_follows = true};
	const char *profile;
	struct kf_plan plan;

	if (kf_plan_prefix(&by_path, view->args, view->nargs, &profile))
		return profile;
	if (kf_plan_container(&p->setup.config.settings, view, &launch, &p->request, &plan,
			      KF_ERR_IGNORED) == 0 &&
	    plan.decision == KF_SANDBOX)
		return plan.profile->name;
	return "";
}

static int check_container(struct kf_plugin *p, const Nri__PodSandbox *pod,
			   const Nri__Container *container)
{
	bool guarded = kf_plugin_guarded(p, pod->runtime_handler);
	struct kf_sync *s = p->sync;
	struct live *live = kf_arena_alloc(&s->arena, sizeof(*live));
	const char *profile;
	struct kf_view view;
	struct kf_err err;

	if (!live || kf_nri_view(pod, container, &p->request, &view, &err) < 0)
		return -1;
	live->pod_uid = kf_arena_strdup(&s->arena, pod->uid);
	live->container_id = kf_arena_strdup(&s->arena, container->id);
	if (!live->pod_uid || !live->container_id)
		return -1;
	live->next = s->live;
	s->live = live;
	s->nlive++;
	profile = profile_of(p, &view);
	if (guarded || kf_verify_container(&p->setup.config.settings, &view, &err) == 0) {
		s->sandboxed++;
		kf_plugin_record(p, pod, container, profile, NULL,
				 kf_state_has(&p->state, pod->uid, container->id));
		return 0;
	}
	s->unsandboxed++;
	kf_log(KF_LOG_ERROR, "unsandboxed", {"reason", err.msg}, {"container_id", container->id},
	       {"container", container->name}, {"namespace", pod->pod_namespace},
	       {"pod", pod->name}, {"runtime_handler", pod->runtime_handler});
	kf_plugin_export(p, &(const struct kf_export){.by = KF_PLUGIN_NAME,
						      .operation = "Synchronize",
						      .reason = err.msg,
						      .outside = true,
						      .count = 1,
						      .handler = pod->runtime_handler,
						      .namespace_ = pod->pod_namespace,
						      .pod = pod->name,
						      .uid = pod->uid,
						      .container = container->name,
						      .container_id = container->id});
	kf_plugin_record(p, pod, container, profile, err.msg, false);
	return 0;
}

static int add_container(struct kf_plugin *p, const Nri__Container *container)
{
	struct kf_sync *s = p->sync;
	const struct pod *pod = find_pod(s, container->pod_sandbox_id);
	struct deferred *d;
	int r = 0;

	if (pod) {
		if (pod->ours)
			r = check_container(p, pod->ours, container);
		kf_arena_reset(&p->request);
		return r;
	}
	d = kf_arena_alloc(&s->arena, sizeof(*d));
	if (!d)
		return -1;
	d->container = copy_container(&s->arena, container);
	d->next = s->deferred;
	s->deferred = d;
	return d->container ? 0 : -1;
}

/* ---- the end ---- */

static int by_id(const void *a, const void *b)
{
	const struct live *x = *(const struct live *const *)a;
	const struct live *y = *(const struct live *const *)b;
	int c = strcmp(x->container_id, y->container_id);

	return c ? c : strcmp(x->pod_uid, y->pod_uid);
}

struct index {
	const struct live **v;
	size_t n;
};

static bool is_live(void *ctx, const char *pod_uid, const char *container_id)
{
	const struct live key = {.pod_uid = pod_uid, .container_id = container_id};
	const struct live *pointer = &key;
	const struct index *index = ctx;

	return bsearch(&pointer, index->v, index->n, sizeof(*index->v), by_id) != NULL;
}

static int finish_sync(struct kf_plugin *p)
{
	struct kf_sync *s = p->sync;
	struct index index = {.v = kf_arena_calloc(&s->arena, s->nlive, sizeof(*index.v))};
	char sandboxed[16], unsandboxed[16], stale[16];

	if (!index.v)
		return -1;
	for (const struct live *l = s->live; l; l = l->next)
		index.v[index.n++] = l;
	kf_plugin_write_records(p);
	if (p->told_by_guard)
		kf_lives_scan(p->lives);
	qsort(index.v, index.n, sizeof(*index.v), by_id);
	(void)snprintf(stale, sizeof(stale), "%u", kf_state_reconcile(&p->state, is_live, &index));
	(void)snprintf(sandboxed, sizeof(sandboxed), "%u", s->sandboxed);
	(void)snprintf(unsandboxed, sizeof(unsandboxed), "%u", s->unsandboxed);
	kf_library_prune(&p->setup.config, &p->state);
	kf_metric_set(&p->metrics, KF_METRIC_SANDBOXED, s->sandboxed);
	kf_metric_set(&p->metrics, KF_METRIC_UNSANDBOXED, s->unsandboxed);
	kf_log(KF_LOG_INFO, "synchronized", {"sandboxed", sandboxed}, {"unsandboxed", unsandboxed},
	       {"stale_entries_removed", stale});
	return 0;
}

void kf_sync_free(struct kf_sync *sync)
{
	if (!sync)
		return;
	kf_arena_done(&sync->arena);
	free(sync);
	/* A node's worth of containers must not stay in our resident size. */
	(void)malloc_trim(0);
}

static int add_part(struct kf_plugin *p, const Nri__SynchronizeRequest *req)
{
	struct kf_sync *s = p->sync;

	for (size_t i = 0; i < req->n_pods; i++)
		if (add_pod(p, req->pods[i]) < 0)
			return -1;
	for (size_t i = 0; i < req->n_containers; i++)
		if (add_container(p, req->containers[i]) < 0)
			return -1;
	if (req->more)
		return 0;
	for (const struct deferred *d = s->deferred; d; d = d->next) {
		const struct pod *pod = find_pod(s, d->container->pod_sandbox_id);

		if (pod && pod->ours && check_container(p, pod->ours, d->container) < 0)
			return -1;
		kf_arena_reset(&p->request);
	}
	return finish_sync(p);
}

int kf_plugin_synchronize(void *ctx, const Nri__SynchronizeRequest *req, struct nri_reply *reply,
			  struct nri_error *err)
{
	struct kf_plugin *p = ctx;
	int r;

	(void)reply;
	if (!p->sync) {
		p->sync = calloc(1, sizeof(*p->sync));
		if (!p->sync)
			return nri_fail(err, NRI_RESOURCE_EXHAUSTED, "out of memory");
		kf_arena_init(&p->sync->arena, KF_LIMIT_REQUEST_MEMORY);
	}
	r = add_part(p, req);
	if (r < 0)
		(void)nri_fail(err, NRI_RESOURCE_EXHAUSTED,
			       "out of memory for the containers of this node");
	if (r < 0 || !req->more) {
		kf_sync_free(p->sync);
		p->sync = NULL;
	}
	return r;
}
