/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBE_OBJECT_H
#define KF_KUBE_OBJECT_H

#include <stddef.h>

struct json_object;

/* Reading objects that the Kubernetes API sends.  NULL and values of another type count as absent.
 * Returned values belong to the object. */

/* The value at @path ("status.phase"; no key of its has a dot), NULL if there is none. */
struct json_object *kf_kube_at(struct json_object *object, const char *path);
/* The same as text, "" if there is none. */
const char *kf_kube_string(struct json_object *object, const char *path);
long kf_kube_number(struct json_object *object, const char *path); /* 0 */
/* metadata.@map[@key], NULL if there is none. */
const char *kf_kube_meta(struct json_object *object, const char *map, const char *key);
size_t kf_kube_length(struct json_object *array); /* 0 if it is none */
/* The element of array @path whose @key is @value, NULL if there is none. */
struct json_object *kf_kube_find(struct json_object *object, const char *path, const char *key,
				 const char *value);

void kf_kube_cleanup_json(struct json_object **object); /* for KF_CLEANUP() */

#endif
