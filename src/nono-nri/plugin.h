/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NONO_NRI_PLUGIN_H
#define KF_NONO_NRI_PLUGIN_H

#include "base/arena.h"
#include "config/config.h"
#include "config/runtime_text.h"
#include "nono-nri/adjust.h"
#include "nono-nri/decisions.h"
#include "nono-nri/helper.h"
#include "nono-nri/library.h"
#include "nono-nri/options.h"
#include "nono-nri/refusals.h"
#include "nono-nri/seccomp_cache.h"
#include "observe/metrics.h"
#include "observe/state.h"

#include <limits.h>
#include <nri/nri.h>
#include <time.h>

#define KF_PLUGIN_NAME	"nono-nri"
#define KF_PLUGIN_INDEX "10"

struct event;
struct event_base;
struct kf_lives;
struct kf_lives_ops;
struct kf_life;
struct kf_sync;
struct kf_guard_refused;

/* A configuration and all that is derived from it: replaced as a whole. */
struct kf_setup {
	struct kf_arena arena;
	struct kf_config config; /* with profiles */
	struct kf_library_names names;
	const char *no_default; /* why there is no default profile; NULL: there is one */
	struct kf_adjust adjust;
};

/* What the callbacks share. */
struct kf_plugin {
	struct event_base *base;
	const char *node_dir;	 /* where the guard's files lie; "" = nowhere */
	const char *denials_dir; /* what "kubefence denials" keeps; "" = nowhere */
	char node_name[256];	 /* for people */
	time_t started, connected_since;
	char id[64]; /* "10-nono-nri": how validation names us */
	struct kf_setup setup;
	struct kf_setup before; /* what the setup has replaced; all 0 if nothing */
	struct kf_state state;
	struct kf_metrics metrics;
	struct kf_arena request; /* memory of the request at hand */
	struct kf_seccomp_cache seccomp;
	struct kf_sync *sync;	     /* between the parts of a Synchronize */
	struct kf_refusals refusals; /* that the log has told of */
	struct kf_decisions decisions;
	struct kf_guard_refused *guard_refused; /* what the guard refuses; NULL: nobody tells */
	struct kf_refusals guard_refusals;	/* ... and what was counted of it */
	char refused_dir[PATH_MAX];		/* where it tells it; "" = nowhere */
	struct kf_helper helper;
	struct kf_runtimes guard; /* handlers whose containers the guard wraps */
	struct nri_features features;
	uint32_t events;	 /* subscribed to */
	bool adopted;		 /* there is this one connection */
	bool exports;		 /* decisions, as events (export.h) */
	bool connected;		 /* registered and synchronised */
	bool ended;		 /* the runtime that started us has gone */
	struct kf_life *records; /* state entries to be written, in order */
	struct kf_life **records_end;
	unsigned nrecords;
	struct event *write_records;
	struct kf_lives *lives; /* what the guard tells; NULL: nothing */
	bool told_by_guard;	/* ... because the runtime is not asked to */
	/* The request that was answered last, if it put a container of ours into the sandbox. */
	struct {
		const Nri__CreateContainerRequest *request;
		const char *profile, *by;
	} injected;
	/* Why we are not ready although connected; NULL if we are. */
	const char *unpublished; /* settings could not be handed to the guard */
	char runtime[80];	 /* its name and version */
	char too_old[256];	 /* the runtime drops adjustments; "" if not */
};

extern const struct nri_plugin_ops kf_plugin_ops;
extern const struct kf_lives_ops kf_plugin_lives_ops;
extern const struct nri_unused kf_plugin_unused[];
extern const size_t kf_plugin_nunused;

/* NULL while everything that was asked for is enforced, else the reason why not. */
const char *kf_plugin_not_ready(const struct kf_plugin *plugin);
/* Append the metrics in Prometheus' text format (metrics.c). */
void kf_plugin_metrics(struct kf_plugin *plugin, struct kf_buf *out);
/* Count what the guard has refused since somebody asked last. */
void kf_plugin_read_guard_refused(struct kf_plugin *plugin);
/* @tell the version of each of our programs that lies on the node. */
void kf_plugin_programs(const struct kf_plugin *plugin,
			void (*tell)(struct kf_buf *out, const char *name, const char *version),
			struct kf_buf *out);
/* Append what the runtime is and gives us, one "key: value" a line; nothing while there is none. */
void kf_plugin_connection(const struct kf_plugin *plugin, struct kf_buf *out);

/* Read and check configuration file @path and everything that it leads to, and
 * publish profiles if it says so.  @running: the configuration in force, whose directories are
 * all that the confined plugin can reach: another one is an error; NULL at the start.  Returns -1
 * with errors in @diags.  *ret is to be released in either case, after the last use of @diags,
 * which point into it. */
int kf_setup_load(const char *path, const struct kf_config *running, struct kf_setup *ret,
		  struct kf_diags *diags);
void kf_setup_done(struct kf_setup *setup);

/* To be called after plugin->setup was replaced or the guard's list of handlers has changed. */
void kf_plugin_setup_changed(struct kf_plugin *plugin);
/* Whether something is to be sandboxed that needs events which this connection does not bring. */
bool kf_plugin_lacks_events(const struct kf_plugin *plugin);

/* synchronize (sync.c). */
int kf_plugin_synchronize(void *ctx, const Nri__SynchronizeRequest *req, struct nri_reply *reply,
			  struct nri_error *err);
void kf_sync_free(struct kf_sync *sync);

/* The guard wraps this handler's containers whatever becomes of our answer. */
static inline bool kf_plugin_guarded(const struct kf_plugin *plugin, const char *handler)
{
	return kf_runtimes_find(&plugin->guard, handler) != NULL;
}

/* Record a container in the state directory (record.c), not before the answer at hand is
 * on its way: a slow disk must not delay it.  A failure is logged and counted.  @written: it is
 * there already, and only to be remembered. */
void kf_plugin_record(struct kf_plugin *plugin, const Nri__PodSandbox *pod,
		      const Nri__Container *container, const char *profile, const char *unsandboxed,
		      bool written);
/* Write what is still to be written. */
void kf_plugin_write_records(struct kf_plugin *plugin);
void kf_plugin_records_done(struct kf_plugin *plugin);

#endif
