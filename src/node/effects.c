/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the running runtime does what its configuration says: a key in a file proves nothing,
 * since another one may cancel it.  The runtime's own answer is what counts. */
#include "node/effects.h"

#include "cri/cri.h"
#include "host/socket.h"

int kf_node_serves(const struct kf_node *node, const char *const *handlers, size_t nhandlers,
		   struct kf_err *err)
{
	const struct kf_node_options *o = node->options;
	const struct kf_host_runtime rt = kf_node_runtime(node);

	if (kf_cri_wait(&rt, handlers, nhandlers, err) < 0)
		return -1;
	if (!nhandlers || !o->nri_socket)
		return 0;
	/* NRI's socket exists before the runtime answers on its CRI socket. */
	if (kf_socket_wait(&node->host, o->nri_socket, o->timeout < 10 ? o->timeout : 10, err) < 0)
		return kf_fail_wrap(err, "%s answers, but NRI is not there (see its log)",
				    node->distro->name);
	return 0;
}
