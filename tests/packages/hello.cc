// SPDX-License-Identifier: Apache-2.0
// A C++ program includes the header and links the library.
#include <nri/nri.h>

#include <cstdio>

#if NRI_VERSION_NUMBER < 0x000100
#error "the header's version is not a number"
#endif

int main()
{
	nri_features features;

	nri_features_parse("cri-o", "1.36.0", "", &features);
	std::puts(features.adjust_args ? nri_version() : "wrong");
}
