/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_OPTIONS_H
#define KF_NONO_OPTIONS_H

#include "base/err.h"
#include "flat/flat.h"
#include "grants/grants.h"

#include <stdbool.h>
#include <stddef.h>

#define KF_NONO_GRANTS_MAX 64
#define KF_NONO_PORTS_MAX  32

struct kf_nono_options {
	const char *profile; /* wrap: "default" if none is given; why: NULL then */
	int policy_fd;	     /* -1 if none */
	int report_fd;	     /* where a start that fails is told; -1: stderr */
	const char *workdir; /* NULL = stay */
	bool dry_run, block_net, help, json;
	unsigned verbose;
	struct kf_option_grant *grants; /* from malloc(), NULL if there are none */
	size_t ngrants;
	struct kf_rule ports[KF_NONO_PORTS_MAX]; /* as a policy would say it, line 0 */
	size_t nports;
	const char *path, *op; /* why */
	char **command;	       /* the rest; *command is NULL if there is none */
};

/* Which commands take an option. */
enum { KF_NONO_WRAP = 1, KF_NONO_WHY = 2 };

/* Parse @argv after the command's name.  Options end at "--" or at the first
 * argument that is none.  -1 and *err for a usage error. */
int kf_nono_options_parse(unsigned command, char **argv, struct kf_nono_options *ret,
			  struct kf_err *err);

/* Make @policy say what the command line does about the network. */
int kf_nono_options_network(const struct kf_nono_options *options, struct kf_policy *policy,
			    struct kf_err *err);

/* Decimal descriptor number; false, *ret untouched, if @s is none. */
bool kf_nono_parse_fd(const char *s, int *ret);

#endif
