/* SPDX-License-Identifier: Apache-2.0 */
/* RuntimeClasses that are deleted while nodes are cleaned up, and made again if that fails. */
#ifndef KF_KUBEFENCE_NODE_CLASSES_H
#define KF_KUBEFENCE_NODE_CLASSES_H

#include "kube/client.h"

#define KF_CLEANUP_CLASSES 16

struct kf_cleanup_class {
	const char *name;
	char *object; /* owned; the object to make it again with, NULL if it did not exist */
	char manager[64];
};

/* Delete the class, and keep what is needed to make it again. */
int kf_cleanup_class_delete(const struct kf_kube *kube, struct kf_cleanup_class *c,
			    struct kf_err *err);
/* Make the class again, unless it did not exist, or exists now. */
int kf_cleanup_class_restore(const struct kf_kube *kube, struct kf_cleanup_class *c,
			     struct kf_err *err);
/* The object to be sent for @object, which the API gave: without the fields that the server sets.
 * A new string, NULL if @object is not an object; *manager: who applied it. */
char *kf_cleanup_class_object(const char *object, char manager[static 64]);

#endif
