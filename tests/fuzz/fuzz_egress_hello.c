/* SPDX-License-Identifier: Apache-2.0 */
/* A TLS hello in whatever pieces it comes, and what follows it: the answer never depends on them,
 * and a name that is accepted is a host's. */
#include "egress/hello.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define need(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static ssize_t read_part(const uint8_t *data, size_t n, char *name, enum kf_egress_reason *reason)
{
	uint8_t *exact = malloc(n ? n : 1);
	ssize_t r;

	need(exact);
	if (n)
		memcpy(exact, data, n);
	r = kf_egress_hello_read(exact, n, name, reason);
	free(exact);
	need(r <= (ssize_t)n);
	need(r >= 0 || kf_egress_reason(*reason)->verdict == KF_EGRESS_REFUSED);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char name[KF_EGRESS_NAME_MAX + 1], part[KF_EGRESS_NAME_MAX + 1],
		same[KF_EGRESS_NAME_MAX + 1];
	enum kf_egress_reason reason, first = KF_EGRESS_WHY_NONE;
	ssize_t whole = read_part(data, n, name, &reason), r = 0;
	size_t skip;

	for (size_t i = 0; i <= n && !r; i++)
		r = read_part(data, i, part, &first);
	/* What is wrong is found when it has come, which may be before the hello would be complete.
	 */
	need((r > 0) == (whole > 0) && (r <= 0 || (r == whole && strcmp(name, part) == 0)));
	need((r < 0) == (whole < 0));
	if (whole > 0) {
		need(!name[0] ||
		     (kf_egress_name_read(name, strlen(name), same) == KF_EGRESS_NAME_HOST &&
		      strcmp(name, same) == 0));
		switch (kf_egress_hello_next(data + whole, n - (size_t)whole, &skip)) {
		case KF_EGRESS_HELLO_AGAIN:
			need(skip < n - (size_t)whole && data[(size_t)whole + skip] == 22);
			break;
		default:
			need(skip <= n - (size_t)whole);
		}
	}
	return 0;
}
