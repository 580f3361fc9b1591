/* SPDX-License-Identifier: Apache-2.0 */
/* A CreateContainerRequest, as bytes, through a connection and nono-nri's own callbacks.  A
 * container in scope is never answered with "no change": it is wrapped, with
 * the launcher mounted, and the plugin's own validation accepts the result; or it is
 * refused.  One out of scope is never touched.  The first byte of the input
 * chooses the runtime. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "nono-nri/plugin.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define HANDLER	 "nono-runc"
#define RUNTIMES 3

#define need(condition)                                                                       \
	do {                                                                                  \
		if (!(condition)) {                                                           \
			(void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                              \
		}                                                                             \
	} while (0)

struct peer {
	struct kf_plugin plugin;
	struct nri_plugin *nri;
	struct nri_runtime *rt;
	bool adjusts;
};

static struct event_base *base;
static struct peer peers[RUNTIMES];

/* A configuration with a launcher, in a directory that is gone again afterwards. */
static void load(struct kf_setup *setup)
{
	char dir[] = "/tmp/kf-fuzz-XXXXXX", launcher[64], config[64];
	struct kf_arena arena;
	struct kf_diags diags;
	FILE *f;
	int fd;

	need(mkdtemp(dir));
	(void)snprintf(launcher, sizeof(launcher), "%s/nono", dir);
	(void)snprintf(config, sizeof(config), "%s/config", dir);
	fd = open(launcher, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	need(fd >= 0);
	(void)close(fd);
	f = fopen(config, "we");
	need(f);
	(void)fprintf(f,
		      "runtime_classes = [\"" HANDLER "\"]\n"
		      "default_profile = \"default\"\n"
		      "nono_bin_path = \"%s\"\n",
		      launcher);
	(void)fclose(f);
	kf_arena_init(&arena, 1 << 20);
	kf_diags_init(&diags, &arena);
	need(kf_setup_load(config, NULL, setup, &diags) == 0);
	kf_arena_done(&arena);
	(void)unlink(launcher);
	(void)unlink(config);
	(void)rmdir(dir);
}

static void connect_peer(struct peer *p, const char *version, bool adjusts)
{
	const struct nri_runtime_options ro = {
		.name = "containerd", .version = version, .request_timeout_ms = 60000};
	struct nri_plugin_options po = {.name = "nono-nri", .index = "10", .adopted = true};
	Nri__SynchronizeResponse *sync;
	struct nri_error err;
	uint32_t events;
	int fds[2];

	p->plugin = (struct kf_plugin){.base = base, .node_dir = "", .id = "10-nono-nri"};
	p->plugin.state.dirfd = -1;
	p->adjusts = adjusts;
	kf_arena_init(&p->plugin.request, KF_LIMIT_PLAN_MEMORY);
	load(&p->plugin.setup);
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	po.fd = fds[0];
	need(nri_plugin_new(base, &po, &kf_plugin_ops, &p->plugin, &p->nri, &err) == 0);
	need(nri_runtime_new(base, fds[1], &ro, &p->rt, &err) == 0);
	nri_plugin_start(p->nri);
	need(nri_runtime_register(p->rt, &events, &err) == 0);
	need(nri_runtime_synchronize(p->rt, NULL, 0, NULL, 0, &sync, &err) == 0);
}

static void disconnect_all(void)
{
	for (size_t i = 0; i < RUNTIMES; i++) {
		nri_runtime_free(peers[i].rt);
		nri_plugin_free(peers[i].nri);
		kf_plugin_records_done(&peers[i].plugin);
		kf_setup_done(&peers[i].plugin.setup);
		kf_arena_done(&peers[i].plugin.request);
	}
	event_base_free(base);
}

static void begin(void)
{
	kf_log_init(KF_LOG_JSON, KF_LOG_ERROR, "fuzz"); /* stdout, where nobody looks */
	base = event_base_new();
	need(base);
	connect_peer(&peers[0], "v2.4.2", true);
	connect_peer(&peers[1], "2.2.9", true);
	connect_peer(&peers[2], "2.1.6", false);
	(void)atexit(disconnect_all);
}

static void check_wrapped(const Nri__Container *was, const Nri__ContainerAdjustment *adjust)
{
	static const char *const prefix[] = {"/nono/nono", "wrap", "--profile"};
	size_t mounted = 0;

	need(adjust && adjust->n_args == was->n_args + 5);
	for (size_t i = 0; i < KF_ARRAY_SIZE(prefix); i++)
		need(strcmp(adjust->args[i], prefix[i]) == 0);
	need(kf_profile_name_valid(adjust->args[3]) && strcmp(adjust->args[4], "--") == 0);
	for (size_t i = 0; i < was->n_args; i++)
		need(strcmp(adjust->args[5 + i], was->args[i]) == 0);
	for (size_t i = 0; i < adjust->n_mounts; i++)
		mounted += strcmp(adjust->mounts[i]->destination, "/nono") == 0;
	need(mounted == 1);
	need(adjust->linux_adjust && adjust->linux_adjust->seccomp_policy);
}

/* The plugin agrees with itself. */
static void check_validates(struct peer *p, const Nri__CreateContainerRequest *req,
			    Nri__ContainerAdjustment *adjust)
{
	Nri__ValidateContainerAdjustmentRequest v =
		NRI__VALIDATE_CONTAINER_ADJUSTMENT_REQUEST__INIT;
	struct nri_error err;

	v.pod = req->pod;
	v.container = req->container;
	v.adjust = adjust;
	if (nri_runtime_validate(p->rt, &v, &err) == 0)
		return;
	/* Too large to be sent, not UTF-8: the runtime's limits, not a verdict. */
	need(err.code == NRI_RESOURCE_EXHAUSTED || err.code == NRI_INVALID_ARGUMENT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	Nri__CreateContainerRequest *req;
	Nri__CreateContainerResponse *answer;
	struct nri_error err;
	const void *bytes;
	size_t nbytes;
	struct peer *p;

	if (!n)
		return 0;
	if (!base)
		begin();
	p = &peers[data[0] % RUNTIMES];
	if (nri_runtime_call(p->rt, NULL, "CreateContainer", data + 1, n - 1, &bytes, &nbytes,
			     &err) < 0) {
		need(err.code != NRI_UNAVAILABLE && err.code != NRI_DEADLINE_EXCEEDED);
		need(*err.message);
		return 0;
	}
	req = nri__create_container_request__unpack(NULL, n - 1, data + 1);
	need(req && req->pod && req->container);
	answer = nri__create_container_response__unpack(NULL, nbytes, bytes);
	need(answer);
	if (strcmp(req->pod->runtime_handler, HANDLER) != 0) {
		need(nbytes == 0);
	} else {
		need(p->adjusts);
		check_wrapped(req->container, answer->adjust);
		check_validates(p, req, answer->adjust);
	}
	nri__create_container_request__free_unpacked(req, NULL);
	nri__create_container_response__free_unpacked(answer, NULL);
	return 0;
}
