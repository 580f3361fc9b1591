/* SPDX-License-Identifier: Apache-2.0 */
/* Guest kernels and root file systems of ours: checking them, and putting them on the host under
 * names made from their contents.  Which ones a configuration names is decided in kata.c. */
#include "base/cleanup.h"
#include "image/boot.h"
#include "kata/kata.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define IMAGES	  KF_NODE_KATA "/images"
#define IMAGE_MAX (8LL * 1024 * 1024 * 1024)

/* One of our files, mapped into memory. */
struct mapped_file {
	int fd;
	char *p;
	size_t n;
};

static void mapped_file_done(struct mapped_file *image)
{
	if (image->p)
		(void)munmap(image->p, image->n);
	kf_cleanup_close(&image->fd);
}

static int map_file(const char *file, struct mapped_file *ret, struct kf_err *err)
{
	KF_CLOSE int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0)
		return kf_fail_sys(err, "open '%s'", file);
	if (!S_ISREG(st.st_mode) || st.st_size < 4096 || st.st_size > IMAGE_MAX)
		return kf_fail(err, EINVAL, "'%s' is no regular file of a usable size", file);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return kf_fail_sys(err, "map '%s'", file);
	*ret = (struct mapped_file){kf_steal_fd(&fd), p, (size_t)st.st_size};
	return 0;
}

static bool has_magic(const struct mapped_file *image, size_t at, const char *magic, size_t n)
{
	return image->n >= at + n && memcmp(image->p + at, magic, n) == 0;
}

static int check_kernel(const struct mapped_file *image, const char *file, struct kf_err *err)
{
	bool elf = has_magic(image, 0, "\177ELF", 4);

	/* A bzImage is compressed, so nothing more can be checked. */
	if (!elf && !has_magic(image, 0x202, "HdrS", 4))
		return kf_fail(err, ENOEXEC, "'%s' is no kernel (vmlinux or bzImage)", file);
	if (elf && !memmem(image->p, image->n, "landlock", 8))
		return kf_fail(err, ENOTSUP,
			       "'%s' is a kernel without Landlock; build it with "
			       "CONFIG_SECURITY_LANDLOCK=y",
			       file);
	return 0;
}

static int check_rootfs(const struct mapped_file *image, const char *file, struct kf_err *err)
{
	/* An ext4 superblock, or a partition table. */
	if (!has_magic(image, 0x438, "\x53\xef", 2) && !has_magic(image, 510, "\x55\xaa", 2))
		return kf_fail(err, EINVAL, "'%s' is neither an ext4 file system nor a disk", file);
	return 0;
}

static const struct {
	const char *before, *after;
	int (*check)(const struct mapped_file *image, const char *file, struct kf_err *err);
} kinds[] = {
	[KF_KATA_KERNEL] = {"vmlinux-", "", check_kernel},
	[KF_KATA_ROOTFS] = {"rootfs-", ".image", check_rootfs},
};

/* Whether @path exists with @n bytes.  A file that was only partly written never has this name. */
static bool exists_as(const struct kf_host *host, const char *path, size_t n)
{
	KF_CLOSE int fd = -1;
	struct stat st;

	return kf_host_fd(host, path, O_PATH | O_NOFOLLOW, &fd, KF_ERR_IGNORED) == 0 &&
	       fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 &&
	       !(st.st_mode & 022) && (size_t)st.st_size == n;
}

int kf_kata_check_boot(const struct kf_kata *kata, int fd, const char *name, const char **ret_why,
		       struct kf_err *err)
{
	*ret_why = kata->own_line		? kata->own_line
		   : kata->measured		? "it is measured (dm-verity)"
		   : !*kata->type		? NULL
		   : strcmp(kata->type, "ext4") ? kata->type
						: NULL;
	if (*ret_why)
		return 0;
	return kf_image_check_boot(fd, name, kata->nvdimm ? KF_IMAGE_NVDIMM : KF_IMAGE_BLOCK, err);
}

int kf_kata_image(const struct kf_node *node, enum kf_kata_image kind, const char *file, bool write,
		  struct kf_arena *arena, const char **ret_path, bool *ret_changed,
		  struct kf_err *err)
{
	KF_CLEANUP(mapped_file_done) struct mapped_file image = {.fd = -1};
	char sum[KF_SHA256_HEX + 1];
	const char *path;

	if (map_file(file, &image, err) < 0 || kinds[kind].check(&image, file, err) < 0)
		return -1;
	kf_sha256_hex(image.p, image.n, sum);
	path = kf_arena_printf(arena, IMAGES "/%s%s%s", kinds[kind].before, sum, kinds[kind].after);
	if (!path)
		return kf_fail_nomem(err, file);
	if (write && !exists_as(&node->host, path, image.n)) {
		if (kf_host_write(&node->host, path, image.p, image.n, 0644, err) < 0)
			return -1;
		node->say(node->ctx, "installed", path, "");
		*ret_changed = true;
	}
	*ret_path = path;
	return 0;
}

/* Where container images have been seen to keep Kata's kernels and root file systems. */
static const char *const places[] = {"/", "/kata/", "/share/", KF_KATA_SHARE "/"};
static const char *const names[][4] = {
	[KF_KATA_KERNEL] = {"vmlinux*", "vmlinuz*", "bzImage*", NULL},
	[KF_KATA_ROOTFS] = {"*.image", "*.img", NULL},
};

static int fetch_file(const struct kf_host *root, const char *file, enum kf_kata_image kind,
		      const char *to, struct kf_err *err)
{
	KF_CLEANUP(mapped_file_done) struct mapped_file image = {.fd = -1};

	if (map_file(file, &image, err) < 0 || kinds[kind].check(&image, file, err) < 0)
		return -1;
	return kf_host_write(root, to, image.p, image.n, 0644, err);
}

int kf_kata_fetch(enum kf_kata_image kind, const char *to, struct kf_err *err)
{
	struct kf_host root;
	int r = -1;

	if (kf_host_open("/", &root, err) < 0)
		return -1;
	kf_err_set(err, ENOENT, "there is no %s in this image",
		   kind == KF_KATA_KERNEL ? "kernel" : "root file system");
	for (size_t i = 0; i < KF_ARRAY_SIZE(places) && r < 0; i++) {
		for (const char *const *name = names[kind]; *name && r < 0; name++) {
			char pattern[128], **list;
			struct kf_err ignored;

			(void)snprintf(pattern, sizeof(pattern), "%s%s", places[i], *name);
			if (kf_host_glob(&root, pattern, &list, &ignored) < 0)
				continue;
			for (char **p = list; *p && r < 0; p++)
				r = fetch_file(&root, *p, kind, to, err);
			kf_host_list_free(list);
		}
	}
	kf_host_done(&root);
	return r;
}

int kf_kata_sweep(const struct kf_node *node, const char *const *keep, bool *ret_changed,
		  struct kf_err *err)
{
	char **list;
	int r = 0;

	if (kf_host_glob(&node->host, IMAGES "/*", &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++) {
		const char *const *k = keep;

		while (*k && strcmp(*k, *p) != 0)
			k++;
		if (*k)
			continue;
		r = kf_host_remove(&node->host, *p, err);
		if (r == 0)
			node->say(node->ctx, "removed", *p, "");
		*ret_changed = true;
	}
	kf_host_list_free(list);
	if (r < 0 || kf_host_glob(&node->host, IMAGES "/.*.tmp", &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++)
		r = kf_host_remove(&node->host, *p, err);
	kf_host_list_free(list);
	return r;
}
