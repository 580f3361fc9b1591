/* SPDX-License-Identifier: Apache-2.0 */
/* reference SOCKET BYTES: a plugin that answers CreateContainer with BYTES bytes made beforehand,
 * 0: with nothing. */
#include <event2/event.h>
#include <nri/nri.h>
#include <stdlib.h>
#include <string.h>

struct canned {
	void *data;
	size_t n;
};

static int create(void *ctx, const Nri__CreateContainerRequest *req, struct nri_reply *reply,
		  struct nri_error *err)
{
	const struct canned *canned = ctx;

	(void)req;
	(void)err;
	nri_reply_add_encoded(reply, canned->data, canned->n);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct nri_plugin_ops ops = {.create_container = create};
	struct nri_plugin_options options = {.name = "reference", .index = "10"};
	Nri__ContainerAdjustment adjust = NRI__CONTAINER_ADJUSTMENT__INIT;
	Nri__CreateContainerResponse answer = NRI__CREATE_CONTAINER_RESPONSE__INIT;
	struct event_base *base = event_base_new();
	struct canned canned = {0};
	struct nri_plugin *plugin;
	size_t bytes;
	char *arg;

	if (argc != 3 || !base)
		return EXIT_FAILURE;
	bytes = strtoul(argv[2], NULL, 10);
	arg = calloc(1, bytes + 1);
	options.socket_path = argv[1];
	if (bytes && arg) {
		memset(arg, 'x', bytes - 8); /* less the keys and lengths around it */
		adjust.args = &arg;
		adjust.n_args = 1;
		answer.adjust = &adjust;
		if (nri_encode(&answer.base, &canned.data, &canned.n, NULL) < 0)
			return EXIT_FAILURE;
	}
	if (nri_plugin_new(base, &options, &ops, &canned, &plugin, NULL) < 0)
		return EXIT_FAILURE;
	nri_plugin_start(plugin);
	return event_base_dispatch(base) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
