/* SPDX-License-Identifier: Apache-2.0 */
/* CRI-O's configuration files as it reads them: crio.conf, then every file of crio.conf.d.  The
 * output of "crio config" is not enough: it leaves out some keys of a handler. */
#ifndef KF_NODE_CRIO_FILES_H
#define KF_NODE_CRIO_FILES_H

#include "node/node.h"

/* One file, or CRI-O's built-in configuration. */
struct kf_crio_file {
	char *path;
	char *text;
	size_t n;
	struct kf_toml toml;
	bool parsed;
};

struct kf_crio_files {
	struct kf_crio_file *v;
	size_t n;
	struct kf_crio_file builtin; /* .text is NULL until it was needed */
};

/* The output of "@program config", in @arena: values that differ from the built-in defaults as
 * TOML, the defaults as comments; with @builtin only the defaults, as TOML. */
int kf_crio_says(const struct kf_node *node, const char *program, bool builtin,
		 struct kf_arena *arena, const char **ret, size_t *ret_n, struct kf_err *err);

/* Paths of all files that CRI-O reads below directory @dir, hidden files and subdirectories
 * included, in its order: the names of each directory sorted.  None if there is no such directory.
 * NULL-terminated, released with kf_host_list_free(). */
int kf_crio_walk(const struct kf_host *host, const char *dir, char ***ret, struct kf_err *err);
/* Whether CRI-O reads @a, which lies in the same directory or below it, before @b. */
bool kf_crio_before(const char *a, const char *b);

/* Read and parse all files except our own @dropin.  Released with kf_crio_files_done(), also after
 * an error. */
int kf_crio_files_read(const struct kf_node *node, const char *dropin, struct kf_crio_files *ret,
		       struct kf_err *err);
void kf_crio_files_done(struct kf_crio_files *files);

#endif
