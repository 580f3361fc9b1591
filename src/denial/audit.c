/* SPDX-License-Identifier: Apache-2.0 */
/* Reading records of the audit log.  They come from the kernel, but names in them are chosen by
 * workloads: the kernel quotes them, or writes them in hexadecimal if they have a quote, a space or
 * a control character. */
#include "denial/audit.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

bool kf_audit_parse(unsigned type, const char *text, struct kf_audit_record *ret)
{
	static const char start[] = "audit(";
	struct kf_audit_record out = {.type = type};
	char *end;

	if (strncmp(text, start, sizeof(start) - 1) != 0)
		return false;
	text += sizeof(start) - 1;
	if (!isdigit((unsigned char)*text))
		return false;
	out.ms = strtoull(text, &end, 10) * 1000;
	if (*end != '.' || !isdigit((unsigned char)end[1]))
		return false;
	out.ms += strtoull(end + 1, &end, 10) % 1000;
	if (*end != ':' || !isdigit((unsigned char)end[1]))
		return false;
	out.serial = strtoull(end + 1, &end, 10);
	if (strncmp(end, "):", 2) != 0)
		return false;
	out.fields = end + 2;
	*ret = out;
	return true;
}

/* The text behind "KEY=".  No value can look like another field: what has a space in it is quoted
 * or hexadecimal, and quotes are passed over. */
static const char *find_field(const char *at, const char *key)
{
	const size_t n = strlen(key);

	for (;;) {
		at += strspn(at, " ");
		if (!*at)
			return NULL;
		if (strncmp(at, key, n) == 0 && at[n] == '=')
			return at + n + 1;
		at += strcspn(at, " =");
		if (*at == '=' && at[1] == '"') {
			at = strchr(at + 2, '"');
			if (!at)
				return NULL;
			at++;
		}
		at += strcspn(at, " ");
	}
}

/* Of what is_hex() has accepted. */
static unsigned hex_digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

static size_t copy_hex(const char *from, size_t n, char *to, size_t size)
{
	size_t out = 0;

	for (size_t i = 0; i + 1 < n && out + 1 < size; i += 2) {
		const char c = (char)(hex_digit(from[i]) << 4 | hex_digit(from[i + 1]));

		to[out++] = c ? c : ' ';
	}
	return out;
}

static bool is_hex(const char *s, size_t n)
{
	return n && n % 2 == 0 && strspn(s, "0123456789ABCDEF") >= n;
}

bool kf_audit_string(const struct kf_audit_record *record, const char *key, char *ret, size_t size)
{
	const char *at = find_field(record->fields, key);
	const bool quoted = at && *at == '"';
	size_t n;

	*ret = '\0';
	if (!at)
		return false;
	at += quoted;
	n = strcspn(at, quoted ? "\"" : " ");
	if (!quoted && is_hex(at, n)) {
		n = copy_hex(at, n, ret, size);
	} else {
		n = n < size ? n : size - 1;
		memcpy(ret, at, n);
	}
	ret[n] = '\0';
	return true;
}

bool kf_audit_number(const struct kf_audit_record *record, const char *key, int base, uint64_t *ret)
{
	const char *at = find_field(record->fields, key);
	uint64_t value;
	char *end;

	if (!at || !isxdigit((unsigned char)*at))
		return false;
	value = strtoull(at, &end, base);
	if (end == at || (*end && *end != ' '))
		return false;
	*ret = value;
	return true;
}
