/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing the journal of node set-up, and the texts that are kept beside it.  What is
 * written into it is decided in install.c, transaction.c and uninstall.c. */
#include "node/journal.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOURNAL	    KF_JOURNAL_DIR "/journal"
#define KEPT	    KF_JOURNAL_DIR "/kept-"
#define HEADER	    "kubefence-node 1\n"
/* The largest program; those that we install have a few MiB. */
#define PROGRAM_MAX (64 * 1024 * 1024)

/* Copy @s, of at most @size bytes with NUL; false if it does not fit. */
static bool copy_string(char *out, size_t size, const char *s)
{
	size_t n = strlen(s);

	if (n >= size)
		return false;
	memcpy(out, s, n + 1);
	return true;
}

/* Return the word at *@at, which points behind it then. */
static char *next_word(char **at)
{
	char *w = *at;
	size_t n = strcspn(w, " ");

	*at = w + n + (w[n] == ' ');
	w[n] = '\0';
	return w;
}

static bool digest_ok(const char *s)
{
	return strcmp(s, KF_JOURNAL_ABSENT) == 0 ||
	       (strlen(s) == KF_SHA256_HEX && strspn(s, "0123456789abcdef") == KF_SHA256_HEX);
}

/* Parse "A B PATH". */
static bool parse_change(char *rest, kf_digest a, kf_digest b, char path[static 512])
{
	char *x = next_word(&rest), *y = next_word(&rest);

	return digest_ok(x) && digest_ok(y) && rest[0] == '/' &&
	       copy_string(a, sizeof(kf_digest), x) && copy_string(b, sizeof(kf_digest), y) &&
	       copy_string(path, 512, rest);
}

static bool parse_line(struct kf_journal *j, char *line)
{
	char *key = next_word(&line), *w;

	if (strcmp(key, "phase") == 0) {
		j->busy = strcmp(line, "busy") == 0;
		return j->busy || strcmp(line, "done") == 0;
	}
	if (strcmp(key, "restart") == 0)
		return (j->pending = strcmp(line, "pending") == 0);
	if (strcmp(key, "distribution") == 0)
		return copy_string(j->distribution, sizeof(j->distribution), line);
	if (strcmp(key, "place") == 0)
		return line[0] == '/' && copy_string(j->place, sizeof(j->place), line);
	if (strcmp(key, "fingerprint") == 0)
		return digest_ok(line) && copy_string(j->fingerprint, sizeof(j->fingerprint), line);
	if (strcmp(key, "before") == 0)
		return digest_ok(line) && copy_string(j->before, sizeof(j->before), line);
	if (strcmp(key, "config") == 0)
		return parse_change(line, j->base, j->after, j->config);
	if (strcmp(key, "undo") == 0)
		return parse_change(line, j->prev, j->next, j->undo);
	if (strcmp(key, "made") == 0)
		return line[0] == '/' && copy_string(j->made, sizeof(j->made), line);
	w = next_word(&line);
	if (strcmp(key, "handler") == 0 && j->nhandlers < KF_JOURNAL_HANDLERS) {
		j->handlers[j->nhandlers].created = strcmp(w, "created") == 0;
		return copy_string(j->handlers[j->nhandlers++].name, 64, line);
	}
	if (strcmp(key, "vm") == 0 && j->nvms < KF_JOURNAL_VMS) {
		struct kf_journal_vm *vm = &j->vms[j->nvms++];

		return copy_string(vm->name, sizeof(vm->name), w) &&
		       copy_string(vm->shim, sizeof(vm->shim), next_word(&line)) &&
		       copy_string(vm->config, sizeof(vm->config), line);
	}
	if (strcmp(key, "file") == 0 && j->nfiles < KF_JOURNAL_FILES && line[0] == '/')
		return digest_ok(w) && copy_string(j->files[j->nfiles].sum, sizeof(kf_digest), w) &&
		       copy_string(j->files[j->nfiles++].path, 256, line);
	return false;
}

int kf_journal_read(const struct kf_host *host, struct kf_journal *ret, struct kf_err *err)
{
	static const char damaged[] = "'" JOURNAL "' is damaged; restore it from a backup, or undo "
				      "by hand with what '" KF_JOURNAL_DIR "' keeps";
	const size_t trailer = strlen("sum ") + KF_SHA256_HEX + 1, header = strlen(HEADER);
	struct kf_journal j = {.exists = true};
	char sum[KF_SHA256_HEX + 1], *next;
	KF_FREE char *text = NULL;
	size_t n;

	if (kf_host_read(host, JOURNAL, KF_JOURNAL_MAX, &text, &n, err) < 0) {
		if (err->code != ENOENT)
			return -1;
		*ret = (struct kf_journal){0};
		return 0;
	}
	if (n < header + trailer || memcmp(text, HEADER, header) != 0 || strlen(text) != n)
		return kf_fail(err, EINVAL, "%s", damaged);
	kf_sha256_hex(text, n - trailer, sum);
	if (memcmp(text + n - trailer + 4, sum, KF_SHA256_HEX) != 0)
		return kf_fail(err, EINVAL, "%s", damaged);
	text[n - trailer] = '\0';
	for (char *line = text + header; *line; line = next) {
		next = strchr(line, '\n');
		if (!next)
			return kf_fail(err, EINVAL, "%s", damaged);
		*next++ = '\0';
		if (!parse_line(&j, line))
			return kf_fail(err, EINVAL,
				       "'" JOURNAL "': '%s': not understood; was a "
				       "newer kubefence here?",
				       line);
	}
	*ret = j;
	return 0;
}

int kf_journal_write(const struct kf_host *host, const struct kf_journal *j, struct kf_err *err)
{
	struct kf_buf buf = KF_BUF_INIT(KF_JOURNAL_MAX);
	char sum[KF_SHA256_HEX + 1];
	int r;

	kf_buf_addf(&buf, HEADER "phase %s\ndistribution %s\n", j->busy ? "busy" : "done",
		    j->distribution);
	if (j->place[0])
		kf_buf_addf(&buf, "place %s\n", j->place);
	if (j->fingerprint[0])
		kf_buf_addf(&buf, "fingerprint %s\n", j->fingerprint);
	if (j->pending)
		kf_buf_adds(&buf, "restart pending\n");
	if (j->config[0])
		kf_buf_addf(&buf, "config %s %s %s\n", j->base, j->after, j->config);
	if (j->before[0])
		kf_buf_addf(&buf, "before %s\n", j->before);
	if (j->undo[0])
		kf_buf_addf(&buf, "undo %s %s %s\n", j->prev, j->next, j->undo);
	if (j->made[0])
		kf_buf_addf(&buf, "made %s\n", j->made);
	for (size_t i = 0; i < j->nhandlers; i++)
		kf_buf_addf(&buf, "handler %s %s\n", j->handlers[i].created ? "created" : "found",
			    j->handlers[i].name);
	for (size_t i = 0; i < j->nvms; i++)
		kf_buf_addf(&buf, "vm %s %s %s\n", j->vms[i].name, j->vms[i].shim,
			    j->vms[i].config);
	for (size_t i = 0; i < j->nfiles; i++)
		kf_buf_addf(&buf, "file %s %s\n", j->files[i].sum, j->files[i].path);
	if (buf.failed) {
		kf_buf_done(&buf);
		return kf_fail_nomem(err, JOURNAL);
	}
	kf_sha256_hex(buf.p, buf.n, sum);
	kf_buf_addf(&buf, "sum %s\n", sum);
	r = buf.failed ? kf_fail_nomem(err, JOURNAL)
		       : kf_host_write(host, JOURNAL, buf.p, buf.n, 0600, err);
	kf_buf_done(&buf);
	return r;
}

static void kept_path(const char *digest, char path[static 128])
{
	(void)snprintf(path, 128, KEPT "%s", digest);
}

int kf_journal_keep(const struct kf_host *host, const void *data, size_t n, kf_digest ret,
		    struct kf_err *err)
{
	char path[128];

	kf_sha256_hex(data, n, ret);
	kept_path(ret, path);
	return kf_host_write(host, path, data, n, 0600, err);
}

int kf_journal_kept(const struct kf_host *host, const char *digest, char **ret, size_t *ret_n,
		    struct kf_err *err)
{
	KF_FREE char *data = NULL;
	char path[128], sum[KF_SHA256_HEX + 1];
	size_t n;

	kept_path(digest, path);
	if (kf_host_read(host, path, KF_JOURNAL_MAX, &data, &n, err) < 0)
		return -1;
	kf_sha256_hex(data, n, sum);
	if (strcmp(sum, digest) != 0)
		return kf_fail(err, EIO, "'%s' is not what was kept there; restore by hand", path);
	*ret = KF_STEAL(data);
	*ret_n = n;
	return 0;
}

int kf_journal_sweep(const struct kf_host *host, const struct kf_journal *j, bool all,
		     struct kf_err *err)
{
	char **list;
	int r = 0;

	if (kf_host_glob(host, KEPT "*", &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++) {
		const char *digest = *p + strlen(KEPT);

		if (all || (strcmp(digest, j->base) != 0 && strcmp(digest, j->after) != 0 &&
			    strcmp(digest, j->before) != 0 &&
			    (!j->undo[0] || strcmp(digest, j->prev) != 0)))
			r = kf_host_remove(host, *p, err);
	}
	kf_host_list_free(list);
	if (r < 0 || kf_host_glob(host, KF_JOURNAL_DIR "/.*.tmp", &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++)
		r = kf_host_remove(host, *p, err);
	kf_host_list_free(list);
	for (size_t i = 0; i < j->nfiles && r == 0; i++)
		r = kf_host_sweep(host, j->files[i].path, err);
	if (r == 0 && j->config[0])
		r = kf_host_sweep(host, j->config, err);
	return r;
}

int kf_journal_remove(const struct kf_host *host, struct kf_err *err)
{
	return kf_host_remove(host, JOURNAL, err);
}

int kf_journal_add_file(struct kf_journal *j, const char *path, const char *sum, struct kf_err *err)
{
	size_t i;

	for (i = 0; i < j->nfiles; i++)
		if (strcmp(j->files[i].path, path) == 0)
			break;
	if (i == KF_JOURNAL_FILES)
		return kf_fail(err, E2BIG, "journal: more than %d files", KF_JOURNAL_FILES);
	if (!copy_string(j->files[i].path, sizeof(j->files[i].path), path) ||
	    !copy_string(j->files[i].sum, sizeof(j->files[i].sum), sum))
		return kf_fail(err, ENAMETOOLONG, "journal: '%s' is too long a path", path);
	if (i == j->nfiles)
		j->nfiles++;
	return 0;
}

int kf_journal_digest(const struct kf_host *host, const char *path, kf_digest ret,
		      struct kf_err *err)
{
	KF_FREE char *data = NULL;
	size_t n;

	if (kf_host_read(host, path, PROGRAM_MAX, &data, &n, err) < 0) {
		if (err->code != ENOENT)
			return -1;
		memcpy(ret, KF_JOURNAL_ABSENT, sizeof(KF_JOURNAL_ABSENT));
		return 0;
	}
	kf_sha256_hex(data, n, ret);
	return 0;
}
