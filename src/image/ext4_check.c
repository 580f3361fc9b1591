/* SPDX-License-Identifier: Apache-2.0 */
/* The consistency check of an ext4 file system before it is written to: blocks against inodes and
 * bitmaps.  Writing is in ext4.c. */
#include "image/ext4_int.h"

#include <stdbool.h>

struct survey {
	ext2fs_block_bitmap seen;
	bool shared; /* other inodes may have this inode's blocks */
	blk64_t bad; /* the first block that is wrong */
};

static int visit_block(ext2_filsys fs, blk64_t *block, e2_blkcnt_t count, blk64_t ref_block,
		       int ref_offset, void *ctx)
{
	struct survey *s = ctx;

	(void)count;
	(void)ref_block;
	(void)ref_offset;
	if (*block < fs->super->s_first_data_block || *block >= ext2fs_blocks_count(fs->super) ||
	    (ext2fs_mark_block_bitmap2(s->seen, *block) && !s->shared)) {
		s->bad = *block;
		return BLOCK_ABORT;
	}
	return 0;
}

/* Mark superblocks, descriptors, bitmaps and inode tables as used. */
static void mark_fixed(ext2_filsys fs, ext2fs_block_bitmap seen)
{
	for (dgrp_t g = 0; g < fs->group_desc_count; g++) {
		(void)ext2fs_reserve_super_and_bgd(fs, g, seen);
		ext2fs_mark_block_bitmap2(seen, ext2fs_block_bitmap_loc(fs, g));
		ext2fs_mark_block_bitmap2(seen, ext2fs_inode_bitmap_loc(fs, g));
		ext2fs_mark_block_bitmap_range2(seen, ext2fs_inode_table_loc(fs, g),
						fs->inode_blocks_per_group);
	}
}

static int check_inode(struct kf_ext4 *e, ext2_ino_t ino, struct ext2_inode *inode,
		       struct survey *s, struct kf_err *err)
{
	const bool special = ino < EXT2_FIRST_INODE(e->fs->super);
	blk64_t acl = ext2fs_file_acl_block(e->fs, inode);
	errcode_t code;

	if (!inode->i_links_count && !special)
		return 0;
	if (!ext2fs_test_inode_bitmap2(e->fs->inode_map, ino))
		return kf_fail(
			err, EUCLEAN,
			"'%s': inode %u is in use and marked free; run e2fsck -f on it first",
			e->name, ino);
	if (acl && acl < ext2fs_blocks_count(e->fs->super))
		ext2fs_mark_block_bitmap2(s->seen, acl); /* several files may share one */
	if ((inode->i_flags & EXT4_INLINE_DATA_FL) || !ext2fs_inode_has_valid_blocks2(e->fs, inode))
		return 0;
	/* The reserved descriptors were marked by mark_fixed() already. */
	s->shared = ino == EXT2_RESIZE_INO || ino == EXT2_BAD_INO;
	code = ext2fs_block_iterate3(e->fs, ino, BLOCK_FLAG_READ_ONLY, NULL, visit_block, s);
	if (code)
		return kf_ext4_fail(e, code, "walk its inodes", err);
	if (s->bad)
		return kf_fail(err, EUCLEAN,
			       "'%s': block %llu of inode %u is not its own; run e2fsck -f on it "
			       "first",
			       e->name, (unsigned long long)s->bad, ino);
	return 0;
}

static int walk_inodes(struct kf_ext4 *e, ext2_inode_scan scan, struct survey *s,
		       struct kf_err *err)
{
	for (;;) {
		struct ext2_inode inode;
		ext2_ino_t ino;
		errcode_t code = ext2fs_get_next_inode(scan, &ino, &inode);

		if (code)
			return kf_ext4_fail(e, code, "walk its inodes", err);
		if (!ino)
			return 0;
		if (check_inode(e, ino, &inode, s, err) < 0)
			return -1;
	}
}

int kf_ext4_check(struct kf_ext4 *e, struct kf_err *err)
{
	struct survey s = {.seen = NULL};
	ext2_inode_scan scan;
	errcode_t code = ext2fs_allocate_block_bitmap(e->fs, "seen", &s.seen);
	int r;

	if (code)
		return kf_ext4_fail(e, code, "check it", err);
	mark_fixed(e->fs, s.seen);
	code = ext2fs_open_inode_scan(e->fs, 0, &scan);
	if (code) {
		r = kf_ext4_fail(e, code, "walk its inodes", err);
	} else {
		r = walk_inodes(e, scan, &s, err);
		ext2fs_close_inode_scan(scan);
	}
	if (r == 0 && ext2fs_compare_block_bitmap(s.seen, e->fs->block_map))
		r = kf_fail(
			err, EUCLEAN,
			"'%s': its block bitmap is not what its inodes use; run e2fsck -f on it "
			"first",
			e->name);
	ext2fs_free_block_bitmap(s.seen);
	return r;
}
