/* SPDX-License-Identifier: Apache-2.0 */
/* The state directory: one small file for each sandboxed container, for people and for "kubefence
 * status".  No decision depends on it. */
#include "observe/state.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/json.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_NAME "metadata.json"
#define TEMP_NAME ".metadata.json"
/* metadata.json: names of Kubernetes, which are at most 253 bytes, and a profile. */
#define TEXT_MAX  (16 * 1024)
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

int kf_state_open(const char *dir, struct kf_state *ret, struct kf_err *err)
{
	KF_CLOSE int fd = -1;

	*ret = (struct kf_state){.dirfd = -1};
	if (kf_mkdir_parents(dir, 0700, err) < 0)
		return kf_fail_wrap(err, "state directory");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return kf_fail_sys(err, "state directory '%s'", dir);
	/* Lock the directory itself, which works on a read-only file system, too. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? kf_fail(err, EBUSY,
					 "another instance is running (it holds the lock on '%s'); "
					 "two would refuse every container",
					 dir)
			       : kf_fail_sys(err, "lock state directory '%s'", dir);
	(void)fchmod(fd, 0700);
	ret->dirfd = kf_steal_fd(&fd);
	return 0;
}

void kf_state_close(struct kf_state *state)
{
	if (state->dirfd >= 0)
		(void)close(state->dirfd);
	state->dirfd = -1;
}

/* Whether @name, which comes from the runtime, stays in the directory. */
static bool name_valid(const char *name)
{
	return name[0] && name[0] != '.' && !strchr(name, '/') && strlen(name) <= NAME_MAX;
}

static void format_entry(struct kf_buf *b, const struct kf_state_entry *e)
{
	time_t seconds = (time_t)e->time;
	char stamp[sizeof("-2147483648-12-31T23:59:60Z")];
	struct tm tm = {0};

	(void)gmtime_r(&seconds, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &tm);
	kf_json_open(b, NULL, '{');
	kf_json_put_string(b, "container_id", e->container_id);
	kf_json_put_string(b, "pod", e->pod);
	kf_json_put_string(b, "namespace", e->namespace_);
	kf_json_put_string(b, "container", e->container);
	kf_json_put_string(b, "profile", e->profile);
	kf_json_put_string(b, "runtime_handler", e->handler);
	kf_json_put_bool(b, "guard", e->guard);
	kf_json_put_string(b, "timestamp", stamp);
	if (e->unsandboxed)
		kf_json_put_string(b, "unsandboxed", e->unsandboxed);
	kf_json_close(b, '}');
	kf_buf_adds(b, "\n");
}

/* All paths lie below the directory, which only root can change: no symlink can be there. */
struct paths {
	char container[2 * NAME_MAX + 2];
	char temp[2 * NAME_MAX + 2 + sizeof(TEMP_NAME)];
	char file[2 * NAME_MAX + 2 + sizeof(FILE_NAME)];
};

static void join_path(const char *dir, const char *name, char *ret)
{
	size_t n = strlen(dir);

	memcpy(ret, dir, n);
	ret[n] = '/';
	memcpy(ret + n + 1, name, strlen(name) + 1);
}

static bool make_paths(const char *pod_uid, const char *container_id, struct paths *ret)
{
	if (!name_valid(pod_uid) || !name_valid(container_id))
		return false;
	join_path(pod_uid, container_id, ret->container);
	join_path(ret->container, TEMP_NAME, ret->temp);
	join_path(ret->container, FILE_NAME, ret->file);
	return true;
}

static int make_directories(int dirfd, const char *pod_uid, const struct paths *paths,
			    struct kf_err *err)
{
	/* For most pods this is their only container, so both directories are missing: make the
	 * pod's first. */
	if ((mkdirat(dirfd, pod_uid, 0700) == 0 || errno == EEXIST) &&
	    (mkdirat(dirfd, paths->container, 0700) == 0 || errno == EEXIST))
		return 0;
	return kf_fail_sys(err, "state directory '%s'", paths->container);
}

/* Replace the file at once: readers see the old or the new text, never a part. */
static int replace_file(int dirfd, const struct paths *paths, const void *data, size_t n,
			struct kf_err *err)
{
	KF_CLOSE int fd = openat(dirfd, paths->temp,
				 O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return kf_fail_sys(err, "create '%s'", paths->temp);
	if (kf_write_all(fd, data, n, err) < 0) {
		(void)unlinkat(dirfd, paths->temp, 0);
		return -1;
	}
	if (renameat(dirfd, paths->temp, dirfd, paths->file) < 0)
		return kf_fail_sys(err, "replace '%s'", paths->file);
	return 0;
}

int kf_state_write(const struct kf_state *state, const struct kf_state_entry *entry,
		   struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(TEXT_MAX);
	struct paths paths;

	if (state->dirfd < 0)
		return kf_fail(err, ENOENT, "there is no state directory");
	if (!make_paths(entry->pod_uid, entry->container_id, &paths))
		return kf_fail(err, EINVAL, "pod UID or container ID is no file name");
	format_entry(&text, entry);
	if (text.failed)
		return kf_fail_nomem(err, FILE_NAME);
	if (make_directories(state->dirfd, entry->pod_uid, &paths, err) < 0)
		return -1;
	return replace_file(state->dirfd, &paths, text.p, text.n, err);
}

bool kf_state_has(const struct kf_state *state, const char *pod_uid, const char *container_id)
{
	struct paths paths;
	struct stat st;

	return state->dirfd >= 0 && make_paths(pod_uid, container_id, &paths) &&
	       fstatat(state->dirfd, paths.file, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Remove only our own files; a directory that holds others stays. */
static void remove_container(int pod, const char *container_id)
{
	KF_CLOSE int fd = openat(pod, container_id, DIR_FLAGS);

	if (fd < 0)
		return;
	(void)unlinkat(fd, FILE_NAME, 0);
	(void)unlinkat(fd, TEMP_NAME, 0);
	(void)unlinkat(pod, container_id, AT_REMOVEDIR);
}

void kf_state_remove(const struct kf_state *state, const char *pod_uid, const char *container_id)
{
	KF_CLOSE int pod = -1;

	if (state->dirfd < 0 || !name_valid(pod_uid) || !name_valid(container_id))
		return;
	pod = openat(state->dirfd, pod_uid, DIR_FLAGS);
	if (pod < 0)
		return;
	remove_container(pod, container_id);
	(void)unlinkat(state->dirfd, pod_uid,
		       AT_REMOVEDIR); /* fails while other containers have entries */
}

struct state_walk {
	bool (*keep)(void *ctx, const char *pod_uid, const char *container_id);
	void *ctx;
	unsigned removed;
	bool failed; /* something could not be read */
};

/* Open a directory.  NULL if it does not exist, or cannot be read, which sets *failed. */
static DIR *open_dir(int at, const char *name, bool *failed)
{
	int fd = openat(at, name, DIR_FLAGS);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	*failed |= !d && errno != ENOENT && errno != ENOTDIR;
	if (fd >= 0 && !d)
		(void)close(fd);
	return d;
}

static struct dirent *next_entry(DIR *d, bool *failed)
{
	struct dirent *e;

	errno = 0;
	e = readdir(d);
	*failed |= !e && errno;
	return e;
}

static void walk_pod(const struct kf_state *state, const char *pod_uid, struct state_walk *w)
{
	DIR *d = open_dir(state->dirfd, pod_uid, &w->failed);
	struct dirent *e;

	if (!d)
		return;
	while ((e = next_entry(d, &w->failed))) {
		if (!name_valid(e->d_name) || w->keep(w->ctx, pod_uid, e->d_name))
			continue;
		remove_container(dirfd(d), e->d_name);
		w->removed++;
	}
	(void)closedir(d);
	(void)unlinkat(state->dirfd, pod_uid, AT_REMOVEDIR);
}

static bool keep_none(void *ctx, const char *pod_uid, const char *container_id)
{
	(void)ctx;
	(void)pod_uid;
	(void)container_id;
	return false;
}

void kf_state_remove_pod(const struct kf_state *state, const char *pod_uid)
{
	struct state_walk w = {.keep = keep_none};

	if (state->dirfd >= 0 && name_valid(pod_uid))
		walk_pod(state, pod_uid, &w);
}

static void walk_all(const struct kf_state *state, struct state_walk *w)
{
	DIR *d = state->dirfd < 0 ? NULL : open_dir(state->dirfd, ".", &w->failed);
	struct dirent *e;

	if (!d)
		return;
	while ((e = next_entry(d, &w->failed)))
		if (name_valid(e->d_name))
			walk_pod(state, e->d_name, w);
	(void)closedir(d);
}

unsigned kf_state_reconcile(const struct kf_state *state,
			    bool (*keep)(void *ctx, const char *pod_uid, const char *container_id),
			    void *ctx)
{
	struct state_walk w = {.keep = keep, .ctx = ctx};

	walk_all(state, &w);
	return w.removed;
}

void kf_state_begin(const struct kf_state *state, struct kf_state_cursor *ret)
{
	*ret = (struct kf_state_cursor){.state = state};
	if (state->dirfd >= 0)
		ret->pods = open_dir(state->dirfd, ".", &ret->failed);
}

/* The entry's text if it is a whole one: what is replaced in one step is never half. */
static char *read_entry(struct kf_state_cursor *c, const char *container_id)
{
	KF_FREE char *text = NULL;
	struct paths paths;
	struct kf_err err;
	size_t n;

	if (!make_paths(c->uid, container_id, &paths))
		return NULL;
	if (kf_file_slurp(c->state->dirfd, paths.file, TEXT_MAX, &text, &n, &err) < 0) {
		c->failed |= err.code != ENOENT && err.code != ENOTDIR;
		return NULL;
	}
	if (n < 3 || text[0] != '{' || memcmp(text + n - 2, "}\n", 2) != 0 ||
	    memchr(text, '\n', n - 1) || strlen(text) != n) {
		c->failed = true;
		return NULL;
	}
	text[n - 1] = '\0';
	return KF_STEAL(text);
}

bool kf_state_next(struct kf_state_cursor *cursor, char **ret_text)
{
	struct dirent *e;

	*ret_text = NULL;
	if (cursor->pod) {
		e = next_entry(cursor->pod, &cursor->failed);
		if (e && name_valid(e->d_name))
			*ret_text = read_entry(cursor, e->d_name);
		if (!e) {
			(void)closedir(cursor->pod);
			cursor->pod = NULL;
		}
		return true;
	}
	e = cursor->pods ? next_entry(cursor->pods, &cursor->failed) : NULL;
	if (!e)
		return false;
	if (name_valid(e->d_name)) {
		(void)snprintf(cursor->uid, sizeof(cursor->uid), "%s", e->d_name);
		cursor->pod = open_dir(cursor->state->dirfd, cursor->uid, &cursor->failed);
	}
	return true;
}

void kf_state_end(struct kf_state_cursor *cursor)
{
	if (cursor->pod)
		(void)closedir(cursor->pod);
	if (cursor->pods)
		(void)closedir(cursor->pods);
	*cursor = (struct kf_state_cursor){0};
}

struct profile_search {
	const struct kf_state *state;
	char member[NAME_MAX + 16]; /* as it is written in the file */
	bool found;
};

/* An entry that cannot be read counts as one that uses the profile. */
static bool search_one(void *ctx, const char *pod_uid, const char *container_id)
{
	struct profile_search *s = ctx;
	KF_FREE char *text = NULL;
	struct paths paths;
	struct kf_err err;

	if (s->found || !make_paths(pod_uid, container_id, &paths))
		return true;
	if (kf_file_slurp(s->state->dirfd, paths.file, TEXT_MAX, &text, NULL, &err) == 0)
		s->found = strstr(text, s->member) != NULL;
	else
		s->found = err.code != ENOENT && err.code != ENOTDIR;
	return true; /* keep every entry */
}

bool kf_state_uses_profile(const struct kf_state *state, const char *profile)
{
	struct profile_search s = {.state = state};
	struct state_walk w = {.keep = search_one, .ctx = &s};

	if (state->dirfd < 0)
		return true;
	(void)snprintf(s.member, sizeof(s.member), "\"profile\":\"%s\"", profile);
	walk_all(state, &w);
	return s.found || w.failed;
}

KF_CALLS(kf_state_calls, KF_CALL(openat), KF_CALL(mkdirat), KF_CALL(renameat), KF_CALL(unlinkat),
	 KF_CALL(getdents64));
