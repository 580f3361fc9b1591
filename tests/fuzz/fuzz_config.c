/* SPDX-License-Identifier: Apache-2.0 */
#include "../../tests/fuzz/fuzz_oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_oci(data, size, true);
}
