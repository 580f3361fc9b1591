/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_JOURNAL_H
#define KF_NODE_JOURNAL_H

#include "base/sha256.h"
#include "host/host.h"

#include <stdbool.h>

/* What node set-up did to a host, so that it can be undone after any interruption.  Lines of text
 * with a checksum, replaced atomically:
 *
 *	kubefence-node 1
 *	phase done			or busy: a run did not finish
 *	distribution containerd
 *	place PATH			its data directory or root file, if not the usual one
 *	fingerprint HEX			of everything that the last run looked at
 *	restart pending			written, but the runtime still runs with the old one
 *	config BASE AFTER PATH		digests (or "absent") of the original and of our text
 *	before HEX			digest of the root file beside our drop-in, or of
 *					CRI-O's configuration, without us
 *	undo PREV NEXT PATH		while busy: what the run found and what it writes
 *	made PATH			the topmost directory that was made for a configuration file
 *	handler created|found NAME	a handler that has the guard
 *	vm NAME SHIM CONFIG		a handler of virtual machines that we registered
 *	file HEX PATH			a file that we installed
 *	sum HEX
 *
 * The texts behind BASE, AFTER, PREV and "before" are kept beside it, in files that are named after
 * their digests. */

#define KF_JOURNAL_DIR	    "/opt/kubefence/node"
#define KF_JOURNAL_ABSENT   "absent"
#define KF_JOURNAL_FILES    64
#define KF_JOURNAL_HANDLERS 32
#define KF_JOURNAL_VMS	    4
/* A configuration file and a journal. */
#define KF_JOURNAL_MAX	    (256 * 1024)

typedef char kf_digest[KF_SHA256_HEX + 1]; /* or KF_JOURNAL_ABSENT */

/* A handler whose pods are virtual machines of Kata's: the runtime's program and
 * the configuration that it reads. */
struct kf_journal_vm {
	char name[64];
	char shim[256], config[256];
};

struct kf_journal {
	bool exists;
	bool busy;
	bool pending; /* restart */
	char distribution[32];
	char place[512]; /* "" = the usual one */
	kf_digest fingerprint;
	char config[512]; /* "" = we changed no configuration file of somebody else's */
	kf_digest base, after;
	kf_digest before; /* "" = not known: an older kubefence wrote the journal */
	char undo[512];	  /* "" = nothing to undo */
	kf_digest prev, next;
	char made[512]; /* "" = none */
	struct {
		char name[64];
		bool created;
	} handlers[KF_JOURNAL_HANDLERS];
	size_t nhandlers;
	struct kf_journal_vm vms[KF_JOURNAL_VMS];
	size_t nvms;
	struct {
		char path[256];
		kf_digest sum;
	} files[KF_JOURNAL_FILES];
	size_t nfiles;
};

/* Without a journal ret->exists is false.  A damaged one is an error. */
int kf_journal_read(const struct kf_host *host, struct kf_journal *ret, struct kf_err *err);
int kf_journal_write(const struct kf_host *host, const struct kf_journal *journal,
		     struct kf_err *err);
/* Keep @n bytes at @data under their digest, which goes to @ret. */
int kf_journal_keep(const struct kf_host *host, const void *data, size_t n, kf_digest ret,
		    struct kf_err *err);
/* The text that was kept under @digest, checked against it; the caller's. */
int kf_journal_kept(const struct kf_host *host, const char *digest, char **ret, size_t *ret_n,
		    struct kf_err *err);
/* Remove kept texts that @journal does not name (all of them if @all), and temporary files of
 * writers that were killed. */
int kf_journal_sweep(const struct kf_host *host, const struct kf_journal *journal, bool all,
		     struct kf_err *err);
int kf_journal_remove(const struct kf_host *host, struct kf_err *err);
/* Note that we installed @path with contents of digest @sum. */
int kf_journal_add_file(struct kf_journal *journal, const char *path, const char *sum,
			struct kf_err *err);
/* Digest of the file @path, KF_JOURNAL_ABSENT if there is none. */
int kf_journal_digest(const struct kf_host *host, const char *path, kf_digest ret,
		      struct kf_err *err);

#endif
