/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence review commit and discard.  A commit stops the pod's processes meanwhile; a process of
 * its own does the work, so that they go on whatever becomes of that. */
#include "kubefence/review/review.h"

#include "base/cleanup.h"
#include "cli/print.h"
#include "kubefence/options.h"
#include "review/freeze.h"
#include "review/overlay.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int choose_paths(const struct review_line *line, struct kf_review_changes *changes,
			struct kf_err *err)
{
	if (!line->npaths)
		(void)kf_review_choose(changes, "");
	for (size_t i = 0; i < line->npaths; i++) {
		const char *path = line->paths[i] + strspn(line->paths[i], "/");
		KF_FREE char *clean = strdup(path);
		size_t n = clean ? strlen(clean) : 0;

		while (n && clean[n - 1] == '/')
			clean[--n] = '\0';
		if (!clean)
			return kf_fail_nomem(err, "paths");
		if (!n || !kf_review_choose(changes, clean))
			return kf_fail(
				err, ENOENT,
				"nothing has changed at '%s'; paths are written as 'diff' lists "
				"them, from the root of the volume",
				line->paths[i]);
	}
	return 0;
}

static int check_sum(const struct review_line *line, const struct kf_review_changes *changes,
		     struct kf_err *err)
{
	return !line->expect || strcmp(line->expect, changes->sum) == 0
		       ? 0
		       : kf_fail(err, EBUSY,
				 "the changes are not those with the sum %.80s any more: the pod "
				 "has "
				 "gone on; look at them again (sum %s)",
				 line->expect, changes->sum);
}

/* What is left of what was chosen. */
static size_t report_refused(const struct kf_review_changes *changes)
{
	size_t n = 0;

	for (size_t i = 0; i < changes->n; i++)
		if (changes->v[i].chosen && changes->v[i].kind == KF_REVIEW_REFUSED) {
			n++;
			kf_print_line(stderr, "not committed: '%s' (%s)", changes->v[i].path,
				      changes->v[i].why);
		}
	return n;
}

static int commit_changes(const struct review_line *line, struct review_session *s,
			  struct kf_review_changes *changes, bool *ret_all, struct kf_err *err)
{
	size_t refused, n = 0;

	if (kf_review_scan(&s->sides, changes, err) < 0 || check_sum(line, changes, err) < 0 ||
	    choose_paths(line, changes, err) < 0 || kf_review_apply(&s->sides, changes, err) < 0)
		return -1;
	for (size_t i = 0; i < changes->n; i++)
		n += changes->v[i].chosen;
	refused = report_refused(changes);
	*ret_all = !refused;
	/* Nobody sees the upper side, and nothing that it alone has is in it. */
	if (!s->mounted && !line->npaths && !refused &&
	    (kf_review_store_empty(s->dirfd, s->lower, err) < 0 ||
	     kf_review_settle(s->dirfd, s->uid, s->volume, err) < 0))
		return -1;
	kf_print_line(stdout, "committed %zu changes of %s/%s to volume %s", n - refused,
		      s->info.namespace_, s->info.pod, s->volume);
	return 0;
}

/* The work, in a process of its own; its exit code. */
static int work_on(const struct review_line *line, struct review_session *s)
{
	struct kf_review_changes changes = {0};
	struct kf_err err;
	bool all = false;
	int r = 0;

	if (s->mounted)
		r = kf_review_freeze(s->dirfd, s->uid, s->volume, s->dev, &err);
	if (r == 0)
		r = commit_changes(line, s, &changes, &all, &err);
	kf_review_changes_done(&changes);
	if (r < 0)
		return kf_command_fail("%s", err.msg);
	return all ? KF_EXIT_OK : KF_EXIT_FAILED;
}

static int wait_for(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return kf_command_fail("wait: %s", strerror(errno));
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return kf_command_fail("the commit was killed by signal %d; run it again: it finishes what "
			       "was begun",
			       WTERMSIG(status));
}

static int act_commit(struct review_line *line)
{
	struct review_session s;
	pid_t parent = getpid(), child;
	struct kf_err err;
	int status;

	if (review_session_open(line, true, &s, &err) < 0)
		return kf_command_fail("%s", err.msg);
	(void)fflush(NULL);
	child = fork();
	if (child == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(KF_EXIT_FAILED);
		status = work_on(line, &s);
		(void)fflush(NULL);
		_exit(status);
	}
	status = child < 0 ? kf_command_fail("fork: %s", strerror(errno)) : wait_for(child);
	if (kf_review_thaw(s.dirfd, &err) < 0)
		status = kf_command_fail("the pod's processes are still stopped: %s", err.msg);
	review_session_close(&s);
	return status;
}

static int run_commit(const struct kf_command *self, int argc, char **argv)
{
	return review_run(self, argc, argv, act_commit);
}

const struct kf_command kf_cmd_review_commit = {
	.name = "commit",
	.summary = "put what a pod has changed into its volume",
	.arguments = "POD [PATH...]",
	.min = 1,
	.max = 4096,
	.about = "Writes what the pod has changed to the volume itself: all of it, or what is at\n"
		 "the PATHs (as 'diff' lists them) and below, with the directories it needs.  A\n"
		 "running pod is stopped meanwhile.  Each file is replaced at once; whatever ends\n"
		 "the command in the middle, the same command finishes it.  FIFOs, sockets and\n"
		 "devices are never committed: they are named, and the exit code is 1.",
	.options =
		(const struct kf_option[]){
			REVIEW_OPT_HOST_ROOT,
			REVIEW_OPT_UID,
			REVIEW_OPT_VOLUME,
			REVIEW_OPT_KEEP,
			{
				.name = "expect",
				.kind = KF_OPTION_STRING,
				.value = "SUM",
				KF_OPTION_AT(struct review_line, expect),
				.help = "only if the changes are those that 'diff' gave this sum",
			},
			{0},
		},
	.run = run_commit,
};

/* ---- discard ---- */

static int act_discard(struct review_line *line)
{
	struct review_session s;
	struct kf_err err;
	int r;

	if (review_session_open(line, false, &s, &err) < 0)
		return kf_command_fail("%s", err.msg);
	r = kf_review_drop(s.dirfd, s.uid, s.volume, &err);
	if (r < 0 && err.code != EBUSY) {
		review_session_close(&s);
		return kf_command_fail("%s", err.msg);
	}
	kf_print_line(stdout,
		      r < 0 ? "changes of %s/%s to volume %s are discarded as soon as its "
			      "containers have ended"
			    : "discarded the changes of %s/%s to volume %s",
		      s.info.namespace_, s.info.pod, s.volume);
	review_session_close(&s);
	return KF_EXIT_OK;
}

static int run_discard(const struct kf_command *self, int argc, char **argv)
{
	return review_run(self, argc, argv, act_discard);
}

const struct kf_command kf_cmd_review_discard = {
	.name = "discard",
	.summary = "forget what a pod has changed",
	.arguments = "POD",
	.min = 1,
	.max = 1,
	.about = "Drops what the pod has changed; the volume stays as it is.  While containers of\n"
		 "the pod have the volume they keep their changes, and all of it goes with the\n"
		 "last of them.",
	.options =
		(const struct kf_option[]){
			REVIEW_OPT_HOST_ROOT,
			REVIEW_OPT_UID,
			REVIEW_OPT_VOLUME,
			{0},
		},
	.run = run_discard,
};
