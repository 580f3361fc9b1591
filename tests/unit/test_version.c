/* SPDX-License-Identifier: Apache-2.0 */
/* How far two versions are apart. */
#include "base/version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void distances(void **state)
{
	static const struct {
		const char *a, *b;
		enum kf_apart want;
	} cases[] = {
		{"0.1.0", "0.1.0", KF_APART_NOT},
		{"0.1.0", "0.1.9", KF_APART_NOT},
		{"0.1.0", "0.1.1-rc.1", KF_APART_NOT},
		{"0.1.0", "0.2.0", KF_APART_ONE},
		{"0.9.0", "0.10.0", KF_APART_ONE},
		{"0.1.0", "0.3.0", KF_APART_FAR},
		{"0.9.0", "1.0.0", KF_APART_FAR},
		{"1.1.0", "2.1.0", KF_APART_FAR},
		{"", "0.1.0", KF_APART_FAR},
		{"0.1", "0.1.0", KF_APART_FAR},
		{"0.1.0", "v0.1.0", KF_APART_FAR},
		{"-1.1.0", "0.1.0", KF_APART_FAR},
		{"0.99999999999999999999.0", "0.1.0", KF_APART_FAR},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(kf_version_apart(cases[i].a, cases[i].b), cases[i].want);
		assert_int_equal(kf_version_apart(cases[i].b, cases[i].a), cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distances),
	};

	return cmocka_run_group_tests_name("version", tests, NULL, NULL);
}
