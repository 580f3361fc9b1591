/* SPDX-License-Identifier: Apache-2.0 */
/* What runs on a host, as far as it shows which container runtime serves it. */
#ifndef KF_HOST_EVIDENCE_H
#define KF_HOST_EVIDENCE_H

#include "base/arena.h"
#include "host/host.h"

#define KF_SEEN_MAX 32

/* A unit of systemd that has to do with a container runtime or a kubelet. */
struct kf_seen_unit {
	const char *name; /* without ".service" */
	bool active;
	const char *cgroup;	 /* of its processes; "" = it has none */
	const char *program;	 /* absolute path of what ExecStart starts, or "" */
	const char *const *argv; /* ExecStart's words, its own variables filled in */
	const char *path;	 /* PATH of its environment, or NULL */
};

enum kf_seen_kind { KF_SEEN_CONTAINERD, KF_SEEN_CRIO, KF_SEEN_KUBELET };

/* A process of one of these programs that belongs to the host itself and not to a container. */
struct kf_seen_process {
	enum kf_seen_kind kind;
	const char *const *argv;
	const struct kf_seen_unit *unit; /* that it belongs to; NULL without systemd */
};

struct kf_evidence {
	struct kf_arena arena;
	bool booted; /* systemd runs on the host, and was asked */
	struct kf_seen_unit units[KF_SEEN_MAX];
	size_t nunits;
	struct kf_seen_process processes[KF_SEEN_MAX];
	size_t nprocesses;
};

/* Look at @host's processes and, where systemd runs there, ask it about the units that they
 * belong to and about those that match @patterns (NULL-terminated, systemctl's globs). */
int kf_evidence_gather(const struct kf_host *host, const char *const *patterns,
		       struct kf_evidence *ret, struct kf_err *err);
void kf_evidence_done(struct kf_evidence *ev);

/* The value of option @name ("--config") or @letter ("-c"; NULL = none) among @argv, also as
 * "NAME=VALUE"; NULL if it is not there. */
const char *kf_argv_option(const char *const *argv, const char *name, const char *letter);
/* Whether the flag @name is among @argv, alone or as "NAME=true". */
bool kf_argv_flag(const char *const *argv, const char *name);

#endif
