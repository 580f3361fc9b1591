/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle as the plan looks at it. */
#ifndef KF_OCI_VIEW_H
#define KF_OCI_VIEW_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "plan/view.h"

#include <stdbool.h>
#include <stddef.h>

struct kf_json;

/* The annotation in which a bundle keeps the seccomp policy that the launcher installs instead of
 * the runtime. */
#define KF_OCI_ANNOTATION_SECCOMP "nono.sh/seccomp"

/* The parsed form of what an OCI runtime is about to start: a bundle's config.json, or the process
 * file of "exec --process". */
struct kf_oci {
	struct kf_json *root;	 /* the whole file */
	struct kf_json *process; /* what becomes a process; @root itself in a process file */
	struct kf_view view;	 /* borrows from @arena */
	/* Whether this is the pod's infra ("pause") container: annotated as a sandbox whose ID is
	 * the container's own, in either family of annotations.  It is not wrapped.  The pod cannot
	 * choose what it runs, and cannot know the ID beforehand. */
	bool pause;
	/* linux.seccomp, or what an earlier kf_oci_apply() took; NULL if there is none. */
	struct kf_json *seccomp;
	const char *cwd;	 /* of the process; "" if absent */
	long uid;		 /* of the process */
	const char *rootfs;	 /* root.path; "" if absent or a process file */
	const char *mount_label; /* linux.mountLabel; "" if absent */
	/* To be set before kf_oci_apply(): whether the launcher, not the runtime, installs the
	 * container's seccomp policy. */
	bool launcher_filters;
	/* To be set before kf_oci_apply(): what is mounted at /nono instead of what the bundle
	 * says. */
	struct {
		bool decided;
		const char *dir;      /* NULL: nothing */
		const char *launcher; /* over the file "nono" in it */
		const char *profiles; /* over the directory "profiles" in it, or NULL */
		const char *inner; /* host directory of stand-ins, at /nono/inner; NULL if there is
				      none */
	} inside;
	struct kf_arena arena;
	struct kf_buf text; /* what kf_oci_text() gave out */
};

/* Parse config.json.  @text: @n bytes, text[n] is NUL; @handler and @id go into the view and must
 * outlive *ret.  Refused, with a reason, are files that two readers could understand differently
 * (json.h), and settings that would run a program of the image or a filter of the pod outside the
 * sandbox: startContainer hooks, and crun's annotations that replace the process. */
int kf_oci_parse_config(const char *text, size_t n, const char *handler, const char *id,
			struct kf_oci *ret, struct kf_err *err);
/* The same for a process file; there are no annotations or mounts in it. */
int kf_oci_parse_process(const char *text, size_t n, const char *handler, const char *id,
			 struct kf_oci *ret, struct kf_err *err);
void kf_oci_done(struct kf_oci *oci);

#endif
