/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's connection: made, registered, lost, made again. */
#include "nri/plugin.h"

#include "base/cleanup.h"
#include "nri/calls.h"
#include "nri/sized.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 30000
/* A runtime that has accepted the connection but does not get to Synchronize.  It may be busy
 * for long (it talks to one plugin at a time), so this only ends what will never come. */
#define PATIENCE_MS    60000
/* More than messages lie in one another. */
#define MESSAGE_DEPTH  16

static void arm_timer(struct nri_plugin *p, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	(void)event_add(p->timer, &tv);
}

/* Come back later, but not at the same moment as everybody else. */
static void retry_later(struct nri_plugin *p)
{
	uint16_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = 0;
	arm_timer(p, p->backoff_ms + (unsigned)((uint64_t)p->backoff_ms / 4 * random / UINT16_MAX));
	p->backoff_ms =
		p->backoff_ms > p->backoff_max_ms / 2 ? p->backoff_max_ms : p->backoff_ms * 2;
}

/* Which events a runtime knows shows only when it is asked for them: it ends the connection after
 * Configure if there is one that it does not.  That is found out without delay, by a further
 * attempt: a runtime that ended by itself is not there to be connected to, and one that had no
 * answer in time from a busy plugin gets it now.  If fewer events do not help either, they were not
 * the reason. */
static bool refused_events(struct nri_plugin *p, const struct nri_error *why)
{
	if (p->state == NRI_PLUGIN_CONFIGURED && !p->accepted && why->code == NRI_UNAVAILABLE &&
	    p->refusals < NRI_REFUSALS)
		p->refusals++;
	else
		p->refusals = 0;
	return p->refusals > 0;
}

static void lose_connection(void *ctx, const struct nri_error *why)
{
	struct nri_plugin *p = ctx;
	struct nri_error refused;

	if (p->adopted) {
		(void)event_del(p->timer);
		nri_plugin_set_state(p, NRI_PLUGIN_ENDED, why);
		return;
	}
	if (refused_events(p, why)) {
		nri_error_set(&refused, why->code,
			      "the runtime ended the connection after Configure, as it does when "
			      "it does not know an event; connecting again at once");
		why = &refused;
		arm_timer(p, 0);
	} else {
		retry_later(p);
	}
	nri_plugin_set_state(p, NRI_PLUGIN_OFFLINE, why);
}

/* Close the connection because of @why, and try again later. */
static void drop_connection(struct nri_plugin *p, const struct nri_error *why)
{
	nri_link_close(&p->link);
	lose_connection(p, why);
}

/* The runtime's answer to RegisterPlugin, which may come after its first requests. */
static void on_response(void *ctx, uint32_t stream, const struct nri_ttrpc_response *resp)
{
	struct nri_plugin *p = ctx;
	struct nri_error why;

	if (stream != p->register_stream || (resp && resp->code == NRI_OK))
		return;
	if (resp)
		nri_error_set(&why, (int)resp->code, "the runtime refuses plugin %s-%s: %.*s",
			      p->index, p->name, (int)nri_min(resp->message.n, 256),
			      resp->message.n ? (const char *)resp->message.p : "");
	else
		nri_error_set(&why, NRI_INTERNAL, "malformed answer to RegisterPlugin");
	drop_connection(p, &why);
}

static const struct nri_link_ops link_ops = {nri_plugin_request, on_response, lose_connection};

static int open_socket(const char *path, int *ret_fd, struct nri_error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	KF_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(addr.sun_path, path, strlen(path) + 1);
	/* Local connections are made at once, or refused with EAGAIN when too many wait. */
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return nri_fail(err, NRI_UNAVAILABLE, "connecting to %s: %s", path,
				strerror(errno));
	*ret_fd = kf_steal_fd(&fd);
	return 0;
}

static int register_plugin(struct nri_plugin *p, struct nri_error *err)
{
	Nri__RegisterPluginRequest req = NRI__REGISTER_PLUGIN_REQUEST__INIT;
	KF_FREE void *data = NULL;
	size_t n;

	req.plugin_name = p->name;
	req.plugin_idx = p->index;
	if (nri_encode(&req.base, &data, &n, err) < 0)
		return -1;
	return nri_link_request(&p->link, NRI_SERVICE_RUNTIME, "RegisterPlugin", data, n,
				PATIENCE_MS, &p->register_stream, err);
}

static void try_connection(struct nri_plugin *p)
{
	struct nri_error err;
	int fd;

	if (p->adopted)
		fd = kf_steal_fd(&p->adopted_fd);
	else if ((p->connect ? p->connect(p->ctx, &fd, &err)
			     : open_socket(p->socket_path, &fd, &err)) < 0) {
		lose_connection(p, &err);
		return;
	}
	if (nri_link_open(&p->link, fd, &err) < 0) {
		(void)close(fd);
		lose_connection(p, &err);
		return;
	}
	arm_timer(p, PATIENCE_MS);
	nri_plugin_set_state(p, NRI_PLUGIN_CONNECTED, NULL);
	/* If the connection breaks in this very moment, lose_connection() has been called. */
	if (register_plugin(p, &err) < 0 && nri_link_is_open(&p->link))
		drop_connection(p, &err);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct nri_plugin *p = arg;
	struct nri_error why;

	(void)fd;
	(void)what;
	if (!nri_link_is_open(&p->link)) {
		try_connection(p);
		return;
	}
	nri_error_set(&why, NRI_DEADLINE_EXCEEDED, "the runtime did not synchronize within %d s",
		      PATIENCE_MS / 1000);
	drop_connection(p, &why);
}

static int check_options(const struct nri_plugin_options *o, struct nri_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-";
	struct sockaddr_un addr;

	if (!o->name || !*o->name || o->name[strspn(o->name, allowed)])
		return nri_fail(err, NRI_INVALID_ARGUMENT,
				"plugin name '%s': use letters, digits and ._+-",
				o->name ? o->name : "");
	if (!o->index || strlen(o->index) != 2 || strspn(o->index, "0123456789") != 2)
		return nri_fail(err, NRI_INVALID_ARGUMENT, "plugin index '%s': use two digits",
				o->index ? o->index : "");
	if (!o->adopted && o->socket_path && strlen(o->socket_path) >= sizeof(addr.sun_path))
		return nri_fail(err, NRI_INVALID_ARGUMENT,
				"socket path '%s': at most %zu characters", o->socket_path,
				sizeof(addr.sun_path) - 1);
	return 0;
}

static const char *non_empty(const char *s, const char *fallback)
{
	return s && *s ? s : fallback;
}

/* The message of that name in @desc or in what it holds; NULL if there is none.  The program and a
 * shared library have each their own descriptions of the messages.  Bounded by @depth. */
static const ProtobufCMessageDescriptor *find_message(const ProtobufCMessageDescriptor *desc,
						      const char *name, unsigned depth)
{
	const ProtobufCMessageDescriptor *found = NULL;

	if (strcmp(desc->name, name) == 0)
		return desc;
	for (unsigned i = 0; depth && !found && i < desc->n_fields; i++)
		if (desc->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			found = find_message(desc->fields[i].descriptor, name, depth - 1);
	return found;
}

static bool copy_unused(struct nri_decoder *decoder, const struct nri_plugin_options *options)
{
	struct nri_unused *copy = calloc(options->nunused + 1, sizeof(*copy));

	if (!copy)
		return false;
	for (size_t i = 0; i < options->nunused; i++) {
		copy[i] = options->unused[i];
		/* It holds all that the other requests hold; what it does not is never met. */
		copy[i].message =
			find_message(&nri__validate_container_adjustment_request__descriptor,
				     options->unused[i].message->name, MESSAGE_DEPTH);
	}
	decoder->unused = copy;
	decoder->nunused = options->nunused;
	return true;
}

int nri_plugin_new_sized(struct event_base *base, const struct nri_plugin_options *given,
			 size_t given_size, const struct nri_plugin_ops *ops, size_t ops_size,
			 void *ctx, struct nri_plugin **ret, struct nri_error *err)
{
	struct nri_plugin_options own, *options = &own;
	struct nri_plugin_ops own_ops;
	struct nri_plugin *p;

	if (nri_sized_take(&own, sizeof(own), given, given_size, "nri_plugin_options", err) < 0 ||
	    nri_sized_take(&own_ops, sizeof(own_ops), ops, ops_size, "nri_plugin_ops", err) < 0 ||
	    check_options(options, err) < 0)
		return -1;
	p = calloc(1, sizeof(*p));
	if (!p)
		return nri_fail(err, NRI_RESOURCE_EXHAUSTED, "plugin: out of memory");
	p->base = base;
	p->own_ops = own_ops;
	p->ops = &p->own_ops;
	p->ctx = ctx;
	p->name = strdup(options->name);
	p->index = strdup(options->index);
	p->socket_path = strdup(non_empty(options->socket_path, NRI_SOCKET_PATH));
	p->connect = options->connect;
	p->adopted = options->adopted;
	p->adopted_fd = -1;
	p->fail_closed = options->fail_closed;
	p->backoff_min_ms = options->backoff_min_ms ? options->backoff_min_ms : BACKOFF_MIN_MS;
	p->backoff_max_ms = options->backoff_max_ms ? options->backoff_max_ms : BACKOFF_MAX_MS;
	p->backoff_ms = p->backoff_min_ms;
	p->state = NRI_PLUGIN_OFFLINE;
	p->timer = evtimer_new(base, on_timer, p);
	nri_link_init(&p->link, base, NRI_TRUNK_PLUGIN_SERVICE, &link_ops, p);
	nri_decoder_init(&p->decoder, options->memory_max, NRI_CHECK_NO_NUL);
	nri_reply_init(&p->reply);
	if (!p->name || !p->index || !p->socket_path || !p->timer ||
	    !copy_unused(&p->decoder, options)) {
		nri_plugin_free(p);
		return nri_fail(err, NRI_RESOURCE_EXHAUSTED, "plugin: out of memory");
	}
	if (p->adopted)
		p->adopted_fd = options->fd;
	*ret = p;
	return 0;
}

void nri_plugin_start(struct nri_plugin *plugin)
{
	try_connection(plugin);
}

enum nri_plugin_state nri_plugin_state(const struct nri_plugin *plugin)
{
	return plugin->state;
}

void nri_plugin_free(struct nri_plugin *plugin)
{
	if (!plugin)
		return;
	nri_link_done(&plugin->link);
	if (plugin->timer)
		event_free(plugin->timer);
	if (plugin->adopted_fd >= 0)
		(void)close(plugin->adopted_fd);
	free((void *)(uintptr_t)plugin->decoder.unused);
	nri_decoder_done(&plugin->decoder);
	nri_reply_done(&plugin->reply);
	free(plugin->name);
	free(plugin->index);
	free(plugin->socket_path);
	free(plugin);
}

int nri_plugin_options_from_environment(struct nri_plugin_options *options, struct nri_error *err)
{
	const char *name = getenv("NRI_PLUGIN_NAME"), *index = getenv("NRI_PLUGIN_IDX"),
		   *fd = getenv("NRI_PLUGIN_SOCKET");
	char *end;
	long n;

	if (fd) {
		errno = 0;
		n = strtol(fd, &end, 10);
		if (errno || end == fd || *end || n < 0 || n > INT32_MAX)
			return nri_fail(err, NRI_INVALID_ARGUMENT,
					"NRI_PLUGIN_SOCKET='%s': not a descriptor number", fd);
		options->adopted = true;
		options->fd = (int)n;
	}
	options->name = non_empty(name, options->name);
	options->index = non_empty(index, options->index);
	return 0;
}

KF_CALLS(nri_plugin_calls, KF_CALL(recvfrom), KF_CALL(sendto), KF_CALL(sendmsg),
	 KF_CALL(setsockopt));
