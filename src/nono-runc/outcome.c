/* SPDX-License-Identifier: Apache-2.0 */
/* How the guard learns whether the launcher could start the program: the pipes, and what is read
 * from them.  Who waits, and what follows from it, is in main.c. */
#include "nono-runc/outcome.h"

#include "base/cleanup.h"
#include "nono-runc/domain.h"
#include "nono-runc/launch.h"
#include "nono-runc/record.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX	     ".outcome"
#define OUTCOME_PATH (sizeof(KF_DOMAIN_DIR) + KF_RECORD_NAME + sizeof(SUFFIX))
#define PREFIX	     "nono: " /* of the launcher's line */

static int outcome_path(const char *root, const char *id, char ret[static OUTCOME_PATH],
			struct kf_err *err)
{
	char name[KF_RECORD_NAME];

	if (kf_guard_record_name(root, id, name, err) < 0)
		return -1;
	(void)snprintf(ret, OUTCOME_PATH, KF_DOMAIN_DIR "/%s" SUFFIX, name);
	return 0;
}

int kf_outcome_create(const char *root, const char *id, const char *label, int *ret_write,
		      struct kf_err *err)
{
	char path[OUTCOME_PATH];
	KF_CLOSE int fd = -1;

	if (kf_guard_record_taken(root, id))
		return kf_outcome_stderr(ret_write, err);
	if (outcome_path(root, id, path, err) < 0)
		return -1;
	if ((unlink(path) < 0 && errno != ENOENT) || mkfifo(path, 0600) < 0)
		return kf_fail_sys(err, "make %s", path);
	/* Reading as well, so that opening does not wait for the reader, who comes later. */
	fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return kf_fail_sys(err, "open %s", path);
	if (kf_launch_label(fd, label, err) < 0)
		return -1;
	*ret_write = kf_steal_fd(&fd);
	return 0;
}

int kf_outcome_open(const char *root, const char *id, int *ret_read, struct kf_err *err)
{
	char path[OUTCOME_PATH];
	int fd;

	if (outcome_path(root, id, path, err) < 0)
		return -1;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT)
		return kf_fail_sys(err, "open %s", path);
	*ret_read = fd;
	return 0;
}

void kf_outcome_drop(const char *root, const char *id)
{
	char path[OUTCOME_PATH];

	if (outcome_path(root, id, path, KF_ERR_IGNORED) == 0)
		(void)unlink(path);
}

int kf_outcome_pipe(int *ret_read, int *ret_write, struct kf_err *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return kf_fail_sys(err, "pipe");
	*ret_read = fds[0];
	*ret_write = fds[1];
	return 0;
}

int kf_outcome_stderr(int *ret_write, struct kf_err *err)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	/* A caller may have closed it. */
	if (fd < 0 && errno == EBADF)
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return kf_fail_sys(err, "descriptor of stderr");
	*ret_write = fd;
	return 0;
}

static int milliseconds_until(const struct timespec *end)
{
	struct timespec now;
	long left;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	left = (end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
	return left > 0 ? (int)left : 0;
}

int kf_outcome_read(int fd, struct kf_err *err)
{
	char text[KF_ERR_MSG_MAX + sizeof(PREFIX)], *message = text;
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	struct timespec end;
	size_t n = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += KF_OUTCOME_WAIT;
	while (n < sizeof(text) - 1) {
		int ready = poll(&poll_fd, 1, milliseconds_until(&end));
		ssize_t got;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			break;
		got = read(fd, text + n, sizeof(text) - 1 - n);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (strncmp(message, PREFIX, sizeof(PREFIX) - 1) == 0)
		message += sizeof(PREFIX) - 1;
	return *message ? kf_fail(err, ENOEXEC, "%s", message) : 0;
}
