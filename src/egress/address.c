/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses are public.  One table and the rules' ranges, of which the longest that contains
 * an address decides. */
#include "egress/address.h"

#include "base/cleanup.h"

#include <string.h>

#define MAPPED_BITS 96

struct address_block {
	uint8_t address[16];
	uint8_t bits;
	bool public;
	const char *what;
};

#define FOUR(a, b, c, d, bits, public, what)                                                  \
	{                                                                                     \
		{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}, MAPPED_BITS + (bits), \
			public, what                                                          \
	}
#define SIX(bits, public, what, ...)              \
	{                                         \
		{__VA_ARGS__}, bits, public, what \
	}

/* IANA's registries of special-purpose addresses, and the metadata services of clouds. */
static const struct address_block blocks[] = {
	FOUR(0, 0, 0, 0, 0, true, ""),
	FOUR(0, 0, 0, 0, 8, false, "unspecified"),
	FOUR(10, 0, 0, 0, 8, false, "private"),
	FOUR(100, 64, 0, 0, 10, false, "private"),
	FOUR(100, 100, 100, 200, 32, false, "metadata"),
	FOUR(127, 0, 0, 0, 8, false, "loopback"),
	FOUR(168, 63, 129, 16, 32, false, "metadata"),
	FOUR(169, 254, 0, 0, 16, false, "link-local"),
	FOUR(169, 254, 169, 254, 32, false, "metadata"),
	FOUR(169, 254, 170, 2, 32, false, "metadata"),
	FOUR(169, 254, 170, 23, 32, false, "metadata"),
	FOUR(172, 16, 0, 0, 12, false, "private"),
	FOUR(192, 0, 0, 0, 24, false, "reserved"),
	FOUR(192, 0, 0, 192, 32, false, "metadata"),
	FOUR(192, 0, 2, 0, 24, false, "documentation"),
	FOUR(192, 31, 196, 0, 24, false, "reserved"),
	FOUR(192, 52, 193, 0, 24, false, "reserved"),
	FOUR(192, 88, 99, 0, 24, false, "reserved"),
	FOUR(192, 168, 0, 0, 16, false, "private"),
	FOUR(192, 175, 48, 0, 24, false, "reserved"),
	FOUR(198, 18, 0, 0, 15, false, "benchmark"),
	FOUR(198, 51, 100, 0, 24, false, "documentation"),
	FOUR(203, 0, 113, 0, 24, false, "documentation"),
	FOUR(224, 0, 0, 0, 4, false, "multicast"),
	FOUR(240, 0, 0, 0, 4, false, "reserved"),
	/* Of IPv6 only this block is in use for addresses that are public. */
	SIX(0, false, "reserved", 0),
	SIX(3, true, "", 0x20),
	SIX(23, false, "reserved", 0x20, 0x01, 0), /* Teredo, ORCHID, benchmarks and more */
	SIX(32, false, "documentation", 0x20, 0x01, 0x0d, 0xb8),
	SIX(16, false, "6to4", 0x20, 0x02),
	SIX(48, false, "reserved", 0x26, 0x20, 0x00, 0x4f, 0x80, 0x00),
	SIX(20, false, "documentation", 0x3f, 0xff),
	SIX(128, false, "unspecified", 0),
	SIX(128, false, "loopback", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
	SIX(48, false, "nat64", 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01),
	SIX(7, false, "private", 0xfc),
	SIX(128, false, "metadata", 0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02,
	    0x54),
	SIX(128, false, "metadata", 0xfd, 0x20, 0x00, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02,
	    0x54),
	SIX(10, false, "link-local", 0xfe, 0x80),
	SIX(10, false, "private", 0xfe, 0xc0),
	SIX(8, false, "multicast", 0xff),
};

static bool has_prefix(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(address, prefix, whole) == 0 &&
	       (!rest || (address[whole] ^ prefix[whole]) >> (8 - rest) == 0);
}

/* What decides about an address: of all that contain it the longest, of those as long a rule before
 * the table and "grant" before "refuse". */
struct address_choice {
	int rank;
	bool ok;
	const char *what;
};

static void choose_block(struct address_choice *choice, const uint8_t *address)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(blocks); i++) {
		const int rank = 3 * blocks[i].bits;

		if (rank > choice->rank && has_prefix(address, blocks[i].address, blocks[i].bits))
			*choice = (struct address_choice){rank, blocks[i].public, blocks[i].what};
	}
}

static void choose_range(struct address_choice *choice, const struct kf_egress_rules *rules,
			 const uint8_t *address)
{
	for (const struct kf_egress_range *r = rules->ranges; r; r = r->next) {
		const int rank = 3 * (int)r->bits + (r->grant ? 2 : 1);

		if (rank > choice->rank && has_prefix(address, r->address.s6_addr, r->bits))
			*choice = (struct address_choice){rank, r->grant, r->grant ? "" : r->what};
	}
}

static void map_four(const void *four, uint8_t ret[static 16])
{
	memcpy(ret, (const uint8_t[12]){[10] = 0xff, [11] = 0xff}, 12);
	memcpy(ret + 12, four, 4);
}

bool kf_egress_address_ok(const struct kf_egress_rules *rules, const struct sockaddr *address,
			  const char **ret_what)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	struct address_choice choice = {.rank = -1};
	uint8_t six[16];

	if (address->sa_family == AF_INET) {
		map_four(&((const struct sockaddr_in *)(const void *)address)->sin_addr, six);
	} else {
		memcpy(six, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
		if (memcmp(six, mapped, sizeof(mapped)) == 0) {
			*ret_what = "mapped";
			return false;
		}
	}
	if (memcmp(six, nat64, sizeof(nat64)) == 0) {
		/* The IPv4 address in the last four bytes is what is reached (RFC 6052): it
		 * decides, unless the rules have a range for all of NAT64 or a part of it. */
		choice.rank = 3 * 96;
		choose_range(&choice, rules, six);
		if (choice.rank == 3 * 96) {
			choice.rank = -1;
			map_four(six + 12, six);
		}
	}
	if (choice.rank < 0) {
		choose_block(&choice, six);
		choose_range(&choice, rules, six);
	}
	*ret_what = choice.what;
	return choice.ok;
}
