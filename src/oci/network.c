/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and changes what of a bundle's JSON concerns the network: its namespace, capabilities,
 * variables of a process. */
#include "oci/network.h"

#include "base/cleanup.h"
#include "json/json.h"

#include <string.h>
#include <strings.h>

static const char *const capability_sets[] = {"bounding", "effective", "inheritable", "permitted",
					      "ambient"};

int kf_oci_netns(const struct kf_oci *oci, const char **ret, struct kf_err *err)
{
	struct kf_json *linux_, *list = NULL, *type, *path;

	*ret = NULL;
	if (kf_json_member(oci->root, "config.json", "linux", KF_JSON_OBJECT, &linux_, err) < 0 ||
	    (linux_ && kf_json_member(linux_, "linux", "namespaces", KF_JSON_LIST, &list, err) < 0))
		return -1;
	for (struct kf_json *one = list ? list->first : NULL; one; one = one->next) {
		if (one->type != KF_JSON_OBJECT)
			return kf_fail(err, EINVAL,
				       "linux.namespaces: an element is not an object");
		if (kf_json_member(one, "linux.namespaces[]", "type", KF_JSON_STRING, &type, err) <
			    0 ||
		    kf_json_member(one, "linux.namespaces[]", "path", KF_JSON_STRING, &path, err) <
			    0)
			return -1;
		if (!type || strcmp(type->text, "network") != 0)
			continue;
		/* Runtimes refuse two of a kind. */
		*ret = path ? path->text : "";
	}
	return 0;
}

/* crun reads names in any case, and both runtimes some without "CAP_". */
static bool is_capability(const struct kf_json *value, const char *name)
{
	const char *said = kf_json_string(value);

	if (said && strncasecmp(said, "CAP_", 4) == 0)
		said += 4;
	return said && strcasecmp(said, name) == 0;
}

/* The set @i of the process's capabilities, or NULL. */
static int capability_set(const struct kf_oci *oci, size_t i, struct kf_json **ret,
			  struct kf_err *err)
{
	struct kf_json *sets;

	*ret = NULL;
	if (kf_json_member(oci->process, "process", "capabilities", KF_JSON_OBJECT, &sets, err) < 0)
		return -1;
	return sets ? kf_json_member(sets, "process.capabilities", capability_sets[i], KF_JSON_LIST,
				     ret, err)
		    : 0;
}

int kf_oci_capability(const struct kf_oci *oci, const char *const *names, const char **ret,
		      struct kf_err *err)
{
	*ret = NULL;
	for (size_t s = 0; s < KF_ARRAY_SIZE(capability_sets); s++) {
		struct kf_json *set;

		if (capability_set(oci, s, &set, err) < 0)
			return -1;
		for (const struct kf_json *v = set ? set->first : NULL; v; v = v->next)
			for (const char *const *name = names; *name; name++)
				if (is_capability(v, *name))
					*ret = *name;
	}
	return 0;
}

int kf_oci_drop_capability(struct kf_oci *oci, const char *name, struct kf_err *err)
{
	for (size_t s = 0; s < KF_ARRAY_SIZE(capability_sets); s++) {
		struct kf_json *set, *next;

		if (capability_set(oci, s, &set, err) < 0)
			return -1;
		if (!set)
			continue;
		for (struct kf_json *v = kf_json_take_all(set); v; v = next) {
			next = v->next;
			if (!is_capability(v, name))
				(void)kf_json_append(set, v);
		}
	}
	return 0;
}

int kf_oci_default_env(struct kf_oci *oci, const char *name, const char *value, struct kf_err *err)
{
	struct kf_json *env = kf_json_find(oci->process, "env");
	const size_t n = strlen(name);
	const char *text = kf_arena_printf(&oci->arena, "%s=%s", name, value);

	if (!env) {
		env = kf_json_new(&oci->arena, KF_JSON_LIST);
		if (!kf_json_set(oci->process, "env", env))
			return kf_fail_nomem(err, "env");
	}
	for (const struct kf_json *v = env->first; v; v = v->next) {
		const char *said = kf_json_string(v);

		if (said && strncmp(said, name, n) == 0 && said[n] == '=')
			return 0;
	}
	return text && kf_json_append(env, kf_json_new_string(&oci->arena, text))
		       ? 0
		       : kf_fail_nomem(err, "env");
}
