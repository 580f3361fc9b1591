/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence learn: its options, and the steps from a command, or a file of denials, to a profile.
 * The command's calls are seen by watch.c, what paths mean is in world.c, the change is worked out
 * in src/learn. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"
#include "cli/print.h"
#include "kubefence/commands.h"
#include "kubefence/denials/denials.h"
#include "kubefence/learn/denied.h"
#include "kubefence/learn/watch.h"
#include "kubefence/learn/world.h"
#include "kubefence/try/egress.h"
#include "kubefence/try/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FEED_MAX       (256 * 1024 * 1024) /* a day's denials of a busy node, on somebody's desk */
#define BASE	       "strict"
#define LEFT_OUT_SHOWN 20

struct learn_options {
	struct try_options run; /* first: TRY_ROWS */
	const char *to, *from, *seen, *pod, *namespace_, *kept;
	bool allow_sensitive, enforce;
};

struct learner {
	struct learn_options *o;
	struct learn_watch watch;
	struct learn_denied denied;
	struct kf_seccomp policy;
	struct kf_learn learn;
	struct learn_world world;
	size_t nleft;
};

/* ---- the profile ---- */

static void report_left(const struct learner *l)
{
	size_t shown = 0, more = 0;

	for (size_t i = 0; i < l->learn.npaths; i++) {
		const struct kf_learn_path *p = &l->learn.paths[i];

		if (!p->left)
			continue;
		if (shown++ < LEFT_OUT_SHOWN)
			kf_print_line(stderr, "left out: %s: %s", p->path, p->left);
		else
			more++;
	}
	if (more)
		kf_print_line(stderr, "left out: %zu more", more);
	if (l->world.udp_left)
		kf_print_line(
			stderr,
			"left out: UDP ports (names are asked for at 53): this kernel cannot open "
			"single ones, which needs Landlock ABI 10; where names are needed, the "
			"profile must not have network.block");
}

/* Write the profile to a file that must not be there. */
static int write_profile(const struct learner *l, const struct kf_learned *learned,
			 struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	const struct learn_options *o = l->o;
	char name[KF_LIMIT_PROFILE_NAME + 1];
	KF_CLOSE int fd = -1;

	(void)kf_profile_file_name(kf_path_base(o->to), name, sizeof(name));
	kf_learn_write(learned, name, l->world.base.name, l->world.explain.workdir,
		       l->world.explain.home, &out);
	if (out.failed)
		return kf_fail_nomem(err, "the profile");
	fd = open(o->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return kf_fail_sys(err, "write '%s'", o->to);
	return kf_write_all(fd, out.p, out.n, err);
}

/* Write what was used, for another time. */
static int write_seen(const struct learner *l, struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(KF_LEARN_MEMORY);
	KF_CLOSE int fd = -1;

	kf_learn_lines(&l->learn, &out);
	if (out.failed)
		return kf_fail_nomem(err, "what was used");
	fd = open(l->o->seen, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return fd < 0 ? kf_fail_sys(err, "write '%s'", l->o->seen)
		      : kf_write_all(fd, out.p, out.n, err);
}

static int make_profile(struct learner *l, struct kf_err *err)
{
	struct kf_learned learned;
	const struct kf_learn_world *world = learn_world_of(&l->world);
	struct kf_compiled compiled;
	int r;

	if (l->o->seen && write_seen(l, err) < 0)
		return -1;
	if (kf_learn_change(&l->learn, world, l->o->allow_sensitive, &learned, err) < 0 ||
	    write_profile(l, &learned, err) < 0)
		return -1;
	report_left(l);
	r = kf_profiles_compile(&l->world.profiles, l->o->to, &compiled, err);
	if (r < 0 && kf_profiles_report(&l->world.profiles))
		return kf_fail(err, EINVAL, "'%s' is no profile that can be used: correct it",
			       l->o->to);
	if (r < 0)
		return -1;
	kf_print_line(stderr,
		      "%s: extends %s with %zu paths, %zu ports and %zu hosts, from %zu paths that "
		      "were used",
		      l->o->to, l->world.base.name, learned.ngrants, learned.nports, learned.nhosts,
		      l->learn.npaths);
	return 0;
}

/* ---- from a command ---- */

static int before_run(void *ctx, const struct try_stage *stage, struct try_container *c,
		      struct kf_err *err)
{
	struct learner *l = ctx;

	if (l->o->enforce)
		return learn_denied_start(&l->denied, err);
	if (learn_watch_start(stage->dir, &l->watch, err) < 0)
		return -1;
	learn_watch_policy(&l->watch, &l->policy);
	c->seccomp = &l->policy;
	return 0;
}

/* A refusal of the egress broker, as a line like those of the kernel's. */
static void add_refusal(void *ctx, const struct kf_denial *denial)
{
	kf_denial_json(denial, ctx);
}

/* Of what the command was denied; nothing is written if that was nothing. */
static int take_denied(struct learner *l, const struct try_stage *stage, bool *ret_any,
		       struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(FEED_MAX);
	char pid_file[PATH_MAX];
	size_t lines = 0;
	bool lost;

	(void)snprintf(pid_file, sizeof(pid_file), "%s/" TRY_PID_FILE, stage->dir);
	if (learn_denied_finish(&l->denied, pid_file, &text, &lost, err) < 0 ||
	    try_egress_refused(stage, add_refusal, &text, err) < 0)
		return -1;
	if (text.failed)
		return kf_fail_nomem(err, "what was denied");
	if ((text.n && kf_learn_read(&l->learn, text.p, text.n, "what was denied", NULL, NULL,
				     &lines, err) < 0))
		return -1;
	*ret_any = lines > 0;
	if (lost && !lines)
		return kf_fail(err, ENOBUFS,
			       "what was denied is not known: the kernel's audit log lost records "
			       "meanwhile, of whomever; run it again when less is denied on this "
			       "machine, or learn without --enforce");
	if (lost)
		kf_print_line(stderr, "the kernel's audit log lost records meanwhile, of whomever: "
				      "what is written may lack something; run it again when less "
				      "is denied on this machine");
	return 0;
}

static int after_run(void *ctx, const struct try_stage *stage, const struct try_container *c,
		     struct kf_err *err)
{
	struct learner *l = ctx;

	if (l->o->enforce) {
		bool any;

		if (take_denied(l, stage, &any, err) < 0)
			return -1;
		if (!any) {
			kf_print_line(stderr, "nothing was denied under %s: no profile is written",
				      l->world.base.name);
			return 0;
		}
		return learn_world_container(&l->world, c, err) < 0 ? -1 : make_profile(l, err);
	}
	return learn_watch_finish(&l->watch, &l->learn, err) < 0 ||
			       learn_world_container(&l->world, c, err) < 0
		       ? -1
		       : make_profile(l, err);
}

static int learn_command(struct learner *l)
{
	const struct try_hooks hooks = {before_run, after_run, l};
	struct learn_options *o = l->o;

	if (!o->run.profile)
		o->run.profile = BASE;
	if (learn_world_init(&l->world, &o->run) != KF_EXIT_OK)
		return KF_EXIT_FAILED;
	if (!o->enforce) {
		o->run.plain = true;
		o->run.profile = NULL;
		o->run.dirs.n = 0;
	}
	return try_run(&o->run, &hooks);
}

/* ---- from denials ---- */

/* Append what is left of @fd. */
static int read_denials(int fd, const char *name, struct kf_buf *text, struct kf_err *err)
{
	ssize_t n;

	do {
		char *to = kf_buf_extend(text, 64 * 1024);

		if (!to)
			return kf_fail(err, EFBIG, "'%s' is larger than %d MiB", name,
				       FEED_MAX / 1024 / 1024);
		n = read(fd, to, 64 * 1024);
		text->n -= (size_t)(64 * 1024 - (n > 0 ? n : 0));
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? kf_fail_sys(err, "read '%s'", name) : 0;
}

/* What "kubefence denials" keeps on this node, the older file first. */
static int read_kept(const char *dir, const char *pod, struct kf_buf *text, struct kf_err *err)
{
	static const char *const names[] = {KF_DENIALS_LOG, KF_DENIALS_OLD};
	int fds[KF_ARRAY_SIZE(names)] = {-1, -1}, r = 0;
	char path[PATH_MAX];

	/* The newer one is opened first: if it is put aside meanwhile, nothing is missed. */
	for (size_t i = 0; i < KF_ARRAY_SIZE(names) && r == 0; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		fds[i] = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (fds[i] < 0 && errno != ENOENT)
			r = kf_fail_sys(err, "open '%s'", path);
	}
	if (r == 0 && fds[0] < 0 && fds[1] < 0)
		r = kf_fail(err, ENOENT,
			    "nothing was kept in '%s': does 'kubefence denials' run on this node? "
			    "Elsewhere, 'kubectl nono suggest %s' asks the cluster, and --from "
			    "takes a file of denials",
			    dir, pod);
	for (size_t i = KF_ARRAY_SIZE(names); i-- > 0;) {
		if (fds[i] >= 0 && r == 0)
			r = read_denials(fds[i], names[i], text, err);
		if (fds[i] >= 0)
			(void)close(fds[i]);
	}
	return r;
}

static int read_feed(const struct learn_options *o, struct kf_buf *text, struct kf_err *err)
{
	KF_CLOSE int fd = -1;

	if (!o->from)
		return read_kept(o->kept, o->pod, text, err);
	if (strcmp(o->from, "-") == 0)
		return read_denials(STDIN_FILENO, "standard input", text, err);
	fd = open(o->from, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? kf_fail_sys(err, "read '%s'", o->from)
		      : read_denials(fd, o->from, text, err);
}

static int learn_feed(struct learner *l)
{
	const struct learn_options *o = l->o;
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(FEED_MAX);
	const char *name = !o->from		       ? o->kept
			   : strcmp(o->from, "-") == 0 ? "standard input"
						       : o->from;
	struct kf_err err;
	size_t lines;

	if (read_feed(o, &text, &err) < 0)
		return kf_command_fail("%s", err.msg);
	if (kf_learn_read(&l->learn, text.n ? text.p : "", text.n, name, o->namespace_, o->pod,
			  &lines, &err) < 0)
		return kf_command_fail("%s", err.msg);
	if (!lines)
		return kf_command_fail("'%s' has no denial%s%s", name, o->pod ? " of pod " : "",
				       o->pod ? o->pod : "");
	if (!l->o->run.profile)
		l->o->run.profile =
			kf_profile_name_valid(l->learn.profile) ? l->learn.profile : BASE;
	if (learn_world_init(&l->world, &o->run) != KF_EXIT_OK)
		return KF_EXIT_FAILED;
	learn_world_plain(&l->world, o->run.user.uid, o->run.workdir, &o->run.env);
	return make_profile(l, &err) < 0 ? kf_command_fail("%s", err.msg) : KF_EXIT_OK;
}

/* ---- command line ---- */

static int check_line(const struct learn_options *o)
{
	const bool feed = o->from || o->pod;
	char name[KF_LIMIT_PROFILE_NAME + 1];
	struct stat st;

	if (feed == (o->run.ncommand > 0))
		return kf_command_usage("give one of: a COMMAND to run, --pod POD that was denied "
					"something on this node, --from FILE with denials");
	if (feed && o->enforce)
		return kf_command_usage("--enforce runs a COMMAND");
	if (!feed && o->namespace_)
		return kf_command_usage("--namespace is of --pod, and chooses among the denials of "
					"--from");
	if (!kf_profile_file_name(kf_path_base(o->to), name, sizeof(name)))
		return kf_command_usage("--to '%s': a profile's file is called NAME.json", o->to);
	if (lstat(o->to, &st) == 0)
		return kf_command_usage("--to '%s': there is such a file already", o->to);
	return KF_EXIT_OK;
}

static int run_learn(const struct kf_command *self, int argc, char **argv)
{
	struct learn_options o = {.to = "learned.json", .kept = KF_DENIALS_DIR};
	struct learner l = {.o = &o};
	struct kf_arguments arguments;
	struct kf_err err;
	int status;

	try_options_init(&o.run);
	if (!kf_command_parse(self, argc, argv, &o, &arguments, &status))
		return status;
	o.run.command = arguments.v;
	o.run.ncommand = arguments.n;
	status = check_line(&o);
	if (status != KF_EXIT_OK)
		return status;
	if (kf_learn_init(&l.learn, &err) < 0)
		return kf_command_fail("%s", err.msg);
	status = o.run.ncommand ? learn_command(&l) : learn_feed(&l);
	learn_world_done(&l.world);
	kf_learn_done(&l.learn);
	return status;
}

#define OPTION(letter_, name_, value_, kind_, member, help_)                                   \
	{                                                                                      \
		.letter = (letter_), .name = (name_), .kind = KF_OPTION_##kind_,               \
		.value = (value_), KF_OPTION_AT(struct learn_options, member), .help = (help_) \
	}

static const struct kf_option options[] = {
	OPTION('t', "to", "FILE", STRING, to, "where the profile goes (default: learned.json)"),
	TRY_ROW('p', "profile", "PROFILE", STRING, profile,
		"profile to build on, a name or a file NAME.json (default: " BASE ", or what "
		"the first denial was under)"),
	OPTION(0, "enforce", NULL, SET, enforce,
	       "run COMMAND in the sandbox of PROFILE, and learn from what the kernel's audit log "
	       "says was denied (Linux 6.15)"),
	OPTION(0, "seen", "FILE", STRING, seen,
	       "write there what was used as well, a JSON object a line, for --from"),
	OPTION(0, "allow-sensitive", NULL, SET, allow_sensitive,
	       "grant keys, tokens and the like as well, if they were used"),
	OPTION('f', "from", "FILE", STRING, from,
	       "learn from denials, as 'kubefence denials' writes them, instead of a command; "
	       "'-': standard input"),
	OPTION(0, "pod", "POD", STRING, pod,
	       "learn from what 'kubefence denials' kept of this pod on this node, or with --from "
	       "of that file"),
	OPTION('n', "namespace", "NAMESPACE", STRING, namespace_,
	       "with --pod or --from: only those of this namespace"),
	OPTION(0, "directory", "DIR", PLACE, kept,
	       "where 'kubefence denials' keeps them (default: " KF_DENIALS_DIR ")"),
	TRY_ROWS,
	{0},
};

const struct kf_command kf_cmd_learn = {
	.name = "learn",
	.summary = "write the profile that a command needs",
	.arguments = "[--] [COMMAND [ARGUMENT...]]",
	.max = INT_MAX,
	.about = "Runs COMMAND as a container of this machine, watches which files and ports it\n"
		 "uses, and writes a profile with what PROFILE lacks of that: directories where\n"
		 "these are hardly more than what was used in them, and no keys or tokens. The\n"
		 "container is not sandboxed meanwhile, unless --enforce is given: run only what\n"
		 "you trust, and let a pod's denials (--pod) tell of the rest. Nothing that "
		 "COMMAND\n"
		 "writes to the root file system stays. Needs root.",
	.after = "The exit status is COMMAND's own, or 0 with --pod and --from; 1 if no profile\n"
		 "was written, 2 if this command line is wrong.",
	.options = options,
	.style = KF_OPTIONS_STOP,
	.run = run_learn,
};
