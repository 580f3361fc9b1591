/* SPDX-License-Identifier: Apache-2.0 */
/* src/node/merge: ours go, theirs stay, byte for byte. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "node/merge.h"

#include <string.h>

#define B    "version = 3\n# theirs\n[a]\n  x = 1\n"
#define OURS "\n[h]\n  type = \"r\"\n  [h.options]\n    b = \"/g\"\n"

static struct kf_text text(const char *s)
{
	return (struct kf_text){s, strlen(s)};
}

static void what_somebody_else_changed_stays_and_ours_goes(void **state)
{
	static const struct {
		const char *what, *original, *ours, *now, *want; /* want NULL: refused */
	} cases[] = {
		{"nothing", B, B OURS, B OURS, B},
		{"a line at the top", B, B OURS, "# new\n" B OURS, "# new\n" B},
		{"a value elsewhere", B, B OURS, "version = 3\n# theirs\n[a]\n  x = 2\n" OURS,
		 "version = 3\n# theirs\n[a]\n  x = 2\n"},
		{"a table behind ours", B, B OURS, B OURS "[z]\n  y = 1\n", B "[z]\n  y = 1\n"},
		{"a comment behind ours", B, B OURS, B OURS "# here\n", B "# here\n"},
		{"a key behind ours is in our table", B, B OURS, B OURS "    k = 1\n", B},
		{"a line of ours changed", B, B OURS,
		 B "\n[h]\n  type = \"other\"\n  [h.options]\n    b = \"/x\"\n", B},
		{"a line inside ours", B, B OURS,
		 B "\n[h]\n  type = \"r\"\n  more = 1\n  [h.options]\n    b = \"/g\"\n", B},
		{"ours taken out", B, B OURS, B, B},
		{"ours taken out, something put in", B, B OURS, B "[z]\n", NULL},
		{"what we had changed goes back", "disable = true\nx = 1\n",
		 "disable = false\nx = 1\n", "disable = false\nx = 2\n", "disable = true\nx = 2\n"},
		{"a key of theirs behind a key of ours", "[a]\nx = 1\n", "[a]\nx = 1\nd = 1\n",
		 "[a]\nx = 1\nd = 1\ny = 1\n", "[a]\nx = 1\ny = 1\n"},
		{"both in one change", B, B OURS, "version = 3\n# theirs\n", NULL},
		{"no end of line", "a = 1", "a = 1\n[h]\n", "a = 1\n[h]\n[z]\n", "a = 1\n[z]\n"},
		{"nothing was there", "", OURS, OURS "[z]\n", "[z]\n"},
		{"carriage returns", "a = 1\r\n", "a = 1\r\n[h]\r\n", "b = 1\r\na = 1\r\n[h]\r\n",
		 "b = 1\r\na = 1\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_buf out = KF_BUF_INIT(4096);
		struct kf_err err;
		int r = kf_merge_back(text(cases[i].original), text(cases[i].ours),
				      text(cases[i].now), &out, &err);

		print_message("# %s\n", cases[i].what);
		kf_buf_add(&out, "", 1);
		assert_int_equal(r, cases[i].want ? 0 : -1);
		if (r == 0)
			assert_string_equal(out.p, cases[i].want);
		kf_buf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_somebody_else_changed_stays_and_ours_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
