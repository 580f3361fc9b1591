/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata config: prints the configuration that Kata computes, as src/kata/effective.c works
 * it out. */
#include "cli/print.h"
#include "kubefence/kata/kata.h"

#include <stdio.h>
#include <string.h>

/* The configuration file of our handler @name, NULL if there is no such handler. */
static const char *find_registered(const struct kf_journal *j, const char *name)
{
	for (size_t i = 0; i < j->nvms; i++)
		if (strcmp(j->vms[i].name, name) == 0)
			return j->vms[i].config;
	return NULL;
}

static int run_config(const struct kf_command *self, int argc, char **argv)
{
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	static struct kf_journal journal;
	struct kf_kata_cli cli;
	struct kf_host host;
	struct kf_err err;
	int status;

	if (!kf_kata_cli_parse(self, argc, argv, &cli, &status))
		return status;
	if (kf_host_open(cli.node.host_root, &host, &err) < 0)
		return kf_command_fail("%s", err.msg);
	status = kf_journal_read(&host, &journal, &err);
	if (status == 0 && !cli.kata.config)
		cli.kata.config = find_registered(&journal, cli.kata.handler);
	if (status == 0 && !cli.kata.config)
		status = kf_fail(&err, ENOENT,
				 "handler '%s' is not registered; run 'kubefence kata install'",
				 cli.kata.handler);
	if (status == 0)
		status = kf_kata_effective(&host, cli.kata.config, &out, &err);
	if (status == 0)
		(void)kf_print_raw(stdout, out.p, out.n);
	kf_buf_done(&out);
	kf_host_done(&host);
	return status == 0 ? KF_EXIT_OK : kf_command_fail("%s", err.msg);
}

const struct kf_command kf_cmd_kata_config = {
	.name = "config",
	.summary = "a handler's configuration as Kata computes it",
	.about = "Prints the configuration that Kata computes from a file and the drop-ins in\n"
		 "config.d beside it, one value a line, as TOML.",
	.options =
		(const struct kf_option[]){
			KF_KATA_OPT("config", "FILE", kata.config,
				    "which one (default: that of our handler)"),
			KF_KATA_OPT_HANDLER,
			KF_OPT_HOST_ROOT(struct kf_kata_cli, node.host_root),
			{0},
		},
	.run = run_config,
};
