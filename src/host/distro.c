/* SPDX-License-Identifier: Apache-2.0 */
/* Where Kubernetes distributions keep their container runtime: the table, and a copy of one of its
 * rows for a node that keeps its data elsewhere.  Which distribution a node has is found out in
 * which.c. */
#include "host/distro.h"

#include "base/buf.h"

#include <string.h>

#define K3S(name_, dir, ...)                                                                   \
	{                                                                                      \
		.name = name_,                                                                 \
		.installed = {"/var/lib/rancher/" dir "/agent/etc/containerd/config.toml"},    \
		.data = "/var/lib/rancher/" dir,                                               \
		.config = "/var/lib/rancher/" dir "/agent/etc/containerd/config.toml",         \
		.generated = true, .sockets = {"/run/k3s/containerd/containerd.sock"},         \
		.command = name_, .settings = "/etc/rancher/" dir "/config.yaml",              \
		.data_option = "--data-dir", .foreign_option = "--container-runtime-endpoint", \
		__VA_ARGS__                                                                    \
	}

const struct kf_distro kf_distros[] = {
	K3S("k3s", "k3s", .programs = {"/var/lib/rancher/k3s/data/current/bin/containerd"},
	    .bindirs = {"/var/lib/rancher/k3s/data/current/bin"}, .units = {"k3s", "k3s-agent"}),
	K3S("rke2", "rke2", .programs = {"/var/lib/rancher/rke2/bin/containerd"},
	    .bindirs = {"/var/lib/rancher/rke2/bin"}, .units = {"rke2-server", "rke2-agent"}),
	{
		.name = "k0s",
		.installed = {"/var/lib/k0s/bin/containerd", "/etc/k0s/containerd.d"},
		.data = "/var/lib/k0s",
		.config = "/etc/k0s/containerd.toml",
		.dropins = "/etc/k0s/containerd.d",
		.generated = true,
		.late = true,
		.programs = {"/var/lib/k0s/bin/containerd"},
		.bindirs = {"/var/lib/k0s/bin"},
		.units = {"k0scontroller", "k0sworker"},
		.sockets = {"/run/k0s/containerd.sock"},
		.command = "k0s",
		.data_option = "--data-dir",
		.foreign_option = "--cri-socket",
	},
	{
		.name = "microk8s",
		.installed = {"/var/snap/microk8s/current/args/containerd-template.toml"},
		.config = "/var/snap/microk8s/current/args/containerd.toml",
		.edit = "/var/snap/microk8s/current/args/containerd-template.toml",
		.late = true,
		.programs = {"/snap/microk8s/current/bin/containerd"},
		.bindirs = {"/snap/microk8s/current/bin"},
		.units = {"snap.microk8s.daemon-containerd"},
		.sockets = {"/var/snap/microk8s/common/run/containerd.sock"},
		.command = "microk8s",
	},
	{
		.name = "crio",
		.kind = KF_RUNTIME_CRIO,
		.installed = {"/usr/bin/crio", "/usr/local/bin/crio"},
		.config = "/etc/crio/crio.conf",
		.dropins = "/etc/crio/crio.conf.d",
		.programs = {"/usr/bin/crio", "/usr/local/bin/crio"},
		.bindirs = {"/usr/libexec/crio", "/usr/lib/cri-o-runc/sbin"},
		.units = {"crio"},
		.sockets = {"/run/crio/crio.sock"},
	},
	{
		.name = "containerd",
		.installed = {"/usr/bin/containerd", "/usr/local/bin/containerd",
			      "/usr/sbin/containerd", "/opt/containerd/bin/containerd"},
		.config = "/etc/containerd/config.toml",
		.programs = {"/usr/local/bin/containerd", "/usr/bin/containerd",
			     "/usr/sbin/containerd", "/opt/containerd/bin/containerd"},
		.bindirs = {"/opt/containerd/bin"},
		.units = {"containerd"},
		.sockets = {"/run/containerd/containerd.sock"},
	},
	{.name = NULL},
};

int kf_distro_named(const char *name, size_t n, const struct kf_distro **ret, struct kf_err *err)
{
	struct kf_buf names = KF_BUF_INIT(KF_ERR_MSG_MAX);

	for (const struct kf_distro *d = kf_distros; d->name; d++) {
		if (strlen(d->name) == n && strncmp(d->name, name, n) == 0) {
			kf_buf_done(&names);
			*ret = d;
			return 0;
		}
		kf_buf_addf(&names, "%s%s", d == kf_distros ? "" : ", ", d->name);
	}
	kf_err_set(err, EINVAL, "distribution '%.*s' is not known; one of %s", (int)n, name,
		   names.p ? names.p : "");
	kf_buf_done(&names);
	return -1;
}

/* Move *path from below @from to below @to.  False: no memory. */
static bool move_path(struct kf_arena *arena, const char *from, const char *to, const char **path)
{
	size_t n = strlen(from);

	if (*path && strncmp(*path, from, n) == 0 && (*path)[n] == '/')
		*path = kf_arena_printf(arena, "%s%s", to, *path + n);
	else
		return true;
	return *path != NULL;
}

struct kf_distro *kf_distro_at(const struct kf_distro *d, const char *data, struct kf_arena *arena)
{
	struct kf_distro *own = kf_arena_alloc(arena, sizeof(*own));
	bool ok = true;

	if (!own)
		return NULL;
	*own = *d;
	if (!data || !d->data)
		return own;
	own->data = kf_arena_strdup(arena, data);
	ok = own->data && move_path(arena, d->data, data, &own->config) &&
	     move_path(arena, d->data, data, &own->dropins);
	for (size_t i = 0; ok && i < KF_DISTRO_CHOICES; i++)
		ok = move_path(arena, d->data, data, &own->programs[i]) &&
		     move_path(arena, d->data, data, &own->bindirs[i]);
	return ok ? own : NULL;
}
