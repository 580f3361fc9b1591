/* SPDX-License-Identifier: Apache-2.0 */
/* "kubefence try" as the container runtime of a real nono-nri: starting it, sending it the
 * container, and applying its answer. */
#include "kubefence/try/nri.h"

#include "base/cleanup.h"
#include "cli/command.h"
#include "nri-plan/view.h"

#include <event2/event.h>
#include <limits.h>
#include <nri/nri.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CONNECT_TIMEOUT_MS 10000
/* A pod and a container with what the command line said about them. */
#define MESSAGES_MEMORY	   (1024 * 1024)

struct try_nri {
	struct event_base *base;
	struct nri_runtime *rt;
	uint32_t events;
	pid_t plugin;
	int pidfd;
	Nri__LinuxSeccomp *seccomp; /* the container's policy borrows from it */
};

/* The container as NRI's messages. */
struct nri_messages {
	Nri__PodSandbox pod;
	Nri__Container container;
};

static int nri_failed(struct kf_err *err, const char *what, const struct nri_error *nerr)
{
	return kf_fail(err, EPROTO, "%s: %s", what, nerr->message);
}

static int spawn_plugin(struct try_nri *nri, const struct try_stage *stage, const char *config,
			const char *node_dir, struct kf_err *err)
{
	char program[PATH_MAX], config_path[PATH_MAX], state[PATH_MAX];
	pid_t parent = getpid();

	(void)snprintf(program, sizeof(program), "%s/bin/nono-nri", stage->dir);
	(void)snprintf(config_path, sizeof(config_path), "%s/%s", stage->dir, config);
	(void)snprintf(state, sizeof(state), "%s/state", stage->dir);
	nri->plugin = fork();
	if (nri->plugin < 0)
		return kf_fail_sys(err, "fork");
	if (nri->plugin == 0) {
		/* End the plugin when this command ends, however that happens. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
			_exit(127);
		execl(program, program, "--config", config_path, "--state-dir", state, "--node-dir",
		      node_dir, "--json=false", "--log-level", "warn", (char *)NULL);
		(void)kf_command_fail("cannot execute '%s': %s", program, strerror(errno));
		_exit(127);
	}
	nri->pidfd = (int)syscall(SYS_pidfd_open, nri->plugin, 0);
	return nri->pidfd < 0 ? kf_fail_sys(err, "pidfd of nono-nri") : 0;
}

/* Wait until the plugin connects; if it ends instead, that is noticed at once. */
static int accept_plugin(struct try_nri *nri, int listener, int *ret_fd, struct kf_err *err)
{
	struct pollfd fds[] = {{.fd = listener, .events = POLLIN},
			       {.fd = nri->pidfd, .events = POLLIN}};
	int fd, n = poll(fds, KF_ARRAY_SIZE(fds), CONNECT_TIMEOUT_MS);

	if (n < 0)
		return kf_fail_sys(err, "wait for nono-nri");
	if (n == 0)
		return kf_fail(err, ETIMEDOUT, "nono-nri did not connect within %d s",
			       CONNECT_TIMEOUT_MS / 1000);
	if (fds[1].revents)
		return kf_fail(err, ECHILD,
			       "nono-nri ended before it connected; its message is above");
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return kf_fail_sys(err, "accept nono-nri's connection");
	*ret_fd = fd;
	return 0;
}

static void close_plugin(struct try_nri *nri)
{
	/* End the plugin first: it would warn about a connection that we cut. */
	if (nri->plugin > 0) {
		(void)kill(nri->plugin, SIGTERM);
		while (waitpid(nri->plugin, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (nri->pidfd >= 0)
		(void)close(nri->pidfd);
	nri_runtime_free(nri->rt);
	if (nri->base)
		event_base_free(nri->base);
	nri__linux_seccomp__free_unpacked(nri->seccomp, NULL);
	free(nri);
}

int try_nri_start(const struct try_stage *stage, const char *config, const char *node_dir,
		  const char *socket_path, struct try_nri **ret, struct kf_err *err)
{
	static const struct nri_runtime_options options = {
		.name = "containerd", /* this command behaves like it */
		.version = "2.3.0",
		.nri_version = "0.12.0",
	};
	struct try_nri *nri = calloc(1, sizeof(*nri));
	struct nri_error nerr = {0};
	Nri__SynchronizeResponse *sync;
	KF_CLOSE int listener = -1;
	KF_CLOSE int fd = -1;

	if (!nri)
		return kf_fail_nomem(err, "try");
	nri->pidfd = -1;
	nri->base = event_base_new();
	if (!nri->base)
		kf_err_set(err, ENOMEM, "event loop");
	else if (nri_listen(socket_path, &listener, &nerr) < 0)
		(void)nri_failed(err, "NRI socket", &nerr);
	else if (spawn_plugin(nri, stage, config, node_dir, err) < 0 ||
		 accept_plugin(nri, listener, &fd, err) < 0)
		;
	else if (nri_runtime_new(nri->base, fd, &options, &nri->rt, &nerr) < 0)
		(void)nri_failed(err, "NRI", &nerr);
	else if (fd = -1, nri_runtime_register(nri->rt, &nri->events, &nerr) < 0)
		(void)nri_failed(err, "nono-nri does not register", &nerr);
	else if (nri_runtime_synchronize(nri->rt, NULL, 0, NULL, 0, &sync, &nerr) < 0)
		(void)nri_failed(err, "nono-nri does not synchronise", &nerr);
	else {
		*ret = nri;
		return 0;
	}
	close_plugin(nri);
	return -1;
}

static void *alloc_or(struct kf_arena *arena, size_t n, size_t size, bool *ok)
{
	void *p = kf_arena_calloc(arena, n ? n : 1, size);

	*ok = *ok && p;
	return p;
}

static Nri__Mount *mount_message(const struct kf_view_mount *m, struct kf_arena *arena, bool *ok)
{
	Nri__Mount *msg = alloc_or(arena, 1, sizeof(*msg), ok);
	char **options = alloc_or(arena, m->noptions, sizeof(*options), ok);

	if (!*ok)
		return NULL;
	nri__mount__init(msg);
	msg->destination = (char *)m->destination;
	msg->type = (char *)m->type;
	msg->source = (char *)m->source;
	msg->options = options;
	msg->n_options = m->noptions;
	if (m->noptions)
		memcpy(options, m->options, m->noptions * sizeof(*options));
	return msg;
}

static int fill_messages(const struct try_container *c, struct kf_arena *arena,
			 struct nri_messages *msg, struct kf_err *err)
{
	bool ok = true;
	Nri__Mount **mounts = alloc_or(arena, c->nmounts, sizeof(*mounts), &ok);
	Nri__KeyValue **annotations = alloc_or(arena, c->nannotations, sizeof(*annotations), &ok);

	nri__pod_sandbox__init(&msg->pod);
	msg->pod.id = (char *)TRY_POD;
	msg->pod.name = (char *)TRY_POD;
	msg->pod.uid = (char *)c->id;
	msg->pod.pod_namespace = (char *)TRY_NAMESPACE;
	msg->pod.runtime_handler = (char *)TRY_HANDLER;
	for (size_t i = 0; ok && i < c->nannotations; i++) {
		annotations[i] = alloc_or(arena, 1, sizeof(**annotations), &ok);
		if (!ok)
			break;
		nri__key_value__init(annotations[i]);
		annotations[i]->key = (char *)c->annotations[i].key;
		annotations[i]->value = (char *)c->annotations[i].value;
	}
	msg->pod.annotations = annotations;
	msg->pod.n_annotations = c->nannotations;
	nri__container__init(&msg->container);
	msg->container.id = (char *)c->id;
	msg->container.pod_sandbox_id = msg->pod.id;
	msg->container.name = (char *)TRY_CONTAINER;
	msg->container.state = NRI__CONTAINER_STATE__CONTAINER_CREATED;
	msg->container.args = (char **)c->args;
	msg->container.n_args = c->nargs;
	msg->container.env = (char **)c->env;
	msg->container.n_env = c->nenv;
	for (size_t i = 0; ok && i < c->nmounts; i++)
		mounts[i] = mount_message(&c->mounts[i], arena, &ok);
	msg->container.mounts = mounts;
	msg->container.n_mounts = c->nmounts;
	return ok ? 0 : kf_fail_nomem(err, "try");
}

/* Apply mounts by NRI's rules (pkg/runtime-tools/generate): "-/path" removes one, a plain mount
 * replaces an earlier one at the same destination. */
static int apply_mounts(const Nri__ContainerAdjustment *adjust, struct try_container *c,
			struct kf_arena *arena, struct kf_err *err)
{
	bool ok = true;
	struct kf_view_mount *mounts =
		alloc_or(arena, c->nmounts + adjust->n_mounts, sizeof(*mounts), &ok);
	size_t n = 0;

	for (size_t i = 0; ok && i < c->nmounts; i++) {
		bool keep = true;

		for (size_t k = 0; k < adjust->n_mounts; k++) {
			const char *d = adjust->mounts[k]->destination;

			keep = keep && strcmp(d + (*d == '-'), c->mounts[i].destination) != 0;
		}
		if (keep)
			mounts[n++] = c->mounts[i];
	}
	for (size_t k = 0; ok && k < adjust->n_mounts; k++) {
		const Nri__Mount *m = adjust->mounts[k];
		const char **options;

		if (*m->destination == '-')
			continue;
		options = alloc_or(arena, m->n_options, sizeof(*options), &ok);
		for (size_t o = 0; ok && o < m->n_options; o++)
			options[o] = kf_arena_strdup(arena, m->options[o]);
		mounts[n++] = (struct kf_view_mount){
			.destination = kf_arena_strdup(arena, m->destination),
			.type = kf_arena_strdup(arena, m->type),
			.source = kf_arena_strdup(arena, m->source),
			.options = options,
			.noptions = m->n_options,
		};
	}
	if (!ok)
		return kf_fail_nomem(err, "try");
	c->mounts = mounts;
	c->nmounts = n;
	return 0;
}

static int apply_env(const Nri__ContainerAdjustment *adjust, struct try_container *c,
		     struct kf_arena *arena, struct kf_err *err)
{
	bool ok = true;
	const char **env = alloc_or(arena, c->nenv + adjust->n_env, sizeof(*env), &ok);
	size_t n = c->nenv;

	if (ok && n)
		memcpy(env, c->env, n * sizeof(*env));
	for (size_t i = 0; ok && i < adjust->n_env; i++) {
		const Nri__KeyValue *kv = adjust->env[i];
		size_t len = strlen(kv->key), at = 0;

		while (at < n && (strncmp(env[at], kv->key, len) != 0 || env[at][len] != '='))
			at++;
		env[at] = kf_arena_printf(arena, "%s=%s", kv->key, kv->value);
		ok = env[at] != NULL;
		if (at == n)
			n++;
	}
	if (!ok)
		return kf_fail_nomem(err, "try");
	c->env = env;
	c->nenv = n;
	return 0;
}

/* Copy the policy, since the answer is released with the next call. */
static int apply_seccomp(struct try_nri *nri, const Nri__LinuxSeccomp *policy,
			 struct try_container *c, struct kf_arena *arena, struct kf_err *err)
{
	size_t n = nri__linux_seccomp__get_packed_size(policy);
	uint8_t *packed = kf_arena_alloc(arena, n);

	if (packed && nri__linux_seccomp__pack(policy, packed) == n)
		nri->seccomp = nri__linux_seccomp__unpack(NULL, n, packed);
	if (!nri->seccomp)
		return kf_fail_nomem(err, "seccomp policy");
	return kf_nri_seccomp_view(nri->seccomp, arena, &c->seccomp, err);
}

static int apply_answer(struct try_nri *nri, const Nri__ContainerAdjustment *adjust,
			struct try_container *c, struct kf_arena *arena, struct kf_err *err)
{
	const Nri__LinuxContainerAdjustment *lc = adjust->linux_adjust;

	if (adjust->hooks || adjust->n_rlimits || adjust->n_cdi_devices || adjust->n_annotations)
		return kf_fail(err, ENOTSUP,
			       "nono-nri asks for a change that this command cannot make");
	if (adjust->n_args) {
		bool ok = true;
		const char **args = alloc_or(arena, adjust->n_args, sizeof(*args), &ok);

		for (size_t i = 0; ok && i < adjust->n_args; i++) {
			args[i] = kf_arena_strdup(arena, adjust->args[i]);
			ok = args[i] != NULL;
		}
		if (!ok)
			return kf_fail_nomem(err, "try");
		c->args = args;
		c->nargs = adjust->n_args;
	}
	if (lc && lc->seccomp_policy && apply_seccomp(nri, lc->seccomp_policy, c, arena, err) < 0)
		return -1;
	return apply_mounts(adjust, c, arena, err) < 0 || apply_env(adjust, c, arena, err) < 0 ? -1
											       : 0;
}

/* Ask for validation as a runtime does: with the original container, the merged adjustment, and who
 * made which change.  Here one plugin made all of them. */
static int validate_answer(struct try_nri *nri, const struct nri_messages *before,
			   Nri__ContainerAdjustment *adjust, struct kf_arena *arena,
			   struct kf_err *err)
{
	Nri__ValidateContainerAdjustmentRequest req =
		NRI__VALIDATE_CONTAINER_ADJUSTMENT_REQUEST__INIT;
	Nri__FieldOwners__SimpleEntry args = NRI__FIELD_OWNERS__SIMPLE_ENTRY__INIT,
				      seccomp = NRI__FIELD_OWNERS__SIMPLE_ENTRY__INIT,
				      *simple[] = {&args, &seccomp};
	Nri__FieldOwners__CompoundEntry mounts = NRI__FIELD_OWNERS__COMPOUND_ENTRY__INIT,
					*compound[] = {&mounts};
	Nri__CompoundFieldOwners by_mount = NRI__COMPOUND_FIELD_OWNERS__INIT;
	Nri__KeyValue launcher = NRI__KEY_VALUE__INIT, *launcher_list[] = {&launcher};
	Nri__FieldOwners fields = NRI__FIELD_OWNERS__INIT;
	Nri__OwningPlugins__Entry entry = NRI__OWNING_PLUGINS__ENTRY__INIT, *entries[] = {&entry};
	Nri__OwningPlugins owners = NRI__OWNING_PLUGINS__INIT;
	Nri__PluginInstance instance = NRI__PLUGIN_INSTANCE__INIT, *instances[] = {&instance};
	struct nri_error nerr = {0};
	char *owner = kf_arena_printf(arena, "%s-%s", nri_runtime_plugin_index(nri->rt),
				      nri_runtime_plugin_name(nri->rt));

	if (!owner)
		return kf_fail_nomem(err, "try");
	args.key = NRI__FIELD__ARGS;
	args.value = owner;
	seccomp.key = NRI__FIELD__SECCOMP_POLICY;
	seccomp.value = owner;
	fields.simple = simple;
	fields.n_simple = adjust->linux_adjust && adjust->linux_adjust->seccomp_policy ? 2 : 1;
	launcher.key = (char *)"/nono";
	launcher.value = owner;
	by_mount.owners = launcher_list;
	by_mount.n_owners = 1;
	mounts.key = NRI__FIELD__MOUNTS;
	mounts.value = &by_mount;
	fields.compound = compound;
	fields.n_compound = 1;
	entry.key = before->container.id;
	entry.value = &fields;
	owners.owners = entries;
	owners.n_owners = 1;
	instance.name = (char *)nri_runtime_plugin_name(nri->rt);
	instance.index = (char *)nri_runtime_plugin_index(nri->rt);
	req.pod = (Nri__PodSandbox *)&before->pod;
	req.container = (Nri__Container *)&before->container;
	req.adjust = adjust;
	req.owners = &owners;
	req.plugins = instances;
	req.n_plugins = 1;
	if (nri_runtime_validate(nri->rt, &req, &nerr) < 0)
		return nri_failed(err, "nono-nri refuses the result", &nerr);
	return 0;
}

int try_nri_create(struct try_nri *nri, struct try_container *c, struct kf_arena *arena,
		   struct kf_err *err)
{
	Nri__CreateContainerRequest req = NRI__CREATE_CONTAINER_REQUEST__INIT;
	Nri__CreateContainerResponse *answer;
	Nri__ContainerAdjustment *adjust;
	struct nri_messages before, after;
	struct nri_error nerr = {0};

	if (fill_messages(c, arena, &before, err) < 0)
		return -1;
	req.pod = &before.pod;
	req.container = &before.container;
	if (nri_runtime_create_container(nri->rt, &req, &answer, &nerr) < 0)
		return nri_failed(err, "nono-nri refuses the container", &nerr);
	adjust = answer->adjust;
	if (!adjust || !adjust->n_args)
		return kf_fail(err, EPROTO, "nono-nri answered without wrapping the container");
	if (apply_answer(nri, adjust, c, arena, err) < 0)
		return -1;
	/* Encode the answer for the validation, since it is released with the next call. */
	if ((nri->events & NRI_EVENT_BIT(NRI__EVENT__VALIDATE_CONTAINER_ADJUSTMENT)) &&
	    validate_answer(nri, &before, adjust, arena, err) < 0)
		return -1;
	if (fill_messages(c, arena, &after, err) < 0)
		return -1;
	if (nri_runtime_event(nri->rt, NRI__EVENT__START_CONTAINER, &after.pod, &after.container,
			      &nerr) < 0)
		return nri_failed(err, "nono-nri refuses to start the container", &nerr);
	return 0;
}

void try_nri_stop(struct try_nri *nri, const struct try_container *c)
{
	KF_CLEANUP(kf_arena_done) struct kf_arena arena;
	struct nri_messages msg;

	if (!nri)
		return;
	kf_arena_init(&arena, MESSAGES_MEMORY);
	if (fill_messages(c, &arena, &msg, KF_ERR_IGNORED) == 0)
		(void)nri_runtime_event(nri->rt, NRI__EVENT__REMOVE_CONTAINER, &msg.pod,
					&msg.container, NULL);
	close_plugin(nri);
}
