/* SPDX-License-Identifier: Apache-2.0 */
/* A client for single requests to the Kubernetes API, with libevent and OpenSSL.  What is asked,
 * and what an answer means, is decided in marks.c and by the callers. */
#include "kube/client.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define TOKEN_MAX   (64 * 1024)
#define CA_MAX	    (1024 * 1024)
#define HEADERS_MAX (64 * 1024)

/* One request under way. */
struct call {
	const struct kf_kube *kube;
	const struct kf_kube_request *request;
	struct event_base *base;
	SSL_CTX *ctx;
	SSL *ssl; /* our own reference: it is asked after the connection is closed */
	struct evhttp_connection *conn;
	char *body;
	int status; /* 0 = no answer came */
	const char *fault;
};

static void call_done(struct call *c)
{
	if (c->conn)
		evhttp_connection_free(c->conn);
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	if (c->base)
		event_base_free(c->base);
	free(c->body);
}

int kf_kube_in_cluster(struct kf_kube *ret, struct kf_err *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	char *end;
	unsigned long n;

	if (!host || !*host || !port)
		return kf_fail(err, ENOENT,
			       "not in a pod: KUBERNETES_SERVICE_HOST and "
			       "KUBERNETES_SERVICE_PORT are not set");
	n = strtoul(port, &end, 10);
	if (end == port || *end || n == 0 || n > USHRT_MAX)
		return kf_fail(err, EINVAL, "KUBERNETES_SERVICE_PORT '%.20s' is not a port", port);
	*ret = (struct kf_kube){
		.host = host,
		.port = (unsigned short)n,
		.account_dir = KF_KUBE_ACCOUNT_DIR,
		.timeout_ms = 10000,
	};
	return 0;
}

/* The kubelet replaces these files by swapping symlinks, so symlinks are followed. */
static int slurp_account(const struct kf_kube *kube, const char *name, size_t max, char **ret,
			 size_t *ret_n, struct kf_err *err)
{
	char path[PATH_MAX];
	KF_CLOSE int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/%s", kube->account_dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return kf_fail_sys(err, "service account: open '%s'", path);
	return kf_fd_slurp(fd, path, max, ret, ret_n, err);
}

static const char *tls_error(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason ? reason : "unknown TLS error";
}

/* A context that trusts the cluster's CA and nothing else. */
static int make_context(struct call *c, struct kf_err *err)
{
	KF_FREE char *pem = NULL;
	BIO *bio;
	X509 *cert;
	int certs = 0;
	size_t n;

	/* No configuration file of the image may change how TLS works. */
	(void)OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	c->ctx = SSL_CTX_new(TLS_client_method());
	if (!c->ctx || SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION) != 1)
		return kf_fail(err, EPROTO, "TLS set-up: %s", tls_error());
	if (slurp_account(c->kube, "ca.crt", CA_MAX, &pem, &n, err) < 0)
		return -1;
	bio = BIO_new_mem_buf(pem, (int)n);
	while (bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		certs += X509_STORE_add_cert(SSL_CTX_get_cert_store(c->ctx), cert) == 1;
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error(); /* the end of the file is reported as an error */
	if (!certs)
		return kf_fail(err, EINVAL, "'%s/ca.crt' holds no certificate",
			       c->kube->account_dir);
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	return 0;
}

bool kf_kube_numeric(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* Set the name or address that the server's certificate must have. */
static int make_session(struct call *c, struct kf_err *err)
{
	const char *host = c->kube->host;

	c->ssl = SSL_new(c->ctx);
	if (c->ssl && (kf_kube_numeric(host)
			       ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl), host) == 1
			       : SSL_set1_host(c->ssl, host) == 1 &&
					 SSL_set_tlsext_host_name(c->ssl, host) == 1))
		return 0;
	return kf_fail(err, EPROTO, "TLS session for '%s': %s", host, tls_error());
}

static void on_error(enum evhttp_request_error error, void *arg)
{
	static const char *const faults[] = {
		[EVREQ_HTTP_TIMEOUT] = "timed out",
		[EVREQ_HTTP_EOF] = "connection closed before the answer was complete",
		[EVREQ_HTTP_INVALID_HEADER] = "invalid HTTP header",
		[EVREQ_HTTP_BUFFER_ERROR] = "connection failed",
		[EVREQ_HTTP_REQUEST_CANCEL] = "cancelled",
		[EVREQ_HTTP_DATA_TOO_LONG] = "answer too long, or malformed",
	};
	struct call *c = arg;

	c->fault =
		(size_t)error < KF_ARRAY_SIZE(faults) && faults[error] ? faults[error] : "failed";
}

static void on_done(struct evhttp_request *req, void *arg)
{
	struct call *c = arg;

	/* After an error the answer may be incomplete, so only the error counts. */
	if (!c->fault && (!req || evhttp_request_get_response_code(req) == 0)) {
		c->fault = "cannot connect";
	} else if (!c->fault) {
		struct evbuffer *in = evhttp_request_get_input_buffer(req);
		size_t n = evbuffer_get_length(in);

		c->body = calloc(1, n + 1);
		if (c->body && evbuffer_copyout(in, c->body, n) == (ssize_t)n)
			c->status = evhttp_request_get_response_code(req);
		else
			c->fault = "out of memory";
	}
	(void)event_base_loopbreak(c->base);
}

static int open_connection(struct call *c, const struct timeval *timeout, struct kf_err *err)
{
	struct bufferevent *bev;

	c->base = event_base_new();
	if (!c->base)
		return kf_fail_nomem(err, "event loop");
	(void)SSL_up_ref(c->ssl);
	bev = bufferevent_openssl_socket_new(c->base, -1, c->ssl, BUFFEREVENT_SSL_CONNECTING,
					     BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (!bev) {
		SSL_free(c->ssl);
		return kf_fail_nomem(err, "connection");
	}
	/* Go servers close without a TLS shutdown; HTTP's own lengths show whether an answer was
	 * cut. */
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	c->conn = evhttp_connection_base_bufferevent_new(c->base, NULL, bev, c->kube->host,
							 c->kube->port);
	if (!c->conn) {
		bufferevent_free(bev);
		return kf_fail_nomem(err, "connection");
	}
	evhttp_connection_set_timeout_tv(c->conn, timeout);
	evhttp_connection_set_max_headers_size(c->conn, HEADERS_MAX);
	evhttp_connection_set_max_body_size(c->conn, KF_KUBE_ANSWER_MAX);
	return 0;
}

static int method_of(const char *s, enum evhttp_cmd_type *ret)
{
	static const struct {
		const char *name;
		enum evhttp_cmd_type type;
	} methods[] = {
		{"GET", EVHTTP_REQ_GET},
		{"POST", EVHTTP_REQ_POST},
		{"PATCH", EVHTTP_REQ_PATCH},
		{"DELETE", EVHTTP_REQ_DELETE},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(methods); i++) {
		if (strcmp(methods[i].name, s) == 0) {
			*ret = methods[i].type;
			return 0;
		}
	}
	return -1;
}

static bool add_headers(const struct call *c, struct evhttp_request *req, const char *token)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
	const struct kf_kube_request *r = c->request;
	bool six = strchr(c->kube->host, ':') != NULL;
	size_t n = r->body ? strlen(r->body) : 0;
	char length[24];
	KF_FREE char *bearer = NULL;
	KF_FREE char *host = NULL;

	if (asprintf(&bearer, "Bearer %s", token) < 0) {
		bearer = NULL;
		return false;
	}
	if (asprintf(&host, "%s%s%s:%u", six ? "[" : "", c->kube->host, six ? "]" : "",
		     c->kube->port) < 0) {
		host = NULL;
		return false;
	}
	(void)snprintf(length, sizeof(length), "%zu", n);
	/* Each call fails if the header would break the request. libevent adds the length to POST
	 * and PUT only.  No "Connection: close": if the answer and the TLS close arrive together,
	 * libevent reports the close first and the answer is lost. */
	return evhttp_add_header(headers, "Host", host) == 0 &&
	       evhttp_add_header(headers, "Authorization", bearer) == 0 &&
	       evhttp_add_header(headers, "Accept", r->accept ? r->accept : "application/json") ==
		       0 &&
	       evhttp_add_header(headers, "User-Agent", "kubefence/" KF_VERSION) == 0 &&
	       (!n || (evhttp_add_header(headers, "Content-Type", r->content_type) == 0 &&
		       evhttp_add_header(headers, "Content-Length", length) == 0 &&
		       evbuffer_add(evhttp_request_get_output_buffer(req), r->body, n) == 0));
}

static int send_request(struct call *c, struct kf_err *err)
{
	const struct kf_kube_request *r = c->request;
	struct evhttp_request *req;
	enum evhttp_cmd_type type;
	KF_FREE char *token = NULL;

	if (method_of(r->method, &type) < 0)
		return kf_fail(err, EINVAL, "HTTP method '%s' is not supported", r->method);
	if (slurp_account(c->kube, "token", TOKEN_MAX, &token, NULL, err) < 0)
		return -1;
	token[strcspn(token, "\r\n")] = '\0';
	req = evhttp_request_new(on_done, c);
	if (!req)
		return kf_fail_nomem(err, "request");
	evhttp_request_set_error_cb(req, on_error);
	if (!add_headers(c, req, token)) {
		evhttp_request_free(req);
		return kf_fail(err, EINVAL, "%s %s: request cannot be built", r->method, r->path);
	}
	/* From here on the connection owns the request, also on failure. */
	if (evhttp_make_request(c->conn, req, type, r->path) < 0)
		return kf_fail(err, EIO, "%s %s: cannot connect to %s:%u", r->method, r->path,
			       c->kube->host, c->kube->port);
	return 0;
}

/* The "message" of a Status object, or NULL; *ret_object keeps it alive. */
static const char *api_message(const char *body, json_object **ret_object)
{
	json_object *message = NULL;

	*ret_object = json_tokener_parse(body);
	if (!*ret_object || !json_object_object_get_ex(*ret_object, "message", &message))
		return NULL;
	return json_object_get_string(message);
}

static int code_of(int status)
{
	switch (status) {
	case 401:
	case 403:
		return EACCES;
	case 404:
		return ENOENT;
	case 409:
		return EAGAIN;
	default:
		return EPROTO;
	}
}

static int check_answer(const struct call *c, struct kf_err *err)
{
	const struct kf_kube_request *r = c->request;
	json_object *status = NULL;
	const char *message;
	long verified = SSL_get_verify_result(c->ssl);

	if (!c->status && verified != X509_V_OK)
		return kf_fail(err, EPROTO,
			       "%s %s: the API server's certificate is not trusted: %s", r->method,
			       r->path, X509_verify_cert_error_string(verified));
	if (!c->status)
		return kf_fail(err, EIO, "%s %s: %s:%u: %s", r->method, r->path, c->kube->host,
			       c->kube->port, c->fault ? c->fault : "timed out");
	if (c->status >= 200 && c->status < 300)
		return 0;
	message = api_message(c->body, &status);
	kf_err_set(err, code_of(c->status), "%s %s: HTTP %d: %.300s", r->method, r->path, c->status,
		   message ? message : c->body);
	json_object_put(status);
	return -1;
}

int kf_kube_do(const struct kf_kube *kube, const struct kf_kube_request *request, char **ret_answer,
	       struct kf_err *err)
{
	KF_CLEANUP(call_done) struct call c = {.kube = kube, .request = request};
	const struct timeval timeout = {.tv_sec = kube->timeout_ms / 1000,
					.tv_usec = kube->timeout_ms % 1000 * 1000};

	if (make_context(&c, err) < 0 || make_session(&c, err) < 0 ||
	    open_connection(&c, &timeout, err) < 0 || send_request(&c, err) < 0)
		return -1;
	(void)event_base_loopexit(c.base, &timeout);
	(void)event_base_dispatch(c.base);
	if (check_answer(&c, err) < 0)
		return -1;
	if (ret_answer)
		*ret_answer = KF_STEAL(c.body);
	return 0;
}

KF_CALLS(kf_kube_calls,
	 /* an event loop of its own; OpenSSL checks whether the process is setuid */
	 KF_CALL(epoll_create1), KF_CALL(pipe2), KF_CALL(getuid), KF_CALL(geteuid), KF_CALL(getgid),
	 KF_CALL(getegid),
	 /* TCP to the server */
	 KF_CALL_IS(socket, 0, AF_INET), KF_CALL_IS(socket, 0, AF_INET6), KF_CALL(connect),
	 KF_CALL(getsockopt), KF_CALL(setsockopt), KF_CALL(shutdown), KF_CALL(readv),
	 KF_CALL(writev), KF_CALL_IS(ioctl, 1, FIONREAD),
	 /* getaddrinfo(3): UDP to name servers; netlink tells which addresses we have */
	 KF_CALL_IS(socket, 0, AF_NETLINK), KF_CALL(bind), KF_CALL(getsockname), KF_CALL(sendto),
	 KF_CALL(sendmmsg), KF_CALL(recvfrom), KF_CALL(recvmsg), KF_CALL(poll));
