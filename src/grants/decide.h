/* SPDX-License-Identifier: Apache-2.0 */
/* Which rule of a policy decides about a path: one answer for the launcher, whose walk over the
 * rules it is, for who asks in a container, and for who asks about an image. */
#ifndef KF_GRANTS_DECIDE_H
#define KF_GRANTS_DECIDE_H

#include "grants/grants.h"

/* What may be asked for: one of KF_FS_*, or KF_LANDLOCK_CONNECT, connecting to the unix socket
 * that lies there. */
#define KF_DECIDE_NAMES "read, write, exec, connect"
/* false if @word is none of them. */
bool kf_decide_parse(const char *word, unsigned *ret);

enum kf_decided {
	KF_DECIDED_NOTHING,  /* no rule grants it */
	KF_DECIDED_DENY,     /* a denial takes it away */
	KF_DECIDED_READONLY, /* "fs readonly" keeps it from being written */
	KF_DECIDED_GRANT,
	KF_DECIDED_LIST,   /* it is a directory; those can be listed, their files not read */
	KF_DECIDED_SOCKET, /* nothing grants it, and nothing stops it on such a kernel */
};

struct kf_verdict {
	struct kf_grant_sink sink; /* hears of every grant; the owner's may be called through */
	const struct kf_scene *scene;
	unsigned access;     /* what is asked for */
	int abi;	     /* Landlock's, of the kernel that is asked about */
	char path[PATH_MAX]; /* asked about, symlinks resolved as far as it exists */
	struct stat st;	     /* of it, if it exists */
	bool exists;

	/* The answer. */
	enum kf_decided how;
	bool allowed;
	const struct kf_rule *rule;   /* that decides; NULL: none, or the command line */
	unsigned granted;	      /* KF_FS_* that the deciding grant has */
	char by[PATH_MAX];	      /* where it is */
	unsigned all;		      /* KF_FS_* that all rules grant there */
	bool listed;		      /* and listing, if it is a directory */
	char skipped[PATH_MAX + 128]; /* a rule that would have granted it, and why it does not */

	/* Of the work. */
	const struct kf_rule *lister, *deny;
	bool masked; /* a denial without exceptions covers the path: even its name is hidden */
};

/* First ABI that stops connecting to a unix socket by its path. */
#define KF_DECIDE_ABI_SOCKET 9
/* What there is to say of KF_DECIDED_SOCKET; takes the kernel's ABI and that one. */
#define KF_DECIDE_NOT_STOPPED                                                                    \
	"connecting is not stopped on this kernel (Landlock ABI %d; unix sockets by their path " \
	"are from ABI %d on)"

/* Where @path, relative to @workdir if it is not absolute, leads in @tree: what does not exist is
 * where its nearest existing parent leads, and the rest. */
int kf_decide_place(const struct kf_tree *tree, const char *path, const char *workdir,
		    char out[static PATH_MAX], struct kf_err *err);

/* Decide about d->path, with d's first block set.  @inside: the question is asked from inside the
 * sandbox: that /home cannot be listed there says nothing about what was granted. */
int kf_decide(struct kf_verdict *d, bool inside, struct kf_err *err);

/* As kf_decide()'s own, for an owner who wants to hear of grants as well: d->sink.grant may be
 * replaced by a function that calls this. */
int kf_decide_grant(struct kf_grant_sink *sink, const struct kf_grant *grant, struct kf_err *err);

#endif
