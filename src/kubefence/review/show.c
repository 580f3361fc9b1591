/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence review diff and list: what pods have changed, for people and for programs.  What others
 * execute or obey comes first. */
#include "kubefence/review/review.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "cli/print.h"
#include "kubefence/options.h"
#include "review/internal.h"
#include "review/overlay.h"
#include "text/diff.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PATCH_FILE_MAX (256 * 1024)
#define ESCAPED_MAX    (4 * PATH_MAX) /* \xNN for each byte of a path */

/* What a kind is called for people and for programs. */
static const struct {
	const char *letter, *name;
} kinds[] = {
	[KF_REVIEW_ADDED] = {"A", "added"},	  [KF_REVIEW_CONTENT] = {"M", "modified"},
	[KF_REVIEW_METADATA] = {"m", "metadata"}, [KF_REVIEW_TYPE] = {"T", "type"},
	[KF_REVIEW_REMOVED] = {"D", "removed"},	  [KF_REVIEW_REFUSED] = {"!", "refused"},
};

/* As ls -l writes it. */
static void format_mode(mode_t mode, char ret[static 11])
{
	static const struct {
		mode_t type;
		char letter;
	} types[] = {{S_IFREG, '-'},  {S_IFDIR, 'd'}, {S_IFLNK, 'l'}, {S_IFIFO, 'p'},
		     {S_IFSOCK, 's'}, {S_IFCHR, 'c'}, {S_IFBLK, 'b'}};

	memcpy(ret, "?rwxrwxrwx", 11);
	for (size_t i = 0; i < KF_ARRAY_SIZE(types); i++)
		if ((mode & S_IFMT) == types[i].type)
			ret[0] = types[i].letter;
	for (unsigned i = 0; i < 9; i++)
		if (!(mode & (0400U >> i)))
			ret[1 + i] = '-';
	if (mode & S_ISUID)
		ret[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		ret[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		ret[9] = mode & S_IXOTH ? 't' : 'T';
}

static void show_line(const struct kf_review_change *c, struct kf_buf *out)
{
	const bool gone = c->kind == KF_REVIEW_REMOVED;
	char mode[11];

	format_mode(gone ? c->old_mode : c->mode, mode);
	kf_buf_addf(out, "%s %s %u:%u %llu ", kinds[c->kind].letter, mode,
		    gone ? c->old_uid : c->uid, gone ? c->old_gid : c->gid, c->size);
	kf_buf_add_escaped(out, c->path);
	if (S_ISDIR(gone ? c->old_mode : c->mode))
		kf_buf_adds(out, "/");
	if (c->why)
		kf_buf_addf(out, "  (never committed: %s)", c->why);
	else if (c->privilege)
		kf_buf_adds(out, "  (set-ID bits and capabilities are left out)");
	kf_buf_adds(out, "\n");
}

/* The text of a file, if it is one and short. */
static bool read_text(int root, const char *path, char **ret, size_t *ret_n)
{
	const char *name;
	struct stat st;
	KF_CLOSE int dir = kf_review_open_parent(root, path, O_RDONLY, &name);
	KF_CLOSE int fd = dir < 0 ? -1 : kf_review_open_file(dir, name, &st, KF_ERR_IGNORED);

	return fd >= 0 && kf_fd_slurp(fd, path, PATCH_FILE_MAX, ret, ret_n, KF_ERR_IGNORED) == 0 &&
	       !memchr(*ret, '\0', *ret_n);
}

static void show_patch(const struct review_session *s, const struct kf_review_change *c,
		       struct kf_buf *out)
{
	KF_FREE char *old = NULL, *new = NULL;
	size_t nold = 0, nnew = 0;
	const bool existed = c->kind != KF_REVIEW_ADDED;
	struct kf_buf name = KF_BUF_INIT(ESCAPED_MAX);

	if (!S_ISREG(c->mode) || (c->kind != KF_REVIEW_ADDED && c->kind != KF_REVIEW_CONTENT) ||
	    !read_text(s->upper, c->path, &new, &nnew) ||
	    (existed && !read_text(s->lower, c->path, &old, &nold)))
		return;
	kf_buf_add_escaped(&name, c->path);
	if (!name.failed)
		kf_diff_unified(name.p, existed, old ? old : "", nold, new, nnew, out);
	kf_buf_done(&name);
}

static void show_text(const struct review_line *line, const struct review_session *s,
		      const struct kf_review_changes *changes, struct kf_buf *out)
{
	kf_buf_adds(out, "pod ");
	review_add_pod(s, out);
	kf_buf_addf(out, ", volume %s, %zu changes%s\n", s->volume, changes->n,
		    s->mounted ? "; its containers may go on changing it" : "");
	for (int control = 1; control >= 0; control--) {
		bool first = true;

		for (size_t i = 0; i < changes->n; i++) {
			if (changes->v[i].control != control)
				continue;
			if (control && first)
				kf_buf_adds(out, "others execute or obey these files:\n");
			first = false;
			show_line(&changes->v[i], out);
			if (line->patch)
				show_patch(s, &changes->v[i], out);
		}
		if (control && !first && changes->n)
			kf_buf_adds(out, "all else:\n");
	}
	if (changes->n)
		kf_buf_addf(out, "sum %s\n", changes->sum);
}

static void add_string(struct kf_buf *out, const char *key, const char *value)
{
	kf_buf_addf(out, "\"%s\": \"", key);
	kf_buf_add_json(out, value);
	kf_buf_adds(out, "\"");
}

static void show_json(const struct review_session *s, const struct kf_review_changes *changes,
		      struct kf_buf *out)
{
	kf_buf_adds(out, "{");
	add_string(out, "namespace", s->info.namespace_);
	kf_buf_adds(out, ", ");
	add_string(out, "pod", s->info.pod);
	kf_buf_addf(out,
		    ", \"uid\": \"%s\", \"volume\": \"%s\", \"running\": %s, \"sum\": \"%s\", "
		    "\"changes\": [",
		    s->uid, s->volume, s->mounted ? "true" : "false", changes->sum);
	for (size_t i = 0; i < changes->n; i++) {
		const struct kf_review_change *c = &changes->v[i];

		kf_buf_adds(out, i ? ",\n {" : "\n {");
		add_string(out, "path", c->path);
		kf_buf_addf(out,
			    ", \"kind\": \"%s\", \"control\": %s, \"privilege\": %s, \"mode\": %u, "
			    "\"oldMode\": %u, \"uid\": %u, \"gid\": %u, \"size\": %llu",
			    kinds[c->kind].name, c->control ? "true" : "false",
			    c->privilege ? "true" : "false", c->mode, c->old_mode, c->uid, c->gid,
			    c->size);
		if (c->why) {
			kf_buf_adds(out, ", ");
			add_string(out, "why", c->why);
		}
		kf_buf_adds(out, "}");
	}
	kf_buf_adds(out, "]}\n");
}

void review_show(const struct review_line *line, const struct review_session *session,
		 const struct kf_review_changes *changes, struct kf_buf *out)
{
	if (line->output == KF_OUTPUT_JSON)
		show_json(session, changes, out);
	else
		show_text(line, session, changes, out);
}

static int act_diff(struct review_line *line)
{
	struct kf_buf out = KF_BUF_INIT(KF_REVIEW_TEXT_MAX);
	struct kf_review_changes changes = {0};
	struct review_session s;
	struct kf_err err;

	if (review_session_open(line, true, &s, &err) < 0)
		return kf_command_fail("%s", err.msg);
	if (kf_review_scan(&s.sides, &changes, &err) < 0) {
		review_session_close(&s);
		return kf_command_fail("%s", err.msg);
	}
	review_show(line, &s, &changes, &out);
	kf_review_changes_done(&changes);
	review_session_close(&s);
	return kf_command_print(&out, KF_EXIT_OK);
}

static int run_diff(const struct kf_command *self, int argc, char **argv)
{
	return review_run(self, argc, argv, act_diff);
}

const struct kf_command kf_cmd_review_diff = {
	.name = "diff",
	.summary = "what a pod has changed",
	.arguments = "POD",
	.min = 1,
	.max = 1,
	.about = "Lists what the pod NAMESPACE/NAME, or of that UID, has changed in a volume that\n"
		 "is reviewed: A added, M modified, m mode, owner or times, T another type,\n"
		 "D removed, ! never committed.  Files that others execute or obey come first.\n"
		 "The sum at the end, given to 'commit --expect', commits exactly this.",
	.options =
		(const struct kf_option[]){
			REVIEW_OPT_HOST_ROOT,
			REVIEW_OPT_UID,
			REVIEW_OPT_VOLUME,
			REVIEW_OPT_KEEP,
			KF_OPT_OUTPUT(struct review_line, output),
			{
				.name = "patch",
				.letter = 'p',
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct review_line, patch),
				.help = "print what changed in texts, too",
			},
			{0},
		},
	.run = run_diff,
};

/* ---- list ---- */

struct listing {
	const struct review_line *line;
	struct kf_buf out;
	unsigned n;
};

static int list_one(void *ctx, const char *uid, const char *volume, struct kf_err *err)
{
	struct listing *l = ctx;
	KF_CLEANUP(kf_review_info_done) struct kf_review_info info = {0};
	KF_CLOSE int dirfd = -1;
	const bool json = l->line->output == KF_OUTPUT_JSON;
	bool mounted, drop, there;
	struct stat st;

	if (kf_review_lock(uid, volume, false, &dirfd, err) < 0 ||
	    kf_review_info_read(dirfd, uid, volume, &info, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	if (kf_review_mounted(uid, volume, &mounted, NULL, err) < 0)
		return -1;
	drop = faccessat(dirfd, KF_REVIEW_DROP, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	there = stat(info.lower, &st) == 0 && st.st_dev == info.dev && st.st_ino == info.ino;
	kf_buf_adds(&l->out, json ? l->n ? ",\n {" : "\n {" : "");
	l->n++;
	if (json) {
		add_string(&l->out, "namespace", info.namespace_);
		kf_buf_adds(&l->out, ", ");
		add_string(&l->out, "pod", info.pod);
		kf_buf_addf(&l->out,
			    ", \"uid\": \"%s\", \"volume\": \"%s\", \"running\": %s, "
			    "\"there\": %s, \"discard\": %s, ",
			    uid, volume, mounted ? "true" : "false", there ? "true" : "false",
			    drop ? "true" : "false");
		add_string(&l->out, "path", info.lower);
		kf_buf_adds(&l->out, "}");
		return 0;
	}
	kf_buf_add_escaped(&l->out, info.namespace_);
	kf_buf_adds(&l->out, "/");
	kf_buf_add_escaped(&l->out, info.pod);
	kf_buf_addf(&l->out, " %s %s %s%s ", uid, volume,
		    mounted ? "running"
		    : there ? "ended"
			    : "volume-gone",
		    drop ? ",discarded" : "");
	kf_buf_add_escaped(&l->out, info.lower);
	kf_buf_adds(&l->out, "\n");
	return 0;
}

static int act_list(struct review_line *line)
{
	struct listing l = {.line = line, .out = KF_BUF_INIT(KF_REVIEW_TEXT_MAX)};
	struct kf_err err;

	kf_review_collect();
	if (line->output == KF_OUTPUT_JSON)
		kf_buf_adds(&l.out, "[");
	if (kf_review_each(list_one, &l, &err) < 0) {
		kf_buf_done(&l.out);
		return kf_command_fail("%s", err.msg);
	}
	if (line->output == KF_OUTPUT_JSON)
		kf_buf_adds(&l.out, "]\n");
	else if (!l.n)
		kf_buf_adds(&l.out, "no pod's changes wait for review on this node\n");
	return kf_command_print(&l.out, KF_EXIT_OK);
}

static int run_list(const struct kf_command *self, int argc, char **argv)
{
	return review_run(self, argc, argv, act_list);
}

const struct kf_command kf_cmd_review_list = {
	.name = "list",
	.summary = "whose changes this node keeps",
	.about = "Lists the pods whose changes to a volume this node keeps: NAMESPACE/NAME, UID,\n"
		 "volume, whether a container has it (running), none has (ended), or the volume\n"
		 "itself is gone (volume-gone), and where the volume is.",
	.options =
		(const struct kf_option[]){
			REVIEW_OPT_HOST_ROOT,
			KF_OPT_OUTPUT(struct review_line, output),
			{0},
		},
	.run = run_list,
};
