/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting the parts of a bug report.  Which parts there are is in command.c, what is left out of
 * them in hide.c. */
#include "kubefence/sysdump/sysdump.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "kubefence/sysdump/hide.h"
#include "kubefence/sysdump/tar.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of one part; the rest of a longer one is cut off. */
#define PART_MAX ((size_t)32 * 1024 * 1024)
#define PIECE	 65536
/* A program that does not come to an end is ended. */
#define SECONDS	 30

static void read_all(int fd, struct kf_buf *out)
{
	char piece[PIECE];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && out->n + (size_t)n <= PART_MAX)
			kf_buf_add(out, piece, (size_t)n);
}

static void run_program(const char *const *argv, struct kf_buf *out)
{
	int p[2], status = 0;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0) {
		kf_buf_addf(out, "pipe: %s\n", strerror(errno));
		return;
	}
	pid = fork();
	if (pid == 0) {
		(void)dup2(p[1], STDOUT_FILENO);
		(void)dup2(p[1], STDERR_FILENO);
		(void)alarm(SECONDS);
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)close(p[1]);
	read_all(p[0], out);
	(void)close(p[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		kf_buf_addf(out, "\n[%s ended with %s %d]\n", argv[0],
			    WIFEXITED(status) ? "status" : "signal",
			    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static void read_file(const char *path, struct kf_buf *out)
{
	KF_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		kf_buf_addf(out, "[%s: %s]\n", path, strerror(errno));
	else
		read_all(fd, out);
}

static int add_part(int fd, const struct kf_sysdump_part *part, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf raw = KF_BUF_INIT(PART_MAX + PIECE);
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(4 * PART_MAX);

	if (part->argv[0])
		run_program(part->argv, &raw);
	else
		read_file(part->file, &raw);
	if (raw.n)
		kf_hide_secrets(raw.p, &text);
	if (raw.failed || text.failed)
		return kf_fail_nomem(err, part->name);
	return kf_tar_add(fd, part->name, text.p ? text.p : "", text.n, err);
}

int kf_sysdump_write(const char *path, const struct kf_sysdump_part *parts, size_t n,
		     struct kf_err *err)
{
	const bool out = strcmp(path, "-") == 0;
	KF_CLOSE int fd = out ? dup(STDOUT_FILENO)
			      : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return kf_fail_sys(err, "make '%s'", path);
	for (size_t i = 0; i < n; i++)
		if (add_part(fd, &parts[i], err) < 0)
			return -1;
	return kf_tar_end(fd, err);
}
