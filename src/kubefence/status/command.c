/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence status: once, or again and again: on a terminal in its place, elsewhere one block after
 * the other. */
#include "base/cleanup.h"
#include "cli/print.h"
#include "kube/object.h"
#include "kubefence/commands.h"
#include "kubefence/options.h"
#include "kubefence/status/status.h"
#include "observe/state.h"

#include <json-c/json.h>
#include <time.h>
#include <unistd.h>

/* Blocks in a pipe have so many lines; for a reader, not for a program, which asks for JSON. */
#define BLOCK_LINES 40

struct status_line {
	const char *dir;
	unsigned output, interval;
	bool watch;
};

static bool is_ready(struct json_object *state)
{
	return json_object_get_boolean(kf_kube_at(state, "ready"));
}

static void print_state(struct json_object *state, const struct status_line *l,
			const struct kf_status_room *room)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(KF_PRINT_MAX);

	if (l->output == KF_OUTPUT_JSON) {
		kf_print_json(stdout, state,
			      JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
		(void)fflush(stdout);
		return;
	}
	kf_status_text(state, room, &text);
	if (!text.failed)
		(void)kf_print_raw(stdout, text.p, text.n);
}

static int print_once(const struct status_line *l, struct kf_err *err)
{
	KF_CLEANUP(kf_kube_cleanup_json) struct json_object *state = NULL;
	const struct kf_status_room room = {.colours = kf_print_colours(stdout)};

	if (kf_status_ask(l->dir, &state, err) < 0)
		return kf_command_fail("%s", err->msg);
	print_state(state, l, &room);
	return is_ready(state) ? KF_EXIT_OK : KF_EXIT_FAILED;
}

/* A plugin that is away comes back: that is seen, too. */
static int watch_pipe(const struct status_line *l, struct kf_err *err)
{
	const struct kf_status_room room = {.lines = BLOCK_LINES};
	const struct timespec pause = {.tv_sec = l->interval};

	for (;;) {
		KF_CLEANUP(kf_kube_cleanup_json) struct json_object *state = NULL;

		if (kf_status_ask(l->dir, &state, err) == 0)
			print_state(state, l, &room);
		else if (l->output == KF_OUTPUT_JSON)
			kf_print_line(stderr, "kubefence: %s", err->msg);
		else
			kf_print_line(stdout, "%s", err->msg);
		if (l->output != KF_OUTPUT_JSON)
			fputs("\n", stdout);
		if (fflush(stdout) || ferror(stdout))
			return kf_command_fail("nobody reads any more");
		(void)nanosleep(&pause, NULL);
	}
}

static int draw_state(const struct status_line *l, struct kf_screen *screen, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(KF_PRINT_MAX);
	KF_CLEANUP(kf_kube_cleanup_json) struct json_object *state = NULL;
	struct kf_status_room room = {.colours = kf_print_colours(stdout)};

	kf_screen_room(screen, &room);
	if (kf_status_ask(l->dir, &state, err) == 0)
		kf_status_text(state, &room, &text);
	else
		kf_buf_add_line(&text, "%s", err->msg);
	return kf_screen_show(screen, &text, err);
}

static int watch_terminal(const struct status_line *l, struct kf_err *err)
{
	struct kf_screen *screen;
	int r;

	if (kf_screen_enter(&screen, err) < 0)
		return kf_command_fail("%s", err->msg);
	while ((r = draw_state(l, screen, err)) == 0 && kf_screen_wait(screen, l->interval * 1000))
		;
	kf_screen_leave(screen);
	return r < 0 ? kf_command_fail("%s", err->msg) : KF_EXIT_OK;
}

static int run_status(const struct kf_command *self, int argc, char **argv)
{
	struct status_line l = {.dir = KF_STATE_DIR, .interval = 2};
	struct kf_arguments arguments;
	struct kf_err err = {0};
	int status;

	if (!kf_command_parse(self, argc, argv, &l, &arguments, &status))
		return status;
	if (!l.watch)
		return print_once(&l, &err);
	return l.output != KF_OUTPUT_JSON && isatty(STDOUT_FILENO) ? watch_terminal(&l, &err)
								   : watch_pipe(&l, &err);
}

const struct kf_command kf_cmd_status = {
	.name = "status",
	.summary = "this node: ready or not, its containers, what was denied",
	.about = "Asks nono-nri of this node whether it is ready, and for its containers with\n"
		 "their profiles, how long it takes to answer, and what was denied last; the\n"
		 "same as the page that nono-nri serves. Exit code 1 if the node is not ready.",
	.options =
		(const struct kf_option[]){
			{
				.name = "watch",
				.letter = 'w',
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct status_line, watch),
				.help = "show it again and again, on a terminal in its place; ends "
					"with Ctrl-C",
			},
			{
				.name = "interval",
				.kind = KF_OPTION_NUMBER,
				.value = "SECONDS",
				.min = 1,
				.max = 3600,
				KF_OPTION_AT(struct status_line, interval),
				.help = "between two looks (default: 2)",
			},
			{
				.name = "state-dir",
				.kind = KF_OPTION_PLACE,
				.value = "DIR",
				KF_OPTION_AT(struct status_line, dir),
				.help = "nono-nri's (default: " KF_STATE_DIR ")",
			},
			KF_OPT_OUTPUT(struct status_line, output),
			{0},
		},
	.run = run_status,
};
