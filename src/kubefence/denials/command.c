/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence denials: the command line. */
#include "base/log.h"
#include "cli/print.h"
#include "denial/kernel.h"
#include "kubefence/commands.h"
#include "kubefence/denials/denials.h"
#include "kubefence/options.h"

#include <signal.h>

struct denials_line {
	struct kf_denials_options options;
	unsigned output;
	bool on, off;
};

static int turn_audit(bool on)
{
	struct kf_err err;
	bool changed;

	if (kf_audit_turn(on, &changed, &err) < 0)
		return kf_command_fail("%s", err.msg);
	kf_print_line(stdout, "the kernel's audit log %s %s", changed ? "is now" : "was already",
		      on ? "on" : "off");
	return KF_EXIT_OK;
}

static int run_denials(const struct kf_command *self, int argc, char **argv)
{
	struct denials_line l = {.options = {.dir = KF_DENIALS_DIR, .window = 60}};
	struct kf_arguments arguments;
	struct kf_err err = {0};
	int status;

	if (!kf_command_parse(self, argc, argv, &l, &arguments, &status))
		return status;
	if (l.on && l.off)
		return kf_command_usage("--turn-on and --turn-off exclude each other");
	if (l.on || l.off)
		return turn_audit(l.on);
	l.options.output = (enum kf_output)l.output;
	/* Results are on stdout. */
	kf_log_init(KF_LOG_TEXT, KF_LOG_INFO, "kubefence");
	(void)signal(SIGPIPE, SIG_IGN);
	return kf_denials_run(&l.options, &err) < 0 ? kf_command_fail("%s", err.msg) : KF_EXIT_OK;
}

const struct kf_command kf_cmd_denials = {
	.name = "denials",
	.summary = "tell what sandboxes refuse, as it happens",
	.about = "Reads the kernel's audit log (Linux 6.15 and newer) and tells what sandboxes of\n"
		 "this node refuse: which pod, which program, what, and which rule would have\n"
		 "allowed it.  What is denied over and over again is told once in a while, with\n"
		 "its number.  'kubefence logs' shows what was told.  See docs/denials.md.",
	.options =
		(const struct kf_option[]){
			{
				.name = "output",
				.letter = 'o',
				.kind = KF_OPTION_WORD,
				.value = "text|json|ocsf",
				KF_OPTION_AT(struct denials_line, output),
				.help = "for people (default), for programs, or for what collects "
					"events of the Open Cybersecurity Schema Framework",
			},
			{
				.name = "listen",
				.kind = KF_OPTION_STRING,
				.value = "ADDRESS",
				KF_OPTION_AT(struct denials_line, options.listen),
				.help = "serve /metrics and /healthz there: :PORT or ADDRESS:PORT",
			},
			{
				.name = "events",
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct denials_line, options.events),
				.help = "write Kubernetes Events on the pods, in a pod with the "
					"right "
					"to",
			},
			{
				.name = "window",
				.kind = KF_OPTION_NUMBER,
				.value = "SECONDS",
				.min = 1,
				.max = 3600,
				KF_OPTION_AT(struct denials_line, options.window),
				.help = "in which the same denial counts as one (default: 60)",
			},
			{
				.name = "directory",
				.kind = KF_OPTION_PLACE,
				.value = "DIR",
				KF_OPTION_AT(struct denials_line, options.dir),
				.help = "where the last denials are kept (default: " KF_DENIALS_DIR
					")",
			},
			{
				.name = "turn-on",
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct denials_line, on),
				.help = "turn the kernel's audit log on, until the next boot, and "
					"end",
			},
			{
				.name = "turn-off",
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct denials_line, off),
				.help = "turn it off, and end",
			},
			{0},
		},
	.run = run_denials,
};
