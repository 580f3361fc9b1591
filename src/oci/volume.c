/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and changes single mounts of a bundle's JSON. */
#include "oci/volume.h"

#include "json/json.h"

#include <string.h>

/* The JSON of @mount: the view's strings are its own. */
static struct kf_json *find_mount(const struct kf_oci *oci, const struct kf_view_mount *mount)
{
	const struct kf_json *mounts = kf_json_find(oci->root, "mounts");

	for (struct kf_json *m = mounts ? mounts->first : NULL; m; m = m->next)
		if (kf_json_string(kf_json_find(m, "destination")) == mount->destination)
			return m;
	return NULL;
}

static int has_user_namespace(const struct kf_oci *oci, bool *ret, struct kf_err *err)
{
	struct kf_json *linux_, *list = NULL, *type;

	*ret = false;
	if (kf_json_member(oci->root, "config.json", "linux", KF_JSON_OBJECT, &linux_, err) < 0 ||
	    (linux_ && kf_json_member(linux_, "linux", "namespaces", KF_JSON_LIST, &list, err) < 0))
		return -1;
	for (struct kf_json *one = list ? list->first : NULL; one; one = one->next) {
		if (one->type != KF_JSON_OBJECT)
			return kf_fail(err, EINVAL,
				       "linux.namespaces: an element is not an object");
		if (kf_json_member(one, "linux.namespaces[]", "type", KF_JSON_STRING, &type, err) <
		    0)
			return -1;
		*ret |= type && strcmp(type->text, "user") == 0;
	}
	return 0;
}

/* By the list, or by the option of runc's and crun's. */
static bool is_idmapped(const struct kf_oci *oci, const struct kf_view_mount *mount)
{
	struct kf_json *m = find_mount(oci, mount);

	for (size_t i = 0; i < mount->noptions; i++)
		if (strncmp(mount->options[i], "idmap", 5) == 0 ||
		    strncmp(mount->options[i], "ridmap", 6) == 0)
			return true;
	return !m || kf_json_find(m, "uidMappings") || kf_json_find(m, "gidMappings");
}

int kf_oci_is_mapped(const struct kf_oci *oci, const struct kf_view_mount *mount, bool *ret,
		     struct kf_err *err)
{
	if (has_user_namespace(oci, ret, err) < 0)
		return -1;
	*ret |= is_idmapped(oci, mount);
	return 0;
}

int kf_oci_set_source(struct kf_oci *oci, const struct kf_view_mount *mount, const char *source,
		      struct kf_err *err)
{
	struct kf_view_mount *mounts = (struct kf_view_mount *)oci->view.mounts;
	struct kf_json *m = find_mount(oci, mount), *value = m ? kf_json_find(m, "source") : NULL;

	if (!value)
		return kf_fail(err, EINVAL, "mount '%.120s' has no source", mount->destination);
	value->text = kf_arena_strdup(&oci->arena, source);
	if (!value->text)
		return kf_fail_nomem(err, "mounts");
	mounts[mount - mounts].source = value->text;
	return 0;
}
