/* SPDX-License-Identifier: Apache-2.0 */
#include "kubefence/command.h"
#include "kubefence/kata/kata.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	OPT_ROOT = 256,
	OPT_DISTRO,
	OPT_SHARE,
	OPT_CONFIG,
	OPT_HANDLER,
	OPT_KERNEL,
	OPT_IMAGE,
	OPT_SECCOMP,
	OPT_ACCELERATORS,
	OPT_NO_SECCOMP,
	OPT_WAIT,
	OPT_NO_RESTART,
	OPT_TIMEOUT,
	OPT_EVERY,
	OPT_READY,
	OPT_IMAGE_FOR,
};

static const struct option long_options[] = {
	{"host-root", required_argument, NULL, OPT_ROOT},
	{"distribution", required_argument, NULL, OPT_DISTRO},
	{"share-dir", required_argument, NULL, OPT_SHARE},
	{"config", required_argument, NULL, OPT_CONFIG},
	{"handler", required_argument, NULL, OPT_HANDLER},
	{"kernel", required_argument, NULL, OPT_KERNEL},
	{"image", required_argument, NULL, OPT_IMAGE},
	{"seccomp-sandbox", required_argument, NULL, OPT_SECCOMP},
	{"accelerators", required_argument, NULL, OPT_ACCELERATORS},
	{"disable-guest-seccomp", no_argument, NULL, OPT_NO_SECCOMP},
	{"wait", required_argument, NULL, OPT_WAIT},
	{"no-restart", no_argument, NULL, OPT_NO_RESTART},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"every", required_argument, NULL, OPT_EVERY},
	{"ready-file", required_argument, NULL, OPT_READY},
	{"image-for", required_argument, NULL, OPT_IMAGE_FOR},
	{"output", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* A number of seconds of at most @max, or -1. */
static long seconds(const char *s, long min, long max)
{
	char *end;
	long n = strtol(s, &end, 10);

	return *end || !*s || n < min || n > max ? -1 : n;
}

/* An exit code, or -1 to go on. */
static int option(int c, const char *name, struct kf_kata_cli *cli)
{
	long n;

	switch (c) {
	case OPT_ROOT:
		cli->node.host_root = optarg;
		break;
	case OPT_DISTRO:
		cli->node.distribution = optarg;
		break;
	case OPT_SHARE:
		cli->kata.share_dir = optarg;
		break;
	case OPT_CONFIG:
		cli->kata.config = optarg;
		break;
	case OPT_HANDLER:
		cli->kata.handler = optarg;
		break;
	case OPT_KERNEL:
		cli->kata.kernel = optarg;
		break;
	case OPT_IMAGE:
		cli->kata.image = optarg;
		break;
	case OPT_SECCOMP:
		cli->kata.seccomp_sandbox = optarg;
		break;
	case OPT_ACCELERATORS:
		cli->kata.accelerators = optarg;
		break;
	case OPT_NO_SECCOMP:
		cli->kata.disable_guest_seccomp = true;
		break;
	case OPT_NO_RESTART:
		cli->node.restart = false;
		break;
	case OPT_READY:
		cli->ready_file = optarg;
		break;
	case OPT_IMAGE_FOR:
		cli->kata.image_for = optarg;
		break;
	case OPT_EVERY:
		n = seconds(optarg, 1, 3600);
		if (n < 0)
			return kf_command_usage(
				"kata %s: --every: '%s' is not between 1 and 3600 seconds", name,
				optarg);
		cli->every = (unsigned)n;
		break;
	case OPT_WAIT:
		n = seconds(optarg, 0, 86400);
		if (n < 0)
			return kf_command_usage("kata %s: --wait: '%s' is no number of seconds",
						name, optarg);
		cli->kata.wait = (unsigned)n;
		break;
	case OPT_TIMEOUT:
		n = seconds(optarg, 1, 3600);
		if (n < 0)
			return kf_command_usage(
				"kata %s: --timeout: '%s' is not between 1 and 3600 seconds", name,
				optarg);
		cli->node.timeout = (unsigned)n;
		break;
	case 'o':
		if (!kf_report_format(&cli->report, optarg))
			return kf_command_usage("kata %s: -o: '%s' is neither text nor json", name,
						optarg);
		break;
	default:
		return KF_EXIT_USAGE; /* getopt has said why */
	}
	return -1;
}

bool kf_kata_cli_parse(int argc, char **argv, const char *usage, struct kf_kata_cli *ret,
		       int *ret_status)
{
	int c;

	*ret = (struct kf_kata_cli){
		.node = {.host_root = "/",
			 .launcher = KF_NODE_LAUNCHER,
			 .default_profile = "default",
			 .restart = true,
			 .timeout = 120},
		.kata = {.share_dir = KF_KATA_SHARE,
			 .handler = KF_KATA_HANDLER,
			 .accelerators = "",
			 .seccomp_sandbox = KF_KATA_SECCOMP},
		.report = KF_REPORT_INIT("kata"),
	};
	*ret_status = -1;
	optind = 0;
	while (*ret_status < 0 && (c = getopt_long(argc, argv, "o:h", long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			*ret_status = KF_EXIT_OK;
		} else {
			*ret_status = option(c, argv[0], ret);
		}
	}
	if (*ret_status < 0 && optind != argc)
		*ret_status =
			kf_command_usage("kata %s: '%s' is not understood", argv[0], argv[optind]);
	return *ret_status < 0;
}
