/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the image in an OCI archive: index.json, the index of architectures, and the manifest of
 * ours.  The tar is read as far as that takes: plain entries in USTAR's form, as "make images" and
 * skopeo write them. */
#include "kubefence/images/archive.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/sha256.h"
#include "json/json.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* An index, a manifest: some kilobytes. */
#define DOCUMENT_MAX (4 * 1024 * 1024)
#define BLOCK	     512
#define ENTRIES_MAX  65536 /* of a tar */
#define DIGEST_TEXT  (7 + KF_SHA256_HEX)

#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#else
#error "say what the architecture is called in OCI images"
#endif

/* The header of a tar's entry, as far as it is read. */
struct archive_head {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, rest[355];
};
_Static_assert(sizeof(struct archive_head) == BLOCK, "a tar has blocks of this size");

struct tar_file {
	int fd;
	const char *path; /* for messages */
};

/* Whether the entry is called @name, which may have "./" in front. */
static bool is_entry(const struct archive_head *head, const char *name)
{
	const char *p = head->name;
	size_t max = sizeof(head->name);

	if (p[0] == '.' && p[1] == '/') {
		p += 2;
		max -= 2;
	}
	return strlen(name) < max && strncmp(p, name, max) == 0;
}

/* Find the entry @name; its size.  The file is then at its first byte. */
static int find_entry(const struct tar_file *tar, const char *name, size_t *ret, struct kf_err *err)
{
	struct archive_head head;
	off_t at = 0;

	for (unsigned i = 0; i < ENTRIES_MAX; i++) {
		char size[sizeof(head.size) + 1] = "", *end;
		uint64_t n;

		if (pread(tar->fd, &head, sizeof(head), at) != (ssize_t)sizeof(head) ||
		    !head.name[0])
			break;
		memcpy(size, head.size, sizeof(head.size));
		n = strtoull(size, &end, 8);
		if (end == size || (*end && *end != ' ') || n > INT64_MAX / 2)
			return kf_fail(err, EINVAL, "'%s' is no tar archive; pack it with tar",
				       tar->path);
		at += BLOCK;
		if (is_entry(&head, name)) {
			*ret = n;
			return lseek(tar->fd, at, SEEK_SET) == at
				       ? 0
				       : kf_fail_sys(err, "read '%s'", tar->path);
		}
		if (__builtin_add_overflow(at, (off_t)((n + BLOCK - 1) / BLOCK * BLOCK), &at))
			break;
	}
	return kf_fail(err, EINVAL, "'%s' has no %s; give the archive that 'make images' writes",
		       tar->path, name);
}

/* Read the entry @name as JSON.  @digest: what it must have, or NULL. */
static int read_document(const struct tar_file *tar, const char *name, const char *digest,
			 struct kf_arena *arena, struct kf_json **ret, struct kf_err *err)
{
	char sum[KF_SHA256_HEX + 1];
	size_t n;
	char *text;

	if (find_entry(tar, name, &n, err) < 0)
		return -1;
	if (n > DOCUMENT_MAX)
		return kf_fail(err, EFBIG, "'%s' has a %s of more than %d bytes; make it again",
			       tar->path, name, DOCUMENT_MAX);
	text = kf_arena_alloc(arena, n + 1);
	if (!text)
		return kf_fail_nomem(err, name);
	if (kf_read_all(tar->fd, text, n, err) < 0)
		return kf_fail_wrap(err, "'%s' ends within %s", tar->path, name);
	text[n] = '\0';
	kf_sha256_hex(text, n, sum);
	if (digest && strcmp(digest + strlen("sha256:"), sum) != 0)
		return kf_fail(err, EBADMSG,
			       "'%s' is damaged: %s is not what its name says; copy it again",
			       tar->path, name);
	return kf_json_parse(text, n, name, arena, ret, err);
}

static bool is_digest(const char *s)
{
	return s && strlen(s) == DIGEST_TEXT && strncmp(s, "sha256:", 7) == 0 &&
	       strspn(s + 7, "0123456789abcdef") == KF_SHA256_HEX;
}

/* Read the blob that @at has the digest of; *ret_digest is that. */
static int follow_digest(const struct tar_file *tar, const struct kf_json *at,
			 struct kf_arena *arena, const char **ret_digest, struct kf_json **ret,
			 struct kf_err *err)
{
	const char *digest = kf_json_string(kf_json_find(at, "digest"));
	char name[sizeof("blobs/sha256/") + KF_SHA256_HEX];

	if (!is_digest(digest))
		return kf_fail(err, EINVAL,
			       "'%s' names an image without a sha256 digest; make it "
			       "again",
			       tar->path);
	(void)snprintf(name, sizeof(name), "blobs/sha256/%s", digest + 7);
	*ret_digest = digest;
	return read_document(tar, name, digest, arena, ret, err);
}

/* The manifest for this machine among those of an index, NULL if there is none. */
static const struct kf_json *find_architecture(const struct kf_json *index)
{
	const struct kf_json *list = kf_json_find(index, "manifests");

	for (const struct kf_json *m = list ? list->first : NULL; m; m = m->next) {
		const char *arch =
			kf_json_string(kf_json_find(kf_json_find(m, "platform"), "architecture"));

		if (arch && strcmp(arch, ARCHITECTURE) == 0)
			return m;
	}
	return NULL;
}

static int read_image(const struct tar_file *tar, struct kf_arena *arena, struct kf_archive *ret,
		      struct kf_err *err)
{
	struct kf_json *top, *image;
	const struct kf_json *list, *entry;
	const char *name, *config;

	if (read_document(tar, "index.json", NULL, arena, &top, err) < 0)
		return -1;
	list = kf_json_find(top, "manifests");
	entry = list ? list->first : NULL;
	if (!entry || entry->next)
		return kf_fail(err, EINVAL, "'%s' has %s; give an archive with one image",
			       tar->path, entry ? "several images" : "no image");
	if (follow_digest(tar, entry, arena, &ret->digest, &image, err) < 0)
		return -1;
	name = kf_json_string(
		kf_json_find(kf_json_find(entry, "annotations"), "io.containerd.image.name"));
	ret->name = name ? name : "";
	ret->manifest = ret->digest;
	if (kf_json_find(image, "manifests")) {
		entry = find_architecture(image);
		if (!entry)
			return kf_fail(err, EINVAL,
				       "'%s' has no image for " ARCHITECTURE
				       "; make it with ARCHES=" ARCHITECTURE,
				       tar->path);
		if (follow_digest(tar, entry, arena, &ret->manifest, &image, err) < 0)
			return -1;
	}
	config = kf_json_string(kf_json_find(kf_json_find(image, "config"), "digest"));
	if (!is_digest(config))
		return kf_fail(err, EINVAL,
			       "'%s' names an image without a configuration; make it "
			       "again",
			       tar->path);
	ret->id = config + 7;
	return 0;
}

int kf_archive_read(const char *path, struct kf_arena *arena, struct kf_archive *ret,
		    struct kf_err *err)
{
	KF_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct kf_archive found = {0};
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return kf_fail_sys(err, "open '%s'", path);
	if (!S_ISREG(st.st_mode))
		return kf_fail(err, EINVAL,
			       "'%s' is no file; give the archive beside the layout: out/image.tar",
			       path);
	if (read_image(&(struct tar_file){fd, path}, arena, &found, err) < 0)
		return -1;
	*ret = found;
	return 0;
}
