/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the daemon together: start in three stages, signals, reloading, HTTP, the connection to the
 * runtime and its replacement.  What is answered to the runtime is in plugin.c. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/path.h"
#include "event/watch.h"
#include "nono-nri/confine.h"
#include "nono-nri/guard_refused.h"
#include "nono-nri/helper.h"
#include "nono-nri/lives.h"
#include "nono-nri/options.h"
#include "nono-nri/plugin.h"
#include "nono-nri/status.h"
#include "observe/http.h"

#include <event2/event.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Editors write, rename and change modes in quick succession. */
#define SETTLE_MS  50
/* Ten times what there is to say. */
#define HELP_MAX   (16 * 1024)
/* The loop's priorities: whoever waits for an answer of ours or has news for us is in the middle,
 * where libevent puts what says nothing; HTTP is behind that (observe/http.h), and one call of it
 * at most lies between two looks at the others. */
#define PRIORITIES 3
#define LAST	   (PRIORITIES - 1)

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* What main owns. */
struct daemon {
	struct kf_plugin_options options;
	struct kf_plugin plugin;
	struct event *signals[3];
	struct nri_plugin_options connection;
	/* The connection, and one that is to replace it; see renew_connection(). */
	struct nri_plugin *nri[2];
	unsigned current; /* which is the former */
	struct kf_http *http, *local;
	/* What people write, what the guard has, and what it refuses. */
	struct kf_watch *watch, *handlers, *refused;
	struct event *helper_end;
	int status;
};

static void log_diags(struct kf_diags *diags)
{
	kf_diags_sort(diags);
	for (size_t i = 0; i < diags->n; i++) {
		const struct kf_diag *d = &diags->v[i];
		char at[512];

		(void)snprintf(at, sizeof(at), d->at.line ? "%s:%u:%u" : "%s", d->at.file,
			       d->at.line, d->at.column);
		kf_log(d->warning ? KF_LOG_WARN : KF_LOG_ERROR,
		       d->warning ? "configuration-warning" : "configuration-error", {"at", at},
		       {"reason", d->msg});
	}
	if (diags->nomem)
		kf_log(KF_LOG_ERROR, "configuration-error", {"reason", "out of memory"});
}

static int load_setup(const char *path, const struct kf_config *running, struct kf_setup *ret)
{
	KF_CLEANUP(kf_arena_done) struct kf_arena arena;
	struct kf_diags diags;
	int r;

	kf_arena_init(&arena, KF_LIMIT_PLAN_MEMORY);
	kf_diags_init(&diags, &arena);
	r = kf_setup_load(path, running, ret, &diags);
	log_diags(&diags);
	if (r < 0)
		kf_setup_done(ret);
	return r;
}

static void publish_settings(struct kf_plugin *p)
{
	struct kf_err err;

	p->unpublished = NULL;
	if (!p->node_dir[0] ||
	    kf_publish_settings(&p->helper, &p->setup.config.settings, &err) == 0)
		return;
	p->unpublished = "the settings for the guard could not be written; see the log";
	kf_log(KF_LOG_ERROR, "settings-not-published", {"error", err.msg});
}

static void reload_setup(void *ctx);

static int watch_config(struct kf_watch *watch, const char *config, struct kf_err *err)
{
	const char *base = kf_path_base(config);
	char dir[PATH_MAX];

	if (strlen(config) >= sizeof(dir))
		return kf_fail(err, ENAMETOOLONG, "'%.60s...'", config);
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(base - config), config);
	return kf_watch_add(watch, *dir ? dir : ".", base, err);
}

/* Without a watch there is still SIGHUP. */
static void watch_files(struct daemon *d, const char *profiles_dir)
{
	struct kf_err err;

	kf_watch_free(d->watch);
	d->watch = NULL;
	if (kf_watch_new(d->plugin.base, SETTLE_MS, reload_setup, d, &d->watch, &err) < 0 ||
	    watch_config(d->watch, d->options.config, &err) < 0 ||
	    (profiles_dir && kf_watch_add(d->watch, profiles_dir, NULL, &err) < 0))
		kf_log(KF_LOG_WARN, "not-watching", {"error", err.msg});
}

/* ---- another subscription ---- */

static struct daemon *daemon_of(void *plugin)
{
	return (struct daemon *)(void *)((char *)plugin - offsetof(struct daemon, plugin));
}

static void take_state(struct daemon *d, unsigned slot, enum nri_plugin_state state,
		       const struct nri_error *why)
{
	const unsigned other = !slot;

	if (slot != d->current) {
		if (state == NRI_PLUGIN_OFFLINE)
			kf_log(KF_LOG_WARN, "not-renewed", {"reason", why ? why->message : NULL});
		if (state != NRI_PLUGIN_READY)
			return;
		d->current = slot;
		kf_log(KF_LOG_INFO, "renewed", {"reason", "a handler without the guard"});
	}
	/* Replaced, or about to be: what is lost comes again by itself, with all events. */
	if (state == NRI_PLUGIN_READY || state == NRI_PLUGIN_OFFLINE) {
		nri_plugin_free(d->nri[other]);
		d->nri[other] = NULL;
	}
	kf_plugin_ops.state_changed(&d->plugin, state, why);
}

static void changed_0(void *ctx, enum nri_plugin_state state, const struct nri_error *why)
{
	take_state(daemon_of(ctx), 0, state, why);
}

static void changed_1(void *ctx, enum nri_plugin_state state, const struct nri_error *why)
{
	take_state(daemon_of(ctx), 1, state, why);
}

static int new_connection(struct daemon *d, unsigned slot, struct nri_error *err)
{
	struct nri_plugin_ops ops = kf_plugin_ops;

	ops.state_changed = slot ? changed_1 : changed_0;
	return nri_plugin_new(d->plugin.base, &d->connection, &ops, &d->plugin, &d->nri[slot], err);
}

/* What is subscribed to is settled once for a connection.  Another one is made before this one
 * ends: as long as there are two, containers of ours are refused (two plugins want to set their
 * arguments), and never do they start unseen. */
static void renew_connection(struct daemon *d)
{
	const unsigned other = !d->current;
	struct nri_error err;

	if (d->nri[other] || !kf_plugin_lacks_events(&d->plugin))
		return;
	if (new_connection(d, other, &err) < 0)
		kf_log(KF_LOG_ERROR, "not-renewed", {"reason", err.message});
	else
		nri_plugin_start(d->nri[other]);
}

/* The previous configuration stays in force if the new one is wrong. */
static void reload_setup(void *ctx)
{
	struct daemon *d = ctx;
	struct kf_plugin *p = &d->plugin;
	struct kf_setup setup;

	/* Anew and first, so that no change falls between. */
	watch_files(d, p->setup.config.profiles_dir);
	if (load_setup(d->options.config, &p->setup.config, &setup) < 0) {
		kf_metric_inc(&p->metrics, KF_METRIC_RELOAD_ERRORS);
		kf_log(KF_LOG_ERROR, "configuration-kept", {"config", d->options.config});
		return;
	}
	if (strcmp(setup.config.socket_path, p->setup.config.socket_path) != 0)
		kf_log(KF_LOG_WARN, "restart-needed", {"reason", "socket_path has changed"});
	kf_setup_done(&p->before);
	p->before = p->setup;
	p->setup = setup;
	kf_plugin_setup_changed(p);
	renew_connection(d);
	kf_metric_inc(&p->metrics,
		      p->setup.names.nrejected ? KF_METRIC_RELOAD_ERRORS : KF_METRIC_RELOADS);
	kf_metric_set(&p->metrics, KF_METRIC_PROFILES, setup.config.settings.nprofiles);
	publish_settings(p);
	kf_log(KF_LOG_INFO, "configuration-loaded", {"config", d->options.config});
}

static void on_signal(evutil_socket_t sig, short what, void *ctx)
{
	struct daemon *d = ctx;

	(void)what;
	if (sig == SIGHUP) {
		reload_setup(d);
		return;
	}
	kf_log(KF_LOG_INFO, "stopping", {"reason", sig == SIGTERM ? "SIGTERM" : "SIGINT"});
	d->status = EXIT_OK;
	(void)event_base_loopbreak(d->plugin.base);
}

static int watch_signals(struct daemon *d, struct kf_err *err)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};

	for (unsigned i = 0; i < KF_ARRAY_SIZE(signals); i++) {
		d->signals[i] = evsignal_new(d->plugin.base, signals[i], on_signal, d);
		if (!d->signals[i] || event_add(d->signals[i], NULL) < 0)
			return kf_fail(err, ENOMEM, "cannot wait for signals");
	}
	return 0;
}

static const char *not_ready(void *ctx)
{
	return kf_plugin_not_ready(ctx);
}

static void write_connection(void *ctx, struct kf_buf *out)
{
	kf_plugin_connection(ctx, out);
}

static void write_metrics(void *ctx, struct kf_buf *out)
{
	kf_plugin_metrics(ctx, out);
}

static void http_trouble(void *ctx, const struct kf_err *err)
{
	(void)ctx;
	kf_log(KF_LOG_WARN, "http-waits", {"error", err->msg});
}

/* For the node agent.  Having the directory's lock, we may replace the socket. */
static void serve_local(struct daemon *d, const struct kf_http_source *source)
{
	char path[PATH_MAX];
	struct kf_err err;

	if (d->plugin.state.dirfd < 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/" KF_STATE_SOCKET, d->options.state_dir);
	if (kf_http_listen(d->plugin.base, path, source, &d->local, &err) < 0)
		kf_log(KF_LOG_WARN, "no-local-socket", {"error", err.msg});
}

static int serve_http(struct daemon *d, struct kf_err *err)
{
	struct kf_http_source source = {.not_ready = not_ready,
					.connection = write_connection,
					.metrics = write_metrics,
					.trouble = http_trouble,
					.ctx = &d->plugin,
					.pages = kf_plugin_pages,
					.npages = kf_plugin_npages,
					.audience = KF_HTTP_LOOPBACK};

	/* The socket is for root alone. */
	serve_local(d, &source);
	if (!d->options.listen[0])
		return 0;
	source.audience = d->options.page;
	if (kf_http_listen(d->plugin.base, d->options.listen, &source, &d->http, err) < 0)
		return kf_fail_wrap(err, "--listen");
	return 0;
}

static void open_state(struct daemon *d, struct kf_err *err)
{
	if (kf_state_open(d->options.state_dir, &d->plugin.state, err) < 0 && err->code != EBUSY) {
		kf_metric_inc(&d->plugin.metrics, KF_METRIC_STATE_ERRORS);
		kf_log(KF_LOG_WARN, "no-state-directory", {"error", err->msg});
		err->code = 0;
	}
}

/* For page and metrics: its name, and directories that the feed and the guard may come to fill
 * later, when this process can be given no further one. */
static void name_node(struct daemon *d)
{
	const char *name = getenv("NODE_NAME");
	struct kf_plugin *p = &d->plugin;

	p->started = time(NULL);
	if (name && *name)
		(void)snprintf(p->node_name, sizeof(p->node_name), "%s", name);
	else
		(void)gethostname(p->node_name, sizeof(p->node_name) - 1);
	if (*p->denials_dir)
		(void)kf_mkdir_parents(p->denials_dir, 0700, KF_ERR_IGNORED);
	/* What the guard refuses lies beside its records. */
	if (!d->options.guard_dir[0])
		return;
	(void)snprintf(p->refused_dir, sizeof(p->refused_dir), "%.*srefused",
		       (int)(kf_path_base(d->options.guard_dir) - d->options.guard_dir),
		       d->options.guard_dir);
	(void)kf_mkdir_parents(p->refused_dir, 0700, KF_ERR_IGNORED);
	p->guard_refused = kf_guard_refused_new(p->refused_dir, p->state.dirfd);
}

static int make_loop(struct daemon *d, struct kf_err *err)
{
	struct event_config *config = event_config_new();

	if (config) {
		(void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		(void)event_config_set_max_dispatch_interval(config, NULL, 1, LAST);
		d->plugin.base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (!d->plugin.base || event_base_priority_init(d->plugin.base, PRIORITIES) < 0)
		return kf_fail_nomem(err, "event loop");
	return 0;
}

/* Its list of handlers, and its records.  No directory: no guard so far, and a node that gets it
 * has its runtime started again. */
static void watch_guard(struct daemon *d)
{
	struct kf_err err;

	if (d->options.node_dir[0] &&
	    (kf_watch_new(d->plugin.base, SETTLE_MS, reload_setup, d, &d->handlers, &err) < 0 ||
	     kf_watch_add(d->handlers, d->options.node_dir, "runtime", &err) < 0) &&
	    err.code != ENOENT && err.code != ENOTDIR)
		kf_log(KF_LOG_WARN, "not-watching", {"error", err.msg});
	if (d->options.guard_dir[0] && d->options.node_dir[0] &&
	    kf_lives_new(d->plugin.base, d->options.guard_dir, &kf_plugin_lives_ops, &d->plugin,
			 &d->plugin.lives, &err) < 0)
		kf_log(KF_LOG_WARN, "guard-not-watched", {"error", err.msg},
		       {"remedy", "the runtime is asked to tell of every container's end instead"});
}

/* Otherwise it is read when somebody asks for it. */
static void read_refused(void *ctx)
{
	kf_plugin_read_guard_refused(ctx);
}

static int export_decisions(struct daemon *d, bool adopted, struct kf_err *err)
{
	struct kf_plugin *p = &d->plugin;

	if (!d->options.ocsf)
		return 0;
	if (adopted)
		return kf_fail(err, EINVAL,
			       "--ocsf: a plugin that the runtime starts has no output");
	p->exports = true;
	if (!*p->refused_dir)
		return 0;
	if (kf_watch_new(p->base, SETTLE_MS, read_refused, p, &d->refused, err) < 0 ||
	    kf_watch_add(d->refused, p->refused_dir, NULL, err) < 0)
		return kf_fail_wrap(err, "--ocsf: what the guard refuses");
	return 0;
}

static int connect_runtime(void *ctx, int *ret_fd, struct nri_error *nerr)
{
	const struct kf_plugin *p = ctx;
	struct kf_err err;

	if (kf_helper_connect(&p->helper, ret_fd, &err) < 0)
		return nri_fail(nerr, NRI_UNAVAILABLE, "%s", err.msg);
	return 0;
}

/* Confined, this process can neither start another helper nor do its work.  Whoever started it -
 * systemd, the kubelet - starts both anew.  A runtime that has started us does not: without us its
 * containers would start bare, and only settings that change need the helper. */
static void lose_helper(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	struct kf_plugin *p = &d->plugin;
	struct kf_err why;

	(void)fd;
	(void)what;
	kf_helper_lost(&p->helper, &why);
	if (!p->adopted) {
		kf_log(KF_LOG_ERROR, "helper-ended", {"reason", why.msg},
		       {"remedy", "nono-nri ends, to be started anew with another helper"});
		(void)event_base_loopbreak(p->base);
		return;
	}
	kf_log(KF_LOG_ERROR, "helper-ended", {"reason", why.msg},
	       {"remedy", "restart the container runtime; until then the settings for the guard "
			  "stay as they are"});
	if (p->node_dir[0])
		p->unpublished = "the helper, which writes the settings for the guard, has ended; "
				 "restart the container runtime";
}

static int start_helper(struct daemon *d, struct kf_err *err)
{
	struct kf_helper *helper = &d->plugin.helper;

	if (kf_helper_start(helper, err) < 0)
		return -1;
	/* It says nothing unless it is asked, and then the answer is read at once. */
	d->helper_end = event_new(d->plugin.base, helper->child.fd, EV_READ, lose_helper, d);
	if (!d->helper_end || event_add(d->helper_end, NULL) < 0)
		return kf_fail(err, ENOMEM, "cannot wait for the helper");
	return 0;
}

/* Stage 1: command line and configuration, the profiles that it leads to.  Stage 2: state
 * directory, sockets, watches, the helper.  Stage 3: confined; only then do others talk
 * to us. */
static int start_daemon(struct daemon *d, bool adopted, struct kf_err *err)
{
	struct nri_plugin_options *options = &d->connection;
	struct kf_plugin *p = &d->plugin;
	struct nri_error nerr;

	*options = (struct nri_plugin_options){
		.name = KF_PLUGIN_NAME, .index = KF_PLUGIN_INDEX, .fail_closed = true};
	if (nri_plugin_options_from_environment(options, &nerr) < 0)
		return kf_fail(err, EINVAL, "%s", nerr.message);
	if (load_setup(d->options.config, NULL, &p->setup) < 0)
		return kf_fail(err, EINVAL, "the configuration is wrong");
	kf_metric_set(&p->metrics, KF_METRIC_PROFILES, p->setup.config.settings.nprofiles);
	open_state(d, err);
	if (err->code)
		return -1;
	name_node(d);
	if (make_loop(d, err) < 0 || watch_signals(d, err) < 0 || serve_http(d, err) < 0)
		return -1;
	(void)snprintf(p->id, sizeof(p->id), "%s-%s", options->index, options->name);
	options->connect = connect_runtime;
	options->unused = kf_plugin_unused;
	options->nunused = kf_plugin_nunused;
	p->adopted = options->adopted;
	p->helper.socket_path = strdup(p->setup.config.socket_path);
	if (!p->helper.socket_path)
		return kf_fail_nomem(err, "helper");
	options->socket_path = p->helper.socket_path;
	if (new_connection(d, 0, &nerr) < 0)
		return kf_fail(err, EINVAL, "%s", nerr.message);
	publish_settings(p);
	if (export_decisions(d, adopted, err) < 0)
		return -1;
	watch_guard(d);
	watch_files(d, p->setup.config.profiles_dir);
	/* What the runtime answers is read by the loop, in stage 3. */
	nri_plugin_start(d->nri[0]);
	if (start_helper(d, err) < 0)
		return -1;
	return kf_plugin_confine(&d->options, p, adopted, err);
}

static void stop_daemon(struct daemon *d)
{
	for (unsigned i = 0; i < KF_ARRAY_SIZE(d->nri); i++)
		nri_plugin_free(d->nri[i]);
	kf_http_free(d->http);
	kf_http_free(d->local);
	kf_watch_free(d->watch);
	kf_watch_free(d->handlers);
	kf_watch_free(d->refused);
	kf_plugin_records_done(&d->plugin);
	kf_lives_free(d->plugin.lives);
	kf_guard_refused_free(d->plugin.guard_refused);
	kf_sync_free(d->plugin.sync);
	for (unsigned i = 0; i < KF_ARRAY_SIZE(d->signals); i++)
		if (d->signals[i])
			event_free(d->signals[i]);
	if (d->helper_end)
		event_free(d->helper_end);
	if (d->plugin.base)
		event_base_free(d->plugin.base);
	kf_helper_stop(&d->plugin.helper);
	kf_runtimes_done(&d->plugin.guard);
	kf_state_close(&d->plugin.state);
	kf_setup_done(&d->plugin.before);
	kf_setup_done(&d->plugin.setup);
	kf_arena_done(&d->plugin.request);
	kf_seccomp_cache_done(&d->plugin.seccomp);
}

static int run_daemon(struct daemon *d, bool adopted)
{
	struct kf_err err = {0};

	d->status = EXIT_FAILED;
	d->plugin.state.dirfd = -1;
	d->plugin.helper = (struct kf_helper){.node_dir = d->options.node_dir, .child.fd = -1};
	d->plugin.node_dir = d->options.node_dir;
	d->plugin.denials_dir = d->options.denials_dir;
	kf_arena_init(&d->plugin.request, KF_LIMIT_PLAN_MEMORY);
	kf_seccomp_cache_init(&d->plugin.seccomp);
	if (start_daemon(d, adopted, &err) < 0) {
		kf_log(KF_LOG_ERROR, "not-started", {"error", err.msg});
	} else {
		kf_log(KF_LOG_INFO, "started", {"version", KF_VERSION},
		       {"config", d->options.config});
		/* What was refused while no plugin ran. */
		if (d->plugin.exports)
			kf_plugin_read_guard_refused(&d->plugin);
		(void)event_base_dispatch(d->plugin.base);
	}
	stop_daemon(d);
	return d->status;
}

int main(int argc, char **argv)
{
	/* A runtime that starts us has /dev/null for our output. */
	const char *given = getenv("NRI_PLUGIN_SOCKET");
	const bool adopted = given && *given;
	struct daemon d = {0};
	struct kf_err err;

	if (kf_plugin_options_parse(argc, argv, &d.options, &err) < 0) {
		(void)fprintf(stderr, "nono-nri: %s\n", err.msg);
		return EXIT_USAGE;
	}
	if (d.options.help || d.options.version) {
		KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(HELP_MAX);

		if (d.options.help)
			kf_plugin_help(&text);
		else
			kf_buf_adds(&text, "nono-nri " KF_VERSION "\n");
		(void)fputs(text.failed ? "" : text.p, stdout);
		return EXIT_OK;
	}
	kf_log_init(adopted ? KF_LOG_SYSLOG : (d.options.json ? KF_LOG_JSON : KF_LOG_TEXT),
		    d.options.level, KF_PLUGIN_NAME);
	/* Fixed, else it grows with the first large message and the next ones stay in the heap. */
	(void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	(void)signal(SIGPIPE, SIG_IGN);
	return run_daemon(&d, adopted);
}
