/* SPDX-License-Identifier: Apache-2.0 */
/* RuntimeClasses that go while nodes are cleaned up, and come back if that fails. */
#ifndef KF_KUBEFENCE_NODE_CLASSES_H
#define KF_KUBEFENCE_NODE_CLASSES_H

#include "kube/client.h"

#define KF_CLEANUP_CLASSES 16

struct kf_cleanup_class {
	const char *name;
	char *object; /* owned; what is sent to make it again, NULL if it was not there */
	char manager[64];
};

/* Delete it, and keep what it takes to make it again. */
int kf_cleanup_class_delete(const struct kf_kube *kube, struct kf_cleanup_class *c,
			    struct kf_err *err);
/* Make it again, unless it was not there, or there is one. */
int kf_cleanup_class_restore(const struct kf_kube *kube, struct kf_cleanup_class *c,
			     struct kf_err *err);
/* The object to be sent for @object as the API gave it: without what is the server's to say.
 * A new string, NULL if it is no object; *manager: who applied it. */
char *kf_cleanup_class_object(const char *object, char manager[static 64]);

#endif
