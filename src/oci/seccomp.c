/* SPDX-License-Identifier: Apache-2.0 */
/* linux.seccomp of a bundle, read into a policy and written from one.  Policies are compared and
 * combined in src/seccomp. */
#include "oci/seccomp.h"

#include "base/cleanup.h"
#include "json/json.h"

#include <stdint.h>

#define WHERE "linux.seccomp"

static int get_member(struct kf_json *obj, const char *key, enum kf_json_type type,
		      struct kf_json **ret, struct kf_err *err)
{
	return kf_json_member(obj, WHERE, key, type, ret, err);
}

static int get_string(struct kf_json *obj, const char *key, const char **ret, struct kf_err *err)
{
	struct kf_json *value;

	if (get_member(obj, key, KF_JSON_STRING, &value, err) < 0)
		return -1;
	*ret = value ? value->text : NULL;
	return 0;
}

static int get_u64(struct kf_json *obj, const char *key, uint64_t max, bool *ret_has, uint64_t *ret,
		   struct kf_err *err)
{
	struct kf_json *value;

	if (get_member(obj, key, KF_JSON_INT, &value, err) < 0)
		return -1;
	*ret = value ? kf_json_uint(value) : 0;
	if (value && (*ret > max || kf_json_int(value) < 0))
		return kf_fail(err, EINVAL, WHERE ".%s: out of range", key);
	if (ret_has)
		*ret_has = value != NULL;
	return 0;
}

static int get_strings(struct kf_json *obj, const char *key, struct kf_arena *arena,
		       const char *const **ret, size_t *ret_n, struct kf_err *err)
{
	struct kf_json *array;

	if (get_member(obj, key, KF_JSON_LIST, &array, err) < 0)
		return -1;
	return kf_json_strings(array, WHERE, key, arena, ret, ret_n, err);
}

static int read_args(struct kf_json *obj, struct kf_arena *arena, struct kf_seccomp_rule *rule,
		     struct kf_err *err)
{
	struct kf_json *array;
	struct kf_seccomp_arg *args;
	size_t n, i = 0;

	if (get_member(obj, "args", KF_JSON_LIST, &array, err) < 0)
		return -1;
	n = array ? array->n : 0;
	args = kf_arena_calloc(arena, n + 1, sizeof(*args));
	if (!args)
		return kf_fail_nomem(err, WHERE);
	for (struct kf_json *item = array ? array->first : NULL; item; item = item->next, i++) {
		uint64_t index;

		if (item->type != KF_JSON_OBJECT)
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

static int read_rules(struct kf_json *obj, struct kf_arena *arena, struct kf_seccomp *seccomp,
		      struct kf_err *err)
{
	struct kf_json *array;
	struct kf_seccomp_rule *rules;
	size_t n, i = 0;

	if (get_member(obj, "syscalls", KF_JSON_LIST, &array, err) < 0)
		return -1;
	n = array ? array->n : 0;
	rules = kf_arena_calloc(arena, n + 1, sizeof(*rules));
	if (!rules)
		return kf_fail_nomem(err, WHERE);
	for (struct kf_json *item = array ? array->first : NULL; item; item = item->next, i++) {
		struct kf_seccomp_rule *rule = &rules[i];
		uint64_t number;

		if (item->type != KF_JSON_OBJECT)
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

int kf_oci_seccomp_view(struct kf_json *obj, struct kf_arena *arena, const struct kf_seccomp **ret,
			struct kf_err *err)
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

static struct kf_json *arg_new(const struct kf_seccomp_arg *a, struct kf_arena *arena)
{
	struct kf_json *arg = kf_json_new(arena, KF_JSON_OBJECT);

	if (!arg || !kf_json_set(arg, "index", kf_json_new_uint(arena, a->index)) ||
	    !kf_json_set(arg, "value", kf_json_new_uint(arena, a->value)) ||
	    !kf_json_set(arg, "valueTwo", kf_json_new_uint(arena, a->value_two)) ||
	    !kf_json_set(arg, "op", kf_json_new_string(arena, a->op)))
		return NULL;
	return arg;
}

static struct kf_json *rule_new(const struct kf_seccomp_rule *rule, struct kf_arena *arena)
{
	struct kf_json *obj = kf_json_new(arena, KF_JSON_OBJECT);
	struct kf_json *args = kf_json_new(arena, KF_JSON_LIST);

	if (!obj || !args ||
	    !kf_json_set(obj, "names", kf_json_new_strings(arena, rule->names, rule->nnames)) ||
	    !kf_json_set(obj, "action", kf_json_new_string(arena, rule->action)) ||
	    (rule->has_errno &&
	     !kf_json_set(obj, "errnoRet", kf_json_new_uint(arena, rule->errno_ret))))
		return NULL;
	for (size_t i = 0; i < rule->nargs; i++)
		if (!kf_json_append(args, arg_new(&rule->args[i], arena)))
			return NULL;
	if (rule->nargs)
		(void)kf_json_set(obj, "args", args);
	return obj;
}

struct kf_json *kf_oci_seccomp_new(const struct kf_seccomp *s, struct kf_arena *arena)
{
	struct kf_json *obj = kf_json_new(arena, KF_JSON_OBJECT);
	struct kf_json *rules = kf_json_new(arena, KF_JSON_LIST);

	if (!obj || !rules ||
	    !kf_json_set(obj, "defaultAction", kf_json_new_string(arena, s->default_action)) ||
	    !kf_json_set(obj, "syscalls", rules) ||
	    (s->has_default_errno &&
	     !kf_json_set(obj, "defaultErrnoRet", kf_json_new_uint(arena, s->default_errno))) ||
	    (s->narchitectures &&
	     !kf_json_set(obj, "architectures",
			  kf_json_new_strings(arena, s->architectures, s->narchitectures))) ||
	    (s->nflags &&
	     !kf_json_set(obj, "flags", kf_json_new_strings(arena, s->flags, s->nflags))) ||
	    (s->listener_path &&
	     !kf_json_set(obj, "listenerPath", kf_json_new_string(arena, s->listener_path))) ||
	    (s->listener_metadata && !kf_json_set(obj, "listenerMetadata",
						  kf_json_new_string(arena, s->listener_metadata))))
		return NULL;
	for (size_t i = 0; i < s->nrules; i++)
		if (!kf_json_append(rules, rule_new(&s->rules[i], arena)))
			return NULL;
	return obj;
}
