/* SPDX-License-Identifier: Apache-2.0 */
/* The decision about a container: skip, sandbox or refuse, and the new arguments, mounts and
 * seccomp policy; and the check of the finished container.  It reads a kf_view; nri-plan/ and oci/
 * make views and apply the decision. */
#include "plan/plan.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "flat/flat.h"
#include "plan/paths.h"
#include "plan/volumes.h"
#include "seccomp/launcher.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN_REMEDY                                                                        \
	"; use type RuntimeDefault, install the guard (nono-runc) for this handler, or use " \
	"containerd 2.3 or newer"

#define PREFIX_LEN_PATH 5 /* LAUNCHER wrap --profile NAME -- */
#define PREFIX_LEN_FD	9 /* LAUNCHER wrap --policy-fd N --report-fd N --profile NAME -- */

static int refuse_container(struct kf_plan *plan, const char *code, const char *reason,
			    struct kf_err *err)
{
	if (!reason)
		return kf_fail_nomem(err, "plan");
	plan->decision = KF_REFUSE;
	plan->reason = reason;
	plan->code = code;
	return 0;
}

/* The annotation that decides for this container: its own before the pod's.
 * Returns the key in *ret_key, NULL value if neither is there. */
static const char *profile_annotation(const struct kf_view *view, const char **ret_key)
{
	const char *value = NULL;

	*ret_key = KF_ANNOTATION_PROFILE;
	for (size_t i = 0; i < view->nannotations; i++) {
		const char *key = view->annotations[i].key;
		size_t n = strlen(KF_ANNOTATION_PROFILE);

		if (strncmp(key, KF_ANNOTATION_PROFILE, n) != 0)
			continue;
		if (key[n] == '\0' && !value) {
			value = view->annotations[i].value;
		} else if (key[n] == '.' && view->container[0] &&
			   strcmp(key + n + 1, view->container) == 0) {
			*ret_key = key;
			return view->annotations[i].value;
		}
	}
	return value;
}

/* Names of all profiles of the node that pods may name, for refusals. */
static const char *list_profiles(const struct kf_settings *settings, const char *namespace_,
				 struct kf_arena *arena)
{
	const char *list = "";

	for (size_t i = 0; list && i < settings->nprofiles && i < 32; i++) {
		const char *name = settings->profiles[i].name;

		if (kf_settings_allows(settings, namespace_, name))
			list = kf_arena_printf(arena, "%s%s%s", list, *list ? ", " : "", name);
	}
	return list;
}

/* Find the profile; on a refusal the reason is in *plan. */
static int choose_profile(const struct kf_settings *settings, const struct kf_view *view,
			  struct kf_arena *arena, struct kf_plan *plan, struct kf_err *err)
{
	const char *key, *name = profile_annotation(view, &key);
	char buf[KF_LIMIT_PROFILE_NAME + 1];
	bool named = name != NULL;

	/* What counts for which namespace cannot be told for a pod of none. */
	if (settings->nnamespaces && !*view->namespace_)
		return refuse_container(plan, "namespace",
					"the runtime does not tell the pod's namespace, on which "
					"its profiles depend (namespaces)",
					err);
	if (!named)
		name = kf_settings_default(settings, view->namespace_, buf);
	if (!kf_profile_name_valid(name))
		return refuse_container(
			plan, "profile-name",
			kf_arena_printf(arena,
					"annotation %s: '%.80s' is not a profile name "
					"(letters, digits, '_' and '-', at most %d)",
					key, name, KF_LIMIT_PROFILE_NAME),
			err);
	/* The default profile is the administrator's choice; the list limits pods. */
	if (named && !kf_settings_allows(settings, view->namespace_, name))
		return refuse_container(
			plan, "profile-not-allowed",
			kf_arena_printf(arena,
					"annotation %s: profile '%s' is not allowed on this "
					"node in namespace '%.63s'; allowed are: %s",
					key, name, view->namespace_,
					list_profiles(settings, view->namespace_, arena)),
			err);
	plan->profile = kf_settings_profile(settings, name);
	if (!plan->profile)
		return refuse_container(
			plan, "profile-unknown",
			kf_arena_printf(arena, "%s '%s' does not exist on this node; there are: %s",
					named ? "profile" : "default profile", name,
					list_profiles(settings, view->namespace_, arena)),
			err);
	return 0;
}

/* Who sees to it that only the profile's hosts are reached: the broker, which needs the guard to
 * close all other ways, or the cluster. */
static int plan_egress(const struct kf_settings *settings, const struct kf_launch *launch,
		       struct kf_arena *arena, struct kf_plan *plan, struct kf_err *err)
{
	const struct kf_profile_info *profile = plan->profile;
	const bool guarded = launch->by_fd || launch->guard_follows;

	plan->egress = profile->egress && settings->egress && guarded;
	if (!profile->egress || plan->egress || profile->egress_elsewhere)
		return 0;
	return refuse_container(
		plan, "egress",
		settings->egress
			? kf_arena_printf(arena,
					  "profile '%s' names hosts, which the egress broker lets "
					  "through only where the guard (nono-runc) starts the "
					  "container; use a handler with the guard, or let the "
					  "cluster filter hosts and say so in the profile "
					  "(\"enforced_by\": \"network-policy\")",
					  profile->name)
			: kf_arena_printf(
				  arena,
				  "profile '%s' names hosts, and no egress broker runs on "
				  "this node; turn it on (egress.enabled of the chart, "
				  "egress = true in the plugin's TOML), or let the cluster "
				  "filter hosts and say so in the profile (\"enforced_by\": "
				  "\"network-policy\")",
				  profile->name),
		err);
}

/* Only the guard can put something between a container and its volume. */
static int plan_reviews(const struct kf_view *view, const struct kf_launch *launch,
			struct kf_arena *arena, struct kf_plan *plan, struct kf_err *err)
{
	struct kf_plan_review review;
	struct kf_err why;
	size_t at = 0;
	int r;

	while ((r = kf_plan_review_next(view, &at, &review, &why)) > 0)
		if (!launch->by_fd && !launch->guard_follows)
			return refuse_container(
				plan, "review",
				kf_arena_printf(
					arena,
					"annotation " KF_ANNOTATION_VOLUME
					"%s: changes to a volume can be reviewed only where "
					"the guard (nono-runc) starts the container; use a "
					"handler with the guard, or take the annotation away",
					review.volume),
				err);
	return r < 0 ? refuse_container(plan, "review", kf_arena_printf(arena, "%s", why.msg), err)
		     : 0;
}

/* Annotations with which a pod can change the machine that it is to run in, or make Kata take a
 * container for something else.  A name with a dot at its end stands for all that begin with it. */
static const char *const machine_annotations[] = {
	"io.katacontainers.",
	"io.kubernetes.cri.container-type",
	"io.kubernetes.cri.sandbox-id",
};

static bool machine_annotation(const struct kf_settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->nkata_annotations; i++)
		if (strcmp(settings->kata_annotations[i], key) == 0)
			return false;
	for (size_t i = 0; i < KF_ARRAY_SIZE(machine_annotations); i++) {
		const char *a = machine_annotations[i];
		size_t n = strlen(a);

		if (strncmp(key, a, n) == 0 && (a[n - 1] == '.' || key[n] == '\0'))
			return true;
	}
	return false;
}

/* If no guard follows, the pod may be a virtual machine: its kernel, its agent and the guest's
 * seccomp policy are part of the sandbox, so the pod must not change them. */
static int check_machine(const struct kf_settings *settings, const struct kf_view *view,
			 const struct kf_launch *launch, struct kf_arena *arena,
			 struct kf_plan *plan, struct kf_err *err)
{
	if (launch->by_fd || launch->guard_follows)
		return 0;
	for (size_t i = 0; i < view->nannotations; i++)
		if (machine_annotation(settings, view->annotations[i].key))
			return refuse_container(
				plan, "machine",
				kf_arena_printf(
					arena,
					"annotation %.120s: pods may not change the virtual "
					"machine that is part of their sandbox; remove it, or "
					"have it allowed on the node (kata_annotations)",
					view->annotations[i].key),
				err);
	return 0;
}

static bool is_denied(const struct kf_profile_info *profile, const char *destination)
{
	const char *at = kf_policy_run_path(destination);

	/* Mount destinations are absolute, so rules that begin with "~" cannot match. */
	for (size_t i = 0; i < profile->ndeny; i++)
		if (profile->deny[i][0] == '/' &&
		    kf_path_under(at, kf_policy_run_path(profile->deny[i])))
			return true;
	return false;
}

/* Whether @mount is our own: its source is the directory that the launcher lies in. */
static bool is_launcher_mount(const struct kf_settings *settings, const struct kf_view_mount *mount,
			      const char *clean)
{
	size_t n = (size_t)(strrchr(settings->launcher, '/') - settings->launcher);

	return strcmp(clean, KF_LAUNCHER_DIR) == 0 && strlen(mount->source) == n &&
	       strncmp(mount->source, settings->launcher, n) == 0;
}

/* Checks that do not depend on a profile: the plan makes them, and the verifier again after all
 * other plugins. */
static int check_paths(enum kf_path_use use, const struct kf_view_paths *paths, struct kf_err *err)
{
	KF_UNINIT char clean[PATH_MAX];

	for (size_t i = 0; i < paths->n; i++) {
		if (kf_plan_path_check(use, paths->v[i], clean, err) < 0)
			return -1;
		if (use == KF_PATH_DEVICE && kf_path_under(clean, KF_LAUNCHER_DIR))
			return kf_fail(err, EPERM,
				       "device '%.120s': the path " KF_LAUNCHER_DIR
				       " is reserved for the sandbox launcher; choose another",
				       paths->v[i]);
	}
	return 0;
}

static int check_mount(const struct kf_view_mount *mount, char ret_clean[static PATH_MAX],
		       struct kf_err *err)
{
	if (kf_plan_path_check(KF_PATH_MOUNT, mount->destination, ret_clean, err) < 0)
		return -1;
	if (strcmp(ret_clean, "/proc") == 0 && !kf_plan_proc_mount_is_proc(mount))
		return kf_fail(err, EPERM,
			       "mount '%.120s': only a procfs may be mounted there, by which the "
			       "sandbox launcher is reached; mount it elsewhere",
			       mount->destination);
	return 0;
}

static int plan_paths(const struct kf_view *view, struct kf_arena *arena, struct kf_plan *plan,
		      struct kf_err *err)
{
	struct kf_err why;

	if (check_paths(KF_PATH_DEVICE, &view->devices, &why) == 0 &&
	    check_paths(KF_PATH_MASKED, &view->masked, &why) == 0 &&
	    check_paths(KF_PATH_READONLY, &view->read_only, &why) == 0)
		return 0;
	return refuse_container(plan, "path", kf_arena_printf(arena, "%s", why.msg), err);
}

/* The last of "rw" and "ro" counts. */
static bool is_read_only(const struct kf_view_mount *mount)
{
	bool read_only = false;

	for (size_t i = 0; i < mount->noptions; i++)
		if (strcmp(mount->options[i], "ro") == 0 || strcmp(mount->options[i], "rw") == 0)
			read_only = mount->options[i][1] == 'o';
	return read_only;
}

/* The last one at a destination is the one that is seen there. */
static size_t add_read_only(const struct kf_view_mount **list, size_t n,
			    const struct kf_view_mount *mount)
{
	size_t at = 0;

	while (at < n && strcmp(list[at]->destination, mount->destination) != 0)
		at++;
	list[at] = mount;
	return at < n ? n : n + 1;
}

static int plan_mounts(const struct kf_settings *settings, const struct kf_view *view,
		       const struct kf_launch *launch, struct kf_arena *arena, struct kf_plan *plan,
		       struct kf_err *err)
{
	const char **remove = kf_arena_calloc(arena, view->nmounts, sizeof(*remove));
	const struct kf_view_mount **read_only =
		kf_arena_calloc(arena, view->nmounts, sizeof(*read_only));
	size_t n = 0, nread_only = 0;

	if (view->nmounts && (!remove || !read_only))
		return kf_fail_nomem(err, "plan");
	for (size_t i = 0; i < view->nmounts; i++) {
		KF_UNINIT char clean[PATH_MAX];
		const char *destination = view->mounts[i].destination;
		struct kf_err why;

		if (check_mount(&view->mounts[i], clean, &why) < 0)
			return refuse_container(plan, "mount",
						kf_arena_printf(arena, "%s", why.msg), err);
		if (launch->by_fd && is_launcher_mount(settings, &view->mounts[i], clean))
			continue; /* the plugin's mount of the launcher is harmless */
		if (kf_path_under(clean, KF_LAUNCHER_DIR))
			return refuse_container(
				plan, "mount",
				kf_arena_printf(arena,
						"mount '%.200s': the path " KF_LAUNCHER_DIR
						" is reserved for the sandbox launcher; mount "
						"it elsewhere",
						destination),
				err);
		if (is_denied(plan->profile, clean))
			remove[n++] = destination;
		else if (kf_policy_is_pod_file(clean) && !plan->profile->writes_pod_files &&
			 !is_read_only(&view->mounts[i]))
			nread_only = add_read_only(read_only, nread_only, &view->mounts[i]);
	}
	plan->remove_mounts = remove;
	plan->nremove_mounts = n;
	plan->read_only = read_only;
	plan->nread_only = nread_only;
	return 0;
}

/* The runtime (NRI generator) keeps the last of several values of one variable.  So if the
 * environment sets our variable more than once, the value that we set would be lost. */
static bool env_ambiguous(const struct kf_view *view)
{
	size_t n = strlen(KF_ENV_PROFILE), seen = 0;

	for (size_t i = 0; i < view->nenv; i++)
		if (strncmp(view->env[i], KF_ENV_PROFILE "=", n + 1) == 0)
			seen++;
	return seen > 1;
}

static bool all_digits(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

/* The guard's own prefix "LAUNCHER wrap --policy-fd N --report-fd N --profile NAME --": a bundle
 * has it when it is used to create a container a second time. */
static size_t fd_prefix(const char *const *args, size_t nargs, const char **ret_profile)
{
	static const char fd[] = "/proc/self/fd/";

	if (nargs < PREFIX_LEN_FD || strncmp(args[0], fd, sizeof(fd) - 1) != 0 ||
	    !all_digits(args[0] + sizeof(fd) - 1) || strcmp(args[1], "wrap") != 0 ||
	    strcmp(args[2], "--policy-fd") != 0 || !all_digits(args[3]) ||
	    strcmp(args[4], "--report-fd") != 0 || !all_digits(args[5]) ||
	    strcmp(args[6], "--profile") != 0 || strcmp(args[8], "--") != 0)
		return 0;
	if (ret_profile)
		*ret_profile = args[7];
	return PREFIX_LEN_FD;
}

size_t kf_plan_prefix(const struct kf_launch *launch, const char *const *args, size_t nargs,
		      const char **ret_profile)
{
	size_t n = launch->by_fd ? fd_prefix(args, nargs, ret_profile) : 0;

	if (n)
		return n;
	if (nargs < PREFIX_LEN_PATH || strcmp(args[0], KF_LAUNCHER_PATH) != 0 ||
	    strcmp(args[1], "wrap") != 0 || strcmp(args[2], "--profile") != 0 ||
	    strcmp(args[4], "--") != 0)
		return 0;
	if (ret_profile)
		*ret_profile = args[3];
	return PREFIX_LEN_PATH;
}

static int plan_args(const struct kf_view *view, const struct kf_launch *launch,
		     struct kf_arena *arena, struct kf_plan *plan, struct kf_err *err)
{
	const char *const *rest = view->args;
	size_t nrest = view->nargs, n = 0;
	const char **args, *wrapped = NULL;

	/* The plugin has wrapped for the same profile already: one sandbox is enough, and the
	 * launcher's path is replaced by the descriptor.  Any other prefix is the workload's own
	 * command and stays inside ours. */
	if (launch->by_fd) {
		size_t skip = kf_plan_prefix(launch, rest, nrest, &wrapped);

		if (skip && strcmp(wrapped, plan->profile->name) == 0) {
			plan->already_wrapped = true;
			rest += skip;
			nrest -= skip;
		}
	}
	args = kf_arena_calloc(arena, nrest + PREFIX_LEN_FD, sizeof(*args));
	if (!args)
		return kf_fail_nomem(err, "plan");
	args[n++] = launch->by_fd ? kf_arena_printf(arena, "/proc/self/fd/%d", launch->launcher_fd)
				  : KF_LAUNCHER_PATH;
	args[n++] = "wrap";
	if (launch->by_fd) {
		args[n++] = "--policy-fd";
		args[n++] = kf_arena_printf(arena, "%d", launch->policy_fd);
		args[n++] = "--report-fd";
		args[n++] = kf_arena_printf(arena, "%d", launch->report_fd);
	}
	args[n++] = "--profile";
	args[n++] = plan->profile->name;
	args[n++] = "--";
	for (size_t i = 0; i < n; i++)
		if (!args[i])
			return kf_fail_nomem(err, "plan");
	if (nrest)
		memcpy(args + n, rest, nrest * sizeof(*args));
	plan->args = args;
	plan->nargs = n + nrest;
	return 0;
}

/* The level that is configured, or the one that the administrator gave the profile, which may be
 * weaker.  If no level is configured, the policy is left alone for every profile. */
static const struct kf_seccomp *chosen_seccomp(const struct kf_settings *settings,
					       const struct kf_profile_info *profile)
{
	enum kf_seccomp_level level = settings->seccomp;

	if (level != KF_SECCOMP_LEVEL_NONE && profile->has_seccomp)
		level = profile->seccomp;
	return kf_seccomp_builtin(level, KF_SECCOMP_ARCH);
}

/* Whether the launcher itself runs under the container's policy.  With the guard the launcher
 * installs the policy itself, after everything else.  But a policy that asks a listener has to be
 * installed by the runtime, which passes the listener's descriptor on. */
static bool launcher_is_filtered(const struct kf_launch *launch, const struct kf_seccomp *policy)
{
	return !launch->by_fd || kf_seccomp_notifies(policy);
}

/* @policy is what the container gets.  Only the part that the pod brought is checked: our own
 * levels let the launcher pass (test_seccomp.c), and the stricter of two answers is always an
 * answer of one of them. */
static int check_launcher_calls(const struct kf_launch *launch, const struct kf_view *view,
				const struct kf_seccomp *policy, struct kf_arena *arena,
				struct kf_plan *plan, struct kf_err *err)
{
	const char *denied = "";

	if (launcher_is_filtered(launch, policy))
		denied = kf_seccomp_launcher_denied(view->seccomp, arena);
	if (denied && !*denied)
		return 0;
	return refuse_container(
		plan, "seccomp",
		denied ? kf_arena_printf(arena,
					 "the pod's seccomp profile may deny or change what "
					 "the sandbox launcher needs: %s; allow these calls "
					 "in it, whatever their arguments, or use type "
					 "RuntimeDefault",
					 denied)
		       : NULL,
		err);
}

/* The intersection of @ours and the pod's own policy; the one that an earlier plan made of the same
 * two is used again. */
static int intersect_seccomp(const struct kf_seccomp *ours, const struct kf_view *view,
			     struct kf_arena *arena, struct kf_plan *plan, struct kf_err *err)
{
	struct kf_seccomp *both;
	struct kf_err why = {0};

	for (size_t i = 0; i < view->nknown; i++) {
		if (view->known[i].ours == ours) {
			plan->seccomp = view->known[i].both;
			return 0;
		}
	}
	both = kf_arena_alloc(arena, sizeof(*both));
	if (!both)
		return kf_fail_nomem(err, "plan");
	if (kf_seccomp_intersect(ours, view->seccomp, arena, both, &why) < 0)
		return why.code == ENOMEM
			       ? kf_fail_nomem(err, "plan")
			       : refuse_container(plan, "seccomp",
						  kf_arena_printf(arena, "%s", why.msg), err);
	plan->seccomp = both;
	plan->intersected = ours;
	return 0;
}

/* The result is never weaker than what the pod asked for.  If its rules can be seen, it is the
 * intersection of both policies; if not, only a policy that cannot be stricter than ours is
 * replaced. */
static int plan_seccomp(const struct kf_settings *settings, const struct kf_view *view,
			const struct kf_launch *launch, struct kf_arena *arena,
			struct kf_plan *plan, struct kf_err *err)
{
	const struct kf_seccomp *ours = chosen_seccomp(settings, plan->profile);
	struct kf_err why = {0};

	/* The guard always sees the pod's rules and sets the whole policy.  If the plugin set one
	 * too, other plugins and validators might object to it. */
	if (launch->guard_follows)
		return 0;
	if (view->seccomp) {
		if (!view->nknown && kf_seccomp_check(view->seccomp, &why) < 0)
			return refuse_container(plan, "seccomp",
						kf_arena_printf(arena, "%s", why.msg), err);
		if (ours && intersect_seccomp(ours, view, arena, plan, err) < 0)
			return -1;
		if (plan->decision != KF_SANDBOX)
			return 0;
		return check_launcher_calls(launch, view, ours ? plan->seccomp : view->seccomp,
					    arena, plan, err);
	}
	if (view->seccomp_source == KF_VIEW_SECCOMP_LOCALHOST) {
		return refuse_container(
			plan, "seccomp",
			ours ? "the pod's own seccomp profile (Localhost) would be "
			       "replaced, because this runtime does not show its "
			       "rules" HIDDEN_REMEDY
			     : "the pod's own seccomp profile (Localhost) may deny or "
			       "change what the sandbox launcher needs, and this "
			       "runtime does not show its rules" HIDDEN_REMEDY,
			err);
	}
	plan->seccomp = ours;
	return 0;
}

int kf_plan_container(const struct kf_settings *settings, const struct kf_view *view,
		      const struct kf_launch *launch, struct kf_arena *arena, struct kf_plan *ret,
		      struct kf_err *err)
{
	struct kf_plan plan = {.decision = KF_SANDBOX};

	if (!kf_settings_in_scope(settings, view->handler)) {
		plan.decision = KF_SKIP;
		plan.reason = *view->handler ? "runtime_class_not_matched" : "no_runtime_handler";
		*ret = plan;
		return 0;
	}
	if (choose_profile(settings, view, arena, &plan, err) < 0)
		return -1;
	if (plan.decision == KF_SANDBOX && plan_egress(settings, launch, arena, &plan, err) < 0)
		return -1;
	if (plan.decision == KF_SANDBOX &&
	    check_machine(settings, view, launch, arena, &plan, err) < 0)
		return -1;
	if (plan.decision == KF_SANDBOX && plan_reviews(view, launch, arena, &plan, err) < 0)
		return -1;
	if (plan.decision == KF_SANDBOX && (!view->nargs || !*view->args[0])) {
		if (refuse_container(
			    &plan, "command",
			    "the container has no command: nothing to start in the sandbox",
			    err) < 0)
			return -1;
	}
	if (plan.decision == KF_SANDBOX && env_ambiguous(view)) {
		if (refuse_container(&plan, "environment",
				     "the environment sets " KF_ENV_PROFILE
				     " more than once; remove it from the image or the pod",
				     err) < 0)
			return -1;
	}
	if (plan.decision == KF_SANDBOX &&
	    plan_mounts(settings, view, launch, arena, &plan, err) < 0)
		return -1;
	if (plan.decision == KF_SANDBOX && plan_paths(view, arena, &plan, err) < 0)
		return -1;
	if (plan.decision == KF_SANDBOX && plan_args(view, launch, arena, &plan, err) < 0)
		return -1;
	if (plan.decision == KF_SANDBOX &&
	    plan_seccomp(settings, view, launch, arena, &plan, err) < 0)
		return -1;
	*ret = plan;
	return 0;
}

int kf_verify_container(const struct kf_settings *settings, const struct kf_view *view,
			struct kf_err *err)
{
	static const struct kf_launch by_path;
	const struct kf_view_mount *launcher = NULL;
	struct kf_plan plan = {.decision = KF_SANDBOX};
	const char *profile;
	char dir[PATH_MAX];
	KF_CLEANUP(kf_arena_done) struct kf_arena arena;

	if (!kf_settings_in_scope(settings, view->handler))
		return 0;
	kf_arena_init(&arena, KF_LIMIT_PLAN_MEMORY);
	if (choose_profile(settings, view, &arena, &plan, err) < 0)
		return -1;
	if (plan.decision != KF_SANDBOX)
		return kf_fail(err, EPERM, "%s", plan.reason);
	if (!kf_plan_prefix(&by_path, view->args, view->nargs, &profile))
		return kf_fail(err, EPERM,
			       "args do not start with " KF_LAUNCHER_PATH
			       " wrap --profile %s --: the sandbox launcher was not injected or "
			       "another plugin replaced it",
			       plan.profile->name);
	if (strcmp(profile, plan.profile->name) != 0)
		return kf_fail(err, EPERM, "args name profile '%.64s' instead of '%s'", profile,
			       plan.profile->name);
	if (check_paths(KF_PATH_DEVICE, &view->devices, err) < 0)
		return -1;
	for (size_t i = 0; i < view->nmounts; i++) {
		if (check_mount(&view->mounts[i], dir, err) < 0)
			return -1;
		if (kf_path_under(dir, KF_LAUNCHER_DIR) && strcmp(dir, KF_LAUNCHER_DIR) != 0)
			return kf_fail(err, EPERM,
				       "mount '%.200s' lies under the launcher's " KF_LAUNCHER_DIR,
				       view->mounts[i].destination);
		if (is_denied(plan.profile, dir))
			return kf_fail(err, EPERM,
				       "mount '%.200s' lies at a path which the profile denies",
				       view->mounts[i].destination);
		if (strcmp(dir, KF_LAUNCHER_DIR) == 0)
			launcher = &view->mounts[i];
	}
	if (!launcher)
		return kf_fail(err, EPERM, "no mount at " KF_LAUNCHER_DIR);
	if (!kf_path_clean(settings->launcher, dir, sizeof(dir)))
		return kf_fail(err, EPERM, "launcher path too long");
	*strrchr(dir, '/') = '\0';
	if (strcmp(launcher->source, *dir ? dir : "/") != 0)
		return kf_fail(err, EPERM,
			       "mount at " KF_LAUNCHER_DIR " is '%.200s' instead of '%s'",
			       launcher->source, *dir ? dir : "/");
	return 0;
}
