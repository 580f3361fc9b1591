/* SPDX-License-Identifier: Apache-2.0 */
/* The denials of one container, as the kernel's audit log tells them: a process of its own reads
 * the log while the container runs, since the kernel keeps nothing for a late reader.  Each sandbox
 * is known there by the process that entered it; which one is meant is known at the end. */
#include "kubefence/learn/denied.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "cli/print.h"
#include "denial/audit.h"
#include "denial/feed.h"
#include "denial/kernel.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Some hundred thousand denials. */
#define TEXT_MAX   ((size_t)64 * 1024 * 1024)
/* A path of PATH_MAX, escaped. */
#define LINE_BYTES (16 * 1024)
#define PID_MAX	   32
#define TICK_MS	   20
/* The last records may still be on their way: the end is when so long nothing has come, or when
 * what comes happened so long after the command, on a node where something is always denied. */
#define QUIET_MS   1000

struct denied_reader {
	struct kf_who_table owners;
	struct kf_feed *feed;
	struct kf_buf text;
	uint64_t now;
	bool record;	 /* one has come in this round */
	uint64_t latest; /* when what a record tells of happened, since 1970 */
	uint32_t lost;	 /* records of the kernel's, when it began */
};

/* How the reader ends. */
enum {
	READ_ALL,
	READ_FAILED,
	READ_SOME, /* records were lost */
};

static uint64_t read_ms(clockid_t clock)
{
	struct timespec ts = {0};

	(void)clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t read_clock(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

/* Sandboxes take the place of containers: each is called by its process. */
static struct kf_who *find_owner(void *ctx, pid_t pid, bool thorough)
{
	struct denied_reader *r = ctx;
	char id[16];
	const struct kf_started started = {.pid = pid,
					   .id = id,
					   .namespace_ = "",
					   .pod = "",
					   .uid = "",
					   .container = "",
					   .profile = ""};

	(void)thorough;
	(void)snprintf(id, sizeof(id), "%d", pid);
	return kf_who_get(&r->owners, &started);
}

/* A line: the process, a blank, the denial. */
static void keep_denial(void *ctx, const struct kf_denial *denial, uint64_t now)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf line = KF_BUF_INIT(LINE_BYTES);
	struct denied_reader *r = ctx;

	(void)now;
	if (!denial->who)
		return;
	kf_denial_json(denial, &line);
	if (line.failed)
		r->text.failed = true;
	else
		kf_buf_addf(&r->text, "%s %s", denial->who->id, line.p);
}

static void take_record(void *ctx, unsigned type, const char *text)
{
	struct denied_reader *r = ctx;
	struct kf_audit_record record;

	r->record = true;
	if (kf_audit_parse(type, text, &record) && record.ms > r->latest)
		r->latest = record.ms;
	kf_feed_take(r->feed, type, text, r->now);
}

/* Until the other end of @control is closed and nothing from before that comes any more. */
static int read_log(struct denied_reader *r, int audit, int control, struct kf_err *err)
{
	struct pollfd fds[] = {{.fd = audit, .events = POLLIN}, {.fd = control, .events = POLLIN}};
	uint64_t last = read_clock(), end = 0;
	bool ending = false, overrun;

	while (!ending || (r->now - last < QUIET_MS && r->latest < end + QUIET_MS)) {
		if (poll(fds, ending ? 1 : 2, TICK_MS) < 0 && errno != EINTR)
			return kf_fail_sys(err, "poll");
		r->now = read_clock();
		r->record = false;
		if (kf_audit_read(audit, take_record, r, &overrun, err) < 0)
			return -1;
		kf_feed_tick(r->feed, r->now);
		if (r->record || (!ending && fds[1].revents))
			last = r->now;
		if (!ending && fds[1].revents) {
			ending = true;
			end = read_ms(CLOCK_REALTIME);
			r->latest = 0;
		}
	}
	kf_feed_flush(r->feed, r->now);
	return r->text.failed ? kf_fail(err, EFBIG, "more was denied than is remembered") : 0;
}

/* Whether records were lost: on the way here, which leaves a gap in their numbers, or in the kernel
 * before they had one. */
static int check_lost(const struct denied_reader *r, bool *ret, struct kf_err *err)
{
	struct kf_audit_status status;

	if (kf_audit_status(&status, err) < 0)
		return -1;
	*ret = status.lost != r->lost || kf_feed_counter(r->feed, KF_FEED_LOST) > 0;
	return 0;
}

/* How it ends. */
static int run_reader(int audit, int control, int text, uint32_t lost, struct kf_err *err)
{
	static const struct kf_feed_ops ops = {
		.find = find_owner, .denied = keep_denial, .unseen = keep_denial};
	struct denied_reader r = {.text = KF_BUF_INIT(TEXT_MAX), .now = read_clock(), .lost = lost};
	bool some;

	r.feed = kf_feed_new(&ops, &r, &r.owners);
	if (!r.feed || read_log(&r, audit, control, err) < 0 ||
	    kf_write_all(text, r.text.n ? r.text.p : "", r.text.n, err) < 0 ||
	    check_lost(&r, &some, err) < 0)
		return READ_FAILED;
	return some ? READ_SOME : READ_ALL;
}

static int check_log(struct kf_audit_status *status, struct kf_err *err)
{
	if (kf_audit_status(status, err) < 0)
		return -1;
	return status->enabled
		       ? 0
		       : kf_fail(err, ENOTCONN,
				 "the kernel's audit log is off, which tells what is denied: turn "
				 "it on with 'kubefence denials --turn-on', or learn without "
				 "--enforce");
}

int learn_denied_start(struct learn_denied *ret, struct kf_err *err)
{
	struct learn_denied d = {.control = -1};
	KF_CLOSE int audit = -1, text = memfd_create("denials", MFD_CLOEXEC);
	struct kf_audit_status status;
	int p[2];

	if (text < 0)
		return kf_fail_sys(err, "memory file");
	if (check_log(&status, err) < 0 || kf_audit_open(&audit, err) < 0)
		return -1;
	if (pipe2(p, O_CLOEXEC) < 0)
		return kf_fail_sys(err, "pipe");
	d.pid = fork();
	if (d.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0UL, 0UL, 0UL);
		(void)close(p[1]);
		_exit(run_reader(audit, p[0], text, status.lost, err));
	}
	(void)close(p[0]);
	if (d.pid < 0) {
		(void)close(p[1]);
		return kf_fail_sys(err, "fork");
	}
	d.control = p[1];
	d.text = kf_steal_fd(&text);
	*ret = d;
	return 0;
}

/* The lines of @all that are about process @pid, without its number. */
static void choose_lines(const char *all, long pid, struct kf_buf *out)
{
	char prefix[24];
	const int n = snprintf(prefix, sizeof(prefix), "%ld ", pid);

	for (const char *at = all; *at; at += strcspn(at, "\n"), at += *at == '\n')
		if (strncmp(at, prefix, (size_t)n) == 0)
			kf_buf_add(out, at + n, strcspn(at + n, "\n") + 1);
}

int learn_denied_finish(struct learn_denied *d, const char *pid_file, struct kf_buf *out,
			bool *ret_lost, struct kf_err *err)
{
	KF_CLOSE int text = d->text;
	KF_FREE char *all = NULL, *pid = NULL;
	int status = READ_FAILED;

	(void)close(d->control);
	while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
		;
	*ret_lost = WIFEXITED(status) && WEXITSTATUS(status) == READ_SOME;
	if (status && !*ret_lost)
		return kf_fail(err, EIO, "the kernel's audit log could not be read to the end");
	if (lseek(text, 0, SEEK_SET) < 0)
		return kf_fail_sys(err, "what was denied");
	if (kf_fd_slurp(text, "what was denied", TEXT_MAX, &all, NULL, err) < 0 ||
	    kf_file_slurp(AT_FDCWD, pid_file, PID_MAX, &pid, NULL, err) < 0)
		return -1;
	choose_lines(all, strtol(pid, NULL, 10), out);
	return out->failed ? kf_fail_nomem(err, "what was denied") : 0;
}
