/* SPDX-License-Identifier: Apache-2.0 */
/* A name server's answer to the broker's own question, whose bytes the input changes or replaces.
 */
#include "egress/dns.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define NAME "www.example.com"
#define ID   0x1234

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const int families[] = {AF_INET, AF_INET6};
	uint8_t query[KF_EGRESS_DNS_QUERY_MAX];

	for (size_t f = 0; f < 2; f++) {
		struct kf_egress_dns_answer answer = {0};
		size_t asked = kf_egress_dns_query(ID, NAME, families[f], query) - 11; /* no OPT */
		uint8_t *text = malloc(asked + n);

		if (!text)
			return 0;
		/* The question as it was asked, then the input as flags, counts and records. */
		memcpy(text, query, asked);
		for (size_t i = 0; i < n && i < 10; i++)
			text[2 + i] = data[i];
		if (n > 10)
			memcpy(text + asked, data + 10, n - 10);
		(void)kf_egress_dns_read(text, asked + (n > 10 ? n - 10 : 0), ID, NAME, families[f],
					 &answer);
		if (answer.n > KF_EGRESS_DNS_ADDRESSES_MAX)
			abort();
		/* The input alone. */
		if (n)
			memcpy(text, data, n < asked ? n : asked);
		(void)kf_egress_dns_read(text, n < asked ? n : asked, ID, NAME, families[f],
					 &answer);
		free(text);
	}
	return 0;
}
