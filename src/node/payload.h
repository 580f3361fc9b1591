/* SPDX-License-Identifier: Apache-2.0 */
/* The files that we install on a node, and the pods that need them. */
#ifndef KF_NODE_PAYLOAD_H
#define KF_NODE_PAYLOAD_H

#include "node/node.h"

#define KF_PAYLOAD_MAX 48

/* Files of ours on the host. */
struct kf_payload {
	struct kf_payload_file {
		const char *path;
		const char *data; /* in the arena or owned below */
		size_t n;
		mode_t mode;
		bool once; /* not replaced if it exists: the plugin writes it, too */
	} files[KF_PAYLOAD_MAX];
	size_t n;
	char *launcher, *guard, *inner; /* the programs, owned */
	size_t nlauncher, nguard, ninner;
	char *inner_path; /* owned */
};

/* Read the programs of @dir. */
int kf_payload_load(const char *dir, struct kf_payload *ret, struct kf_err *err);
/* Where nono-bwrap belongs if the launcher is @launcher: as "bwrap" in a directory of its own,
 * which comes first in PATH.  @payload's; NULL if out of memory. */
const char *kf_payload_inner_path(struct kf_payload *payload, const char *launcher);
/* List the files that belong on the node for @plan, whose arena it uses. */
int kf_payload_plan(const struct kf_node *node, struct kf_node_plan *plan,
		    struct kf_payload *payload, struct kf_err *err);
/* Whether @file is installed already as it should be. */
int kf_payload_exists(const struct kf_node *node, const struct kf_payload_file *file, bool *ret,
		      struct kf_err *err);
/* Whether only root can write the directory of file @path, and everybody can read it. */
int kf_payload_public(const struct kf_node *node, const char *path, bool *ret, struct kf_err *err);
/* Write the files that are not installed yet, one by one, and report them. */
int kf_payload_write(const struct kf_node *node, const struct kf_payload *payload,
		     bool *ret_changed, struct kf_err *err);
void kf_payload_done(struct kf_payload *payload);

/* The pods that need the guard. */
struct kf_in_use {
	unsigned n;
	char names[180]; /* NAMESPACE/NAME, ..., as many as fit; "" if there are none */
};
/* Find the pods that have a container, maybe exited, that was made through the guard. */
int kf_payload_in_use(const struct kf_node *node, struct kf_in_use *ret, struct kf_err *err);
/* Find the other pods with containers of options->handlers, which the guard does not know. */
int kf_payload_outside(const struct kf_node *node, struct kf_in_use *ret, struct kf_err *err);

#endif
