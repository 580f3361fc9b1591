/* SPDX-License-Identifier: Apache-2.0 */
/* A digest of everything that decides what install would do, so that a run can tell that nothing
 * has changed without asking the runtime. */
#include "node/fingerprint.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "node/containerd_int.h"
#include "node/crio_files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Add the identity of a file without reading it, since programs are large.  Every change of its
 * contents, owner or mode changes its ctime. */
static void add_identity(struct kf_buf *buf, const struct kf_node *node, const char *path)
{
	KF_CLOSE int fd = -1;
	struct stat st;

	if (path && kf_host_fd(&node->host, path, O_PATH, &fd, KF_ERR_IGNORED) == 0 &&
	    fstat(fd, &st) == 0)
		kf_buf_addf(buf, "%s %ju %ju %jd %jd.%09ld %jd.%09ld %o\n", path,
			    (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, (intmax_t)st.st_size,
			    (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
			    (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec, (unsigned)st.st_mode);
	else
		kf_buf_addf(buf, "%s absent\n", path ? path : "program");
}

/* Add mode and owner of the directory of @path, but not its contents. */
static void add_directory(struct kf_buf *buf, const struct kf_node *node, const char *path)
{
	KF_CLOSE int fd = -1;
	KF_FREE char *dir = strndup(path, (size_t)(strrchr(path, '/') - path));
	struct stat st;

	if (!dir)
		buf->failed = true;
	else if (kf_host_fd(&node->host, *dir ? dir : "/", O_PATH, &fd, KF_ERR_IGNORED) == 0 &&
		 fstat(fd, &st) == 0)
		kf_buf_addf(buf, "%s %o %u\n", dir, (unsigned)st.st_mode, (unsigned)st.st_uid);
	else
		kf_buf_addf(buf, "%s absent\n", dir);
}

static int add_contents(struct kf_buf *buf, const struct kf_node *node, const char *path,
			struct kf_err *err)
{
	kf_digest sum;

	if (kf_journal_digest(&node->host, path, sum, err) < 0)
		return -1;
	kf_buf_addf(buf, "%s %s\n", path, sum);
	return 0;
}

static int add_matches(struct kf_buf *buf, const struct kf_node *node, const char *pattern,
		       struct kf_err *err)
{
	char **list;
	int r = 0;

	if (kf_host_glob(&node->host, pattern, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++)
		r = add_contents(buf, node, *p, err);
	kf_host_list_free(list);
	return r;
}

/* Add every file below @dir that CRI-O reads. */
static int add_walk(struct kf_buf *buf, const struct kf_node *node, const char *dir,
		    struct kf_err *err)
{
	char **list;
	int r = 0;

	if (kf_crio_walk(&node->host, dir, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++)
		r = add_contents(buf, node, *p, err);
	kf_host_list_free(list);
	return r;
}

/* The root file and what it imports. */
static int add_config(struct kf_buf *buf, const struct kf_node *node, struct kf_err *err)
{
	KF_CLEANUP(kf_arena_done) struct kf_arena arena;
	struct kf_containerd_facts facts = {0};
	int r;

	kf_arena_init(&arena, KF_LIMIT_CONFIG);
	if (node->distro->kind != KF_RUNTIME_CONTAINERD)
		return add_contents(buf, node, node->distro->config, err);
	r = kf_containerd_read_files(node, &arena, &facts, err);
	for (size_t i = 0; i < facts.nfiles && r == 0; i++)
		r = add_contents(buf, node, facts.files[i].path, err);
	kf_containerd_facts_done(&facts);
	return r;
}

static void add_options(struct kf_buf *buf, const struct kf_node_options *o)
{
	kf_buf_addf(buf, "kubefence %s\n%s\n%s\n%s\n%s\n%s\n%s\n", KF_VERSION,
		    o->distribution ? o->distribution : "", o->launcher, o->default_profile,
		    o->nri_socket, o->nri_plugins, o->nri_config);
	for (size_t i = 0; i < o->nhandlers; i++)
		kf_buf_addf(buf, "handler %s\n", o->handlers[i]);
}

int kf_fingerprint(const struct kf_node *node, const struct kf_payload *payload, kf_digest ret,
		   struct kf_err *err)
{
	const struct kf_distro *d = node->distro;
	struct kf_buf buf = KF_BUF_INIT(KF_LIMIT_CONFIG);
	kf_digest sum;
	int r;

	add_options(&buf, node->options);
	kf_buf_addf(&buf, "runtime %s %s\n%s\n", d->name, d->config,
		    node->elsewhere ? node->elsewhere : "");
	kf_sha256_hex(payload->launcher, payload->nlauncher, sum);
	kf_buf_addf(&buf, "launcher %s\n", sum);
	kf_sha256_hex(payload->inner, payload->ninner, sum);
	kf_buf_addf(&buf, "inner %s\n", sum);
	kf_sha256_hex(payload->guard, payload->nguard, sum);
	kf_buf_addf(&buf, "guard %s\n", sum);
	for (size_t i = 0; i < node->options->nprofiles; i++) {
		const struct kf_node_profile *p = &node->options->profiles[i];

		kf_sha256_hex(p->text, p->n, sum);
		kf_buf_addf(&buf, "profile %s %s\n", p->name, sum);
	}
	add_identity(&buf, node, kf_host_first(&node->host, d->programs));
	r = add_config(&buf, node, err);
	if (r == 0 && d->edit)
		r = add_contents(&buf, node, d->edit, err);
	if (r == 0 && d->dropins && d->kind == KF_RUNTIME_CRIO) {
		r = add_walk(&buf, node, d->dropins, err);
	} else if (r == 0 && d->dropins) {
		KF_FREE char *pattern = NULL;

		if (asprintf(&pattern, "%s/*", d->dropins) < 0) {
			pattern = NULL;
			r = kf_fail_nomem(err, "fingerprint");
		} else {
			r = add_matches(&buf, node, pattern, err);
		}
	}
	for (size_t i = 0; i < node->journal.nfiles && r == 0; i++) {
		add_directory(&buf, node, node->journal.files[i].path);
		/* The plugin may replace the settings. */
		if (strcmp(node->journal.files[i].path, KF_NODE_SETTINGS) == 0 &&
		    kf_host_exists(&node->host, KF_NODE_SETTINGS))
			continue;
		add_identity(&buf, node, node->journal.files[i].path);
	}
	if (r == 0 && buf.failed)
		r = kf_fail_nomem(err, "fingerprint");
	if (r == 0)
		kf_sha256_hex(buf.p, buf.n, ret);
	kf_buf_done(&buf);
	return r;
}
