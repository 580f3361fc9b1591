/* SPDX-License-Identifier: Apache-2.0 */
/* Replays inputs without libFuzzer: fuzz_<target> FILE... */
#include "base/cleanup.h"
#include "base/file.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>

#define INPUT_MAX (64 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		KF_FREE char *data = NULL, *exact = NULL;
		struct kf_err err;
		size_t n;

		(void)fprintf(stderr, "%s\n", argv[i]);
		if (kf_file_slurp(AT_FDCWD, argv[i], INPUT_MAX, &data, &n, &err) < 0) {
			(void)fprintf(stderr, "%s\n", err.msg);
			return 1;
		}
		/* Of exactly that size, so that ASan sees the first byte too many. */
		exact = malloc(n ? n : 1);
		if (!exact)
			return 1;
		memcpy(exact, data, n);
		(void)LLVMFuzzerTestOneInput((const uint8_t *)exact, n);
	}
	return 0;
}
