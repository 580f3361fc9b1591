/* SPDX-License-Identifier: Apache-2.0 */
/* Writing DNS queries and reading answers.  An answer counts only for the question that was asked;
 * of its records those count that a chain of aliases leads to from there. */
#include "egress/dns.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define TYPE_A	     1
#define TYPE_CNAME   5
#define TYPE_OPT     41
#define TYPE_AAAA    28
#define CLASS_IN     1
#define FLAG_ANSWER  0x8000
#define FLAG_CUT     0x0200
#define FLAG_RECURSE 0x0100
#define CODE_MASK    0x000f
#define CODE_MISSING 3
#define UDP_MAX	     1232 /* no fragments */
#define JUMPS_MAX    32
#define LABEL_MAX    63
#define NAME_MAX_    (KF_EGRESS_NAME_MAX + 1)

static void put_number(uint8_t **at, unsigned value)
{
	*(*at)++ = (uint8_t)(value >> 8);
	*(*at)++ = (uint8_t)value;
}

static unsigned type_of(int family)
{
	return family == AF_INET ? TYPE_A : TYPE_AAAA;
}

size_t kf_egress_dns_query(uint16_t id, const char *name, int family,
			   uint8_t ret[static KF_EGRESS_DNS_QUERY_MAX])
{
	uint8_t *at = ret;

	put_number(&at, id);
	put_number(&at, FLAG_RECURSE);
	put_number(&at, 1); /* questions */
	put_number(&at, 0);
	put_number(&at, 0);
	put_number(&at, 1); /* additional: OPT */
	while (*name) {
		size_t n = strcspn(name, ".");

		*at++ = (uint8_t)n;
		memcpy(at, name, n);
		at += n;
		name += n + (name[n] == '.');
	}
	*at++ = 0;
	put_number(&at, type_of(family));
	put_number(&at, CLASS_IN);
	*at++ = 0;
	put_number(&at, TYPE_OPT);
	put_number(&at, UDP_MAX);
	memset(at, 0, 6);
	return (size_t)(at + 6 - ret);
}

struct dns_message {
	const uint8_t *p;
	size_t n, at;
};

static bool read_number(struct dns_message *m, unsigned *ret)
{
	if (m->n - m->at < 2)
		return false;
	*ret = (unsigned)m->p[m->at] << 8 | m->p[m->at + 1];
	m->at += 2;
	return true;
}

/* Read a name, with pointers, in lower case with dots; a byte that belongs into no host's name
 * becomes '?'. */
static bool read_name(struct dns_message *m, char ret[static NAME_MAX_])
{
	size_t at = m->at, n = 0;
	bool jumped = false;

	for (unsigned jumps = 0; jumps < JUMPS_MAX;) {
		unsigned length;

		if (at >= m->n)
			return false;
		length = m->p[at++];
		if (length >> 6 == 3) {
			if (at >= m->n)
				return false;
			if (!jumped)
				m->at = at + 1;
			jumped = true;
			jumps++;
			at = (length & 0x3f) << 8 | m->p[at];
			continue;
		}
		if (length > LABEL_MAX || m->n - at < length || n + length + 2 > NAME_MAX_)
			return false;
		if (!length) {
			if (!jumped)
				m->at = at;
			ret[n] = '\0';
			return true;
		}
		if (n)
			ret[n++] = '.';
		for (unsigned i = 0; i < length; i++) {
			const char c = (char)m->p[at++];

			ret[n++] = c > ' ' && c < 0x7f && c != '.' ? c : '?';
		}
	}
	return false;
}

struct dns_record {
	char owner[NAME_MAX_];
	unsigned type, class, ttl, length;
};

/* Read a record up to its data. */
static bool read_record(struct dns_message *m, struct dns_record *ret)
{
	unsigned high, low;

	if (!read_name(m, ret->owner) || !read_number(m, &ret->type) ||
	    !read_number(m, &ret->class) || !read_number(m, &high) || !read_number(m, &low) ||
	    !read_number(m, &ret->length) || m->n - m->at < ret->length)
		return false;
	ret->ttl = high << 16 | low;
	return true;
}

static bool add_address(const struct dns_message *m, const struct dns_record *record, int family,
			struct kf_egress_dns_answer *ret)
{
	if (record->length != (family == AF_INET ? 4 : 16))
		return false;
	if (ret->n < KF_EGRESS_DNS_ADDRESSES_MAX)
		memcpy(ret->addresses[ret->n++], m->p + m->at, record->length);
	return true;
}

static enum kf_egress_dns_result read_records(struct dns_message *m, unsigned count,
					      const char *name, int family,
					      struct kf_egress_dns_answer *ret)
{
	char wanted[NAME_MAX_];

	memcpy(wanted, name, strlen(name) + 1);
	while (count--) {
		struct dns_record record;
		size_t end;

		if (!read_record(m, &record))
			return KF_EGRESS_DNS_FAULT;
		end = m->at + record.length;
		if (record.class == CLASS_IN && strcasecmp(record.owner, wanted) == 0) {
			if (record.ttl < ret->ttl)
				ret->ttl = record.ttl;
			if (record.type == type_of(family) && !add_address(m, &record, family, ret))
				return KF_EGRESS_DNS_FAULT;
			if (record.type == TYPE_CNAME && !read_name(m, wanted))
				return KF_EGRESS_DNS_FAULT;
		}
		m->at = end;
	}
	return KF_EGRESS_DNS_FOUND;
}

enum kf_egress_dns_result kf_egress_dns_read(const uint8_t *p, size_t n, uint16_t id,
					     const char *name, int family,
					     struct kf_egress_dns_answer *ret)
{
	struct dns_message m = {p, n, 0};
	struct kf_egress_dns_answer answer = {.ttl = UINT32_MAX};
	unsigned got, flags, questions, records, other, type, class;
	char asked[NAME_MAX_];
	enum kf_egress_dns_result result;

	if (!read_number(&m, &got) || got != id || !read_number(&m, &flags) ||
	    !(flags & FLAG_ANSWER) || !read_number(&m, &questions) || questions != 1 ||
	    !read_number(&m, &records) || !read_number(&m, &other) || !read_number(&m, &other) ||
	    !read_name(&m, asked) || strcasecmp(asked, name) != 0 || !read_number(&m, &type) ||
	    type != type_of(family) || !read_number(&m, &class) || class != CLASS_IN)
		return KF_EGRESS_DNS_OTHER;
	if (flags & FLAG_CUT)
		return KF_EGRESS_DNS_CUT;
	if ((flags & CODE_MASK) == CODE_MISSING)
		return KF_EGRESS_DNS_MISSING;
	if (flags & CODE_MASK)
		return KF_EGRESS_DNS_FAULT;
	result = read_records(&m, records, name, family, &answer);
	if (result == KF_EGRESS_DNS_FOUND)
		*ret = answer;
	return result;
}
