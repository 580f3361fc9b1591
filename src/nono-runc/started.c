/* SPDX-License-Identifier: Apache-2.0 */
/* Notes of started processes: whose they are is in the container's record, their ID in the file
 * that the runtime writes for its caller. */
#include "nono-runc/started.h"

#include "base/cleanup.h"
#include "config/started.h"
#include "nono-runc/record.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *kf_started_pid_file(const struct kf_cmdline *cmd, struct kf_arena *arena)
{
	const char *file = cmd->value[KF_FLAG_PID_FILE], *path = NULL;
	char cwd[PATH_MAX];

	if (!file || !*file)
		return "";
	if (*file == '/')
		return file;
	if (getcwd(cwd, sizeof(cwd)))
		path = kf_arena_printf(arena, "%s/%s", cwd, file);
	return path ? path : "";
}

/* 0 if it holds none. */
static pid_t read_pid(const char *file)
{
	KF_CLOSE int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	char text[16] = "";
	long pid;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	pid = strtol(text, NULL, 10);
	return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

static void note_process(const struct kf_guard_record *record, pid_t pid)
{
	const struct kf_started started = {
		.pid = pid,
		.id = record->id,
		.namespace_ = record->namespace_,
		.pod = record->pod,
		.uid = record->uid,
		.container = record->container,
		.profile = record->profile,
	};

	(void)kf_started_write(KF_STARTED_FILE, &started, KF_ERR_IGNORED);
}

void kf_started_first(const struct kf_cmdline *cmd)
{
	const char *root = cmd->value[KF_FLAG_ROOT];
	struct kf_guard_record record;
	pid_t pid;

	if (kf_guard_record_read(root, cmd->id, &record, KF_ERR_IGNORED) < 0)
		return;
	pid = *record.profile && *record.pid_file ? read_pid(record.pid_file) : 0;
	if (pid) {
		note_process(&record, pid);
		(void)kf_guard_record_add_pid(root, cmd->id, pid, KF_ERR_IGNORED);
	}
	kf_guard_record_done(&record);
}

void kf_started_later(const struct kf_cmdline *cmd)
{
	const char *root = cmd->value[KF_FLAG_ROOT], *file = cmd->value[KF_FLAG_PID_FILE];
	const pid_t pid = file ? read_pid(file) : 0;
	struct kf_guard_record record;

	if (!pid || kf_guard_record_read(root, cmd->id, &record, KF_ERR_IGNORED) < 0)
		return;
	note_process(&record, pid);
	if (cmd->verb == KF_VERB_RUN)
		(void)kf_guard_record_add_pid(root, cmd->id, pid, KF_ERR_IGNORED);
	kf_guard_record_done(&record);
}
