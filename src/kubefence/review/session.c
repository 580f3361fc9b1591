/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the reviewed volume that a command line means, and opening both of its sides. */
#include "kubefence/review/review.h"

#include "base/cleanup.h"
#include "kubefence/options.h"
#include "review/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOUND_MAX 512

struct review_search {
	const struct review_line *line;
	char uid[KF_REVIEW_NAME + 1], volume[KF_REVIEW_NAME + 1];
	unsigned n;
	char names[FOUND_MAX]; /* of all that fit */
};

static bool is_meant(const struct review_line *line, const struct kf_review_info *info)
{
	const char *slash = strchr(line->pod, '/');

	if ((line->volume && strcmp(line->volume, info->volume) != 0) ||
	    (line->uid && strcmp(line->uid, info->uid) != 0))
		return false;
	if (!slash)
		return strcmp(line->pod, info->uid) == 0;
	return strlen(info->namespace_) == (size_t)(slash - line->pod) &&
	       strncmp(line->pod, info->namespace_, (size_t)(slash - line->pod)) == 0 &&
	       strcmp(slash + 1, info->pod) == 0;
}

static int look_at(void *ctx, const char *uid, const char *volume, struct kf_err *err)
{
	struct review_search *search = ctx;
	KF_CLEANUP(kf_review_info_done) struct kf_review_info info = {0};
	KF_CLOSE int dirfd = -1;
	char path[PATH_MAX];

	/* Without its lock, which a commit holds. */
	(void)snprintf(path, sizeof(path), KF_REVIEW_DIR "/%s/%s", uid, volume);
	dirfd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dirfd < 0 || kf_review_info_read(dirfd, uid, volume, &info, err) < 0)
		return dirfd < 0 || err->code == ENOENT ? 0 : -1;
	if (!is_meant(search->line, &info))
		return 0;
	(void)snprintf(search->uid, sizeof(search->uid), "%s", uid);
	(void)snprintf(search->volume, sizeof(search->volume), "%s", volume);
	(void)snprintf(search->names + strlen(search->names),
		       sizeof(search->names) - strlen(search->names), "%s%s --volume %s",
		       search->n++ ? ", " : "", uid, volume);
	return 0;
}

int review_find(const struct review_line *line, char ret_uid[static KF_REVIEW_NAME + 1],
		char ret_volume[static KF_REVIEW_NAME + 1], struct kf_err *err)
{
	struct review_search search = {.line = line};

	if (kf_review_each(look_at, &search, err) < 0)
		return -1;
	if (!search.n)
		return kf_fail(
			err, ENOENT,
			"no changes of pod '%s'%s%s are on this node; 'kubefence review list' "
			"shows what there is",
			line->pod, line->volume ? " to volume " : "",
			line->volume ? line->volume : "");
	if (search.n > 1)
		return kf_fail(err, EINVAL, "'%s' may mean %u of them; say which: %s", line->pod,
			       search.n, search.names);
	memcpy(ret_uid, search.uid, sizeof(search.uid));
	memcpy(ret_volume, search.volume, sizeof(search.volume));
	return 0;
}

/* The volume alone, without what else is mounted in it, as the overlay sees it. */
static int open_volume(struct review_session *s, struct kf_err *err)
{
	struct stat st;

	s->lower = (int)syscall(SYS_open_tree, AT_FDCWD, s->info.lower,
				OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (s->lower < 0 && errno != ENOENT)
		return kf_fail_sys(err, "open the volume '%s'", s->info.lower);
	if (s->lower < 0 || fstat(s->lower, &st) < 0 || st.st_dev != s->info.dev ||
	    st.st_ino != s->info.ino)
		return kf_fail(err, ENOENT,
			       "the volume is not at '%s' any more: the kubelet has unmounted or "
			       "removed it with the pod; its changes can only be discarded",
			       s->info.lower);
	return 0;
}

static int open_sides(struct review_session *s, struct kf_err *err)
{
	char sum[KF_SHA256_HEX + 1], key[2 * KF_REVIEW_NAME + 2];

	(void)snprintf(key, sizeof(key), "%s/%s", s->uid, s->volume);
	kf_sha256_hex(key, strlen(key), sum);
	(void)snprintf(s->reserved, sizeof(s->reserved), ".kubefence-commit-%.16s", sum);
	if (open_volume(s, err) < 0)
		return -1;
	s->upper =
		openat(s->dirfd, KF_REVIEW_UPPER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (s->upper < 0)
		return errno == ENOENT ? kf_fail(err, ENOENT,
						 "the changes are gone: they were kept in memory, "
						 "and the node "
						 "was restarted")
				       : kf_fail_sys(err, "open '" KF_REVIEW_UPPER "'");
	s->sides.upper = s->upper;
	s->sides.lower = s->lower;
	s->sides.reserved = s->reserved;
	return 0;
}

int review_session_open(const struct review_line *line, bool lower, struct review_session *ret,
			struct kf_err *err)
{
	struct review_session *s = ret;

	*s = (struct review_session){.dirfd = -1, .upper = -1, .lower = -1};
	s->sides.keep_privilege = line->keep_privilege;
	if (review_find(line, s->uid, s->volume, err) < 0 ||
	    kf_review_lock(s->uid, s->volume, false, &s->dirfd, err) < 0 ||
	    kf_review_thaw(s->dirfd, err) < 0 ||
	    kf_review_info_read(s->dirfd, s->uid, s->volume, &s->info, err) < 0 ||
	    kf_review_mounted(s->uid, s->volume, &s->mounted, &s->dev, err) < 0 ||
	    (lower && open_sides(s, err) < 0)) {
		review_session_close(s);
		return -1;
	}
	return 0;
}

void review_session_close(struct review_session *session)
{
	const int fds[] = {session->upper, session->lower, session->dirfd};

	for (size_t i = 0; i < KF_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	session->upper = session->lower = session->dirfd = -1;
	kf_review_info_done(&session->info);
}

void review_add_pod(const struct review_session *session, struct kf_buf *out)
{
	kf_buf_add_escaped(out, session->info.namespace_);
	kf_buf_adds(out, "/");
	kf_buf_add_escaped(out, session->info.pod);
	kf_buf_addf(out, " (%s)", session->uid);
}

int review_run(const struct kf_command *self, int argc, char **argv,
	       int (*act)(struct review_line *line))
{
	struct review_line line = {0};
	struct kf_arguments arguments;
	int status;

	if (!kf_command_parse(self, argc, argv, &line, &arguments, &status))
		return status;
	if (geteuid() != 0)
		return kf_command_fail("only root can see what pods have changed");
	if (line.host_root && strcmp(line.host_root, "/") != 0 &&
	    (chroot(line.host_root) < 0 || chdir("/") < 0))
		return kf_command_fail("enter '%s': %s", line.host_root, strerror(errno));
	if (arguments.n > 0) {
		line.pod = arguments.v[0];
		line.paths = (const char *const *)arguments.v + 1;
		line.npaths = (size_t)arguments.n - 1;
	}
	return act(&line);
}
