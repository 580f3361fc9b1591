/* SPDX-License-Identifier: Apache-2.0 */
/* TLS with OpenSSL.  The authorities' certificates stay in the file that all workers share: only
 * those that a server's chain ends in are kept in memory, since all of them would be more than a
 * worker needs for everything else. */
#include "nono-egress/worker/tls.h"

#include "base/cleanup.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define CA_MAX	  (8 * 1024 * 1024)
#define CERTS_MAX 4096

/* Where a certificate lies in the file. */
struct ca_place {
	unsigned long subject; /* X509_NAME_hash() */
	uint32_t offset;
};

struct kf_worker_tls {
	SSL_CTX *ctx;
	X509_LOOKUP_METHOD *method;
	const char *pem;
	size_t size;
	struct ca_place *places;
	size_t nplaces;
};

static const char *tls_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason ? reason : "unknown TLS error";
}

int kf_worker_tls_new(int ca_fd, struct kf_worker_tls **ret, struct kf_err *err)
{
	struct kf_worker_tls *tls;
	struct stat st;
	void *pem;

	if (fstat(ca_fd, &st) < 0)
		return kf_fail_sys(err, "certificates of authorities");
	if (!st.st_size || st.st_size > CA_MAX)
		return kf_fail(err, EINVAL,
			       "certificates of authorities: empty, or longer than %d bytes",
			       CA_MAX);
	pem = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, ca_fd, 0);
	if (pem == MAP_FAILED)
		return kf_fail_sys(err, "certificates of authorities");
	tls = calloc(1, sizeof(*tls));
	if (!tls) {
		(void)munmap(pem, (size_t)st.st_size);
		return kf_fail_nomem(err, "TLS");
	}
	tls->pem = pem;
	tls->size = (size_t)st.st_size;
	*ret = tls;
	return 0;
}

void kf_worker_tls_free(struct kf_worker_tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->ctx);
	X509_LOOKUP_meth_free(tls->method);
	free(tls->places);
	(void)munmap((void *)(uintptr_t)tls->pem, tls->size);
	free(tls);
}

/* ---- the authorities ---- */

/* Note where each certificate lies. */
static int index_places(struct kf_worker_tls *tls, struct kf_err *err)
{
	BIO *bio = BIO_new_mem_buf(tls->pem, (int)tls->size);
	X509 *cert;
	int at = 0;

	tls->places = calloc(CERTS_MAX, sizeof(*tls->places));
	while (bio && tls->places && tls->nplaces < CERTS_MAX) {
		at = (int)tls->size - (int)BIO_pending(bio);
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		if (!cert)
			break;
		tls->places[tls->nplaces++] = (struct ca_place){
			X509_NAME_hash_ex(X509_get_subject_name(cert), NULL, NULL, NULL),
			(uint32_t)at};
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error(); /* the end of the file is reported as an error */
	if (!tls->nplaces)
		return kf_fail(err, EINVAL, "the certificates of authorities hold none");
	tls->places = realloc(tls->places, tls->nplaces * sizeof(*tls->places)) ?: tls->places;
	return 0;
}

static X509 *read_place(const struct kf_worker_tls *tls, const struct ca_place *place)
{
	BIO *bio = BIO_new_mem_buf(tls->pem + place->offset, (int)(tls->size - place->offset));
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return cert;
}

/* Called for a subject that is not in the store yet: those of the file with that name are added. */
static int find_subject(X509_LOOKUP *lookup, X509_LOOKUP_TYPE type, const X509_NAME *name,
			X509_OBJECT *ret)
{
	const struct kf_worker_tls *tls = X509_LOOKUP_get_method_data(lookup);
	const unsigned long hash = X509_NAME_hash_ex(name, NULL, NULL, NULL);
	int found = 0;

	if (type != X509_LU_X509)
		return 0;
	for (size_t i = 0; i < tls->nplaces; i++) {
		X509 *cert =
			tls->places[i].subject == hash ? read_place(tls, &tls->places[i]) : NULL;

		if (cert && X509_NAME_cmp(X509_get_subject_name(cert), name) == 0 &&
		    X509_STORE_add_cert(X509_LOOKUP_get_store(lookup), cert) == 1 && !found)
			found = X509_OBJECT_set1_X509(ret, cert);
		X509_free(cert);
	}
	return found;
}

static int make_context(struct kf_worker_tls *tls, struct kf_err *err)
{
	static const unsigned char protocols[] = "\x08http/1.1";
	X509_LOOKUP *lookup;

	/* No configuration file may change how TLS works; texts of errors are for people. */
	(void)OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_SSL_STRINGS |
				       OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS,
			       NULL);
	tls->ctx = SSL_CTX_new(TLS_client_method());
	tls->method = X509_LOOKUP_meth_new("file that is shared");
	if (!tls->ctx || !tls->method ||
	    SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_alpn_protos(tls->ctx, protocols, sizeof(protocols) - 1) != 0 ||
	    X509_LOOKUP_meth_set_get_by_subject(tls->method, find_subject) != 1)
		return kf_fail(err, EPROTO, "TLS set-up: %s", tls_reason());
	lookup = X509_STORE_add_lookup(SSL_CTX_get_cert_store(tls->ctx), tls->method);
	if (!lookup || X509_LOOKUP_set_method_data(lookup, tls) != 1)
		return kf_fail(err, EPROTO, "TLS set-up: %s", tls_reason());
	SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_read_ahead(tls->ctx, 1); /* a record in one call, not in two */
	(void)SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_mode(tls->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
						 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
						 SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_options(tls->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	return index_places(tls, err);
}

int kf_worker_tls_session(struct kf_worker_tls *tls, const char *host, int fd, struct ssl_st **ret,
			  struct kf_err *err)
{
	SSL *ssl;

	if (!tls->places && make_context(tls, err) < 0)
		return -1;
	ssl = SSL_new(tls->ctx);
	if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set1_host(ssl, host) != 1 ||
	    SSL_set_tlsext_host_name(ssl, host) != 1) {
		SSL_free(ssl);
		return kf_fail(err, EPROTO, "TLS session for '%s': %s", host, tls_reason());
	}
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	SSL_set_connect_state(ssl);
	*ret = ssl;
	return 0;
}

const char *kf_worker_tls_distrust(const struct ssl_st *ssl)
{
	long verified = SSL_get_verify_result(ssl);

	return verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified);
}
