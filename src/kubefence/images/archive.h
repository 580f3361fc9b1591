/* SPDX-License-Identifier: Apache-2.0 */
/* What an OCI archive (a tar of an OCI layout) says about the image in it. */
#ifndef KF_KUBEFENCE_IMAGES_ARCHIVE_H
#define KF_KUBEFENCE_IMAGES_ARCHIVE_H

#include "base/arena.h"
#include "base/err.h"

/* Strings live in the arena. */
struct kf_archive {
	const char *name;   /* with tag, as the archive calls it; "" if it does not */
	const char *digest; /* "sha256:...", of the image for all architectures */
	const char *id;	    /* hexadecimal, of this architecture's configuration: the image's ID in
			     * every runtime */
	const char *manifest; /* "sha256:...", of this architecture's manifest */
};

/* Read the archive at @path.  What is read of it has the digest that leads to it; layers are left
 * to whoever imports them. */
int kf_archive_read(const char *path, struct kf_arena *arena, struct kf_archive *ret,
		    struct kf_err *err);

#endif
