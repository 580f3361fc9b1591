/* SPDX-License-Identifier: Apache-2.0 */
/* src/kube/client against a TLS server that does what it should not. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "kube/client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define HOUR   3600L
#define OK_200 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

/* What a server is and does. */
struct script {
	const char *san; /* of its certificate; NULL = IP:127.0.0.1,DNS:localhost */
	long until;	 /* seconds from now; 0 = an hour */
	int version;	 /* newest TLS that it speaks; 0 = any */
	bool other_ca, plain, silent, mute, endless, shut;
	const char *token;  /* NULL: any is good */
	const char *expect; /* must be in the request */
	const char *answer;
};

static char dir[] = "/tmp/kf-kube-XXXXXX";
static EVP_PKEY *ca_key, *server_key;
static X509 *ca, *stranger;
static EVP_PKEY *stranger_key;
static pid_t server;
static struct kf_kube kube;

static void extend(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(cert, e, -1), 1);
	X509_EXTENSION_free(e);
}

static X509 *make_certificate(const char *name, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
			      const char *san, long until)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_NAME_new();

	assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
						    (const unsigned char *)name, -1, -1, 0),
			 1);
	(void)X509_set_version(cert, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(cert), issuer ? 2 : 1);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), -2 * HOUR);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), until);
	(void)X509_set_subject_name(cert, subject);
	(void)X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject);
	(void)X509_set_pubkey(cert, key);
	if (san)
		extend(cert, NID_subject_alt_name, san);
	else
		extend(cert, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(cert, issuer_key, EVP_sha256()) > 0);
	X509_NAME_free(subject);
	return cert;
}

static void write_file(const char *name, const char *text)
{
	char path[200];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void remove_file(const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)unlink(path);
}

static void write_ca(void)
{
	char path[200];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/ca.crt", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	/* A bundle: the right one is not the first. */
	assert_int_equal(PEM_write_X509(f, stranger), 1);
	assert_int_equal(PEM_write_X509(f, ca), 1);
	assert_int_equal(fclose(f), 0);
}

/* ---- the server ---- */

/* Headers, and as much body as they announce. */
static void read_request(SSL *ssl, char *out, size_t size)
{
	size_t n = 0;
	const char *end, *length;

	for (;;) {
		int got = SSL_read(ssl, out + n, (int)(size - n - 1));

		if (got <= 0)
			break;
		n += (size_t)got;
		out[n] = '\0';
		end = strstr(out, "\r\n\r\n");
		length = strstr(out, "Content-Length: ");
		if (end &&
		    n >= (size_t)(end + 4 - out) + (length ? strtoul(length + 16, NULL, 10) : 0))
			break;
	}
	out[n] = '\0';
}

static void serve(SSL *ssl, const struct script *s)
{
	static char request[65536], filler[65536];
	const char *answer = s->answer;
	char bearer[100];

	read_request(ssl, request, sizeof(request));
	(void)snprintf(bearer, sizeof(bearer), "Authorization: Bearer %s\r\n",
		       s->token ? s->token : "");
	if (s->token && !strstr(request, bearer))
		answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 26\r\n\r\n"
			 "{\"message\":\"Unauthorized\"} ";
	else if (s->expect && !strstr(request, s->expect))
		answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
	if (s->mute)
		(void)pause();
	/* In records of a few KiB, as Go does it. */
	for (size_t n = strlen(answer), at = 0; at < n; at += 4096)
		(void)SSL_write(ssl, answer + at, (int)(n - at < 4096 ? n - at : 4096));
	memset(filler, 'x', sizeof(filler));
	while (s->endless && SSL_write(ssl, filler, sizeof(filler)) > 0)
		;
}

static _Noreturn void serve_all(int listener, const struct script *s)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	X509 *cert = make_certificate("server", server_key, s->other_ca ? stranger : ca,
				      s->other_ca ? stranger_key : ca_key,
				      s->san ? s->san : "IP:127.0.0.1,DNS:localhost",
				      s->until ? s->until : HOUR);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	SSL_CTX_set_security_level(ctx, 0); /* else it cannot even offer old versions */
	if (s->version)
		(void)SSL_CTX_set_max_proto_version(ctx, s->version);
	(void)SSL_CTX_use_certificate(ctx, cert);
	(void)SSL_CTX_use_PrivateKey(ctx, server_key);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		SSL *ssl;

		if (fd < 0)
			_exit(0);
		if (s->silent)
			continue;
		if (s->plain) {
			(void)!write(fd, "HTTP/1.1 200 OK\r\n\r\n{}", 21);
			(void)close(fd);
			continue;
		}
		ssl = SSL_new(ctx);
		if (s->shut)
			(void)setsockopt(fd, IPPROTO_TCP, TCP_CORK, &(int){1}, sizeof(int));
		(void)SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1)
			serve(ssl, s);
		/* The answer waits for the close, so that both arrive at once. */
		if (s->shut) {
			(void)SSL_shutdown(ssl);
			(void)setsockopt(fd, IPPROTO_TCP, TCP_CORK, &(int){0}, sizeof(int));
		}
		SSL_free(ssl);
		(void)close(fd);
	}
}

static void start(const struct script *s)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(to);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &n), 0);
	server = fork();
	if (server == 0)
		serve_all(fd, s);
	assert_true(server > 0);
	(void)close(fd);
	kube = (struct kf_kube){.host = "127.0.0.1",
				.port = ntohs(to.sin_port),
				.account_dir = dir,
				.timeout_ms = 5000};
}

static void stop(void)
{
	(void)kill(server, SIGKILL);
	(void)waitpid(server, NULL, 0);
}

static const struct kf_kube_request get = {.method = "GET", .path = "/api/v1/nodes/n"};

/* The whole of a test that must fail, with @why in the message. */
static void refused(const struct script *s, int code, const char *why)
{
	struct kf_err err = {0};
	char *answer = NULL;

	start(s);
	assert_int_equal(kf_kube_do(&kube, &get, &answer, &err), -1);
	stop();
	assert_null(answer);
	if (!strstr(err.msg, why))
		fail_msg("'%s' is not in: %s", why, err.msg);
	if (code)
		assert_int_equal(err.code, code);
}

static void answered(const struct script *s, const struct kf_kube_request *request,
		     const char *want)
{
	struct kf_err err = {0};
	KF_FREE char *answer = NULL;

	start(s);
	if (kf_kube_do(&kube, request, &answer, &err) < 0)
		fail_msg("%s", err.msg);
	stop();
	assert_string_equal(answer, want);
}

/* ---- tests ---- */

static void an_answer_is_given_whole_or_in_chunks(void **unused)
{
	(void)unused;
	answered(&(struct script){.answer = OK_200 "Content-Length: 2\r\n\r\n{}"}, &get, "{}");
	answered(&(struct script){.answer = OK_200 "Transfer-Encoding: chunked\r\n\r\n"
						   "3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n"},
		 &get, "{\"a\":1}");
	answered(&(struct script){.answer = OK_200 "Content-Length: 0\r\n\r\n"}, &get, "");
}

static void an_answer_that_comes_with_the_close_is_not_lost(void **unused)
{
	static const int sizes[] = {2, 1000, 4000, 4096, 5000, 9000, 20000, 70000};
	static char text[80000], body[80000];

	(void)unused;
	for (size_t i = 0; i < KF_ARRAY_SIZE(sizes); i++) {
		memset(body, 'x', sizeof(body));
		body[sizes[i]] = '\0';
		(void)snprintf(text, sizeof(text), OK_200 "Content-Length: %d\r\n\r\n%s", sizes[i],
			       body);
		answered(&(struct script){.shut = true, .answer = text}, &get, body);
		(void)snprintf(text, sizeof(text),
			       OK_200 "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
			       (unsigned)sizes[i], body);
		answered(&(struct script){.shut = true, .answer = text}, &get, body);
	}
	refused(&(struct script){.shut = true, .answer = OK_200 "Content-Length: 100\r\n\r\n{}"},
		EIO, "before the answer was complete");
}

static void a_patch_carries_its_body_and_length(void **unused)
{
	const struct kf_kube_request patch = {.method = "PATCH",
					      .path = "/x",
					      .content_type = "application/merge-patch+json",
					      .body = "{\"metadata\":{}}"};
	static const char *const parts[] = {"PATCH /x HTTP/1.1\r\n", "Content-Length: 15\r\n",
					    "Content-Type: application/merge-patch+json\r\n",
					    "\r\n\r\n{\"metadata\":{}}"};

	(void)unused;
	for (size_t i = 0; i < KF_ARRAY_SIZE(parts); i++)
		answered(&(struct script){.expect = parts[i],
					  .answer = OK_200 "Content-Length: 2\r\n\r\n{}"},
			 &patch, "{}");
}

static void the_server_must_be_the_clusters(void **unused)
{
	const char *fine = OK_200 "Content-Length: 2\r\n\r\n{}";

	(void)unused;
	write_file("ca.crt", "");
	refused(&(struct script){.answer = fine}, EINVAL, "no certificate");
	remove_file("ca.crt");
	refused(&(struct script){.answer = fine}, ENOENT, "ca.crt");
	write_ca();
	refused(&(struct script){.answer = fine, .until = -HOUR}, EPROTO, "expired");
	refused(&(struct script){.answer = fine, .san = "IP:127.0.0.2"}, EPROTO, "mismatch");
	refused(&(struct script){.answer = fine, .san = "DNS:localhost"}, EPROTO, "mismatch");
	refused(&(struct script){.answer = fine, .plain = true}, EIO, "connect");
	refused(&(struct script){.answer = fine, .version = TLS1_1_VERSION}, EIO, "connect");
}

static void a_stranger_is_not_trusted(void **unused)
{
	char path[200];
	FILE *f;

	(void)unused;
	(void)snprintf(path, sizeof(path), "%s/ca.crt", dir);
	f = fopen(path, "w");
	assert_int_equal(PEM_write_X509(f, ca), 1);
	(void)fclose(f);
	refused(&(struct script){.answer = OK_200 "Content-Length: 2\r\n\r\n{}", .other_ca = true},
		EPROTO, "not trusted");
	write_ca(); /* and with the stranger among the CAs: */
	answered(&(struct script){.answer = OK_200 "Content-Length: 2\r\n\r\n{}", .other_ca = true},
		 &get, "{}");
}

static void a_name_is_checked_as_a_name(void **unused)
{
	struct kf_err err = {0};
	KF_FREE char *answer = NULL;

	(void)unused;
	start(&(struct script){.answer = OK_200 "Content-Length: 2\r\n\r\n{}",
			       .san = "DNS:localhost"});
	kube.host = "localhost";
	if (kf_kube_do(&kube, &get, &answer, &err) < 0)
		fail_msg("%s", err.msg);
	stop();
	start(&(struct script){.answer = OK_200 "Content-Length: 2\r\n\r\n{}",
			       .san = "DNS:elsewhere,IP:127.0.0.1"});
	kube.host = "localhost";
	assert_int_equal(kf_kube_do(&kube, &get, NULL, &err), -1);
	stop();
	assert_non_null(strstr(err.msg, "mismatch"));
}

static void a_cut_answer_is_none(void **unused)
{
	(void)unused;
	refused(&(struct script){.answer = OK_200 "Content-Length: 100\r\n\r\n{\"a\":1}"}, EIO,
		"before the answer was complete");
	refused(&(struct script){.answer =
					 OK_200 "Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}"},
		EIO, "before the answer was complete");
	refused(&(struct script){.answer = "HTTP/1.1 200 OK\r\nContent-"}, EIO, "");
	refused(&(struct script){.answer = ""}, EIO, "");
	refused(&(struct script){.answer = "SSH-2.0-x\r\n\r\n"}, EIO, "");
}

static void too_much_is_refused(void **unused)
{
	(void)unused;
	refused(&(struct script){.answer = OK_200 "Content-Length: 4194305\r\n\r\n",
				 .endless = true},
		EIO, "too long");
	refused(&(struct script){.answer = OK_200 "Transfer-Encoding: chunked\r\n\r\n500000\r\n",
				 .endless = true},
		EIO, "too long");
	refused(&(struct script){.answer = OK_200 "\r\n", .endless = true}, EIO, "too long");
	refused(&(struct script){.answer = OK_200 "X: ", .endless = true}, EIO, "header");
}

static void the_apis_own_words_are_passed_on(void **unused)
{
	(void)unused;
	refused(&(struct script){.answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 27\r\n\r\n"
					   "{\"message\":\"nodes is not\"}\n"},
		EACCES, "HTTP 403: nodes is not");
	refused(&(struct script){.answer =
					 "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"},
		ENOENT, "HTTP 404: none");
	refused(&(struct script){.answer = "HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}"},
		EAGAIN, "HTTP 409");
	refused(&(struct script){.answer = "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n[]"},
		EPROTO, "HTTP 500");
}

static void a_rotated_token_is_read_anew(void **unused)
{
	struct kf_err err = {0};
	KF_FREE char *answer = NULL;

	(void)unused;
	start(&(struct script){.answer = OK_200 "Content-Length: 2\r\n\r\n{}", .token = "second"});
	assert_int_equal(kf_kube_do(&kube, &get, &answer, &err), -1);
	assert_int_equal(err.code, EACCES);
	assert_non_null(strstr(err.msg, "Unauthorized"));
	write_file("token", "second\n");
	assert_int_equal(kf_kube_do(&kube, &get, &answer, &err), 0);
	/* A token is one header line, whatever is in the file. */
	write_file("token", "second\r\nX-Evil: 1");
	assert_int_equal(kf_kube_do(&kube, &get, NULL, &err), 0);
	remove_file("token");
	assert_int_equal(kf_kube_do(&kube, &get, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "token"));
	write_file("token", "first");
	stop();
}

static void nobody_is_waited_for_for_ever(void **unused)
{
	struct kf_err err = {0};

	(void)unused;
	start(&(struct script){.silent = true}); /* not even TLS */
	kube.timeout_ms = 200;
	assert_int_equal(kf_kube_do(&kube, &get, NULL, &err), -1);
	stop();
	start(&(struct script){.mute = true});
	kube.timeout_ms = 200;
	assert_int_equal(kf_kube_do(&kube, &get, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "timed out"));
	stop();
	assert_int_equal(kf_kube_do(&kube, &get, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "connect"));
}

static void the_environment_tells_where_the_api_is(void **unused)
{
	static const char *const bad[] = {"", "0", "65536", "443x", "-1"};
	struct kf_err err;

	(void)unused;
	(void)unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(kf_kube_in_cluster(&kube, &err), -1);
	(void)setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	for (size_t i = 0; i < KF_ARRAY_SIZE(bad); i++) {
		(void)setenv("KUBERNETES_SERVICE_PORT", bad[i], 1);
		assert_int_equal(kf_kube_in_cluster(&kube, &err), -1);
	}
	(void)setenv("KUBERNETES_SERVICE_PORT", "6443", 1);
	assert_int_equal(kf_kube_in_cluster(&kube, &err), 0);
	assert_int_equal(kube.port, 6443);
	assert_string_equal(kube.host, "fd00::1");
}

static int set_up(void **unused)
{
	(void)unused;
	(void)signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return -1;
	ca_key = EVP_EC_gen("P-256");
	stranger_key = EVP_EC_gen("P-256");
	server_key = EVP_EC_gen("P-256");
	ca = make_certificate("ca", ca_key, NULL, ca_key, NULL, HOUR);
	stranger = make_certificate("stranger", stranger_key, NULL, stranger_key, NULL, HOUR);
	write_ca();
	write_file("token", "first");
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	X509_free(ca);
	X509_free(stranger);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(stranger_key);
	EVP_PKEY_free(server_key);
	remove_file("ca.crt");
	remove_file("token");
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_given_whole_or_in_chunks),
		cmocka_unit_test(an_answer_that_comes_with_the_close_is_not_lost),
		cmocka_unit_test(a_patch_carries_its_body_and_length),
		cmocka_unit_test(the_server_must_be_the_clusters),
		cmocka_unit_test(a_stranger_is_not_trusted),
		cmocka_unit_test(a_name_is_checked_as_a_name),
		cmocka_unit_test(a_cut_answer_is_none),
		cmocka_unit_test(too_much_is_refused),
		cmocka_unit_test(the_apis_own_words_are_passed_on),
		cmocka_unit_test(a_rotated_token_is_read_anew),
		cmocka_unit_test(nobody_is_waited_for_for_ever),
		cmocka_unit_test(the_environment_tells_where_the_api_is),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
