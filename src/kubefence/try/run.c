/* SPDX-License-Identifier: Apache-2.0 */
/* Running one container of this machine in the sandbox, or without it: the order of the steps.  The
 * temporary directory is made in stage.c, the bundle in bundle.c, and the plugin is spoken to in
 * nri.c. */
#include "kubefence/try/run.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "cli/print.h"
#include "config/runtime_text.h"
#include "flat/launcher.h"
#include "kubefence/try/egress.h"
#include "kubefence/try/nri.h"
#include "plan/plan.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Command line, environment and volumes, as the kernel hands them to us, and the plan. */
#define MEMORY_MAX (16 * 1024 * 1024)
#define GUARD_DIR  "kubefence" /* in the stage; stands for /opt/kubefence of a node */
#define TOKEN_DIR  "/var/run/secrets/kubernetes.io/serviceaccount"

int try_take_user(void *target, const char *s, struct kf_err *err)
{
	struct try_user *user = target;
	unsigned long uid, gid;
	char *end;

	errno = 0;
	uid = strtoul(s, &end, 10);
	if (end == s || errno || uid >= UINT32_MAX || *s == '-')
		goto bad;
	gid = uid;
	if (*end == ':') {
		const char *group = end + 1;

		gid = strtoul(group, &end, 10);
		if (end == group || errno || gid >= UINT32_MAX || *group == '-')
			goto bad;
	}
	if (*end)
		goto bad;
	*user = (struct try_user){(uint32_t)uid, (uint32_t)gid};
	return 0;
bad:
	return kf_fail(err, EINVAL, "'%s' must be UID or UID:GID", s);
}

void try_options_init(struct try_options *o)
{
	*o = (struct try_options){.rootfs = "/", .runtime = "runc"};
	o->env = (struct kf_option_list)KF_OPTION_LIST(o->env_v);
	o->volumes = (struct kf_option_list)KF_OPTION_LIST(o->volumes_v);
	o->dirs = (struct kf_option_list)KF_OPTION_LIST(o->dirs_v);
	o->secrets = (struct kf_option_list)KF_OPTION_LIST(o->secrets_v);
}

/* Check the options that have values of a form.  KF_EXIT_OK, or the exit code. */
static int check_run(const struct try_options *o)
{
	for (size_t i = 0; i < o->env.n; i++)
		if (!strchr(o->env.v[i], '=') || *o->env.v[i] == '=')
			return kf_command_usage("--env '%s': must be KEY=VALUE", o->env.v[i]);
	for (size_t i = 0; i < o->secrets.n; i++) {
		const char *dir = strchr(o->secrets.v[i], '=');

		if (!dir || dir == o->secrets.v[i] || !dir[1])
			return kf_command_usage("--secret '%s': must be NAME=DIR", o->secrets.v[i]);
	}
	if (o->plain && (o->profile || o->dirs.n || o->no_guard || o->secrets.n || o->ca))
		return kf_command_usage("--plain runs without the sandbox; it goes with neither "
					"--profile, --dir, --no-guard, --secret nor --ca");
	if (o->no_guard && (o->secrets.n || o->ca))
		return kf_command_usage("--secret and --ca are for the egress broker, which needs "
					"the guard; they do not go with --no-guard");
	return KF_EXIT_OK;
}

/* Compile the profile, also one that the launcher brings: whether it has hosts is to be known. */
static int compile_profile(struct try_options *o, struct kf_profiles *profiles)
{
	const char *what = o->profile ? o->profile : "default";
	struct kf_err err;
	int r;

	if (o->plain)
		return KF_EXIT_OK;
	o->own = o->dirs.n || kf_profiles_is_file(what);
	if (kf_profiles_add_dirs(profiles, &o->dirs, &err) < 0)
		return kf_command_fail("%s", err.msg);
	r = kf_profiles_compile(profiles, what, &o->compiled, &err);
	if (kf_profiles_report(profiles) == 0 && r < 0)
		return kf_command_fail("%s", err.msg);
	if (r == 0 && o->own)
		o->profile = o->compiled.name;
	if (r == 0 && (o->secrets.n || o->ca) && !try_egress_needed(&o->compiled))
		return kf_command_usage("--secret and --ca are for the egress broker, and profile "
					"'%s' has neither hosts nor credentials",
					o->compiled.name);
	return r < 0 ? KF_EXIT_FAILED : KF_EXIT_OK;
}

int try_prepare(struct try_options *o, struct kf_profiles *profiles)
{
	const int status = check_run(o);

	return status == KF_EXIT_OK ? compile_profile(o, profiles) : status;
}

/* Find the absolute path of @name, which is looked up in PATH if it has no slash. */
static int find_program(const char *name, char ret[static PATH_MAX], struct kf_err *err)
{
	const char *path = strchr(name, '/') ? "" : getenv("PATH");
	char candidate[PATH_MAX];

	for (path = path ? path : ""; path; path = strchr(path, ':'), path += path ? 1 : 0) {
		size_t n = strcspn(path, ":");

		if ((size_t)snprintf(candidate, sizeof(candidate), "%.*s%s%s", (int)n, path,
				     n ? "/" : "", name) < sizeof(candidate) &&
		    access(candidate, X_OK) == 0 && realpath(candidate, ret))
			return 0;
	}
	return kf_fail(err, ENOENT,
		       "OCI runtime '%s' not found; install it or name another one with "
		       "--runtime",
		       name);
}

/* Add SRC:DST[:ro] as a bind mount. */
static int add_volume(const char *spec, struct try_container *c, struct kf_arena *arena,
		      struct kf_err *err)
{
	static const char *const rw[] = {"rbind", "rprivate", "rw"}, *const ro[] = {"rbind",
										    "rprivate",
										    "ro"};
	char *source = kf_arena_strdup(arena, spec), *destination, *option, *real;
	struct stat st;

	if (!source)
		return kf_fail_nomem(err, "volume");
	destination = strchr(source, ':');
	if (!destination || destination[1] != '/')
		return kf_fail(err, EINVAL,
			       "volume '%s': must be SRC:DST[:ro] with an absolute DST", spec);
	*destination++ = '\0';
	option = strchr(destination, ':');
	if (option)
		*option++ = '\0';
	if (option && strcmp(option, "ro") != 0)
		return kf_fail(err, EINVAL, "volume '%s': unknown option '%s' (there is only 'ro')",
			       spec, option);
	real = realpath(source, NULL);
	if (!real || stat(real, &st) < 0) {
		free(real);
		return kf_fail_sys(err, "volume '%s'", source);
	}
	source = kf_arena_strdup(arena, real);
	free(real);
	if (!source)
		return kf_fail_nomem(err, "volume");
	c->mounts[c->nmounts++] = (struct kf_view_mount){
		.destination = destination,
		.type = "bind",
		.source = source,
		.options = option ? ro : rw,
		.noptions = KF_ARRAY_SIZE(rw),
	};
	return 0;
}

static int describe_container(const struct try_options *o, const struct try_stage *stage,
			      struct kf_arena *arena, struct try_container *c, struct kf_err *err)
{
	static const char *const env[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOSTNAME=" TRY_POD,
	};
	struct kf_view_annotation *annotation = kf_arena_calloc(arena, 1, sizeof(*annotation));
	size_t nenv = KF_ARRAY_SIZE(env);

	*c = (struct try_container){
		.id = kf_arena_printf(arena, "kubefence-try-%ld", (long)getpid()),
		.rootfs = kf_arena_printf(arena, "%s/rootfs", stage->dir),
		.cwd = o->workdir ? o->workdir : "/",
		.uid = o->user.uid,
		.gid = o->user.gid,
		.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
		.args = kf_arena_calloc(arena, (size_t)o->ncommand, sizeof(*c->args)),
		.nargs = (size_t)o->ncommand,
		.env = kf_arena_calloc(arena, nenv + o->env.n + 1, sizeof(*c->env)),
		/* More: a token, and what the egress broker needs. */
		.mounts = kf_arena_calloc(arena, try_nbase_mounts + TRY_VOLUMES_MAX + 2,
					  sizeof(*c->mounts)),
		.nmounts = try_nbase_mounts,
		.annotations = annotation,
	};
	if (!annotation || !c->id || !c->rootfs || !c->args || !c->env || !c->mounts)
		return kf_fail_nomem(err, "try");
	memcpy(c->args, o->command, c->nargs * sizeof(*c->args));
	memcpy(c->env, env, sizeof(env));
	memcpy(c->env + nenv, o->env.v, o->env.n * sizeof(*c->env));
	c->nenv = nenv + o->env.n;
	if (c->terminal) {
		const char *term = getenv("TERM");

		c->env[c->nenv] = kf_arena_printf(arena, "TERM=%s", term ? term : "linux");
		if (!c->env[c->nenv++])
			return kf_fail_nomem(err, "try");
	}
	memcpy(c->mounts, try_base_mounts, try_nbase_mounts * sizeof(*c->mounts));
	if (o->profile) {
		*annotation = (struct kf_view_annotation){KF_ANNOTATION_PROFILE, o->profile};
		c->nannotations = 1;
	}
	for (size_t i = 0; i < o->volumes.n; i++)
		if (add_volume(o->volumes.v[i], c, arena, err) < 0)
			return -1;
	if (o->token) {
		const char *spec = kf_arena_printf(arena, "%s/token:" TOKEN_DIR ":ro", stage->dir);

		if (try_stage_file(stage, "token/token", "not-a-real-token\n", err) < 0 ||
		    try_stage_file(stage, "token/namespace", TRY_NAMESPACE "\n", err) < 0)
			return -1;
		if (!spec || add_volume(spec, c, arena, err) < 0)
			return spec ? -1 : kf_fail_nomem(err, "try");
	}
	return 0;
}

/* Put the guard, and the file that names the real runtime behind it, below @node_dir as on a node.
 * *ret is the program to run instead of the runtime. */
static int set_up_guard(const struct try_stage *stage, const char *node_dir, const char *runtime,
			struct kf_arena *arena, const char **ret, struct kf_err *err)
{
	struct kf_runtime entry = {TRY_HANDLER, NULL};
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(KF_LIMIT_CONFIG);
	char real[PATH_MAX];

	if (find_program(runtime, real, err) < 0)
		return -1;
	entry.path = real;
	if (kf_runtimes_format(&entry, 1, &text, err) < 0 ||
	    try_stage_program(stage, "nono-runc", GUARD_DIR "/bin/nono-runc", err) < 0 ||
	    try_stage_file(stage, GUARD_DIR "/runtime", text.p, err) < 0)
		return -1;
	*ret = kf_arena_printf(arena, "%s/bin/nono-runc", node_dir);
	return *ret ? 0 : kf_fail_nomem(err, "try");
}

/* Put the profile beside the launcher, where it is then the only one. */
static int publish_own(const struct try_stage *stage, const struct kf_compiled *own,
		       struct kf_arena *arena, struct kf_err *err)
{
	const char *file = kf_arena_printf(arena, "nono/profiles/%s", own->name);

	return file ? try_stage_file(stage, file, own->text, err) : kf_fail_nomem(err, "try");
}

/* Start the plugin with a configuration, ask it about the container, and put its answer into @c. */
static int ask_plugin(const struct try_stage *stage, const struct try_options *o,
		      const char *node_dir, struct try_container *c, struct kf_arena *arena,
		      struct try_nri **ret, struct kf_err *err)
{
	const struct kf_compiled *profile = &o->compiled;
	const char *socket_path = kf_arena_printf(arena, "%s/nri.sock", stage->dir);
	const char *config = kf_arena_printf(arena,
					     "runtime_classes = [\"" TRY_HANDLER "\"]\n"
					     "default_profile = \"%s\"\n"
					     "nono_bin_path = \"%s/nono/nono\"\n"
					     "socket_path = \"%s\"\n"
					     "egress = %s\n",
					     o->own ? profile->name : "default", stage->dir,
					     socket_path ? socket_path : "",
					     try_egress_needed(profile) ? "true" : "false");

	if (!socket_path || !config)
		return kf_fail_nomem(err, "try");
	if (o->own && publish_own(stage, profile, arena, err) < 0)
		return -1;
	if (try_stage_program(stage, "nono", "nono/nono", err) < 0 ||
	    try_stage_program(stage, "nono-bwrap", "nono/" KF_LAUNCHER_INNER "/bwrap", err) < 0 ||
	    try_stage_program(stage, "nono-nri", "bin/nono-nri", err) < 0 ||
	    try_stage_file(stage, "etc/10-nono-nri.toml", config, err) < 0 ||
	    try_nri_start(stage, "etc/10-nono-nri.toml", node_dir, socket_path, ret, err) < 0)
		return -1;
	return try_nri_create(*ret, c, arena, err);
}

static volatile sig_atomic_t runtime_pid;

static void forward_signal(int sig)
{
	if (runtime_pid > 0)
		(void)kill((pid_t)runtime_pid, sig);
}

/* Delete the container: "run" ends without that, and the guard removes only then what it left on
 * volumes. */
static void delete_container(const char *runtime, const char *root, const char *id)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp(runtime, runtime, "--root", root, "delete", "--force", id, (char *)NULL);
		_exit(KF_EXIT_FAILED);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Run the bundle in the foreground; returns the container's exit status. */
static int run_bundle(const struct try_stage *stage, const char *runtime,
		      const struct try_container *c, struct kf_err *err)
{
	char root[PATH_MAX], bundle[PATH_MAX], pid_file[PATH_MAX];
	KF_CLOSE int dir = -1;
	pid_t pid, parent = getpid();
	int status;

	(void)snprintf(root, sizeof(root), "%s/runc", stage->dir);
	(void)snprintf(bundle, sizeof(bundle), "%s/bundle", stage->dir);
	(void)snprintf(pid_file, sizeof(pid_file), "%s/" TRY_PID_FILE, stage->dir);
	if (mkdir(bundle, 0700) < 0)
		return kf_fail_sys(err, "create '%s'", bundle);
	dir = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return kf_fail_sys(err, "open '%s'", bundle);
	if (try_bundle_write(c, dir, err) < 0)
		return -1;
	/* Ignore interrupts: they reach the container through its terminal or the process group. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGQUIT, SIG_IGN);
	pid = fork();
	if (pid < 0)
		return kf_fail_sys(err, "fork");
	if (pid == 0) {
		(void)signal(SIGINT, SIG_DFL);
		(void)signal(SIGQUIT, SIG_DFL);
		if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
			_exit(KF_EXIT_FAILED);
		execlp(runtime, runtime, "--root", root, "run", "--bundle", bundle, "--pid-file",
		       pid_file, c->id, (char *)NULL);
		(void)kf_command_fail("cannot execute '%s': %s; install it or name another one "
				      "with --runtime",
				      runtime, strerror(errno));
		_exit(KF_EXIT_FAILED);
	}
	runtime_pid = pid;
	(void)signal(SIGTERM, forward_signal);
	(void)signal(SIGHUP, forward_signal);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return kf_fail_sys(err, "wait for '%s'", runtime);
	runtime_pid = 0;
	delete_container(runtime, root, c->id);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What one run has started. */
struct try_running {
	struct try_stage stage;
	struct try_container c;
	struct try_nri *nri;
	struct try_egress egress;
};

/* The sandbox, as on a node: the guard in front of the runtime, the egress broker if the profile
 * has hosts, and the plugin's answer. */
static int add_sandbox(const struct try_options *o, struct try_running *r, struct kf_arena *arena,
		       const char **ret_runtime, struct kf_err *err)
{
	const char *node_dir = "";

	if (!o->no_guard) {
		node_dir = kf_arena_printf(arena, "%s/" GUARD_DIR, r->stage.dir);
		if (!node_dir)
			return kf_fail_nomem(err, "try");
		if (set_up_guard(&r->stage, node_dir, o->runtime, arena, ret_runtime, err) < 0)
			return -1;
		if (try_egress_needed(&o->compiled) &&
		    try_egress_start(&r->stage, o, &r->c, arena, &r->egress, err) < 0)
			return -1;
	}
	return ask_plugin(&r->stage, o, node_dir, &r->c, arena, &r->nri, err);
}

static int run_all(const struct try_options *o, const struct try_hooks *hooks,
		   struct try_running *r, struct kf_arena *arena, struct kf_err *err)
{
	const char *runtime = o->runtime;
	int status;

	if (try_stage_init(&r->stage, err) < 0 || try_stage_rootfs(&r->stage, o->rootfs, err) < 0 ||
	    describe_container(o, &r->stage, arena, &r->c, err) < 0)
		return -1;
	if (hooks && hooks->before(hooks->ctx, &r->stage, &r->c, err) < 0)
		return -1;
	if (!o->plain && add_sandbox(o, r, arena, &runtime, err) < 0)
		return -1;
	status = run_bundle(&r->stage, runtime, &r->c, err);
	try_egress_stop(&r->egress);
	if (status < 0)
		return -1;
	if (hooks)
		return hooks->after(hooks->ctx, &r->stage, &r->c, err) < 0 ? -1 : status;
	return try_egress_report_stage(&r->stage, err) < 0 ? -1 : status;
}

int try_run(struct try_options *o, const struct try_hooks *hooks)
{
	KF_CLEANUP(kf_profiles_done) struct kf_profiles profiles;
	KF_CLEANUP(kf_arena_done) struct kf_arena arena;
	struct try_running r = {.c = {.id = ""}};
	struct kf_err err = {0};
	int status;

	kf_arena_init(&arena, MEMORY_MAX);
	kf_profiles_init(&profiles);
	status = try_prepare(o, &profiles);
	if (status != KF_EXIT_OK)
		return status;
	status = run_all(o, hooks, &r, &arena, &err);
	try_egress_stop(&r.egress);
	try_nri_stop(r.nri, &r.c);
	try_stage_done(&r.stage);
	return status < 0 ? kf_command_fail("%s", err.msg) : status;
}
