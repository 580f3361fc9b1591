/* SPDX-License-Identifier: Apache-2.0 */
/* The files of our Kata handler, whose directory is laid out as those of kata-deploy's custom
 * runtimes: its configuration, kata-deploy's drop-ins and ours.  They are only listed here;
 * node/payload.c writes them. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "kata/kata.h"
#include "node/handler.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNTIMES    KF_NODE_KATA "/custom-runtimes"
/* Our drop-in must be read last; kata-deploy's names begin with a number as well, so theirs get a
 * smaller one in front. */
#define THEIRS	    "10-kata-deploy-"
#define OURS	    "50-kubefence.toml"
#define DROPINS_MAX 40
#define WANTS_MAX   16

static const char head[] = "# Written by 'kubefence kata install', removed by 'kubefence kata "
			   "uninstall'.\n# Put settings of your own into a file that sorts "
			   "behind this one.\n";

static int add_file(struct kf_payload *p, const char *path, const char *data, size_t n,
		    struct kf_err *err)
{
	if (!path || !data)
		return kf_fail_nomem(err, "Kata");
	if (p->n == KF_PAYLOAD_MAX)
		return kf_fail(err, E2BIG, "more than %d files to install", KF_PAYLOAD_MAX);
	p->files[p->n++] = (struct kf_payload_file){path, data, n, 0644, false};
	return 0;
}

/* Add our copy of @from as @path, with a comment that says that it is one. */
static int copy_file(const struct kf_host *host, const char *from, const char *path,
		     struct kf_arena *arena, struct kf_payload *payload, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	const char *data;
	size_t n;

	if (kf_host_read(host, from, KF_LIMIT_CONFIG, &text, &n, err) < 0)
		return -1;
	if (strlen(text) != n)
		return kf_fail(err, EINVAL, "'%s' holds a NUL byte", from);
	data = kf_arena_printf(arena,
			       "# Copied by 'kubefence kata install' from\n# %s\n# and replaced "
			       "when that changes.\n%s",
			       from, text);
	return add_file(payload, path, data, data ? strlen(data) : 0, err);
}

/* Copy kata-deploy's drop-ins for the configuration, under names that sort before ours. */
static int copy_dropins(const struct kf_host *host, const char *config, const char *dir,
			struct kf_arena *arena, struct kf_payload *payload, struct kf_err *err)
{
	char pattern[PATH_MAX], **list;
	size_t n = 0;
	int r = 0;

	(void)snprintf(pattern, sizeof(pattern), "%.*sconfig.d/*",
		       (int)(kf_path_base(config) - config), config);
	if (kf_host_glob(host, pattern, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++) {
		if (++n > DROPINS_MAX)
			r = kf_fail(err, E2BIG, "'%s': more than %d files", pattern, DROPINS_MAX);
		else
			r = copy_file(host, *p,
				      kf_arena_printf(arena, "%s/config.d/" THEIRS "%s", dir,
						      kf_path_base(*p)),
				      arena, payload, err);
	}
	kf_host_list_free(list);
	return r;
}

struct wants {
	struct kf_arena *arena;
	struct kf_toml_want v[WANTS_MAX];
	size_t n;
	bool failed;
};

static void want_value(struct wants *w, bool hypervisor, const char *key, const char *value)
{
	if (!value || w->n == WANTS_MAX) {
		w->failed = true;
		return;
	}
	w->v[w->n++] = (struct kf_toml_want){
		.path = {hypervisor ? "hypervisor" : "runtime", hypervisor ? "qemu" : key,
			 hypervisor ? key : NULL},
		.value = value,
	};
}

static void want_string(struct wants *w, const char *key, const char *value)
{
	want_value(w, true, key, kf_node_quote(w->arena, value));
}

/* Add our drop-in.  It has only keys that every release of both runtimes knows: the Go runtime
 * refuses others. */
static int own_dropin(const struct kf_kata_options *o, const struct kf_kata *kata,
		      const char *kernel, const char *image, const char *dir,
		      struct kf_arena *arena, struct kf_payload *payload, struct kf_err *err)
{
	struct wants w = {.arena = arena};
	KF_FREE char *text = NULL;
	size_t n;

	if (kernel)
		want_string(&w, "kernel", kernel);
	if (image) {
		want_string(&w, "image", image);
		want_string(&w, "rootfs_type", "ext4");
		if (kata->initrd)
			want_string(&w, "initrd", "");
		if (kata->measured)
			want_string(&w, "kernel_verity_params", "");
	}
	want_string(&w, "seccompsandbox", o->seccomp_sandbox);
	if (*o->accelerators)
		want_string(&w, "machine_accelerators", o->accelerators);
	/* Pods may set nothing by annotation. */
	want_value(&w, true, "enable_annotations", "[]");
	want_value(&w, false, "disable_guest_seccomp", o->disable_guest_seccomp ? "true" : "false");
	if (w.failed)
		return kf_fail_nomem(err, "Kata");
	if (kf_toml_edit(head, sizeof(head) - 1, OURS, w.v, w.n, &text, &n, err) < 0)
		return -1;
	return add_file(payload, kf_arena_printf(arena, "%s/config.d/" OURS, dir),
			kf_arena_strdup(arena, text), n, err);
}

int kf_kata_files(const struct kf_node *node, const struct kf_kata_options *o,
		  const struct kf_kata *kata, const char *kernel, const char *image,
		  struct kf_arena *arena, struct kf_payload *payload, struct kf_journal_vm *ret,
		  struct kf_err *err)
{
	const char *dir = kf_arena_printf(arena, RUNTIMES "/%s", o->handler);
	struct kf_journal_vm vm = {0};
	const char *config;

	if (!kf_handler_name_valid(o->handler))
		return kf_fail(err, EINVAL,
			       "'%s' is no handler's name (lower-case letters, digits and dashes, "
			       "at most 63)",
			       o->handler);
	config = dir ? kf_arena_printf(arena, "%s/%s", dir, kf_path_base(kata->config)) : NULL;
	if (!config)
		return kf_fail_nomem(err, "Kata");
	if (strlen(config) >= sizeof(vm.config) || strlen(kata->shim) >= sizeof(vm.shim) ||
	    strchr(kata->shim, ' ') || strchr(config, ' '))
		return kf_fail(err, ENAMETOOLONG, "'%s': too long a path, or a blank in it",
			       kata->shim);
	memcpy(vm.name, o->handler, strlen(o->handler) + 1);
	memcpy(vm.shim, kata->shim, strlen(kata->shim) + 1);
	memcpy(vm.config, config, strlen(config) + 1);
	/* Our drop-in comes first, so that no machine starts without it in between. */
	if (own_dropin(o, kata, kernel, image, dir, arena, payload, err) < 0 ||
	    copy_dropins(&node->host, kata->config, dir, arena, payload, err) < 0 ||
	    copy_file(&node->host, kata->config, config, arena, payload, err) < 0)
		return -1;
	*ret = vm;
	return 0;
}
