/* SPDX-License-Identifier: Apache-2.0 */
/* A container for what asks the kernel about the one it is in: mounts of its own, below a tmpfs
 * that is made as an image and a runtime would make it.  For the child of apart(): the thread that
 * ends it stays outside. */
#ifndef KF_TESTS_CONTAINER_H
#define KF_TESTS_CONTAINER_H

#include "apart.h"
#include "valgrind.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

static inline bool make_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		(void)close(fd);
	return ok;
}

/* Directories, one for each word of @list. */
static inline bool make_dirs(const char *list)
{
	char copy[1024], *rest = copy, *path;

	(void)snprintf(copy, sizeof(copy), "%s", list);
	while ((path = strsep(&rest, " ")))
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return false;
	return true;
}

static inline bool make_device(const char *path, unsigned major, unsigned minor)
{
	return mknod(path, S_IFCHR | 0666, makedev(major, minor)) == 0 && chmod(path, 0666) == 0;
}

/* Mount @path over itself, read-only, as runtimes do with what they close. */
static inline bool bind_read_only(const char *path)
{
	return mount(path, path, NULL, MS_BIND, NULL) == 0 &&
	       mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0;
}

/* Only root mounts. */
static inline bool can_make_containers(void)
{
	return geteuid() == 0 && !under_valgrind();
}

/* Where containers are mounted: a group's setup and teardown. */
static char container_root[] = "/tmp/kf-container-XXXXXX";

static inline int make_container_root(void **state)
{
	(void)state;
	return mkdtemp(container_root) ? 0 : -1;
}

static inline int remove_container_root(void **state)
{
	(void)state;
	return rmdir(container_root);
}

/* Enter the container that @make makes, relative to its root. */
static inline bool enter_container(bool (*make)(void))
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("kf", container_root, "tmpfs", 0, "mode=755") < 0 || chdir(container_root) < 0 ||
	    !make())
		return false;
	/* The old root lies over the new one until it is gone. */
	return syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 &&
	       chdir("/") == 0;
}

/* LeakSanitizer, if it is there, asks this; it looks for its process in a /proc where that has
 * another number. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return getpid() == 1;
}

static int (*first_process)(void);

static inline int wait_for_first(void)
{
	return unshare(CLONE_NEWPID) < 0 ? 253 : apart(first_process);
}

/* As apart(); @fn is process 1 of a PID namespace. */
static inline int apart_as_first(int (*fn)(void))
{
	int status;
	pid_t pid;

	first_process = fn;
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(wait_for_first());
	return pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)
		       ? -1
		       : WEXITSTATUS(status);
}

/* Define test @name: @fn in a process of its own, started by @run (apart.h), where mount namespaces
 * can be had. */
#define IN_CONTAINER(name, run, fn)           \
	static void name(void **state)        \
	{                                     \
		(void)state;                  \
		if (!can_make_containers())   \
			skip();               \
		assert_int_equal(run(fn), 0); \
	}

#endif
