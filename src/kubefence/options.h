/* SPDX-License-Identifier: Apache-2.0 */
/* Options that several commands have, with the same text and range for all of them. */
#ifndef KF_KUBEFENCE_OPTIONS_H
#define KF_KUBEFENCE_OPTIONS_H

#include "cli/command.h"
#include "node/node.h"

/* For a const char * of @type. */
#define KF_OPT_HOST_ROOT(type, member)                                         \
	{                                                                      \
		.name = "host-root", .kind = KF_OPTION_STRING, .value = "DIR", \
		KF_OPTION_AT(type, member),                                    \
		.help = "where the node's root is mounted (default: /)"        \
	}
#define KF_OPT_DISTRIBUTION(type, member)                                                     \
	{                                                                                     \
		.name = "distribution", .kind = KF_OPTION_STRING, .value = "NAME",            \
		KF_OPTION_AT(type, member),                                                   \
		.help = "containerd, crio, k3s, rke2, k0s or microk8s (default: what runs); " \
			"NAME=DIR for k3s, rke2 or k0s with its data in DIR"                  \
	}
#define KF_OPT_CONTAINERD_CONFIG(type, member)                                          \
	{                                                                               \
		.name = "containerd-config", .kind = KF_OPTION_STRING, .value = "FILE", \
		KF_OPTION_AT(type, member),                                             \
		.help = "containerd's root file, on the host, for a plain containerd "  \
			"(default: what its unit says)"                                 \
	}
/* A struct kf_option_list. */
#define KF_OPT_HANDLER(type, member)                                                      \
	{                                                                                 \
		.name = "handler", .kind = KF_OPTION_EACH, .value = "NAME",               \
		KF_OPTION_AT(type, member),                                               \
		.help = "runtime_classes; may be repeated (default: " KF_NODE_HANDLER ")" \
	}
#define KF_OPT_LAUNCHER(type, member)                                          \
	{                                                                      \
		.name = "launcher", .kind = KF_OPTION_STRING, .value = "PATH", \
		KF_OPTION_AT(type, member),                                    \
		.help = "nono_bin_path (default: " KF_NODE_LAUNCHER ")"        \
	}
#define KF_OPT_PAYLOAD(type, member)                                         \
	{                                                                    \
		.name = "payload", .kind = KF_OPTION_STRING, .value = "DIR", \
		KF_OPTION_AT(type, member),                                  \
		.help = "where our programs are (default: beside this one)"  \
	}
#define KF_OPT_NRI_SOCKET(type, member)                                            \
	{                                                                          \
		.name = "nri-socket", .kind = KF_OPTION_STRING, .value = "PATH",   \
		KF_OPTION_AT(type, member), .help = "(default: " KF_NRI_SOCKET ")" \
	}
#define KF_OPT_NRI_PLUGINS(type, member)                                            \
	{                                                                           \
		.name = "nri-plugins", .kind = KF_OPTION_STRING, .value = "DIR",    \
		KF_OPTION_AT(type, member), .help = "(default: " KF_NRI_PLUGINS ")" \
	}
#define KF_OPT_NRI_CONFIG(type, member)                                            \
	{                                                                          \
		.name = "nri-config", .kind = KF_OPTION_STRING, .value = "DIR",    \
		KF_OPTION_AT(type, member), .help = "(default: " KF_NRI_CONFIG ")" \
	}
/* For a bool. */
#define KF_OPT_NO_RESTART(type, member)                                                    \
	{                                                                                  \
		.name = "no-restart", .kind = KF_OPTION_CLEAR, KF_OPTION_AT(type, member), \
		.help = "do not restart the runtime; the administrator does"               \
	}
/* For an unsigned. */
#define KF_OPT_TIMEOUT(type, member)                                                       \
	{                                                                                  \
		.name = "timeout", .kind = KF_OPTION_NUMBER, .value = "SECONDS", .min = 1, \
		.max = 3600, KF_OPTION_AT(type, member),                                   \
		.help = "for the runtime to come back (default: 120)"                      \
	}
/* For an unsigned that is an enum kf_output. */
#define KF_OPT_OUTPUT(type, member)                                                            \
	{                                                                                      \
		.name = "output", .letter = 'o', .kind = KF_OPTION_WORD, .value = "text|json", \
		KF_OPTION_AT(type, member), .help = "for people (default) or for programs"     \
	}
/* A struct kf_option_list. */
#define KF_OPT_DIR(type, member)                                                         \
	{                                                                                \
		.name = "dir", .letter = 'd', .kind = KF_OPTION_EACH, .value = "DIR",    \
		KF_OPTION_AT(type, member),                                              \
		.help = "take profiles of DIR before the built-in ones; may be repeated" \
	}

/* The last one only where a command says so. */
enum kf_output { KF_OUTPUT_TEXT, KF_OUTPUT_JSON, KF_OUTPUT_OCSF };

#endif
