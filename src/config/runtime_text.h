/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_CONFIG_RUNTIME_TEXT_H
#define KF_CONFIG_RUNTIME_TEXT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Which real OCI runtime stands behind each handler that has the guard, as
 * found when the guard was installed.  Node set-up writes it, the guard reads
 * it (kf_file_open_trusted() first).  Line-based, in the order of the handlers'
 * names; the last line is a checksum over all bytes before it:
 *
 *	kubefence-runtime 1
 *	runtime nono-runc /usr/bin/runc
 *	sum HEX
 *
 * A line that is not understood is an error. */

#define KF_RUNTIME_TEXT_PATH "/opt/kubefence/runtime"

struct kf_runtime {
	const char *handler, *path;
};

struct kf_runtimes {
	struct kf_runtime *v;
	size_t n;
	char *text; /* owned; what the strings point into */
};

/* What the kubelet accepts as a handler's name: a DNS label, "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
 * at most 63 bytes. */
bool kf_handler_name_valid(const char *name);

/* Append the text for the @n @runtimes (any order, distinct handlers) to @buf. */
int kf_runtimes_format(const struct kf_runtime *runtimes, size_t n, struct kf_buf *buf,
		       struct kf_err *err);
/* Parse @n bytes at @text (copied).  On failure *err names the line and the
 * reason and *ret is untouched. */
int kf_runtimes_parse(const char *text, size_t n, struct kf_runtimes *ret, struct kf_err *err);
void kf_runtimes_done(struct kf_runtimes *runtimes);
/* The real runtime's absolute path, or NULL if @handler is not listed. */
const char *kf_runtimes_find(const struct kf_runtimes *runtimes, const char *handler);

#endif
