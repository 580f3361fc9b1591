/* SPDX-License-Identifier: Apache-2.0 */
/* The files of our Kata handler, whose directory is laid out as those of kata-deploy's custom
 * runtimes: its configuration, kata-deploy's drop-ins and ours.  They are only listed here;
 * node/payload.c writes them. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "kata/keys.h"
#include "node/handler.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

/* What kata-deploy generates itself.  Some of its files have a key that one of the runtimes does
 * not know and does without. */
static bool is_generated(const char *name)
{
	static const char *const names[] = {"10-installation-prefix.toml", "20-debug.toml",
					    "22-k0s-kubelet-root.toml",	   "25-devkit.toml",
					    "30-kernel-params.toml",	   OURS};

	if (strncmp(name, THEIRS, strlen(THEIRS)) == 0)
		return true; /* our copy: the file that it is of was looked at */
	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

int kf_kata_check_dropins(const struct kf_host *host, const struct kf_kata *kata,
			  const char *config, struct kf_err *err)
{
	char **list;
	int r = 0;

	if (kf_kata_dropins(host, config, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++) {
		KF_FREE char *text = NULL;
		KF_CLOSE int fd = -1;
		struct kf_toml toml;
		struct stat st;
		size_t n;

		if (is_generated(kf_path_base(*p)))
			continue;
		if (kata->rust && kf_host_fd(host, *p, O_PATH | O_NOFOLLOW, &fd, err) == 0 &&
		    fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
			r = kf_fail(err, EINVAL,
				    "'%s' is no regular file: Kata's Rust runtime starts no "
				    "machine with such a drop-in; put a copy there",
				    *p);
		else
			r = kf_host_read(host, *p, KF_LIMIT_CONFIG, &text, &n, err);
		if (r == 0)
			r = kf_toml_parse(text, n, *p, &toml, err);
		if (r == 0) {
			r = kf_kata_check_keys(kata, toml.root, *p, err);
			kf_toml_done(&toml);
		}
	}
	kf_host_list_free(list);
	return r;
}

/* Copy kata-deploy's drop-ins for the configuration, under names that sort before ours. */
static int copy_dropins(const struct kf_host *host, const char *config, const char *dir,
			struct kf_arena *arena, struct kf_payload *payload, struct kf_err *err)
{
	char **list;
	size_t n = 0;
	int r = 0;

	if (kf_kata_dropins(host, config, &list, err) < 0)
		return -1;
	for (char **p = list; *p && r == 0; p++) {
		if (++n > DROPINS_MAX)
			r = kf_fail(err, E2BIG, "'%s': more than %d drop-ins", config, DROPINS_MAX);
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
	const struct kf_kata *kata;
	struct kf_arena *arena;
	struct kf_toml_want v[WANTS_MAX];
	size_t n;
};

/* Want @value, which is TOML, for @set under the name that the runtime has for it. */
static int want_value(struct wants *w, enum kf_kata_set set, const char *value, struct kf_err *err)
{
	if (!value || w->n == WANTS_MAX)
		return kf_fail_nomem(err, "Kata");
	if (kf_kata_key(w->kata, set, w->v[w->n].path, err) < 0)
		return -1;
	w->v[w->n++].value = value;
	return 0;
}

/* Add our drop-in.  It has only keys that the runtime knows: the Go runtime starts no machine with
 * others, the Rust runtime ignores them. */
static int own_dropin(const struct kf_kata_options *o, const struct kf_kata *kata,
		      const char *kernel, const char *image, const char *dir,
		      struct kf_arena *arena, struct kf_payload *payload, struct kf_err *err)
{
	const struct {
		bool wanted;
		enum kf_kata_set set;
		const char *value;
	} values[] = {
		{kernel, KF_KATA_SET_KERNEL, kernel},
		{image, KF_KATA_SET_IMAGE, image},
		{image, KF_KATA_SET_ROOTFS_TYPE, "ext4"},
		/* kata-deploy's drop-in for another prefix names both, with which neither runtime
		 * starts a machine. */
		{kata->initrd && (image || *kata->image), KF_KATA_SET_INITRD, ""},
		{image && kata->measured, KF_KATA_SET_VERITY, ""},
		{true, KF_KATA_SET_SECCOMP, o->seccomp_sandbox},
		{*o->accelerators, KF_KATA_SET_ACCELERATORS, o->accelerators},
	};
	struct wants w = {.kata = kata, .arena = arena};
	KF_FREE char *text = NULL;
	size_t n;

	for (size_t i = 0; i < KF_ARRAY_SIZE(values); i++)
		if (values[i].wanted &&
		    want_value(&w, values[i].set, kf_node_quote(arena, values[i].value), err) < 0)
			return -1;
	/* Pods may set nothing by annotation. */
	if (want_value(&w, KF_KATA_SET_ANNOTATIONS, "[]", err) < 0 ||
	    want_value(&w, KF_KATA_SET_GUEST_SECCOMP, o->disable_guest_seccomp ? "true" : "false",
		       err) < 0)
		return -1;
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
	if (kf_kata_check_dropins(&node->host, kata, kata->config, err) < 0 ||
	    kf_kata_check_dropins(&node->host, kata, config, err) < 0)
		return -1;
	/* Our drop-in comes first, so that no machine starts without it in between. */
	if (own_dropin(o, kata, kernel, image, dir, arena, payload, err) < 0 ||
	    copy_dropins(&node->host, kata->config, dir, arena, payload, err) < 0 ||
	    copy_file(&node->host, kata->config, config, arena, payload, err) < 0)
		return -1;
	*ret = vm;
	return 0;
}
