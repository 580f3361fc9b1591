/* SPDX-License-Identifier: Apache-2.0 */
/* A whole CreateContainer through the plugin's handler.  Byte 0 chooses the runtime; the rest is
 * the request.  In scope it is never answered with "no change": wrapped, or an error. */
#include "base/limits.h"
#include "nono-nri/plugin.h"
#include "nri/message.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const handlers[] = {"nono-runc"};
static const struct kf_profile_info profile_list[] = {
	{.name = "default", .deny = (const char *const[]){"/run/secrets"}, .ndeny = 1},
	{.name = "strict", .has_seccomp = true, .seccomp = KF_SECCOMP_LEVEL_RUNTIME_DEFAULT},
};

static struct kf_plugin *plugin(void)
{
	static struct kf_plugin p;

	if (p.base)
		return &p;
	kf_log_init(KF_LOG_TEXT, KF_LOG_ERROR + 1, "fuzz");
	p.base = event_base_new();
	p.state.dirfd = -1;
	p.setup.config.settings = (struct kf_settings){
		.handlers = handlers,
		.nhandlers = 1,
		.default_profile = "default",
		.launcher = "/opt/nono-nri/nono",
		.seccomp = KF_SECCOMP_LEVEL_RESTRICTED,
		.profiles = profile_list,
		.nprofiles = 2,
	};
	kf_arena_init(&p.request, KF_LIMIT_PLAN_MEMORY);
	kf_seccomp_cache_init(&p.seccomp);
	if (!p.base || kf_adjust_init(&p.setup.adjust, "/opt/nono-nri/nono", KF_ERR_IGNORED) < 0)
		abort();
	return &p;
}

/* What the runtime would make of @reply. */
static void check_wrapped(const struct nri_reply *reply, const Nri__CreateContainerRequest *req)
{
	Nri__CreateContainerResponse *answer = nri__create_container_response__unpack(
		NULL, reply->buf.n, (const uint8_t *)reply->buf.p);
	const Nri__ContainerAdjustment *a = answer ? answer->adjust : NULL;
	bool mounted = false;

	if (!a || a->n_args != req->container->n_args + 5 ||
	    strcmp(a->args[0], "/nono/nono") != 0 || strcmp(a->args[1], "wrap") != 0 ||
	    strcmp(a->args[4], "--") != 0 || !a->linux_adjust || !a->linux_adjust->seccomp_policy)
		abort();
	for (size_t i = 0; i < a->n_mounts; i++)
		mounted = mounted || (strcmp(a->mounts[i]->destination, "/nono") == 0 &&
				      strcmp(a->mounts[i]->source, "/opt/nono-nri") == 0);
	if (!mounted)
		abort();
	nri__create_container_response__free_unpacked(answer, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static Nri__PodSandbox no_pod = NRI__POD_SANDBOX__INIT;
	static Nri__Container no_container = NRI__CONTAINER__INIT;
	struct kf_plugin *p = plugin();
	Nri__CreateContainerRequest *req;
	Nri__PodSandbox *pod;
	Nri__Container *container;
	struct nri_reply reply;
	struct nri_error err;
	int r;

	if (n < 1)
		return 0;
	req = nri__create_container_request__unpack(NULL, n - 1, data + 1);
	if (!req)
		return 0;
	/* As the library has it: never NULL. */
	pod = req->pod;
	container = req->container;
	req->pod = pod ? pod : &no_pod;
	req->container = container ? container : &no_container;
	p->features.adjust_args = data[0] & 1;
	nri_reply_init(&reply);
	r = kf_plugin_ops.create_container(p, req, &reply, &err);
	if (strcmp(req->pod->runtime_handler, "nono-runc") != 0) {
		if (r < 0 || reply.buf.n)
			abort();
	} else if (r == 0 && !reply.failed) {
		if (!p->features.adjust_args)
			abort();
		check_wrapped(&reply, req);
	}
	nri_reply_done(&reply);
	kf_plugin_write_records(p);
	req->pod = pod;
	req->container = container;
	nri__create_container_request__free_unpacked(req, NULL);
	return 0;
}
