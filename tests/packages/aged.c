/* SPDX-License-Identifier: Apache-2.0 */
/* A program that was built with headers that know fewer members than the library: a plugin and a
 * runtime at the two ends of a connection.  library.py compiles it with such headers.  Each
 * structure that it hands in ends where its memory ends, so a look behind it is the program's end.
 */
#include <event2/event.h>
#include <nri/nri.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* A copy of the @n bytes at @p with nothing behind it. */
static void *at_the_edge(const void *p, size_t n)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *m = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED || n > page || mprotect(m + page, page, PROT_NONE) < 0)
		exit(3);
	return memcpy(m + page - n, p, n);
}

static int create(void *ctx, const Nri__CreateContainerRequest *req, struct nri_reply *reply,
		  struct nri_error *err)
{
	Nri__Mount mount = NRI__MOUNT__INIT, *mounts[1];
	Nri__ContainerAdjustment adjust = NRI__CONTAINER_ADJUSTMENT__INIT;
	Nri__CreateContainerResponse answer = NRI__CREATE_CONTAINER_RESPONSE__INIT;

	(void)ctx;
	(void)err;
	mount.destination = req->container->name;
	mounts[0] = at_the_edge(&mount, sizeof(mount));
	adjust.mounts = mounts;
	adjust.n_mounts = 1;
	answer.adjust = at_the_edge(&adjust, sizeof(adjust));
	nri_reply_add(reply, &answer.base);
	return 0;
}

static int fail(const char *what, const struct nri_error *err)
{
	fprintf(stderr, "%s: %s (%d)\n", what, err->message, err->code);
	return 1;
}

/* What a newer program has behind the members that the library knows. */
static int newer(struct event_base *base, const struct nri_plugin_options *options,
		 const struct nri_plugin_ops *ops)
{
	struct {
		struct nri_plugin_options known;
		char more[64];
	} o;
	struct nri_plugin *plugin;
	struct nri_error err;

	memset(&o, 0, sizeof(o));
	o.known = *options;
	if (nri_plugin_new_sized(base, &o.known, sizeof(o), ops, sizeof(*ops), NULL, &plugin,
				 &err) < 0)
		return fail("a member that is not set", &err);
	nri_plugin_free(plugin);
	o.more[sizeof(o.more) - 1] = 1;
	if (nri_plugin_new_sized(base, &o.known, sizeof(o), ops, sizeof(*ops), NULL, &plugin,
				 &err) == 0 ||
	    err.code != NRI_UNIMPLEMENTED)
		return fail("a member that the library does not know", &err);
	return 0;
}

int main(void)
{
	struct nri_plugin_ops ops = {.create_container = create};
	struct nri_plugin_options po = {.name = "aged", .index = "10", .adopted = true};
	struct nri_runtime_options ro = {.name = "aged", .request_timeout_ms = 60000};
	Nri__PodSandbox pod = NRI__POD_SANDBOX__INIT;
	Nri__Container container = NRI__CONTAINER__INIT;
	Nri__CreateContainerRequest req = NRI__CREATE_CONTAINER_REQUEST__INIT;
	Nri__CreateContainerResponse *answer;
	Nri__SynchronizeResponse *updates;
	Nri__PodSandbox *pods[1];
	struct event_base *base = event_base_new();
	struct nri_features features, *edge;
	struct nri_plugin *plugin;
	struct nri_runtime *rt;
	struct nri_error err;
	uint32_t events;
	int fds[2];

	if (!base || newer(base, &po, &ops) || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return 1;
	memset(&features, 0, sizeof(features));
	edge = at_the_edge(&features, sizeof(features));
	nri_features_parse("containerd", "2.2.0", "", edge);
	nri_features_settle(edge, false);
	if (!edge->adjust_args)
		return 1;
	po.fd = fds[0];
	container.name = (char *)"/somewhere";
	pods[0] = req.pod = at_the_edge(&pod, sizeof(pod));
	req.container = at_the_edge(&container, sizeof(container));
	if (nri_plugin_new(base, at_the_edge(&po, sizeof(po)), at_the_edge(&ops, sizeof(ops)), NULL,
			   &plugin, &err) < 0 ||
	    nri_runtime_new(base, fds[1], at_the_edge(&ro, sizeof(ro)), &rt, &err) < 0)
		return fail("start", &err);
	nri_plugin_start(plugin);
	if (nri_runtime_register(rt, &events, &err) < 0 ||
	    nri_runtime_synchronize(rt, pods, 1, NULL, 0, &updates, &err) < 0 ||
	    nri_runtime_create_container(rt, at_the_edge(&req, sizeof(req)), &answer, &err) < 0)
		return fail("call", &err);
	printf("%s %s\n", nri_version(), answer->adjust->mounts[0]->destination);
	nri_runtime_free(rt);
	nri_plugin_free(plugin);
	event_base_free(base);
	return 0;
}
