/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard does for each command: reads the node's settings and the bundle or the process
 * file, has the plan decide, and changes both as it says.  Descriptors are in launch.c, the domain
 * file in domain.c, what lies in the container in inside.c; main.c executes the runtime. */
#include "nono-runc/guard.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "config/refused.h"
#include "nono-runc/domain.h"
#include "nono-runc/egress.h"
#include "nono-runc/inside.h"
#include "nono-runc/launch.h"
#include "nono-runc/lookup.h"
#include "nono-runc/outcome.h"
#include "nono-runc/profiles.h"
#include "nono-runc/readonly.h"
#include "nono-runc/record.h"
#include "nono-runc/review.h"
#include "nono-runc/started.h"
#include "oci/apply.h"
#include "oci/bundle.h"
#include "oci/mask.h"
#include "plan/plan.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FDS_MAX	   1000 /* of the caller's */
#define FIRST_FD   3
#define OWN	   3 /* the default profile, the pod's, the container's */
#define CANDIDATES (OWN + KF_EGRESS_OTHERS)
#define FLAGS_MAX  6

/* All that lives while a create or exec is worked on. */
struct work {
	struct kf_guard *guard;
	struct kf_arena *arena; /* the guard's */
	struct kf_settings_text settings;
	struct kf_oci oci;
	struct kf_oci_file file;
	struct kf_guard_record record;
	struct kf_plan plan;
	/* The profiles that the plan can choose, and their texts. */
	const char *candidates[CANDIDATES];
	char default_profile[KF_LIMIT_PROFILE_NAME + 1]; /* of the pod's namespace */
	struct kf_profile_text texts[CANDIDATES];
	const struct kf_profile_text *chosen;
	struct kf_profile_text closed; /* @chosen for a pod that the egress broker closes */
	struct kf_profile_info own;    /* of the container that a process enters */
	unsigned long caller_fds;
	struct kf_launch launch;
	struct kf_program program; /* the container's seccomp policy; none if the runtime gets it */
	int given[KF_LAUNCH_GIVEN]; /* to the launcher; -1: not open yet */
};

static void work_done(struct work *w)
{
	kf_settings_text_done(&w->settings);
	kf_oci_done(&w->oci);
	kf_oci_file_done(&w->file);
	kf_guard_record_done(&w->record);
	kf_program_done(&w->program);
	for (size_t i = 0; i < KF_LAUNCH_GIVEN; i++)
		if (w->given[i] >= 0)
			(void)close(w->given[i]);
}

/* Where our descriptors go: above those that the caller preserves. */
static int choose_fds(struct work *w, struct kf_err *err)
{
	const char *value = w->guard->cmd->value[KF_FLAG_PRESERVE_FDS];
	size_t n = value ? strspn(value, "0123456789") : 0;

	if (getenv("LISTEN_FDS"))
		return kf_fail(err, EINVAL,
			       "LISTEN_FDS is set: socket activation of a sandboxed container is "
			       "not supported");
	if (value) {
		/* Go would take 010 for 8, crun for 10. */
		if (!n || value[n] || n > 4 || (n > 1 && value[0] == '0') ||
		    (w->caller_fds = strtoul(value, NULL, 10)) > FDS_MAX)
			return kf_fail(err, EINVAL,
				       "--preserve-fds: '%.20s' is not a number up to %d", value,
				       FDS_MAX);
	}
	w->launch.by_fd = true;
	w->launch.launcher_fd = FIRST_FD + (int)w->caller_fds;
	w->launch.policy_fd = w->launch.launcher_fd + 1 + KF_LAUNCH_DOMAIN;
	w->launch.report_fd = w->launch.launcher_fd + 1 + KF_LAUNCH_OUTCOME;
	return 0;
}

/* Which profiles come into question; only theirs need to be read. */
static int load_profiles(struct work *w, struct kf_err *err)
{
	const struct kf_view *view = &w->oci.view;
	const char *own = kf_arena_printf(w->arena, KF_ANNOTATION_PROFILE ".%s", view->container);

	if (!own)
		return kf_fail_nomem(err, "profiles");
	w->candidates[0] =
		kf_settings_default(&w->settings.settings, view->namespace_, w->default_profile);
	w->candidates[1] = kf_view_annotation(view, KF_ANNOTATION_PROFILE);
	w->candidates[2] = kf_view_annotation(view, own);
	if (w->settings.settings.egress &&
	    kf_guard_egress_names(view, w->candidates + OWN, err) < 0)
		return -1;
	return kf_profiles_load(&w->settings.settings, w->candidates, CANDIDATES, w->arena,
				w->texts, err);
}

/* Have the plan decide; every answer but "sandbox" is an error here: what comes
 * to the guard is in scope, whatever the list of handlers says at the moment. */
static int plan_work(struct work *w, struct kf_err *err)
{
	const char *const handlers[] = {w->guard->node->handler};
	struct kf_settings settings = w->settings.settings;

	settings.handlers = handlers;
	settings.nhandlers = 1;
	if (kf_plan_container(&settings, &w->oci.view, &w->launch, w->arena, &w->plan, err) < 0)
		return -1;
	return w->plan.decision == KF_SANDBOX ? 0 : kf_fail(err, EPERM, "%s", w->plan.reason);
}

/* About a new container: by what the node's profiles are now. */
static int decide_new(struct work *w, struct kf_err *err)
{
	if (load_profiles(w, err) < 0 || plan_work(w, err) < 0)
		return -1;
	for (size_t i = 0; i < OWN; i++)
		if (w->candidates[i] && strcmp(w->candidates[i], w->plan.profile->name) == 0)
			w->chosen = &w->texts[i];
	if (!w->chosen || !w->chosen->text || w->chosen->broken)
		return kf_fail(
			err, EINVAL, "profile '%s' cannot be used: %s", w->plan.profile->name,
			w->chosen && w->chosen->broken ? w->chosen->broken : "it was not read");
	return 0;
}

/* About a process that enters one: its profile is what the container's domain file holds,
 * whatever has become of it on the node, of the pod's choice or of the list of allowed ones. */
static int decide_again(struct work *w, struct kf_err *err)
{
	struct kf_settings *settings = &w->settings.settings;

	w->own = (struct kf_profile_info){.name = w->record.profile};
	settings->default_profile = w->own.name;
	settings->nnamespaces = 0;
	settings->profiles = &w->own;
	settings->nprofiles = 1;
	return plan_work(w, err);
}

/* The seccomp policy that the container gets.  The launcher installs it, after all else, so that
 * none of its own calls is ever answered by what a pod wrote; only a listener's descriptor is the
 * runtime's to hand on, and the plan has seen to it that such a policy leaves the launcher
 * alone. */
static int compile_seccomp(struct work *w, struct kf_err *err)
{
	const struct kf_seccomp *policy = w->plan.seccomp ? w->plan.seccomp : w->oci.view.seccomp;

	if (!policy || kf_seccomp_notifies(policy))
		return 0;
	if (kf_program_compile(policy, &w->program, err) < 0)
		return -1;
	/* What it refuses, for "kubefence denials". */
	if (w->settings.settings.seccomp_log)
		w->program.flags |= SECCOMP_FILTER_FLAG_LOG;
	w->oci.launcher_filters = true;
	return 0;
}

static int add_flag(struct work *w, const char **flags, size_t *n, const char *flag)
{
	flags[*n] = flag ? kf_arena_strdup(w->arena, flag) : NULL;
	return flags[*n] ? (*n)++, 0 : -1;
}

/* The runtime's command line: ours with the flags that carry the descriptors. */
static int rewrite_line(struct work *w, const char *bundle, bool no_new_privs,
			const char *const *args, size_t nargs, struct kf_err *err)
{
	const char *flags[FLAGS_MAX],
		*count = kf_arena_printf(w->arena, "%lu", w->caller_fds + KF_LAUNCH_FDS);
	size_t n = 0;

	if ((bundle &&
	     (add_flag(w, flags, &n, "--bundle") < 0 || add_flag(w, flags, &n, bundle) < 0)) ||
	    add_flag(w, flags, &n, "--preserve-fds") < 0 || add_flag(w, flags, &n, count) < 0 ||
	    (no_new_privs && add_flag(w, flags, &n, "--no-new-privs") < 0))
		return kf_fail_nomem(err, "arguments");
	w->guard->argv = kf_cmdline_rewrite(w->guard->cmd, flags, n, args, nargs);
	return w->guard->argv ? 0 : kf_fail_nomem(err, "arguments");
}

/* Last of all: whatever else is open may have the numbers that ours need. */
static int install_fds(struct work *w, const char *label, struct kf_err *err)
{
	int given[KF_LAUNCH_GIVEN];

	kf_oci_file_done(&w->file);
	for (size_t i = 0; i < KF_LAUNCH_GIVEN; i++)
		given[i] = kf_steal_fd(&w->given[i]);
	return kf_launch_install(w->settings.settings.launcher, given, label, w->launch.launcher_fd,
				 err);
}

/* How the launcher tells the outcome of what is started at once: to us if the runtime comes back
 * before it ends, else to whoever looks on. */
static int open_outcome(struct work *w, struct kf_err *err)
{
	struct kf_guard *guard = w->guard;
	int *const ret = &w->given[KF_LAUNCH_OUTCOME];

	if (!guard->cmd->value[KF_FLAG_DETACH])
		return kf_outcome_stderr(ret, err);
	if (kf_outcome_pipe(&guard->outcome, ret, err) < 0)
		return -1;
	/* Out of the way of the numbers that the launcher's descriptors get. */
	if (guard->outcome < w->launch.launcher_fd + KF_LAUNCH_FDS) {
		int fd = fcntl(guard->outcome, F_DUPFD_CLOEXEC,
			       w->launch.launcher_fd + KF_LAUNCH_FDS);

		if (fd < 0)
			return kf_fail_sys(err, "descriptor of a pipe");
		(void)close(guard->outcome);
		guard->outcome = fd;
	}
	guard->outcome_write = w->launch.report_fd;
	return 0;
}

/* Where a directory really is; the runtime gets that name, so that it and we
 * cannot mean two different ones. */
static int real_path(int fd, char ret[static PATH_MAX], struct kf_err *err)
{
	char link[64];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret, PATH_MAX - 1);
	if (n < 0)
		return kf_fail_sys(err, "readlink '%s'", link);
	ret[n] = '\0';
	return 0;
}

/* An image whose /proc is a symlink would have procfs mounted where the symlink
 * leads, and the workload could later move that away from under the next exec. */
static int check_proc(int rootfs, struct kf_err *err)
{
	struct stat st;

	if (fstatat(rootfs, "proc", &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : kf_fail_sys(err, "stat /proc of the image");
	if (!S_ISDIR(st.st_mode))
		return kf_fail(err, EPERM,
			       "/proc of the image is not a directory; use another image");
	return 0;
}

/* The image's root directory, if what it holds can become a container. */
static int open_rootfs(struct work *w, int *ret_fd, struct kf_err *err)
{
	const struct kf_plan *plan = &w->plan;
	size_t skip = kf_plan_prefix(&w->launch, plan->args, plan->nargs, NULL);
	KF_CLOSE int fd = openat(w->file.dirfd, w->oci.rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return kf_fail_sys(err, "open root.path '%s'", w->oci.rootfs);
	if (check_proc(fd, err) < 0 ||
	    (skip < plan->nargs && kf_lookup_program(&w->oci, plan->args[skip], fd, err) < 0))
		return -1;
	*ret_fd = kf_steal_fd(&fd);
	return 0;
}

static int edit_config(struct work *w, const char *bundle, int rootfs, struct kf_err *err)
{
	const char *const *masks, *text;
	size_t nmasks, n;

	if (kf_inside_prepare(&w->oci, rootfs, bundle, w->settings.settings.launcher, w->chosen,
			      err) < 0 ||
	    kf_readonly_prepare(&w->oci, w->plan.profile, rootfs, bundle,
				w->guard->cmd->value[KF_FLAG_ROOT], w->guard->cmd->id, err) < 0 ||
	    kf_oci_masks(&w->oci, w->plan.profile, rootfs, &masks, &nmasks, err) < 0 ||
	    kf_oci_apply(&w->oci, &w->plan, masks, nmasks, err) < 0)
		return -1;
	text = kf_oci_text(&w->oci, &n);
	if (!text)
		return kf_fail_nomem(err, "config.json");
	return kf_oci_file_replace(&w->file, text, n, err);
}

/* Last of what can be refused: it changes the pod's network. */
static int close_network(struct work *w, struct kf_err *err)
{
	const struct kf_cmdline *cmd = w->guard->cmd;
	const struct kf_guard_egress egress = {
		.arena = w->arena,
		.oci = &w->oci,
		.settings = &w->settings.settings,
		.plan = &w->plan,
		.root = cmd->value[KF_FLAG_ROOT],
		.id = cmd->id,
		.names = w->candidates,
		.texts = w->texts,
		.nnames = CANDIDATES,
	};

	if (!w->settings.settings.egress)
		return 0;
	w->closed = *w->chosen;
	w->chosen = &w->closed;
	return kf_guard_egress_create(&egress, &w->plan, &w->closed, err);
}

static int create_container(struct work *w, struct kf_err *err)
{
	struct kf_guard *guard = w->guard;
	const struct kf_cmdline *cmd = guard->cmd;
	const char *dir = cmd->value[KF_FLAG_BUNDLE];
	struct kf_guard_record record = {.root = cmd->value[KF_FLAG_ROOT], .id = cmd->id};
	char bundle[PATH_MAX];
	KF_CLOSE int rootfs = -1;

	if (kf_guard_node_settings(guard->node, &w->settings, err) < 0 ||
	    kf_guard_node_runtime(guard->node, guard->runtime, err) < 0 || choose_fds(w, err) < 0 ||
	    kf_oci_file_read(dir && *dir ? dir : ".", "config.json", &w->file, err) < 0 ||
	    real_path(w->file.dirfd, bundle, err) < 0 ||
	    kf_oci_parse_config(w->file.text, w->file.n, guard->node->handler, cmd->id, &w->oci,
				err) < 0)
		return -1;
	record.bundle = bundle;
	record.runtime = guard->runtime;
	record.label = w->oci.mount_label;
	record.namespace_ = w->oci.view.namespace_;
	record.pod = w->oci.view.pod;
	record.uid = w->oci.view.pod_uid;
	record.container = w->oci.view.container;
	record.pid_file = kf_started_pid_file(cmd, w->arena);
	record.profile = "";
	if (w->oci.pause) {
		guard->argv = kf_cmdline_copy(cmd);
		return guard->argv ? kf_guard_record_write(&record, err)
				   : kf_fail_nomem(err, "arguments");
	}
	kf_inside_forget(&w->oci, bundle, w->settings.settings.launcher);
	if (decide_new(w, err) < 0)
		return -1;
	record.profile = w->plan.profile->name;
	if (kf_guard_review_create(&w->oci, &w->settings.settings, bundle, record.root, record.id,
				   err) < 0)
		return -1;
	if (open_rootfs(w, &rootfs, err) < 0 || rewrite_line(w, bundle, false, NULL, 0, err) < 0 ||
	    compile_seccomp(w, err) < 0 || close_network(w, err) < 0 ||
	    kf_domain_create(record.root, record.id, w->chosen->text, w->chosen->n, &w->program,
			     &w->given[KF_LAUNCH_DOMAIN], err) < 0 ||
	    kf_launch_label(w->given[KF_LAUNCH_DOMAIN], record.label, err) < 0 ||
	    (cmd->verb == KF_VERB_RUN ? open_outcome(w, err)
				      : kf_outcome_create(record.root, record.id, record.label,
							  &w->given[KF_LAUNCH_OUTCOME], err)) < 0 ||
	    edit_config(w, bundle, rootfs, err) < 0 || kf_guard_record_write(&record, err) < 0)
		return -1;
	(void)close(kf_steal_fd(&rootfs));
	return install_fds(w, w->oci.mount_label, err);
}

/* The file of --process, replaced in place: its owner removes it later. */
static int edit_process(struct work *w, struct kf_err *err)
{
	const struct kf_cmdline *cmd = w->guard->cmd;
	const char *text;
	size_t n;

	if (decide_again(w, err) < 0 ||
	    kf_guard_egress_enter(cmd->value[KF_FLAG_ROOT], cmd->id, &w->oci, NULL, 0, err) < 0 ||
	    kf_oci_apply(&w->oci, &w->plan, NULL, 0, err) < 0)
		return -1;
	text = kf_oci_text(&w->oci, &n);
	if (!text)
		return kf_fail_nomem(err, "process file");
	return kf_oci_file_replace(&w->file, text, n, err);
}

static int read_process(struct work *w, const char *path, struct kf_err *err)
{
	const struct kf_cmdline *cmd = w->guard->cmd;
	const char *name = kf_path_base(path);
	const char *dir =
		name == path ? "." : kf_arena_printf(w->arena, "%.*s", (int)(name - path), path);

	if (!dir)
		return kf_fail_nomem(err, "process file");
	if (kf_oci_file_read(dir, name, &w->file, err) < 0)
		return -1;
	return kf_oci_parse_process(w->file.text, w->file.n, w->guard->node->handler, cmd->id,
				    &w->oci, err);
}

static int exec_by_file(struct work *w, const char *path, struct kf_err *err)
{
	if (read_process(w, path, err) < 0 || edit_process(w, err) < 0)
		return -1;
	return rewrite_line(w, NULL, false, NULL, 0, err);
}

static int exec_by_args(struct work *w, struct kf_err *err)
{
	const struct kf_cmdline *cmd = w->guard->cmd;
	struct kf_view *view = &w->oci.view;

	*view = (struct kf_view){
		.handler = w->guard->node->handler,
		.namespace_ = "",
		.pod = "",
		.pod_uid = "",
		.container = "",
		.container_id = cmd->id,
		.args = (const char *const *)cmd->argv + cmd->id_at + 1,
		.nargs = (size_t)(cmd->argc - cmd->id_at - 1),
	};
	if (decide_again(w, err) < 0 ||
	    kf_guard_egress_enter(cmd->value[KF_FLAG_ROOT], cmd->id, NULL,
				  cmd->argv + cmd->verb_at + 1, cmd->id_at - cmd->verb_at - 1,
				  err) < 0)
		return -1;
	return rewrite_line(w, NULL, true, w->plan.args, w->plan.nargs, err);
}

static int enter_container(struct work *w, struct kf_err *err)
{
	struct kf_guard *guard = w->guard;
	const struct kf_cmdline *cmd = guard->cmd;
	const char *path = cmd->value[KF_FLAG_PROCESS];
	if (kf_guard_node_settings(guard->node, &w->settings, err) < 0)
		return -1;
	if (w->settings.settings.exec == KF_EXEC_DENY)
		return kf_fail(err, EPERM,
			       "processes may not enter running containers on this node "
			       "(exec = \"deny\")");
	if (kf_guard_record_read(cmd->value[KF_FLAG_ROOT], cmd->id, &w->record, err) < 0)
		return kf_fail_wrap(err,
				    "container '%.80s' was not created through the guard; create "
				    "it again",
				    cmd->id);
	if (!*w->record.profile)
		return kf_fail(err, EPERM,
			       "container '%.80s' is a pod's pause container; nothing enters it",
			       cmd->id);
	(void)snprintf(guard->runtime, sizeof(guard->runtime), "%s", w->record.runtime);
	if (kf_domain_enter(cmd->value[KF_FLAG_ROOT], cmd->id, &w->given[KF_LAUNCH_DOMAIN], err) <
		    0 ||
	    choose_fds(w, err) < 0 || open_outcome(w, err) < 0 ||
	    (path ? exec_by_file(w, path, err) : exec_by_args(w, err)) < 0)
		return -1;
	return install_fds(w, w->record.label, err);
}

/* Whoever asked for this hears it now, and nobody else later: leave a note of it. */
static void note_refusal(struct work *w, const struct kf_err *err)
{
	const struct kf_cmdline *cmd = w->guard->cmd;
	const struct kf_view *view = &w->oci.view;
	struct kf_guard_record *r = &w->record;
	struct kf_refused refused = {
		.time = time(NULL), .command = "create", .id = cmd->id, .reason = err->msg};

	if (cmd->verb == KF_VERB_EXEC) {
		if (!r->text)
			(void)kf_guard_record_read(cmd->value[KF_FLAG_ROOT], cmd->id, r,
						   KF_ERR_IGNORED);
		refused.command = "exec";
		refused.namespace_ = r->namespace_;
		refused.pod = r->pod;
		refused.uid = r->uid;
		refused.container = r->container;
		refused.profile = r->profile;
	} else {
		refused.namespace_ = view->namespace_;
		refused.pod = view->pod;
		refused.uid = view->pod_uid;
		refused.container = view->container;
		refused.profile = w->plan.profile ? w->plan.profile->name : NULL;
	}
	(void)kf_refused_write(KF_REFUSED_DIR, &refused, KF_ERR_IGNORED);
}

static int do_work(struct kf_guard *guard, int (*command)(struct work *w, struct kf_err *err),
		   struct kf_err *err)
{
	struct work w = {.guard = guard, .arena = &guard->arena, .given = {-1, -1}};
	int r;

	kf_arena_init(&w.oci.arena, 0);
	r = command(&w, err);
	if (r < 0)
		note_refusal(&w, err);
	work_done(&w);
	return r;
}

int kf_guard_create(struct kf_guard *guard, struct kf_err *err)
{
	const char *root = guard->cmd->value[KF_FLAG_ROOT], *id = guard->cmd->id;

	if (do_work(guard, create_container, err) == 0)
		return 0;
	/* One of this name that exists keeps its own: it was to be created a second time. */
	if (!kf_guard_record_taken(root, id)) {
		kf_guard_egress_drop(root, id);
		kf_guard_review_drop(root, id);
	}
	return -1;
}

int kf_guard_exec(struct kf_guard *guard, struct kf_err *err)
{
	return do_work(guard, enter_container, err);
}

/* The runtime that made the container which the command line names, wherever in
 * it: "kill ID 15", "update --cpus 1 ID". */
static bool recorded_runtime(struct kf_guard *guard)
{
	const struct kf_cmdline *cmd = guard->cmd;

	for (int i = cmd->verb_at + 1; i < cmd->argc; i++) {
		struct kf_guard_record record;

		if (cmd->argv[i][0] == '-' ||
		    kf_guard_record_read(cmd->value[KF_FLAG_ROOT], cmd->argv[i], &record,
					 KF_ERR_IGNORED) < 0)
			continue;
		(void)snprintf(guard->runtime, sizeof(guard->runtime), "%s", record.runtime);
		kf_guard_record_done(&record);
		kf_guard_review_wake(cmd->value[KF_FLAG_ROOT], cmd->argv[i]);
		return true;
	}
	return false;
}

int kf_guard_pass(struct kf_guard *guard, struct kf_err *err)
{
	if (!recorded_runtime(guard) &&
	    kf_guard_node_runtime(guard->node, guard->runtime, err) < 0 &&
	    kf_guard_node_any_runtime(guard->runtime, err) < 0)
		return -1;
	guard->argv = kf_cmdline_copy(guard->cmd);
	return guard->argv ? 0 : kf_fail_nomem(err, "arguments");
}

int kf_guard_start(struct kf_guard *guard, struct kf_err *err)
{
	struct kf_settings_text settings;

	if (kf_guard_node_settings(guard->node, &settings, err) < 0)
		return -1;
	kf_settings_text_done(&settings);
	kf_started_first(guard->cmd);
	if (kf_outcome_open(guard->cmd->value[KF_FLAG_ROOT], guard->cmd->id, &guard->outcome, err) <
	    0)
		return -1;
	return kf_guard_pass(guard, err);
}
