/* SPDX-License-Identifier: Apache-2.0 */
/* src/node/merge: ours go, theirs stay, byte for byte; whatever layout ours is in. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "node/merge.h"

#include <string.h>

#define RT    "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes"
#define OLD   "plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes"
#define NRI   "plugins.'io.containerd.nri.v1.nri'"
#define GUARD "/opt/kubefence/bin/nono-runc"
#define B     "version = 3\n# theirs\n[a]\n  x = 1\n"
#define HANDLER \
	"\n[" RT ".nono-runc]\n  runtime_type = \"r\"\n  pod_annotations = [\"nono.sh/*\"]\n"
#define OPTIONS "[" RT ".nono-runc.options]\n  BinaryName = \"" GUARD "\"\n"
#define SWITCH	"\n[" NRI "]\n  disable = false\n  socket_path = \"/s\"\n"
#define OURS	HANDLER OPTIONS SWITCH

/* With NRI switched off, which we change, and a handler of theirs that gets the guard. */
#define OFF	"version = 3\n[" NRI "]\n  disable = true\n"
#define ON	"version = 3\n[" NRI "]\n  disable = false\n  socket_path = \"/s\"\n" HANDLER OPTIONS
#define THEIRS                                                                       \
	"version = 3\n[" RT ".own]\n  runtime_type = \"r\"\n  options.BinaryName = " \
	"\"/usr/bin/x\"\n"
#define THEIRS_ON                                                                            \
	"version = 3\n[" RT ".own]\n  runtime_type = \"r\"\n  options.BinaryName = \"" GUARD \
	".own\"\n"

/* Our handler as a program writes it that has other quotes and no indentation. */
#define RT_QUOTED "plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes"
#define REWRITTEN                                                                         \
	"\n[" RT_QUOTED                                                                   \
	".nono-runc]\nruntime_type = 'r'\npod_annotations = ['nono.sh/*']\n\n[" RT_QUOTED \
	".nono-runc.options]\nBinaryName = '" GUARD "'\n"

/* What somebody made of our handler, in another layout, before we wrote the file again. */
#define COPY                                                                                    \
	"[" RT ".copied]\nruntime_type = \"r\"\n[" RT ".copied.options]\nBinaryName = \"" GUARD \
	"\"\n"

static struct kf_text text(const char *s)
{
	return (struct kf_text){s, strlen(s)};
}

struct merge_case {
	const char *what, *original, *ours, *now, *want; /* want NULL: refused */
};

static void run_cases(const struct merge_case *cases, size_t n, bool beside, const char *before)
{
	static struct kf_journal journal = {.nhandlers = 2,
					    .handlers = {{.name = "nono-runc", .created = true},
							 {.name = "own"}}};

	for (size_t i = 0; i < n; i++) {
		const struct kf_merge m = {.name = "f",
					   .original = text(cases[i].original),
					   .ours = text(cases[i].ours),
					   .before = before ? text(before) : (struct kf_text){0},
					   .journal = &journal,
					   .beside = beside};
		struct kf_buf out = KF_BUF_INIT(8192);
		struct kf_err err = {0};
		bool found = false;
		int r = kf_merge_back(&m, text(cases[i].now), &out, &found, &err);

		print_message("# %s %s\n", cases[i].what, r ? err.msg : "");
		kf_buf_add(&out, "", 1);
		assert_int_equal(r, cases[i].want ? 0 : -1);
		if (r == 0) {
			assert_string_equal(out.p, cases[i].want);
			assert_int_equal(found, strcmp(cases[i].now, cases[i].want) != 0);
		}
		kf_buf_done(&out);
	}
}

static void what_somebody_else_changed_stays_and_ours_goes(void **state)
{
	static const struct merge_case cases[] = {
		{"nothing", B, B OURS, B OURS, B},
		{"a line at the top", B, B OURS, "# new\n" B OURS, "# new\n" B},
		{"a value elsewhere", B, B OURS, "version = 3\n# theirs\n[a]\n  x = 2\n" OURS,
		 "version = 3\n# theirs\n[a]\n  x = 2\n"},
		{"a table behind ours", B, B OURS, B OURS "[z]\n  y = 1\n", B "[z]\n  y = 1\n"},
		{"a remark behind ours", B, B OURS, B OURS "# here\n", B "# here\n"},
		{"a remark inside ours", B, B OURS, B HANDLER "  # here\n" OPTIONS SWITCH,
		 B "  # here\n"},
		{"a key in our handler goes with it", B, B OURS,
		 B HANDLER OPTIONS "  Root = \"/x\"\n" SWITCH, B},
		{"a key in our section of NRI keeps it", B, B OURS, B OURS "  k = 1\n",
		 B "\n[" NRI "]\n  k = 1\n"},
		{"the other half of the file is gone", B, B OURS, "version = 3\n" OURS,
		 "version = 3\n"},
		{"ours taken out: it is theirs as it is", B, B OURS, B SWITCH "[z]\n",
		 B SWITCH "[z]\n"},
		{"written anew without ours", B, B OURS, "version = 3\n[z]\n  y = 1\n",
		 "version = 3\n[z]\n  y = 1\n"},
		{"ours cut: what is left of it goes", B, B OURS, B HANDLER SWITCH, B},
		{"no end of line", "a = 1", "a = 1\n" OURS, "a = 1\n" OURS "[z]\n", "a = 1\n[z]\n"},
		{"nothing was there", "", "version = 3\n" OURS, "version = 3\n" OURS, ""},
		{"nothing was there, they added to it", "", "version = 3\n" OURS,
		 "version = 3\n" OURS "[z]\n  y = 1\n", "version = 3\n[z]\n  y = 1\n"},
		{"carriage returns", "a = 1\r\n",
		 "a = 1\r\n[" RT ".nono-runc.options]\r\nBinaryName = '" GUARD "'\r\n",
		 "b = 1\r\na = 1\r\n[" RT ".nono-runc.options]\r\nBinaryName = '" GUARD "'\r\n",
		 "b = 1\r\na = 1\r\n"},
		{"ours twice, which nobody can read", B, B OURS, B OURS HANDLER OPTIONS, B},
		{"ours twice, elsewhere as well", B, B OURS,
		 B SWITCH HANDLER OPTIONS HANDLER OPTIONS, B},
		{"ours twice, with a key of theirs behind it", B, B OURS,
		 B OURS HANDLER OPTIONS "  k = 1\n", B},
		{"ours twice, written by a program with other quotes", B, B OURS,
		 "version = 3\n[a]\nx = 1\n" REWRITTEN REWRITTEN, "version = 3\n[a]\nx = 1\n"},
		{"a table of theirs twice, with lines that ours has", B, B OURS,
		 B OURS "[" RT ".own]\nruntime_type = 'r'\n[" RT ".own]\nruntime_type = 'r'\n",
		 NULL},
		{"not readable, and not for our sake", B, B OURS, B OURS "[a]\n  x = 2\n", NULL},
	};

	(void)state;
	run_cases(cases, KF_ARRAY_SIZE(cases), false, NULL);
}

static void values_that_we_had_replaced_come_back(void **state)
{
	static const struct merge_case cases[] = {
		{"a line elsewhere", OFF, ON, "# new\n" ON, "# new\n" OFF},
		{"a value of theirs beside it", OFF, ON,
		 "version = 3\n[" NRI
		 "]\n  disable = false\n  timeout = 1\n  socket_path = \"/s\"\n" HANDLER OPTIONS,
		 "version = 3\n[" NRI "]\n  disable = true\n  timeout = 1\n"},
		{"switched on by themselves, with a remark", OFF, ON,
		 "version = 3\n[" NRI
		 "]\n  disable = false # for topology\n  socket_path = \"/s\"\n" HANDLER OPTIONS,
		 "version = 3\n[" NRI "]\n  disable = false # for topology\n"},
		{"switched on by themselves, a line of their own", OFF, ON,
		 "version = 3\n[" NRI "]\ndisable=false\n  socket_path = \"/s\"\n" HANDLER OPTIONS,
		 "version = 3\n[" NRI "]\ndisable=false\n"},
		{"switched on by themselves, the file written anew", OFF, ON,
		 "version = 3\n[" NRI "]\n  disable = false\n",
		 "version = 3\n[" NRI "]\n  disable = false\n"},
		{"the file written anew beside a copy of ours", OFF, ON COPY,
		 "version = 3\n[" NRI "]\ndisable = false\nsocket_path = \"/s\"\n[" RT
		 ".nono-runc]\nruntime_type = \"r\"\n[" RT
		 ".nono-runc.options]\nBinaryName = \"" GUARD "\"\n" COPY,
		 "version = 3\n[" NRI "]\ndisable = true\n"},
		{"another value of ours made theirs", OFF, ON,
		 "version = 3\n[" NRI
		 "]\n  disable = false\n  socket_path = \"/t\"\n" HANDLER OPTIONS,
		 "version = 3\n[" NRI "]\n  disable = true\n  socket_path = \"/t\"\n"},
		{"ours twice: the value comes back all the same", OFF, ON, ON HANDLER OPTIONS, OFF},
		{"ours twice, with a line that theirs has as well", THEIRS, THEIRS HANDLER OPTIONS,
		 THEIRS HANDLER OPTIONS HANDLER OPTIONS, THEIRS},
		{"a handler of theirs gets its program back", THEIRS, THEIRS_ON,
		 "# new\n" THEIRS_ON, "# new\n" THEIRS},
		{"a handler of theirs, written again", THEIRS, THEIRS_ON,
		 "version = 3\n[" RT ".own.options]\nBinaryName = '" GUARD ".own'\n[" RT
		 ".own]\nruntime_type = 'r'\n",
		 "version = 3\n[" RT ".own.options]\nBinaryName = \"/usr/bin/x\"\n[" RT
		 ".own]\nruntime_type = 'r'\n"},
	};

	(void)state;
	run_cases(cases, KF_ARRAY_SIZE(cases), false, NULL);
}

static void ours_is_known_in_any_layout(void **state)
{
	static const struct merge_case cases[] = {
		{"as containerd prints it", B, B OURS,
		 "version = 4\n\n[plugins]\n  [" RT "]\n    [" RT
		 ".nono-runc]\n      runtime_type = 'r'\n      snapshotter = ''\n\n      [" RT
		 ".nono-runc.options]\n        BinaryName = '" GUARD "'\n\n    [" RT
		 ".runc]\n      runtime_type = 'x'\n\n  [" NRI
		 "]\n    disable = false\n    socket_path = '/s'\n    timeout = '2s'\n",
		 "version = 4\n\n[plugins]\n  [" RT "]\n\n    [" RT
		 ".runc]\n      runtime_type = 'x'\n\n  [" NRI "]\n    timeout = '2s'\n"},
		{"dotted", B, B OURS,
		 "version = 3\n" RT ".nono-runc.runtime_type = 'r'\n" RT
		 ".nono-runc.options.BinaryName = '" GUARD "'\n" RT ".runc.runtime_type = 'x'\n",
		 "version = 3\n" RT ".runc.runtime_type = 'x'\n"},
		{"inline, first", B, B OURS,
		 "version = 3\n" RT " = { nono-runc = { options = { BinaryName = '" GUARD
		 "' } }, runc = { runtime_type = 'x' } }\n",
		 "version = 3\n" RT " = { runc = { runtime_type = 'x' } }\n"},
		{"inline, last", B, B OURS,
		 "version = 3\n" RT " = { runc = { runtime_type = 'x' }, nono-runc = { options = { "
		 "BinaryName = '" GUARD "' } } }\n",
		 "version = 3\n" RT " = { runc = { runtime_type = 'x' } }\n"},
		{"under version 2's name", B, B OURS,
		 "version = 2\n[" OLD ".nono-runc.options]\nBinaryName = '" GUARD "'\n[z]\n",
		 "version = 2\n[z]\n"},
		{"copied to another name", B, B OURS,
		 B OURS "[" RT ".copy]\nruntime_type = 'r'\n[" RT
			".copy.options]\nBinaryName = '" GUARD "'\n[z]\n",
		 B "[z]\n"},
		{"CRI-O's", "", "[crio.runtime.runtimes.nono-runc]\nruntime_path = \"" GUARD "\"\n",
		 "[crio.runtime.runtimes.nono-runc]\nruntime_path = '" GUARD
		 "'\n[crio.runtime]\nlog_level = 'x'\n",
		 "[crio.runtime]\nlog_level = 'x'\n"},
	};

	(void)state;
	run_cases(cases, KF_ARRAY_SIZE(cases), false, NULL);
}

static void ours_is_found_where_somebody_else_brought_it(void **state)
{
	static const struct merge_case cases[] = {
		{"of a copy of our drop-in the version stays", "", "# ours\nversion = 3\n" OURS,
		 "# ours\nversion = 3\n" OURS, "version = 3\n"},
		{"in a dump of all there is their value comes back", "", "version = 3\n" OURS,
		 "version = 4\n" HANDLER OPTIONS "[" NRI "]\ndisable = false\nother = 1\n",
		 "version = 4\n[" NRI "]\ndisable = true\nother = 1\n"},
		{"ours twice, beside lines of theirs", "", "version = 3\n" OURS,
		 "version = 3\n[z]\n  y = 1\n" HANDLER OPTIONS HANDLER OPTIONS,
		 "version = 3\n[z]\n  y = 1\n"},
		{"a file without ours is not looked at twice", "", "version = 3\n" OURS,
		 "version = 3\n[" NRI "]\ndisable = false\n",
		 "version = 3\n[" NRI "]\ndisable = false\n"},
	};

	(void)state;
	run_cases(cases, KF_ARRAY_SIZE(cases), true, "[" NRI "]\ndisable = true\n");
}

/* containerd 1.x drops its built-in runtimes for a file that has any, so we spell those out.  The
 * owner then orders the sections anew: in whichever order, what we spelled out does not end as half
 * a runtime, and his sections stay. */
static void what_we_spelled_out_stays_whole_or_goes_whole(void **state)
{
	enum { NSECTIONS = 6, NORDERS = 720 };
	static const char head[] = "version = 2\n";
	static const char *const sections[NSECTIONS] = {
		"[grpc]\n  gid = 6\n",
		"[plugins.'io.containerd.grpc.v1.cri'.containerd]\n  default_runtime_name = "
		"'runc'\n",
		"[" OLD ".runc]\n  base_runtime_spec = \"\"\n  runtime_type = \"r\"\n",
		"[" OLD ".runc.options]\n  BinaryName = \"\"\n  SystemdCgroup = true\n",
		"[" OLD ".nono-runc]\n  runtime_type = \"r\"\n",
		"[" OLD ".nono-runc.options]\n  BinaryName = \"" GUARD "\"\n",
	};
	static struct kf_journal journal = {.nhandlers = 1,
					    .handlers = {{.name = "nono-runc", .created = true}}};
	char original[512], ours[1024];

	(void)state;
	(void)snprintf(original, sizeof(original), "%s%s%s", head, sections[0], sections[1]);
	(void)snprintf(ours, sizeof(ours), "%s%s%s%s%s", original, sections[2], sections[3],
		       sections[4], sections[5]);
	for (size_t order = 0; order < NORDERS; order++) {
		const struct kf_merge m = {.name = "f",
					   .original = text(original),
					   .ours = text(ours),
					   .journal = &journal};
		struct kf_buf now = KF_BUF_INIT(8192), out = KF_BUF_INIT(8192);
		struct kf_err err = {0};
		bool used[NSECTIONS] = {0}, found, kept;

		kf_buf_adds(&now, head);
		for (size_t left = NSECTIONS, rest = order; left; rest /= left--) {
			size_t nth = rest % left, at = 0;

			while (used[at] || nth--)
				at++;
			used[at] = true;
			kf_buf_adds(&now, sections[at]);
		}
		if (kf_merge_back(&m, text(now.p), &out, &found, &err) < 0)
			fail_msg("%s: %s", now.p, err.msg);
		kf_buf_add(&out, "", 1);
		assert_null(strstr(out.p, "nono"));
		assert_non_null(strstr(out.p, sections[0]));
		assert_non_null(strstr(out.p, sections[1]));
		kept = strstr(out.p, sections[2]);
		if (kept != (strstr(out.p, sections[3]) != NULL) ||
		    kept != (strstr(out.p, "runtimes.runc") != NULL))
			fail_msg("half of it is left:\n%s", out.p);
		kf_buf_done(&now);
		kf_buf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_somebody_else_changed_stays_and_ours_goes),
		cmocka_unit_test(values_that_we_had_replaced_come_back),
		cmocka_unit_test(ours_is_known_in_any_layout),
		cmocka_unit_test(ours_is_found_where_somebody_else_brought_it),
		cmocka_unit_test(what_we_spelled_out_stays_whole_or_goes_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
