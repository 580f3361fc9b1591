/* SPDX-License-Identifier: Apache-2.0 */
/* Putting files into an ext4 file system inside an image, with libext2fs and without mounting it.
 * That the file system is consistent is checked first, in ext4_check.c; where it lies is found in
 * layout.c. */
#include "base/cleanup.h"
#include "image/ext4_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Features that libext2fs keeps consistent when files are added and removed. */
#define INCOMPAT                                                           \
	(EXT2_FEATURE_INCOMPAT_FILETYPE | EXT2_FEATURE_INCOMPAT_META_BG |  \
	 EXT3_FEATURE_INCOMPAT_EXTENTS | EXT4_FEATURE_INCOMPAT_64BIT |     \
	 EXT4_FEATURE_INCOMPAT_FLEX_BG | EXT4_FEATURE_INCOMPAT_CSUM_SEED | \
	 EXT4_FEATURE_INCOMPAT_INLINE_DATA)
#define RO_COMPAT                                                                  \
	(EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE | \
	 EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_GDT_CSUM |      \
	 EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |   \
	 EXT4_FEATURE_RO_COMPAT_METADATA_CSUM)

int kf_ext4_fail(const struct kf_ext4 *e, errcode_t code, const char *what, struct kf_err *err)
{
	if (code == EXT2_ET_BLOCK_ALLOC_FAIL || code == EXT2_ET_INODE_ALLOC_FAIL || code == ENOSPC)
		return kf_fail(err, ENOSPC,
			       "'%s': %s: the file system is full; enlarge a copy of it (truncate "
			       "and resize2fs) and take that",
			       e->name, what);
	return kf_fail(err, EIO, "'%s': %s: %s; if it is damaged, e2fsck -f repairs it", e->name,
		       what, error_message(code));
}

static int check_features(const struct kf_ext4 *e, bool write, struct kf_err *err)
{
	const struct ext2_super_block *s = e->fs->super;

	if (write && (s->s_feature_ro_compat &
		      (EXT4_FEATURE_RO_COMPAT_READONLY | EXT4_FEATURE_RO_COMPAT_SHARED_BLOCKS)))
		return kf_fail(err, EROFS,
			       "'%s': the file system is marked read-only for good (feature "
			       "read-only or shared_blocks); build it without",
			       e->name);
	if ((s->s_feature_incompat & EXT3_FEATURE_INCOMPAT_RECOVER) || s->s_last_orphan)
		return kf_fail(err, EUCLEAN,
			       "'%s': the file system was not unmounted; run e2fsck -f on it first",
			       e->name);
	if (!(s->s_state & EXT2_VALID_FS) || (s->s_state & EXT2_ERROR_FS))
		return kf_fail(err, EUCLEAN,
			       "'%s': the file system is known to have errors; run e2fsck -f on it "
			       "first",
			       e->name);
	if (write && ((s->s_feature_incompat & ~(unsigned)INCOMPAT) ||
		      (s->s_feature_ro_compat & ~(unsigned)RO_COMPAT)))
		return kf_fail(err, ENOTSUP,
			       "'%s': ext4 features that are not kept consistent here (incompat "
			       "0x%x, ro_compat 0x%x); build the image without, see tune2fs -l",
			       e->name, s->s_feature_incompat & ~(unsigned)INCOMPAT,
			       s->s_feature_ro_compat & ~(unsigned)RO_COMPAT);
	return 0;
}

int kf_ext4_open(int fd, const char *name, uint64_t offset, uint64_t size, bool write,
		 struct kf_ext4 **ret, struct kf_err *err)
{
	struct kf_ext4 *e = calloc(1, sizeof(*e));
	char path[64], options[64];
	errcode_t code;

	if (!e)
		return kf_fail_nomem(err, name);
	e->name = name;
	initialize_ext2_error_table();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	(void)snprintf(options, sizeof(options), "offset=%llu", (unsigned long long)offset);
	code = ext2fs_open2(path, options, EXT2_FLAG_64BITS | (write ? EXT2_FLAG_RW : 0), 0, 0,
			    unix_io_manager, &e->fs);
	if (code) {
		kf_ext4_fail(e, code, "open its file system", err);
		goto fail;
	}
	/* Backup copies of the superblock are not updated; the kernel does not update them either.
	 */
	e->fs->flags |= EXT2_FLAG_MASTER_SB_ONLY;
	e->fs->now = e->fs->super->s_mkfs_time ? (time_t)e->fs->super->s_mkfs_time : 1;
	if (check_features(e, write, err) < 0)
		goto fail;
	if (ext2fs_blocks_count(e->fs->super) > size / e->fs->blocksize) {
		kf_err_set(
			err, EINVAL,
			"'%s': the file system is larger than its place; the image is damaged or "
			"cut short",
			name);
		goto fail;
	}
	code = ext2fs_read_bitmaps(e->fs);
	if (code) {
		kf_ext4_fail(e, code, "read its bitmaps", err);
		goto fail;
	}
	*ret = e;
	return 0;
fail:
	kf_ext4_done(e);
	return -1;
}

void kf_ext4_done(struct kf_ext4 *e)
{
	if (!e)
		return;
	if (e->fs)
		ext2fs_free(e->fs);
	free(e);
}

int kf_ext4_close(struct kf_ext4 *e, struct kf_err *err)
{
	errcode_t code = ext2fs_close_free(&e->fs);
	int r = code ? kf_ext4_fail(e, code, "write it out", err) : 0;

	kf_ext4_done(e);
	return r;
}

/* Give inode @ino the name @name in directory @dir; the directory grows by a block if it is full.
 */
static errcode_t link_name(struct kf_ext4 *e, ext2_ino_t dir, const char *name, ext2_ino_t ino)
{
	errcode_t code = ext2fs_link(e->fs, dir, name, ino, EXT2_FT_REG_FILE);

	if (code != EXT2_ET_DIR_NO_SPACE)
		return code;
	code = ext2fs_expand_dir(e->fs, dir);
	return code ?: ext2fs_link(e->fs, dir, name, ino, EXT2_FT_REG_FILE);
}

static errcode_t make_dir(struct kf_ext4 *e, ext2_ino_t dir, const char *name)
{
	errcode_t code = ext2fs_mkdir(e->fs, dir, 0, name);

	if (code != EXT2_ET_DIR_NO_SPACE)
		return code;
	code = ext2fs_expand_dir(e->fs, dir);
	return code ?: ext2fs_mkdir(e->fs, dir, 0, name);
}

/* The directory of @path, and the last name.  A missing directory is made if @make; otherwise
 * *ret_dir is 0. */
static int open_parent(struct kf_ext4 *e, const char *path, bool make, ext2_ino_t *ret_dir,
		       const char **ret_name, struct kf_err *err)
{
	ext2_ino_t dir = EXT2_ROOT_INO, next;
	const char *p = path;

	for (;;) {
		char name[EXT2_NAME_LEN + 1];
		struct ext2_inode inode;
		errcode_t code;
		size_t n;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (n == 0 || n > EXT2_NAME_LEN)
			return kf_fail(err, EINVAL, "'%s': not a usable path", path);
		if (!p[n])
			break;
		memcpy(name, p, n);
		name[n] = '\0';
		code = ext2fs_lookup(e->fs, dir, name, (int)n, NULL, &next);
		if (code == EXT2_ET_FILE_NOT_FOUND && !make) {
			*ret_dir = 0;
			return 0;
		}
		if (code == EXT2_ET_FILE_NOT_FOUND)
			code = make_dir(e, dir, name)
				       ?: ext2fs_lookup(e->fs, dir, name, (int)n, NULL, &next);
		if (!code)
			code = ext2fs_read_inode(e->fs, next, &inode);
		if (code)
			return kf_ext4_fail(e, code, path, err);
		if (!LINUX_S_ISDIR(inode.i_mode))
			return kf_fail(err, ENOTDIR, "'%s': '%.*s' is not a directory in the image",
				       e->name, (int)(p + n - path), path);
		dir = next;
		p += n;
	}
	*ret_dir = dir;
	*ret_name = p;
	return 0;
}

static errcode_t compare_file(struct kf_ext4 *e, ext2_ino_t ino, const char *data, size_t n,
			      bool *same)
{
	ext2_file_t file;
	errcode_t code = ext2fs_file_open(e->fs, ino, 0, &file);
	char buf[16384];

	*same = false;
	if (code)
		return code;
	for (unsigned got; n; n -= got, data += got) {
		code = ext2fs_file_read(file, buf, n < sizeof(buf) ? (unsigned)n : sizeof(buf),
					&got);
		if (code || !got || memcmp(buf, data, got) != 0)
			break;
	}
	*same = !code && !n;
	(void)ext2fs_file_close(file);
	return code;
}

/* Look at @name in @dir; *ret_ino is 0 if it does not exist. */
static int examine_file(struct kf_ext4 *e, ext2_ino_t dir, const char *name, const void *data,
			size_t n, mode_t mode, ext2_ino_t *ret_ino, bool *ret_same,
			struct kf_err *err)
{
	struct ext2_inode inode;
	errcode_t code;

	*ret_ino = 0;
	*ret_same = false;
	code = ext2fs_lookup(e->fs, dir, name, (int)strlen(name), NULL, ret_ino);
	if (code == EXT2_ET_FILE_NOT_FOUND)
		return 0;
	if (!code)
		code = ext2fs_read_inode(e->fs, *ret_ino, &inode);
	if (!code && inode.i_mode == (LINUX_S_IFREG | mode) && inode.i_links_count == 1 &&
	    inode_uid(inode) == 0 && inode_gid(inode) == 0 && EXT2_I_SIZE(&inode) == n)
		code = compare_file(e, *ret_ino, data, n, ret_same);
	if (code)
		return kf_ext4_fail(e, code, name, err);
	if (!LINUX_S_ISREG(inode.i_mode) && !LINUX_S_ISLNK(inode.i_mode))
		return kf_fail(err, EEXIST,
			       "'%s': '%s' is neither a file nor a symbolic link in the image",
			       e->name, name);
	return 0;
}

/* Remove @name of @ino, and the inode with its last name. */
static errcode_t remove_name(struct kf_ext4 *e, ext2_ino_t dir, const char *name, ext2_ino_t ino)
{
	struct ext2_inode_large inode;
	struct ext2_inode *small = EXT2_INODE(&inode);
	errcode_t code = ext2fs_read_inode_full(e->fs, ino, small, sizeof(inode));

	code = code ?: ext2fs_unlink(e->fs, dir, name, ino, 0);
	if (code)
		return code;
	if (inode.i_links_count > 1) {
		inode.i_links_count--;
		return ext2fs_write_inode_full(e->fs, ino, small, sizeof(inode));
	}
	code = ext2fs_free_ext_attr(e->fs, ino, &inode);
	if (!code && ext2fs_inode_has_valid_blocks2(e->fs, small))
		code = ext2fs_punch(e->fs, ino, small, NULL, 0, ~0ULL);
	if (code)
		return code;
	inode.i_links_count = 0;
	inode.i_dtime = (__u32)e->fs->now;
	code = ext2fs_write_inode_full(e->fs, ino, small, sizeof(inode));
	ext2fs_inode_alloc_stats2(e->fs, ino, -1, 0);
	return code;
}

static errcode_t fill_file(struct kf_ext4 *e, ext2_ino_t ino, const char *data, size_t n)
{
	ext2_file_t file;
	errcode_t code = ext2fs_file_open(e->fs, ino, EXT2_FILE_WRITE, &file), closed;

	if (code)
		return code;
	for (unsigned put = 0; n && !code; n -= put, data += put)
		code = ext2fs_file_write(file, data, n > 1 << 20 ? 1 << 20 : (unsigned)n, &put);
	closed = ext2fs_file_close(file); /* which releases it, whatever came before */
	return code ?: closed;
}

static errcode_t create_file(struct kf_ext4 *e, ext2_ino_t dir, const char *name, const char *data,
			     size_t n, mode_t mode)
{
	struct ext2_inode inode = {
		.i_mode = (__u16)(LINUX_S_IFREG | mode),
		.i_links_count = 1,
		.i_atime = (__u32)e->fs->now,
		.i_ctime = (__u32)e->fs->now,
		.i_mtime = (__u32)e->fs->now,
	};
	ext2_extent_handle_t handle;
	ext2_ino_t ino;
	errcode_t code = ext2fs_new_inode(e->fs, dir, LINUX_S_IFREG | (int)mode, NULL, &ino);

	if (code)
		return code;
	code = ext2fs_inode_size_set(e->fs, &inode, (ext2_off64_t)n);
	/* Make an empty extent tree; its root lies in the inode. */
	if (!code && ext2fs_has_feature_extents(e->fs->super)) {
		code = ext2fs_extent_open2(e->fs, ino, &inode, &handle);
		if (!code)
			ext2fs_extent_free(handle);
	}
	code = code ?: ext2fs_write_new_inode(e->fs, ino, &inode);
	if (code)
		return code;
	ext2fs_inode_alloc_stats2(e->fs, ino, +1, 0);
	code = link_name(e, dir, name, ino);
	return code ?: fill_file(e, ino, data, n);
}

int kf_ext4_put(struct kf_ext4 *e, const char *path, const void *data, size_t n, mode_t mode,
		struct kf_err *err)
{
	ext2_ino_t dir, old;
	const char *name;
	errcode_t code;
	bool same;

	if (open_parent(e, path, true, &dir, &name, err) < 0 ||
	    examine_file(e, dir, name, data, n, mode, &old, &same, err) < 0)
		return -1;
	if (same)
		return 0;
	code = old ? remove_name(e, dir, name, old) : 0;
	code = code ?: create_file(e, dir, name, data, n, mode);
	return code ? kf_ext4_fail(e, code, path, err) : 0;
}

int kf_ext4_exists(struct kf_ext4 *e, const char *path, const void *data, size_t n, mode_t mode,
		   bool *ret, unsigned *ret_inode, struct kf_err *err)
{
	ext2_ino_t dir, ino = 0;
	const char *name;

	*ret = false;
	if (open_parent(e, path, false, &dir, &name, err) < 0 ||
	    (dir && examine_file(e, dir, name, data, n, mode, &ino, ret, err) < 0))
		return -1;
	*ret_inode = ino;
	return 0;
}

int kf_ext4_read(struct kf_ext4 *e, const char *path, size_t max, char **ret, struct kf_err *err)
{
	struct ext2_inode inode;
	ext2_ino_t ino;
	errcode_t code;
	unsigned got = 0;
	ext2_file_t file;
	size_t n;
	char *p;

	if (kf_ext4_inode(e, path, true, &ino, &inode, err) < 0)
		return -1;
	if (!ino || !LINUX_S_ISREG(inode.i_mode))
		return kf_fail(err, ENOENT, "'%s': '%s' is no file in the image", e->name, path);
	n = EXT2_I_SIZE(&inode);
	if (n > max)
		return kf_fail(err, EFBIG, "'%s': '%s' has more than %zu bytes", e->name, path,
			       max);
	p = calloc(1, n + 1);
	if (!p)
		return kf_fail_nomem(err, path);
	code = ext2fs_file_open(e->fs, ino, 0, &file);
	if (!code) {
		code = ext2fs_file_read(file, p, (unsigned)n, &got);
		(void)ext2fs_file_close(file);
	}
	if (code || got != n) {
		free(p);
		return kf_ext4_fail(e, code ?: EIO, path, err);
	}
	*ret = p;
	return 0;
}

int kf_ext4_inode(struct kf_ext4 *e, const char *path, bool follow, unsigned *ret_ino,
		  struct ext2_inode *ret, struct kf_err *err)
{
	errcode_t code =
		follow ? ext2fs_namei_follow(e->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, ret_ino)
		       : ext2fs_namei(e->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, path, ret_ino);

	/* A loop of symbolic links leads nowhere, either. */
	if (code == EXT2_ET_FILE_NOT_FOUND || code == EXT2_ET_NO_DIRECTORY ||
	    code == EXT2_ET_SYMLINK_LOOP) {
		*ret_ino = 0;
		return 0;
	}
	code = code ?: ext2fs_read_inode(e->fs, *ret_ino, ret);
	return code ? kf_ext4_fail(e, code, path, err) : 0;
}
