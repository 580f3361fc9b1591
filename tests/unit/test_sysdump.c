/* SPDX-License-Identifier: Apache-2.0 */
/* src/kubefence/sysdump/hide: no secret is in a bug report, however it is written down. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "kubefence/sysdump/hide.h"

#include <stdio.h>
#include <string.h>

#define OUT_MAX (1024 * 1024)
#define SECRET	"hunter2hunter2"

static void assert_hidden(const char *text, const char *secret)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(OUT_MAX);

	kf_hide_secrets(text, &out);
	assert_false(out.failed);
	if (strstr(out.p, secret))
		fail_msg("%s: is left in %s", text, out.p);
	assert_non_null(strstr(out.p, "(left out)"));
}

static void no_secret_is_left_however_it_is_written(void **state)
{
	static const char *const names[] = {
		"password",    "Password",     "DB_PASSWORD",	"registry.password",
		"token",       "X-Auth-Token", "client_secret", "aws_secret_access_key",
		"api_key",     "apiKey",       "Authorization", "identitytoken",
		"private-key", "session_id",   "Set-Cookie"};
	static const char *const forms[] = {"%s=%s",
					    "%s: %s",
					    "%s = \"%s\"",
					    "%s = '%s'",
					    "\"%s\": \"%s\"",
					    "  %s:%s\nnext: 1",
					    "a %s=%s b",
					    "{\"%s\": \"%s\"}",
					    "{\"a\": [{\"%s\": \"%s\"}]}",
					    "[plugins]\n  %s = \"%s\"\n",
					    "--%s=%s --other",
					    "level=info %s=%s",
					    "\"%s\" : \"x\\\"%s\""};
	char text[512];

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++) {
		for (size_t k = 0; k < KF_ARRAY_SIZE(forms); k++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			(void)snprintf(text, sizeof(text), forms[k], names[i], SECRET);
#pragma GCC diagnostic pop
			assert_hidden(text, SECRET);
		}
	}
}

static void secrets_without_a_name_are_known_by_their_form(void **state)
{
	(void)state;
	assert_hidden("x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4 y", "SflKxw");
	assert_hidden("curl -H 'Bearer " SECRET "' x", SECRET);
	assert_hidden("proxy https://user:" SECRET "@example.org/x", SECRET);
	assert_hidden("ghp_0123456789abcdefghijklmnop", "0123456789abcdef");
	assert_hidden(
		"-----BEGIN RSA PRIVATE KEY-----\nMIIabc\ndef\n-----END RSA PRIVATE KEY-----\nx",
		"MIIabc");
	assert_hidden("-----BEGIN PRIVATE KEY-----\nMIIabc", "MIIabc");
	/* A variable of the environment, whatever it is called. */
	assert_hidden("{\"spec\":{\"containers\":[{\"env\":[{\"name\":\"PLAIN\",\"value\":\"" SECRET
		      "\"}]}]}}",
		      SECRET);
	assert_hidden("{\"metadata\":{\"annotations\":{\"kubectl.kubernetes.io/"
		      "last-applied-configuration\":\"" SECRET "\"}}}",
		      SECRET);
}

static void annotations_of_others_and_broken_json_hide_nothing(void **state)
{
	static const char variable[] = "{\"env\": [{\"name\": \"A\", \"value\": \"" SECRET "\"}]}";
	char text[512];

	(void)state;
	assert_hidden("{\"metadata\":{\"annotations\":{\"example.org/note\":\"" SECRET "\"}}}",
		      SECRET);
	assert_hidden("{\"metadata\":{\"annotations\":{\"xnono.sh/note\":\"" SECRET "\"}}}",
		      SECRET);
	assert_hidden("{\"metadata\":{\"annotations\":{\"note\":\"" SECRET "\"}}}", SECRET);
	/* A program's words before the document, between two and behind it; and one that is cut. */
	(void)snprintf(text, sizeof(text), "Warning: old\n%s\nWarning: x\n%s\nended", variable,
		       variable);
	assert_hidden(text, SECRET);
	(void)snprintf(text, sizeof(text), "%.*s", (int)sizeof(variable) - 4, variable);
	assert_hidden(text, SECRET);
}

static void what_is_none_stays(void **state)
{
	static const char *const texts[] = {
		"Linux 6.18.44 x86_64\n",
		"runtime nono-runc /usr/sbin/runc\n",
		"profile default\nlabel \n",
		"https://example.org/a:b@c is no login\n",
		"-----BEGIN CERTIFICATE-----\nMIIabc\n-----END CERTIFICATE-----\n",
		"path=/etc/passwd_file",
		"",
		"a\nb\n\n",
		"{\"a\":1}\n{\"a\":2}\nand words\n",
		"[plugins]\n  a = 1\n[[x]]\n",
		"{\"annotations\":{\"nono.sh/profile\":\"strict\",\"a.kubernetes.io/b\":\"c\"}}\n",
		"token"};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(texts); i++) {
		KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(OUT_MAX);

		kf_hide_secrets(texts[i], &out);
		assert_string_equal(out.p ? out.p : "", texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_secret_is_left_however_it_is_written),
		cmocka_unit_test(secrets_without_a_name_are_known_by_their_form),
		cmocka_unit_test(annotations_of_others_and_broken_json_hide_nothing),
		cmocka_unit_test(what_is_none_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
