/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_SYSDUMP_HIDE_H
#define KF_KUBEFENCE_SYSDUMP_HIDE_H

#include "base/buf.h"

/* Append @text to @out without what looks like a secret: values of keys that are called like one,
 * private keys, tokens, passwords in URLs; in JSON also the values of all environment variables.
 * What is left out is said to be. */
void kf_hide_secrets(const char *text, struct kf_buf *out);

#endif
