/* SPDX-License-Identifier: Apache-2.0 */
/* Reading members of objects that the Kubernetes API sends.  The strict reading of OCI bundles is
 * in json/json.c. */
#include "kube/object.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

struct json_object *kf_kube_at(struct json_object *object, const char *path)
{
	while (object && *path) {
		size_t n = strcspn(path, ".");
		char key[64];
		struct json_object *next = NULL;

		(void)snprintf(key, sizeof(key), "%.*s", (int)n, path);
		if (!json_object_is_type(object, json_type_object) ||
		    !json_object_object_get_ex(object, key, &next))
			return NULL;
		object = next;
		path += n + (path[n] == '.');
	}
	return object;
}

const char *kf_kube_string(struct json_object *object, const char *path)
{
	struct json_object *value = kf_kube_at(object, path);

	return value ? json_object_get_string(value) : "";
}

long kf_kube_number(struct json_object *object, const char *path)
{
	return (long)json_object_get_int64(kf_kube_at(object, path));
}

const char *kf_kube_meta(struct json_object *object, const char *map, const char *key)
{
	struct json_object *value = NULL, *in = kf_kube_at(kf_kube_at(object, "metadata"), map);

	return json_object_is_type(in, json_type_object) &&
			       json_object_object_get_ex(in, key, &value) && value
		       ? json_object_get_string(value)
		       : NULL;
}

size_t kf_kube_length(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

struct json_object *kf_kube_find(struct json_object *object, const char *path, const char *key,
				 const char *value)
{
	struct json_object *array = kf_kube_at(object, path);

	for (size_t i = 0; i < kf_kube_length(array); i++) {
		struct json_object *item = json_object_array_get_idx(array, i);

		if (strcmp(kf_kube_string(item, key), value) == 0)
			return item;
	}
	return NULL;
}

void kf_kube_cleanup_json(struct json_object **object)
{
	json_object_put(*object);
}
