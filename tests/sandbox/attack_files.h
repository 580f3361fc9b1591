/* SPDX-License-Identifier: Apache-2.0 */
/* Rows about files: secrets that are read, the system that is written, and ways around paths. A
 * part of attack.c, which has the list of its rows. */
#ifndef KF_TESTS_ATTACK_FILES_H
#define KF_TESTS_ATTACK_FILES_H

static int token(void)
{
	return open_path(TOKEN, O_RDONLY);
}
static int token_var_run(void)
{
	return open_path("/var" TOKEN, O_RDONLY);
}
static int token_list(void)
{
	return open_path("/run/secrets", O_RDONLY | O_DIRECTORY);
}
static int ssh_key(void)
{
	return open_path(KEY, O_RDONLY);
}
static int netrc(void)
{
	return open_path("/root/.netrc", O_RDONLY);
}
static int other_home(void)
{
	return open_path("/home/user/.aws/credentials", O_RDONLY);
}
static int stat_key(void)
{
	struct stat st;
	return result(stat(KEY, &st));
}
static int write_etc(void)
{
	return open_path("/etc/target", O_WRONLY);
}
static int create_usr(void)
{
	return make_file("/usr/bin/evil");
}
static int create_root(void)
{
	return make_file("/evil");
}
static int mkdir_etc(void)
{
	return result(mkdir("/etc/evil", 0755));
}
static int truncate_etc(void)
{
	return result(truncate("/etc/target", 1));
}
static int unlink_etc(void)
{
	return result(unlink("/etc/victim"));
}
/* The three files that the containers of a pod share.  Nothing is changed, but where
 * the row asks for the change itself. */
static int write_hosts(void)
{
	return open_path("/etc/hosts", O_WRONLY | O_APPEND);
}
static int write_hostname(void)
{
	return open_path("/etc/hostname", O_WRONLY | O_APPEND);
}
static int write_resolv(void)
{
	return open_path("/etc/resolv.conf", O_WRONLY | O_APPEND);
}
static int truncate_resolv(void)
{
	return result(truncate("/etc/resolv.conf", 0));
}
/* A mount cannot be renamed over: detach it first. */
static int replace_resolv(void)
{
	int r = make_file("/tmp/resolv.conf");

	if (r == 0)
		r = result(umount2("/etc/resolv.conf", MNT_DETACH));
	return r ?: result(rename("/tmp/resolv.conf", "/etc/resolv.conf"));
}
static int move_etc(void)
{
	return result(rename("/etc", "/tmp/etc")) ?: result(rename("/tmp/etc", "/etc"));
}

/* Root drops to a user whom his own home is open to. */
static int as_user(const char *path)
{
	if (setgid(1000) < 0 || setuid(1000) < 0)
		return errno;
	return open_path(path, O_RDONLY);
}
static int user_key(void)
{
	return as_user("/home/user/.ssh/id_rsa");
}
static int user_secret(void)
{
	return as_user("/home/user/.aws/credentials");
}
static int write_nono(void)
{
	return open_path("/nono/nono", O_WRONLY);
}
static int create_nono(void)
{
	return make_file("/nono/evil");
}
static int write_proc_sys(void)
{
	return open_path("/proc/sys/kernel/hostname", O_WRONLY);
}

static int rename_out(void)
{
	int r = make_file("/tmp/out");

	return r ? r : result(rename("/tmp/out", "/etc/out"));
}

static int rename_in(void)
{
	return result(rename("/etc/movable", "/tmp/in"));
}
static int link_in(void)
{
	return result(link("/etc/target", "/tmp/linked"));
}
static int move_ssh(void)
{
	return result(rename("/root/.ssh", "/tmp/ssh")) ?: result(rename("/tmp/ssh", "/root/.ssh"));
}
static int move_secrets(void)
{
	return result(rename("/run/secrets", "/run/s")) ?: result(rename("/run/s", "/run/secrets"));
}

static int through_symlink(void)
{
	unlink("/tmp/link");
	return symlink(KEY, "/tmp/link") < 0 ? errno : open_path("/tmp/link", O_RDONLY);
}

static int through_proc_root(void)
{
	return open_path("/proc/1/root" KEY, O_RDONLY);
}
static int through_own_root(void)
{
	return open_path("/proc/self/root" KEY, O_RDONLY);
}

static int through_o_path(void)
{
	char name[64];
	int fd = open(KEY, O_PATH);

	if (fd < 0)
		return errno;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return open_path(name, O_RDONLY);
}

static int by_handle(void)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = {.h.handle_bytes = MAX_HANDLE_SZ};
	int mount, root = open("/", O_RDONLY), fd;
	char c;

	if (name_to_handle_at(AT_FDCWD, KEY, &u.h, &mount, 0) < 0)
		return errno;
	fd = open_by_handle_at(root, &u.h, O_RDONLY);
	return fd < 0 || read(fd, &c, 1) < 0 ? errno : 0;
}

static int by_open_tree(void)
{
	int tree = (int)syscall(428 /* open_tree */, AT_FDCWD, "/root/.ssh",
				1 /* CLONE */ | O_CLOEXEC);
	int fd = tree < 0 ? -1 : openat(tree, "id_rsa", O_RDONLY);
	char c;

	return fd < 0 || read(fd, &c, 1) < 0 ? errno : 0;
}

static int tmpfile_link(void)
{
	int fd = open("/tmp", O_TMPFILE | O_WRONLY, 0644);
	char name[64];

	if (fd < 0)
		return errno;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return result(linkat(AT_FDCWD, name, AT_FDCWD, "/etc/linked", AT_SYMLINK_FOLLOW));
}

static int after_chroot(void)
{
	return chroot("/root") < 0 ? errno : open_path("/.ssh/id_rsa", O_RDONLY);
}

static int change_mode(void)
{
	return result(chmod("/etc/target", 0600));
}
static int change_owner(void)
{
	return result(chown("/etc/target", 1, 1));
}
static int set_xattr(void)
{
	return result(setxattr("/etc/target", "trusted.kf", "x", 1, 0));
}

#endif
