/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's start: what it was given is taken, rights are given up, then it serves until its
 * parent ends or ends it. */
#include "nono-egress/worker/worker.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "confine/confine.h"
#include "egress/worker.h"
#include "nono-egress/worker/confine.h"
#include "nono-egress/worker/serve.h"

#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define SPARE_FDS 64

struct worker_options {
	int rules, control, records, ca;
	int listeners[KF_WORKER_LISTENERS_MAX];
	size_t nlisteners;
	int dirs[KF_LIMIT_EGRESS_DIRS];
	size_t ndirs;
	const char *resolver, *pod;
	unsigned uid, gid, connections;
};

static int read_fd(const char *s, struct kf_err *err)
{
	char *end;
	long fd = strtol(s, &end, 10);

	if (end == s || *end || fd < 3 || fd > 1 << 20 || fcntl((int)fd, F_GETFD) < 0)
		return kf_fail(err, EINVAL, "takes a descriptor that is open, above 2");
	return (int)fd;
}

static int set_fd(int *at, const char *s, struct kf_err *err)
{
	int fd = read_fd(s, err);

	if (fd < 0)
		return -1;
	*at = fd;
	return 0;
}

static int set_rules(void *target, const char *s, struct kf_err *err)
{
	return set_fd(target, s, err);
}

static int add_listener(void *target, const char *s, struct kf_err *err)
{
	struct worker_options *o = target;

	if (o->nlisteners == KF_WORKER_LISTENERS_MAX)
		return kf_fail(err, E2BIG, "there are at most %d", KF_WORKER_LISTENERS_MAX);
	return set_fd(&o->listeners[o->nlisteners++], s, err);
}

static int add_dir(void *target, const char *s, struct kf_err *err)
{
	struct worker_options *o = target;

	if (o->ndirs == KF_LIMIT_EGRESS_DIRS)
		return kf_fail(err, E2BIG, "there are at most %d", KF_LIMIT_EGRESS_DIRS);
	return set_fd(&o->dirs[o->ndirs++], s, err);
}

#define FD_OPTION(name_, member, help_)                                                         \
	{                                                                                       \
		.name = (name_), .kind = KF_OPTION_CALL, .value = "FD",                         \
		KF_OPTION_AT(struct worker_options, member), .call = set_rules, .help = (help_) \
	}

static const struct kf_option worker_table[] = {
	FD_OPTION("rules", rules, "The rules."),
	FD_OPTION("control", control, "The parent, who gives sockets."),
	FD_OPTION("records", records, "Where records go."),
	{.name = "listen",
	 .kind = KF_OPTION_CALL,
	 .value = "FD",
	 .call = add_listener,
	 .help = "A listener; may be repeated."},
	{.name = "secrets",
	 .kind = KF_OPTION_CALL,
	 .value = "FD",
	 .call = add_dir,
	 .help = "A directory with keys; may be repeated."},
	FD_OPTION("ca", ca, "Certificates of authorities, for routes."),
	{.name = "resolver",
	 .kind = KF_OPTION_STRING,
	 .value = "ADDRESS,...",
	 KF_OPTION_AT(struct worker_options, resolver),
	 .help = "Name servers."},
	{.name = "pod",
	 .kind = KF_OPTION_STRING,
	 .value = "NAME",
	 KF_OPTION_AT(struct worker_options, pod),
	 .help = "The pod, for records."},
	{.name = "uid",
	 .kind = KF_OPTION_NUMBER,
	 .value = "N",
	 KF_OPTION_AT(struct worker_options, uid),
	 .min = 1,
	 .max = UINT32_MAX - 1,
	 .help = "The user to become."},
	{.name = "gid",
	 .kind = KF_OPTION_NUMBER,
	 .value = "N",
	 KF_OPTION_AT(struct worker_options, gid),
	 .min = 1,
	 .max = UINT32_MAX - 1,
	 .help = "The group to become."},
	{.name = "connections",
	 .kind = KF_OPTION_NUMBER,
	 .value = "N",
	 KF_OPTION_AT(struct worker_options, connections),
	 .min = 1,
	 .max = 65536,
	 .help = "How many connections of the pod may be open."},
	{0},
};

/* ---- rights ---- */

/* What a careless parent left open beside what it names is closed. */
static int close_others(const struct worker_options *o, struct kf_err *err)
{
	int named[4 + KF_WORKER_LISTENERS_MAX + KF_LIMIT_EGRESS_DIRS] = {o->rules, o->control,
									 o->records, o->ca};
	size_t n = 4;
	unsigned from = STDERR_FILENO + 1;

	memcpy(named + n, o->listeners, o->nlisteners * sizeof(int));
	n += o->nlisteners;
	memcpy(named + n, o->dirs, o->ndirs * sizeof(int));
	n += o->ndirs;
	for (;;) {
		unsigned next = ~0U;

		for (size_t i = 0; i < n; i++)
			if (named[i] >= (int)from && (unsigned)named[i] < next)
				next = (unsigned)named[i];
		if (next > from && close_range(from, next == ~0U ? next : next - 1, 0) < 0)
			return kf_fail_sys(err, "close descriptors");
		if (next == ~0U)
			return 0;
		from = next + 1;
	}
}

static int become_user(const struct worker_options *o, struct kf_err *err)
{
	if (!o->uid)
		return 0;
	if (kf_confine_bounds(err) < 0)
		return -1;
	if (setgroups(0, NULL) < 0 || setresgid(o->gid, o->gid, o->gid) < 0 ||
	    setresuid(o->uid, o->uid, o->uid) < 0)
		return kf_fail_sys(err, "become user %u and group %u", o->uid, o->gid);
	return 0;
}

/* Two descriptors for each connection; no core dump, and nobody else reads this memory. */
static int limit_process(const struct worker_options *o, struct kf_err *err)
{
	struct rlimit files = {2 * (rlim_t)o->connections + SPARE_FDS,
			       2 * (rlim_t)o->connections + SPARE_FDS};
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return kf_fail_sys(err, "limit of descriptors");
	if (now.rlim_max < files.rlim_max && geteuid() != 0)
		files.rlim_cur = files.rlim_max = now.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 ||
	    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) < 0)
		return kf_fail_sys(err, "set limits");
	return 0;
}

/* ---- */

struct worker_process {
	struct kf_worker worker;
	struct kf_worker_supply *supply;
	struct kf_worker_resolver *resolver;
	struct kf_worker_server *server;
	struct event *term;
};

static void on_end(void *ctx)
{
	struct worker_process *p = ctx;

	(void)event_base_loopbreak(p->worker.base);
}

static void on_term(evutil_socket_t sig, short what, void *ctx)
{
	(void)sig;
	(void)what;
	on_end(ctx);
}

static int load_rules(struct worker_process *p, const struct worker_options *o, struct kf_err *err)
{
	struct kf_egress_rules *rules = &p->worker.rules;
	KF_FREE char *text = NULL;
	size_t n;

	if (kf_fd_slurp(o->rules, "egress rules", KF_LIMIT_EGRESS_RULES, &text, &n, err) < 0 ||
	    kf_egress_rules_parse(text, n, rules, err) < 0)
		return -1;
	(void)close(o->rules);
	if (rules->ndirs > o->ndirs)
		return kf_fail(err, EINVAL, "the rules count %u directories with keys, %zu came",
			       rules->ndirs, o->ndirs);
	if (!rules->routes)
		return 0;
	if (o->ca < 0)
		return kf_fail(err, EINVAL, "the rules have routes, and no --ca came");
	return kf_worker_tls_new(o->ca, &p->worker.tls, err);
}

static int make_loop(struct worker_process *p, const struct worker_options *o, struct kf_err *err)
{
	struct kf_worker *w = &p->worker;
	struct event_config *config = event_config_new();

	if (config)
		(void)event_config_set_flag(config,
					    EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	w->base = config ? event_base_new_with_config(config) : NULL;
	if (config)
		event_config_free(config);
	if (!w->base)
		return kf_fail_nomem(err, "event loop");
	p->term = evsignal_new(w->base, SIGTERM, on_term, p);
	if (!p->term || event_add(p->term, NULL) < 0)
		return kf_fail_nomem(err, "event loop");
	if (kf_worker_supply_new(w->base, o->control, on_end, p, &p->supply, err) < 0 ||
	    kf_worker_resolver_new(w->base, p->supply, o->resolver, &p->resolver, err) < 0)
		return -1;
	w->dialler = (struct kf_worker_dialler){w->base, &w->rules, p->supply, p->resolver};
	kf_worker_pool_init(&w->pool);
	return 0;
}

static int set_up(struct worker_process *p, const struct worker_options *o, struct kf_err *err)
{
	struct kf_worker *w = &p->worker;

	(void)signal(SIGPIPE, SIG_IGN);
	if (close_others(o, err) < 0 || limit_process(o, err) < 0 || load_rules(p, o, err) < 0 ||
	    become_user(o, err) < 0)
		return -1;
	/* After the change of users, which sets it anew. */
	if (prctl(PR_SET_DUMPABLE, 0L) < 0)
		return kf_fail_sys(err, "not be dumpable");
	w->records = (struct kf_worker_records){
		.fd = o->records, .pod = o->pod, .profile = w->rules.profile};
	w->max = o->connections;
	memcpy(w->dirs, o->dirs, sizeof(w->dirs));
	if (fcntl(o->records, F_SETFL, O_NONBLOCK | O_WRONLY | O_APPEND) < 0)
		return kf_fail_sys(err, "records");
	if (make_loop(p, o, err) < 0 ||
	    kf_worker_serve(w, o->listeners, o->nlisteners, &p->server, err) < 0)
		return -1;
	return kf_worker_confine(w, p->resolver, err);
}

static void tear_down(struct worker_process *p)
{
	struct kf_worker *w = &p->worker;

	kf_worker_serve_end(p->server);
	if (w->base)
		kf_worker_pool_done(&w->pool);
	kf_worker_resolver_free(p->resolver);
	kf_worker_supply_free(p->supply);
	if (p->term)
		event_free(p->term);
	if (w->base)
		event_base_free(w->base);
	kf_worker_tls_free(w->tls);
	kf_egress_rules_done(&w->rules);
}

static int run_worker(const struct kf_command *self, int argc, char **argv)
{
	struct worker_options o = {.rules = -1,
				   .control = -1,
				   .records = -1,
				   .ca = -1,
				   .pod = "",
				   .connections = KF_EGRESS_CONNECTIONS};
	struct worker_process p = {0};
	struct kf_arguments arguments;
	struct kf_err err;
	int status;

	if (!kf_command_parse(self, argc, argv, &o, &arguments, &status))
		return status;
	if (o.rules < 0 || o.control < 0 || o.records < 0 || !o.nlisteners || !o.resolver ||
	    !o.uid != !o.gid)
		return kf_command_usage("needs --rules, --control, --records, --listen and "
					"--resolver, and --uid together with --gid");
	kf_log_init(KF_LOG_TEXT, KF_LOG_INFO, "nono-egress");
	if (set_up(&p, &o, &err) < 0) {
		tear_down(&p);
		return kf_command_fail("%s", err.msg);
	}
	kf_worker_supply_start(p.supply);
	status = event_base_dispatch(p.worker.base);
	tear_down(&p);
	return status < 0 ? kf_command_fail("the event loop ended") : KF_EGRESS_EXIT_DONE;
}

const struct kf_command kf_worker_command = {
	.name = "worker",
	.summary = "serve one pod; started by nono-egress itself",
	.about = "Serves one pod.  nono-egress starts it with descriptors; it is not for people.",
	.options = worker_table,
	.style = KF_OPTIONS_GNU,
	.run = run_worker,
	.hidden = true,
};
