/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker is measured beside.
 *
 *   reference origin CERTIFICATE     an HTTPS server: "/N" is answered with N bytes
 *   reference proxy PORT             passes connections on to 127.0.0.1:PORT by TLS, and does
 * nothing else: libevent's own relay of two bufferevents
 *
 * Both print the port that they listen on. */
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HEAD_MAX  8192
#define BLOCK	  (64 * 1024)
#define QUEUE_MAX (256 * 1024)

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void print_port(int fd)
{
	struct sockaddr_in address;
	socklen_t n = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &n) < 0)
		exit(1);
	(void)printf("%d\n", ntohs(address.sin_port));
	(void)fflush(stdout);
}

static void set_nodelay(int fd)
{
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

/* ---- origin ---- */

static bool send_answer(SSL *ssl, long n)
{
	static char block[BLOCK];
	char head[128];
	int length =
		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n\r\n", n);

	memcpy(block, head, (size_t)length);
	for (n += length; n > 0;) {
		int part = SSL_write(ssl, block, (int)(n < BLOCK ? n : BLOCK));

		if (part <= 0)
			return false;
		n -= part;
	}
	return true;
}

static void serve_client(SSL *ssl)
{
	char head[HEAD_MAX + 1];
	size_t have = 0;

	if (SSL_accept(ssl) != 1)
		return;
	for (;;) {
		char *end, *path;
		int n = SSL_read(ssl, head + have, (int)(HEAD_MAX - have));

		if (n <= 0)
			return;
		have += (size_t)n;
		head[have] = '\0';
		end = strstr(head, "\r\n\r\n");
		if (!end)
			continue;
		path = strchr(head, '/');
		if (!path || !send_answer(ssl, strtol(path + 1, NULL, 10)))
			return;
		have = 0; /* one request at a time */
	}
}

static int run_origin(const char *certificate)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct sockaddr_in address = loopback(0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, certificate, SSL_FILETYPE_PEM) != 1 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 128) < 0)
		return 1;
	print_port(fd);
	(void)signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int client = accept(fd, NULL, NULL);
		SSL *ssl;

		if (client < 0 || fork() != 0) {
			(void)close(client);
			continue;
		}
		set_nodelay(client);
		ssl = SSL_new(ctx);
		(void)SSL_set_fd(ssl, client);
		serve_client(ssl);
		exit(0);
	}
}

/* ---- proxy ---- */

struct relay {
	struct bufferevent *a, *b;
};

static SSL_CTX *proxy_ctx;
static struct sockaddr_in proxy_to;

static void close_relay(struct relay *r)
{
	bufferevent_free(r->a);
	bufferevent_free(r->b);
	free(r);
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct relay *r = arg;
	struct bufferevent *to = bev == r->a ? r->b : r->a;

	(void)bufferevent_write_buffer(to, bufferevent_get_input(bev));
	if (evbuffer_get_length(bufferevent_get_output(to)) > QUEUE_MAX)
		(void)bufferevent_disable(bev, EV_READ);
}

static void on_write(struct bufferevent *bev, void *arg)
{
	struct relay *r = arg;

	(void)bufferevent_enable(bev == r->a ? r->b : r->a, EV_READ);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		close_relay(arg);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int n,
		      void *arg)
{
	struct event_base *base = evconnlistener_get_base(l);
	struct relay *r = calloc(1, sizeof(*r));

	(void)from;
	(void)n;
	(void)arg;
	set_nodelay(fd);
	r->a = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	r->b = bufferevent_openssl_socket_new(base, -1, SSL_new(proxy_ctx),
					      BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(r->a, on_read, on_write, on_event, r);
	bufferevent_setcb(r->b, on_read, on_write, on_event, r);
	(void)bufferevent_enable(r->a, EV_READ | EV_WRITE);
	(void)bufferevent_enable(r->b, EV_READ | EV_WRITE);
	(void)bufferevent_socket_connect(r->b, (struct sockaddr *)&proxy_to, sizeof(proxy_to));
	set_nodelay(bufferevent_getfd(r->b));
}

static int run_proxy(int port)
{
	struct event_base *base = event_base_new();
	struct sockaddr_in address = loopback(0);
	struct evconnlistener *l;

	proxy_ctx = SSL_CTX_new(TLS_client_method());
	proxy_to = loopback(port);
	l = evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 128,
				    (struct sockaddr *)&address, sizeof(address));
	if (!l)
		return 1;
	print_port(evconnlistener_get_fd(l));
	return event_base_dispatch(base);
}

int main(int argc, char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "origin") == 0)
		return run_origin(argv[2]);
	if (argc == 3 && strcmp(argv[1], "proxy") == 0)
		return run_proxy((int)strtol(argv[2], NULL, 10));
	return 2;
}
