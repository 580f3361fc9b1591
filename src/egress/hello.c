/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a ClientHello (RFC 8446, RFC 6066).  What is not exactly one hello with one name is
 * refused, since a server might read another name than we do. */
#include "egress/hello.h"

#include "base/cleanup.h"

#include <stdbool.h>
#include <string.h>

#define RECORD_HEADER	   5
#define RECORD_MAX	   16384
#define RECORD_CHANGE	   20 /* change_cipher_spec */
#define RECORD_HANDSHAKE   22
#define HANDSHAKE_HEADER   4
#define HANDSHAKE_HELLO	   1
#define EXT_SERVER_NAME	   0
#define EXT_ENCRYPTED	   0xfe0d /* encrypted_client_hello */
#define EXT_ENCRYPTED_NAME 0xffce /* its drafts' predecessor */
#define CHANGES_MAX	   4

struct hello_bytes {
	const uint8_t *p;
	size_t n;
};

static bool take_bytes(struct hello_bytes *from, size_t n, struct hello_bytes *ret)
{
	if (from->n < n)
		return false;
	*ret = (struct hello_bytes){from->p, n};
	from->p += n;
	from->n -= n;
	return true;
}

/* A big-endian number of @size bytes. */
static bool take_number(struct hello_bytes *from, unsigned size, size_t *ret)
{
	struct hello_bytes bytes;

	if (!take_bytes(from, size, &bytes))
		return false;
	*ret = 0;
	for (unsigned i = 0; i < size; i++)
		*ret = *ret << 8 | bytes.p[i];
	return true;
}

/* What has its length, a number of @size bytes, before it. */
static bool take_vector(struct hello_bytes *from, unsigned size, struct hello_bytes *ret)
{
	size_t n;

	return take_number(from, size, &n) && take_bytes(from, n, ret);
}

static bool read_server_name(struct hello_bytes ext, char *ret)
{
	struct hello_bytes list, name;
	size_t type;

	if (!take_vector(&ext, 2, &list) || ext.n || !take_number(&list, 1, &type) || type != 0 ||
	    !take_vector(&list, 2, &name) || list.n)
		return false;
	/* No dot at the end, as the standard has it; an address is no name there. */
	return name.n && name.p[name.n - 1] != '.' &&
	       kf_egress_name_read((const char *)name.p, name.n, ret) == KF_EGRESS_NAME_HOST;
}

static int read_extensions(struct hello_bytes list, char *ret, enum kf_egress_reason *ret_reason)
{
	bool named = false;

	while (list.n) {
		struct hello_bytes ext;
		size_t type;

		if (!take_number(&list, 2, &type) || !take_vector(&list, 2, &ext)) {
			*ret_reason = KF_EGRESS_WHY_NOT_TLS;
			return -1;
		}
		if (type == EXT_ENCRYPTED || type == EXT_ENCRYPTED_NAME) {
			*ret_reason = KF_EGRESS_WHY_ECH;
			return -1;
		}
		if (type != EXT_SERVER_NAME)
			continue;
		if (named || !read_server_name(ext, ret)) {
			*ret_reason = KF_EGRESS_WHY_SNI;
			return -1;
		}
		named = true;
	}
	return 0;
}

/* The hello's body, behind the handshake header. */
static int read_body(struct hello_bytes body, char *ret, enum kf_egress_reason *ret_reason)
{
	struct hello_bytes part, extensions = {0};

	ret[0] = '\0';
	*ret_reason = KF_EGRESS_WHY_NOT_TLS;
	if (!take_bytes(&body, 2 + 32, &part) || /* version, random */
	    !take_vector(&body, 1, &part) ||	 /* session */
	    !take_vector(&body, 2, &part) ||	 /* ciphers */
	    !take_vector(&body, 1, &part) ||	 /* compressions */
	    (body.n && !take_vector(&body, 2, &extensions)) || body.n)
		return -1;
	return read_extensions(extensions, ret, ret_reason);
}

ssize_t kf_egress_hello_read(const uint8_t *p, size_t n, char ret[static KF_EGRESS_NAME_MAX + 1],
			     enum kf_egress_reason *ret_reason)
{
	KF_UNINIT uint8_t message[KF_EGRESS_HELLO_MAX];
	struct hello_bytes rest = {p, n};
	size_t have = 0, want = HANDSHAKE_HEADER;

	*ret_reason = KF_EGRESS_WHY_NOT_TLS;
	while (have < want) {
		size_t type, version, length, part;

		if (rest.n && rest.p[0] != RECORD_HANDSHAKE)
			return -1;
		if (!take_number(&rest, 1, &type) || !take_number(&rest, 2, &version))
			return 0;
		if (version >> 8 != 3)
			return -1;
		if (!take_number(&rest, 2, &length))
			return 0;
		if (!length || length > RECORD_MAX || have + length > sizeof(message))
			return -1;
		part = rest.n < length ? rest.n : length;
		memcpy(message + have, rest.p, part);
		have += part;
		if (have && message[0] != HANDSHAKE_HELLO)
			return -1;
		if (have >= HANDSHAKE_HEADER)
			want = HANDSHAKE_HEADER +
			       ((size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3]);
		/* Nothing may lie behind the hello in its last record. */
		if (want > sizeof(message) || (have >= HANDSHAKE_HEADER && have > want))
			return -1;
		if (part < length)
			return have - part + length > want && have >= HANDSHAKE_HEADER ? -1 : 0;
		rest.p += part;
		rest.n -= part;
	}
	if (read_body((struct hello_bytes){message + HANDSHAKE_HEADER, want - HANDSHAKE_HEADER},
		      ret, ret_reason) < 0)
		return -1;
	*ret_reason = KF_EGRESS_WHY_NONE;
	return (ssize_t)(n - rest.n);
}

enum kf_egress_hello_next kf_egress_hello_next(const uint8_t *p, size_t n, size_t *ret_skip)
{
	const size_t change = RECORD_HEADER + 1;
	size_t at = 0;

	for (unsigned i = 0; i <= CHANGES_MAX; i++, at += change) {
		const uint8_t *record = p + at;

		*ret_skip = at;
		if (n - at <= RECORD_HEADER)
			return n > at && record[0] != RECORD_CHANGE && record[0] != RECORD_HANDSHAKE
				       ? KF_EGRESS_HELLO_OTHER
				       : KF_EGRESS_HELLO_MORE;
		if (record[0] == RECORD_HANDSHAKE) {
			if (record[3] == 0 && record[4] == 0)
				return KF_EGRESS_HELLO_WRONG;
			return record[RECORD_HEADER] == HANDSHAKE_HELLO ? KF_EGRESS_HELLO_AGAIN
									: KF_EGRESS_HELLO_OTHER;
		}
		if (record[0] != RECORD_CHANGE)
			return KF_EGRESS_HELLO_OTHER;
		/* Without the one byte that such a record has, what comes next is not where a
		 * server looks for it. */
		if (record[3] != 0 || record[4] != 1)
			return KF_EGRESS_HELLO_WRONG;
		if (n - at < change)
			return KF_EGRESS_HELLO_MORE;
	}
	return KF_EGRESS_HELLO_WRONG;
}
