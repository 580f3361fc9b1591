/* SPDX-License-Identifier: Apache-2.0 */
/* Where Kubernetes distributions keep their container runtime. */
#ifndef KF_HOST_DISTRO_H
#define KF_HOST_DISTRO_H

#include "base/arena.h"
#include "host/host.h"

#define KF_DISTRO_CHOICES 8

enum kf_runtime_kind { KF_RUNTIME_CONTAINERD, KF_RUNTIME_CRIO };

/* A distribution in general, or that of one node; lists end in NULL. */
struct kf_distro {
	const char *name;
	enum kf_runtime_kind kind;
	/* Files that show that it is installed: all that can be looked at where nothing runs yet.
	 */
	const char *installed[KF_DISTRO_CHOICES];
	const char *data;    /* its data directory, which may be elsewhere; NULL: it has none */
	const char *config;  /* the runtime's root file, the value of "-c" */
	const char *edit;    /* the template of config, edited instead; or NULL */
	const char *dropins; /* directory that is always read; NULL: see imports */
	bool generated;	     /* config is rewritten at each start: never edit it */
	bool late; /* changes reach config only when the unit is (re)started or by its watcher */
	const char *programs[KF_DISTRO_CHOICES]; /* containerd or crio */
	const char *bindirs[KF_DISTRO_CHOICES];	 /* where runc may lie, besides the usual places */
	const char *units[KF_DISTRO_CHOICES];
	const char *sockets[KF_DISTRO_CHOICES]; /* CRI */
	const char *state; /* containerd's directory, if its command line names one */
	/* A program that is runtime and kubelet in one, and the options that change where or
	 * whether it runs the runtime. */
	const char *command;	    /* what ExecStart starts, the last part of its path */
	const char *settings;	    /* its configuration file, YAML */
	const char *data_option;    /* option for the data directory */
	const char *foreign_option; /* option that names another runtime's socket */
};

/* The container runtime of a host: what it is, and how long to wait for it. */
struct kf_host_runtime {
	const struct kf_host *host;
	const struct kf_distro *distro;
	unsigned timeout; /* seconds */
};

/* All of them; the last one's name is NULL. */
extern const struct kf_distro kf_distros[];

/* Find the distribution @name (@n bytes); the error names all that there are. */
int kf_distro_named(const char *name, size_t n, const struct kf_distro **ret, struct kf_err *err);
/* A copy of @d in @arena, with its data directory at @data (NULL = where it usually is). */
struct kf_distro *kf_distro_at(const struct kf_distro *d, const char *data, struct kf_arena *arena);

#endif
