/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_OPTIONS_H
#define KF_NONO_NRI_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

#include <stdbool.h>

/* The command line. */
struct kf_plugin_options {
	const char *config;	 /* configuration file */
	const char *state_dir;	 /* see observe/state.h */
	const char *node_dir;	 /* settings for the guard, and what it wraps; "" = none */
	const char *guard_dir;	 /* the guard's records of its containers; "" = none */
	const char *denials_dir; /* what "kubefence denials" keeps; "" = nowhere */
	const char *listen;	 /* ADDRESS:PORT of health and metrics; "" = none */
	unsigned page;		 /* an enum kf_http_audience: who sees the page there */
	bool json;
	bool ocsf; /* decisions are events on stdout, too */
	enum kf_log_level level;
	bool help, version; /* print that and end */
};

/* @argv's strings are borrowed.  Returns -1 and *err for a wrong command line. */
int kf_plugin_options_parse(int argc, char **argv, struct kf_plugin_options *ret,
			    struct kf_err *err);
/* Append the text of --help. */
void kf_plugin_help(struct kf_buf *out);

#endif
