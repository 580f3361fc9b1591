/* SPDX-License-Identifier: Apache-2.0 */
/* An NRI plugin: tells what happens on the node, and lets every container know its node's name.
 *
 *	cc nri-hello.c $(pkg-config --cflags --libs libnri) -o nri-hello && ./nri-hello [SOCKET]
 */
#include <event2/event.h>
#include <nri/nri.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int create(void *ctx, const Nri__CreateContainerRequest *req, struct nri_reply *reply,
		  struct nri_error *err)
{
	Nri__KeyValue env = NRI__KEY_VALUE__INIT, *envs[] = {&env};
	Nri__ContainerAdjustment adjust = NRI__CONTAINER_ADJUSTMENT__INIT;
	Nri__CreateContainerResponse answer = NRI__CREATE_CONTAINER_RESPONSE__INIT;

	if (!*(char *)ctx)
		return nri_fail(err, NRI_FAILED_PRECONDITION, "set the host name of this node");
	printf("create %s/%s\n", req->pod->name, req->container->name);
	env.key = (char *)"NODE_NAME";
	env.value = ctx;
	adjust.env = envs;
	adjust.n_env = 1;
	answer.adjust = &adjust;
	nri_reply_add(reply, &answer.base);
	return 0;
}

static int removed(void *ctx, const Nri__PodSandbox *pod, const Nri__Container *container,
		   struct nri_error *err)
{
	(void)ctx;
	(void)err;
	printf("remove %s/%s\n", pod->name, container->name);
	return 0;
}

static void state_changed(void *ctx, enum nri_plugin_state state, const struct nri_error *why)
{
	(void)ctx;
	if (why)
		fprintf(stderr, "nri-hello: %s\n", why->message);
	if (state == NRI_PLUGIN_READY)
		printf("ready\n");
}

int main(int argc, char **argv)
{
	static const struct nri_plugin_ops ops = {.create_container = create,
						  .remove_container = removed,
						  .state_changed = state_changed};
	struct nri_plugin_options options = {
		.name = "hello", .index = "90", .socket_path = argc > 1 ? argv[1] : NULL};
	char host[256] = "";
	struct event_base *base = event_base_new();
	struct nri_plugin *plugin;
	struct nri_error err;

	(void)gethostname(host, sizeof(host) - 1);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (nri_plugin_options_from_environment(&options, &err) < 0 ||
	    nri_plugin_new(base, &options, &ops, host, &plugin, &err) < 0) {
		fprintf(stderr, "nri-hello: %s\n", err.message);
		return EXIT_FAILURE;
	}
	nri_plugin_start(plugin);
	return event_base_dispatch(base) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
