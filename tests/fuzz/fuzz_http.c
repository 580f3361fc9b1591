/* SPDX-License-Identifier: Apache-2.0 */
/* A request in whatever pieces it comes: the answer never depends on them, and a path that is
 * accepted lies within the text. */
#include "observe/http_request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1); /* exactly as long as it is, for AddressSanitizer */
	struct kf_http_request r = {0};
	size_t first = 0;
	int status = 0;

	if (!text)
		return 0;
	for (; first < n && first < KF_HTTP_REQUEST_MAX && !status; first++) {
		char *piece = malloc(first + 1);

		if (!piece)
			abort();
		memcpy(piece, data, first + 1);
		status = kf_http_request_parse(piece, first + 1, &r);
		if (status == 200 && (r.path < piece || !r.npath || r.path[0] != '/' ||
				      r.path + r.npath > piece + first + 1))
			abort();
		if (status == 200 && r.host &&
		    (r.host < piece || r.host + r.nhost > piece + first + 1))
			abort();
		if (status == 200)
			(void)kf_http_request_by_address(&r);
		free(piece);
	}
	if (n) {
		memcpy(text, data, n);
		/* What comes behind a request changes nothing; a longer one may have the fault
		 * found before its end. */
		if (status == 200 && kf_http_request_parse(text, n, &r) != 200)
			abort();
		if (n >= KF_HTTP_REQUEST_MAX && kf_http_request_parse(text, n, &r) == 0)
			abort();
	}
	free(text);
	return 0;
}
