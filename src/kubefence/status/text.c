/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a node as lines for people, cut to the room that there is. */
#include "base/cleanup.h"
#include "base/utf8.h"
#include "kube/object.h"
#include "kubefence/denials/lines.h"
#include "kubefence/status/status.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A path of PATH_MAX, escaped; names of all handlers, or rejected profiles with their mistakes. */
#define LINE_MAX_SIZE (64 * 1024)
#define CELL_MAX      60 /* columns of a name */
#define NCOLUMNS      7
/* What is shown of the denials where the room does not say. */
#define DENIALS_SHOWN 10
#define REFUSED_SHOWN 3
/* Lines that the node itself takes; the rest is for containers and denials. */
#define HEAD_LINES    (8 + REFUSED_SHOWN)

static const char green[] = "\033[32m", yellow[] = "\033[33m", red[] = "\033[31;1m",
		  bold[] = "\033[1m", off[] = "\033[0m";

/* The bytes of the first @columns characters of @text, which is valid UTF-8. */
static size_t cut_at(const char *text, unsigned columns)
{
	size_t n = 0;

	while (text[n] && columns--) {
		const size_t len = kf_utf8_sequence(text + n, strlen(text + n));

		n += len ? len : 1;
	}
	return n;
}

static unsigned width_of(const char *text)
{
	unsigned n = 0;

	for (size_t i = 0; text[i]; n++) {
		const size_t len = kf_utf8_sequence(text + i, strlen(text + i));

		i += len ? len : 1;
	}
	return n;
}

/* One line: @text, escaped and cut, in @colour if there are any. */
static void add_text(const struct kf_status_room *room, const char *colour, const char *text,
		     struct kf_buf *out)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf line = KF_BUF_INIT(LINE_MAX_SIZE);
	const bool paint = room->colours && colour;

	kf_buf_add_escaped(&line, text);
	if (line.failed) {
		out->failed = true;
		return;
	}
	if (paint)
		kf_buf_adds(out, colour);
	if (line.n)
		kf_buf_add(out, line.p, room->columns ? cut_at(line.p, room->columns) : line.n);
	if (paint)
		kf_buf_adds(out, off);
	kf_buf_adds(out, "\n");
}

__attribute__((format(printf, 4, 5))) static void add_line(const struct kf_status_room *room,
							   const char *colour, struct kf_buf *out,
							   const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		add_text(room, colour, text, out);
	else
		out->failed = true;
	free(text);
}

/* The names of those handlers that have the guard, or have not. */
static void list_handlers(struct json_object *state, bool guard, struct kf_buf *out)
{
	struct json_object *list = kf_kube_at(state, "handlers");

	for (size_t i = 0; i < kf_kube_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (json_object_get_boolean(kf_kube_at(o, "guard")) == guard)
			kf_buf_addf(out, "%s%s", out->n ? ", " : "", kf_kube_string(o, "name"));
	}
}

/* Whether all programs have one version. */
static bool list_programs(struct json_object *state, struct kf_buf *out)
{
	struct json_object *list = kf_kube_at(state, "programs");
	const char *first = kf_kube_string(state, "version");
	bool same = true;

	for (size_t i = 0; i < kf_kube_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		same &= strcmp(kf_kube_string(o, "version"), first) == 0;
		kf_buf_addf(out, "%s%s %s", out->n ? ", " : "", kf_kube_string(o, "name"),
			    kf_kube_string(o, "version"));
	}
	return same;
}

static void list_rejected(struct json_object *state, struct kf_buf *out)
{
	struct json_object *list = kf_kube_at(state, "rejected_profiles");

	for (size_t i = 0; i < kf_kube_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		kf_buf_addf(out, "%s%s (%s)", out->n ? "; " : "", kf_kube_string(o, "name"),
			    kf_kube_string(o, "reason"));
	}
}

/* The bound that @percent of all answers did not exceed. */
static void put_quantile(struct json_object *state, unsigned percent, char ret[static 48])
{
	struct json_object *counts = kf_kube_at(state, "latency.counts"),
			   *bounds = kf_kube_at(state, "latency.below_us");
	const size_t n = kf_kube_length(bounds);
	int64_t all = 0, sum = 0, bound;

	for (size_t i = 0; i < kf_kube_length(counts); i++)
		all += json_object_get_int64(json_object_array_get_idx(counts, i));
	(void)snprintf(ret, 48, "longer than we count");
	for (size_t i = 0; i < n; i++) {
		sum += json_object_get_int64(json_object_array_get_idx(counts, i));
		if (sum * 100 < all * percent)
			continue;
		bound = json_object_get_int64(json_object_array_get_idx(bounds, i));
		(void)snprintf(ret, 48, bound < 1000 ? "at most %lld us" : "at most %lld ms",
			       (long long)(bound < 1000 ? bound : bound / 1000));
		return;
	}
}

static void add_node(struct json_object *state, const struct kf_status_room *room,
		     struct kf_buf *out)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf guarded = KF_BUF_INIT(LINE_MAX_SIZE);
	KF_CLEANUP(kf_buf_done) struct kf_buf bare = KF_BUF_INIT(LINE_MAX_SIZE);
	KF_CLEANUP(kf_buf_done) struct kf_buf programs = KF_BUF_INIT(LINE_MAX_SIZE);
	KF_CLEANUP(kf_buf_done) struct kf_buf rejected = KF_BUF_INIT(LINE_MAX_SIZE);
	const bool ready = json_object_get_boolean(kf_kube_at(state, "ready")),
		   connected = json_object_get_boolean(kf_kube_at(state, "connection.connected")),
		   same = list_programs(state, &programs);
	char half[48], most[48];

	list_handlers(state, true, &guarded);
	list_handlers(state, false, &bare);
	list_rejected(state, &rejected);
	put_quantile(state, 50, half);
	put_quantile(state, 99, most);
	add_line(room, bold, out, "kubefence on %s, %s", kf_kube_string(state, "node"),
		 kf_kube_string(state, "time"));
	if (ready)
		add_line(room, green, out, "√ ready for sandboxed pods");
	else
		add_line(room, red, out, "× not ready: %s", kf_kube_string(state, "reason"));
	if (connected)
		add_line(room, NULL, out, "runtime    %s, connected since %s",
			 kf_kube_string(state, "connection.runtime"),
			 kf_kube_string(state, "connection.since"));
	else
		add_line(room, red, out, "runtime    not connected");
	add_line(room, bare.n ? yellow : NULL, out, "guard      %s%s%s",
		 guarded.n ? guarded.p : "for no handler", bare.n ? "; without it: " : "",
		 bare.n ? bare.p : "");
	add_line(room, same ? NULL : yellow, out, "versions   %s%s", programs.n ? programs.p : "?",
		 same ? "" : ": not the same");
	add_line(room, NULL, out, "profiles   %ld, by default %s",
		 kf_kube_number(state, "profiles"), kf_kube_string(state, "default_profile"));
	if (rejected.n)
		add_line(room, red, out, "rejected   %s", rejected.p);
	add_line(room, NULL, out,
		 "decisions  %ld sandboxed, %ld refused (retries included); half of the answers "
		 "took %s, 99 in 100 %s",
		 kf_kube_number(state, "decisions.injected"),
		 kf_kube_number(state, "decisions.refused"), half, most);
}

/* ---- refusals ---- */

/* The last few. */
static void add_refused(struct json_object *state, size_t most, const struct kf_status_room *room,
			struct kf_buf *out)
{
	struct json_object *list = kf_kube_at(state, "refused");

	for (size_t i = 0; i < kf_kube_length(list) && i < most; i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		add_line(room, yellow, out, "%s %s  %s/%s %s: %s", i ? "       " : "refused",
			 kf_kube_string(o, "time"), kf_kube_string(o, "namespace"),
			 kf_kube_string(o, "pod"), kf_kube_string(o, "container"),
			 kf_kube_string(o, "reason"));
	}
}

/* ---- containers ---- */

static const char *const heads[NCOLUMNS] = {"NAMESPACE", "POD",	  "CONTAINER", "PROFILE",
					    "STATE",	 "GUARD", "CREATED"};

static const char *cell_of(struct json_object *c, size_t column)
{
	static const char *const keys[NCOLUMNS] = {"namespace", "pod", "container", "profile",
						   NULL,	NULL,  "timestamp"};
	struct json_object *guard = kf_kube_at(c, "guard");

	if (keys[column])
		return *kf_kube_string(c, keys[column]) ? kf_kube_string(c, keys[column]) : "?";
	if (strcmp(heads[column], "STATE") == 0)
		return *kf_kube_string(c, "unsandboxed") ? "OUTSIDE" : "sandboxed";
	return !guard ? "?" : json_object_get_boolean(guard) ? "yes" : "no";
}

/* Escaped and cut, as it is shown. */
static char *make_cell(struct json_object *c, size_t column)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(LINE_MAX_SIZE);

	kf_buf_add_escaped(&text, cell_of(c, column));
	if (!text.failed && text.n && width_of(text.p) > CELL_MAX) {
		text.n = cut_at(text.p, CELL_MAX - 3);
		kf_buf_adds(&text, "...");
	}
	return kf_buf_take(&text);
}

/* What runs outside comes first, the rest by name. */
static int by_concern(const void *a, const void *b)
{
	struct json_object *x = *(struct json_object *const *)a,
			   *y = *(struct json_object *const *)b;
	const bool bad_x = *kf_kube_string(x, "unsandboxed"),
		   bad_y = *kf_kube_string(y, "unsandboxed");
	int r = strcmp(kf_kube_string(x, "namespace"), kf_kube_string(y, "namespace"));

	if (bad_x != bad_y)
		return bad_x ? -1 : 1;
	return r ? r : strcmp(kf_kube_string(x, "pod"), kf_kube_string(y, "pod"));
}

static void add_row(char *const *cells, const unsigned *widths, const struct kf_status_room *room,
		    const char *colour, struct kf_buf *out)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf line = KF_BUF_INIT(LINE_MAX_SIZE);

	for (size_t k = 0; k < NCOLUMNS; k++)
		kf_buf_addf(&line, "%s%*s", cells[k] ? cells[k] : "?",
			    k + 1 < NCOLUMNS
				    ? (int)(widths[k] - width_of(cells[k] ? cells[k] : "?")) + 2
				    : 0,
			    "");
	if (line.failed)
		out->failed = true;
	else
		add_text(room, colour, line.p, out);
}

static void add_table(struct json_object *list, size_t shown, const struct kf_status_room *room,
		      struct kf_buf *out)
{
	char **cells = calloc((shown + 1) * NCOLUMNS, sizeof(*cells));
	unsigned widths[NCOLUMNS] = {0};

	if (!cells) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i <= shown; i++) {
		for (size_t k = 0; k < NCOLUMNS; k++) {
			char **cell = &cells[i * NCOLUMNS + k];
			unsigned w;

			*cell = i ? make_cell(json_object_array_get_idx(list, i - 1), k)
				  : strdup(heads[k]);
			w = width_of(*cell ? *cell : "?");
			widths[k] = w > widths[k] ? w : widths[k];
		}
	}
	for (size_t i = 0; i <= shown; i++) {
		const bool bad =
			i && *kf_kube_string(json_object_array_get_idx(list, i - 1), "unsandboxed");

		add_row(cells + i * NCOLUMNS, widths, room, i ? bad ? red : NULL : bold, out);
	}
	for (size_t i = 0; i < (shown + 1) * NCOLUMNS; i++)
		free(cells[i]);
	free(cells);
}

static void add_containers(struct json_object *state, size_t lines,
			   const struct kf_status_room *room, struct kf_buf *out)
{
	struct json_object *list = kf_kube_at(state, "containers");
	const size_t n = kf_kube_length(list);
	size_t bad = 0, shown = n;

	for (size_t i = 0; i < n; i++)
		bad += *kf_kube_string(json_object_array_get_idx(list, i), "unsandboxed") != '\0';
	add_line(room, bad ? red : bold, out, "%zu containers, %zu outside the sandbox%s", n, bad,
		 json_object_get_boolean(kf_kube_at(state, "state_directory")) &&
				 json_object_get_boolean(kf_kube_at(state, "complete"))
			 ? ""
			 : "; not all could be read");
	if (!n)
		return;
	json_object_array_sort(list, by_concern);
	if (lines && shown + 1 > lines)
		shown = lines > 2 ? lines - 2 : 0;
	add_table(list, shown, room, out);
	if (shown < n)
		add_line(room, NULL, out, "... and %zu more", n - shown);
}

/* ---- denials ---- */

static void add_denials(struct json_object *state, size_t lines, const struct kf_status_room *room,
			struct kf_buf *out)
{
	struct json_object *list = kf_kube_at(state, "denials");
	const char *feed = kf_kube_string(state, "denial_feed");
	const size_t n = kf_kube_length(list);

	if (strcmp(feed, "on") == 0)
		add_line(room, bold, out, "last denials");
	else if (strcmp(feed, "off") == 0)
		add_line(room, yellow, out,
			 "last denials: the feed does not run; see kubefence denials");
	else
		add_line(room, red, out, "last denials: cannot be read: %s", feed);
	/* The newest first. */
	for (size_t i = n; i > 0 && n - i < lines; i--) {
		KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(LINE_MAX_SIZE);

		kf_lines_format(json_object_array_get_idx(list, i - 1), &text);
		if (text.n)
			add_text(room, NULL, text.p, out);
	}
}

void kf_status_text(struct json_object *state, const struct kf_status_room *room,
		    struct kf_buf *out)
{
	const size_t denials = kf_kube_length(kf_kube_at(state, "denials"));
	size_t containers = 0, denied = DENIALS_SHOWN;

	if (room->lines) {
		/* Three are empty or headings. */
		const size_t left = room->lines > HEAD_LINES + 6 ? room->lines - HEAD_LINES - 6 : 3;

		denied = denials < left / 3 ? denials : left / 3;
		containers = left - denied;
	}
	add_node(state, room, out);
	add_refused(state, REFUSED_SHOWN, room, out);
	add_text(room, NULL, "", out);
	add_containers(state, containers, room, out);
	add_text(room, NULL, "", out);
	add_denials(state, denied, room, out);
}
