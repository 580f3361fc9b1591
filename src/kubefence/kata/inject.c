/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence kata inject: puts launcher, profiles and agent policy into a guest's root file system
 * image that Kata can boot.  The image is found, checked and written by src/image. */
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"
#include "cli/print.h"
#include "image/boot.h"
#include "image/ext4.h"
#include "image/layout.h"
#include "kubefence/kata/kata.h"
#include "kubefence/profile/find.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The same places as on a node: the launcher reads its profiles from beside itself. */
#define GUEST_LAUNCHER KF_NODE_LAUNCHER
#define GUEST_PROFILES "/opt/nono-nri/profiles/"
/* The file that the kata-agent reads at its start; Kata's own is a symlink to allow-all.rego. */
#define GUEST_POLICY   "/etc/kata-opa/default-policy.rego"

#define IMAGE_MAX      (64LL * 1024 * 1024 * 1024)
#define PROGRAM_MAX    (16 * 1024 * 1024)
#define FILES_MAX      256

struct guest_file {
	const char *path;
	const char *data;
	size_t n;
	mode_t mode;
};

struct inject {
	const char *image, *out, *launcher, *profile_dir, *policy;
	bool unmeasured; /* an image with hashes becomes one without */
	unsigned boot;	 /* in which ways Kata must be able to boot it; 0: it is not checked */
	struct kf_profiles profiles;
	char *program, *rego;
	struct guest_file files[FILES_MAX];
	size_t nfiles;
};

static int add_file(struct inject *in, const char *path, const char *data, size_t n, mode_t mode,
		    struct kf_err *err)
{
	if (!path)
		return kf_fail_nomem(err, "files");
	if (in->nfiles == FILES_MAX)
		return kf_fail(err, E2BIG, "more than %d files to put into the image", FILES_MAX);
	in->files[in->nfiles++] = (struct guest_file){path, data, n, mode};
	return 0;
}

static int add_launcher(struct inject *in, struct kf_err *err)
{
	char own[PATH_MAX];
	KF_CLOSE int dir = -1;
	size_t n;

	if (!in->launcher)
		dir = open(kf_own_directory(own, sizeof(own)) ? own : ".",
			   O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (kf_file_slurp(in->launcher ? AT_FDCWD : dir, in->launcher ?: "nono", PROGRAM_MAX,
			  &in->program, &n, err) < 0)
		return kf_fail_wrap(err, "the launcher (see --launcher)");
	if (n < 4 || memcmp(in->program, "\177ELF", 4) != 0)
		return kf_fail(err, ENOEXEC, "--launcher '%s' is not a program",
			       in->launcher ?: "nono");
	return add_file(in, GUEST_LAUNCHER, in->program, n, 0755, err);
}

/* Add all profiles: if a directory of profiles exists, the launcher's built-in ones are not used.
 */
static int add_profiles(struct inject *in, struct kf_err *err)
{
	struct kf_profiles *p = &in->profiles;

	if (in->profile_dir && kf_profiles_add_dir(p, in->profile_dir, err) < 0)
		return kf_fail_wrap(err, "--profiles");
	for (size_t i = 0; i < p->library.n; i++) {
		const char *name = p->library.v[i].name;
		struct kf_compiled compiled;
		size_t first = 0;

		while (strcmp(p->library.v[first].name, name) != 0)
			first++;
		if (first != i)
			continue; /* an earlier one has the same name */
		if (kf_profiles_compile(p, name, &compiled, err) < 0) {
			(void)kf_profiles_report(p);
			return kf_fail_wrap(err, "profile '%s'", name);
		}
		if (add_file(in, kf_arena_printf(&p->arena, GUEST_PROFILES "%s", name),
			     compiled.text, compiled.n, 0644, err) < 0)
			return -1;
	}
	return 0;
}

static int add_policy(struct inject *in, struct kf_err *err)
{
	size_t n;

	if (!in->policy)
		return 0;
	if (kf_file_slurp(AT_FDCWD, in->policy, KF_LIMIT_CONFIG, &in->rego, &n, err) < 0)
		return kf_fail_wrap(err, "--policy");
	/* With another text the agent would allow everything, or refuse everything. */
	if (memchr(in->rego, '\0', n) || !strstr(in->rego, "package agent_policy"))
		return kf_fail(err, EINVAL,
			       "--policy '%s' is no policy of the kata-agent's: it has no line "
			       "'package agent_policy'",
			       in->policy);
	return add_file(in, GUEST_POLICY, in->rego, n, 0644, err);
}

/* Copy the file without its holes. */
static int copy_image(int from, int to, off_t size, const char *name, struct kf_err *err)
{
	KF_FREE char *buf = malloc(1 << 20);
	off_t at = 0;

	if (!buf)
		return kf_fail_nomem(err, name);
	if (ftruncate(to, size) < 0)
		return kf_fail_sys(err, "write '%s'", name);
	while (at < size && (at = lseek(from, at, SEEK_DATA)) >= 0) {
		off_t end = lseek(from, at, SEEK_HOLE);

		if (end < 0)
			return kf_fail_sys(err, "read the image");
		for (ssize_t got; at < end; at += got) {
			size_t want = end - at < 1 << 20 ? (size_t)(end - at) : 1 << 20;

			got = pread(from, buf, want, at);
			if (got <= 0)
				return kf_fail(err, got ? errno : EIO, "read the image");
			if (lseek(to, at, SEEK_SET) < 0 ||
			    kf_write_all(to, buf, (size_t)got, err) < 0)
				return kf_fail_wrap(err, "'%s'", name);
		}
	}
	return at < 0 && errno != ENXIO ? kf_fail_sys(err, "read the image") : 0;
}

/* Fill the partition with the hashes of what is about to change with zeros. */
static int remove_hashes(const struct inject *in, int fd, const struct kf_image_layout *at,
			 struct kf_err *err)
{
	if (!at->hash_size)
		return 0;
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at->hash_offset,
		      (off_t)at->hash_size) < 0)
		return kf_fail_sys(err, "remove the hashes beside '%s'", in->out);
	return 0;
}

static int change_image(const struct inject *in, int fd, const struct kf_image_layout *at,
			struct kf_err *err)
{
	struct kf_ext4 *e;

	if (remove_hashes(in, fd, at, err) < 0 ||
	    kf_ext4_open(fd, in->image, at->offset, at->size, true, &e, err) < 0)
		return -1;
	if (kf_ext4_check(e, err) < 0)
		goto fail;
	for (size_t i = 0; i < in->nfiles; i++)
		if (kf_ext4_put(e, in->files[i].path, in->files[i].data, in->files[i].n,
				in->files[i].mode, err) < 0)
			goto fail;
	return kf_ext4_close(e, err);
fail:
	kf_ext4_done(e);
	return -1;
}

/* Read back what was written, and check the whole file system. */
static int verify_image(const struct inject *in, int fd, const struct kf_image_layout *at,
			unsigned inodes[static FILES_MAX], struct kf_err *err)
{
	struct kf_image_layout after;
	struct kf_ext4 *e;
	bool there = true;
	int r;

	/* Nothing says of it any more that it is measured. */
	if (kf_image_find_rootfs(fd, in->out, false, &after, err) < 0 ||
	    (in->boot && kf_image_check_boot(fd, in->out, in->boot, err) < 0) ||
	    kf_ext4_open(fd, in->out, at->offset, at->size, false, &e, err) < 0)
		return -1;
	r = kf_ext4_check(e, err);
	for (size_t i = 0; i < in->nfiles && r == 0; i++) {
		const struct guest_file *f = &in->files[i];

		r = kf_ext4_exists(e, f->path, f->data, f->n, f->mode, &there, &inodes[i], err);
		if (r == 0 && !there)
			r = kf_fail(err, EIO, "'%s': '%s' was written, but cannot be read back",
				    in->out, f->path);
	}
	kf_ext4_done(e);
	return r;
}

/* Make the complete file @name in directory @dir from the open image @from. */
static int make_image(const struct inject *in, int from, const struct stat *st, int dir,
		      const char *name, struct kf_err *err)
{
	unsigned inodes[FILES_MAX] = {0};
	struct kf_image_layout at;
	char tmp[NAME_MAX + 1];
	KF_CLOSE int fd = -1;
	int n;

	n = snprintf(tmp, sizeof(tmp), ".%s.%ld.tmp", name, (long)getpid());
	if (!*name || n < 0 || (size_t)n >= sizeof(tmp))
		return kf_fail(err, EINVAL, "--out '%s' is not a usable file name", in->out);
	if (kf_image_find_rootfs(from, in->image, in->unmeasured, &at, err) < 0 ||
	    (in->boot && kf_image_check_boot(from, in->image, in->boot, err) < 0))
		return -1;
	fd = openat(dir, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return kf_fail_sys(err, "create '%s' beside '%s'", tmp, in->out);
	if (copy_image(from, fd, st->st_size, tmp, err) < 0 || change_image(in, fd, &at, err) < 0 ||
	    verify_image(in, fd, &at, inodes, err) < 0)
		goto fail;
	if (fchmod(fd, 0644) < 0 || fsync(fd) < 0 || renameat(dir, tmp, dir, name) < 0 ||
	    fsync(dir) < 0) {
		kf_err_set_sys(err, "write '%s'", in->out);
		goto fail;
	}
	for (size_t i = 0; i < in->nfiles; i++)
		kf_print_line(stdout, "%-10s %s: inode %u, %zu bytes", "injected",
			      in->files[i].path, inodes[i], in->files[i].n);
	if (at.hash_size)
		kf_print_line(stdout, "%-10s %s: its hashes (dm-verity)", "removed", in->out);
	if (at.partition)
		kf_print_line(stdout, "%-10s %s: partition %u", "verified", in->out, at.partition);
	else
		kf_print_line(stdout, "%-10s %s", "verified", in->out);
	return 0;
fail:
	(void)unlinkat(dir, tmp, 0);
	return -1;
}

static int inject_files(struct inject *in, struct kf_err *err)
{
	KF_CLOSE int from = open(in->image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *name = kf_path_base(in->out);
	KF_FREE char *dir_name = strndup(in->out, (size_t)(name - in->out));
	KF_CLOSE int dir = -1;
	struct stat st, old;

	if (from < 0 || fstat(from, &st) < 0)
		return kf_fail_sys(err, "open '%s'", in->image);
	if (!S_ISREG(st.st_mode) || st.st_size > IMAGE_MAX)
		return kf_fail(err, EINVAL, "'%s' is not a regular file of at most 64 GiB",
			       in->image);
	if (!dir_name)
		return kf_fail_nomem(err, "--out");
	dir = open(*dir_name ? dir_name : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return kf_fail_sys(err, "open directory of '%s'", in->out);
	if (fstatat(dir, name, &old, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (!S_ISREG(old.st_mode) || (old.st_dev == st.st_dev && old.st_ino == st.st_ino)))
		return kf_fail(
			err, EEXIST,
			"--out '%s' is the image itself or not a regular file; choose another "
			"name",
			in->out);
	if (add_launcher(in, err) < 0 || add_profiles(in, err) < 0 || add_policy(in, err) < 0)
		return -1;
	return make_image(in, from, &st, dir, name, err);
}

#define BOOT_WORDS "both|nvdimm|virtio-blk|unchecked"

#define OPTION(name_, value_, member, help_)                                  \
	{                                                                     \
		.name = (name_), .kind = KF_OPTION_STRING, .value = (value_), \
		KF_OPTION_AT(struct inject, member), .help = (help_)          \
	}

static int take_boot(void *target, const char *arg, struct kf_err *err)
{
	static const unsigned ways[] = {KF_IMAGE_BLOCK | KF_IMAGE_NVDIMM, KF_IMAGE_NVDIMM,
					KF_IMAGE_BLOCK, 0};
	int word = kf_options_word(BOOT_WORDS, arg);

	if (word < 0)
		return kf_fail(err, EINVAL, "'%.40s' is none of " BOOT_WORDS, arg);
	*(unsigned *)target = ways[word];
	return 0;
}

static int run_inject(const struct kf_command *self, int argc, char **argv)
{
	struct inject in = {.boot = KF_IMAGE_BLOCK | KF_IMAGE_NVDIMM};
	struct kf_arguments arguments;
	struct kf_err err;
	int r, status;

	if (!kf_command_parse(self, argc, argv, &in, &arguments, &status))
		return status;
	if (!in.image || !in.out)
		return kf_command_usage("--image and --out are needed");
	kf_profiles_init(&in.profiles);
	r = inject_files(&in, &err);
	kf_profiles_done(&in.profiles);
	free(in.program);
	free(in.rego);
	return r < 0 ? kf_command_fail("%s", err.msg) : KF_EXIT_OK;
}

const struct kf_command kf_cmd_kata_inject = {
	.name = "inject",
	.summary = "put launcher, profiles and policy into a guest's image",
	.about = "Puts the launcher, profiles and an agent policy into a copy of a guest's root "
		 "file\n"
		 "system image: ext4, bare or in an MBR or GPT partition.  The image itself stays\n"
		 "as it is.",
	.options =
		(const struct kf_option[]){
			OPTION("image", "FILE", image, "the image to start from"),
			OPTION("out", "FILE", out,
			       "the new one; appears when it is complete and verified"),
			OPTION("launcher", "FILE", launcher,
			       "(default: nono beside this program) -> " GUEST_LAUNCHER),
			OPTION("profiles", "DIR", profile_dir,
			       "profiles besides the built-in ones -> " GUEST_PROFILES),
			OPTION("policy", "FILE", policy,
			       "agent policy (Rego), as 'kubefence kata policy' writes it "
			       "-> " GUEST_POLICY),
			{
				.name = "unmeasured",
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct inject, unmeasured),
				.help = "take an image with hashes (dm-verity), and leave them "
					"out: not for configurations with kernel_verity_params",
			},
			{
				.name = "boot",
				.kind = KF_OPTION_CALL,
				.value = BOOT_WORDS,
				KF_OPTION_AT(struct inject, boot),
				.call = take_boot,
				.help = "how Kata must be able to boot it (default: both); "
					"unchecked is for a kernel command line of your own",
			},
			{0},
		},
	.run = run_inject,
};
