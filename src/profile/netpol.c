/* SPDX-License-Identifier: Apache-2.0 */
/* A NetworkPolicy or CiliumNetworkPolicy for the hosts of a profile, as YAML.  The command that
 * prints it is in src/kubefence/profile. */
#include "profile/netpol.h"

#include <string.h>

static bool is_blocked(const struct kf_compiled *c)
{
	const char *s = c->profile.scalars[KF_SCALAR_BLOCK].s;

	return s && strcmp(s, "true") == 0;
}

/* Whether no connection may go out.  Ports that the profile names are open even if it blocks the
 * network. */
static bool is_closed(const struct kf_compiled *c)
{
	return is_blocked(c) && !c->profile.lists[KF_LIST_CONNECT].n &&
	       !c->profile.lists[KF_LIST_CONNECT_UDP].n;
}

/* Whether names may be resolved over port 53 of UDP or TCP: the launcher decides in the same way.
 */
static bool asks_dns(const struct kf_compiled *c, bool tcp)
{
	const struct kf_items *ports =
		&c->profile.lists[tcp ? KF_LIST_CONNECT : KF_LIST_CONNECT_UDP];

	/* A list of ports closes all others. */
	if (!is_blocked(c) && (tcp || !ports->n))
		return true;
	for (size_t i = 0; i < ports->n; i++)
		if (ports->v[i].u <= 53 && 53 <= ports->v[i].u2)
			return true;
	return false;
}

static void add_head(const struct kf_netpol *o, struct kf_buf *out)
{
	bool cilium = o->kind == KF_NETPOL_CILIUM;

	kf_buf_addf(out, "apiVersion: %s\nkind: %s\nmetadata:\n  name: \"%s\"\n",
		    cilium ? "cilium.io/v2" : "networking.k8s.io/v1",
		    cilium ? "CiliumNetworkPolicy" : "NetworkPolicy", o->name);
	if (o->namespace_)
		kf_buf_addf(out, "  namespace: \"%s\"\n", o->namespace_);
	kf_buf_addf(out, "spec:\n  %s:\n    matchLabels:\n      \"%s\": \"%s\"\n",
		    cilium ? "endpointSelector" : "podSelector", o->label_key, o->label_value);
}

static void protocol_ports(const struct kf_item *v, size_t n, const char *protocol,
			   const char *indent, bool cilium, struct kf_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		kf_buf_addf(out, cilium ? "%s- port: \"%u\"\n" : "%s- port: %u\n", indent,
			    (unsigned)v[i].u);
		if (v[i].u2 > v[i].u)
			kf_buf_addf(out, "%s  endPort: %u\n", indent, (unsigned)v[i].u2);
		kf_buf_addf(out, "%s  protocol: %s\n", indent, protocol);
	}
}

/* Add the ports that connections may go to: the profile's, or HTTPS if it names none. */
static void add_ports(const struct kf_compiled *c, const char *indent, bool cilium,
		      struct kf_buf *out)
{
	static const struct kf_item https = {.u = 443, .u2 = 443};
	const struct kf_items *tcp = &c->profile.lists[KF_LIST_CONNECT];
	const struct kf_items *udp = &c->profile.lists[KF_LIST_CONNECT_UDP];

	if (tcp->n || (udp->n && is_blocked(c)))
		protocol_ports(tcp->v, tcp->n, "TCP", indent, cilium, out);
	else
		protocol_ports(&https, 1, "TCP", indent, cilium, out);
	protocol_ports(udp->v, udp->n, "UDP", indent, cilium, out);
}

static void kubernetes_dns(const struct kf_compiled *c, struct kf_buf *out)
{
	static const char *const protocols[] = {"UDP", "TCP"};

	if (!asks_dns(c, false) && !asks_dns(c, true))
		return;
	kf_buf_adds(out, "    # Name resolution by the cluster's DNS.\n"
			 "    - to:\n"
			 "        - namespaceSelector:\n"
			 "            matchLabels:\n"
			 "              kubernetes.io/metadata.name: kube-system\n"
			 "          podSelector:\n"
			 "            matchLabels:\n"
			 "              k8s-app: kube-dns\n"
			 "      ports:\n");
	for (size_t tcp = 0; tcp < 2; tcp++)
		if (asks_dns(c, tcp))
			kf_buf_addf(out, "        - port: 53\n          protocol: %s\n",
				    protocols[tcp]);
}

static void add_kubernetes(const struct kf_compiled *c, struct kf_buf *out)
{
	const struct kf_items *domains = &c->profile.lists[KF_LIST_DOMAIN];

	kf_buf_adds(out, "  policyTypes: [Egress]\n");
	if (is_closed(c)) {
		kf_buf_adds(out, "  egress: []\n");
		return;
	}
	kf_buf_adds(out, "  egress:\n");
	kubernetes_dns(c, out);
	if (!domains->n) {
		kf_buf_adds(out, "    # The profile's ports, wherever they are.\n    - ports:\n");
		add_ports(c, "        ", false, out);
		return;
	}
	kf_buf_adds(
		out,
		"    # NetworkPolicy knows no host names: everything outside of private networks\n"
		"    # and of the node's metadata service, on these ports.  Meant are:\n");
	for (size_t i = 0; i < domains->n; i++)
		kf_buf_addf(out, "    #   %s\n", domains->v[i].s);
	kf_buf_adds(
		out,
		"    - to:\n"
		"        - ipBlock:\n"
		"            cidr: 0.0.0.0/0\n"
		"            except: [10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, "
		"192.168.0.0/16]\n"
		"        - ipBlock:\n"
		"            cidr: \"::/0\"\n"
		"            except: [\"fc00::/7\", \"fe80::/10\"]\n"
		"      ports:\n");
	add_ports(c, "        ", false, out);
}

/* Add the hosts, one on each line, behind @indent. */
static void add_names(const struct kf_items *domains, const char *indent, struct kf_buf *out)
{
	for (size_t i = 0; i < domains->n; i++) {
		const char *s = domains->v[i].s;

		kf_buf_addf(out, "%s- match%s: \"%s\"\n", indent,
			    strchr(s, '*') ? "Pattern" : "Name", s);
	}
}

static void cilium_dns(const struct kf_compiled *c, struct kf_buf *out)
{
	const struct kf_items *domains = &c->profile.lists[KF_LIST_DOMAIN];

	if (!asks_dns(c, false) && !asks_dns(c, true))
		return;
	kf_buf_addf(out,
		    "    # Name resolution by the cluster's DNS; Cilium learns addresses from it.\n"
		    "    - toEndpoints:\n"
		    "        - matchLabels:\n"
		    "            k8s:io.kubernetes.pod.namespace: kube-system\n"
		    "            k8s-app: kube-dns\n"
		    "      toPorts:\n"
		    "        - ports:\n"
		    "            - port: \"53\"\n"
		    "              protocol: %s\n"
		    "          rules:\n"
		    "            dns:\n",
		    asks_dns(c, false) ? "ANY" : "TCP");
	add_names(domains, "              ", out);
	if (!domains->n)
		kf_buf_adds(out, "              - matchPattern: \"*\"\n");
}

static void add_cilium(const struct kf_compiled *c, struct kf_buf *out)
{
	const struct kf_items *domains = &c->profile.lists[KF_LIST_DOMAIN];

	if (is_closed(c)) {
		kf_buf_adds(out, "  # One rule that matches nothing: egress is denied.\n  "
				 "egress:\n    - {}\n");
		return;
	}
	kf_buf_adds(out, "  egress:\n");
	cilium_dns(c, out);
	if (domains->n) {
		kf_buf_adds(out, "    - toFQDNs:\n");
		add_names(domains, "        ", out);
		kf_buf_adds(out, "      toPorts:\n        - ports:\n");
	} else {
		kf_buf_adds(out, "    # The profile's ports, wherever they are.\n"
				 "    - toPorts:\n        - ports:\n");
	}
	add_ports(c, "            ", true, out);
}

void kf_netpol_write(const struct kf_compiled *compiled, const struct kf_netpol *options,
		     struct kf_buf *out)
{
	add_head(options, out);
	if (options->kind == KF_NETPOL_CILIUM)
		add_cilium(compiled, out);
	else
		add_kubernetes(compiled, out);
}
