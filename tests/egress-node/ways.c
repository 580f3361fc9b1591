/* SPDX-License-Identifier: Apache-2.0 */
/* ways ADDRESS ADDRESS6 NAMESERVER MARK [WAY]: tries each way out of a network that a program has,
 * and prints what became of it.  Whether anything left the pod, the test sees at the other end of
 * its veth.  ways say HEX: sends these bytes to the broker and prints what it answers, until it
 * closes or says no more for some seconds.  ways hammer ADDRESS: tries to get there again and
 * again, until it is ended. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sockaddr_in four;
static struct sockaddr_in6 six;
static struct sockaddr_in dns;
static char text[64];

/* "sent", or why not; at most three seconds. */
static const char *go(int fd, const void *address, socklen_t n, int port)
{
	struct sockaddr_storage to;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t size = sizeof(error);

	if (fd < 0)
		return strerror(errno);
	memcpy(&to, address, n);
	((struct sockaddr_in *)(void *)&to)->sin_port = htons((uint16_t)port);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (struct sockaddr *)&to, n) < 0 && errno != EINPROGRESS)
		return strerror(errno);
	if (poll(&p, 1, 3000) <= 0)
		return "timeout";
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error)
		return strerror(error);
	return send(fd, "x", 1, MSG_NOSIGNAL) == 1 ? "sent" : strerror(errno);
}

static const char *tcp(void)
{
	return go(socket(AF_INET, SOCK_STREAM, 0), &four, sizeof(four), 443);
}

static const char *broker_port(void)
{
	return go(socket(AF_INET, SOCK_STREAM, 0), &four, sizeof(four), 3128);
}

static const char *tcp6(void)
{
	return go(socket(AF_INET6, SOCK_STREAM, 0), &six, sizeof(six), 443);
}

static const char *device(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "eth0", 4) < 0)
		return strerror(errno);
	return go(fd, &four, sizeof(four), 443);
}

static const char *mark(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), value = (int)strtoul(text, NULL, 0);

	if (setsockopt(fd, SOL_SOCKET, SO_MARK, &value, sizeof(value)) < 0)
		return strerror(errno);
	return go(fd, &four, sizeof(four), 443);
}

static const char *fast_open(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&four, sizeof(four)) < 0
		       ? strerror(errno)
		       : "sent";
}

static const char *mptcp(void)
{
	return go(socket(AF_INET, SOCK_STREAM, 262), &four, sizeof(four), 443);
}

static const char *sctp(void)
{
	return go(socket(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP), &four, sizeof(four), 443);
}

static const char *udp(void)
{
	return go(socket(AF_INET, SOCK_DGRAM, 0), &four, sizeof(four), 443);
}

static const char *udp6(void)
{
	return go(socket(AF_INET6, SOCK_DGRAM, 0), &six, sizeof(six), 443);
}

static const char *name_server(void)
{
	return go(socket(AF_INET, SOCK_DGRAM, 0), &dns, sizeof(dns), 53);
}

static const char *name_server_tcp(void)
{
	return go(socket(AF_INET, SOCK_STREAM, 0), &dns, sizeof(dns), 53);
}

static const char *ping(void)
{
	struct icmphdr echo = {.type = ICMP_ECHO};
	int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);

	return fd < 0 || sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&four,
				sizeof(four)) < 0
		       ? strerror(errno)
		       : "sent";
}

static const char *raw(void)
{
	int fd = socket(AF_INET, SOCK_RAW, 253);

	return fd < 0 || sendto(fd, "xxxxxxxx", 8, 0, (struct sockaddr *)&four, sizeof(four)) < 0
		       ? strerror(errno)
		       : "sent";
}

static const char *packet(void)
{
	static const char frame[60] = "\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\x88\xb6";
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)if_nametoindex("eth0")};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (!to.sll_ifindex)
		to.sll_ifindex = 2;
	return fd < 0 || sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) < 0
		       ? strerror(errno)
		       : "sent";
}

static const char *vsock(void)
{
	struct sockaddr_vm host = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = 1};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	return fd < 0 || connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0 ? strerror(errno)
										 : "sent";
}

static const char *netfilter(void)
{
	return socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER) < 0 ? strerror(errno) : "sent";
}

static const char *uring(void)
{
	static char params[256];

	return syscall(425, 4, params) < 0 ? strerror(errno) : "sent";
}

static int say(const char *hex)
{
	const struct timeval patience = {.tv_sec = 5};
	struct sockaddr_in broker = {.sin_family = AF_INET, .sin_port = htons(3128)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	unsigned char bytes[4096];
	ssize_t n;

	broker.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&broker, sizeof(broker)) < 0)
		return 1;
	for (; sscanf(hex, "%2hhx", bytes) == 1; hex += 2)
		if (send(fd, bytes, 1, MSG_NOSIGNAL) != 1)
			return 1;
	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		for (ssize_t i = 0; i < n; i++)
			printf("%02x", bytes[i]);
	return 0;
}

static int hammer(const char *address)
{
	four.sin_family = AF_INET;
	four.sin_port = htons(443);
	if (inet_pton(AF_INET, address, &four.sin_addr) != 1)
		return 2;
	for (;;) {
		int tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		int udp_fd = socket(AF_INET, SOCK_DGRAM, 0);

		(void)connect(tcp_fd, (struct sockaddr *)&four, sizeof(four));
		(void)sendto(udp_fd, "x", 1, 0, (struct sockaddr *)&four, sizeof(four));
		(void)poll(NULL, 0, 50);
		(void)close(tcp_fd);
		(void)close(udp_fd);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		const char *(*try)(void);
	} ways[] = {
		{"tcp", tcp},
		{"broker-port", broker_port},
		{"tcp6", tcp6},
		{"device", device},
		{"mark", mark},
		{"fast-open", fast_open},
		{"mptcp", mptcp},
		{"sctp", sctp},
		{"udp", udp},
		{"udp6", udp6},
		{"dns", name_server},
		{"dns-tcp", name_server_tcp},
		{"ping", ping},
		{"raw", raw},
		{"packet", packet},
		{"vsock", vsock},
		{"netfilter", netfilter},
		{"uring", uring},
	};

	if (argc == 3 && strcmp(argv[1], "say") == 0)
		return say(argv[2]);
	if (argc == 3 && strcmp(argv[1], "hammer") == 0)
		return hammer(argv[2]);
	if (argc < 5)
		return 2;
	four.sin_family = dns.sin_family = AF_INET;
	six.sin6_family = AF_INET6;
	four.sin_port = six.sin6_port = htons(443);
	if (inet_pton(AF_INET, argv[1], &four.sin_addr) != 1 ||
	    inet_pton(AF_INET6, argv[2], &six.sin6_addr) != 1 ||
	    inet_pton(AF_INET, argv[3], &dns.sin_addr) != 1)
		return 2;
	(void)snprintf(text, sizeof(text), "%s", argv[4]); /* the mark to set */
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (argc > 5 && strcmp(argv[5], ways[i].name) != 0)
			continue;
		printf("%s %s\n", ways[i].name, ways[i].try());
		(void)fflush(stdout);
	}
	return 0;
}
