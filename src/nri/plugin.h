/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_NRI_PLUGIN_H
#define KF_NRI_PLUGIN_H

#include "nri/link.h"
#include "nri/message.h"

#include <nri/nri.h>

struct nri_plugin {
	struct event_base *base;
	struct nri_plugin_ops own_ops;
	const struct nri_plugin_ops *ops; /* own_ops */
	void *ctx;
	char *name, *index, *socket_path;
	int (*connect)(void *ctx, int *ret_fd, struct nri_error *err);
	int adopted_fd; /* until it is used; -1: none */
	bool adopted, fail_closed;
	bool accepted;	   /* the runtime went on after Configure: it took the events */
	unsigned refusals; /* connections in a row that it ended there instead */
	unsigned backoff_min_ms, backoff_max_ms, backoff_ms;
	enum nri_plugin_state state;
	enum nri_plugin_state next_state; /* once the answer being made is sent */
	struct nri_link link;
	struct event *timer; /* next attempt while offline; patience while connected */
	uint32_t register_stream;
	struct nri_decoder decoder;
	struct nri_reply reply;
};

/* So many refusals are one of the events. */
#define NRI_REFUSALS 2

/* dispatch.c: answer one request of the runtime. */
void nri_plugin_request(void *plugin, uint32_t stream, const struct nri_ttrpc_request *req);
/* dispatch.c: what the connection has become, and why. */
void nri_plugin_set_state(struct nri_plugin *plugin, enum nri_plugin_state state,
			  const struct nri_error *why);

#endif
