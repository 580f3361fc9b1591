/* SPDX-License-Identifier: Apache-2.0 */
/* fuse: a file system with one file, in two processes.
 *
 *	fuse serve SOCKET       opens /dev/fuse, gives the descriptor to whoever connects, and
 *answers the kernel: what a sandboxed process can do that was given the device fuse mount SOCKET
 *DIR   outside: mounts what it gets there at DIR, and prints DIR/file fuse own DIR            opens
 *and mounts by itself; prints "mounted" or why not */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT	"served from inside\n"
#define FILE_ID 2

static void die(const char *what)
{
	printf("%s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

static int at_socket(const char *path, int (*with)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	if (fd < 0 || with(fd, (void *)&a, sizeof(a)) < 0)
		die(path);
	return fd;
}

/* Send the descriptor *fd, or receive one into it. */
static void pass(int peer, int *fd, ssize_t (*message)(int peer, struct msghdr *m))
{
	char c = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec io = {&c, 1};
	struct msghdr m = {.msg_iov = &io,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), fd, sizeof(*fd));
	if (message(peer, &m) < 0)
		die("descriptor");
	memcpy(fd, CMSG_DATA(h), sizeof(*fd));
}

static ssize_t send_one(int peer, struct msghdr *m)
{
	return sendmsg(peer, m, 0);
}
static ssize_t receive_one(int peer, struct msghdr *m)
{
	return recvmsg(peer, m, 0);
}

static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = node == FILE_ID ? strlen(TEXT) : 0,
		.mode = node == FILE_ID ? S_IFREG | 0444 : S_IFDIR | 0555,
		.nlink = 1,
	};
}

static void answer(int fd, uint64_t unique, int error, const void *data, size_t n)
{
	char out[4096];
	struct fuse_out_header h = {
		.len = (uint32_t)(sizeof(h) + n), .error = -error, .unique = unique};

	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), data, n);
	if (write(fd, out, h.len) < 0)
		die("answer");
}

static void serve(int fd)
{
	static char in[1 << 20];

	for (;;) {
		ssize_t n = read(fd, in, sizeof(in));
		const struct fuse_in_header *h = (void *)in;
		const char *rest = in + sizeof(*h);
		struct fuse_entry_out entry = {.nodeid = FILE_ID, .attr = attributes(FILE_ID)};
		struct fuse_attr_out attr = {.attr = attributes(h->nodeid)};
		struct fuse_init_out init = {
			.major = FUSE_KERNEL_VERSION, .minor = 26, .max_write = 4096};
		struct fuse_open_out opened = {.fh = 1};

		/* Unmounted: who is first in a container stays, so that others can end. */
		while (n < 0 && errno == ENODEV)
			pause();
		if (n < 0)
			die("request");
		switch (h->opcode) {
		case FUSE_INIT:
			answer(fd, h->unique, 0, &init, sizeof(init));
			break;
		case FUSE_LOOKUP:
			answer(fd, h->unique, strcmp(rest, "file") ? ENOENT : 0, &entry,
			       strcmp(rest, "file") ? 0 : sizeof(entry));
			break;
		case FUSE_GETATTR:
			answer(fd, h->unique, 0, &attr, sizeof(attr));
			break;
		case FUSE_OPEN:
			answer(fd, h->unique, 0, &opened, sizeof(opened));
			break;
		case FUSE_READ:
			answer(fd, h->unique, 0, TEXT,
			       ((const struct fuse_read_in *)(const void *)rest)->offset
				       ? 0
				       : strlen(TEXT));
			break;
		case FUSE_FORGET:
		case FUSE_INTERRUPT:
			break;
		default:
			answer(fd, h->unique,
			       h->opcode == FUSE_FLUSH || h->opcode == FUSE_RELEASE ? 0 : ENOSYS,
			       "", 0);
		}
	}
}

static int mount_at(int fd, const char *dir)
{
	char options[64];

	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	return mount("kf", dir, "fuse", 0, options);
}

static int open_device(void)
{
	int fd = open("/dev/fuse", O_RDWR);

	if (fd < 0)
		die("/dev/fuse");
	return fd;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	char name[256], text[64] = "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(what, "serve") == 0) {
		int fd = open_device(), s = at_socket(argv[2], bind), peer;

		if (listen(s, 1) < 0)
			die("listen");
		puts("ready");
		peer = accept(s, NULL, NULL);
		pass(peer, &fd, send_one);
		/* There is nothing to answer before it is mounted. */
		if (read(peer, text, 1) != 1)
			die("mounter");
		serve(fd);
	} else if (strcmp(what, "mount") == 0 && argc > 3) {
		int fd = -1, file, peer = at_socket(argv[2], connect);

		pass(peer, &fd, receive_one);
		if (mount_at(fd, argv[3]) < 0 || write(peer, "x", 1) != 1)
			die("mount");
		snprintf(name, sizeof(name), "%s/file", argv[3]);
		file = open(name, O_RDONLY);
		if (file < 0 || read(file, text, sizeof(text) - 1) < 0)
			die(name);
		(void)!write(STDOUT_FILENO, text, strlen(text));
	} else if (strcmp(what, "own") == 0) {
		if (mount_at(open_device(), argv[2]) < 0)
			die("mount");
		puts("mounted");
	}
	return 0;
}
