/* SPDX-License-Identifier: Apache-2.0 */
/* What the plugin answers to the runtime's events, and which of them it asks for.  Every
 * container of the node comes along here: those that are not ours cost one comparison. */
#include "nono-nri/plugin.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "nono-nri/export.h"
#include "nono-nri/library.h"
#include "nono-nri/lives.h"
#include "nono-nri/view.h"
#include "nri-plan/view.h"
#include "nri/methods.h"

#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The names of all events that NRI has. */
#define EVENTS_TEXT   1024
/* Rejected profiles in an answer of 4 KiB. */
#define REJECTED_TEXT 1024
/* What sandboxing itself needs where the guard does not follow: to see what the container has
 * become, after all plugins and before its start. */
#define EVENTS_ALONE                                                \
	(NRI_EVENT_BIT(NRI__EVENT__VALIDATE_CONTAINER_ADJUSTMENT) | \
	 NRI_EVENT_BIT(NRI__EVENT__START_CONTAINER))
/* What the state directory needs where the guard does not tell. */
#define EVENTS_OF_STATE \
	(NRI_EVENT_BIT(NRI__EVENT__STOP_CONTAINER) | NRI_EVENT_BIT(NRI__EVENT__REMOVE_CONTAINER))

#define EVERY	 UINT32_MAX
#define END	 EVENTS_OF_STATE
#define CHECK	 EVENTS_ALONE
#define OF(type) &nri__##type##__descriptor

/* What kf_nri_view(), kf_view_adjusted(), the verifier and the log do not look at.  A field that
 * one of them comes to use has to go from here. */
const struct nri_unused kf_plugin_unused[] = {
	{EVERY, OF(pod_sandbox), 5},		    /* labels */
	{END, OF(pod_sandbox), 6},		    /* annotations */
	{EVERY, OF(pod_sandbox), 8},		    /* linux */
	{EVERY, OF(pod_sandbox), 10},		    /* ips */
	{EVERY, OF(container), 5},		    /* labels */
	{EVERY, OF(container), 6},		    /* annotations */
	{END, OF(container), 7},		    /* args */
	{CHECK | END, OF(container), 8},	    /* env */
	{END, OF(container), 9},		    /* mounts */
	{EVERY, OF(container), 10},		    /* hooks */
	{END, OF(container), 11},		    /* linux */
	{EVERY, OF(container), 13},		    /* rlimits */
	{EVERY, OF(container), 20},		    /* CDI devices */
	{EVERY, OF(container), 21},		    /* user */
	{EVERY, OF(container), 22},		    /* image */
	{EVERY, OF(linux_container), 1},	    /* namespaces */
	{EVERY, OF(linux_container), 3},	    /* resources */
	{EVERY, OF(linux_container), 4},	    /* OOM score */
	{EVERY, OF(linux_container), 5},	    /* cgroup */
	{CHECK, OF(linux_container), 8},	    /* seccomp policy */
	{EVERY, OF(linux_container), 9},	    /* sysctls */
	{CHECK, OF(container_adjustment), 2},	    /* annotations */
	{CHECK, OF(container_adjustment), 4},	    /* env */
	{CHECK, OF(container_adjustment), 5},	    /* hooks */
	{CHECK, OF(container_adjustment), 7},	    /* rlimits */
	{CHECK, OF(container_adjustment), 8},	    /* CDI devices */
	{CHECK, OF(linux_container_adjustment), 2}, /* resources */
	{CHECK, OF(linux_container_adjustment),
	 6}, /* seccomp policy: whose it is, the owners tell */
	{CHECK, OF(linux_container_adjustment), 7}, /* namespaces */
	{CHECK, OF(linux_container_adjustment), 8}, /* sysctls */
};
const size_t kf_plugin_nunused = KF_ARRAY_SIZE(kf_plugin_unused);

/* The keys that every line about a container has. */
#define log_container(level, msg, pod, container, decision_, reason_, profile_)                  \
	kf_log(level, msg, {"decision", decision_}, {"reason", reason_},                         \
	       {"container_id", (container)->id}, {"container", (container)->name},              \
	       {"namespace", (pod)->pod_namespace}, {"pod", (pod)->name}, {"profile", profile_}, \
	       {"runtime_handler", (pod)->runtime_handler})

static bool in_scope(const struct kf_plugin *p, const Nri__PodSandbox *pod)
{
	return kf_settings_in_scope(&p->setup.config.settings, pod->runtime_handler);
}

/* The handler in scope whose containers only we sandbox; NULL if there is none. */
static const char *unguarded_handler(const struct kf_plugin *p)
{
	const struct kf_settings *s = &p->setup.config.settings;

	for (size_t i = 0; i < s->nhandlers; i++)
		if (!kf_plugin_guarded(p, s->handlers[i]))
			return s->handlers[i];
	return NULL;
}

/* As few as the work needs: a runtime sends each for every container of the node, and waits for
 * the answer.  What a runtime starts itself cannot connect again, and asks for all that it may come
 * to need. */
static uint32_t wanted_events(const struct kf_plugin *p)
{
	uint32_t events = NRI_EVENT_BIT(NRI__EVENT__CREATE_CONTAINER);

	if (p->adopted || unguarded_handler(p))
		events |= EVENTS_ALONE;
	if ((events & EVENTS_ALONE) || !p->lives || !kf_lives_told(p->lives))
		events |= EVENTS_OF_STATE;
	return events & p->features.events;
}

bool kf_plugin_lacks_events(const struct kf_plugin *plugin)
{
	return plugin->connected && (wanted_events(plugin) & EVENTS_ALONE & ~plugin->events);
}

const char *kf_plugin_not_ready(const struct kf_plugin *plugin)
{
	if (!plugin->connected)
		return "not connected to the runtime";
	if (plugin->unpublished)
		return plugin->unpublished;
	if (plugin->setup.no_default)
		return plugin->setup.no_default;
	return plugin->too_old[0] ? plugin->too_old : NULL;
}

static void add_events(const struct kf_plugin *p, struct kf_buf *out)
{
	for (Nri__Event e = NRI__EVENT__RUN_POD_SANDBOX; nri_event_method(e); e++)
		if (p->events & NRI_EVENT_BIT(e))
			kf_buf_addf(out, "%s%s", out->n ? " " : "", nri_event_method(e));
}

/* What it gives us, and what that means where there is no guard. */
static const struct {
	const char *validation, *without_guard;
} offers[] = {
	{"no, the runtime has NRI before 0.10",
	 "containers are refused, and run bare while nono-nri is not connected"},
	{"yes",
	 "containers are sandboxed, but not what enters them later, and run bare while nono-nri is "
	 "not connected"},
};

/* One line, cut where there is no room for more. */
static void add_rejected(const struct kf_library_names *names, struct kf_buf *out)
{
	char text[REJECTED_TEXT] = "";
	size_t n = 0;

	for (size_t i = 0; i < names->nrejected && n < sizeof(text) - 1; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s (%.160s)", i ? "; " : "",
				      names->rejected[i].name, names->rejected[i].why);
	if (names->nrejected)
		kf_buf_add_line(out, "rejected profiles: %s", text);
}

void kf_plugin_connection(const struct kf_plugin *plugin, struct kf_buf *out)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf events = KF_BUF_INIT(EVENTS_TEXT);

	kf_buf_add_line(out, "version: %s", KF_VERSION);
	add_rejected(&plugin->setup.names, out);

	if (!plugin->connected)
		return;
	add_events(plugin, &events);
	kf_buf_add_line(out, "runtime: %s", plugin->runtime);
	kf_buf_add_line(out, "events: %s", events.p);
	kf_buf_add_line(out, "validation: %s", offers[plugin->features.validate].validation);
	kf_buf_add_line(out, "without the guard: %s",
			offers[plugin->features.validate].without_guard);
}

/* ---- configure ---- */

/* The handlers that node set-up gave the guard.  No file: no guard. */
static void read_guard(struct kf_plugin *p)
{
	KF_FREE char *text = NULL;
	KF_CLOSE int fd = -1;
	struct kf_runtimes found;
	char path[PATH_MAX];
	struct kf_err err;
	size_t n;

	kf_runtimes_done(&p->guard);
	if (!p->node_dir[0])
		return;
	(void)snprintf(path, sizeof(path), "%s/runtime", p->node_dir);
	if (kf_file_open_trusted(path, &fd, &err) < 0) {
		if (err.code != ENOENT)
			kf_log(KF_LOG_ERROR, "guard-not-trusted", {"error", err.msg},
			       {"remedy", err.code == EACCES ? "restart nono-nri: the directory is "
							       "not the one that was there at its "
							       "start"
							     : NULL});
		return;
	}
	if (kf_fd_slurp(fd, path, KF_LIMIT_CONFIG, &text, &n, &err) < 0 ||
	    kf_runtimes_parse(text, n, &found, &err) < 0)
		kf_log(KF_LOG_ERROR, "guard-not-trusted", {"error", err.msg});
	else
		p->guard = found;
}

/* A runtime that drops what we answer is one on which only the guard helps. */
static void check_age(struct kf_plugin *p)
{
	const char *unguarded = unguarded_handler(p);

	p->too_old[0] = '\0';
	if (p->features.adjust_args || !p->runtime[0] || !unguarded)
		return;
	(void)snprintf(p->too_old, sizeof(p->too_old),
		       "%s drops the sandbox silently (NRI before 0.10) and handler '%s' "
		       "has no guard: its containers are refused; upgrade to containerd 2.2 or "
		       "CRI-O 1.35, or install the guard",
		       p->runtime, unguarded);
	kf_log(KF_LOG_ERROR, "runtime-too-old", {"reason", p->too_old});
}

void kf_plugin_setup_changed(struct kf_plugin *plugin)
{
	read_guard(plugin);
	check_age(plugin);
	kf_plugin_write_records(plugin);
	kf_library_prune(&plugin->setup.config, &plugin->state);
}

static int configure_plugin(void *ctx, const Nri__ConfigureRequest *req,
			    const struct nri_features *features, uint32_t *events,
			    struct nri_error *err)
{
	struct kf_plugin *p = ctx;

	(void)err;
	p->features = *features;
	read_guard(p);
	(void)snprintf(p->runtime, sizeof(p->runtime), "%.32s %.32s", req->runtime_name,
		       req->runtime_version);
	check_age(p);
	kf_plugin_write_records(p);
	if (p->lives)
		kf_lives_clear(p->lives);
	p->events = *events = wanted_events(p);
	p->told_by_guard = p->lives && !(p->events & EVENTS_OF_STATE);
	/* What every release has proves nothing: here the version counts, and the guard follows. */
	if (!(p->events & EVENTS_ALONE))
		nri_features_parse(req->runtime_name, req->runtime_version, req->nri_version,
				   &p->features);
	kf_log(KF_LOG_INFO, "configured", {"runtime", req->runtime_name},
	       {"runtime_version", req->runtime_version}, {"nri_version", req->nri_version},
	       {"validates", features->validate ? "true" : "false"},
	       {"guard", p->guard.n ? "true" : "false"});
	return 0;
}

/* ---- create ---- */

static uint64_t read_clock(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Tell those who collect events what was decided about a container. */
static void export_decision(const struct kf_plugin *p, const Nri__PodSandbox *pod,
			    const Nri__Container *container, struct kf_export *decision)
{
	decision->by = KF_PLUGIN_NAME;
	decision->handler = pod->runtime_handler;
	decision->namespace_ = pod->pod_namespace;
	decision->pod = pod->name;
	decision->uid = pod->uid;
	decision->container = container->name;
	decision->container_id = container->id;
	kf_plugin_export(p, decision);
}

/* What is told of a request that is refused. */
struct refusal {
	enum kf_log_level level;
	const char *msg, *operation, *profile, *code;
};

/* Tell of a refusal, once for each container of a pod and each
 * reason; the runtime is asked for the same container again and again.  Returns whether it is a new
 * one. */
static bool tell_refusal(struct kf_plugin *p, const struct refusal *refusal,
			 const Nri__PodSandbox *pod, const Nri__Container *container,
			 const char *reason)
{
	enum kf_log_level level = refusal->level;
	struct kf_export decision = {.operation = refusal->operation,
				     .reason = reason,
				     .code = refusal->code,
				     .profile = refusal->profile};
	char repeated[16] = "";
	unsigned times;
	bool first;

	if (kf_refusals_tell(&p->refusals, pod->uid, container->name, container->id, reason,
			     read_clock(), &times, &first)) {
		decision.count = times;
		export_decision(p, pod, container, &decision);
	} else {
		level = KF_LOG_DEBUG;
	}
	(void)snprintf(repeated, sizeof(repeated), "%u", times);
	kf_log(level, refusal->msg, {"decision", "refuse"}, {"reason", reason},
	       {"container_id", container->id}, {"container", container->name},
	       {"namespace", pod->pod_namespace}, {"pod", pod->name},
	       {"runtime_handler", pod->runtime_handler},
	       {"repeated", times > 1 ? repeated : NULL});
	return first;
}

/* @plan: as far as it came. */
static int refuse_container(struct kf_plugin *p, const Nri__CreateContainerRequest *req,
			    const struct kf_plan *plan, const char *reason, struct nri_error *err)
{
	const struct refusal refusal = {.level = KF_LOG_WARN,
					.msg = "refused",
					.operation = "CreateContainer",
					.profile = plan->profile ? plan->profile->name : NULL,
					.code = plan->code};

	kf_metric_inc(&p->metrics, KF_METRIC_REFUSED);
	if (tell_refusal(p, &refusal, req->pod, req->container, reason)) {
		kf_decisions_count(&p->decisions, KF_DECISION_REFUSE, refusal.profile, plan->code);
		kf_decisions_remember(&p->decisions, false, time(NULL), req->pod->pod_namespace,
				      req->pod->name, req->container->name, reason);
	}
	return nri_fail(err, NRI_FAILED_PRECONDITION, "%s", reason);
}

/* A container of ours: wrap it, or refuse it.  Never answered with "no change",
 * but where the guard does the work. */
static int sandbox_container(struct kf_plugin *p, const Nri__CreateContainerRequest *req,
			     struct nri_reply *reply, struct nri_error *nerr)
{
	const struct kf_launch launch = {.guard_follows =
						 kf_plugin_guarded(p, req->pod->runtime_handler)};
	struct kf_view view;
	struct kf_plan plan = {.code = "error"};
	struct kf_err err;

	if (kf_nri_view(req->pod, req->container, &p->request, &view, &err) < 0)
		return refuse_container(p, req, &plan, err.msg, nerr);
	kf_seccomp_cache_find(&p->seccomp, &view);
	if (kf_plan_container(&p->setup.config.settings, &view, &launch, &p->request, &plan, &err) <
	    0)
		return refuse_container(p, req, &plan, err.msg, nerr);
	if (plan.decision != KF_SANDBOX)
		return refuse_container(p, req, &plan, plan.reason, nerr);
	plan.code = p->features.adjust_args ? "error" : "runtime";
	if (!p->features.adjust_args && !launch.guard_follows)
		return refuse_container(p, req, &plan, p->too_old, nerr);
	/* What such a runtime would take of our answer, the mount, is only in the guard's way. */
	if (p->features.adjust_args &&
	    kf_adjust_reply(&p->setup.adjust, &plan, &p->features, &p->request, reply, &err) < 0)
		return refuse_container(p, req, &plan, err.msg, nerr);
	kf_seccomp_cache_keep(&p->seccomp, &view, &plan);
	p->injected.request = req;
	p->injected.profile = plan.profile->name;
	return 0;
}

/* What nobody has to wait for. */
static void after_answer(void *ctx)
{
	struct kf_plugin *p = ctx;
	const Nri__CreateContainerRequest *req = p->injected.request;
	struct kf_export decision = {
		.operation = "CreateContainer", .count = 1, .profile = p->injected.profile};

	if (!req)
		return;
	p->injected.request = NULL;
	kf_metric_inc(&p->metrics, KF_METRIC_INJECTED);
	kf_decisions_count(&p->decisions, KF_DECISION_INJECT, p->injected.profile, "");
	log_container(KF_LOG_INFO, "injected", req->pod, req->container, "inject",
		      p->features.adjust_args ? NULL : "by_guard", p->injected.profile);
	export_decision(p, req->pod, req->container, &decision);
	kf_plugin_record(p, req->pod, req->container, p->injected.profile, NULL, false);
}

/* What is not ours is handed back as it came, unless the log is to tell of it. */
static bool skip_request(void *ctx, const struct nri_peek *pod)
{
	struct kf_plugin *p = ctx;
	const struct kf_settings *s = &p->setup.config.settings;

	for (size_t i = 0; i < s->nhandlers; i++)
		if (nri_bytes_equal(pod->runtime_handler, s->handlers[i]))
			return false;
	if (pod->event != NRI__EVENT__CREATE_CONTAINER)
		return true;
	if (kf_log_enabled(KF_LOG_DEBUG))
		return false;
	kf_metric_inc(&p->metrics, KF_METRIC_SKIPPED);
	return true;
}

static int create_container(void *ctx, const Nri__CreateContainerRequest *req,
			    struct nri_reply *reply, struct nri_error *err)
{
	struct kf_plugin *p = ctx;
	uint64_t start;
	int r;

	if (!in_scope(p, req->pod)) {
		kf_metric_inc(&p->metrics, KF_METRIC_SKIPPED);
		log_container(KF_LOG_DEBUG, "skip", req->pod, req->container, "skip",
			      *req->pod->runtime_handler ? "runtime_class_not_matched"
							 : "no_runtime_handler",
			      NULL);
		return 0;
	}
	start = read_clock();
	r = sandbox_container(p, req, reply, err);
	kf_arena_reset(&p->request);
	kf_metric_observe(&p->metrics, read_clock() - start);
	return r;
}

/* ---- after the other plugins ---- */

static const char *simple_owner(const Nri__FieldOwners *owners, Nri__Field field)
{
	for (size_t i = 0; owners && i < owners->n_simple; i++)
		if (owners->simple[i]->key == (int32_t)field)
			return owners->simple[i]->value;
	return NULL;
}

static const Nri__FieldOwners *owners_of(const Nri__ValidateContainerAdjustmentRequest *req)
{
	for (size_t i = 0; req->owners && i < req->owners->n_owners; i++)
		if (strcmp(req->owners->owners[i]->key, req->container->id) == 0)
			return req->owners->owners[i]->value;
	return NULL;
}

/* Whoever set these last must be us; the runtime tells. */
static int check_owners(const struct kf_plugin *p,
			const Nri__ValidateContainerAdjustmentRequest *req, struct kf_err *err)
{
	static const struct {
		Nri__Field field;
		const char *name;
	} fields[] = {
		{NRI__FIELD__ARGS, "args"},
		{NRI__FIELD__SECCOMP_POLICY, "the seccomp policy"},
	};
	const Nri__FieldOwners *owners = owners_of(req);

	for (unsigned i = 0; i < KF_ARRAY_SIZE(fields); i++) {
		const char *owner = simple_owner(owners, fields[i].field);

		if (owner && strcmp(owner, p->id) != 0)
			return kf_fail(err, EPERM,
				       "NRI plugin '%.64s' replaced %s that the sandbox needs; "
				       "disable it for this pod",
				       owner, fields[i].name);
	}
	return 0;
}

/* Between a container's creation and its start the configuration may change.  Then it is as good as
 * those that run already, which keep what they were created with: a creation of ours was decided by
 * the configuration of that moment. */
static int verify_view(const struct kf_plugin *p, const struct kf_view *view, struct kf_err *err)
{
	const struct kf_settings *before = &p->before.config.settings;

	if (kf_verify_container(&p->setup.config.settings, view, err) == 0)
		return 0;
	/* What was not in scope then was not put into the sandbox. */
	return kf_settings_in_scope(before, view->handler) &&
			       kf_verify_container(before, view, KF_ERR_IGNORED) == 0
		       ? 0
		       : -1;
}

static int check_adjusted(struct kf_plugin *p, const Nri__ValidateContainerAdjustmentRequest *req,
			  struct kf_err *err)
{
	struct kf_view view;

	if (kf_view_adjusted(req->pod, req->container, req->adjust, &p->request, &view, err) < 0 ||
	    verify_view(p, &view, err) < 0)
		return -1;
	return check_owners(p, req, err);
}

static int validate_container(void *ctx, const Nri__ValidateContainerAdjustmentRequest *req,
			      struct nri_reply *reply, struct nri_error *nerr)
{
	static const struct refusal refusal = {.level = KF_LOG_ERROR,
					       .msg = "validate-refused",
					       .operation = "ValidateContainerAdjustment"};
	struct kf_plugin *p = ctx;
	struct kf_err err;
	int r;

	(void)reply;
	if (!in_scope(p, req->pod))
		return 0;
	r = check_adjusted(p, req, &err);
	kf_arena_reset(&p->request);
	if (r == 0)
		return 0;
	kf_metric_inc(&p->metrics, KF_METRIC_VALIDATE_REFUSED);
	(void)tell_refusal(p, &refusal, req->pod, req->container, err.msg);
	return nri_fail(nerr, NRI_FAILED_PRECONDITION, "%s", err.msg);
}

static int start_container(void *ctx, const Nri__PodSandbox *pod, const Nri__Container *container,
			   struct nri_error *nerr)
{
	static const struct refusal refusal = {
		.level = KF_LOG_ERROR, .msg = "start-refused", .operation = "StartContainer"};
	struct kf_plugin *p = ctx;
	struct kf_view view;
	struct kf_err err;
	int r;

	if (!in_scope(p, pod))
		return 0;
	r = kf_nri_view(pod, container, &p->request, &view, &err);
	if (r == 0)
		r = verify_view(p, &view, &err);
	kf_arena_reset(&p->request);
	if (r == 0)
		return 0;
	/* Created while we were away, say: the guard wrapped it, which does not show here. */
	if (kf_plugin_guarded(p, pod->runtime_handler)) {
		log_container(KF_LOG_DEBUG, "started-by-guard", pod, container, "inject", err.msg,
			      NULL);
		return 0;
	}
	kf_metric_inc(&p->metrics, KF_METRIC_START_REFUSED);
	(void)tell_refusal(p, &refusal, pod, container, err.msg);
	return nri_fail(nerr, NRI_FAILED_PRECONDITION, "%s", err.msg);
}

/* ---- the end ---- */

/* A runtime tells of the end of a container that was refused, too, each time it has tried. */
static enum kf_log_level end_level(const struct kf_plugin *p, const Nri__Container *container)
{
	return kf_refusals_has(&p->refusals, container->id) ? KF_LOG_DEBUG : KF_LOG_INFO;
}

static int stop_container(void *ctx, const Nri__StopContainerRequest *req, struct nri_reply *reply,
			  struct nri_error *err)
{
	struct kf_plugin *p = ctx;

	(void)reply;
	(void)err;
	if (in_scope(p, req->pod))
		log_container(end_level(p, req->container), "container-stopping", req->pod,
			      req->container, NULL, NULL, NULL);
	return 0;
}

static int remove_container(void *ctx, const Nri__PodSandbox *pod, const Nri__Container *container,
			    struct nri_error *err)
{
	struct kf_plugin *p = ctx;

	(void)err;
	if (!in_scope(p, pod))
		return 0;
	kf_plugin_write_records(p);
	kf_state_remove(&p->state, pod->uid, container->id);
	log_container(end_level(p, container), "container-removed", pod, container, NULL, NULL,
		      NULL);
	return 0;
}

static void state_changed(void *ctx, enum nri_plugin_state state, const struct nri_error *why)
{
	struct kf_plugin *p = ctx;
	bool was_connected = p->connected;

	p->connected = state == NRI_PLUGIN_READY;
	/* A runtime may take its time to answer: then this is the last word in the log. */
	if (state == NRI_PLUGIN_CONNECTED)
		kf_log(KF_LOG_INFO, "registering", {"socket", p->setup.config.socket_path},
		       {"detail", "waiting for the runtime's answer"});
	if (p->connected) {
		kf_metric_inc(&p->metrics, KF_METRIC_CONNECTIONS);
		p->connected_since = time(NULL);
		kf_log(KF_LOG_INFO, "connected", {"socket", p->setup.config.socket_path});
		if (p->features.events_refused)
			kf_log(KF_LOG_WARN, "events-refused", {"runtime", p->runtime},
			       {"reason", "it does not know the events of NRI 0.10; connected "
					  "without them: it validates nothing and sets no "
					  "arguments, only the guard sandboxes"});
	}
	if (state != NRI_PLUGIN_OFFLINE && state != NRI_PLUGIN_ENDED)
		return;
	kf_sync_free(p->sync);
	p->sync = NULL;
	kf_log(was_connected ? KF_LOG_WARN : KF_LOG_INFO, "disconnected",
	       {"reason", why ? why->message : NULL});
	if (state == NRI_PLUGIN_ENDED) {
		p->ended = true;
		(void)event_base_loopbreak(p->base);
	}
}

const struct nri_plugin_ops kf_plugin_ops = {
	.skip = skip_request,
	.answered = after_answer,
	.configure = configure_plugin,
	.synchronize = kf_plugin_synchronize,
	.create_container = create_container,
	.validate = validate_container,
	.stop_container = stop_container,
	.start_container = start_container,
	.remove_container = remove_container,
	.state_changed = state_changed,
};
