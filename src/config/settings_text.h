/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_CONFIG_SETTINGS_TEXT_H
#define KF_CONFIG_SETTINGS_TEXT_H

#include "base/buf.h"
#include "base/err.h"
#include "plan/settings.h"

#include <stddef.h>

/* What an administrator decided for the node, as the plugin publishes it and
 * the guard reads it (kf_file_open_trusted() first).  Line-based, in this order;
 * handler, allowed and namespace may repeat, the latter two may be absent; the last line is a
 * checksum over all bytes before it:
 *
 *	kubefence-settings 1
 *	handler nono-runc
 *	default default
 *	launcher /opt/nono-nri/nono
 *	allowed claude-code
 *	namespace team-a strict strict,codex     its default and allowed ones; "-" for none
 *	seccomp restricted             or "runtime-default", or "none" for ""
 *	exec sandbox                   or "deny"
 *	seccomp-log on                 or absent
 *	egress on                      only if it is
 *	review 512                     only if somebody said how many MiB
 *	sum HEX
 *
 * A line that is not understood is an error.  The profiles are not in it: they
 * are the files beside the launcher. */

#define KF_SETTINGS_TEXT_PATH "/opt/kubefence/settings"

struct kf_settings_text {
	struct kf_settings settings; /* profiles empty */
	char *text;		     /* owned; what the strings point into */
};

int kf_settings_text_format(const struct kf_settings *settings, struct kf_buf *buf,
			    struct kf_err *err);
/* Parse @n bytes at @text (copied).  On failure *err names the line and the
 * reason and *ret is untouched. */
int kf_settings_text_parse(const char *text, size_t n, struct kf_settings_text *ret,
			   struct kf_err *err);
void kf_settings_text_done(struct kf_settings_text *settings);

#endif
