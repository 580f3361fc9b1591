/* SPDX-License-Identifier: Apache-2.0 */
/* The files that the Go implementation leaves on a node. */
#ifndef KF_NODE_PREDECESSOR_H
#define KF_NODE_PREDECESSOR_H

#include "base/buf.h"
#include "node/payload.h"

/* Files of the owner are never touched: everything is recognised by its exact contents.
 * - Tables appended to containerd's configuration: one for the handler nono-runc without any
 *   option, under a name that newer versions do not read; one for NRI, which keeps containerd 2
 *   from starting if there is another.
 * - Scripts beside the launcher with the names of interpreters, which call it.
 * - The launcher's directory closed to all but root, and its own launcher. */

#define KF_PREDECESSOR_DIR KF_JOURNAL_DIR "/predecessor" /* what uninstall restores */

enum {
	KF_PREDECESSOR_HANDLER = 1, /* the table of the handler */
	KF_PREDECESSOR_NRI = 2,	    /* that of NRI */
};
/* Append the @n bytes of containerd configuration at @text to @out without the predecessor's tables
 * that @which names.  Returns the tables that were found. */
unsigned kf_predecessor_strip(const char *text, size_t n, unsigned which, struct kf_buf *out);

/* Before an installation, under its lock: remove the NRI table that keeps containerd from starting,
 * and the scripts, unless pods still use them.  *ret_changed is only ever set. */
int kf_predecessor_clean(const struct kf_node *node, bool *ret_changed, struct kf_err *err);
/* Before the launcher is written at @path: keep mode and owner of its directory, and a launcher
 * that is not ours. */
int kf_predecessor_keep(const struct kf_node *node, const char *path, struct kf_err *err);
/* At the end of an uninstallation: restore directory, launcher and scripts. */
int kf_predecessor_restore(const struct kf_node *node, struct kf_err *err);

/* For people: the first trace of the predecessor that is found, as a sentence in @ret; false if
 * there is none.  *ret_runs: its plugin runs. */
bool kf_predecessor_find(const struct kf_node *node, char ret[static 256], bool *ret_runs);

#endif
