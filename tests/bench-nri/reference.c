/* SPDX-License-Identifier: Apache-2.0 */
/* reference SOCKET BYTES: a plugin that answers CreateContainer with BYTES bytes made beforehand,
 * 0: with nothing. */
#include "base/file.h"

#include <event2/event.h>
#include <fcntl.h>
#include <nri/nri.h>
#include <stdlib.h>

#define NRI_ANSWER_MAX (1024 * 1024)

struct canned {
	char *data;
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
	struct event_base *base = event_base_new();
	struct canned canned = {0};
	struct nri_plugin *plugin;

	if (argc < 2 || !base)
		return EXIT_FAILURE;
	options.socket_path = argv[1];
	if (argc > 2 && kf_file_slurp(AT_FDCWD, argv[2], NRI_ANSWER_MAX, &canned.data, &canned.n,
				      KF_ERR_IGNORED) < 0)
		return EXIT_FAILURE;
	if (nri_plugin_new(base, &options, &ops, &canned, &plugin, NULL) < 0)
		return EXIT_FAILURE;
	nri_plugin_start(plugin);
	return event_base_dispatch(base) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
