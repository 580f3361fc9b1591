/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence logs: what "kubefence denials" has told on this node, for people; and what a line of it
 * says, for "kubectl nono logs". */
#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/print.h"
#include "kube/object.h"
#include "kubefence/commands.h"
#include "kubefence/denials/denials.h"
#include "kubefence/denials/lines.h"
#include "kubefence/options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define PIECE	   65536
/* A line is read as a whole; those of the feed are shorter. */
#define LINE_BYTES (64 * 1024)

struct logs_line {
	struct kf_lines_want want;
	const char *dir;
	unsigned output;
	bool follow;
};

/* Print the whole lines of @text, and keep what is left of the last one. */
static void print_pieces(struct kf_buf *text, const struct kf_lines_want *want)
{
	char *at = text->p, *end;

	while (at && (end = memchr(at, '\n', text->n - (size_t)(at - text->p)))) {
		*end = '\0';
		kf_lines_print(at, want);
		at = end + 1;
	}
	if (at && at != text->p) {
		const size_t left = text->n - (size_t)(at - text->p);

		memmove(text->p, at, left + 1);
		text->n = left;
	}
	if (text->n >= LINE_BYTES || text->failed)
		kf_buf_reset(text);
	(void)fflush(stdout);
}

static int print_file(int fd, struct kf_buf *text, const struct kf_lines_want *want,
		      struct kf_err *err)
{
	char piece[PIECE];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0) {
		kf_buf_add(text, piece, (size_t)n);
		print_pieces(text, want);
	}
	return n < 0 ? kf_fail_sys(err, "read the file of denials") : 0;
}

/* The open file, -1 if there is none yet. */
static int open_log(const char *dir, const char *name, int *ret_fd, struct kf_err *err)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return kf_fail_sys(err, "open '%s'", path);
	*ret_fd = fd;
	return 0;
}

static bool is_other(const char *dir, int fd)
{
	char path[PATH_MAX];
	struct stat now, st;

	(void)snprintf(path, sizeof(path), "%s/" KF_DENIALS_LOG, dir);
	return lstat(path, &now) == 0 &&
	       (fd < 0 ||
		(fstat(fd, &st) == 0 && (st.st_ino != now.st_ino || st.st_dev != now.st_dev)));
}

/* Wait for more, until somebody ends us. */
static int follow_log(const struct logs_line *l, int *fd, struct kf_buf *text, struct kf_err *err)
{
	KF_CLOSE int watch = inotify_init1(IN_CLOEXEC);
	char events[4096];

	if (watch < 0 ||
	    inotify_add_watch(watch, l->dir, IN_MODIFY | IN_CREATE | IN_MOVED_FROM) < 0)
		return kf_fail_sys(err, "watch '%s'", l->dir);
	for (;;) {
		if (*fd >= 0 && print_file(*fd, text, &l->want, err) < 0)
			return -1;
		if (is_other(l->dir, *fd)) {
			if (*fd >= 0)
				(void)close(*fd);
			if (open_log(l->dir, KF_DENIALS_LOG, fd, err) < 0)
				return -1;
			continue;
		}
		if (ferror(stdout))
			return kf_fail(err, EPIPE, "nobody reads any more");
		if (read(watch, events, sizeof(events)) < 0 && errno != EINTR)
			return kf_fail_sys(err, "watch '%s'", l->dir);
	}
}

static int print_logs(const struct logs_line *l, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(2 * LINE_BYTES);
	KF_CLOSE int old = -1, fd = -1;

	/* The newer one first: if it is put aside meanwhile, nothing is missed. */
	if (open_log(l->dir, KF_DENIALS_LOG, &fd, err) < 0 ||
	    open_log(l->dir, KF_DENIALS_OLD, &old, err) < 0)
		return -1;
	if (fd < 0 && old < 0 && !l->follow)
		return kf_fail(
			err, ENOENT,
			"nothing was kept in '%s': does 'kubefence denials' run on this node? "
			"'kubefence doctor' says whether denials can be audited",
			l->dir);
	if ((old >= 0 && print_file(old, &text, &l->want, err) < 0) ||
	    (fd >= 0 && print_file(fd, &text, &l->want, err) < 0))
		return -1;
	return l->follow ? follow_log(l, &fd, &text, err) : 0;
}

static int run_logs(const struct kf_command *self, int argc, char **argv)
{
	struct logs_line l = {.dir = KF_DENIALS_DIR};
	struct kf_arguments arguments;
	struct kf_err err;
	int status;

	if (!kf_command_parse(self, argc, argv, &l, &arguments, &status))
		return status;
	l.want.json = l.output == KF_OUTPUT_JSON;
	l.want.pod = arguments.n ? arguments.v[0] : NULL;
	return print_logs(&l, &err) < 0 ? kf_command_fail("%s", err.msg) : KF_EXIT_OK;
}

const struct kf_command kf_cmd_logs = {
	.name = "logs",
	.summary = "what sandboxes of this node refused",
	.arguments = "[POD]",
	.max = 1,
	.about = "Prints what 'kubefence denials' has told on this node: when, which pod, which\n"
		 "program, what it was not allowed to do, and the part of a profile that would\n"
		 "allow it.",
	.options =
		(const struct kf_option[]){
			{
				.name = "follow",
				.letter = 'f',
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct logs_line, follow),
				.help = "wait for more",
			},
			{
				.name = "namespace",
				.letter = 'n',
				.kind = KF_OPTION_STRING,
				.value = "NAMESPACE",
				KF_OPTION_AT(struct logs_line, want.namespace_),
				.help = "only of pods there",
			},
			{
				.name = "container",
				.letter = 'c',
				.kind = KF_OPTION_STRING,
				.value = "NAME",
				KF_OPTION_AT(struct logs_line, want.container),
				.help = "only of containers of that name",
			},
			{
				.name = "directory",
				.kind = KF_OPTION_PLACE,
				.value = "DIR",
				KF_OPTION_AT(struct logs_line, dir),
				.help = "where 'kubefence denials' keeps them "
					"(default: " KF_DENIALS_DIR ")",
			},
			KF_OPT_OUTPUT(struct logs_line, output),
			{0},
		},
	.run = run_logs,
};
