/* SPDX-License-Identifier: Apache-2.0 */
/* linux.seccomp of a bundle, read into a policy and written from one.  Policies are compared and
 * combined in src/seccomp. */
#include "oci/seccomp.h"

#include "base/cleanup.h"
#include "json/json.h"

#include <stdint.h>

#define WHERE "linux.seccomp"

static int get_member(struct json_object *obj, const char *key, enum json_type type,
		      struct json_object **ret, struct kf_err *err)
{
	return kf_json_member(obj, WHERE, key, type, ret, err);
}

static int get_string(struct json_object *obj, const char *key, const char **ret,
		      struct kf_err *err)
{
	struct json_object *value;

	if (get_member(obj, key, json_type_string, &value, err) < 0)
		return -1;
	*ret = value ? json_object_get_string(value) : NULL;
	return 0;
}

static int get_u64(struct json_object *obj, const char *key, uint64_t max, bool *ret_has,
		   uint64_t *ret, struct kf_err *err)
{
	struct json_object *value;

	if (get_member(obj, key, json_type_int, &value, err) < 0)
		return -1;
	*ret = value ? json_object_get_uint64(value) : 0;
	/* json_object_get_uint64() returns 0 for negative numbers. */
	if (value && (*ret > max || json_object_get_int64(value) < 0))
		return kf_fail(err, EINVAL, WHERE ".%s: out of range", key);
	if (ret_has)
		*ret_has = value != NULL;
	return 0;
}

static int get_strings(struct json_object *obj, const char *key, struct kf_arena *arena,
		       const char *const **ret, size_t *ret_n, struct kf_err *err)
{
	struct json_object *array;

	if (get_member(obj, key, json_type_array, &array, err) < 0)
		return -1;
	return kf_json_strings(array, WHERE, key, arena, ret, ret_n, err);
}

static int read_args(struct json_object *obj, struct kf_arena *arena, struct kf_seccomp_rule *rule,
		     struct kf_err *err)
{
	struct json_object *array;
	struct kf_seccomp_arg *args;
	size_t n;

	if (get_member(obj, "args", json_type_array, &array, err) < 0)
		return -1;
	n = array ? json_object_array_length(array) : 0;
	args = kf_arena_calloc(arena, n + 1, sizeof(*args));
	if (!args)
		return kf_fail_nomem(err, WHERE);
	for (size_t i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(array, i);
		uint64_t index;

		if (!json_object_is_type(item, json_type_object))
			return kf_fail(err, EINVAL, WHERE ".args: not an object");
		if (get_u64(item, "index", 5, NULL, &index, err) < 0 ||
		    get_u64(item, "value", UINT64_MAX, NULL, &args[i].value, err) < 0 ||
		    get_u64(item, "valueTwo", UINT64_MAX, NULL, &args[i].value_two, err) < 0 ||
		    get_string(item, "op", &args[i].op, err) < 0)
			return -1;
		if (!args[i].op)
			return kf_fail(err, EINVAL, WHERE ".args: no 'op'");
		args[i].index = (uint32_t)index;
	}
	rule->args = args;
	rule->nargs = n;
	return 0;
}

static int read_rules(struct json_object *obj, struct kf_arena *arena, struct kf_seccomp *seccomp,
		      struct kf_err *err)
{
	struct json_object *array;
	struct kf_seccomp_rule *rules;
	size_t n;

	if (get_member(obj, "syscalls", json_type_array, &array, err) < 0)
		return -1;
	n = array ? json_object_array_length(array) : 0;
	rules = kf_arena_calloc(arena, n + 1, sizeof(*rules));
	if (!rules)
		return kf_fail_nomem(err, WHERE);
	for (size_t i = 0; i < n; i++) {
		struct json_object *item = json_object_array_get_idx(array, i);
		struct kf_seccomp_rule *rule = &rules[i];
		uint64_t number;

		if (!json_object_is_type(item, json_type_object))
			return kf_fail(err, EINVAL, WHERE ".syscalls: not an object");
		if (get_strings(item, "names", arena, &rule->names, &rule->nnames, err) < 0 ||
		    get_string(item, "action", &rule->action, err) < 0 ||
		    get_u64(item, "errnoRet", UINT32_MAX, &rule->has_errno, &number, err) < 0 ||
		    read_args(item, arena, rule, err) < 0)
			return -1;
		if (!rule->action)
			return kf_fail(err, EINVAL, WHERE ".syscalls: no 'action'");
		rule->errno_ret = (uint32_t)number;
	}
	seccomp->rules = rules;
	seccomp->nrules = n;
	return 0;
}

int kf_oci_seccomp_view(struct json_object *obj, struct kf_arena *arena,
			const struct kf_seccomp **ret, struct kf_err *err)
{
	struct kf_seccomp *seccomp = kf_arena_alloc(arena, sizeof(*seccomp));
	uint64_t number;

	if (!seccomp)
		return kf_fail_nomem(err, WHERE);
	if (get_string(obj, "defaultAction", &seccomp->default_action, err) < 0 ||
	    get_u64(obj, "defaultErrnoRet", UINT32_MAX, &seccomp->has_default_errno, &number, err) <
		    0 ||
	    get_strings(obj, "architectures", arena, &seccomp->architectures,
			&seccomp->narchitectures, err) < 0 ||
	    get_strings(obj, "flags", arena, &seccomp->flags, &seccomp->nflags, err) < 0 ||
	    get_string(obj, "listenerPath", &seccomp->listener_path, err) < 0 ||
	    get_string(obj, "listenerMetadata", &seccomp->listener_metadata, err) < 0 ||
	    read_rules(obj, arena, seccomp, err) < 0)
		return -1;
	if (!seccomp->default_action)
		return kf_fail(err, EINVAL, WHERE ": no 'defaultAction'");
	seccomp->default_errno = (uint32_t)number;
	*ret = seccomp;
	return 0;
}

/* Add @value to @obj, which takes it over; a NULL @value means that memory ran out. */
static bool put_member(struct json_object *obj, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(obj, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static struct json_object *rule_new(const struct kf_seccomp_rule *rule)
{
	KF_CLEANUP(kf_json_put) struct json_object *obj = json_object_new_object();
	KF_CLEANUP(kf_json_put) struct json_object *args = json_object_new_array();

	if (!obj || !args ||
	    !put_member(obj, "names", kf_json_strings_new(rule->names, rule->nnames)) ||
	    !put_member(obj, "action", json_object_new_string(rule->action)) ||
	    (rule->has_errno &&
	     !put_member(obj, "errnoRet", json_object_new_int64(rule->errno_ret))))
		return NULL;
	for (size_t i = 0; i < rule->nargs; i++) {
		const struct kf_seccomp_arg *a = &rule->args[i];
		struct json_object *arg = json_object_new_object();

		if (!kf_json_append(args, arg) ||
		    !put_member(arg, "index", json_object_new_int64(a->index)) ||
		    !put_member(arg, "value", json_object_new_uint64(a->value)) ||
		    !put_member(arg, "valueTwo", json_object_new_uint64(a->value_two)) ||
		    !put_member(arg, "op", json_object_new_string(a->op)))
			return NULL;
	}
	if (rule->nargs && !put_member(obj, "args", KF_STEAL(args)))
		return NULL;
	return KF_STEAL(obj);
}

struct json_object *kf_oci_seccomp_new(const struct kf_seccomp *seccomp)
{
	KF_CLEANUP(kf_json_put) struct json_object *obj = json_object_new_object();
	struct json_object *rules = json_object_new_array();

	if (!obj || !rules ||
	    !put_member(obj, "defaultAction", json_object_new_string(seccomp->default_action))) {
		json_object_put(rules);
		return NULL;
	}
	if (!put_member(obj, "syscalls", rules) ||
	    (seccomp->has_default_errno &&
	     !put_member(obj, "defaultErrnoRet", json_object_new_int64(seccomp->default_errno))) ||
	    (seccomp->narchitectures &&
	     !put_member(obj, "architectures",
			 kf_json_strings_new(seccomp->architectures, seccomp->narchitectures))) ||
	    (seccomp->nflags &&
	     !put_member(obj, "flags", kf_json_strings_new(seccomp->flags, seccomp->nflags))) ||
	    (seccomp->listener_path &&
	     !put_member(obj, "listenerPath", json_object_new_string(seccomp->listener_path))) ||
	    (seccomp->listener_metadata &&
	     !put_member(obj, "listenerMetadata",
			 json_object_new_string(seccomp->listener_metadata))))
		return NULL;
	for (size_t i = 0; i < seccomp->nrules; i++)
		if (!kf_json_append(rules, rule_new(&seccomp->rules[i])))
			return NULL;
	return KF_STEAL(obj);
}
