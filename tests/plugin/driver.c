/* SPDX-License-Identifier: Apache-2.0 */
/* driver SOCKET: plays the container runtime to a plugin, one command a line
 * (word, then KEY=VALUE...), one JSON line in answer:
 *
 *	accept [name= version= nri= statechange=1 events=N timeout=MS]
 *		wait for a plugin, register; with events (all that this runtime has) until it asks
 *		for none of the others
 *	sync [n= handler= wrapped=1 launcher=DIR fill=BYTES]    n pods with a container each
 *	create|validate|start|stop|remove [id= uid= pod= ns= handler= annotation=K:V
 *		arg=... env=... mount=DESTINATION:SOURCE type=N rules=1]
 *	bench n= [like create]                                  n times create, with microseconds
 *	close                                                   hang up
 *
 * accept beside=1 leaves the connection that there is, and older=1 has a command act on it.
 *
 * validate and start act on what the last create answered, plus args= (instead of its),
 * adjust=DESTINATION:SOURCE (one more mount), owner=ID (of args). */
#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "nri-plan/adjust.h"
#include "seccomp/seccomp.h"

#include <errno.h>
#include <event2/event.h>
#include <nri/nri.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define LIST_MAX    64
/* A plugin under valgrind on a busy machine takes longer than runtimes wait. */
#define PATIENCE_MS 90000

struct words {
	char *key[LIST_MAX], *value[LIST_MAX];
	int n;
};

struct driver {
	struct event_base *base;
	struct nri_runtime *rt, *other;
	int listener;
	struct kf_arena arena;		  /* of one command */
	Nri__ContainerAdjustment *adjust; /* the last create's answer */
	struct kf_buf out;
};

static const char *word(const struct words *w, const char *key, const char *otherwise)
{
	for (int i = 0; i < w->n; i++)
		if (strcmp(w->key[i], key) == 0)
			return w->value[i];
	return otherwise;
}

static unsigned number(const struct words *w, const char *key, unsigned otherwise)
{
	const char *s = word(w, key, NULL);

	return s ? (unsigned)strtoul(s, NULL, 0) : otherwise;
}

/* All values of @key, in the arena. */
static char **all(struct driver *d, const struct words *w, const char *key, size_t *ret_n)
{
	char **list = kf_arena_calloc(&d->arena, LIST_MAX, sizeof(*list));
	size_t n = 0;

	for (int i = 0; i < w->n; i++)
		if (strcmp(w->key[i], key) == 0)
			list[n++] = w->value[i];
	*ret_n = n;
	return list;
}

static Nri__Mount **mounts(struct driver *d, const struct words *w, const char *key, size_t *ret_n)
{
	char **list = all(d, w, key, ret_n);
	Nri__Mount **out = kf_arena_calloc(&d->arena, *ret_n, sizeof(*out));

	for (size_t i = 0; i < *ret_n; i++) {
		char *copy = kf_arena_strdup(&d->arena, list[i]), *colon = strchr(copy, ':');

		out[i] = kf_arena_alloc(&d->arena, sizeof(**out));
		nri__mount__init(out[i]);
		if (colon)
			*colon = '\0';
		out[i]->destination = copy;
		out[i]->type = (char *)"bind";
		out[i]->source = colon ? colon + 1 : (char *)"";
	}
	return out;
}

static Nri__PodSandbox *pod(struct driver *d, const struct words *w)
{
	Nri__PodSandbox *p = kf_arena_alloc(&d->arena, sizeof(*p));
	char **list;

	nri__pod_sandbox__init(p);
	p->id = (char *)word(w, "sandbox", "sandbox-1");
	p->name = (char *)word(w, "pod", "pod-1");
	p->uid = (char *)word(w, "uid", "uid-1");
	p->pod_namespace = (char *)word(w, "ns", "ns-1");
	p->runtime_handler = (char *)word(w, "handler", "nono-runc");
	list = all(d, w, "annotation", &p->n_annotations);
	p->annotations = kf_arena_calloc(&d->arena, p->n_annotations, sizeof(*p->annotations));
	for (size_t i = 0; i < p->n_annotations; i++) {
		char *copy = kf_arena_strdup(&d->arena, list[i]), *colon = strchr(copy, ':');

		p->annotations[i] = kf_arena_alloc(&d->arena, sizeof(**p->annotations));
		nri__key_value__init(p->annotations[i]);
		*colon = '\0';
		p->annotations[i]->key = copy;
		p->annotations[i]->value = colon + 1;
	}
	return p;
}

/* Field @i of @text, which colons separate; "" if there is none. */
static char *field(struct driver *d, const char *text, unsigned i)
{
	while (i-- && (text = strchr(text, ':')))
		text++;
	return text ? kf_arena_printf(&d->arena, "%.*s", (int)strcspn(text, ":"), text)
		    : kf_arena_strdup(&d->arena, "");
}

/* "CALL:ACTION:ERRNO:ARG:OP:VALUE", without a condition also shorter: a policy that
 * otherwise allows everything. */
static void lie(struct driver *d, const char *text, struct kf_seccomp *ret)
{
	const char **name = kf_arena_calloc(&d->arena, 1, sizeof(*name));
	struct kf_seccomp_rule *rule = kf_arena_alloc(&d->arena, sizeof(*rule));
	struct kf_seccomp_arg *arg = kf_arena_alloc(&d->arena, sizeof(*arg));
	const char *code = field(d, text, 2), *op = field(d, text, 4);

	*name = field(d, text, 0);
	*arg = (struct kf_seccomp_arg){
		.index = (uint32_t)strtoul(field(d, text, 3), NULL, 0),
		.op = op,
		.value = strtoull(field(d, text, 5), NULL, 0),
	};
	*rule = (struct kf_seccomp_rule){
		.names = name,
		.nnames = 1,
		.action = field(d, text, 1),
		.has_errno = *code,
		.errno_ret = (uint32_t)strtoul(code, NULL, 0),
		.args = arg,
		.nargs = *op ? 1 : 0,
	};
	*ret = (struct kf_seccomp){.default_action = "SCMP_ACT_ALLOW", .rules = rule, .nrules = 1};
}

/* The runtime's own policy as containerd shows it: some 400 names, some conditions; or
 * what the words say. */
static Nri__LinuxSeccomp *policy(struct driver *d, const struct words *w)
{
	const char *text = word(w, "lie", NULL);
	const struct kf_seccomp *p =
		kf_seccomp_builtin(KF_SECCOMP_LEVEL_RUNTIME_DEFAULT, KF_SECCOMP_ARCH);
	Nri__LinuxSeccomp *msg = NULL;
	struct kf_seccomp own;

	if (text) {
		lie(d, text, &own);
		p = &own;
	}
	(void)kf_nri_seccomp_message(p, &d->arena, &msg, KF_ERR_IGNORED);
	return msg;
}

static Nri__LinuxDevice **devices(struct driver *d, const struct words *w, size_t *ret_n)
{
	char **list = all(d, w, "device", ret_n);
	Nri__LinuxDevice **out = kf_arena_calloc(&d->arena, *ret_n, sizeof(*out));

	for (size_t i = 0; i < *ret_n; i++) {
		out[i] = kf_arena_alloc(&d->arena, sizeof(**out));
		nri__linux_device__init(out[i]);
		out[i]->path = list[i];
	}
	return out;
}

static Nri__Container *container(struct driver *d, const struct words *w)
{
	Nri__Container *c = kf_arena_alloc(&d->arena, sizeof(*c));
	const char *type = word(w, "type", NULL);

	nri__container__init(c);
	c->id = (char *)word(w, "id", "container-1");
	c->pod_sandbox_id = (char *)word(w, "sandbox", "sandbox-1");
	c->name = (char *)word(w, "name", "app");
	c->args = all(d, w, "arg", &c->n_args);
	c->env = all(d, w, "env", &c->n_env);
	c->mounts = mounts(d, w, "mount", &c->n_mounts);
	if (type) {
		c->linux_container = kf_arena_alloc(&d->arena, sizeof(*c->linux_container));
		nri__linux_container__init(c->linux_container);
		c->linux_container->seccomp_profile =
			kf_arena_alloc(&d->arena, sizeof(*c->linux_container->seccomp_profile));
		nri__security_profile__init(c->linux_container->seccomp_profile);
		c->linux_container->seccomp_profile->profile_type =
			(Nri__SecurityProfile__ProfileType)strtoul(type, NULL, 10);
		c->linux_container->devices = devices(d, w, &c->linux_container->n_devices);
		if (number(w, "rules", 0))
			c->linux_container->seccomp_policy = policy(d, w);
	}
	return c;
}

/* ---- answers ---- */

static void add_string(struct kf_buf *b, const char *s)
{
	kf_buf_adds(b, "\"");
	kf_buf_add_json(b, s);
	kf_buf_adds(b, "\"");
}

static void add_list(struct kf_buf *b, const char *key, char *const *list, size_t n)
{
	kf_buf_addf(b, ",\"%s\":[", key);
	for (size_t i = 0; i < n; i++) {
		kf_buf_adds(b, i ? "," : "");
		add_string(b, list[i]);
	}
	kf_buf_adds(b, "]");
}

static void add_adjustment(struct kf_buf *b, const Nri__ContainerAdjustment *a)
{
	const Nri__LinuxSeccomp *s = a->linux_adjust ? a->linux_adjust->seccomp_policy : NULL;

	add_list(b, "args", a->args, a->n_args);
	kf_buf_adds(b, ",\"mounts\":[");
	for (size_t i = 0; i < a->n_mounts; i++) {
		kf_buf_addf(b, "%s{\"destination\":\"%s\",\"type\":\"%s\",\"source\":\"%s\"",
			    i ? "," : "", a->mounts[i]->destination, a->mounts[i]->type,
			    a->mounts[i]->source);
		add_list(b, "options", a->mounts[i]->options, a->mounts[i]->n_options);
		kf_buf_adds(b, "}");
	}
	kf_buf_adds(b, "],\"env\":[");
	for (size_t i = 0; i < a->n_env; i++) {
		kf_buf_addf(b, "%s\"%s=%s\"", i ? "," : "", a->env[i]->key, a->env[i]->value);
	}
	kf_buf_addf(b, "],\"seccomp\":%s,\"rules\":%zu", s ? "true" : "false",
		    s ? s->n_syscalls : 0);
}

static void answer(struct driver *d, int r, const struct nri_error *err)
{
	printf("{\"ok\":%s", r == 0 ? "true" : "false");
	if (r < 0) {
		struct kf_buf b = KF_BUF_INIT(64 * 1024);

		kf_buf_add_json(&b, err->message);
		printf(",\"code\":%d,\"error\":\"%s\"", err->code, b.p ? b.p : "");
		kf_buf_done(&b);
	}
	printf("%s}\n", d->out.p ? d->out.p : "");
	(void)fflush(stdout);
	kf_buf_reset(&d->out);
}

/* ---- commands ---- */

static int accept_one(struct driver *d, const struct words *w, struct nri_error *err)
{
	const struct nri_runtime_options options = {
		.name = word(w, "name", "containerd"),
		.version = word(w, "version", "2.3.4"),
		.nri_version = word(w, "nri", NULL),
		.state_change = number(w, "statechange", 0),
		.events = number(w, "events", 0),
		.registration_timeout_ms = PATIENCE_MS,
		.request_timeout_ms = number(w, "timeout", PATIENCE_MS),
	};
	struct pollfd pfd = {.fd = d->listener, .events = POLLIN};
	uint32_t events;
	int fd;

	if (number(w, "beside", 0)) {
		nri_runtime_free(d->other);
		d->other = d->rt;
	} else {
		nri_runtime_free(d->rt);
	}
	d->rt = NULL;
	if (poll(&pfd, 1, PATIENCE_MS) != 1)
		return nri_fail(err, NRI_UNAVAILABLE, "no plugin came");
	fd = accept4(d->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || nri_runtime_new(d->base, fd, &options, &d->rt, err) < 0)
		return -1;
	if (nri_runtime_register(d->rt, &events, err) < 0)
		return -1;
	kf_buf_addf(&d->out, ",\"events\":%u,\"name\":\"%s\",\"index\":\"%s\"", events,
		    nri_runtime_plugin_name(d->rt), nri_runtime_plugin_index(d->rt));
	return 0;
}

/* Have the command act on the older of two connections. */
static void swap(struct driver *d)
{
	struct nri_runtime *rt = d->rt;

	d->rt = d->other;
	d->other = rt;
}

static int cmd_accept(struct driver *d, const struct words *w, struct nri_error *err)
{
	unsigned refused = 0;
	int r;

	while ((r = accept_one(d, w, err)) < 0 && err->code == NRI_INTERNAL &&
	       number(w, "events", 0) && refused < 10)
		refused++;
	kf_buf_addf(&d->out, ",\"refused\":%u", refused);
	return r;
}

static int cmd_sync(struct driver *d, const struct words *w, struct nri_error *err)
{
	static char *wrapped[] = {(char *)"/nono/nono", (char *)"wrap", (char *)"--profile",
				  (char *)"default",	(char *)"--",	(char *)"sh"};
	size_t n = number(w, "n", 0), fill = number(w, "fill", 0);
	Nri__PodSandbox **pods = kf_arena_calloc(&d->arena, n, sizeof(*pods));
	Nri__Container **containers = kf_arena_calloc(&d->arena, n, sizeof(*containers));
	Nri__Mount *mount = kf_arena_alloc(&d->arena, sizeof(*mount)), *list[] = {mount};
	char **env = kf_arena_calloc(&d->arena, 1, sizeof(*env));
	Nri__SynchronizeResponse *response;

	nri__mount__init(mount);
	mount->destination = (char *)"/nono";
	mount->source = (char *)word(w, "launcher", "/none");
	env[0] = kf_arena_alloc(&d->arena, fill + 1);
	memset(env[0], 'x', fill);
	for (size_t i = 0; i < n; i++) {
		pods[i] = pod(d, w);
		pods[i]->id = kf_arena_printf(&d->arena, "sandbox-%zu", i);
		pods[i]->uid = kf_arena_printf(&d->arena, "uid-%zu", i);
		containers[i] = container(d, w);
		containers[i]->id = kf_arena_printf(&d->arena, "container-%zu", i);
		if (number(w, "wrapped", 1)) {
			containers[i]->args = wrapped;
			containers[i]->n_args = KF_ARRAY_SIZE(wrapped);
			containers[i]->mounts = list;
			containers[i]->n_mounts = 1;
		}
		containers[i]->env = env;
		containers[i]->n_env = 1;
	}
	/* Not in the order of the pods: in parts, some come before theirs. */
	for (size_t i = 0; i < n; i++)
		containers[i]->pod_sandbox_id = pods[n - 1 - i]->id;
	return nri_runtime_synchronize(d->rt, pods, n, containers, n, &response, err);
}

static void drop_adjustment(struct driver *d)
{
	if (d->adjust)
		nri__container_adjustment__free_unpacked(d->adjust, NULL);
	d->adjust = NULL;
}

static int cmd_create(struct driver *d, const struct words *w, struct nri_error *err)
{
	Nri__CreateContainerRequest req = NRI__CREATE_CONTAINER_REQUEST__INIT;
	Nri__CreateContainerResponse *response;
	KF_FREE void *copy = NULL;
	size_t n;

	req.pod = pod(d, w);
	req.container = container(d, w);
	drop_adjustment(d);
	if (nri_runtime_create_container(d->rt, &req, &response, err) < 0)
		return -1;
	kf_buf_addf(&d->out, ",\"adjusted\":%s", response->adjust ? "true" : "false");
	if (!response->adjust)
		return 0;
	add_adjustment(&d->out, response->adjust);
	/* The message goes with the next call. */
	n = nri__container_adjustment__get_packed_size(response->adjust);
	copy = malloc(n);
	nri__container_adjustment__pack(response->adjust, copy);
	d->adjust = nri__container_adjustment__unpack(NULL, n, copy);
	return 0;
}

static int cmd_validate(struct driver *d, const struct words *w, struct nri_error *err)
{
	Nri__ValidateContainerAdjustmentRequest req =
		NRI__VALIDATE_CONTAINER_ADJUSTMENT_REQUEST__INIT;
	Nri__ContainerAdjustment adjust = NRI__CONTAINER_ADJUSTMENT__INIT;
	Nri__OwningPlugins owning = NRI__OWNING_PLUGINS__INIT;
	Nri__OwningPlugins__Entry entry = NRI__OWNING_PLUGINS__ENTRY__INIT, *entries[] = {&entry};
	Nri__FieldOwners fields = NRI__FIELD_OWNERS__INIT;
	Nri__FieldOwners__SimpleEntry simple = NRI__FIELD_OWNERS__SIMPLE_ENTRY__INIT,
				      *simples[] = {&simple};
	Nri__Mount **extra;
	size_t nextra, nargs;
	char **args = all(d, w, "args", &nargs);

	if (d->adjust)
		adjust = *d->adjust;
	extra = mounts(d, w, "adjust", &nextra);
	if (nargs) {
		adjust.args = args;
		adjust.n_args = nargs;
	}
	if (nextra) {
		Nri__Mount **joined =
			kf_arena_calloc(&d->arena, adjust.n_mounts + nextra, sizeof(*joined));

		for (size_t i = 0; i < adjust.n_mounts; i++)
			joined[i] = adjust.mounts[i];
		for (size_t i = 0; i < nextra; i++)
			joined[adjust.n_mounts + i] = extra[i];
		adjust.mounts = joined;
		adjust.n_mounts += nextra;
	}
	req.pod = pod(d, w);
	req.container = container(d, w);
	req.adjust = &adjust;
	simple.key = NRI__FIELD__ARGS;
	simple.value = (char *)word(w, "owner", "10-nono-nri");
	fields.simple = simples;
	fields.n_simple = 1;
	entry.key = req.container->id;
	entry.value = &fields;
	owning.owners = entries;
	owning.n_owners = 1;
	req.owners = &owning;
	return nri_runtime_validate(d->rt, &req, err);
}

/* What the last plugin's mounts leave: markers take mounts away and stay behind. */
static Nri__Mount **added(struct driver *d, size_t *ret_n)
{
	Nri__Mount **out = kf_arena_calloc(&d->arena, d->adjust->n_mounts, sizeof(*out));

	*ret_n = 0;
	for (size_t i = 0; i < d->adjust->n_mounts; i++)
		if (d->adjust->mounts[i]->destination[0] != '-')
			out[(*ret_n)++] = d->adjust->mounts[i];
	return out;
}

static int cmd_start(struct driver *d, const struct words *w, struct nri_error *err)
{
	Nri__Container *c = container(d, w);

	if (d->adjust) {
		c->args = d->adjust->args;
		c->n_args = d->adjust->n_args;
		c->mounts = added(d, &c->n_mounts);
	}
	if (number(w, "bare", 0))
		c = container(d, w);
	return nri_runtime_event(d->rt, NRI__EVENT__START_CONTAINER, pod(d, w), c, err);
}

static int cmd_stop(struct driver *d, const struct words *w, struct nri_error *err)
{
	Nri__StopContainerRequest req = NRI__STOP_CONTAINER_REQUEST__INIT;
	Nri__StopContainerResponse *response;

	req.pod = pod(d, w);
	req.container = container(d, w);
	return nri_runtime_stop_container(d->rt, &req, &response, err);
}

static int cmd_remove(struct driver *d, const struct words *w, struct nri_error *err)
{
	return nri_runtime_event(d->rt, NRI__EVENT__REMOVE_CONTAINER, pod(d, w), container(d, w),
				 err);
}

static uint32_t microseconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint32_t)((uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000);
}

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int cmd_bench(struct driver *d, const struct words *w, struct nri_error *err)
{
	Nri__CreateContainerRequest req = NRI__CREATE_CONTAINER_REQUEST__INIT;
	Nri__CreateContainerResponse *response;
	const unsigned n = number(w, "n", 1);
	uint32_t *took = kf_arena_calloc(&d->arena, n, sizeof(*took));
	uint64_t sum = 0;

	req.pod = pod(d, w);
	req.container = container(d, w);
	for (unsigned i = 0; i < n; i++) {
		req.container->id = kf_arena_printf(&d->arena, "bench-%u", i);
		took[i] = microseconds();
		if (nri_runtime_create_container(d->rt, &req, &response, err) < 0)
			return -1;
		took[i] = microseconds() - took[i];
		sum += took[i];
	}
	qsort(took, n, sizeof(*took), compare);
	kf_buf_addf(&d->out, ",\"mean\":%llu,\"p50\":%u,\"p99\":%u", (unsigned long long)(sum / n),
		    took[n / 2], took[n * 99 / 100]);
	return 0;
}

static int cmd_close(struct driver *d, const struct words *w, struct nri_error *err)
{
	(void)w;
	(void)err;
	nri_runtime_free(d->rt);
	d->rt = NULL;
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct driver *d, const struct words *w, struct nri_error *err);
} commands[] = {
	{"accept", cmd_accept},	    {"sync", cmd_sync},	  {"create", cmd_create},
	{"validate", cmd_validate}, {"start", cmd_start}, {"stop", cmd_stop},
	{"remove", cmd_remove},	    {"bench", cmd_bench}, {"close", cmd_close},
};

static int run(struct driver *d, char *line, struct nri_error *err)
{
	struct words w = {0};
	char *save = NULL, *name = strtok_r(line, " \n", &save), *at;

	while (name && w.n < LIST_MAX && (at = strtok_r(NULL, " \n", &save))) {
		char *equals = strchr(at, '=');

		if (!equals)
			return nri_fail(err, NRI_INVALID_ARGUMENT, "'%s': no '='", at);
		*equals = '\0';
		w.key[w.n] = at;
		w.value[w.n++] = equals + 1;
	}
	for (unsigned i = 0; name && i < KF_ARRAY_SIZE(commands); i++) {
		const bool older = number(&w, "older", 0);
		int r;

		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (older)
			swap(d);
		r = d->rt || i == 0 ? commands[i].run(d, &w, err)
				    : nri_fail(err, NRI_UNAVAILABLE, "no plugin");
		if (older)
			swap(d);
		return r;
	}
	return nri_fail(err, NRI_INVALID_ARGUMENT, "unknown command");
}

int main(int argc, char **argv)
{
	struct driver d = {.out = KF_BUF_INIT(1024 * 1024)};
	struct nri_error err;
	char line[64 * 1024];

	kf_arena_init(&d.arena, 256 * 1024 * 1024);
	d.base = event_base_new();
	if (argc != 2 || !d.base || nri_listen(argv[1], &d.listener, &err) < 0)
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		answer(&d, run(&d, line, &err), &err);
		kf_arena_reset(&d.arena);
	}
	drop_adjustment(&d);
	nri_runtime_free(d.rt);
	nri_runtime_free(d.other);
	event_base_free(d.base);
	kf_arena_done(&d.arena);
	kf_buf_done(&d.out);
	return 0;
}
