/* SPDX-License-Identifier: Apache-2.0 */
/* Compares a pod's name servers with those of the administrator and of the node. */
#include "egress-node/trusted.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "egress/servers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define CONF_MAX (64 * 1024)

/* IPv4 as IPv6 has it, so that one address is equal to itself in each form. */
static bool read_address(const char *text, struct in6_addr *ret)
{
	struct in6_addr a = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	if (inet_pton(AF_INET, text, &a.s6_addr[12]) != 1 && inet_pton(AF_INET6, text, &a) != 1)
		return false;
	*ret = a;
	return true;
}

/* The loopback is the pod's, and so is what no address stands for. */
static bool is_own(const struct in6_addr *a)
{
	return IN6_IS_ADDR_UNSPECIFIED(a) || IN6_IS_ADDR_LOOPBACK(a) ||
	       (IN6_IS_ADDR_V4MAPPED(a) && (a->s6_addr[12] == 127 || a->s6_addr[12] == 0));
}

bool kf_trusted_valid(const char *text)
{
	struct in6_addr a;

	return read_address(text, &a) && !is_own(&a);
}

static bool is_among(const struct in6_addr *a, const char *const *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct in6_addr b;

		if (read_address(list[i], &b) && IN6_ARE_ADDR_EQUAL(a, &b))
			return true;
	}
	return false;
}

int kf_trusted_keep(struct kf_egress_pod *pod, const char *const *named, unsigned n,
		    const char *conf, struct kf_err *err)
{
	const char *node[KF_TRUSTED_MAX], *first = pod->nresolvers ? pod->resolvers[0] : "none";
	KF_CLOSE int fd = open(conf, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	KF_FREE char *text = NULL;
	unsigned nnode = 0, kept = 0;

	if (fd < 0 && errno != ENOENT)
		return kf_fail_sys(err, "open '%s'", conf);
	if (fd >= 0 && kf_fd_slurp(fd, conf, CONF_MAX, &text, NULL, err) < 0)
		return -1;
	if (text)
		nnode = kf_egress_servers(text, node, KF_TRUSTED_MAX);
	for (unsigned i = 0; i < pod->nresolvers; i++) {
		struct in6_addr a;

		if (read_address(pod->resolvers[i], &a) && !is_own(&a) &&
		    (is_among(&a, named, n) || is_among(&a, node, nnode)))
			pod->resolvers[kept++] = pod->resolvers[i];
	}
	if (!kept)
		return kf_fail(
			err, EPERM,
			"the pod's name servers ('%.46s') are none that this node trusts, and "
			"whoever answers for a name decides where it leads: take dnsConfig "
			"away, or have the administrator name the server (egress.resolvers, "
			"nono-egress serve --resolver)",
			first);
	pod->nresolvers = kept;
	return 0;
}
