/* SPDX-License-Identifier: Apache-2.0 */
/* RuntimeClasses of an uninstallation.  A class is deleted first, so that no new pods come.  If the
 * uninstallation is given up, it is made again as it was, so that pods can start.  The
 * uninstallation itself is in cleanup.c. */
#include "kubefence/node/classes.h"

#include "base/cleanup.h"
#include "kube/object.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASSES "/apis/node.k8s.io/v1/runtimeclasses/"

char *kf_cleanup_class_object(const char *object, char manager[static 64])
{
	static const char *const servers[] = {"uid", "resourceVersion", "creationTimestamp",
					      "generation", "managedFields"};
	KF_CLEANUP(kf_kube_cleanup_json) json_object *class = json_tokener_parse(object);
	json_object *metadata = kf_kube_at(class, "metadata");
	json_object *applied = kf_kube_find(class, "metadata.managedFields", "operation", "Apply");

	if (!metadata || !*kf_kube_string(class, "handler"))
		return NULL;
	/* Use the name of whoever applied it and owns its fields: another name would conflict with
	 * them. */
	(void)snprintf(manager, 64, "%s",
		       applied ? kf_kube_string(applied, "manager") : "kubefence");
	for (size_t i = 0; i < KF_ARRAY_SIZE(servers); i++)
		json_object_object_del(metadata, servers[i]);
	return strdup(json_object_to_json_string_ext(
		class, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

int kf_cleanup_class_delete(const struct kf_kube *kube, struct kf_cleanup_class *c,
			    struct kf_err *err)
{
	char path[320];
	const struct kf_kube_request get = {.method = "GET", .path = path};
	const struct kf_kube_request delete = {.method = "DELETE", .path = path};
	KF_FREE char *text = NULL;

	(void)snprintf(path, sizeof(path), CLASSES "%.253s", c->name);
	if (!c->object) {
		if (kf_kube_do(kube, &get, &text, err) < 0)
			return err->code == ENOENT ? 0 : -1;
		c->object = kf_cleanup_class_object(text, c->manager);
		if (!c->object)
			return kf_fail(err, EPROTO, "the API's answer is not a RuntimeClass");
	}
	return kf_kube_do(kube, &delete, NULL, err) == 0 || err->code == ENOENT ? 0 : -1;
}

/* Write @s as part of a query. */
static void encode_query(const char *s, char *out, size_t size)
{
	size_t n = 0;

	for (; *s && n + 4 < size; s++)
		n += (size_t)snprintf(out + n, size - n,
				      strchr("-._~", *s) || (*s >= '0' && *s <= '9') ||
						      ((*s | 32) >= 'a' && (*s | 32) <= 'z')
					      ? "%c"
					      : "%%%02X",
				      (unsigned char)*s);
	out[n] = '\0';
}

int kf_cleanup_class_restore(const struct kf_kube *kube, struct kf_cleanup_class *c,
			     struct kf_err *err)
{
	char path[640], manager[200];
	/* An apply makes an object that does not exist, and needs the right to make this one only.
	 */
	const struct kf_kube_request apply = {.method = "PATCH",
					      .path = path,
					      .content_type = "application/apply-patch+yaml",
					      .body = c->object};

	if (!c->object)
		return 0;
	encode_query(c->manager, manager, sizeof(manager));
	(void)snprintf(path, sizeof(path), CLASSES "%.253s?fieldManager=%s&force=true", c->name,
		       manager);
	return kf_kube_do(kube, &apply, NULL, err);
}
