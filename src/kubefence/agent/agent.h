/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_AGENT_AGENT_H
#define KF_KUBEFENCE_AGENT_AGENT_H

#include "base/calls.h"
#include "cli/command.h"
#include "kube/client.h"
#include "kube/marks.h"
#include "node/node.h"

#include <limits.h>

/* The parts of "kubefence node agent". */

struct kf_agent_options {
	const char *config; /* the plugin's configuration */
	const char *node_name;
	const char *ready_file;
	bool taint, once;
	unsigned period;	     /* seconds between looks at node and API */
	struct kf_node_options node; /* without what config says */
};

/* ---- work on the node (work.c): blocks, so done as a job (job.h) ---- */

enum kf_work { KF_WORK_NONE, KF_WORK_CHECK, KF_WORK_INSTALL, KF_WORK_UNINSTALL };

struct kf_work_order {
	enum kf_work work;
	kf_digest fingerprint; /* of what was last found to be right; "" = none */
};

struct kf_work_result {
	bool ok;	   /* as installed; or uninstalled */
	bool drift;	   /* check: somebody changed something */
	bool kept;	   /* uninstall: not everything can go yet */
	bool runtime;	   /* answers and lists the handlers */
	int abi;	   /* see kf_facts */
	char message[256]; /* what is wrong, or is waited for */
	kf_digest fingerprint;
	char handlers[KF_MARKS_HANDLERS][64]; /* those with the guard */
	size_t nhandlers;
	char watch[4][PATH_MAX / 8]; /* directories whose files matter; "" = none */
};

void kf_agent_work_do(const struct kf_agent_options *agent, const struct kf_work_order *order,
		      struct kf_work_result *ret);

/* ---- the Node object (api.c): as above ---- */

struct kf_api_order {
	struct kf_facts facts;
	bool taint;
	char handlers[KF_MARKS_HANDLERS][64];
	size_t nhandlers;
};

struct kf_api_result {
	bool ok;
	char error[512];
	struct kf_node_view view;
	struct kf_marks marks; /* what the object says now */
};

/* Confines its process first. */
void kf_agent_api_do(const struct kf_agent_options *options, const struct kf_api_order *order,
		     struct kf_api_result *ret);

/* ---- the plugin (plugin.c): as above ---- */

struct kf_plugin_result {
	bool runs;	 /* there is somebody to ask */
	char text[2048]; /* what it answered, unread */
};

/* Ask the plugin on @host whether it is connected. */
void kf_agent_plugin_do(const struct kf_host *host, struct kf_plugin_result *ret);
/* Whether @result, which may be NULL, says so; if not, @why (@size bytes) says why not. */
bool kf_agent_plugin_judge(const struct kf_plugin_result *result, char *why, size_t size);
/* The value of its line "@key: value" into @ret; whether there is one. */
bool kf_agent_plugin_said(const struct kf_plugin_result *result, const char *key, char *ret,
			  size_t size);

extern const struct kf_command kf_cmd_node_agent;

/* Returns an exit code. */
int kf_agent_run(const struct kf_agent_options *options, struct kf_err *err);

#endif
