/* SPDX-License-Identifier: Apache-2.0 */
/* The directories of reviewed volumes: finding, locking and listing them, and the file "info" in
 * each.  What is mounted there is in overlay.c. */
#include "review/place.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A path and a few names. */
#define INFO_MAX 16384
#define HEADER	 "kubefence-review 1\n"

bool kf_review_name_valid(const char *name)
{
	const size_t n = strlen(name);

	return n > 0 && n <= KF_REVIEW_NAME &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789-")];
}

void kf_review_merged(const char *uid, const char *volume, char ret[static PATH_MAX])
{
	(void)snprintf(ret, PATH_MAX, KF_REVIEW_RUN "/%s/%s/merged", uid, volume);
}

static int open_place(const char *path, struct kf_err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? kf_fail_sys(err, "open '%s'", path) : fd;
}

static int lock_place(int fd, const char *path, struct kf_err *err)
{
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return kf_fail_sys(err, "lock '%s'", path);
	return 0;
}

/* Whether @path still is what @fd has open: whoever had the lock before may have removed it. */
static bool still_there(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && lstat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

int kf_review_lock(const char *uid, const char *volume, bool make, int *ret_fd, struct kf_err *err)
{
	char path[PATH_MAX];

	if (!kf_review_name_valid(uid) || !kf_review_name_valid(volume))
		return kf_fail(err, EINVAL, "'%.80s/%.80s': not a pod's UID and a volume's name",
			       uid, volume);
	(void)snprintf(path, sizeof(path), KF_REVIEW_DIR "/%s/%s", uid, volume);
	for (;;) {
		KF_CLOSE int fd = -1;

		if (make && kf_mkdir_parents(path, 0700, err) < 0)
			return -1;
		fd = open_place(path, err);
		if (fd < 0 && make && err->code == ENOENT)
			continue;
		if (fd < 0 || lock_place(fd, path, err) < 0)
			return -1;
		if (!still_there(fd, path))
			continue;
		*ret_fd = kf_steal_fd(&fd);
		return 0;
	}
}

int kf_review_info_write(int dirfd, const struct kf_review_info *info, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(INFO_MAX);

	if (strchr(info->lower, '\n') || strchr(info->namespace_, '\n') || strchr(info->pod, '\n'))
		return kf_fail(err, EINVAL, "the volume's path '%s' has a line break", info->lower);
	kf_buf_addf(&text, HEADER "namespace %s\npod %s\ndevice %llu\ninode %llu\nends %s\n",
		    info->namespace_, info->pod, info->dev, info->ino,
		    info->ends_with_pod ? "with-pod" : "never");
	kf_buf_addf(&text, "lower %s\n", info->lower);
	if (text.failed)
		return kf_fail_nomem(err, KF_REVIEW_INFO);
	return kf_file_replace(dirfd, KF_REVIEW_INFO, text.p, text.n, 0600, err);
}

/* The value of the line "@key VALUE" at *@at, which is moved behind it; NULL if it is another one.
 */
static const char *take_value(char **at, const char *key)
{
	const size_t n = strlen(key);
	char *value = *at + n + 1, *end = strchr(*at, '\n');

	if (!end || strncmp(*at, key, n) != 0 || (*at)[n] != ' ')
		return NULL;
	*end = '\0';
	*at = end + 1;
	return value;
}

static bool parse_info(char *at, struct kf_review_info *info)
{
	const char *device, *inode, *ends;

	if (strncmp(at, HEADER, strlen(HEADER)) != 0)
		return false;
	at += strlen(HEADER);
	info->namespace_ = take_value(&at, "namespace");
	info->pod = take_value(&at, "pod");
	device = take_value(&at, "device");
	inode = take_value(&at, "inode");
	ends = take_value(&at, "ends");
	info->lower = take_value(&at, "lower");
	if (!info->namespace_ || !info->pod || !device || !inode || !ends || !info->lower || *at)
		return false;
	info->dev = strtoull(device, NULL, 10);
	info->ino = strtoull(inode, NULL, 10);
	info->ends_with_pod = strcmp(ends, "with-pod") == 0;
	return true;
}

int kf_review_info_read(int dirfd, const char *uid, const char *volume, struct kf_review_info *ret,
			struct kf_err *err)
{
	struct kf_review_info info = {.uid = uid, .volume = volume};

	if (kf_file_slurp(dirfd, KF_REVIEW_INFO, INFO_MAX, &info.text, NULL, err) < 0)
		return -1;
	if (!parse_info(info.text, &info)) {
		kf_review_info_done(&info);
		return kf_fail(err, EINVAL,
			       KF_REVIEW_DIR
			       "/%s/%s/" KF_REVIEW_INFO
			       " is not understood; save what you need of 'upper' beside it and "
			       "remove the directory",
			       uid, volume);
	}
	*ret = info;
	return 0;
}

void kf_review_info_done(struct kf_review_info *info)
{
	free(info->text);
	*info = (struct kf_review_info){0};
}

static DIR *open_list(const char *path, struct kf_err *err)
{
	DIR *d = opendir(path);

	if (!d)
		kf_err_set_sys(err, "read '%s'", path);
	return d;
}

static int each_volume(const char *uid,
		       int (*found)(void *ctx, const char *uid, const char *volume,
				    struct kf_err *err),
		       void *ctx, struct kf_err *err)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d;
	int r = 0;

	(void)snprintf(path, sizeof(path), KF_REVIEW_DIR "/%s", uid);
	d = open_list(path, err);
	if (!d)
		return err->code == ENOENT ? 0 : -1;
	errno = 0;
	while (r == 0 && (e = readdir(d)))
		if (kf_review_name_valid(e->d_name))
			r = found(ctx, uid, e->d_name, err);
	if (r == 0 && errno && errno != ENOENT)
		r = kf_fail_sys(err, "read '%s'", path);
	(void)closedir(d);
	return r;
}

int kf_review_each(int (*found)(void *ctx, const char *uid, const char *volume, struct kf_err *err),
		   void *ctx, struct kf_err *err)
{
	DIR *d = open_list(KF_REVIEW_DIR, err);
	struct dirent *e;
	int r = 0;

	if (!d)
		return err->code == ENOENT ? 0 : -1;
	while (r == 0 && (errno = 0, e = readdir(d)))
		if (kf_review_name_valid(e->d_name))
			r = each_volume(e->d_name, found, ctx, err);
	if (r == 0 && errno)
		r = kf_fail_sys(err, "read '" KF_REVIEW_DIR "'");
	(void)closedir(d);
	return r;
}
