/* SPDX-License-Identifier: Apache-2.0 */
/* "nono why": says which rule decides about a path (grants/decide.c), and what to do instead. */
#include "base/cleanup.h"
#include "base/escape.h"
#include "base/path.h"
#include "flat/launcher.h"
#include "flat/name.h"
#include "grants/decide.h"
#include "nono/command.h"
#include "nono/options.h"
#include "nono/report.h"
#include "nono/source.h"
#include "sandbox/landlock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAYS_MAX   4
/* Variables that paths of a policy refer to. */
#define STARTS_MAX 8

struct why {
	struct kf_verdict d;
	struct kf_scene scene;
	struct kf_tree tree; /* the container's, seen from inside the sandbox */
	const struct kf_nono_options *options;
	struct kf_policy policy;
	struct kf_vars vars;
	char ways[WAYS_MAX][PATH_MAX]; /* where the same is granted, and works */
	size_t nways;
};

/* A directory that is granted for what was asked is where to do it instead, if the owner and
 * mode of its own let that be done. */
static void note_way(struct why *why, const struct kf_grant *grant)
{
	const char *real = grant->real;
	struct stat st;

	if (why->nways == WAYS_MAX || !grant->rule || why->d.access != KF_FS_WRITE ||
	    (grant->access & KF_GRANT_LIST) || !(grant->access & KF_FS_WRITE) ||
	    kf_path_under(real, "/proc") || kf_path_under(real, "/dev") ||
	    fstat(grant->fd, &st) < 0 || !S_ISDIR(st.st_mode) || access(real, W_OK | X_OK) < 0)
		return;
	for (size_t i = 0; i < why->nways; i++)
		if (strcmp(why->ways[i], real) == 0)
			return;
	memcpy(why->ways[why->nways++], real, strlen(real) + 1);
}

static int hear_grant(struct kf_grant_sink *sink, const struct kf_grant *grant, struct kf_err *err)
{
	note_way((struct why *)sink, grant);
	return kf_decide_grant(sink, grant, err);
}

/* Where the variables of the policy lead is as it was when the first process started, wherever the
 * asker is.  @text: the guard's file, which stays. */
static void take_start(struct why *why, char *text)
{
	static char *variables[STARTS_MAX + 2];
	char *home = getenv("HOME"), *next;
	size_t n = 0;
	int uid;

	for (char *line = text; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (strncmp(line, "uid ", 4) == 0 && kf_nono_parse_fd(line + 4, &uid))
			why->vars.uid = (uid_t)uid;
		else if (strncmp(line, "WORKDIR=", 8) == 0)
			why->vars.workdir = line + 8;
		else if (n < STARTS_MAX)
			variables[n++] = line;
	}
	/* One that is not said was not set; but the runtime knows a home, if nobody else does. */
	if (home)
		variables[n++] = home - strlen("HOME=");
	why->vars.env = variables;
}

/* The policy that was asked for; else the one in force: what the guard left beside the launcher,
 * or what the plugin has named in the environment.  Who changes that has only himself to blame. */
static int load_policy(struct why *why, struct kf_err *err)
{
	static struct kf_nono_self self;
	const struct kf_nono_options *options = why->options;
	const char *name = options->profile;
	struct kf_domain domain;
	char *start = NULL;
	int r = 1;

	if (kf_nono_self_find(&self, err) < 0 || kf_vars_init(&why->vars, err) < 0 ||
	    kf_decide_place(&kf_tree_live, options->path, why->vars.workdir, why->d.path, err) < 0)
		return -1;
	if (options->policy_fd < 0)
		r = kf_nono_source_in_force(&self, &why->policy, &start, err);
	if (r < 0)
		return -1;
	if (start)
		take_start(why, start);
	if (r == 0 && !name)
		return 0;
	if (!name)
		name = getenv(KF_ENV_PROFILE);
	if (!name || !kf_profile_name_valid(name))
		name = "default";
	return kf_nono_source_policy(&self, name, options->policy_fd, &why->policy, &domain, err);
}

/* What is answered. */
struct words {
	char reason[2 * PATH_MAX];
	char note[PATH_MAX + 192], ask[2 * PATH_MAX];
};

/* " (policy line 7)" behind what is in @out already, if @rule is one of the policy. */
static void add_line(char *out, size_t size, const struct kf_rule *rule)
{
	const size_t n = strlen(out);

	if (rule)
		(void)snprintf(out + n, size - n, " (policy line %u)", rule->line);
}

static void give_reason(const struct why *why, struct words *v)
{
	const struct kf_verdict *d = &why->d;
	const char *name = why->policy.name;
	KF_UNINIT char shown[PATH_MAX];

	switch (d->how) {
	case KF_DECIDED_GRANT:
		(void)snprintf(v->reason, sizeof(v->reason), "profile %s grants %s on %s", name,
			       kf_nono_report_access(d->granted), kf_nono_shown(d->by, shown));
		break;
	case KF_DECIDED_LIST:
		(void)snprintf(
			v->reason, sizeof(v->reason),
			"profile %s lets every directory be listed; its files cannot be read",
			name);
		return;
	case KF_DECIDED_DENY:
	case KF_DECIDED_READONLY:
		(void)snprintf(v->reason, sizeof(v->reason), "profile %s has fs %s %s", name,
			       d->how == KF_DECIDED_DENY ? "deny" : "readonly",
			       kf_nono_shown(d->rule->arg, shown));
		break;
	default:
		(void)snprintf(v->reason, sizeof(v->reason), "no rule of profile %s grants it%s",
			       name,
			       d->listed && d->access == KF_FS_READ
				       ? " (directories can be listed, files not read)"
				       : "");
		return;
	}
	add_line(v->reason, sizeof(v->reason), d->rule);
}

/* Whether the work directory is a linked git worktree of a repository in which the place lies; its
 * file .git says where that is. */
static bool find_repository(const struct why *why, char out[static PATH_MAX])
{
	static const char key[] = "gitdir: ", below[] = "/worktrees/";
	const char *workdir = why->vars.workdir;
	KF_UNINIT char line[PATH_MAX];
	KF_CLOSE int fd = -1;
	char *end = line;
	struct kf_err err;
	ssize_t n;

	if ((size_t)snprintf(line, sizeof(line), "%s/.git", workdir) >= sizeof(line))
		return false;
	fd = kf_open(AT_FDCWD, line, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	n = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);
	line[n < 0 ? 0 : n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, key, strlen(key)) != 0)
		return false;
	for (char *next = line; (next = strstr(next, below)); next++)
		end = next;
	*end = '\0';
	return end != line &&
	       kf_decide_place(&kf_tree_live, line + strlen(key), workdir, out, &err) == 0 &&
	       kf_path_under(why->d.path, out);
}

/* Who can change it, and what to ask them for. */
static void ask_for(const struct why *why, struct words *v)
{
	const char *list = why->d.access & (KF_FS_READ | KF_FS_EXEC) ? "read" : "write";
	KF_UNINIT char path[PATH_MAX], real[PATH_MAX];

	(void)kf_nono_shown(why->d.path, path);
	if (!why->d.rule && find_repository(why, real)) {
		(void)kf_nono_shown(real, path);
		(void)snprintf(
			v->ask, sizeof(v->ask),
			"the work directory is a linked worktree of the git repository %s; a "
			"profile that extends %s can add \"filesystem\": {\"allow\": [\"%s\"], "
			"\"readonly\": [\"%s/hooks/\", \"%s/config\"]}; without one, make the "
			"repository the pod's workingDir and keep its worktrees below it",
			path, why->policy.name, path, path, path);
	} else if (why->d.rule)
		(void)snprintf(
			v->ask, sizeof(v->ask),
			"profile %s keeps this from its containers on purpose; its owner can "
			"lift that in a profile of their own (bypass_protection), a pod chooses "
			"one with the annotation " KF_ANNOTATION_PROFILE,
			why->policy.name);
	else
		(void)snprintf(
			v->ask, sizeof(v->ask),
			"whoever owns the pod can mount a volume there if profile %s grants "
			"volumes, or choose another profile (annotation " KF_ANNOTATION_PROFILE
			"); its owner can add \"filesystem\": {\"%s\": [\"%s\"]}",
			why->policy.name, list, path);
}

/* What Landlock lets pass the file's mode or its mount may refuse. */
static void note_others(const struct kf_verdict *d, struct words *v)
{
	static const int modes[] = {[KF_FS_READ] = R_OK, [KF_FS_WRITE] = W_OK, [KF_FS_EXEC] = X_OK};

	if (!d->exists || d->access == KF_LANDLOCK_CONNECT ||
	    access(d->path, modes[d->access]) == 0)
		return;
	if (errno == EROFS)
		(void)snprintf(v->note, sizeof(v->note),
			       "the sandbox lets it pass, but what is mounted there is read-only");
	else if (errno == EACCES)
		(void)snprintf(v->note, sizeof(v->note),
			       "the sandbox lets it pass, but the file's owner and mode refuse it: "
			       "uid %u, mode %04o; you are uid %u",
			       (unsigned)d->st.st_uid, (unsigned)d->st.st_mode & 07777,
			       (unsigned)geteuid());
}

/* Process 1 cannot be looked at from inside the sandbox; but whether /proc was granted for writing
 * the kernel says: a file there that every process has, which opening does not change. */
static const char *shared_inside(const struct kf_tree *tree)
{
	const char *shared = kf_tree_live.shared(tree);
	KF_CLOSE int own = -1;

	if (!shared || prctl(PR_GET_NO_NEW_PRIVS, 0UL, 0UL, 0UL, 0UL) != 1)
		return shared;
	own = kf_open(AT_FDCWD, "/proc/self/comm", O_WRONLY);
	return own < 0 ? shared : NULL;
}

static int decide_access(struct why *why, struct words *v, struct kf_err *err)
{
	struct kf_verdict *d = &why->d;

	why->tree = kf_tree_live;
	why->tree.shared = shared_inside;
	why->scene = (struct kf_scene){
		.tree = &why->tree,
		.policy = &why->policy,
		.vars = &why->vars,
		.options = why->options->grants,
		.noptions = why->options->ngrants,
	};
	d->scene = &why->scene;
	d->sink.grant = hear_grant;
	d->exists = stat(d->path, &d->st) == 0;
	/* A kernel that does not tell is taken to stop what the newest one does. */
	if (kf_landlock_probe(&d->abi, err) < 0)
		d->abi = KF_LANDLOCK_ABI_MAX;
	if (kf_decide(d, true, err) < 0)
		return -1;
	give_reason(why, v);
	if (d->how == KF_DECIDED_SOCKET)
		(void)snprintf(v->note, sizeof(v->note), KF_DECIDE_NOT_STOPPED, d->abi,
			       KF_DECIDE_ABI_SOCKET);
	else if (d->allowed)
		note_others(d, v);
	else
		ask_for(why, v);
	if (!d->allowed && *d->skipped)
		(void)kf_escape(v->note, sizeof(v->note), d->skipped, strlen(d->skipped));
	return 0;
}

static void print_text(const struct why *why, const struct words *v)
{
	KF_UNINIT char path[PATH_MAX];

	kf_nono_print(STDOUT_FILENO, "%s: %s %s: %s\n", why->d.allowed ? "allowed" : "denied",
		      why->options->op, kf_nono_shown(why->d.path, path), v->reason);
	if (*v->note)
		kf_nono_print(STDOUT_FILENO, "note: %s\n", v->note);
	for (size_t i = 0; !why->d.allowed && i < why->nways; i++)
		kf_nono_print(STDOUT_FILENO, "%s%s%s", i ? ", " : "instead: use ",
			      kf_nono_shown(why->ways[i], path), i + 1 == why->nways ? "\n" : "");
	if (*v->ask)
		kf_nono_print(STDOUT_FILENO, "to change it: %s\n", v->ask);
}

/* @s, in which nothing but printable characters is left, as a string of JSON. */
static void print_string(const char *before, const char *s)
{
	kf_nono_print(STDOUT_FILENO, "%s\"", before);
	while (*s) {
		const size_t n = strcspn(s, "\"\\");

		kf_nono_print(STDOUT_FILENO, "%.*s", (int)n, s);
		s += n;
		if (*s)
			kf_nono_print(STDOUT_FILENO, "\\%c", *s++);
	}
	kf_nono_print(STDOUT_FILENO, "\"");
}

static void print_json(const struct why *why, const struct words *v)
{
	KF_UNINIT char path[PATH_MAX];

	kf_nono_print(STDOUT_FILENO, "{\"allowed\": %s", why->d.allowed ? "true" : "false");
	print_string(", \"op\": ", why->options->op);
	print_string(", \"path\": ", kf_nono_shown(why->d.path, path));
	print_string(", \"profile\": ", why->policy.name);
	print_string(", \"reason\": ", v->reason);
	if (*v->note)
		print_string(", \"note\": ", v->note);
	kf_nono_print(STDOUT_FILENO, ", \"instead\": [");
	for (size_t i = 0; !why->d.allowed && i < why->nways; i++)
		print_string(i ? ", " : "", kf_nono_shown(why->ways[i], path));
	kf_nono_print(STDOUT_FILENO, "]");
	if (*v->ask)
		print_string(", \"ask\": ", v->ask);
	kf_nono_print(STDOUT_FILENO, "}\n");
}

static int answer_question(struct why *why, struct kf_err *err)
{
	static struct words v;

	if (load_policy(why, err) < 0 || decide_access(why, &v, err) < 0)
		return -1;
	if (why->options->json)
		print_json(why, &v);
	else
		print_text(why, &v);
	return why->d.allowed ? 0 : KF_EXIT_FAILED;
}

int kf_nono_why(char **argv)
{
	static struct why why; /* an initializer would be 30 KiB of the program */
	struct kf_nono_options options;
	struct kf_err err;
	int status;

	if (kf_nono_options_parse(KF_NONO_WHY, argv, &options, &err) < 0)
		return kf_nono_usage(&err);
	if (options.help)
		return kf_nono_help();
	if ((!options.path && kf_fail(&err, EINVAL, "why: --path is missing") < 0) ||
	    (!kf_decide_parse(options.op, &why.d.access) &&
	     kf_fail(&err, EINVAL, "why: --op must be one of " KF_DECIDE_NAMES) < 0))
		return kf_nono_usage(&err);
	why.options = &options;
	status = answer_question(&why, &err);
	if (status < 0) {
		kf_nono_print(STDERR_FILENO, "nono: %s\n", err.msg);
		return KF_EXIT_FAILED;
	}
	return status;
}
