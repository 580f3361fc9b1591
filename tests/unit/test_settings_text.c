/* SPDX-License-Identifier: Apache-2.0 */
/* src/config/settings_text: what the plugin publishes is what the guard reads. */
#include "base/cleanup.h"
#include "base/sha256.h"
#include "config/settings_text.h"
#include "kf_test.h"

#include <stdio.h>
#include <string.h>

static const char *const handlers[] = {"nono-runc", "kata-qemu"};
static const char *const allowed[] = {"default", "strict"};
static const char *const namespaces[] = {"a strict -", "b - strict,codex"};

static void round_trip(void **state)
{
	struct kf_settings in = {
		.handlers = handlers,
		.nhandlers = 2,
		.default_profile = "default",
		.launcher = "/opt/nono-nri/nono",
		.allowed_profiles = allowed,
		.nallowed_profiles = 2,
		.namespaces = namespaces,
		.nnamespaces = 2,
		.seccomp = KF_SECCOMP_LEVEL_NONE,
		.exec = KF_EXEC_DENY,
		.seccomp_log = true,
		.egress = true,
		.review_size = 2048,
	};
	struct kf_buf buf = KF_BUF_INIT(65536), again = KF_BUF_INIT(65536);
	struct kf_settings_text out;
	struct kf_err err;

	(void)state;
	assert_int_equal(kf_settings_text_format(&in, &buf, &err), 0);
	assert_int_equal(kf_settings_text_parse(buf.p, buf.n, &out, &err), 0);
	assert_int_equal(out.settings.nhandlers, 2);
	assert_string_equal(out.settings.handlers[1], "kata-qemu");
	assert_string_equal(out.settings.allowed_profiles[1], "strict");
	assert_int_equal(out.settings.nnamespaces, 2);
	assert_string_equal(out.settings.namespaces[1], "b - strict,codex");
	assert_int_equal(out.settings.exec, KF_EXEC_DENY);
	assert_true(out.settings.seccomp_log);
	assert_true(out.settings.egress);
	assert_int_equal(out.settings.review_size, 2048);
	assert_int_equal(out.settings.seccomp, KF_SECCOMP_LEVEL_NONE);
	assert_int_equal(kf_settings_text_format(&out.settings, &again, &err), 0);
	assert_string_equal(buf.p, again.p);
	kf_settings_text_done(&out);
	/* A flipped bit anywhere is noticed. */
	for (size_t i = 0; i < buf.n; i++) {
		buf.p[i] ^= 1;
		assert_int_equal(kf_settings_text_parse(buf.p, buf.n, &out, &err), -1);
		buf.p[i] ^= 1;
		assert_int_equal(kf_settings_text_parse(buf.p, i, &out, &err), -1);
	}
	in.nhandlers = 0;
	assert_int_equal(kf_settings_text_format(&in, &again, &err), -1);
	in.nhandlers = 2;
	in.namespaces = allowed;
	assert_int_equal(kf_settings_text_format(&in, &again, &err), -1);
	in.namespaces = namespaces;
	in.launcher = "relative";
	assert_int_equal(kf_settings_text_format(&in, &again, &err), -1);
	kf_buf_done(&buf);
	kf_buf_done(&again);
}

static void other_lines_are_refused(void **state)
{
	static const char *const bodies[] = {
		"kubefence-settings 1\n",
		"kubefence-settings 1\nhandler h\ndefault d\nlauncher /x\nseccomp restricted\n",
		"kubefence-settings 1\ndefault d\nhandler h\nlauncher /x\nseccomp none\nexec "
		"deny\n",
		"kubefence-settings 1\nhandler h\ndefault d\nlauncher /x\nseccomp none\nexec no\n",
		"kubefence-settings 1\nhandler h\ndefault d\nlauncher /x\nseccomp all\nexec deny\n",
		"kubefence-settings 1\nhandler H\ndefault d\nlauncher /x\nseccomp none\nexec "
		"deny\n",
		"kubefence-settings 1\nhandler h\ndefault d\nlauncher x\nseccomp none\nexec deny\n",
		"kubefence-settings 1\nhandler h\ndefault d\nlauncher /x/../y\nseccomp none\n"
		"exec deny\n",
		"kubefence-settings 1\nhandler h\ndefault d\nlauncher /x\nseccomp none\nexec deny\n"
		"more x\n",
		"kubefence-settings 1\nhandler h\ndefault d\nlauncher /x\nseccomp none\nexec deny\n"
		"exec sandbox\n",
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(bodies); i++) {
		char sum[KF_SHA256_HEX + 1], text[1024];
		struct kf_settings_text out;
		struct kf_err err = {0};

		kf_sha256_hex(bodies[i], strlen(bodies[i]), sum);
		(void)snprintf(text, sizeof(text), "%ssum %s\n", bodies[i], sum);
		assert_int_equal(kf_settings_text_parse(text, strlen(text), &out, &err), -1);
		assert_null(strstr(err.msg, "checksum"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(other_lines_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
