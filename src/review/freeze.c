/* SPDX-License-Identifier: Apache-2.0 */
/* Stops a pod's processes by its cgroups, which are found by their names: the kubelet puts the
 * pod's UID into them, and runtimes the container's ID. */
#include "review/freeze.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "review/place.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#define RECORDS	    "/run/kubefence/guard"
#define RECORD_MAX  65536
#define NAMES_MAX   64
#define CGROUPS_MAX 256
/* Paths of all cgroups of a node: of 10,000 that are 100 bytes long. */
#define DIRS_MAX    (1024 * 1024)
#define SECONDS	    10

/* The freezer of either version of cgroups. */
static const struct freezer {
	const char *root, *file; /* the file is in each cgroup */
	const char *freeze, *thaw;
	const char *state, *frozen; /* the file that says so, and the line */
} freezers[] = {
	{"/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED", "freezer.state",
	 "FROZEN\n"},
	{"/sys/fs/cgroup", "cgroup.freeze", "1", "0", "cgroup.events", "frozen 1\n"},
	{"/sys/fs/cgroup/unified", "cgroup.freeze", "1", "0", "cgroup.events", "frozen 1\n"},
};

struct freezing {
	const char *names[NAMES_MAX]; /* a cgroup whose name has one of them is the pod's */
	size_t nnames;
	char *owned[NAMES_MAX];
	size_t nowned;
	char *cgroups[CGROUPS_MAX]; /* directories */
	const struct freezer *kinds[CGROUPS_MAX];
	size_t n;
	struct kf_err *err;
};

static void free_freezing(struct freezing *f)
{
	for (size_t i = 0; i < f->nowned; i++)
		free(f->owned[i]);
	for (size_t i = 0; i < f->n; i++)
		free(f->cgroups[i]);
}

static int own_name(struct freezing *f, char *name)
{
	if (!name || f->nowned == NAMES_MAX || f->nnames == NAMES_MAX) {
		free(name);
		return kf_fail(f->err, E2BIG, "more than %d containers have the volume", NAMES_MAX);
	}
	f->owned[f->nowned++] = name;
	f->names[f->nnames++] = name;
	return 0;
}

/* The ID in the guard's record of a container. */
static int add_container(struct freezing *f, const char *record)
{
	static const char key[] = "\nid ";
	char path[PATH_MAX];
	KF_FREE char *text = NULL;
	char *id;

	(void)snprintf(path, sizeof(path), RECORDS "/%s", record);
	if (kf_file_slurp(AT_FDCWD, path, RECORD_MAX, &text, NULL, f->err) < 0)
		/* It was created a moment ago and waits for this, or it is gone. */
		return f->err->code == ENOENT ? 0 : -1;
	id = strstr(text, key);
	return id ? own_name(f, strndup(id + strlen(key), strcspn(id + strlen(key), "\n"))) : 0;
}

static int find_names(struct freezing *f, const char *uid, const char *volume)
{
	char path[PATH_MAX], *systemd = strdup(uid);
	struct dirent *e;
	DIR *d;
	int r = 0;

	for (char *c = systemd; c && *c; c++)
		*c = *c == '-' ? '_' : *c;
	f->names[f->nnames++] = uid;
	if (own_name(f, systemd) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), KF_REVIEW_RUN "/%s/%s/users", uid, volume);
	d = opendir(path);
	if (!d)
		return errno == ENOENT ? 0 : kf_fail_sys(f->err, "read '%s'", path);
	while (r == 0 && (e = readdir(d)))
		if (e->d_name[0] != '.')
			r = add_container(f, e->d_name);
	(void)closedir(d);
	return r;
}

static bool is_named(const struct freezing *f, const char *text)
{
	for (size_t i = 0; i < f->nnames; i++)
		if (strstr(text, f->names[i]))
			return true;
	return false;
}

static int add_cgroup(struct freezing *f, const char *path, const struct freezer *kind)
{
	if (f->n == CGROUPS_MAX)
		return kf_fail(f->err, E2BIG, "more than %d cgroups of one pod", CGROUPS_MAX);
	f->cgroups[f->n] = strdup(path);
	if (!f->cgroups[f->n])
		return kf_fail_nomem(f->err, "cgroups");
	f->kinds[f->n++] = kind;
	return 0;
}

/* Look through the cgroup @path; directories to be looked through are added to @todo, each with a
 * NUL. */
static int look_into(struct freezing *f, const struct freezer *kind, const char *path,
		     struct kf_buf *todo)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : kf_fail_sys(f->err, "read '%s'", path);
	while (r == 0 && (e = readdir(d))) {
		char sub[PATH_MAX];

		if (e->d_type != DT_DIR || e->d_name[0] == '.' ||
		    snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name) >= (int)sizeof(sub))
			continue;
		if (is_named(f, e->d_name))
			r = add_cgroup(f, sub, kind);
		else
			kf_buf_add(todo, sub, strlen(sub) + 1);
	}
	(void)closedir(d);
	return r == 0 && todo->failed ? kf_fail_nomem(f->err, "cgroups") : r;
}

static int find_cgroups(struct freezing *f, const struct freezer *kind)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf todo = KF_BUF_INIT(DIRS_MAX);
	char path[PATH_MAX];
	size_t at = 0;

	kf_buf_add(&todo, kind->root, strlen(kind->root) + 1);
	while (at < todo.n) {
		(void)snprintf(path, sizeof(path), "%s", todo.p + at);
		at += strlen(path) + 1;
		if (look_into(f, kind, path, &todo) < 0)
			return -1;
	}
	return 0;
}

/* The version that this machine's runtimes use: a hybrid one has both. */
static const struct freezer *find_freezer(void)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(freezers); i++) {
		char path[PATH_MAX];
		struct stat st;

		(void)snprintf(path, sizeof(path), "%s/cgroup.procs", freezers[i].root);
		if (stat(path, &st) == 0)
			return &freezers[i];
	}
	return NULL;
}

/* How they go on, before they are stopped. */
static int note_cgroups(struct freezing *f, int dirfd)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(DIRS_MAX);

	for (size_t i = 0; i < f->n; i++)
		kf_buf_addf(&text, "%s %s/%s\n", f->kinds[i]->thaw, f->cgroups[i],
			    f->kinds[i]->file);
	if (text.failed)
		return kf_fail_nomem(f->err, "cgroups");
	return f->n ? kf_file_replace(dirfd, KF_REVIEW_FROZEN, text.p, text.n, 0600, f->err) : 0;
}

static int is_frozen(const char *path, const struct freezer *kind, bool *ret, struct kf_err *err)
{
	char file[PATH_MAX], text[4096];
	KF_CLOSE int fd = -1;
	ssize_t n;

	(void)snprintf(file, sizeof(file), "%s/%s", path, kind->state);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		*ret = true; /* the cgroup is gone */
		return 0;
	}
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return kf_fail_sys(err, "read '%s'", file);
	text[n] = '\0';
	*ret = strstr(text, kind->frozen) != NULL;
	return 0;
}

static int freeze_cgroup(struct freezing *f, size_t i)
{
	const struct freezer *kind = f->kinds[i];
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
	char file[PATH_MAX];
	KF_CLOSE int fd = -1;
	bool frozen = false;

	(void)snprintf(file, sizeof(file), "%s/%s", f->cgroups[i], kind->file);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return kf_fail_sys(f->err, "open '%s'", file);
	for (int k = 0; k < SECONDS * 100; k++) {
		if (kf_write_all(fd, kind->freeze, strlen(kind->freeze), f->err) < 0)
			return kf_fail_wrap(f->err, "'%s'", file);
		if (is_frozen(f->cgroups[i], kind, &frozen, f->err) < 0)
			return -1;
		if (frozen)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return kf_fail(f->err, EBUSY,
		       "the processes of cgroup '%s' do not stop in %d seconds; try again, or stop "
		       "the pod",
		       f->cgroups[i], SECONDS);
}

/* ---- strangers ---- */

/* Whether @path is @merged, or that below the node's root, mounted into a container: who has that
 * is as good as root on the node. */
static bool is_ours(const char *path, const char *merged)
{
	const size_t n = strlen(path), m = strlen(merged);

	return n >= m && strcmp(path + n - m, merged) == 0;
}

/* Whether the process has a mount of @dev that is not ours at @merged. */
static int has_mount(const char *pid, unsigned long long dev, const char *merged, bool *ret,
		     struct kf_err *err)
{
	char path[64], want[64];
	KF_FREE char *line = NULL;
	size_t size = 0;
	FILE *file;

	*ret = false;
	(void)snprintf(path, sizeof(path), "/proc/%s/mountinfo", pid);
	(void)snprintf(want, sizeof(want), "%u:%u", major(dev), minor(dev));
	file = fopen(path, "re");
	/* It has ended, or is of the kernel's. */
	if (!file)
		return errno == ENOENT || errno == ESRCH || errno == EINVAL
			       ? 0
			       : kf_fail_sys(err, "read '%s'", path);
	while (!*ret && getline(&line, &size, file) > 0) {
		char device[64] = "", where[PATH_MAX] = "";

		if (sscanf(line, "%*u %*u %63s %*s %4095s", device, where) == 2 &&
		    strcmp(device, want) == 0)
			*ret = !is_ours(where, merged);
	}
	(void)fclose(file);
	return 0;
}

static int check_process(const struct freezing *f, const char *pid, unsigned long long dev,
			 const char *merged)
{
	char path[64], cgroup[8192];
	KF_CLOSE int fd = -1;
	ssize_t n;
	bool has;

	if (has_mount(pid, dev, merged, &has, f->err) < 0)
		return -1;
	if (!has)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%s/cgroup", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, cgroup, sizeof(cgroup) - 1);
	if (n < 0)
		return errno == ENOENT || errno == ESRCH ? 0
							 : kf_fail_sys(f->err, "read '%s'", path);
	cgroup[n] = '\0';
	return is_named(f, cgroup)
		       ? 0
		       : kf_fail(f->err, EBUSY,
				 "process %s has the volume mounted and is in no cgroup of the "
				 "pod's, so that it cannot be stopped; end it, or stop the pod",
				 pid);
}

static int check_strangers(const struct freezing *f, unsigned long long dev, const char *merged)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int r = 0;

	if (!d)
		return kf_fail_sys(f->err, "read '/proc'");
	while (r == 0 && (e = readdir(d)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			r = check_process(f, e->d_name, dev, merged);
	(void)closedir(d);
	return r;
}

int kf_review_freeze(int dirfd, const char *uid, const char *volume, unsigned long long dev,
		     struct kf_err *err)
{
	struct freezing f = {.err = err};
	const struct freezer *kind = find_freezer();
	char merged[PATH_MAX];
	int r;

	kf_review_merged(uid, volume, merged);
	if (!kind)
		return kf_fail(
			err, ENOENT,
			"no cgroups are mounted at /sys/fs/cgroup, by which the pod could be "
			"stopped");
	r = find_names(&f, uid, volume) < 0 || find_cgroups(&f, kind) < 0 ||
			    note_cgroups(&f, dirfd) < 0
		    ? -1
		    : 0;
	for (size_t i = 0; r == 0 && i < f.n; i++)
		r = freeze_cgroup(&f, i);
	if (r == 0)
		r = check_strangers(&f, dev, merged);
	free_freezing(&f);
	return r;
}
