/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence doctor: is this node able to sandbox, and does it? */
#include "kubefence/command.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/escape.h"
#include "kubefence/commands.h"
#include "kubefence/doctor/doctor.h"
#include "kubefence/print.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HINTS "docs/doctor.md#"

static const char usage[] =
	"Usage: kubefence doctor [OPTION...]\n\n"
	"Checks kernel, container runtime, guard, plugin and profiles of this node.\n"
	"Exit code 1 if a check failed; warnings do not count.\n\n"
	"  --pre                only what must hold before installation\n"
	"  --wait SECONDS       repeat until nothing fails, for at most that long\n"
	"  --host-root DIR      where the node's root is mounted (default: /)\n"
	"  --distribution NAME  see 'kubefence node --help'\n"
	"  --handler NAME       runtime_classes; may be repeated (default: nono-runc)\n"
	"  --nri-socket PATH    (default: /var/run/nri/nri.sock)\n"
	"  -o table|short|json  everything, failures only, or one JSON object\n";

enum { OPT_PRE = 256, OPT_WAIT, OPT_ROOT, OPT_DISTRO, OPT_HANDLER, OPT_SOCKET };

static const struct option long_options[] = {
	{"pre", no_argument, NULL, OPT_PRE},
	{"wait", required_argument, NULL, OPT_WAIT},
	{"host-root", required_argument, NULL, OPT_ROOT},
	{"distribution", required_argument, NULL, OPT_DISTRO},
	{"handler", required_argument, NULL, OPT_HANDLER},
	{"nri-socket", required_argument, NULL, OPT_SOCKET},
	{"output", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

enum format { TABLE, SHORT, JSON };

static const struct {
	const char *mark, *colour, *json;
} results[] = {
	[KF_DOCTOR_OK] = {"\u221a", "\033[32m", "success"},
	[KF_DOCTOR_WARNING] = {"\u203c", "\033[33m", "warning"},
	[KF_DOCTOR_ERROR] = {"\u00d7", "\033[31;1m", "error"},
	[KF_DOCTOR_SKIP] = {"-", "", "skipped"},
};

enum kf_doctor_result kf_doctor_say(struct kf_doctor *doctor, enum kf_doctor_result result,
				    const char *fmt, ...)
{
	char text[sizeof(doctor->text)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)kf_escape(doctor->text, sizeof(doctor->text), text, strlen(text));
	return result;
}

static bool coloured(void)
{
	const char *no = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no && *no);
}

/* One line after the other of @text, which is changed. */
static char *next_line(char **text)
{
	char *line = *text && **text ? strsep(text, "\n") : NULL;

	return line && *line ? line : NULL;
}

static void add_line(struct kf_buf *out, const struct kf_doctor_check *c,
		     enum kf_doctor_result result, const char *text, char *advice)
{
	bool bad = result == KF_DOCTOR_WARNING || result == KF_DOCTOR_ERROR;
	const char *on = coloured() ? results[result].colour : "", *off = *on ? "\033[0m" : "";

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
	const char *separator = ",\"advice\":[\"";
	bool bad = result == KF_DOCTOR_WARNING || result == KF_DOCTOR_ERROR;

	kf_buf_adds(out, "{\"description\":\"");
	kf_buf_add_json(out, c->description);
	kf_buf_addf(out, "\",\"result\":\"%s\",\"%s\":\"", results[result].json,
		    bad ? "error" : "detail");
	kf_buf_add_json(out, text);
	kf_buf_addf(out, "\",\"hint\":\"%s%s\"", bad ? HINTS : "", bad ? c->anchor : "");
	for (char *line; (line = next_line(&advice)); separator = "\",\"") {
		kf_buf_adds(out, separator);
		kf_buf_add_json(out, line);
	}
	kf_buf_adds(out, *separator == ',' ? "}" : "\"]}");
}

/* What one round has found. */
struct tally {
	unsigned errors, warnings;
	const char *category;
};

static void run_table(struct kf_doctor *d, const struct kf_doctor_check *table, bool pre,
		      enum format format, struct kf_buf *out, struct tally *tally)
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
			kf_buf_addf(out, "%s{\"categoryName\":\"%s\",\"checks\":[",
				    tally->category ? "]}," : "", c->category);
		else if (first && format == TABLE)
			kf_buf_addf(out, "%s%s\n%.*s\n", tally->category ? "\n" : "", c->category,
				    (int)strlen(c->category), "--------------------");
		tally->category = c->category;
		if (format == JSON) {
			kf_buf_adds(out, first ? "" : ",");
			add_json(out, c, result, d->text, d->advice.p);
		} else if (format == TABLE || result == KF_DOCTOR_WARNING ||
			   result == KF_DOCTOR_ERROR) {
			add_line(out, c, result, d->text, d->advice.p);
		}
	}
}

static void ignore(void *ctx, const char *action, const char *object, const char *detail)
{
	(void)ctx, (void)action, (void)object, (void)detail;
}

/* One round of all checks; its output replaces @out. */
static struct tally examine(const struct kf_node_options *options, bool pre, enum format format,
			    struct kf_buf *out)
{
	struct kf_doctor d = {.options = options, .advice = KF_BUF_INIT(1024 * 1024)};
	struct tally tally = {0};

	kf_buf_reset(out);
	d.found = kf_node_open(options, ignore, NULL, &d.node, &d.why) == 0;
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

static int report(const struct tally *tally, enum format format, const struct kf_buf *out)
{
	const char *success = tally->errors ? "false" : "true";
	const char *mark = results[tally->errors ? KF_DOCTOR_ERROR : KF_DOCTOR_OK].mark;
	KF_CLEANUP(kf_buf_done) struct kf_buf all = KF_BUF_INIT(2 * 1024 * 1024);

	if (format == JSON)
		kf_buf_addf(&all, "{\"success\":%s,\"categories\":[", success);
	kf_buf_adds(&all, out->p ? out->p : "");
	if (format == JSON)
		kf_buf_adds(&all, "]}]}\n");
	else
		kf_buf_addf(&all, "%sStatus check results are %s\n", format == TABLE ? "\n" : "",
			    mark);
	if (out->failed || all.failed)
		return kf_command_fail("doctor: out of memory");
	/* Its parts are escaped; the colours are ours. */
	(void)kf_print_raw(stdout, all.p, all.n);
	return tally->errors ? KF_EXIT_FAILED : KF_EXIT_OK;
}

static bool parse_format(const char *s, enum format *ret)
{
	static const char *const names[] = {[TABLE] = "table", [SHORT] = "short", [JSON] = "json"};

	for (unsigned i = 0; i < KF_ARRAY_SIZE(names); i++)
		if (strcmp(names[i], s) == 0) {
			*ret = (enum format)i;
			return true;
		}
	return false;
}

int kf_cmd_doctor(int argc, char **argv)
{
	static const char *const default_handlers[] = {"nono-runc"};
	const char *handlers[KF_JOURNAL_HANDLERS];
	const struct timespec pause = {.tv_sec = 1};
	struct kf_node_options o = {
		.host_root = "/",
		.launcher = KF_NODE_LAUNCHER,
		.default_profile = "default",
		.nri_socket = "/var/run/nri/nri.sock",
		.nri_plugins = "/opt/nri/plugins",
		.nri_config = "/etc/nri/conf.d",
	};
	struct kf_buf out = KF_BUF_INIT(1024 * 1024);
	enum format format = TABLE;
	unsigned long wait = 0;
	struct tally tally;
	bool pre = false;
	char *end;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "o:h", long_options, NULL)) != -1) {
		switch (c) {
		case OPT_PRE:
			pre = true;
			break;
		case OPT_WAIT:
			wait = strtoul(optarg, &end, 10);
			if (*end || !*optarg || wait > 86400)
				return kf_command_usage(
					"doctor: --wait: '%s' is no number of seconds", optarg);
			break;
		case OPT_ROOT:
			o.host_root = optarg;
			break;
		case OPT_DISTRO:
			o.distribution = optarg;
			break;
		case OPT_HANDLER:
			if (o.nhandlers == KF_JOURNAL_HANDLERS)
				return kf_command_usage("doctor: more than %d handlers",
							KF_JOURNAL_HANDLERS);
			handlers[o.nhandlers++] = optarg;
			break;
		case OPT_SOCKET:
			o.nri_socket = optarg;
			break;
		case 'o':
			if (!parse_format(optarg, &format))
				return kf_command_usage(
					"doctor: -o: '%s' is none of table, short, json", optarg);
			break;
		case 'h':
			fputs(usage, stdout);
			return KF_EXIT_OK;
		default:
			return KF_EXIT_USAGE;
		}
	}
	if (optind != argc)
		return kf_command_usage("doctor: '%s' is not understood", argv[optind]);
	o.handlers = o.nhandlers ? handlers : default_handlers;
	o.nhandlers = o.nhandlers ? o.nhandlers : 1;
	tally = examine(&o, pre, format, &out);
	for (; tally.errors && wait; wait--) {
		(void)nanosleep(&pause, NULL);
		tally = examine(&o, pre, format, &out);
	}
	c = report(&tally, format, &out);
	kf_buf_done(&out);
	return c;
}
