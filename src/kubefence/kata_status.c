/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata status */
#include "kubefence/command.h"
#include "kubefence/kata.h"
#include "node/kata.h"

#include <getopt.h>
#include <stdio.h>

static const char usage[] = "Usage: kubefence kata status [OPTION...]\n\n"
			    "  --host-root DIR   where the node's root is mounted (default: /)\n"
			    "  --share-dir DIR   kata.shareDir (default: " KF_KATA_SHARE ")\n"
			    "  --config FILE     kata.qemuConfigPath (default: found out)\n";

int kf_kata_status(int argc, char **argv)
{
	static const struct option options[] = {
		{"host-root", required_argument, NULL, 'r'},
		{"share-dir", required_argument, NULL, 's'},
		{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	static const char *const landlock[] = {"no", "yes", "unknown"};
	const char *root = "/", *share = KF_KATA_SHARE, *config = NULL;
	struct kf_arena arena;
	struct kf_kata kata;
	struct kf_host host;
	struct kf_err err;
	int c, r;

	optind = 0;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'r')
			root = optarg;
		else if (c == 's')
			share = optarg;
		else if (c == 'c')
			config = optarg;
		else if (c == 'h')
			return fputs(usage, stdout), KF_EXIT_OK;
		else
			return KF_EXIT_USAGE;
	}
	if (optind != argc)
		return kf_command_usage("kata status: '%s' is not understood", argv[optind]);
	if (kf_host_open(root, &host, &err) < 0)
		return kf_command_fail("kata status: %s", err.msg);
	kf_arena_init(&arena, 1024 * 1024);
	r = kf_kata_find(&host, share, config, &arena, &kata, &err);
	if (r == 0)
		printf("version    %s\nruntime    %s: %s\nconfig     %s\nkernel     %s\n"
		       "landlock   %s: %s\n",
		       kata.version, kata.rust ? "Rust" : "Go", kata.shim, kata.config, kata.kernel,
		       landlock[kata.landlock], kata.why);
	kf_arena_done(&arena);
	kf_host_done(&host);
	return r == 0 ? KF_EXIT_OK : kf_command_fail("kata status: %s", err.msg);
}
