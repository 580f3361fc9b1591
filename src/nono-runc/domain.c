/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's side of the domain files: made at create, waited for at exec, gone at delete. */
#include "nono-runc/domain.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "nono-runc/record.h"
#include "sandbox/domain.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static int open_dir(struct kf_err *err)
{
	int dir = open(KF_DOMAIN_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0 && errno == ENOENT) {
		if (kf_mkdir_parents(KF_DOMAIN_DIR, 0700, err) < 0)
			return -1;
		dir = open(KF_DOMAIN_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	return dir < 0 ? kf_fail_sys(err, "open " KF_DOMAIN_DIR) : dir;
}

/* A new file at @name; without a name if a container has that one already. */
static int make_file(int dir, const char *name, bool taken, struct kf_err *err)
{
	int fd;

	if (taken) {
		fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		return fd < 0 ? kf_fail_sys(err, "make a file in " KF_DOMAIN_DIR) : fd;
	}
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return kf_fail_sys(err, "remove " KF_DOMAIN_DIR "/%s", name);
	fd = openat(dir, name, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? kf_fail_sys(err, "make " KF_DOMAIN_DIR "/%s", name) : fd;
}

int kf_domain_create(const char *root, const char *id, const char *policy, size_t npolicy,
		     const struct kf_program *program, int *ret_fd, struct kf_err *err)
{
	char name[KF_RECORD_NAME];
	KF_CLOSE int dir = -1, fd = -1;

	if (kf_guard_record_name(root, id, name, err) < 0)
		return -1;
	dir = open_dir(err);
	if (dir < 0)
		return -1;
	fd = make_file(dir, name, kf_guard_record_taken(root, id), err);
	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return kf_fail_sys(err, "lock " KF_DOMAIN_DIR "/%s", name);
	if (kf_domain_begin(fd, policy, npolicy, program->at, program->n, program->flags, err) < 0)
		return -1;
	*ret_fd = kf_steal_fd(&fd);
	return 0;
}

static void note_signal(int signal)
{
	(void)signal;
}

/* Wait until nobody is about to decide any more. */
static int wait_unlocked(int fd, const char *id, struct kf_err *err)
{
	const struct itimerval limit = {.it_value = {.tv_sec = KF_DOMAIN_WAIT},
					.it_interval = {.tv_sec = 1}};
	const struct sigaction action = {.sa_handler = note_signal};
	const struct itimerval none = {0};
	struct sigaction before;
	sigset_t alarm, mask;
	int r;

	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return kf_fail_sys(err, "lock the domain file of '%.80s'", id);
	(void)sigemptyset(&alarm);
	(void)sigaddset(&alarm, SIGALRM);
	if (sigaction(SIGALRM, &action, &before) < 0 ||
	    sigprocmask(SIG_UNBLOCK, &alarm, &mask) < 0 || setitimer(ITIMER_REAL, &limit, NULL) < 0)
		return kf_fail_sys(err, "set a timer");
	r = flock(fd, LOCK_SH);
	if (r < 0 && errno == EINTR)
		kf_err_set(err, ETIMEDOUT,
			   "the first process of container '%.80s' has not entered its sandbox "
			   "within %d s; start the container first",
			   id, KF_DOMAIN_WAIT);
	else if (r < 0)
		kf_err_set_sys(err, "lock the domain file of '%.80s'", id);
	/* The runtime inherits what we leave. */
	(void)setitimer(ITIMER_REAL, &none, NULL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)sigaction(SIGALRM, &before, NULL);
	return r;
}

int kf_domain_enter(const char *root, const char *id, int *ret_fd, struct kf_err *err)
{
	char name[KF_RECORD_NAME], path[sizeof(KF_DOMAIN_DIR) + sizeof(name)];
	struct kf_domain_head head;
	KF_CLOSE int fd = -1;

	if (kf_guard_record_name(root, id, name, err) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), KF_DOMAIN_DIR "/%s", name);
	if (kf_file_open_trusted(path, &fd, err) < 0)
		return kf_fail_wrap(err, "what the sandbox of container '%.80s' is", id);
	if (wait_unlocked(fd, id, err) < 0)
		return -1;
	/* Whoever held the lock may have died with it. */
	if (kf_read_all(fd, &head, sizeof(head), err) < 0)
		return kf_fail_wrap(err, "%s", path);
	if (!kf_domain_is((const char *)&head, sizeof(head)) || head.decided != 1)
		return kf_fail(err, EPERM,
			       "the first process of container '%.80s' never entered its sandbox; "
			       "create the container again",
			       id);
	if (flock(fd, LOCK_UN) < 0)
		return kf_fail_sys(err, "unlock %s", path);
	*ret_fd = kf_steal_fd(&fd);
	return 0;
}

void kf_domain_drop(const char *root, const char *id)
{
	char name[KF_RECORD_NAME], path[sizeof(KF_DOMAIN_DIR) + sizeof(name)];

	if (kf_guard_record_name(root, id, name, KF_ERR_IGNORED) < 0)
		return;
	(void)snprintf(path, sizeof(path), KF_DOMAIN_DIR "/%s", name);
	(void)unlink(path);
}
