/* SPDX-License-Identifier: Apache-2.0 */
/* Whether Kata can boot an image: what its kernel command line and its agent need of the image's
 * layout, file system and systemd units.  What was found missing in a real guest is a row or a
 * function here.  Where partitions lie is found in layout.c. */
#include "image/boot.h"

#include "base/cleanup.h"
#include "image/ext4_int.h"
#include "image/layout.h"

#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADVICE	      "images/kata-rootfs/build makes one that has all of it"
/* Linux' struct nd_pfn_sb, "the DAX header": it makes the kernel map the device's pages. */
#define PFN_AT	      4096
#define PFN_SIZE      4096
#define PFN_SIGNATURE "NVDIMM_PFN_INFO"
#define PFN_DATA      56
#define PFN_MODE      72
#define PFN_PAD	      76
#define PFN_TRUNC     80
#define PFN_ALIGN     84
#define PFN_MODE_RAM  1
/* The kernel adds memory to its map in pieces of that size. */
#define SECTION	      (2u << 20)
#define UNIT_MAX      (64 * 1024)
#define KATA_TARGET   "kata-containers.target"
#define AGENT_SERVICE "kata-agent.service"
#define TMP_MOUNT     "tmp.mount"

static uint32_t le32_at(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t le64_at(const unsigned char *p)
{
	return le32_at(p) | (uint64_t)le32_at(p + 4) << 32;
}

/* Fletcher's sum over 32-bit words; the last two are the sum itself and count as 0. */
static uint64_t pfn_sum(const unsigned char *sb)
{
	uint64_t high = 0;
	uint32_t low = 0;

	for (unsigned i = 0; i < PFN_SIZE; i += 4) {
		low += i < PFN_SIZE - 8 ? le32_at(sb + i) : 0;
		high += low;
	}
	return high << 32 | low;
}

/* Find where the data behind the DAX header begins. */
static int find_data(int fd, const char *name, uint64_t size, uint64_t *ret, struct kf_err *err)
{
	unsigned char sb[PFN_SIZE];
	uint64_t data;
	uint32_t align;

	if (pread(fd, sb, sizeof(sb), PFN_AT) != (ssize_t)sizeof(sb) ||
	    memcmp(sb, PFN_SIGNATURE, sizeof(PFN_SIGNATURE)) != 0)
		return kf_fail(err, EINVAL,
			       "'%s' has no DAX header (Linux' nd_pfn superblock at 4 KiB): as an "
			       "NVDIMM its file system cannot be mounted with the option 'dax' "
			       "that Kata passes; " ADVICE
			       ", or set disable_image_nvdimm = true (Go) or vm_rootfs_driver = "
			       "\"virtio-blk-pci\" (Rust)",
			       name);
	data = le64_at(sb + PFN_DATA);
	align = le32_at(sb + PFN_ALIGN);
	if (pfn_sum(sb) != le64_at(sb + PFN_SIZE - 8) || le32_at(sb + PFN_MODE) != PFN_MODE_RAM ||
	    le32_at(sb + PFN_PAD) || le32_at(sb + PFN_TRUNC) || !align || align & (align - 1) ||
	    data < PFN_AT + PFN_SIZE || data % align || data >= size)
		return kf_fail(
			err, EINVAL,
			"'%s': its DAX header (at 4 KiB) is not one that Linux accepts; " ADVICE,
			name);
	if (size % SECTION)
		return kf_fail(err, EINVAL,
			       "'%s' is not a multiple of 2 MiB long, so that Linux refuses it as "
			       "an NVDIMM with a DAX header; truncate -s %%2M on a copy",
			       name);
	*ret = data;
	return 0;
}

/* Find the root file system as the kernel finds it, in each of the ways @how. */
static int find_root(int fd, const char *name, unsigned how, struct kf_image_layout *ret,
		     struct kf_err *err)
{
	struct kf_image_layout block = {0}, nvdimm = {0};
	struct stat st;
	uint64_t data;

	if (fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", name);
	if (how & KF_IMAGE_BLOCK && kf_image_find_first(fd, name, 0, &block, err) < 0)
		return err->code == ENOENT
			       ? kf_fail_wrap(err, "Kata boots partition 1 (root=/dev/vda1)")
			       : -1;
	if (how & KF_IMAGE_NVDIMM) {
		if (find_data(fd, name, (uint64_t)st.st_size, &data, err) < 0)
			return -1;
		if (kf_image_find_first(fd, name, data, &nvdimm, err) < 0)
			return err->code == ENOENT
				       ? kf_fail_wrap(err, "Kata boots partition 1 behind the DAX "
							   "header (root=/dev/pmem0p1)")
				       : -1;
	}
	if (block.partition && nvdimm.partition && block.offset != nvdimm.offset)
		return kf_fail(err, EINVAL,
			       "'%s': partition 1 is one file system as a disk and another one as "
			       "an NVDIMM; the two tables of partitions must name the same",
			       name);
	*ret = block.partition ? block : nvdimm;
	/* What both tables have room for. */
	if (nvdimm.partition && nvdimm.size < ret->size)
		ret->size = nvdimm.size;
	return 0;
}

static int check_mount(const struct kf_ext4 *e, unsigned how, struct kf_err *err)
{
	struct ext2_super_block *s = e->fs->super;

	if (!ext2fs_has_feature_journal(s))
		return kf_fail(err, EINVAL,
			       "'%s' has no journal: Kata passes data=ordered, with which Linux "
			       "mounts no ext4 without one; add it to a copy (tune2fs -j), or "
			       "build it without '^has_journal'",
			       e->name);
	if (!(how & KF_IMAGE_NVDIMM))
		return 0;
	if (e->fs->blocksize != 4096)
		return kf_fail(err, EINVAL,
			       "'%s' has blocks of %u bytes: with the option 'dax' that Kata "
			       "passes, Linux mounts only ext4 with 4096",
			       e->name, e->fs->blocksize);
	if (ext2fs_has_feature_inline_data(s) || ext2fs_has_feature_encrypt(s))
		return kf_fail(err, EINVAL,
			       "'%s' has the feature inline_data or encrypt, with which Linux "
			       "mounts no ext4 with the option 'dax' that Kata passes; build it "
			       "without",
			       e->name);
	return 0;
}

/* Where systemd looks for units, the first one counts. */
static const char *const unit_dirs[] = {"/etc/systemd/system", "/usr/local/lib/systemd/system",
					"/usr/lib/systemd/system", "/lib/systemd/system", NULL};

/* Whether unit @unit is there and not masked; then *ret_text is its file, the caller's. */
static int read_unit(struct kf_ext4 *e, const char *unit, char **ret_text, struct kf_err *err)
{
	*ret_text = NULL;
	for (const char *const *dir = unit_dirs; *dir; dir++) {
		struct ext2_inode inode;
		char path[128];
		unsigned ino;

		(void)snprintf(path, sizeof(path), "%s/%s", *dir, unit);
		if (kf_ext4_inode(e, path, false, &ino, &inode, err) < 0)
			return -1;
		if (!ino)
			continue;
		/* A link to /dev/null, or to nothing, masks it. */
		if (kf_ext4_read(e, path, UNIT_MAX, ret_text, err) < 0 && err->code != ENOENT)
			return -1;
		return 0;
	}
	return 0;
}

/* The targets that are reached before the agent starts. */
static const char *const early_targets[] = {KATA_TARGET, "basic.target", "sysinit.target",
					    "local-fs.target", NULL};

/* Whether the file @text of a unit names tmp.mount in Requires= or Wants=. */
static bool is_wanting_tmp(const char *text)
{
	static const char *const keys[] = {"Requires=", "Wants="};

	for (const char *line = text; line; line = strchr(line, '\n')) {
		const char *at;

		line += *line == '\n';
		at = strstr(line, TMP_MOUNT);
		for (size_t i = 0; i < KF_ARRAY_SIZE(keys); i++)
			if (strncmp(line, keys[i], strlen(keys[i])) == 0 && at &&
			    at < line + strcspn(line, "\n"))
				return true;
	}
	return false;
}

/* Whether a directory TARGET.wants or TARGET.requires has tmp.mount in it. */
static int is_linked(struct kf_ext4 *e, const char *target, bool *ret, struct kf_err *err)
{
	static const char *const how[] = {"wants", "requires"};

	for (const char *const *dir = unit_dirs; *dir; dir++)
		for (size_t i = 0; i < KF_ARRAY_SIZE(how); i++) {
			struct ext2_inode inode;
			char path[160];
			unsigned ino;

			(void)snprintf(path, sizeof(path), "%s/%s.%s/" TMP_MOUNT, *dir, target,
				       how[i]);
			if (kf_ext4_inode(e, path, false, &ino, &inode, err) < 0)
				return -1;
			*ret = *ret || ino;
		}
	return 0;
}

/* Whether /etc/fstab mounts something at /tmp. */
static int is_in_fstab(struct kf_ext4 *e, bool *ret, struct kf_err *err)
{
	KF_FREE char *text = NULL;

	if (kf_ext4_read(e, "/etc/fstab", UNIT_MAX, &text, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	for (char *line = text, *next; line && !*ret; line = next) {
		char *what, *where, *save;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		what = strtok_r(line, " \t", &save);
		where = strtok_r(NULL, " \t", &save);
		*ret = what && *what != '#' && where && strcmp(where, "/tmp") == 0;
	}
	return 0;
}

static int is_tmp_mounted(struct kf_ext4 *e, bool *ret, struct kf_err *err)
{
	KF_FREE char *unit = NULL;
	bool wanted = false;

	*ret = false;
	if (read_unit(e, TMP_MOUNT, &unit, err) < 0 || is_in_fstab(e, ret, err) < 0)
		return -1;
	if (!unit || *ret)
		return 0;
	for (const char *const *target = early_targets; *target && !wanted; target++) {
		KF_FREE char *text = NULL;

		if (read_unit(e, *target, &text, err) < 0 ||
		    is_linked(e, *target, &wanted, err) < 0)
			return -1;
		wanted = wanted || (text && is_wanting_tmp(text));
	}
	*ret = wanted;
	return 0;
}

/* Whether the first process is systemd. */
static int is_systemd(struct kf_ext4 *e, bool *ret, struct kf_err *err)
{
	static const char *const places[] = {"/usr/lib/systemd/systemd", "/lib/systemd/systemd"};
	struct ext2_inode inode;
	unsigned init, ino;

	*ret = false;
	if (kf_ext4_inode(e, "/sbin/init", true, &init, &inode, err) < 0)
		return -1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(places) && init; i++) {
		if (kf_ext4_inode(e, places[i], true, &ino, &inode, err) < 0)
			return -1;
		*ret = *ret || ino == init;
	}
	return 0;
}

static int check_units(struct kf_ext4 *e, struct kf_err *err)
{
	static const char *const units[] = {KATA_TARGET, AGENT_SERVICE};
	struct ext2_inode inode;
	unsigned ino;
	bool ok;

	if (is_systemd(e, &ok, err) < 0)
		return -1;
	if (!ok)
		return kf_fail(err, EINVAL,
			       "'%s': its /sbin/init is not systemd, which Kata's command line "
			       "(systemd.unit=" KATA_TARGET ") is for; " ADVICE,
			       e->name);
	for (size_t i = 0; i < KF_ARRAY_SIZE(units); i++) {
		KF_FREE char *text = NULL;

		if (read_unit(e, units[i], &text, err) < 0)
			return -1;
		if (!text)
			return kf_fail(
				err, EINVAL,
				"'%s' has no unit '%s', which Kata's command line starts; " ADVICE,
				e->name, units[i]);
	}
	if (kf_ext4_inode(e, "/tmp", false, &ino, &inode, err) < 0 ||
	    is_tmp_mounted(e, &ok, err) < 0)
		return -1;
	if (!ok || !ino || !LINUX_S_ISDIR(inode.i_mode))
		return kf_fail(err, EINVAL,
			       "'%s': its /tmp is read-only, for the root file system is and no "
			       "unit '" TMP_MOUNT "' that is started lies over it: with "
			       "enable_debug the agent writes there and ends; add the unit, with "
			       "'Requires=" TMP_MOUNT "' in '" KATA_TARGET "'",
			       e->name);
	return 0;
}

int kf_image_check_boot(int fd, const char *name, unsigned how, struct kf_err *err)
{
	struct kf_image_layout at;
	struct kf_ext4 *e;
	int r;

	if (find_root(fd, name, how, &at, err) < 0 ||
	    kf_ext4_open(fd, name, at.offset, at.size, false, &e, err) < 0)
		return -1;
	r = check_mount(e, how, err);
	if (r == 0)
		r = check_units(e, err);
	kf_ext4_done(e);
	return r;
}
