/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_OCI_VIEW_H
#define KF_OCI_VIEW_H

#include "base/arena.h"
#include "base/err.h"
#include "plan/view.h"

#include <stdbool.h>
#include <stddef.h>

struct json_object;

/* Where a bundle keeps the seccomp policy that the launcher installs in the runtime's stead. */
#define KF_OCI_ANNOTATION_SECCOMP "nono.sh/seccomp"

/* What an OCI runtime is about to start, parsed: a bundle's config.json, or the
 * process file of "exec --process". */
struct kf_oci {
	struct json_object *root;    /* the whole file */
	struct json_object *process; /* what becomes a process; @root itself in a process file */
	struct kf_view view;	     /* borrows from @root and @arena */
	/* The pod's infra ("pause") container: annotated as a sandbox whose ID is
	 * the container's own, by either family of annotations.  Not to be wrapped;
	 * the pod has no say in what it runs, nor can it know the ID beforehand. */
	bool pause;
	/* linux.seccomp, or what an earlier kf_oci_apply() took; NULL if there is none. */
	struct json_object *seccomp, *taken_seccomp;
	const char *cwd;	 /* of the process; "" if absent */
	long uid;		 /* of the process */
	const char *rootfs;	 /* root.path; "" if absent or a process file */
	const char *mount_label; /* linux.mountLabel; "" if absent */
	/* To be set before kf_oci_apply(): the launcher installs the container's seccomp
	 * policy, and not the runtime. */
	bool launcher_filters;
	/* The same: what is mounted at /nono, in place of whatever is now. */
	struct {
		bool decided;
		const char *dir;      /* NULL: nothing */
		const char *launcher; /* over the file "nono" in it */
		const char *profiles; /* over the directory "profiles" in it, or NULL */
	} inside;
	struct kf_arena arena;
};

/* Parse config.json.  @text: @n bytes, text[n] is NUL; @handler and @id go into
 * the view and must outlive *ret.  Refused, with a reason, is what two readers
 * of the file could understand differently (json.h), and what would run a
 * program of the image or a filter of the pod where the sandbox does not reach:
 * startContainer hooks and crun's annotations that replace the process. */
int kf_oci_parse_config(const char *text, size_t n, const char *handler, const char *id,
			struct kf_oci *ret, struct kf_err *err);
/* The same for a process file; there are no annotations or mounts in it. */
int kf_oci_parse_process(const char *text, size_t n, const char *handler, const char *id,
			 struct kf_oci *ret, struct kf_err *err);
void kf_oci_done(struct kf_oci *oci);

#endif
