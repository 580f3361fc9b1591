/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBE_MARKS_H
#define KF_KUBE_MARKS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* What the agent tells in its Node object, and how it is worked out.  Pure: no request is made
 * here. */

#define KF_LABEL_READY	  "nono.sh/ready"
#define KF_LABEL_ABI	  "nono.sh/landlock-abi"
#define KF_TAINT	  "nono.sh/agent-not-ready" /* effect NoSchedule */
#define KF_CONDITION	  "nono.sh/Ready"
/* The annotation that asks to clean the node up: a time, or "cancelled". */
#define KF_ANNOTATION	  "nono.sh/uninstall"
#define KF_CANCELLED	  "cancelled"

#define KF_MARKS_HANDLERS 32

/* The format of a request: "UNTIL since START", both RFC 3339 in UTC.  UNTIL: when the request runs
 * out if nobody renews it.  START: when the uninstallation began, so that it knows its own requests
 * from others'. */
#define KF_REQUEST_SIZE	  80
void kf_marks_request_format(time_t until, time_t start, char ret[static KF_REQUEST_SIZE]);

enum kf_request {
	KF_REQUEST_NONE,
	KF_REQUEST_OTHER, /* cancelled, run out, or of an earlier uninstallation */
	KF_REQUEST_OWN,
	KF_REQUEST_STALE, /* ours, and about to run out */
	KF_REQUEST_LATER, /* of an uninstallation that began after ours */
};
/* What the annotation @value (may be NULL) means to an uninstallation that began at @start.  A
 * request that runs out within @least seconds of @now is stale. */
enum kf_request kf_marks_request_of(const char *value, time_t start, time_t now, unsigned least);

enum kf_phase {
	KF_PHASE_STARTING,     /* nothing is known yet, or the node is about to be touched */
	KF_PHASE_FAILED,       /* set-up, or the proof of it, failed */
	KF_PHASE_DONE,	       /* the node is set up, and that was proved */
	KF_PHASE_UNINSTALLING, /* asked to clean up, and not done yet */
	KF_PHASE_GONE,	       /* cleaned up */
};

enum kf_served {
	KF_SERVED_UNKNOWN, /* the kubelet does not tell: never a failure */
	KF_SERVED_ALL,
	KF_SERVED_MISSING,
};

/* What the agent knows. */
struct kf_facts {
	enum kf_phase phase;
	char detail[256];  /* why it failed, what cleaning up waits for, what else is to be said */
	char guarded[200]; /* handlers that have the guard, with spaces between */
	bool runtime;	   /* answers on its CRI socket and lists the handlers */
	bool plugin;	   /* connected to the runtime */
	char plugin_why[256];
	char rejected[256];    /* profiles that the plugin could not take over; "" none */
	int abi;	       /* Landlock's; 0 none, negative: cannot be told */
	enum kf_served served; /* the handlers in node.status.runtimeHandlers */
	bool late;	       /* the handlers should have appeared there by now */
};

/* The marks that the Node object is to have. */
struct kf_marks {
	bool present; /* false: nothing of ours at all */
	bool ready;
	int abi;	 /* label if positive */
	bool taint;	 /* add the taint while not ready; if false it is only removed */
	char reason[32]; /* CamelCase */
	char message[832];
};

/* The marks for @facts.  The label is false before the node is touched, true after everything is
 * proved, and false again as soon as something fails. */
void kf_marks_of(const struct kf_facts *facts, bool taint, struct kf_marks *ret);
/* The reason of a ready node with profiles that were not taken over. */
#define KF_REASON_REJECTED "ProfilesRejected"
/* Whether the message of a ready node says that @handler has the guard. */
bool kf_marks_guards(const char *message, const char *handler);
bool kf_marks_equal(const struct kf_marks *a, const struct kf_marks *b);

/* What the agent reads from its Node object. */
struct kf_node_view {
	enum kf_served served; /* of the handlers asked for */
	bool uninstall;	       /* the annotation asks to clean up, and has not run out */
	bool cancelled;	       /* ... or cancels that, or has run out */
};

/* Read @node; @now judges the annotation. */
int kf_marks_view(const char *node, const char *const *handlers, size_t nhandlers, time_t now,
		  struct kf_node_view *ret, struct kf_err *err);
/* The patches that give @node these @marks: *ret_patch for the object
 * (application/merge-patch+json) and *ret_status for its status
 * (application/strategic-merge-patch+json).  Each is NULL if nothing has to change, and otherwise
 * the caller's.  A cancelled request is removed as well.  @now is the time of the condition. */
int kf_marks_patch(const char *node, const struct kf_marks *marks, bool cancelled, time_t now,
		   char **ret_patch, char **ret_status, struct kf_err *err);

#endif
