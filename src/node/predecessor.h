/* SPDX-License-Identifier: Apache-2.0 */
/* What the Go implementation leaves on a node. */
#ifndef KF_NODE_PREDECESSOR_H
#define KF_NODE_PREDECESSOR_H

#include "base/buf.h"
#include "node/payload.h"

/* Nothing of the owner's is touched: all is recognised by what it says, to the byte.
 *  - Tables appended to containerd's configuration: one for the handler nono-runc without any
 *    option, under a name that newer versions do not read; one for NRI, which keeps
 *    containerd 2 from starting if there is another.
 *  - Scripts beside the launcher with the names of interpreters, which call it.
 *  - The launcher's directory closed to all but root, and its own launcher. */

#define KF_PREDECESSOR_DIR KF_JOURNAL_DIR "/predecessor" /* what uninstall puts back */

enum {
	KF_PREDECESSOR_HANDLER = 1, /* the table of the handler */
	KF_PREDECESSOR_NRI = 2,	    /* that of NRI */
};
/* Append @n bytes of containerd configuration at @text to @out, less the predecessor's tables
 * that @which names.  Returns those that were found. */
unsigned kf_predecessor_strip(const char *text, size_t n, unsigned which, struct kf_buf *out);

/* Before an installation, under its lock: take out the NRI table that keeps containerd from
 * starting, and the scripts, unless pods from before still use them.  *ret_changed is only ever
 * set. */
int kf_predecessor_clean(const struct kf_node *node, bool *ret_changed, struct kf_err *err);
/* Before the launcher is written at @path: note how its directory is, and a launcher that is
 * not ours. */
int kf_predecessor_keep(const struct kf_node *node, const char *path, struct kf_err *err);
/* At the end of an uninstallation: directory, launcher and scripts as they were. */
int kf_predecessor_restore(const struct kf_node *node, struct kf_err *err);

/* For people: the first thing of the predecessor's that is still there, as a sentence in @ret;
 * false if there is none.  *ret_runs: it is its plugin, at work. */
bool kf_predecessor_find(const struct kf_node *node, char ret[static 256], bool *ret_runs);

#endif
