/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_DISTRO_H
#define KF_NODE_DISTRO_H

#include "node/host.h"

#define KF_DISTRO_CHOICES 5

enum kf_runtime_kind { KF_RUNTIME_CONTAINERD, KF_RUNTIME_CRIO };

/* Where a Kubernetes distribution keeps its container runtime; lists end in NULL. */
struct kf_distro {
	const char *name;
	enum kf_runtime_kind kind;
	const char *markers[KF_DISTRO_CHOICES]; /* one of these exists: it is this one */
	const char *config;			/* the runtime's root file, what "-c" gets */
	const char *edit;			/* what config is rendered from; NULL: itself */
	const char *dropins; /* directory that is always read; NULL: see imports */
	bool generated;	     /* config is rewritten at each start: never edit it */
	bool late; /* changes reach config only when the unit is (re)started or by its watcher */
	const char *programs[KF_DISTRO_CHOICES]; /* containerd or crio */
	const char *bindirs[KF_DISTRO_CHOICES];	 /* where runc may lie, besides the usual places */
	const char *units[KF_DISTRO_CHOICES];
	const char *sockets[KF_DISTRO_CHOICES]; /* CRI */
};

/* The distribution called @name, or if that is NULL the one found on @host. */
int kf_distro_find(const struct kf_host *host, const char *name, const struct kf_distro **ret,
		   struct kf_err *err);

#endif
