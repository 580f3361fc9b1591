/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's record of a container, from create to delete: written, read and dropped. */
#include "nono-runc/record.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the guard keeps of a container: a few paths, names and labels. */
#define RECORD_MAX 65536

/* In the order of the file, one "key value" a line; those behind the label may be missing. */
static const struct {
	const char *key;
	size_t offset;
} lines[] = {
	{"root", offsetof(struct kf_guard_record, root)},
	{"id", offsetof(struct kf_guard_record, id)},
	{"bundle", offsetof(struct kf_guard_record, bundle)},
	{"runtime", offsetof(struct kf_guard_record, runtime)},
	{"profile", offsetof(struct kf_guard_record, profile)},
	{"label", offsetof(struct kf_guard_record, label)},
	{"namespace", offsetof(struct kf_guard_record, namespace_)},
	{"pod", offsetof(struct kf_guard_record, pod)},
	{"uid", offsetof(struct kf_guard_record, uid)},
	{"container", offsetof(struct kf_guard_record, container)},
	{"pid-file", offsetof(struct kf_guard_record, pid_file)},
};
#define NEEDED_LINES 6

static const char **record_member(struct kf_guard_record *record, size_t i)
{
	return (const char **)(void *)((char *)record + lines[i].offset);
}

/* The runtime's --root as it understands it: relative to our working directory,
 * which is its too.  "" is its default. */
static int absolute_root(const char *root, char ret[PATH_MAX], struct kf_err *err)
{
	char cwd[PATH_MAX], joined[2 * PATH_MAX];

	if (!root || !*root) {
		*ret = '\0';
		return 0;
	}
	if (*root != '/' && !getcwd(cwd, sizeof(cwd)))
		return kf_fail_sys(err, "getcwd");
	(void)snprintf(joined, sizeof(joined), "%s/%s", *root == '/' ? "" : cwd, root);
	if (strlen(root) >= PATH_MAX || !kf_path_clean(joined, ret, PATH_MAX))
		return kf_fail(err, ENAMETOOLONG, "--root: path too long");
	return 0;
}

int kf_guard_record_name(const char *root, const char *id, char ret[static KF_RECORD_NAME],
			 struct kf_err *err)
{
	char path[PATH_MAX], key[2 * PATH_MAX];
	int n;

	if (absolute_root(root, path, err) < 0)
		return -1;
	n = snprintf(key, sizeof(key), "%s\n%s", path, id);
	if (n < 0 || (size_t)n >= sizeof(key))
		return kf_fail(err, ENAMETOOLONG, "container ID too long");
	kf_sha256_hex(key, (size_t)n, ret);
	return 0;
}

/* Whether the runtime's state directory @root has container @id; what cannot be told counts. */
static bool has_state(const char *root, const char *id)
{
	char state[2 * PATH_MAX];
	struct stat st;

	(void)snprintf(state, sizeof(state), "%s/%s", root, id);
	return lstat(state, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

/* root/ID is where both runc and crun keep it. */
bool kf_guard_record_taken(const char *root, const char *id)
{
	static const char *const defaults[] = {"/run/runc", "/run/crun"};
	char path[PATH_MAX];

	if (absolute_root(root, path, KF_ERR_IGNORED) < 0)
		return true;
	if (*path)
		return has_state(path, id);
	for (size_t i = 0; i < KF_ARRAY_SIZE(defaults); i++)
		if (has_state(defaults[i], id))
			return true;
	return false;
}

int kf_guard_record_write(const struct kf_guard_record *record, struct kf_err *err)
{
	struct kf_buf buf = KF_BUF_INIT(RECORD_MAX);
	struct kf_guard_record copy = *record;
	char name[KF_RECORD_NAME], root[PATH_MAX];
	KF_CLOSE int dir = -1;
	KF_FREE char *text = NULL;

	if (kf_guard_record_name(record->root, record->id, name, err) < 0 ||
	    absolute_root(record->root, root, err) < 0)
		return -1;
	copy.root = root;
	for (size_t i = 0; i < KF_ARRAY_SIZE(lines); i++) {
		const char *value = *record_member(&copy, i);

		/* Ours are for others to read: what they cannot be told is left out. */
		if (i >= NEEDED_LINES && (!value || strchr(value, '\n')))
			value = "";
		if (strchr(value, '\n')) {
			kf_buf_done(&buf);
			return kf_fail(err, EINVAL, "%s '%.80s' has a line break", lines[i].key,
				       value);
		}
		kf_buf_addf(&buf, "%s %s\n", lines[i].key, value);
	}
	text = kf_buf_take(&buf);
	if (!text)
		return kf_fail_nomem(err, KF_RECORD_DIR);
	dir = open(KF_RECORD_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0) {
		if (kf_mkdir_parents(KF_RECORD_DIR, 0700, err) < 0)
			return -1;
		dir = open(KF_RECORD_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (dir < 0)
		return kf_fail_sys(err, "open " KF_RECORD_DIR);
	if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
	    kf_guard_record_taken(record->root, record->id))
		return 0;
	return kf_file_replace(dir, name, text, strlen(text), 0600, err);
}

static int parse_record(struct kf_guard_record *record, const char *path, struct kf_err *err)
{
	char *at = record->text;

	for (size_t i = 0; i < KF_ARRAY_SIZE(lines); i++) {
		size_t n = strlen(lines[i].key);
		char *end = strchr(at, '\n');

		if (!end || strncmp(at, lines[i].key, n) != 0 || at[n] != ' ') {
			if (i >= NEEDED_LINES) {
				*record_member(record, i) = "";
				continue;
			}
			return kf_fail(err, EINVAL, "%s: no '%s'", path, lines[i].key);
		}
		*end = '\0';
		*record_member(record, i) = at + n + 1;
		at = end + 1;
	}
	return 0;
}

int kf_guard_record_read(const char *root, const char *id, struct kf_guard_record *ret,
			 struct kf_err *err)
{
	char name[KF_RECORD_NAME], path[sizeof(KF_RECORD_DIR) + sizeof(name)];
	struct kf_guard_record record = {0};
	KF_CLOSE int fd = -1;

	if (kf_guard_record_name(root, id, name, err) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/%s", KF_RECORD_DIR, name);
	if (kf_file_open_trusted(path, &fd, err) < 0 ||
	    kf_fd_slurp(fd, path, RECORD_MAX, &record.text, NULL, err) < 0)
		return -1;
	if (parse_record(&record, path, err) < 0) {
		kf_guard_record_done(&record);
		return -1;
	}
	*ret = record;
	return 0;
}

int kf_guard_record_add_pid(const char *root, const char *id, pid_t pid, struct kf_err *err)
{
	char name[KF_RECORD_NAME], path[sizeof(KF_RECORD_DIR) + sizeof(name)], line[32];
	KF_CLOSE int fd = -1;
	int n;

	if (kf_guard_record_name(root, id, name, err) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/%s", KF_RECORD_DIR, name);
	n = snprintf(line, sizeof(line), "pid %d\n", pid);
	fd = open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return kf_fail_sys(err, "open '%s'", path);
	return kf_write_all(fd, line, (size_t)n, err);
}

void kf_guard_record_drop(const char *root, const char *id)
{
	char name[KF_RECORD_NAME], path[sizeof(KF_RECORD_DIR) + sizeof(name)];

	if (kf_guard_record_name(root, id, name, KF_ERR_IGNORED) < 0)
		return;
	(void)snprintf(path, sizeof(path), "%s/%s", KF_RECORD_DIR, name);
	(void)unlink(path);
}

void kf_guard_record_done(struct kf_guard_record *record)
{
	free(record->text);
	*record = (struct kf_guard_record){0};
}
