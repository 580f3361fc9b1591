/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence doctor: its options, running all checks, and printing the results.  The checks are in
 * kernel.c, node.c and workload.c. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/escape.h"
#include "base/json.h"
#include "cli/print.h"
#include "kubefence/commands.h"
#include "kubefence/doctor/doctor.h"
#include "kubefence/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HINTS "docs/doctor.md#"

enum doctor_format { TABLE, SHORT, JSON };

static const struct {
	const char *mark, *colour, *json;
} results[] = {
	[KF_DOCTOR_OK] = {"\u221a", "\033[32m", "success"},
	[KF_DOCTOR_WARNING] = {"\u203c", "\033[33m", "warning"},
	[KF_DOCTOR_ERROR] = {"\u00d7", "\033[31;1m", "error"},
	[KF_DOCTOR_SKIP] = {"-", "", "skipped"},
};

/* Cut the next line off @text, which is changed. */
static char *next_line(char **text)
{
	char *line = *text && **text ? strsep(text, "\n") : NULL;

	return line && *line ? line : NULL;
}

static void add_line(struct kf_buf *out, const struct kf_doctor_check *c,
		     enum kf_doctor_result result, const char *text, char *advice)
{
	bool bad = result == KF_DOCTOR_WARNING || result == KF_DOCTOR_ERROR;
	const char *on = kf_print_colours(stdout) ? results[result].colour : "",
		   *off = *on ? "\033[0m" : "";

	kf_buf_addf(out, "%s%s%s %s", on, results[result].mark, off, c->description);
	if (bad)
		kf_buf_addf(out, "\n    %s\n    see %s%s for hints\n", text, HINTS, c->anchor);
	else
		kf_buf_addf(out, "%s%s%s\n", *text ? " (" : "", text, *text ? ")" : "");
	for (char *line; (line = next_line(&advice));)
		kf_buf_add_line(out, "    %s", line);
}

static void add_json(struct kf_buf *out, const struct kf_doctor_check *c,
		     enum kf_doctor_result result, const char *text, char *advice)
{
	bool bad = result == KF_DOCTOR_WARNING || result == KF_DOCTOR_ERROR;
	char *line = next_line(&advice), hint[128];

	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "description", c->description);
	kf_json_put_string(out, "result", results[result].json);
	kf_json_put_string(out, bad ? "error" : "detail", text);
	(void)snprintf(hint, sizeof(hint), HINTS "%s", c->anchor);
	kf_json_put_string(out, "hint", bad ? hint : "");
	if (line) {
		kf_json_open(out, "advice", '[');
		for (; line; line = next_line(&advice))
			kf_json_put_string(out, NULL, line);
		kf_json_close(out, ']');
	}
	kf_json_close(out, '}');
}

/* The results of one round. */
struct tally {
	unsigned errors, warnings;
	const char *category;
};

static void close_category(struct kf_buf *out)
{
	kf_json_close(out, ']');
	kf_json_close(out, '}');
}

/* The next one, behind one that is open. */
static void open_category(struct kf_buf *out, bool open, const char *name)
{
	if (open)
		close_category(out);
	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "categoryName", name);
	kf_json_open(out, "checks", '[');
}

static void run_table(struct kf_doctor *d, const struct kf_doctor_check *table, bool pre,
		      enum doctor_format format, struct kf_buf *out, struct tally *tally)
{
	for (const struct kf_doctor_check *c = table; c->run; c++) {
		bool first = !tally->category || strcmp(tally->category, c->category) != 0;
		enum kf_doctor_result result;

		if (pre && !c->pre)
			continue;
		d->text[0] = '\0';
		kf_buf_reset(&d->advice);
		result = c->run(d);
		tally->errors += result == KF_DOCTOR_ERROR;
		tally->warnings += result == KF_DOCTOR_WARNING;
		if (first && format == JSON)
			open_category(out, tally->category != NULL, c->category);
		else if (first && format == TABLE)
			kf_buf_addf(out, "%s%s\n%.*s\n", tally->category ? "\n" : "", c->category,
				    (int)strlen(c->category), "--------------------");
		tally->category = c->category;
		if (format == JSON) {
			add_json(out, c, result, d->text, d->advice.p);
		} else if (format == TABLE || result == KF_DOCTOR_WARNING ||
			   result == KF_DOCTOR_ERROR) {
			add_line(out, c, result, d->text, d->advice.p);
		}
	}
}

static void ignore_event(void *ctx, const char *action, const char *object, const char *detail)
{
	(void)ctx, (void)action, (void)object, (void)detail;
}

/* Run one round of all checks; its output replaces @out. */
static struct tally run_round(const struct kf_node_options *options, bool pre,
			      enum doctor_format format, struct kf_buf *out)
{
	struct kf_doctor d = {.options = options, .advice = KF_BUF_INIT(KF_PRINT_MAX)};
	struct tally tally = {0};

	kf_buf_reset(out);
	d.found = kf_node_open(options, ignore_event, NULL, &d.node, &d.why) == 0;
	d.planned = d.found && kf_node_plan(&d.node, &d.plan, &d.why) == 0;
	run_table(&d, kf_doctor_kernel, pre, format, out, &tally);
	run_table(&d, kf_doctor_node, pre, format, out, &tally);
	run_table(&d, kf_doctor_workload, pre, format, out, &tally);
	kf_buf_done(&d.advice);
	if (d.planned)
		kf_node_plan_done(&d.plan);
	if (d.found)
		kf_node_done(&d.node);
	return tally;
}

static int print_report(const struct tally *tally, enum doctor_format format,
			const struct kf_buf *out)
{
	const char *mark = results[tally->errors ? KF_DOCTOR_ERROR : KF_DOCTOR_OK].mark;
	KF_CLEANUP(kf_buf_done) struct kf_buf all = KF_BUF_INIT(KF_PRINT_MAX);

	if (format == JSON) {
		kf_json_open(&all, NULL, '{');
		kf_json_put_bool(&all, "success", !tally->errors);
		kf_json_open(&all, "categories", '[');
	}
	kf_buf_adds(&all, out->p ? out->p : "");
	if (format == JSON) {
		close_category(&all);
		kf_json_close(&all, ']');
		kf_json_close(&all, '}');
		kf_buf_adds(&all, "\n");
	} else {
		kf_buf_addf(&all, "%sStatus check results are %s\n", format == TABLE ? "\n" : "",
			    mark);
	}
	if (out->failed || all.failed)
		return kf_command_fail("out of memory");
	/* All parts are escaped already; the colours are ours. */
	(void)kf_print_raw(stdout, all.p, all.n);
	return tally->errors ? KF_EXIT_FAILED : KF_EXIT_OK;
}

struct doctor_line {
	struct kf_node_options node;
	struct kf_option_list handlers;
	unsigned wait, format;
	bool pre;
};

static time_t uptime_seconds(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

static int run_doctor(const struct kf_command *self, int argc, char **argv)
{
	static const char *const default_handlers[] = {KF_NODE_HANDLER};
	const char *handlers[KF_JOURNAL_HANDLERS];
	struct doctor_line l = {
		.node = KF_NODE_OPTIONS_INIT,
		.handlers = KF_OPTION_LIST(handlers),
		.format = TABLE,
	};
	const struct timespec pause = {.tv_sec = 1};
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	enum doctor_format format;
	struct kf_arguments arguments;
	struct tally tally;
	time_t end;
	int status;

	/* doctor changes nothing. */
	l.node.restart = false;
	l.node.timeout = 0;
	if (!kf_command_parse(self, argc, argv, &l, &arguments, &status))
		return status;
	format = (enum doctor_format)l.format;
	l.node.handlers = l.handlers.n ? handlers : default_handlers;
	l.node.nhandlers = l.handlers.n ? l.handlers.n : 1;
	end = uptime_seconds() + l.wait;
	tally = run_round(&l.node, l.pre, format, &out);
	while (tally.errors && uptime_seconds() < end) {
		(void)nanosleep(&pause, NULL);
		tally = run_round(&l.node, l.pre, format, &out);
	}
	status = print_report(&tally, format, &out);
	kf_buf_done(&out);
	return status;
}

const struct kf_command kf_cmd_doctor = {
	.name = "doctor",
	.summary = "is this node able to sandbox, and does it?",
	.about = "Checks kernel, container runtime, guard, plugin and profiles of this node.\n"
		 "Exit code 1 if a check failed; warnings do not count.",
	.options =
		(const struct kf_option[]){
			{
				.name = "pre",
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct doctor_line, pre),
				.help = "only what must hold before installation",
			},
			{
				.name = "wait",
				.kind = KF_OPTION_NUMBER,
				.value = "SECONDS",
				.max = 86400,
				KF_OPTION_AT(struct doctor_line, wait),
				.help = "repeat until nothing fails, for at most that long",
			},
			KF_OPT_HOST_ROOT(struct doctor_line, node.host_root),
			KF_OPT_DISTRIBUTION(struct doctor_line, node.distribution),
			KF_OPT_HANDLER(struct doctor_line, handlers),
			KF_OPT_NRI_SOCKET(struct doctor_line, node.nri_socket),
			{
				.name = "output",
				.letter = 'o',
				.kind = KF_OPTION_WORD,
				.value = "text|short|json",
				KF_OPTION_AT(struct doctor_line, format),
				.help = "everything (default), failures only, or one JSON object",
			},
			{0},
		},
	.run = run_doctor,
};
