/* SPDX-License-Identifier: Apache-2.0 */
/* Work on the node: a look at it, setting it up, taking that back.  It blocks, so it is done as a
 * job (event/job.h), in a process that keeps its rights. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "config/config.h"
#include "cri/cri.h"
#include "host/run.h"
#include "kata/kata.h"
#include "kubefence/agent/agent.h"
#include "node/fingerprint.h"
#include "node/handler.h"
#include "node/transaction.h"
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define GUARD_MS    10000
#define LSM_LIST    "/sys/kernel/security/lsm"
#define CRI_SECONDS 2 /* for a check; after an installation it has the options' time */

/* The first complaint, or reason to keep something, is the one to report. */
struct findings {
	char first[256];
};

static void log_step(void *ctx, const char *action, const char *object, const char *detail)
{
	struct findings *f = ctx;
	bool bad = strcmp(action, "fail") == 0;

	if ((bad || strcmp(action, "kept") == 0) && !f->first[0])
		(void)snprintf(f->first, sizeof(f->first), "%s%s%s", bad ? object : "",
			       bad ? ": " : "", detail);
	if (strcmp(action, "ok") != 0)
		kf_log(bad ? KF_LOG_WARN : KF_LOG_INFO, action, {"object", object},
		       {"detail", *detail ? detail : NULL});
}

/* Fill what the plugin's configuration decides; it lives in @arena. */
static int take_config(const struct kf_agent_options *o, struct kf_arena *arena,
		       struct kf_config *config, struct kf_node_options *ret, struct kf_err *err)
{
	struct kf_diags diags;

	kf_diags_init(&diags, arena);
	*ret = o->node;
	if (kf_config_load_elsewhere(o->config, arena, config, &diags) < 0) {
		kf_diags_sort(&diags);
		if (!diags.n)
			return kf_fail_nomem(err, o->config);
		return kf_fail(err, EINVAL, "%s:%u: %s", diags.v[0].at.file, diags.v[0].at.line,
			       diags.v[0].msg);
	}
	ret->handlers = config->settings.handlers;
	ret->nhandlers = config->settings.nhandlers;
	ret->default_profile = config->settings.default_profile;
	ret->launcher = config->settings.launcher;
	ret->settings = &config->settings;
	return 0;
}

static int landlock_abi(const struct kf_host *host)
{
	struct kf_err err;
	char text[256] = "";
	KF_CLOSE int fd = -1;
	int abi;

	if (kf_landlock_probe(&abi, &err) == 0)
		return abi;
	/* A runtime's old seccomp profile may be all that says no. */
	if (kf_host_fd(host, LSM_LIST, O_RDONLY, &fd, &err) < 0 ||
	    read(fd, text, sizeof(text) - 1) <= 0 || strstr(text, "landlock"))
		return -1;
	return 0;
}

static int guard_answers(const struct kf_node *node, struct kf_err *err)
{
	struct kf_arena arena;
	int r = 0;

	kf_arena_init(&arena, KF_LIMIT_CONFIG);
	for (size_t i = 0; i < node->journal.nhandlers && r == 0; i++) {
		const char *path = kf_node_guard_path(&arena, node->journal.handlers[i].name);
		const char *argv[] = {path, "--version", NULL};
		struct kf_run run;

		if (!path) {
			r = kf_fail_nomem(err, "guard");
			break;
		}
		r = kf_run_host(&node->host, argv, GUARD_MS, KF_LIMIT_CONFIG, &run, err);
		if (r < 0)
			break;
		if (run.status)
			r = kf_fail(err, EIO, "the guard '%s' does not work: %s", path,
				    *run.why ? run.why : "it failed without a message");
		kf_run_done(&run);
	}
	kf_arena_done(&arena);
	return r;
}

static void ask_runtime(const struct kf_node *node, unsigned seconds, struct kf_work_result *ret)
{
	const char *handlers[KF_JOURNAL_HANDLERS];
	struct kf_host_runtime rt = kf_node_runtime(node);
	struct kf_err err;

	for (size_t i = 0; i < node->journal.nhandlers; i++)
		handlers[i] = node->journal.handlers[i].name;
	rt.timeout = seconds;
	ret->runtime = kf_cri_wait(&rt, handlers, node->journal.nhandlers, &err) == 0;
	if (!ret->runtime)
		(void)snprintf(ret->message, sizeof(ret->message), "%s", err.msg);
}

/* Whether the runtime runs, and forgot a handler that it is told of only by another set-up: CRI-O
 * started while the guard was away. */
static bool was_dropped(const struct kf_node *node)
{
	const struct kf_host_runtime rt = kf_node_runtime(node);
	const char *missing = NULL, *name;
	struct kf_err err;

	for (size_t i = 0; i < node->journal.nhandlers && !missing; i++) {
		name = node->journal.handlers[i].name;
		if (node->distro->kind != KF_RUNTIME_CRIO ||
		    kf_cri_ask(&rt, &name, 1, &missing, &err) < 0)
			return false;
	}
	return missing != NULL;
}

static void directory_of(const char *path, char *out, size_t size)
{
	const char *slash = strrchr(path, '/');

	(void)snprintf(out, size, "%.*s", slash ? (int)(slash - path) : 0, path);
}

static void describe_node(const struct kf_node *node, struct kf_work_result *ret)
{
	const struct kf_journal *j = &node->journal;

	for (ret->nhandlers = 0; ret->nhandlers < j->nhandlers; ret->nhandlers++)
		memcpy(ret->handlers[ret->nhandlers], j->handlers[ret->nhandlers].name,
		       sizeof(ret->handlers[0]));
	directory_of(node->distro->config, ret->watch[0], sizeof(ret->watch[0]));
	directory_of(j->config, ret->watch[1], sizeof(ret->watch[1]));
	directory_of(node->options->launcher, ret->watch[2], sizeof(ret->watch[2]));
	directory_of(KF_NODE_GUARD, ret->watch[3], sizeof(ret->watch[3]));
	ret->abi = landlock_abi(&node->host);
}

/* It is all right: what is to be said of Kata all the same. */
static int find_good(const struct kf_node *node, struct kf_work_result *ret, struct kf_err *err)
{
	char note[256];

	if (kf_kata_note(&node->host, note, err) < 0)
		return -1;
	if (*note && ret->runtime)
		(void)snprintf(ret->message, sizeof(ret->message), "%s", note);
	ret->ok = true;
	return 0;
}

static int take_fingerprint(const struct kf_node *node, kf_digest ret, struct kf_err *err)
{
	struct kf_payload payload;
	int r = kf_payload_load(node->options->payload, &payload, err);

	if (r == 0) {
		r = kf_fingerprint(node, &payload, ret, err);
		kf_payload_done(&payload);
	}
	return r;
}

static int install_node(struct kf_node *node, struct kf_work_result *ret, struct kf_err *err)
{
	bool changed;

	if (kf_host_remove(&node->host, KF_KATA_STOP, err) < 0 ||
	    kf_node_install(node, &changed, err) < 0)
		return -1;
	describe_node(node, ret);
	memcpy(ret->fingerprint, node->journal.fingerprint, sizeof(kf_digest));
	ask_runtime(node, node->options->timeout, ret);
	if (!ret->runtime)
		return kf_fail(err, EIO, "%s", ret->message);
	if (guard_answers(node, err) < 0)
		return -1;
	return find_good(node, ret, err);
}

/* kf_node_verify().  What is wrong may be the middle of another run of ours, such as 'kubefence
 * node programs' of the plugin's pod: then once more, when that has ended. */
static int verify_node(struct kf_node *node, struct kf_err *err)
{
	struct findings *findings = node->ctx;
	KF_CLOSE int lock = -1;

	if (kf_node_verify(node, err) == 0)
		return 0;
	if (kf_host_lock(&node->host, KF_NODE_LOCK, KF_NODE_LOCK_SECONDS, &lock, err) < 0 ||
	    kf_journal_read(&node->host, &node->journal, err) < 0)
		return -1;
	findings->first[0] = '\0';
	return kf_node_verify(node, err);
}

/* verify_node() without questions to the runtime: whether it answers is another matter. */
static int verify_files(struct kf_node *node, struct kf_err *err)
{
	const struct kf_node_options *options = node->options;
	struct kf_node_options quiet = *options;
	int r;

	quiet.restart = false;
	node->options = &quiet;
	r = verify_node(node, err);
	node->options = options;
	return r;
}

/* Cheap as long as nothing has changed since it was last found right. */
static int check_node(struct kf_node *node, const struct kf_work_order *order,
		      struct kf_work_result *ret, struct kf_err *err)
{
	struct findings *findings = node->ctx;

	if (!node->journal.exists) {
		ret->drift = true;
		return kf_fail(err, ENOENT, "what was installed is not there any more");
	}
	describe_node(node, ret);
	if (take_fingerprint(node, ret->fingerprint, err) < 0)
		return -1;
	if (strncmp(ret->fingerprint, order->fingerprint, sizeof(kf_digest)) != 0) {
		if (verify_files(node, err) < 0) {
			ret->drift = true;
			return *findings->first ? kf_fail(err, EINVAL, "%s", findings->first) : -1;
		}
		if (guard_answers(node, err) < 0) {
			ret->drift = true;
			return -1;
		}
	}
	ask_runtime(node, CRI_SECONDS, ret);
	if (!ret->runtime && was_dropped(node)) {
		ret->drift = true;
		return kf_fail(err, ENOENT, "%s", ret->message);
	}
	return find_good(node, ret, err);
}

static int uninstall_node(struct kf_node *node, struct kf_work_result *ret, struct kf_err *err)
{
	/* 'kubefence kata install --every' is not to bring it back meanwhile. */
	if (kf_host_write(&node->host, KF_KATA_STOP, "", 0, 0644, err) < 0 ||
	    kf_kata_uninstall(node, &ret->kept, err) < 0)
		return -1;
	if (!ret->kept && kf_node_uninstall(node, &ret->kept, err) < 0)
		return -1;
	ret->ok = !ret->kept;
	if (ret->kept)
		(void)snprintf(ret->message, sizeof(ret->message), "%s",
			       ((const struct findings *)node->ctx)->first);
	return 0;
}

void kf_agent_work_do(const struct kf_agent_options *agent, const struct kf_work_order *order,
		      struct kf_work_result *ret)
{
	KF_CLEANUP(kf_arena_done) struct kf_arena arena;
	struct kf_node_options options;
	struct findings findings = {.first = ""};
	struct kf_config config;
	struct kf_node node;
	struct kf_err err = {0};
	int r;

	kf_arena_init(&arena, KF_LIMIT_PLAN_MEMORY);
	ret->abi = -1;
	r = take_config(agent, &arena, &config, &options, &err);
	if (r == 0)
		r = kf_node_open(&options, log_step, &findings, &node, &err);
	if (r == 0) {
		r = order->work == KF_WORK_INSTALL     ? install_node(&node, ret, &err)
		    : order->work == KF_WORK_UNINSTALL ? uninstall_node(&node, ret, &err)
						       : check_node(&node, order, ret, &err);
		kf_node_done(&node);
	}
	if (r < 0) {
		ret->ok = false;
		(void)snprintf(ret->message, sizeof(ret->message), "%s", err.msg);
	}
}
