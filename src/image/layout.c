/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the root file system in a disk image: bare, in an MBR or in a GPT.  Reading and writing
 * it is in ext4.c, whether it can be booted in boot.c. */
#include "image/layout.h"

#include "base/cleanup.h"

#include <endian.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR	   512u
#define PARTITIONS 128u
#define SUPER	   1024u /* ext4's and erofs's superblocks lie that far into their partition */
#define MBR_TABLE  446u
#define GPT_ENTRY  128u
#define VERITY_TEXT                                                                             \
	"is measured (dm-verity): where a configuration has kernel_verity_params, the guest's " \
	"kernel refuses whatever is changed in it. For others, such as Kata's for plain QEMU, " \
	"--unmeasured makes an image without the hashes"

struct part {
	uint64_t offset, size;
	unsigned number;
};

/* The table that begins at byte @base of an image of @size bytes. */
struct part_table {
	uint64_t base, size;
	struct part v[PARTITIONS];
	size_t n;
};

/* Little-endian numbers at any address. */
static uint32_t read_le32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t read_le64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

/* Whether @n bytes at @offset are @magic; false behind the end of the file. */
static bool has_magic(int fd, uint64_t offset, const char *magic, size_t n)
{
	char buf[16];

	return n <= sizeof(buf) && pread(fd, buf, n, (off_t)offset) == (ssize_t)n &&
	       memcmp(buf, magic, n) == 0;
}

static bool is_ext4(int fd, uint64_t offset)
{
	return has_magic(fd, offset + SUPER + 56, "\x53\xef", 2);
}

/* Whether the beginning of the partition is all zeros. */
static bool is_empty(int fd, const struct part *part)
{
	static const char zeros[4096];
	char buf[4096];
	size_t n = part->size < sizeof(buf) ? (size_t)part->size : sizeof(buf);
	ssize_t got = pread(fd, buf, n, (off_t)part->offset);

	return got >= 0 && memcmp(buf, zeros, (size_t)got) == 0;
}

static int add_part(struct part_table *t, unsigned number, uint64_t first, uint64_t sectors,
		    const char *name, struct kf_err *err)
{
	uint64_t offset, size, end;

	if (__builtin_mul_overflow(first, SECTOR, &offset) ||
	    __builtin_mul_overflow(sectors, SECTOR, &size) ||
	    __builtin_add_overflow(offset, t->base, &offset) ||
	    __builtin_add_overflow(offset, size, &end) || end > t->size || !size)
		return kf_fail(err, EINVAL,
			       "'%s': partition %u does not lie within the image; it is damaged or "
			       "cut short",
			       name, number);
	if (t->n == PARTITIONS)
		return kf_fail(err, EINVAL, "'%s': more than %u partitions", name, PARTITIONS);
	t->v[t->n++] = (struct part){offset, size, number};
	return 0;
}

static int read_gpt(int fd, const char *name, struct part_table *t, struct kf_err *err)
{
	static const unsigned char unused[16];
	unsigned char head[92], entry[GPT_ENTRY];
	uint32_t count, size;
	uint64_t at;

	if (pread(fd, head, sizeof(head), (off_t)(t->base + SECTOR)) != (ssize_t)sizeof(head))
		return kf_fail(err, EINVAL, "'%s': its GPT is cut short", name);
	at = read_le64(head + 72);
	count = read_le32(head + 80);
	size = read_le32(head + 84);
	if (count > PARTITIONS || size < GPT_ENTRY || size > 4096 ||
	    __builtin_mul_overflow(at, SECTOR, &at) || __builtin_add_overflow(at, t->base, &at) ||
	    at > t->size)
		return kf_fail(err, EINVAL, "'%s': its GPT cannot be understood", name);
	for (uint32_t i = 0; i < count; i++) {
		if (pread(fd, entry, sizeof(entry), (off_t)(at + (uint64_t)i * size)) !=
		    (ssize_t)sizeof(entry))
			return kf_fail(err, EINVAL, "'%s': its GPT is cut short", name);
		if (memcmp(entry, unused, sizeof(unused)) == 0)
			continue;
		if (read_le64(entry + 40) < read_le64(entry + 32))
			return kf_fail(err, EINVAL, "'%s': partition %u ends before it begins",
				       name, i + 1);
		if (add_part(t, i + 1, read_le64(entry + 32),
			     read_le64(entry + 40) - read_le64(entry + 32) + 1, name, err) < 0)
			return -1;
	}
	return 0;
}

static int read_mbr(int fd, const char *name, struct part_table *t, struct kf_err *err)
{
	unsigned char sector[SECTOR];

	if (pread(fd, sector, sizeof(sector), (off_t)t->base) != (ssize_t)sizeof(sector))
		return kf_fail_sys(err, "read '%s'", name);
	for (unsigned i = 0; i < 4; i++) {
		const unsigned char *p = sector + MBR_TABLE + (size_t)i * 16;

		if (p[4] == 0xee) /* the protective one of a GPT */
			return read_gpt(fd, name, t, err);
		if (p[4] && add_part(t, i + 1, read_le32(p + 8), read_le32(p + 12), name, err) < 0)
			return -1;
	}
	return 0;
}

/* Refuse other file systems, each with its own advice. */
static int refuse_other(int fd, const char *name, uint64_t offset, struct kf_err *err)
{
	static const struct {
		unsigned at;
		char magic[8];
		size_t n;
		const char *what;
	} known[] = {
		{SUPER, "\xe2\xe1\xf5\xe0", 4, "erofs"},
		{0, "hsqs", 4, "squashfs"},
		{0, "LUKS\xba\xbe", 6, "an encrypted volume"},
		{0, "\x1f\x8b", 2, "compressed: decompress it"},
		{0, "070701", 6, "an initrd"},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(known); i++)
		if (has_magic(fd, offset + known[i].at, known[i].magic, known[i].n))
			return kf_fail(err, ENOTSUP,
				       "'%s' holds no ext4 file system, it is %s; only ext4 images "
				       "can be changed in place",
				       name, known[i].what);
	return kf_fail(err, EINVAL, "'%s' holds no ext4 file system, bare or in a partition", name);
}

static int from_table(int fd, const char *name, bool measured, const struct part_table *t,
		      struct kf_image_layout *ret, struct kf_err *err)
{
	const struct part *found = NULL;

	measured = measured && t->n == 2;
	for (const struct part *p = t->v; p < t->v + t->n; p++) {
		if (!measured && has_magic(fd, p->offset, "verity\0\0", 8))
			return kf_fail(err, ENOTSUP, "'%s' " VERITY_TEXT, name);
		if (!is_ext4(fd, p->offset))
			continue;
		if (found)
			return kf_fail(err, ENOTSUP,
				       "'%s': partitions %u and %u both hold ext4; it is not clear "
				       "which one "
				       "is the root file system",
				       name, found->number, p->number);
		found = p;
	}
	if (!found)
		return refuse_other(fd, name, t->n ? t->v[0].offset : 0, err);
	*ret = (struct kf_image_layout){found->offset, found->size, found->number, 0, 0};
	for (const struct part *p = t->v; p < t->v + t->n; p++) {
		if (p == found || is_empty(fd, p))
			continue;
		/* Measured images of Kata keep their hashes in another partition, without a
		 * superblock. */
		if (!measured)
			return kf_fail(err, ENOTSUP,
				       "'%s': partition %u is no file system, so this " VERITY_TEXT,
				       name, p->number);
		ret->hash_offset = p->offset;
		ret->hash_size = p->size;
	}
	return 0;
}

/* Whether something, such as hashes, lies behind a bare file system. */
static bool has_tail(int fd, uint64_t image_size)
{
	unsigned char super[104];
	uint64_t end;

	if (pread(fd, super, sizeof(super), SUPER) != (ssize_t)sizeof(super))
		return false;
	/* With more than 2^32 blocks this is not the end of the file system: then no hashes are
	 * found, as if there were none. */
	end = (uint64_t)read_le32(super + 4) << (10 + (read_le32(super + 24) & 15));
	return end < image_size && has_magic(fd, end, "verity\0\0", 8);
}

int kf_image_find_rootfs(int fd, const char *name, bool measured, struct kf_image_layout *ret,
			 struct kf_err *err)
{
	struct part_table t = {.n = 0};
	struct stat st;
	uint64_t size;

	if (fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", name);
	size = (uint64_t)st.st_size;
	if (is_ext4(fd, 0)) {
		if (has_tail(fd, size))
			return kf_fail(err, ENOTSUP, "'%s' " VERITY_TEXT, name);
		*ret = (struct kf_image_layout){.size = size};
		return 0;
	}
	if (!has_magic(fd, 510, "\x55\xaa", 2))
		return refuse_other(fd, name, 0, err);
	t.size = size;
	if (read_mbr(fd, name, &t, err) < 0)
		return -1;
	return from_table(fd, name, measured, &t, ret, err);
}

int kf_image_find_first(int fd, const char *name, uint64_t base, struct kf_image_layout *ret,
			struct kf_err *err)
{
	struct part_table t = {.base = base};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return kf_fail_sys(err, "stat '%s'", name);
	t.size = (uint64_t)st.st_size;
	if (!has_magic(fd, base + 510, "\x55\xaa", 2))
		return kf_fail(err, ENOENT, "'%s' has no table of partitions at byte %llu", name,
			       (unsigned long long)base);
	if (read_mbr(fd, name, &t, err) < 0)
		return -1;
	for (const struct part *p = t.v; p < t.v + t.n; p++)
		if (p->number == 1) {
			if (!is_ext4(fd, p->offset))
				return refuse_other(fd, name, p->offset, err);
			*ret = (struct kf_image_layout){p->offset, p->size, 1, 0, 0};
			return 0;
		}
	return kf_fail(err, ENOENT, "'%s' has no partition 1 in the table at byte %llu", name,
		       (unsigned long long)base);
}
