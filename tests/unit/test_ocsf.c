/* SPDX-License-Identifier: Apache-2.0 */
/* src/observe/ocsf, src/denial/ocsf: whatever the names are, an event is one line of JSON with the
 * numbers of its class, and nothing in it is empty.  The framework's own schema judges events of
 * real programs in tests/plugin, tests/denials and tests/e2e. */
#include "base/cleanup.h"
#include "denial/denial.h"
#include "kf_test.h"
#include "observe/ocsf.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {"plain",	"a\"b\\c", "\033[2J",	       "x\ny",
				    "\xff\xfe", "a\tb",	   "\342\200\256elif", "/a/b/"};

static struct json_object *parse_line(const struct kf_buf *text)
{
	struct json_object *o;

	assert_false(text->failed);
	assert_ptr_equal(strchr(text->p, '\n'), text->p + text->n - 1);
	/* The schema knows no empty name. */
	assert_null(strstr(text->p, ":\"\""));
	o = json_tokener_parse(text->p);
	assert_true(json_object_is_type(o, json_type_object));
	return o;
}

static struct json_object *member(struct json_object *o, const char *key)
{
	struct json_object *found = NULL;

	assert_true(json_object_object_get_ex(o, key, &found));
	return found;
}

static int64_t number(struct json_object *o, const char *key)
{
	return json_object_get_int64(member(o, key));
}

static void denials_are_findings(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < KF_DENIAL_NKINDS; kind++) {
		for (size_t i = 0; i < 4 * KF_ARRAY_SIZE(names); i++) {
			KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(64 * 1024);
			const char *name = names[i % KF_ARRAY_SIZE(names)];
			struct kf_who who = {.id = "id", .pod = "pod", .profile = "strict"};
			struct kf_denial d = {.ms = 1700000000123,
					      .who = i & 8 ? &who : NULL,
					      .kind = (enum kf_denial_kind)kind,
					      .what = "create",
					      .blockers = "fs.make_reg",
					      .port = kind == KF_DENIAL_NETWORK ? 443 : 0,
					      .call = kind == KF_DENIAL_SYSCALL ? 1 : -1,
					      .pid = i & 16 ? 17 : 0,
					      .count = i + 1,
					      .untold = i % 5 == 4};
			struct json_object *o;

			(void)snprintf(d.path, sizeof(d.path), "%s", name);
			(void)snprintf(d.process, sizeof(d.process), "%s", name);
			(void)snprintf(d.exe, sizeof(d.exe), "%s", i & 16 ? name : "");
			(void)snprintf(who.container, sizeof(who.container), "%s", name);
			kf_denial_ocsf(&d, &text);
			o = parse_line(&text);
			assert_int_equal(number(o, "class_uid"), 2004);
			assert_int_equal(number(o, "category_uid"), 2);
			assert_int_equal(number(o, "type_uid"), 200401);
			assert_int_equal(number(o, "disposition_id"), 2);
			assert_int_equal(number(o, "time"), 1700000000123);
			assert_int_equal(number(o, "count"), i + 1);
			assert_int_equal(json_object_array_length(member(o, "resources")),
					 d.who ? 2 : 0);
			assert_int_equal(json_object_object_get_ex(o, "policy", NULL),
					 d.who != NULL);
			assert_int_equal(json_object_object_get_ex(o, "evidences", NULL),
					 !d.untold);
			json_object_put(o);
		}
	}
}

static void decisions_are_activities(void **state)
{
	(void)state;
	for (size_t i = 0; i < 4 * KF_ARRAY_SIZE(names); i++) {
		KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(4096);
		const char *name = names[i % KF_ARRAY_SIZE(names)];
		const bool denied = i & 8;
		struct json_object *o;

		kf_ocsf_open(&text, &(const struct kf_ocsf){.class = KF_OCSF_API_ACTIVITY,
							    .denied = denied,
							    .count = 1,
							    .message = name,
							    .profile = i & 16 ? name : "",
							    .namespace_ = "",
							    .pod = i & 16 ? name : NULL,
							    .container_id = name});
		kf_ocsf_put(&text, "status_detail", i & 16 ? name : NULL);
		kf_ocsf_close(&text);
		o = parse_line(&text);
		assert_int_equal(number(o, "class_uid"), 6003);
		assert_int_equal(number(o, "category_uid"), 6);
		assert_int_equal(number(o, "type_uid"), 600301);
		assert_int_equal(number(o, "status_id"), denied ? 2 : 1);
		assert_int_equal(number(o, "action_id"), denied ? 2 : 1);
		assert_int_equal(json_object_array_length(member(o, "resources")), i & 16 ? 2 : 1);
		assert_int_equal(json_object_object_get_ex(o, "policy", NULL), !!(i & 16));
		assert_int_equal(json_object_object_get_ex(o, "status_detail", NULL), !!(i & 16));
		json_object_put(o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(denials_are_findings),
		cmocka_unit_test(decisions_are_activities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
