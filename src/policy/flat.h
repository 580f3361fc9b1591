/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_POLICY_FLAT_H
#define KF_POLICY_FLAT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Flat policy text: the launcher's only input format.  Line-based, resolved,
 * readable; the last line is a checksum over all bytes before it:
 *
 *	nono-policy 1
 *	name default
 *	seccomp restricted            level, optional; read by plugin and guard only
 *	fs rx /usr                    r | rx | rw | rwx | w, then a path to the end of the line
 *	fs rw $WORKDIR
 *	fs rx-root                    each top-level entry of / (the default profile's rule)
 *	fs volumes
 *	fs deny /run/secrets
 *	net block
 *	net connect 443 8443
 *	net bind 8080
 *	scope signal
 *	scope abstract
 *	env drop LD_PRELOAD
 *	env set KEY=VALUE
 *	env keep KEY
 *	rlimit nofile 1024 4096
 *	note TEXT                     for people (an agent's recipe); ignored
 *	sum HEX                       SHA-256 of everything before this line
 *
 * At most KF_LIMIT_POLICY_TEXT bytes.  A line that is not understood is an
 * error: a policy that was written for a newer launcher never half-applies. */

enum kf_rule_kind {
	KF_RULE_FS,
	KF_RULE_FS_ROOT,
	KF_RULE_FS_VOLUMES,
	KF_RULE_FS_DENY,
	KF_RULE_NET_BLOCK,
	KF_RULE_NET_CONNECT,
	KF_RULE_NET_BIND,
	KF_RULE_SCOPE,
	KF_RULE_ENV,
	KF_RULE_RLIMIT,
	KF_RULE_SECCOMP,
	KF_RULE_NOTE,
};

/* Access of an fs rule, bits. */
enum { KF_FS_READ = 1, KF_FS_WRITE = 2, KF_FS_EXEC = 4 };

/* One rule.  Strings borrow from the text that was parsed. */
struct kf_rule {
	enum kf_rule_kind kind;
	unsigned line;	 /* for messages, from 1 */
	unsigned access; /* KF_RULE_FS: KF_FS_* bits */
	const char
		*verb; /* ENV: "drop"|"set"|"keep"; SCOPE: "signal"|"abstract"; RLIMIT: its name */
	const char *arg;     /* path, variable, level, note; NULL if the rule has none */
	uint64_t soft, hard; /* RLIMIT; UINT64_MAX = unlimited */
	uint16_t port;	     /* NET_CONNECT, NET_BIND: one rule a port */
};

struct kf_policy {
	const char *name;
	struct kf_rule *rules; /* in the order of the text */
	size_t nrules;
	char *text; /* owned; what the strings point into */
};

/* Parse @n bytes at @text (not changed, copied).  On failure *err names line
 * and reason and *ret is untouched. */
int kf_policy_parse(const char *text, size_t n, struct kf_policy *ret, struct kf_err *err);
void kf_policy_done(struct kf_policy *policy);

/* Policies linked into the program, from profiles/ at build time. */
struct kf_builtin {
	const char *name;
	const char *text;
	size_t n;
};
extern const struct kf_builtin kf_builtins[];
extern const size_t kf_nbuiltins;

#endif
