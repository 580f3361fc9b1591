/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a key and writing the header that has it.  A Secret's files are links into a directory
 * that the kubelet replaces as a whole, so they are opened anew each time; no link leads out of the
 * directory.  Nothing here is copied to memory that is not for keys. */
#include "nono-egress/worker/key.h"

#include "base/cleanup.h"
#include "nono-egress/worker/secret.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>

KF_CALLS(kf_worker_key_calls, KF_CALL(openat2));

static int open_key(int dir, const char *name, struct kf_err *err)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	return fd < 0 ? kf_fail_sys(err, "key '%s'", name) : fd;
}

/* Read the key into the KF_WORKER_KEY_MAX bytes at @at; line ends behind it are left out. */
static int read_key(int dir, const char *name, char *at, size_t *ret_n, struct kf_err *err)
{
	KF_CLOSE int fd = open_key(dir, name, err);
	struct stat st;
	size_t n = 0;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return kf_fail(err, EINVAL, "key '%s' is not a file", name);
	for (;;) {
		ssize_t r = read(fd, at + n, KF_WORKER_KEY_MAX - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return kf_fail_sys(err, "key '%s'", name);
		if (r == 0)
			break;
		n += (size_t)r;
		if (n == KF_WORKER_KEY_MAX)
			return kf_fail(err, EFBIG, "key '%s' is longer than %d bytes", name,
				       KF_WORKER_KEY_MAX - 1);
	}
	while (n && (at[n - 1] == '\n' || at[n - 1] == '\r'))
		n--;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)at[i] < 0x20 || at[i] == 0x7f)
			return kf_fail(err, EINVAL, "key '%s' has a character that no header has",
				       name);
	if (!n)
		return kf_fail(err, EINVAL, "key '%s' is empty", name);
	*ret_n = n;
	return 0;
}

/* OpenSSL's encoder would copy the key. */
static size_t encode_base64(const char *from, size_t n, char *to)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t out = 0;

	for (size_t i = 0; i < n; i += 3) {
		const unsigned char *p = (const unsigned char *)from + i;
		const unsigned three = (unsigned)p[0] << 16 | (i + 1 < n ? p[1] : 0u) << 8 |
				       (i + 2 < n ? p[2] : 0u);

		to[out++] = digits[three >> 18];
		to[out++] = digits[three >> 12 & 63];
		to[out++] = i + 1 < n ? digits[three >> 6 & 63] : '=';
		to[out++] = i + 2 < n ? digits[three & 63] : '=';
	}
	return out;
}

static size_t put_text(char *at, const char *text)
{
	const size_t n = strlen(text);

	memcpy(at, text, n);
	return n;
}

static int put_basic(int dir, const struct kf_egress_credential *c, char *at, size_t *n,
		     struct kf_err *err)
{
	const size_t room = strlen(c->user) + 1 + KF_WORKER_KEY_MAX;
	size_t user, key = 0;
	void *plain;
	int r;

	if (kf_worker_secret_new(room, &plain, err) < 0)
		return -1;
	user = put_text(plain, c->user);
	((char *)plain)[user++] = ':';
	r = read_key(dir, c->key, (char *)plain + user, &key, err);
	if (r == 0) {
		*n += put_text(at + *n, "Basic ");
		*n += encode_base64(plain, user + key, at + *n);
	}
	kf_worker_secret_free(plain, room);
	return r;
}

int kf_worker_key_line(const int *dirs, const struct kf_egress_credential *c, char *at, size_t *n,
		       struct kf_err *err)
{
	size_t key = 0;

	*n += put_text(at + *n, c->header);
	*n += put_text(at + *n, ": ");
	if (c->form == KF_EGRESS_BASIC) {
		if (put_basic(dirs[c->dir], c, at, n, err) < 0)
			return -1;
	} else {
		if (c->form == KF_EGRESS_BEARER)
			*n += put_text(at + *n, "Bearer ");
		if (read_key(dirs[c->dir], c->key, at + *n, &key, err) < 0)
			return -1;
		*n += key;
	}
	*n += put_text(at + *n, "\r\n");
	return 0;
}
