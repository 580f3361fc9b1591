/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NODE_NODE_H
#define KF_NODE_NODE_H

#include "base/arena.h"
#include "host/distro.h"
#include "node/journal.h"
#include "plan/settings.h"
#include "toml/edit.h"

#include <stdbool.h>

/* Node set-up: making a host able to run sandboxed pods, and undoing that. */

#define KF_NODE_GUARD	 "/opt/kubefence/bin/nono-runc"
#define KF_NODE_LAUNCHER "/opt/nono-nri/nono"
#define KF_NODE_SETTINGS "/opt/kubefence/settings"
/* Beside the launcher. */
#define KF_NODE_PROFILES "profiles"
/* What 'kubefence kata' installs lies below. */
#define KF_NODE_KATA	 "/opt/kubefence/kata"

/* NRI's usual places, and the handler that the chart makes. */
#define KF_NRI_SOCKET	 "/var/run/nri/nri.sock"
#define KF_NRI_PLUGINS	 "/opt/nri/plugins"
#define KF_NRI_CONFIG	 "/etc/nri/conf.d"
#define KF_NODE_HANDLER	 "nono-runc"

struct kf_adapter;

/* A compiled profile, flat text. */
struct kf_node_profile {
	const char *name;
	const char *text;
	size_t n;
};

struct kf_node_options {
	const char *host_root;	  /* "/" or where the host's root is mounted */
	const char *distribution; /* "NAME" or "NAME=DIR" of its data; NULL = find out */
	const char *payload;	  /* directory with nono and nono-runc */
	const char *launcher;	  /* nono_bin_path */
	const char *default_profile;
	const char *const *handlers; /* runtime_classes */
	size_t nhandlers;
	/* Profiles to be installed, the built-in ones included.  None: profiles are left alone;
	 * unless a plugin publishes some, the built-in ones are used. */
	const struct kf_node_profile *profiles;
	size_t nprofiles;
	/* Handlers of virtual machines; unless @set_vms is set, those of the journal stay.
	 * 'kubefence kata' sets it, and then nothing else changes. */
	const struct kf_journal_vm *vms;
	size_t nvms;
	bool set_vms;
	const char *nri_socket, *nri_plugins, *nri_config; /* NULL: as they are */
	/* The first settings for the guard; NULL: they are made from the options above. */
	const struct kf_settings *settings;
	const char *containerd_config; /* of plain containerd; NULL = what its unit says */
	bool restart;		       /* restart the runtime; otherwise the administrator does */
	unsigned timeout;	       /* seconds for the runtime to come back */
};

/* The options of a command line without any. */
#define KF_NODE_OPTIONS_INIT                                                                  \
	{                                                                                     \
		.host_root = "/", .launcher = KF_NODE_LAUNCHER, .default_profile = "default", \
		.nri_socket = KF_NRI_SOCKET, .nri_plugins = KF_NRI_PLUGINS,                   \
		.nri_config = KF_NRI_CONFIG, .restart = true, .timeout = 120                  \
	}

/* Reports one thing that was done or, for a plan, would be done; @detail may be "".  Called in the
 * order of events. */
typedef void kf_node_say(void *ctx, const char *action, const char *object, const char *detail);

/* A handler of runtime_classes on this node. */
struct kf_node_handler {
	const char *name;
	const char *guard; /* the guard's file; NULL: the handler gets none, see @why */
	const char *real;  /* the runtime behind it */
	const char *why;
	bool created; /* not there without us */
};

/* Everything that is known before anything is written.  Lives in @arena. */
struct kf_node_plan {
	struct kf_arena arena;
	const struct kf_distro *distro;
	const char *program;   /* containerd or crio */
	unsigned major, minor; /* its version */
	const char *config;    /* the file that is to change */
	const char *before, *after;
	size_t nbefore, nafter;
	bool existed; /* @config does */
	bool ours;    /* @config is a file of our own, a drop-in */
	/* The root file beside our drop-in, if nothing of ours is in it. */
	const char *root;
	size_t nroot;
	/* @config without our part, if somebody else changed it since.  NULL: nobody did, or that
	 * cannot be determined. */
	const char *base;
	size_t nbase;
	struct kf_node_handler *handlers;
	size_t nhandlers;
	const struct kf_journal_vm *vms;
	size_t nvms;
	/* For the check with the runtime's own parser: its output before, and which of its values
	 * will change, in its own names. */
	const char *effective;
	size_t neffective;
	struct kf_toml_want *wants, *ignore;
	size_t nwants, nignore;
};

/* What is known of a node before or between runs. */
struct kf_node {
	struct kf_host host;
	const struct kf_node_options *options;
	const struct kf_distro *distro;
	const char *place; /* where @distro lies, if not where it usually does; else NULL */
	const char *why;   /* what decided that it is this one */
	/* If another runtime runs now than the node was set up for: which one. */
	const char *elsewhere;
	struct kf_arena arena; /* of these */
	const struct kf_adapter *adapter;
	struct kf_journal journal;
	kf_node_say *say;
	void *ctx;
};

static inline struct kf_host_runtime kf_node_runtime(const struct kf_node *node)
{
	return (struct kf_host_runtime){&node->host, node->distro, node->options->timeout};
}

/* Whether what a command line says can be written into configurations: names, and paths that are
 * absolute; the launcher's is one that the plugin takes. */
int kf_node_options_check(const struct kf_node_options *options, struct kf_err *err);

int kf_node_open(const struct kf_node_options *options, kf_node_say *say, void *ctx,
		 struct kf_node *ret, struct kf_err *err);
void kf_node_done(struct kf_node *node);

/* Work out what install would do; writes nothing.  Release with kf_node_plan_done(). */
int kf_node_plan(const struct kf_node *node, struct kf_node_plan *ret, struct kf_err *err);
void kf_node_plan_done(struct kf_node_plan *plan);

/* Install.  *ret_changed tells whether anything was written. */
int kf_node_install(struct kf_node *node, bool *ret_changed, struct kf_err *err);
/* Uninstall.  What 'kubefence kata' did stays; with options->set_vms only that is undone.
 * *ret_kept: some files have to stay for now, since containers still use them, or somebody else
 * changed the configuration since; say() reports which. */
int kf_node_uninstall(struct kf_node *node, bool *ret_kept, struct kf_err *err);
/* Only install the launcher and, if there is or may be one, the guard.  The runtime is left alone,
 * except that a CRI-O that dropped the guard's handlers is told to read them again.  The journal's
 * entries about these files are updated, so that install, verify and uninstall take them for ours.
 * No kf_node may be open meanwhile. */
int kf_node_programs(const struct kf_node_options *options, kf_node_say *say, void *ctx,
		     bool *ret_changed, struct kf_err *err);
/* Check that the node is as install leaves it; each finding goes through say()
 * as "ok" or "fail".  -1 if one failed. */
int kf_node_verify(struct kf_node *node, struct kf_err *err);

/* One container runtime. */
struct kf_adapter {
	/* Fill config, before, after, handlers and what the check needs. */
	int (*plan)(const struct kf_node *node, struct kf_node_plan *plan, struct kf_err *err);
	/* Let the runtime parse its configuration as it is on disk now and compare the result with
	 * the plan: changed as intended if @installed, otherwise as it was before. */
	int (*check)(const struct kf_node *node, const struct kf_node_plan *plan, bool installed,
		     struct kf_err *err);
	/* The configuration as the runtime understands it, as TOML in @arena. */
	int (*effective)(const struct kf_node *node, struct kf_arena *arena, const char **ret,
			 size_t *ret_n, struct kf_err *err);
	/* Let it parse its configuration; no handler may have the guard any more. */
	int (*removed)(const struct kf_node *node, struct kf_err *err);
};
extern const struct kf_adapter kf_containerd, kf_crio;

#endif
