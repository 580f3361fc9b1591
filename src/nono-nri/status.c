/* SPDX-License-Identifier: Apache-2.0 */
/* Answers about this node, for people: the page, the state that it shows, and what was denied.
 * Each is made in parts of bounded work, since the runtime waits while we make one.  What others
 * chose - names of pods, paths - is JSON strings here; the page makes nothing but text of it. */
#include "nono-nri/status.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/path.h"
#include "config/denials.h"
#include "nono-nri/plugin.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Entries of the state directory that are looked at for one part: some 10 us each. */
#define STEPS_MAX   4
/* What is shown of the denials: the last ones, some hundred bytes each. */
#define DENIALS_MAX ((off_t)512 * 1024)
/* So old the feed's state is when it does not run. */
#define FEED_AGE    (3 * KF_DENIALS_EVERY)

/* ---- the page ---- */

struct page_answer {
	size_t sent;
};

static void *begin_html(void *ctx)
{
	(void)ctx;
	return calloc(1, sizeof(struct page_answer));
}

static bool next_html(void *answer, struct kf_buf *out)
{
	struct page_answer *a = answer;
	const size_t left = kf_plugin_nhtml - a->sent,
		     n = left < KF_HTTP_PART ? left : KF_HTTP_PART;

	kf_buf_add(out, kf_plugin_html + a->sent, n);
	a->sent += n;
	return a->sent < kf_plugin_nhtml;
}

/* ---- the state ---- */

struct state_answer {
	struct kf_plugin *plugin;
	struct kf_state_cursor cursor;
	bool begun, more; /* a container was written */
};

static void put_time(struct kf_buf *out, const char *key, time_t seconds)
{
	char stamp[sizeof("-2147483648-12-31T23:59:60Z")] = "";
	struct tm tm = {0};

	if (gmtime_r(&seconds, &tm))
		(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
	kf_json_put_string(out, key, stamp);
}

static void put_connection(const struct kf_plugin *p, struct kf_buf *out)
{
	kf_json_open(out, "connection", '{');
	kf_json_put_bool(out, "connected", p->connected);
	kf_json_put_number(out, "times", (long long)p->metrics.value[KF_METRIC_CONNECTIONS]);
	if (p->connected) {
		put_time(out, "since", p->connected_since);
		kf_json_put_string(out, "runtime", p->runtime);
		kf_json_put_bool(out, "validates", p->features.validate);
	}
	kf_json_close(out, '}');
}

static void put_settings(const struct kf_plugin *p, struct kf_buf *out)
{
	const struct kf_settings *s = &p->setup.config.settings;

	kf_json_put_string(out, "default_profile", s->default_profile);
	kf_json_put_number(out, "profiles", (long long)s->nprofiles);
	kf_json_open(out, "handlers", '[');
	for (size_t i = 0; i < s->nhandlers; i++) {
		kf_json_open(out, NULL, '{');
		kf_json_put_string(out, "name", s->handlers[i]);
		kf_json_put_bool(out, "guard", kf_plugin_guarded(p, s->handlers[i]));
		kf_json_close(out, '}');
	}
	kf_json_close(out, ']');
	kf_json_open(out, "rejected_profiles", '[');
	for (size_t i = 0; i < p->setup.names.nrejected; i++) {
		kf_json_open(out, NULL, '{');
		kf_json_put_string(out, "name", p->setup.names.rejected[i].name);
		kf_json_put_string(out, "reason", p->setup.names.rejected[i].why);
		kf_json_close(out, '}');
	}
	kf_json_close(out, ']');
}

static void put_program(struct kf_buf *out, const char *name, const char *version)
{
	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "name", name);
	kf_json_put_string(out, "version", version);
	kf_json_close(out, '}');
}

static void put_programs(const struct kf_plugin *p, struct kf_buf *out)
{
	kf_json_open(out, "programs", '[');
	kf_plugin_programs(p, put_program, out);
	kf_json_close(out, ']');
}

static void put_counts(const struct kf_plugin *p, struct kf_buf *out)
{
	static const struct {
		const char *key;
		enum kf_metric which;
	} counts[] = {
		{"injected", KF_METRIC_INJECTED},
		{"skipped", KF_METRIC_SKIPPED},
		{"refused", KF_METRIC_REFUSED},
		{"validate_refused", KF_METRIC_VALIDATE_REFUSED},
		{"start_refused", KF_METRIC_START_REFUSED},
	};

	kf_json_open(out, "decisions", '{');
	for (size_t i = 0; i < KF_ARRAY_SIZE(counts); i++)
		kf_json_put_number(out, counts[i].key,
				   (long long)p->metrics.value[counts[i].which]);
	kf_json_close(out, '}');
	kf_json_open(out, "latency", '{');
	kf_json_open(out, "below_us", '[');
	for (size_t i = 0; i < KF_METRIC_BUCKETS; i++)
		kf_json_put_number(out, NULL, kf_metric_bounds[i]);
	kf_json_close(out, ']');
	/* How many took as long as that, but longer than the bound before; the last is beyond. */
	kf_json_open(out, "counts", '[');
	for (size_t i = 0; i <= KF_METRIC_BUCKETS; i++)
		kf_json_put_number(out, NULL, (long long)p->metrics.bucket[i]);
	kf_json_close(out, ']');
	kf_json_put_number(out, "sum_us", (long long)p->metrics.microseconds);
	kf_json_close(out, '}');
}

/* The newest first. */
static void put_refused(struct kf_plugin *p, struct kf_buf *out)
{
	const struct kf_decisions *d = &p->decisions;

	kf_plugin_read_guard_refused(p);
	kf_json_open(out, "refused", '[');
	for (size_t i = 0; i < KF_DECISIONS_LATELY && i < d->nlately; i++) {
		const struct kf_refused_lately *r =
			&d->lately[(d->nlately - 1 - i) % KF_DECISIONS_LATELY];

		kf_json_open(out, NULL, '{');
		put_time(out, "time", r->time);
		kf_json_put_string(out, "by", r->guard ? "nono-runc" : KF_PLUGIN_NAME);
		kf_json_put_string(out, "namespace", r->namespace_);
		kf_json_put_string(out, "pod", r->pod);
		kf_json_put_string(out, "container", r->container);
		kf_json_put_string(out, "reason", r->reason);
		kf_json_close(out, '}');
	}
	kf_json_close(out, ']');
}

/* "on", "off", or why that cannot be told. */
static void put_feed(const struct kf_plugin *p, struct kf_buf *out)
{
	char path[PATH_MAX];
	struct stat st;

	if (!*p->denials_dir) {
		kf_json_put_string(out, "denial_feed", "off");
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/" KF_DENIALS_STATE, p->denials_dir);
	if (lstat(path, &st) == 0)
		kf_json_put_string(out, "denial_feed",
				   time(NULL) - st.st_mtime <= FEED_AGE ? "on" : "off");
	else
		kf_json_put_string(out, "denial_feed", errno == ENOENT ? "off" : strerror(errno));
}

static void put_head(const struct state_answer *a, struct kf_buf *out)
{
	struct kf_plugin *p = a->plugin;
	const char *why = kf_plugin_not_ready(p);

	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "node", p->node_name);
	kf_json_put_string(out, "version", KF_VERSION);
	put_time(out, "time", time(NULL));
	put_time(out, "started", p->started);
	kf_json_put_bool(out, "ready", !why);
	kf_json_put_string(out, "reason", why);
	put_connection(p, out);
	put_settings(p, out);
	put_programs(p, out);
	put_counts(p, out);
	put_refused(p, out);
	put_feed(p, out);
	kf_json_put_bool(out, "state_directory", p->state.dirfd >= 0);
	kf_json_open(out, "containers", '[');
}

static void *begin_state(void *ctx)
{
	struct state_answer *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->plugin = ctx;
	/* What is still to be written would be missing. */
	kf_plugin_write_records(a->plugin);
	kf_state_begin(&a->plugin->state, &a->cursor);
	return a;
}

static bool next_state(void *answer, struct kf_buf *out)
{
	struct state_answer *a = answer;

	if (!a->begun) {
		put_head(a, out);
		a->begun = true;
		return true;
	}
	for (unsigned i = 0; i < STEPS_MAX && out->n < KF_HTTP_PART; i++) {
		KF_FREE char *text = NULL;

		if (!kf_state_next(&a->cursor, &text)) {
			kf_buf_addf(out, "],\"complete\":%s}\n",
				    a->cursor.failed ? "false" : "true");
			return false;
		}
		if (!text)
			continue;
		kf_buf_adds(out, a->more ? ",\n" : "\n");
		kf_buf_adds(out, text);
		a->more = true;
	}
	return true;
}

static void end_state(void *answer)
{
	struct state_answer *a = answer;

	kf_state_end(&a->cursor);
	free(a);
}

/* ---- what was denied ---- */

struct denials_answer {
	struct {
		int fd;
		off_t at, end;
	} files[2]; /* the older one first */
	unsigned current;
	bool cut; /* what is read begins within a line */
};

/* Its last bytes, at most @max; what is added from now on is not read.  No file: nothing. */
static off_t open_log(struct denials_answer *a, unsigned i, const char *dir, const char *name,
		      off_t max)
{
	char path[PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	a->files[i].fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (a->files[i].fd < 0 || fstat(a->files[i].fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	a->files[i].end = st.st_size;
	a->files[i].at = st.st_size > max ? st.st_size - max : 0;
	a->cut |= a->files[i].at > 0;
	return st.st_size - a->files[i].at;
}

static void *begin_denials(void *ctx)
{
	const struct kf_plugin *p = ctx;
	struct denials_answer *a = calloc(1, sizeof(*a));
	off_t n;

	if (!a)
		return NULL;
	a->files[0].fd = a->files[1].fd = -1;
	if (!*p->denials_dir)
		return a;
	/* The newer one first: if it is put aside meanwhile, nothing is missed. */
	n = open_log(a, 1, p->denials_dir, KF_DENIALS_LOG, DENIALS_MAX);
	if (n < DENIALS_MAX)
		(void)open_log(a, 0, p->denials_dir, KF_DENIALS_OLD, DENIALS_MAX - n);
	return a;
}

static bool next_denials(void *answer, struct kf_buf *out)
{
	struct denials_answer *a = answer;
	char text[KF_HTTP_PART], *begin = text;
	ssize_t n = 0;

	while (a->current < KF_ARRAY_SIZE(a->files)) {
		const off_t left = a->files[a->current].end - a->files[a->current].at;
		const size_t want = left < (off_t)sizeof(text) ? (size_t)left : sizeof(text);

		if (a->files[a->current].fd >= 0 && want)
			n = pread(a->files[a->current].fd, text, want, a->files[a->current].at);
		if (n > 0)
			break;
		a->current++;
	}
	if (n <= 0)
		return false;
	a->files[a->current].at += n;
	if (a->cut) {
		begin = memchr(text, '\n', (size_t)n);
		if (!begin)
			return true;
		begin++;
		a->cut = false;
	}
	kf_buf_add(out, begin, (size_t)(text + n - begin));
	return true;
}

static void end_denials(void *answer)
{
	struct denials_answer *a = answer;

	for (size_t i = 0; i < KF_ARRAY_SIZE(a->files); i++)
		if (a->files[i].fd >= 0)
			(void)close(a->files[i].fd);
	free(a);
}

/* ---- */

KF_CALLS(kf_plugin_page_calls, KF_CALL(pread64));

/* Data that no page of another site can make part of itself. */
#define DATA_HEADERS                                      \
	"Content-Security-Policy: default-src 'none'\r\n" \
	"Cross-Origin-Resource-Policy: same-origin\r\n"

const struct kf_http_page kf_plugin_pages[] = {
	{"/", "text/html; charset=utf-8", kf_plugin_headers, begin_html, next_html, free},
	{"/status.json", "application/json", DATA_HEADERS, begin_state, next_state, end_state},
	{"/denials.jsonl", "application/x-ndjson", DATA_HEADERS, begin_denials, next_denials,
	 end_denials},
};
const size_t kf_plugin_npages = KF_ARRAY_SIZE(kf_plugin_pages);
