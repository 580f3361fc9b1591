/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_FLAT_FLAT_H
#define KF_FLAT_FLAT_H

#include "base/buf.h"
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
 *	fs rx-root                    each top-level entry of / that is not proc, sys, dev, run,
 *	                              tmp, home or root; and listing directories everywhere
 *	fs rwx-homes                  ~, and for uid 0 also /root and /home
 *	fs volumes                    what is mounted into the container, as it is mounted; the
 *	                              pod's /etc/hosts, hostname and resolv.conf to read
 *	fs processes                  write what the kernel lets a process write in /proc about
 *	                              itself and the container's processes
 *	fs devices                    rw: the device nodes that the container was given in /dev
 *	fs deny /run/secrets          but what an fs rule names at or below it is granted,
 *	                              exactly so
 *	fs readonly $WORKDIR/.git/hooks
 *	                              not to be changed, replaced or made, whatever grants
 *	                              writing above; with a "/" behind it, what is not there
 *	                              is taken for a directory
 *	fs quiet ~/.netrc             what is refused there is not in the audit log (ABI 10)
 *	net block                     no sockets but unix (not abstract ones outside, from ABI 6)
 *	net tcp                       no sockets but unix and TCP; which ports, the others say
 *	net connect 443 8443          TCP ports, and ranges of them
 *	net bind 8080 9000-9099
 *	net connect-udp 53            UDP ports to send to, likewise
 *	net bind-udp 5353
 *	scope signal
 *	scope abstract
 *	memfd noexec                  memory files only if they can never be executed
 *	inner bwrap                   nono-bwrap comes first in PATH, as bwrap
 *	env drop LD_PRELOAD           a name; "*" stands for any characters in it: *TOKEN*
 *	env keep KEY                  with any of these, all others are dropped
 *	env set KEY=VALUE
 *	env expand KEY=$HOME/x        as set; VALUE is a path as in an fs rule
 *	rlimit nofile 1024 4096       soft hard, or one number for both; "unlimited"
 *	egress host example.com 443   a line of the rules for the egress broker (egress/rules.h),
 *	                              or "egress elsewhere": the cluster filters hosts where no
 *	                              broker does; read by plugin and guard only
 *	note TEXT                     for people (an agent's recipe); ignored
 *	note hint PROGRAM OPTION TEXT
 *	                              printed when PROGRAM is started, unless an argument
 *	                              starts with OPTION
 *	sum HEX                       SHA-256 of everything before this line
 *
 * Paths are absolute and clean, or start with "~" or a variable; "$UID" may
 * stand anywhere: ~ $HOME $WORKDIR $TMPDIR $XDG_CONFIG_HOME $XDG_DATA_HOME
 * $XDG_STATE_HOME $XDG_CACHE_HOME $XDG_RUNTIME_DIR.  There is no quoting, hence
 * no line breaks or other control characters in anything.
 *
 * At most KF_LIMIT_POLICY_TEXT bytes.  A line that is not understood is an
 * error: a policy that was written for a newer launcher never half-applies. */

enum kf_rule_kind {
	KF_RULE_FS,
	KF_RULE_FS_ROOT,
	KF_RULE_FS_HOMES,
	KF_RULE_FS_VOLUMES,
	KF_RULE_FS_PROCESSES,
	KF_RULE_FS_DEVICES,
	KF_RULE_FS_DENY,
	KF_RULE_FS_READONLY,
	KF_RULE_FS_QUIET,
	KF_RULE_NET_BLOCK,
	KF_RULE_NET_TCP,
	KF_RULE_NET_CONNECT,
	KF_RULE_NET_BIND,
	KF_RULE_NET_CONNECT_UDP,
	KF_RULE_NET_BIND_UDP,
	KF_RULE_SCOPE,
	KF_RULE_MEMFD_NOEXEC,
	KF_RULE_INNER,
	KF_RULE_ENV,
	KF_RULE_RLIMIT,
	KF_RULE_SECCOMP,
	KF_RULE_EGRESS,
	KF_RULE_NOTE,
};

/* Access of an fs rule, bits. */
enum { KF_FS_READ = 1, KF_FS_WRITE = 2, KF_FS_EXEC = 4 };
/* In access of FS_READONLY: a directory, if there is nothing yet. */
#define KF_READONLY_DIRECTORY 16u

/* The argument of EGRESS that is no line of the broker's rules. */
#define KF_EGRESS_ELSEWHERE   "elsewhere"

/* One rule.  Strings borrow from the text that was parsed. */
struct kf_rule {
	enum kf_rule_kind kind;
	unsigned line;		  /* for messages, from 1 */
	unsigned access;	  /* FS: KF_FS_* bits; FS_READONLY: KF_READONLY_DIRECTORY or 0 */
	uint16_t port, port_last; /* of a NET rule: both are in it; one port: equal */
	const char *verb;	  /* ENV, SCOPE: the word behind it; RLIMIT: its name */
	const char *arg;	  /* path, variable, level, line, note; NULL if the rule has none */
	uint64_t soft, hard;	  /* RLIMIT; UINT64_MAX = unlimited */
};

struct kf_policy {
	const char *name;
	struct kf_rule *rules; /* in the order of the text */
	size_t nrules;
	char *text; /* owned; what the strings point into, NULL if that is the program */
};

/* Parse @n bytes at @text (not changed, copied).  On failure *err names line
 * and reason and *ret is untouched. */
int kf_policy_parse(const char *text, size_t n, struct kf_policy *ret, struct kf_err *err);
void kf_policy_done(struct kf_policy *policy);

/* @path, or where it lies in /run if it is written as in /var/run: a symlink in nearly every
 * image and a directory in the others; a rule for the one is meant for both. */
const char *kf_policy_run_path(const char *path);
/* Whether @rule grants what the denial @deny covers: it is written at or below it, as it is
 * written itself.  No variable, symlink or set of paths is an exception. */
bool kf_policy_is_exception(const struct kf_rule *rule, const struct kf_rule *deny);
/* Whether @deny has any in @policy: then no mount and no mask may make it true, but what
 * the launcher leaves out. */
bool kf_policy_has_exception(const struct kf_policy *policy, const struct kf_rule *deny);
/* What of @access to what is mounted at @path the rules of @policy leave that name this very
 * path: who writes that down means it. */
unsigned kf_policy_named_access(const struct kf_rule *rules, size_t nrules, const char *path,
				unsigned access);

/* Whether @path (absolute, clean) is "/" or a directory in or above which the
 * system itself lies, such as /usr or /etc: a grant that a variable makes of it
 * is skipped, one that is written out is for the profile compiler to refuse. */
bool kf_policy_covers_system(const char *path);
/* Whether @path is, or lies below, a directory of the system's: never writable because a
 * variable or a symlink leads there. */
bool kf_policy_below_system(const char *path);

/* Whether @path (clean) is one of the three files that the kubelet makes for a pod,
 * /etc/hosts, /etc/hostname and /etc/resolv.conf.  Its containers share them: one that
 * writes them sends its neighbours' connections elsewhere. */
bool kf_policy_is_pod_file(const char *path);
/* Whether @rule names one of them, or a directory above it, for writing. */
bool kf_policy_writes_pod_files(const struct kf_rule *rule);
/* What "fs volumes" grants where something is mounted, KF_FS_* bits: a pod's files can
 * be read, whatever the mount says. */
unsigned kf_policy_volume_access(const char *mount_point, bool writable);

#endif
