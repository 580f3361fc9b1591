/* SPDX-License-Identifier: Apache-2.0 */
/* Installing and removing our Kata handler on a node: the steps and their order.  Its files are
 * listed in files.c, Kata is found in find.c, the runtime's configuration is changed by src/node.
 */
#include "kata/kata.h"

#include "base/cleanup.h"
#include "cri/cri.h"
#include "node/transaction.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Directories of ours, the deepest first; removed when they are empty. */
static const char *const directories[] = {
	KF_NODE_KATA "/images", KF_NODE_KATA "/custom-runtimes",
	KF_NODE_KATA,		KF_JOURNAL_DIR,
	"/opt/kubefence",	NULL,
};

void kf_kata_plan_done(struct kf_kata_plan *plan)
{
	kf_node_plan_done(&plan->node);
	kf_arena_done(&plan->arena);
}

/* Check that the machines of @kata's can boot our @image, with which it is an unmeasured ext4. */
static int check_image(const struct kf_node *node, const struct kf_kata *kata, const char *image,
		       struct kf_err *err)
{
	KF_CLOSE int fd = open(image, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct kf_kata with = *kata;
	const char *why;

	if (fd < 0)
		return kf_fail_sys(err, "open '%s'", image);
	with.measured = false;
	with.type = "ext4";
	if (kf_kata_check_boot(&with, fd, image, &why, err) < 0)
		return -1;
	if (why)
		node->say(node->ctx, "note", image,
			  "whether it boots was not checked: kernel_params has words of their own "
			  "about the root file system");
	return 0;
}

/* Whether our image goes with the installed release; if not, say so: the agent in it would not
 * understand this runtime. */
static bool is_image_for(const struct kf_node *node, const struct kf_kata_options *o,
			 const struct kf_kata *kata, char note[static 256])
{
	size_t n = o->image_for ? strlen(o->image_for) : 0;

	if (!n || strncmp(kata->version, o->image_for, n) == 0)
		return true;
	/* "3.28." is the beginning of 3.28's releases. */
	n -= o->image_for[n - 1] == '.';
	(void)snprintf(
		note, 256,
		"the guest's root file system is for Kata %.*s, here is %.32s: not used, the "
		"guest has Kata's own, and its agent no policy of ours; set "
		"kata.rootfsImage (--image) to one of this release, or to none",
		(int)n, o->image_for, *kata->version ? kata->version : "an unknown release");
	node->say(node->ctx, "note", o->image, note);
	return false;
}

/* Choose the kernel and the image that our configuration names: NULL is Kata's own. */
static int choose_images(const struct kf_node *node, const struct kf_kata_options *o, bool write,
			 struct kf_kata_plan *p, bool *ret_changed, struct kf_err *err)
{
	bool image = o->image && is_image_for(node, o, &p->kata, p->note);
	size_t n = 0;

	/* Everything is looked at before anything is written. */
	if (image && check_image(node, &p->kata, o->image, err) < 0)
		return -1;
	if (p->kata.landlock != KF_KATA_LANDLOCK_YES && !o->kernel)
		return kf_fail(
			err, ENOTSUP,
			"the guest kernel of Kata in '%s' has no Landlock (%s): upgrade Kata to "
			"3.32 or newer, or give it a kernel that has, with --kernel "
			"(kata.kernelImage)",
			p->kata.prefix, p->kata.why);
	if (p->kata.landlock == KF_KATA_LANDLOCK_YES && o->kernel)
		node->say(node->ctx, "note", o->kernel,
			  "not used: Kata's own guest kernel has Landlock");
	else if (o->kernel && kf_kata_image(node, KF_KATA_KERNEL, o->kernel, write, &p->arena,
					    &p->images[n++], ret_changed, err) < 0)
		return -1;
	if (image && kf_kata_image(node, KF_KATA_ROOTFS, o->image, write, &p->arena,
				   &p->images[n++], ret_changed, err) < 0)
		return -1;
	return 0;
}

/* Plan everything except the change of the runtime's configuration. */
static int prepare_plan(const struct kf_node *node, const struct kf_kata_options *o, bool write,
			struct kf_kata_plan *p, bool *ret_changed, struct kf_err *err)
{
	const struct kf_journal *j = &node->journal;
	const char *kernel, *image;

	kf_arena_init(&p->arena, KF_KATA_MEMORY);
	if (kf_kata_find(&node->host, o->share_dir, o->config, &p->arena, &p->kata, err) < 0)
		return -1;
	if (p->kata.skipped)
		node->say(node->ctx, "note", p->kata.skipped,
			  "not used: its runtime is older than the other one here, an upgrade of "
			  "Kata left it behind");
	if (choose_images(node, o, write, p, ret_changed, err) < 0)
		return -1;
	kernel = p->images[0] && strstr(p->images[0], "/vmlinux-") ? p->images[0] : NULL;
	image = kernel ? p->images[1] : p->images[0];
	if (kf_kata_files(node, o, &p->kata, kernel, image, &p->arena, &p->payload, &p->vm, err) <
	    0)
		return -1;
	/* The node's set-up keeps its handlers. */
	p->options = *node->options;
	p->options.handlers = p->handlers;
	for (size_t i = 0; i < j->nhandlers; i++) {
		/* The names are copied, since the journal is written from this list. */
		p->handlers[i] = kf_arena_strdup(&p->arena, j->handlers[i].name);
		if (!p->handlers[i])
			return kf_fail_nomem(err, "Kata");
	}
	p->options.nhandlers = j->nhandlers;
	p->options.vms = &p->vm;
	p->options.nvms = 1;
	p->options.set_vms = true;
	return 0;
}

int kf_kata_plan(struct kf_node *node, const struct kf_kata_options *o, struct kf_kata_plan *ret,
		 struct kf_err *err)
{
	const struct kf_node_options *given = node->options;
	bool changed;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = prepare_plan(node, o, false, ret, &changed, err);
	if (r == 0) {
		node->options = &ret->options;
		r = kf_node_plan(node, &ret->node, err);
		node->options = given;
	}
	if (r < 0)
		kf_kata_plan_done(ret);
	return r;
}

/* Wait until kata-deploy has installed enough, or the time is over. */
static int wait_for_kata(const struct kf_node *node, const struct kf_kata_options *o,
			 struct kf_err *err)
{
	const struct timespec pause = {.tv_nsec = 500 * 1000 * 1000};
	struct timespec start, now;

	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		struct kf_arena arena;
		struct kf_kata kata;
		int r;

		kf_arena_init(&arena, KF_KATA_MEMORY);
		r = kf_kata_find(&node->host, o->share_dir, o->config, &arena, &kata, err);
		kf_arena_done(&arena);
		if (r == 0 || err->code != ENOENT)
			return r;
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec >= (time_t)o->wait)
			return -1;
		(void)nanosleep(&pause, NULL);
	}
}

/* Remove files of an earlier run that this one does not have: a drop-in that kata-deploy has
 * removed, the directory of another handler. */
static int prune_files(struct kf_node *node, const struct kf_payload *payload, bool *ret_changed,
		       struct kf_err *err)
{
	struct kf_journal *j = &node->journal;
	size_t kept = 0, n = j->nfiles;

	for (size_t i = 0; i < n; i++) {
		bool stale =
			strncmp(j->files[i].path, KF_NODE_KATA "/", strlen(KF_NODE_KATA "/")) == 0;

		for (size_t k = 0; k < payload->n && stale; k++)
			stale = strcmp(payload->files[k].path, j->files[i].path) != 0;
		if (!stale) {
			j->files[kept++] = j->files[i];
			continue;
		}
		if (kf_host_remove(&node->host, j->files[i].path, err) < 0)
			return -1;
		node->say(node->ctx, "removed", j->files[i].path, "");
	}
	if (kept == n)
		return 0;
	*ret_changed = true;
	j->nfiles = kept;
	return kf_transaction_end(node, err);
}

int kf_kata_note(const struct kf_host *host, char ret[static 256], struct kf_err *err)
{
	KF_FREE char *text = NULL;

	ret[0] = '\0';
	if (kf_host_read(host, KF_KATA_NOTE, 256, &text, NULL, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	(void)snprintf(ret, 256, "%.*s", (int)strcspn(text, "\n"), text);
	return 0;
}

/* Leave @note for the node agent and doctor. */
static int leave_note(const struct kf_node *node, const char *note, struct kf_err *err)
{
	char there[256];

	if (kf_kata_note(&node->host, there, err) < 0)
		return -1;
	if (strcmp(there, note) == 0)
		return 0;
	return *note ? kf_host_write(&node->host, KF_KATA_NOTE, note, strlen(note), 0644, err)
		     : kf_host_remove(&node->host, KF_KATA_NOTE, err);
}

int kf_kata_install(struct kf_node *node, const struct kf_kata_options *o, bool *ret_changed,
		    struct kf_err *err)
{
	KF_CLEANUP(kf_transaction_unlock)
	struct kf_transaction_lock lock = KF_TRANSACTION_LOCK_INIT;
	const struct kf_host_runtime rt = kf_node_runtime(node);
	const struct kf_node_options *given = node->options;
	struct kf_kata_plan p = {0};
	unsigned pods = 0;
	bool restart;
	int r;

	*ret_changed = false;
	if (wait_for_kata(node, o, err) < 0 || kf_transaction_lock(node, &lock, err) < 0 ||
	    kf_journal_read(&node->host, &node->journal, err) < 0 ||
	    kf_transaction_recover(node, &restart, err) < 0)
		return -1;
	r = prepare_plan(node, o, true, &p, ret_changed, err);
	if (r == 0) {
		node->options = &p.options;
		r = kf_node_apply(node, &p.payload, restart, ret_changed, err);
		node->options = given;
	}
	if (r == 0)
		r = prune_files(node, &p.payload, ret_changed, err);
	if (r == 0)
		r = leave_note(node, p.note, err);
	/* Remove old images only if no pod runs: a machine that is starting may have read the old
	 * configuration. */
	if (r == 0 && kf_cri_pods(&rt, p.vm.name, &pods, KF_ERR_IGNORED) == 0 && pods == 0)
		r = kf_kata_sweep(node, p.images, ret_changed, err);
	kf_kata_plan_done(&p);
	return r;
}

int kf_kata_uninstall(struct kf_node *node, bool *ret_kept, struct kf_err *err)
{
	const struct kf_node_options *given = node->options;
	struct kf_node_options options = *given;
	struct kf_journal_vm vms[KF_JOURNAL_VMS];
	static const char *const none[] = {NULL};
	size_t nvms = node->journal.nvms;
	bool changed;
	int r;

	*ret_kept = false;
	if (!nvms && !kf_host_exists(&node->host, KF_NODE_KATA))
		return 0;
	memcpy(vms, node->journal.vms, sizeof(vms));
	options.handlers = NULL;
	options.nhandlers = 0;
	options.vms = NULL;
	options.nvms = 0;
	options.set_vms = true;
	node->options = &options;
	r = kf_node_uninstall(node, ret_kept, err);
	node->options = given;
	if (r < 0 || *ret_kept)
		return r;
	if (kf_kata_sweep(node, none, &changed, err) < 0 ||
	    kf_host_remove(&node->host, KF_KATA_NOTE, err) < 0)
		return -1;
	for (size_t i = 0; i < nvms; i++) {
		char dir[sizeof(vms->config) + 16];
		int n = (int)(strrchr(vms[i].config, '/') - vms[i].config);

		(void)snprintf(dir, sizeof(dir), "%.*s/config.d", n, vms[i].config);
		kf_host_rmdir(&node->host, dir);
		dir[n] = '\0';
		kf_host_rmdir(&node->host, dir);
	}
	for (const char *const *d = directories; *d; d++)
		kf_host_rmdir(&node->host, *d);
	return 0;
}
