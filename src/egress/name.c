/* SPDX-License-Identifier: Apache-2.0 */
/* Reading names of hosts.  What could be an address in one of the many forms that resolvers take
 * for one is never a name: a name's last label does not look like a number, as the URL standard has
 * it. */
#include "egress/name.h"

#include <arpa/inet.h>
#include <string.h>

#define LABEL_MAX 63

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_label_char(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

/* Lower case into @to; false if a byte can be in no name. */
static bool copy_lower(const char *s, size_t n, char *to)
{
	for (size_t i = 0; i < n; i++) {
		char c = s[i];

		to[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
		if (c <= ' ' || c >= 0x7f)
			return false;
	}
	to[n] = '\0';
	return true;
}

static bool is_canonical(int family, const char *s)
{
	unsigned char address[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];

	return inet_pton(family, s, address) == 1 &&
	       inet_ntop(family, address, text, sizeof(text)) && strcmp(text, s) == 0;
}

static bool has_labels(const char *s)
{
	size_t label = 0;

	for (; *s; s++) {
		if (*s == '.') {
			if (!label || s[-1] == '-')
				return false;
			label = 0;
		} else if (!is_label_char(*s) || (*s == '-' && !label) || ++label > LABEL_MAX) {
			return false;
		}
	}
	return label && s[-1] != '-';
}

/* Decimal, octal, or "0x" and hexadecimal digits, which may be none. */
static bool ends_in_number(const char *s)
{
	const char *last = strrchr(s, '.');
	const char *p = last ? last + 1 : s;
	const char *end = p;

	while (is_digit(*end))
		end++;
	if (!*end)
		return true;
	if (p[0] != '0' || p[1] != 'x')
		return false;
	for (end = p + 2; is_hex(*end); end++)
		;
	return !*end;
}

enum kf_egress_name_form kf_egress_name_read(const char *s, size_t n,
					     char ret[static KF_EGRESS_NAME_MAX + 1])
{
	char name[KF_EGRESS_NAME_MAX + 1];
	enum kf_egress_name_form form = KF_EGRESS_NAME_HOST;

	if (n && s[0] == '[') {
		if (n < 3 || n - 2 > KF_EGRESS_NAME_MAX || s[n - 1] != ']' ||
		    !copy_lower(s + 1, n - 2, name))
			return KF_EGRESS_NAME_BAD;
		if (!is_canonical(AF_INET6, name))
			return strchr(name, ':') ? KF_EGRESS_NAME_NUMBER : KF_EGRESS_NAME_BAD;
		form = KF_EGRESS_NAME_ADDRESS;
	} else {
		if (n > 1 && s[n - 1] == '.')
			n--;
		if (!n || n > KF_EGRESS_NAME_MAX || !copy_lower(s, n, name) || !has_labels(name))
			return KF_EGRESS_NAME_BAD;
		if (is_canonical(AF_INET, name))
			form = KF_EGRESS_NAME_ADDRESS;
		else if (ends_in_number(name))
			return KF_EGRESS_NAME_NUMBER;
	}
	memcpy(ret, name, strlen(name) + 1);
	return form;
}
