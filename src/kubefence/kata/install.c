/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata install: registers our handler, once or again and again.  The work is done in
 * src/kata/kata.c. */
#include "event/ready.h"
#include "kubefence/kata/kata.h"

#include <signal.h>
#include <time.h>

static volatile sig_atomic_t stop;

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

/* One run; *ret_state is the text of the closing line. */
static int install_once(struct kf_kata_cli *cli, const char **ret_state, struct kf_err *err)
{
	struct kf_node node;
	bool changed = false;
	int status = kf_node_open(&cli->node, kf_report_say, &cli->report, &node, err);

	if (status < 0)
		return -1;
	if (cli->every && kf_host_exists(&node.host, KF_KATA_STOP))
		*ret_state = "the node is being taken back";
	else
		status = kf_kata_install(&node, &cli->kata, &changed, err);
	if (changed)
		*ret_state = "done";
	kf_node_done(&node);
	return status;
}

static int run_install(const struct kf_command *self, int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = on_signal};
	struct kf_err err = {0}, ignored;
	struct kf_kata_cli cli;
	const char *state;
	int status;

	if (!kf_kata_cli_parse(self, argc, argv, &cli, &status))
		return status;
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	for (;;) {
		const struct timespec pause = {.tv_sec = (time_t)cli.every};
		const unsigned output = cli.report.output;

		state = "nothing to do";
		status = install_once(&cli, &state, &err);
		status = kf_report_finish(&cli.report, "install", status,
					  status < 0 ? "failed" : state, &err);
		if (cli.every && cli.ready_file &&
		    kf_ready_write(cli.ready_file, status == 0, cli.every,
				   status == 0 ? state : err.msg, &ignored) < 0)
			return kf_command_fail("%s", ignored.msg);
		/* Pause; a signal ends the pause as well. */
		(void)fflush(stdout); /* for people who follow the log */
		if (!cli.every || stop || nanosleep(&pause, NULL) < 0)
			return status;
		cli.report = (struct kf_report)KF_REPORT_INIT;
		cli.report.output = output;
	}
}

const struct kf_command kf_cmd_kata_install = {
	.name = "install",
	.summary = "register a handler whose pods are sandboxed in a virtual machine",
	.about =
		"Registers a handler whose pods run in virtual machines of Kata's, with a\n"
		"configuration of its own that pods cannot change. Run it again after each change\n"
		"of Kata: it writes nothing if there is nothing to do.",
	.options =
		(const struct kf_option[]){
			{
				.name = "wait",
				.kind = KF_OPTION_NUMBER,
				.value = "SECONDS",
				.max = 86400,
				KF_OPTION_AT(struct kf_kata_cli, kata.wait),
				.help = "for kata-deploy to install Kata (default: 0)",
			},
			{
				.name = "every",
				.kind = KF_OPTION_NUMBER,
				.value = "SECONDS",
				.min = 1,
				.max = 3600,
				KF_OPTION_AT(struct kf_kata_cli, every),
				.help = "stay, and do it again that often; not while the node is "
					"being taken back",
			},
			KF_KATA_OPT("ready-file", "FILE", ready_file,
				    "with --every: for 'kubefence node agent --check'"),
			KF_KATA_OPTIONS_RESTART,
			KF_KATA_OPTIONS_INSTALL,
			KF_KATA_OPTIONS,
			{0},
		},
	.run = run_install,
};
