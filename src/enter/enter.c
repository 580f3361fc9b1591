/* SPDX-License-Identifier: Apache-2.0 */
/* Puts this process into the sandbox of a policy: what its rules amount to, Landlock, the
 * launcher's own seccomp filter, and the proof that they are in force.  What is granted is found in
 * src/grants, how each part is enforced is in src/sandbox. */
#include "enter/enter.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "grants/rt.h"
#include "sandbox/proof.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct landlock_sink {
	struct kf_grant_sink sink;
	struct kf_landlock ll;
	const struct kf_enter *enter;
	bool remembers; /* others enter later, and get the same */
	struct kf_domain_list list;
};

/* What a rule lets be done with its ports; nothing if it is about none. */
static enum kf_landlock_net net_of(const struct kf_rule *rule)
{
	static const unsigned char net[] = {KF_LANDLOCK_CONNECT_TCP, KF_LANDLOCK_BIND_TCP,
					    KF_LANDLOCK_SEND_UDP, KF_LANDLOCK_BIND_UDP};
	const unsigned i = rule->kind - KF_RULE_NET_CONNECT;

	_Static_assert(KF_RULE_NET_BIND_UDP - KF_RULE_NET_CONNECT == sizeof(net) - 1, "net[]");
	return i < sizeof(net) ? net[i] : 0;
}

void kf_enter_find_needs(const struct kf_policy *policy, struct kf_enter_needs *ret)
{
	bool tcp = false;
	unsigned net = 0;

	*ret = (struct kf_enter_needs){0};
	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];

		net |= net_of(rule);
		switch (rule->kind) {
		case KF_RULE_FS_VOLUMES:
			ret->volumes = true;
			break;
		case KF_RULE_FS_QUIET:
			ret->landlock.quiet = true;
			break;
		case KF_RULE_NET_BLOCK:
			ret->landlock.block = true;
			break;
		case KF_RULE_NET_TCP:
			tcp = true;
			break;
		case KF_RULE_FS:
			if ((rule->access & KF_FS_WRITE) && kf_path_under(rule->arg, "/proc"))
				ret->proc_writable = true;
			break;
		case KF_RULE_FS_PROCESSES:
			ret->proc_writable = true;
			break;
		case KF_RULE_MEMFD_NOEXEC:
			ret->filter.memfd_noexec = true;
			break;
		case KF_RULE_SCOPE:
			if (strcmp(rule->verb, "signal") == 0)
				ret->landlock.signal = true;
			else
				ret->landlock.abstract = true;
			break;
		default:
			break;
		}
	}
	/* Abstract unix sockets belong to the network namespace, the node's with hostNetwork; so
	 * blocking is Landlock's too. */
	ret->filter.block = ret->landlock.block || tcp;
	ret->landlock.net = net;
	ret->filter.tcp = (net & KF_LANDLOCK_TCP) || (tcp && !ret->landlock.block);
	ret->filter.udp = net & KF_LANDLOCK_UDP;
	ret->filter.restrict_connect =
		(net & KF_LANDLOCK_CONNECT_TCP) || (ret->filter.block && ret->filter.tcp);
}

/* Note down what those who enter later get; in /proc only that processes may be written, as the
 * other rules are about what is their own there. */
static int remember_grant(struct kf_domain_list *list, const struct kf_grant *grant,
			  struct kf_err *err)
{
	struct kf_object object;

	if (kf_path_under(grant->real, "/proc") &&
	    !(grant->rule && grant->rule->kind == KF_RULE_FS_PROCESSES))
		return 0;
	if (kf_object_at(grant->fd, "", &object) < 0)
		return kf_fail_sys(err, "statx");
	kf_domain_add(list, &object.id, grant->real, grant->access, grant->place);
	return 0;
}

static int landlock_grant(struct kf_grant_sink *sink, const struct kf_grant *grant,
			  struct kf_err *err)
{
	struct landlock_sink *s = (struct landlock_sink *)sink;

	if (s->enter->literal && strcmp(grant->path, grant->real) != 0)
		return kf_fail(err, ELOOP, "it has become a symlink, to '%s'", grant->real);
	if (s->enter->unlisted && (grant->access & KF_GRANT_LIST))
		return 0;
	if (s->remembers && remember_grant(&s->list, grant, err) < 0)
		return -1;
	if (grant->access & KF_GRANT_LIST)
		return kf_landlock_allow_list(&s->ll, grant->fd, err);
	return kf_landlock_allow(&s->ll, grant->fd, grant->place, grant->access, err);
}

/* The kernel knows single ports only. */
static int allow_range(const struct kf_landlock *ll, enum kf_landlock_net net, unsigned first,
		       unsigned last, struct kf_err *err)
{
	for (unsigned port = first; port <= last; port++)
		if (kf_landlock_allow_port(ll, net, (uint16_t)port, err) < 0)
			return -1;
	return 0;
}

static int allow_ports(const struct kf_enter *e, const struct kf_landlock *ll, struct kf_err *err)
{
	const struct kf_policy *policy = e->scene->policy;
	const struct kf_landlock_want *want = &e->needs->landlock;

	for (size_t i = 0; i < policy->nrules; i++) {
		const struct kf_rule *rule = &policy->rules[i];
		const enum kf_landlock_net net = net_of(rule);

		if (net && allow_range(ll, net, rule->port, rule->port_last, err) < 0)
			return -1;
	}
	/* Who sends without a port of his own is given one, which the kernel takes for bind()ing
	 * port 0. */
	if (want->net & (want->block ? KF_LANDLOCK_SEND_UDP : KF_LANDLOCK_BIND_UDP))
		return kf_landlock_allow_port(ll, KF_LANDLOCK_BIND_UDP, 0, err);
	return 0;
}

/* Only the log is at stake: what is not there, or behind a symlink that a workload may have made,
 * is left loud; so is the system as a whole. */
static int keep_quiet(const struct kf_enter *e, const struct kf_landlock *ll, struct kf_err *err)
{
	KF_UNINIT char path[PATH_MAX];

	for (size_t i = 0; ll->quiet && i < e->scene->policy->nrules; i++) {
		const struct kf_rule *rule = &e->scene->policy->rules[i];
		KF_CLOSE int fd = -1;

		if (rule->kind != KF_RULE_FS_QUIET ||
		    kf_vars_expand(e->scene->vars, rule->arg, path) == KF_EXPANSION_NONE ||
		    kf_policy_covers_system(path))
			continue;
		fd = kf_open_resolve(AT_FDCWD, path, O_PATH, KF_RESOLVE_NO_SYMLINKS);
		if (fd >= 0 && kf_landlock_quiet(ll, fd, err) < 0)
			return -1;
	}
	return 0;
}

/* Who is first in a container decides what it reaches; the others get the same. */
static int grant_files(const struct kf_enter *e, struct landlock_sink *sink, struct kf_err *err)
{
	if (!e->domain || !*e->domain->head.magic)
		return kf_grants_walk(e->scene, &sink->sink, err);
	if (e->domain->head.decided)
		return kf_grants_again(e->domain, e->scene, &sink->sink, err);
	sink->remembers = true;
	if (kf_grants_walk(e->scene, &sink->sink, err) < 0)
		return -1;
	return kf_domain_decide(e->domain_fd, e->domain, &sink->list, err);
}

static int enter_landlock(const struct kf_enter *e, struct kf_err *err)
{
	struct landlock_sink sink = {.sink = {.grant = landlock_grant}, .enter = e};
	int ret;

	if (kf_landlock_open(&e->needs->landlock, &sink.ll, err) < 0)
		return -1;
	ret = grant_files(e, &sink, err);
	if (ret == 0)
		ret = allow_ports(e, &sink.ll, err);
	if (ret == 0)
		ret = keep_quiet(e, &sink.ll, err);
	if (ret == 0)
		ret = kf_landlock_enforce(&sink.ll, err);
	free(sink.list.at);
	(void)close(sink.ll.fd);
	return ret;
}

/* With a seccomp policy of the container's, the program is installed last of all: no call of
 * ours is under it then, but execve(2). */
int kf_enter_sandbox(const struct kf_enter *e, struct kf_err *err)
{
	static const struct kf_filter_policy none;
	const bool filter =
		!(e->domain && e->domain->head.filter) && kf_filter_any(&e->needs->filter);
	struct kf_proof proof;

	if (kf_proof_begin(&proof, filter, e->needs->proc_writable, err) < 0 ||
	    enter_landlock(e, err) < 0 ||
	    (filter && kf_filter_install(&e->needs->filter, &none, err) < 0))
		return -1;
	return kf_proof_end(&proof, err);
}
