/* SPDX-License-Identifier: Apache-2.0 */
/* Rows about networks and sockets, and descriptors that others send. A part of attack.c, which has
 * the list of its rows. */
#ifndef KF_TESTS_ATTACK_SOCKETS_H
#define KF_TESTS_ATTACK_SOCKETS_H

static int make_socket(int family, int type, int protocol)
{
	return result(socket(family, type, protocol));
}

static int tcp_connect(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(PORT),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? errno : result(connect(fd, (void *)&a, sizeof(a)));
}

static int tcp_listen(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7070)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? errno : result(bind(fd, (void *)&a, sizeof(a))) ?: result(listen(fd, 1));
}

static int udp(void)
{
	return make_socket(AF_INET, SOCK_DGRAM, 0);
}
/* A datagram to @port of this machine, by a socket that is one of @family; @first: of which
 * another port is told to it first. */
static int udp_to(int family, uint16_t port, uint16_t first)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const bool six = family == AF_INET6;
	int fd = socket(family, SOCK_DGRAM, 0);

	inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
	if (fd < 0)
		return errno;
	if (first) {
		struct sockaddr_in other = to;

		other.sin_port = htons(first);
		if (connect(fd, (void *)&other, sizeof(other)) < 0)
			return errno;
	}
	return result(sendto(fd, "x", 1, 0, six ? (void *)&mapped : (void *)&to,
			     six ? sizeof(mapped) : sizeof(to)));
}

static int udp_send(void)
{
	return udp_to(AF_INET, PORT, 0);
}
static int udp_mapped(void)
{
	return udp_to(AF_INET6, PORT, 0);
}
static int udp_elsewhere(void)
{
	return udp_to(AF_INET, PORT + 1, PORT);
}

static int udp_listen(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7070)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd < 0 ? errno : result(bind(fd, (void *)&a, sizeof(a)));
}

static int tcp6(void)
{
	return make_socket(AF_INET6, SOCK_STREAM, 0);
}
static int raw(void)
{
	return make_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}
static int mptcp(void)
{
	return make_socket(AF_INET, SOCK_STREAM, 262);
}
static int packet(void)
{
	return make_socket(AF_PACKET, SOCK_RAW, 0);
}
static int vsock(void)
{
	return make_socket(AF_VSOCK, SOCK_STREAM, 0);
}
static int netlink_route(void)
{
	return make_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
}
static int netlink_uevent(void)
{
	return make_socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT);
}
static int io_uring(void)
{
	char params[120] = {0};
	return result(syscall(425, 1, params));
}

static int unix_to(const char *name, int abstract)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path + abstract, name, strlen(name));
	return fd < 0 ? -1
	       : connect(fd, (void *)&a,
			 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) +
				     (size_t)abstract)) < 0
		       ? -1
		       : fd;
}

static int unix_path(void)
{
	return result(unix_to(UNIX_PATH, 0));
}
static int unix_abstract(void)
{
	return result(unix_to(ABSTRACT, 1));
}

static int unix_granted(void)
{
	return result(unix_to(UNIX_GRANTED, 0));
}

static int unix_volume(void)
{
	return result(unix_to(UNIX_VOLUME, 0));
}

/* PID 1 hands out its own descriptors: of a file that may not be opened here, and of sockets
 * that have been nowhere yet. */
enum { SENT_FILE, SENT_TCP, SENT_UDP, NSENT };

static int receive(int which)
{
	char c, control[CMSG_SPACE(NSENT * sizeof(int))];
	struct iovec io = {&c, 1};
	struct msghdr m = {.msg_iov = &io,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	int fd = unix_to(UNIX_GRANTED, 0), sent[NSENT];

	if (fd < 0 || recvmsg(fd, &m, 0) < 0 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(sent, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(sent));
	return sent[which];
}

static int received_fd(void)
{
	int fd = receive(SENT_FILE);
	char c;

	return fd < 0 ? errno ?: EIO : result(pread(fd, &c, 1, 0));
}

static int received_socket(int which)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(PORT),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = receive(which);

	return fd < 0 ? errno ?: EIO : result(connect(fd, (void *)&a, sizeof(a)));
}
static int received_tcp(void)
{
	return received_socket(SENT_TCP);
}
static int received_udp(void)
{
	return received_socket(SENT_UDP);
}

#endif
