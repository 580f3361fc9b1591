/* SPDX-License-Identifier: Apache-2.0 */
#include "node/distro.h"

#include "base/buf.h"

#include <string.h>

#define K3S(name_, dir, ...)                                                                       \
	{                                                                                          \
		.name = name_,                                                                     \
		.markers = {"/var/lib/rancher/" dir "/agent/etc/containerd/config.toml"},          \
		.config = "/var/lib/rancher/" dir "/agent/etc/containerd/config.toml",             \
		.generated = true, .sockets = {"/run/k3s/containerd/containerd.sock"}, __VA_ARGS__ \
	}

/* The special ones first: they may come with a stock containerd beside them. */
static const struct kf_distro table[] = {
	K3S("k3s", "k3s", .programs = {"/var/lib/rancher/k3s/data/current/bin/containerd"},
	    .bindirs = {"/var/lib/rancher/k3s/data/current/bin"}, .units = {"k3s", "k3s-agent"}),
	K3S("rke2", "rke2", .programs = {"/var/lib/rancher/rke2/bin/containerd"},
	    .bindirs = {"/var/lib/rancher/rke2/bin"}, .units = {"rke2-server", "rke2-agent"}),
	{
		.name = "k0s",
		.markers = {"/var/lib/k0s/bin/containerd", "/etc/k0s/containerd.d"},
		.config = "/etc/k0s/containerd.toml",
		.dropins = "/etc/k0s/containerd.d",
		.generated = true,
		.late = true,
		.programs = {"/var/lib/k0s/bin/containerd"},
		.bindirs = {"/var/lib/k0s/bin"},
		.units = {"k0scontroller", "k0sworker"},
		.sockets = {"/run/k0s/containerd.sock"},
	},
	{
		.name = "microk8s",
		.markers = {"/var/snap/microk8s/current/args/containerd-template.toml"},
		.config = "/var/snap/microk8s/current/args/containerd.toml",
		.edit = "/var/snap/microk8s/current/args/containerd-template.toml",
		.late = true,
		.programs = {"/snap/microk8s/current/bin/containerd"},
		.bindirs = {"/snap/microk8s/current/bin"},
		.units = {"snap.microk8s.daemon-containerd"},
		.sockets = {"/var/snap/microk8s/common/run/containerd.sock"},
	},
	{
		.name = "crio",
		.kind = KF_RUNTIME_CRIO,
		.markers = {"/usr/bin/crio", "/usr/local/bin/crio"},
		.config = "/etc/crio/crio.conf",
		.dropins = "/etc/crio/crio.conf.d",
		.programs = {"/usr/bin/crio", "/usr/local/bin/crio"},
		.bindirs = {"/usr/libexec/crio", "/usr/lib/cri-o-runc/sbin"},
		.units = {"crio"},
		.sockets = {"/run/crio/crio.sock"},
	},
	{
		.name = "containerd",
		.markers = {"/usr/bin/containerd", "/usr/local/bin/containerd",
			    "/usr/sbin/containerd", "/opt/containerd/bin/containerd"},
		.config = "/etc/containerd/config.toml",
		.programs = {"/usr/local/bin/containerd", "/usr/bin/containerd",
			     "/usr/sbin/containerd", "/opt/containerd/bin/containerd"},
		.bindirs = {"/opt/containerd/bin"},
		.units = {"containerd"},
		.sockets = {"/run/containerd/containerd.sock"},
	},
};

static int by_name(const char *name, const struct kf_distro **ret, struct kf_err *err)
{
	struct kf_buf names = KF_BUF_INIT(256);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].name, name) == 0) {
			kf_buf_done(&names);
			*ret = &table[i];
			return 0;
		}
		kf_buf_addf(&names, "%s%s", i ? ", " : "", table[i].name);
	}
	kf_err_set(err, EINVAL, "distribution '%s' is not known; one of %s", name,
		   names.p ? names.p : "");
	kf_buf_done(&names);
	return -1;
}

int kf_distro_find(const struct kf_host *host, const char *name, const struct kf_distro **ret,
		   struct kf_err *err)
{
	const struct kf_distro *found = NULL;

	if (name)
		return by_name(name, ret, err);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct kf_distro *d = &table[i];

		if (!kf_host_first(host, d->markers))
			continue;
		if (!found) {
			found = d;
			continue;
		}
		/* Leftovers do not count: the one whose socket is there serves. */
		if (found->kind == d->kind || !kf_host_first(host, d->sockets))
			continue;
		if (kf_host_first(host, found->sockets))
			return kf_fail(
				err, EEXIST,
				"both %s and %s run here and would fight for the NRI socket; "
				"stop one or choose with --distribution",
				found->name, d->name);
		found = d;
	}
	if (!found)
		return kf_fail(err, ENOENT,
			       "no container runtime found under '%s' (looked for k3s, rke2, k0s, "
			       "microk8s, CRI-O, containerd); name it with --distribution",
			       host->root);
	*ret = found;
	return 0;
}
