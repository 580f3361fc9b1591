/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence denials: reading the audit log, and telling what is denied.  How records become
 * denials, and those lines, is src/denial; files and Events are file.c and events.c. */
#include "denial/feed.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "cli/print.h"
#include "confine/confine.h"
#include "denial/fold.h"
#include "denial/kernel.h"
#include "kubefence/denials/denials.h"
#include "kubefence/options.h"
#include "observe/http.h"

#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define LINE_MAX_SIZE (16 * 1024)		/* a path of PATH_MAX, escaped */
#define STATE_MAX     ((size_t)8 * 1024 * 1024) /* a line for each sandbox of the table */
#define CGROUP_MAX    8192
#define PROFILES_MAX  64

/* The rest of an event, and whose it is, is waited for; windows and the state have time. */
static const struct timeval soon = {.tv_usec = 20 * 1000}, often = {.tv_sec = 1};

static const struct kf_fold_options folding = {
	.each = {.burst = 200, .rate = 5, .period = 1000},
	.all = {.burst = 1000, .rate = 100, .period = 1000},
};
/* Looking for a process in all records, or in /proc. */
static const struct kf_bucket_limit thorough_looks = {.burst = 50, .rate = 20, .period = 1000};

/* Denials of one profile. */
struct profile_count {
	char name[KF_LIMIT_PROFILE_NAME + 1];
	uint64_t kinds[KF_DENIAL_NKINDS];
};

struct denials {
	const struct kf_denials_options *options;
	struct event_base *base;
	struct event *log, *soon, *often, *signals[2], *writer_end;
	struct kf_http *http;
	int audit;
	struct kf_who_table owners;
	struct kf_who_notes notes;
	struct kf_feed *feed;
	struct kf_fold fold;
	struct kf_bucket looks;
	struct kf_denials_events events;
	struct kf_denials_file file;
	struct kf_denials_egress egress;
	struct profile_count profiles[PROFILES_MAX]; /* the last one: all others */
	size_t nprofiles;
	uint64_t overruns, file_errors, now;
	size_t domains_saved;
	unsigned seconds;
	bool failed;
	struct kf_err err;
};

static uint64_t read_clock(void)
{
	struct timespec ts = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- whose it is ---- */

static void open_notes(struct denials *d)
{
	if (d->notes.records < 0)
		d->notes.records = open(KF_GUARD_RECORDS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->notes.started < 0)
		d->notes.started = open(KF_STARTED_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* The paths of a process's cgroups, in @text; NULL if it is gone or only in those of all, or if
 * this process does not see the node's processes. */
static const char *read_cgroups(pid_t pid, char *text, size_t size)
{
	char path[64];
	KF_CLOSE int fd = -1;
	bool any = false;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (n <= 0)
		return NULL;
	text[n] = '\0';
	/* A line is a number, controllers, the path; runtimes leave some controllers out. */
	for (char *at = text; *at; at++) {
		any = any || (at[0] == '/' && at[1] && at[1] != '\n');
		if (*at == '\n')
			*at = '/';
	}
	return any ? text : NULL;
}

static struct kf_who *find_owner(void *ctx, pid_t pid, bool thorough)
{
	struct denials *d = ctx;
	struct kf_who_notes quick = {.records = -1};
	char text[CGROUP_MAX];

	open_notes(d);
	quick.started = d->notes.started;
	thorough = thorough && kf_bucket_take(&d->looks, &thorough_looks, d->now);
	if (!thorough) {
		/* Of the many that may wait, only those are looked at of which there is a note. */
		struct kf_who *noted = kf_who_find(&d->owners, &quick, pid, NULL);

		if (!noted)
			return NULL;
		kf_who_drop(&d->owners, noted);
	}
	return kf_who_find(&d->owners, thorough ? &d->notes : &quick, pid,
			   read_cgroups(pid, text, sizeof(text)));
}

/* ---- telling ---- */

static void count_denial(struct denials *d, const struct kf_denial *denial)
{
	const char *name = denial->who ? denial->who->profile : "";
	size_t i = 0;

	while (i < d->nprofiles && strcmp(d->profiles[i].name, name) != 0)
		i++;
	if (i == d->nprofiles && i < PROFILES_MAX - 1) {
		(void)snprintf(d->profiles[i].name, sizeof(d->profiles[i].name), "%s", name);
		d->nprofiles++;
	} else if (i == d->nprofiles) {
		(void)snprintf(d->profiles[i].name, sizeof(d->profiles[i].name), "other");
	}
	d->profiles[i].kinds[denial->kind] += denial->count;
}

static void on_denied(void *ctx, const struct kf_denial *denial, uint64_t now)
{
	struct denials *d = ctx;

	count_denial(d, denial);
	kf_fold_add(&d->fold, denial, now);
}

static void on_refused(void *ctx, const struct kf_denial *denial)
{
	on_denied(ctx, denial, ((struct denials *)ctx)->now);
}

static void on_unseen(void *ctx, const struct kf_denial *unseen, uint64_t now)
{
	struct denials *d = ctx;

	kf_fold_add(&d->fold, unseen, now);
}

static void print_sentence(const struct kf_denial *denial)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(LINE_MAX_SIZE);
	const struct kf_who *who = denial->who;

	kf_denial_sentence(denial, &text);
	if (!text.failed && text.n)
		kf_print_line(stdout, "%s/%s %s: %s", who ? who->namespace_ : "?",
			      who ? who->pod : "?", who ? who->container : "?", text.p);
	(void)fflush(stdout);
}

static void on_line(void *ctx, const struct kf_denial *denial)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(LINE_MAX_SIZE);
	struct denials *d = ctx;
	struct kf_err err;

	kf_denial_json(denial, &text);
	if (text.failed)
		return;
	if (kf_denials_file_add(&d->file, text.p, text.n, &err) < 0 && !d->file_errors++)
		kf_log(KF_LOG_WARN, "not-kept", {"error", err.msg});
	if (d->options->output == KF_OUTPUT_OCSF) {
		kf_buf_reset(&text);
		kf_denial_ocsf(denial, &text);
	}
	if (d->options->output == KF_OUTPUT_TEXT)
		print_sentence(denial);
	else if (!text.failed)
		(void)kf_print_raw(stdout, text.p, text.n);
	(void)fflush(stdout);
	kf_denials_events_tell(&d->events, denial);
}

/* ---- the loop ---- */

static void take_record(void *ctx, unsigned type, const char *text)
{
	struct denials *d = ctx;

	kf_feed_take(d->feed, type, text, d->now);
}

static void on_log(evutil_socket_t fd, short what, void *ctx)
{
	struct denials *d = ctx;
	bool overrun;
	int r;

	(void)what;
	d->now = read_clock();
	r = kf_audit_read(fd, take_record, d, &overrun, &d->err);
	d->overruns += overrun;
	if (r < 0) {
		d->failed = true;
		(void)event_base_loopbreak(d->base);
		return;
	}
	if (kf_feed_waits(d->feed) && !evtimer_pending(d->soon, NULL))
		(void)evtimer_add(d->soon, &soon);
}

static void on_soon(evutil_socket_t fd, short what, void *ctx)
{
	struct denials *d = ctx;

	(void)fd;
	(void)what;
	d->now = read_clock();
	kf_feed_tick(d->feed, d->now);
	if (kf_feed_waits(d->feed))
		(void)evtimer_add(d->soon, &soon);
}

static void save_state(struct denials *d)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(STATE_MAX);
	struct kf_err err;

	kf_feed_save(d->feed, &text);
	if (text.failed)
		return;
	if (kf_file_replace(d->file.dirfd, KF_DENIALS_STATE, text.p ? text.p : "", text.n, 0600,
			    &err) < 0 &&
	    !d->file_errors++)
		kf_log(KF_LOG_WARN, "not-kept", {"error", err.msg});
}

static void on_often(evutil_socket_t fd, short what, void *ctx)
{
	struct denials *d = ctx;

	(void)fd;
	(void)what;
	d->now = read_clock();
	kf_denials_egress_read(&d->egress, &d->owners, on_refused, d);
	kf_fold_tick(&d->fold, d->now);
	kf_denials_events_tick(&d->events, d->now);
	/* At once, too: its age says that the feed runs. */
	if (d->seconds++ % KF_DENIALS_EVERY == 0)
		save_state(d);
	(void)evtimer_add(d->often, &often);
}

/* Confined, we may not start another one: whoever started us does. */
static void on_writer_end(evutil_socket_t fd, short what, void *ctx)
{
	struct denials *d = ctx;

	(void)fd;
	(void)what;
	(void)kf_fail(&d->err, ECHILD,
		      "the process that writes Events has ended; start this one again");
	d->failed = true;
	(void)event_base_loopbreak(d->base);
}

static void on_signal(evutil_socket_t signal, short what, void *ctx)
{
	struct denials *d = ctx;

	(void)signal;
	(void)what;
	(void)event_base_loopbreak(d->base);
}

/* ---- metrics ---- */

static void put_counter(struct kf_buf *out, const char *name, const char *help, uint64_t value)
{
	kf_buf_addf(out,
		    "# HELP kubefence_denials_%s %s\n# TYPE kubefence_denials_%s %s\n"
		    "kubefence_denials_%s %" PRIu64 "\n",
		    name, help, name, strstr(name, "_total") ? "counter" : "gauge", name, value);
}

static void put_profiles(const struct denials *d, struct kf_buf *out)
{
	kf_buf_adds(out,
		    "# HELP kubefence_denials_total What sandboxes refused, by profile and kind\n"
		    "# TYPE kubefence_denials_total counter\n");
	for (size_t i = 0; i < PROFILES_MAX; i++) {
		for (unsigned k = 0; k < KF_DENIAL_NKINDS; k++) {
			if (!d->profiles[i].kinds[k])
				continue;
			/* Names of profiles need no escapes. */
			kf_buf_addf(out,
				    "kubefence_denials_total{profile=\"%s\",kind=\"%s\"} %" PRIu64
				    "\n",
				    d->profiles[i].name, kf_denial_kinds[k],
				    d->profiles[i].kinds[k]);
		}
	}
}

static void put_metrics(void *ctx, struct kf_buf *out)
{
	static const struct {
		enum kf_feed_counter which;
		const char *name, *help;
	} counters[] = {
#define METRIC(name, metric, help) {KF_FEED_##name, metric "_total", help}
		METRIC(RECORDS, "records", "Records of the audit log that were read"),
		METRIC(PROOFS, "proofs", "Denials that the launcher asked for as a proof"),
		METRIC(FOREIGN, "foreign", "Denials in sandboxes that are not ours"),
		METRIC(UNATTRIBUTED, "unattributed", "Denials of an unknown container"),
		METRIC(UNREADABLE, "unreadable", "Records that could not be read"),
		METRIC(LOST, "lost", "Events of the audit log that did not arrive"),
		METRIC(UNSEEN, "unseen",
		       "Denials that the kernel counted in ended sandboxes and no record told"),
		METRIC(UNKNOWN, "unknown", "The same, in sandboxes of which nobody knows whose"),
#undef METRIC
	};
	const struct denials *d = ctx;

	put_profiles(d, out);
	for (size_t i = 0; i < KF_ARRAY_SIZE(counters); i++)
		put_counter(out, counters[i].name, counters[i].help,
			    kf_feed_counter(d->feed, counters[i].which));
	put_counter(out, "lines_total", "Lines that were told", d->fold.lines);
	put_counter(out, "untold_total", "Denials that no line counts", d->fold.untold);
	put_counter(out, "overruns_total", "Times that records came faster than they were read",
		    d->overruns);
	put_counter(out, "events_total", "Kubernetes Events that were asked for", d->events.sent);
	put_counter(out, "events_dropped_total", "Events that could not be asked for",
		    d->events.dropped);
	put_counter(out, "file_errors_total", "Lines and state that could not be kept",
		    d->file_errors);
	put_counter(out, "sandboxes", "Sandboxes that are known", kf_feed_domains(d->feed));
}

static const char *not_ready(void *ctx)
{
	(void)ctx;
	return NULL;
}

static void add_nothing(void *ctx, struct kf_buf *out)
{
	(void)ctx;
	(void)out;
}

static void log_trouble(void *ctx, const struct kf_err *err)
{
	(void)ctx;
	kf_log(KF_LOG_WARN, "http", {"error", err->msg});
}

/* ---- start and end ---- */

static int open_inputs(struct denials *d, struct kf_err *err)
{
	const struct kf_http_source source = {.not_ready = not_ready,
					      .connection = add_nothing,
					      .metrics = put_metrics,
					      .trouble = log_trouble,
					      .ctx = d};
	static const struct kf_feed_ops ops = {
		.find = find_owner, .denied = on_denied, .unseen = on_unseen};

	d->feed = kf_feed_new(&ops, d, &d->owners);
	d->base = event_base_new();
	if (!d->feed || !d->base)
		return kf_fail_nomem(err, "denials");
	if (kf_mkdir_parents("/run/kubefence", 0755, err) < 0 ||
	    kf_denials_file_open(d->options->dir, &d->file, err) < 0 ||
	    kf_audit_open(&d->audit, err) < 0 ||
	    (d->options->listen &&
	     kf_http_listen(d->base, d->options->listen, &source, &d->http, err) < 0))
		return -1;
	return 0;
}

static struct kf_who *find_known(void *ctx, const char *id)
{
	struct denials *d = ctx;

	return kf_who_known(&d->owners, id);
}

static void load_state(struct denials *d)
{
	static struct kf_who *there[KF_WHO_MAX];
	KF_FREE char *text = NULL;
	size_t n;

	open_notes(d);
	n = kf_who_find_all(&d->owners, &d->notes, there, KF_WHO_MAX);
	if (kf_file_slurp(d->file.dirfd, KF_DENIALS_STATE, STATE_MAX, &text, NULL,
			  KF_ERR_IGNORED) == 0)
		kf_feed_load(d->feed, text, find_known);
	while (n)
		kf_who_drop(&d->owners, there[--n]);
}

static int watch_inputs(struct denials *d, struct kf_err *err)
{
	static const int signals[] = {SIGTERM, SIGINT};
	bool ok;

	(void)fcntl(d->audit, F_SETFL, O_NONBLOCK);
	d->log = event_new(d->base, d->audit, EV_READ | EV_PERSIST, on_log, d);
	d->soon = evtimer_new(d->base, on_soon, d);
	d->often = evtimer_new(d->base, on_often, d);
	ok = d->log && d->soon && d->often && event_add(d->log, NULL) == 0 &&
	     evtimer_add(d->often, &often) == 0;
	for (size_t i = 0; i < KF_ARRAY_SIZE(signals); i++) {
		d->signals[i] = evsignal_new(d->base, signals[i], on_signal, d);
		ok = ok && d->signals[i] && event_add(d->signals[i], NULL) == 0;
	}
	if (d->events.fd >= 0) {
		d->writer_end = event_new(d->base, d->events.fd, EV_READ, on_writer_end, d);
		ok = ok && d->writer_end && event_add(d->writer_end, NULL) == 0;
	}
	return ok ? 0 : kf_fail_nomem(err, "event loop");
}

KF_CALLS(kf_denials_calls, KF_CALL(pread64), KF_CALL(renameat), KF_CALL(kill), KF_CALL(wait4));

static int confine_daemon(const struct denials *d, struct kf_err *err)
{
	static const struct kf_calls *const calls[] = {&kf_libc_calls,	&kf_event_calls,
						       &kf_file_calls,	&kf_http_calls,
						       &kf_audit_calls, &kf_denials_calls};
	const struct kf_place places[] = {
		{"/run/kubefence", KF_PLACE_READ},
		{"/proc", KF_PLACE_READ},
		{d->options->dir, KF_PLACE_READ | KF_PLACE_WRITE},
	};
	const struct kf_confinement confinement = {
		.calls = calls,
		.ncalls = KF_ARRAY_SIZE(calls),
		.places = places,
		.nplaces = KF_ARRAY_SIZE(places),
	};
	struct kf_confined c;
	char abi[16];

	if (kf_confine(&confinement, &c, err) < 0)
		return -1;
	(void)snprintf(abi, sizeof(abi), "%d", c.abi);
	kf_log(c.abi && c.filter ? KF_LOG_INFO : KF_LOG_WARN, "confined",
	       {"landlock", c.abi ? abi : c.why},
	       {"seccomp", c.filter ? "on" : "off: built for sanitizers or valgrind"});
	return 0;
}

static int start_denials(struct denials *d, struct kf_err *err)
{
	if (d->options->events && kf_denials_events_start(&d->events, err) < 0)
		return -1;
	if (open_inputs(d, err) < 0 || watch_inputs(d, err) < 0)
		return -1;
	load_state(d);
	/* What comes from here on is told. */
	kf_denials_egress_read(&d->egress, &d->owners, on_refused, d);
	return confine_daemon(d, err);
}

static void stop_denials(struct denials *d)
{
	struct event *const events[] = {d->log,	       d->soon,	      d->often,
					d->signals[0], d->signals[1], d->writer_end};

	if (d->feed && d->file.dirfd >= 0) {
		kf_feed_flush(d->feed, d->now);
		kf_fold_done(&d->fold, d->now);
		save_state(d);
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(events); i++)
		if (events[i])
			event_free(events[i]);
	kf_http_free(d->http);
	kf_feed_free(d->feed);
	if (d->base)
		event_base_free(d->base);
	kf_denials_events_stop(&d->events);
	kf_denials_file_close(&d->file);
	kf_denials_egress_close(&d->egress);
	if (d->audit >= 0)
		(void)close(d->audit);
	if (d->notes.records >= 0)
		(void)close(d->notes.records);
	if (d->notes.started >= 0)
		(void)close(d->notes.started);
}

int kf_denials_run(const struct kf_denials_options *options, struct kf_err *err)
{
	struct denials *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return kf_fail_nomem(err, "denials");
	d->options = options;
	d->audit = d->notes.records = d->notes.started = d->events.fd = -1;
	d->file = (struct kf_denials_file){.dirfd = -1, .fd = -1};
	d->egress = (struct kf_denials_egress){.fd = -1, .rest = KF_BUF_INIT(KF_EGRESS_LINES)};
	d->fold.options = folding;
	d->fold.options.window = options->window * 1000;
	d->fold.owners = d->events.owners = &d->owners;
	d->fold.line = on_line;
	d->fold.ctx = d;
	d->now = read_clock();
	r = start_denials(d, err);
	if (r == 0) {
		kf_log(KF_LOG_INFO, "started", {"version", KF_VERSION});
		(void)event_base_dispatch(d->base);
		if (d->failed)
			r = kf_fail(err, d->err.code, "%s", d->err.msg);
	}
	stop_denials(d);
	free(d);
	return r;
}
