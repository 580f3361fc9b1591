/* SPDX-License-Identifier: Apache-2.0 */
/* src/grants: what a policy makes accessible in a real container, which a child of the test's makes
 * and enters; and which rule decides about a path there.  What Landlock then enforces is tried in
 * tests/sandbox. */
#include "base/cleanup.h"
#include "container.h"
#include "grants/decide.h"
#include "grants/given.h"
#include "grants/grants.h"
#include "grants/volumes.h"
#include "kf_test.h"
#include "policies.h"
#include "refuse.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SAID_MAX  (64 * 1024)
/* Our headers do not have them. */
#define STATMOUNT 457
#define LISTMOUNT 458

/* Each step of a child has a number, which is its status if it fails. */
#define STEP(n, condition)          \
	do {                        \
		if (!(condition))   \
			return (n); \
	} while (0)

static char *const user_env[] = {(char *)"HOME=/home/user", (char *)"TMPDIR=/bin",
				 (char *)"XDG_DATA_HOME=/", (char *)"XDG_CACHE_HOME=relative",
				 NULL};
static char workdir[] = "/work";
static const struct kf_vars vars = {.uid = 0, .workdir = workdir, .env = user_env};
static const struct kf_vars of_user = {.uid = 1000, .workdir = workdir, .env = user_env};

/* ---- the container ---- */

static bool make_socket(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	return fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
}

static bool make_container(void)
{
	return make_dirs("usr usr/bin usr/lib etc home home/user home/user/.ssh home/other "
			 "home/other/.ssh root tmp work work/src work/empty proc dev dev/dri "
			 "dev/pts dev/deep dev/deep/a dev/deep/a/b dev/deep/a/b/c run run/secrets "
			 "srv srv/data srv/ro srv/kept") &&
	       symlink("usr/bin", "bin") == 0 && symlink("/work/src", "work/link") == 0 &&
	       symlink("/nowhere/../work", "odd") == 0 && symlink("/work", "alias") == 0 &&
	       make_file("usr/bin/tool", "#!") && make_file("etc/hosts", "") &&
	       make_file("file", "") && make_file("home/user/.ssh/id", "secret") &&
	       make_file("home/user/notes", "") && make_file("home/other/.ssh/id", "secret") &&
	       make_file("run/secrets/token", "secret") && make_socket("work/src/socket") &&
	       make_device("dev/null", 1, 3) && make_device("dev/zero", 1, 5) &&
	       make_device("dev/dri/card0", 226, 0) && make_device("dev/fuse", 10, 229) &&
	       make_device("dev/deep/a/b/c/d", 10, 1) && symlink("fuse", "dev/link") == 0 &&
	       mount("kf", "srv/data", "tmpfs", 0, NULL) == 0 && make_file("srv/data/x", "") &&
	       mount("kf", "srv/ro", "tmpfs", 0, NULL) == 0 && make_file("srv/ro/x", "") &&
	       mount(NULL, "srv/ro", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0 &&
	       mount("etc/hosts", "etc/hosts", NULL, MS_BIND, NULL) == 0 &&
	       mount("srv/kept", "srv/kept", NULL, MS_BIND, NULL) == 0 &&
	       mount("proc", "proc", "proc", 0, NULL) == 0;
}

/* Close what in /proc is no process's, as runtimes do. */
static bool close_proc(void)
{
	static const char *const paths[] = {"/proc/sys",  "/proc/irq",	"/proc/bus",   "/proc/fs",
					    "/proc/acpi", "/proc/scsi", "/proc/asound"};

	for (size_t i = 0; i < KF_ARRAY_SIZE(paths); i++)
		if (!bind_read_only(paths[i]) && errno != ENOENT)
			return false;
	return mount("/dev/null", "/proc/sysrq-trigger", NULL, MS_BIND, NULL) == 0 ||
	       errno == ENOENT;
}

/* ---- what is told ---- */

struct heard {
	struct kf_grant_sink sink;
	struct kf_buf said;
};

static int hear_grant(struct kf_grant_sink *sink, const struct kf_grant *grant, struct kf_err *err)
{
	static const char *const names[] = {"---", "r--", "-w-", "rw-", "--x", "r-x", "-wx", "rwx"};
	struct heard *h = (struct heard *)sink;

	(void)err;
	kf_buf_addf(&h->said, "%s %s%s%s%s\n",
		    grant->access & KF_GRANT_LIST ? "list" : names[grant->access & 7], grant->path,
		    strcmp(grant->path, grant->real) != 0 ? " at " : "",
		    strcmp(grant->path, grant->real) != 0 ? grant->real : "",
		    grant->access & KF_LANDLOCK_CONNECT ? " connect" : "");
	return 0;
}

static void hear_skip(struct kf_grant_sink *sink, const struct kf_rule *rule, const char *path,
		      const char *why)
{
	struct heard *h = (struct heard *)sink;

	(void)rule;
	kf_buf_addf(&h->said, "not %s: %s\n", path, why);
}

static bool walk_policy(const char *rules, const struct kf_vars *v,
			const struct kf_option_grant *options, size_t noptions, struct heard *ret)
{
	struct kf_policy policy;
	const struct kf_scene scene = {.tree = &kf_tree_live,
				       .policy = &policy,
				       .vars = v,
				       .options = options,
				       .noptions = noptions};
	struct kf_err err;
	int r;

	*ret = (struct heard){.sink = {hear_grant, hear_skip, false},
			      .said = KF_BUF_INIT(SAID_MAX)};
	if (!parse_rules(rules, &policy))
		return false;
	r = kf_grants_walk(&scene, &ret->sink, &err);
	if (r < 0)
		kf_buf_addf(&ret->said, "error: %s\n", err.msg);
	kf_policy_done(&policy);
	return r == 0;
}

/* Whether the policy grants exactly the lines @want, in any order. */
static bool grants_these(const char *rules, const struct kf_vars *v, const char *want)
{
	struct heard h;
	bool ok = walk_policy(rules, v, NULL, 0, &h);
	size_t lines = 0, wanted = 0;
	char line[PATH_MAX + 64];

	for (const char *at = want; *at; at += strcspn(at, "\n") + 1) {
		(void)snprintf(line, sizeof(line), "\n%.*s\n", (int)strcspn(at, "\n"), at);
		wanted++;
		ok = ok &&
		     (strstr(h.said.p, line) || strncmp(h.said.p, line + 1, strlen(line + 1)) == 0);
	}
	for (const char *at = h.said.n ? h.said.p : ""; *at; at++)
		lines += *at == '\n';
	if (!ok || lines != wanted)
		(void)fprintf(stderr, "# %s# heard:\n%s# want:\n%s", rules,
			      h.said.n ? h.said.p : "", want);
	kf_buf_done(&h.said);
	return ok && lines == wanted;
}

/* ---- walks ---- */

static int paths_are_granted_where_they_lie(void)
{
	STEP(1, enter_container(make_container));
	STEP(2, grants_these("fs r /etc\nfs rx /usr\nfs rw $WORKDIR\nfs rwx /missing\n", &vars,
			     "r-- /etc\nr-x /usr\nrw- /work\nnot /missing: does not exist\n"));
	/* A symlink of the policy's may lead into the system, but not make it writable. */
	STEP(3, grants_these("fs rwx /bin\nfs rw /alias\n", &vars,
			     "r-x /bin at /usr/bin\nrw- /alias at /work\n"));
	/* A variable leads nowhere near it. */
	STEP(4, grants_these("fs rwx $TMPDIR\nfs rw $XDG_DATA_HOME\nfs rw $XDG_CACHE_HOME\nfs rw "
			     "$XDG_RUNTIME_DIR\n",
			     &vars,
			     "not /bin: it leads to the system's own directories\n"
			     "not /: it leads to the system's own directories\n"
			     "not $XDG_CACHE_HOME: the variable is not set\n"
			     "not $XDG_RUNTIME_DIR: the variable is not set\n"));
	return 0;
}

static int root_is_granted_entry_by_entry(void)
{
	STEP(1, enter_container(make_container));
	STEP(2, grants_these("fs rx-root\n", &vars,
			     "list /\nr-x /usr\nr-x /etc\nr-x /work\nr-x /srv\nr-x /file\n"
			     "not /bin: granted where it leads\nr-x /alias at /work\n"
			     "not /odd: does not exist\n"));
	return 0;
}

static int homes_are_those_that_there_are(void)
{
	STEP(1, enter_container(make_container));
	STEP(2, grants_these("fs rwx-homes\n", &vars, "rwx /root\nrwx /home\nrwx /home/user\n"));
	STEP(3, grants_these("fs rwx-homes\n", &of_user, "rwx /home/user\n"));
	STEP(4, grants_these("fs rwx-homes\n",
			     &(struct kf_vars){.uid = 1, .workdir = workdir, .env = user_env + 1},
			     "not ~: HOME is not set\n"));
	return 0;
}

static int what_is_denied_is_granted_around(void)
{
	STEP(1, enter_container(make_container));
	STEP(2, grants_these("fs rwx-homes\nfs deny ~/.ssh\n", &of_user,
			     "list /home/user\nrwx /home/user/notes\n"));
	/* Of every user, for root. */
	STEP(3,
	     grants_these("fs rw /home\nfs deny ~/.ssh\n", &vars,
			  "list /home\nlist /home/user\nrw- /home/user/notes\nlist /home/other\n"));
	/* What is empty or not there needs no detour. */
	STEP(4, grants_these("fs rw /work\nfs deny /work/empty\nfs deny /work/none\n", &vars,
			     "rw- /work\n"));
	/* At or below it nothing is granted but an exception. */
	STEP(5, grants_these("fs r /run/secrets/token\nfs rw /run/secrets\nfs deny /run/secrets\n",
			     &vars, "r-- /run/secrets/token\nrw- /run/secrets\n"));
	STEP(6, grants_these("fs rw $HOME/.ssh\nfs deny ~/.ssh\n", &vars,
			     "not /home/user/.ssh: denied\n"));
	/* Through a symlink it is where that leads. */
	STEP(7, grants_these("fs r /work\nfs deny /work/link\n", &vars,
			     "list /work\nr-- /work/empty\n"));
	STEP(8, grants_these("fs w /work\nfs deny /work/src\n", &vars, "-w- /work/empty\n"));
	return 0;
}

static int what_is_read_only_is_not_written(void)
{
	STEP(1, enter_container(make_container));
	STEP(2, grants_these("fs rw /work\nfs readonly /work/src\n", &vars,
			     "list /work\nr-- /work/src\nrw- /work/empty\n"));
	STEP(3, grants_these("fs rw /work/src\nfs w /work/src\nfs readonly /work\n", &vars,
			     "r-- /work/src\nnot /work/src: read-only\n"));
	/* What is mounted read-only is kept by that. */
	STEP(4, grants_these("fs rw /srv\nfs readonly /srv/ro\n", &vars, "rw- /srv\n"));
	return 0;
}

static int more_than_is_looked_at_is_not_granted(void)
{
	char path[64];

	STEP(1, enter_container(make_container));
	for (unsigned i = 0; i < 4200; i++) {
		(void)snprintf(path, sizeof(path), "/work/empty/%u", i);
		STEP(2, make_file(path, ""));
	}
	STEP(3, grants_these("fs rw /work/empty\nfs deny /work/empty/7\n", &vars,
			     "not /work/empty: holds a denied path and too much else: grant parts "
			     "of it instead\n"));
	for (unsigned i = 0; i < 80; i++) {
		(void)snprintf(path, sizeof(path), "/home/u%u", i);
		STEP(4, make_dirs(path));
	}
	/* What is denied in homes that are too many to be known is denied by granting none. */
	STEP(5, grants_these("fs rwx-homes\nfs deny ~/.ssh\n", &vars,
			     "rwx /root\nnot /home: denied\nnot /home/user: denied\n"));
	/* Names in a home that are too many: each rule about it is looked up. */
	for (unsigned i = 0; i < 1100; i++) {
		(void)snprintf(path, sizeof(path), "/root/%u", i);
		STEP(6, make_file(path, ""));
	}
	STEP(7, grants_these("fs r /etc\nfs deny ~/x\n", &vars, "r-- /etc\n"));
	return 0;
}

static int the_command_line_grants_too(void)
{
	const struct kf_option_grant good[] = {{"src", KF_FS_READ, false},
					       {"/file", KF_FS_WRITE, true}},
				     bad[] = {{"/file", KF_FS_READ, false},
					      {"/work", KF_FS_READ, true}};
	const struct kf_vars nowhere = {.workdir = (char *)""};
	struct heard h;

	STEP(1, enter_container(make_container));
	STEP(2, walk_policy("", &vars, good, 2, &h));
	STEP(3, strcmp(h.said.p, "r-- /work/src\n-w- /file\n") == 0);
	kf_buf_done(&h.said);
	for (size_t i = 0; i < 2; i++) {
		STEP(4, !walk_policy("", &vars, &bad[i], 1, &h) && strstr(h.said.p, "a directory"));
		kf_buf_done(&h.said);
	}
	STEP(5, !walk_policy("", &nowhere, good, 1, &h) &&
			strstr(h.said.p, "'src': not a usable path"));
	kf_buf_done(&h.said);
	return 0;
}

/* ---- volumes ---- */

#define VOLUMES "rwx /srv/data connect\nr-x /srv/ro connect\nr-- /etc/hosts connect\n"

static int volumes_are_what_is_mounted(void)
{
	STEP(1, enter_container(make_container));
	STEP(2, grants_these("fs volumes\n", &vars, VOLUMES "rwx /srv/kept connect\n"));
	/* What is bound over itself brings nothing into the container; "fs readonly" needs that. */
	STEP(3, grants_these("fs volumes\nfs readonly /none\n", &vars,
			     "rwx /srv/data connect\nr-x /srv/ro connect\n"));
	STEP(4, grants_these("fs volumes\nfs deny /srv/data\n", &vars,
			     "not /srv/data: denied\nr-x /srv/ro connect\nr-- /etc/hosts "
			     "connect\nrwx /srv/kept connect\n"));
	/* Whoever names it means it. */
	STEP(5, grants_these("fs volumes\nfs r /srv/data\n", &vars,
			     "r-- /srv/data connect\nr-- /srv/data\nr-x /srv/ro connect\nr-- "
			     "/etc/hosts connect\nrwx /srv/kept connect\n"));
	return 0;
}

/* As an older kernel. */
static bool take_away_call(unsigned call)
{
	return refuse_calls(&(struct refusal){call, ANY_OPTION, ENOSYS}, 1);
}

static int an_older_kernel_has_the_same_volumes(void)
{
	STEP(1, enter_container(make_container));
	STEP(2, mkdir("/srv/a b", 0755) == 0 && mount("kf", "/srv/a b", "tmpfs", 0, NULL) == 0);
	STEP(3, take_away_call(STATMOUNT));
	STEP(4, grants_these("fs volumes\n", &vars,
			     VOLUMES "rwx /srv/kept connect\nrwx /srv/a b connect\n"));
	STEP(5, take_away_call(LISTMOUNT));
	STEP(6, grants_these("fs volumes\n", &vars,
			     VOLUMES "rwx /srv/kept connect\nrwx /srv/a b connect\n"));
	STEP(7, take_away_call(SYS_statx));
	STEP(8, grants_these("fs volumes\n", &vars,
			     VOLUMES "rwx /srv/kept connect\nrwx /srv/a b connect\n"));
	return 0;
}

static int many_mounts_are_read_as_text(void)
{
	char path[64];
	struct heard h;
	size_t lines = 0;

	STEP(1, enter_container(make_container));
	for (unsigned i = 0; i < 200; i++) {
		(void)snprintf(path, sizeof(path), "/srv/v%u", i);
		STEP(2, make_dirs(path) && mount("kf", path, "tmpfs", 0, NULL) == 0);
	}
	STEP(3, walk_policy("fs volumes\n", &vars, NULL, 0, &h));
	for (const char *at = h.said.p; *at; at++)
		lines += *at == '\n';
	STEP(4, lines == 204);
	kf_buf_done(&h.said);
	return 0;
}

static int without_proc_there_are_no_volumes(void)
{
	struct heard h;

	STEP(1, enter_container(make_container));
	STEP(2, umount2("/proc", MNT_DETACH) == 0 && take_away_call(LISTMOUNT));
	STEP(3, !walk_policy("fs volumes\n", &vars, NULL, 0, &h));
	STEP(4, strstr(h.said.p, "open /proc/self/mounts: No such file"));
	kf_buf_done(&h.said);
	/* Nor can anybody tell where a symlink leads. */
	STEP(5, grants_these("fs r /alias\n", &vars, "not /alias: cannot tell where it is\n"));
	STEP(6, !walk_policy("fs r /work\nfs deny /work/link\n", &vars, NULL, 0, &h));
	STEP(7, strstr(h.said.p, "is /proc mounted?"));
	kf_buf_done(&h.said);
	return 0;
}

/* ---- /proc and /dev ---- */

static int devices_are_those_that_were_given(void)
{
	struct heard h;

	STEP(1, enter_container(make_container));
	/* Control: of a privileged container, whose /proc is open. */
	STEP(2, grants_these("fs devices\n", &vars, "not /dev: of a privileged container\n"));
	STEP(3, !kf_given_proc_closed() && close_proc() && kf_given_proc_closed());
	/* One lies deeper than is looked. */
	STEP(4, walk_policy("fs devices\n", &vars, NULL, 0, &h));
	STEP(10, strstr(h.said.p, "not /dev: there are too many devices\n") &&
			 !strstr(h.said.p, "deep"));
	kf_buf_done(&h.said);
	STEP(5, unlink("/dev/deep/a/b/c/d") == 0 && rmdir("/dev/deep/a/b/c") == 0);
	STEP(6,
	     grants_these("fs devices\n", &vars, "rw- /dev/dri/card0\nrw- /dev/fuse\nlist /dev\n"));
	STEP(7, kf_given_everywhere("/dev/null") && !kf_given_everywhere("/dev/fuse"));
	STEP(8, unlink("/dev/fuse") == 0 && unlink("/dev/dri/card0") == 0);
	STEP(9, grants_these("fs devices\n", &vars, ""));
	return 0;
}

static int processes_are_the_containers_own(void)
{
	STEP(1, enter_container(make_container));
	STEP(2,
	     grants_these("fs processes\n", &vars,
			  "not /proc: not closed by the runtime, as in privileged containers\n"));
	STEP(3, close_proc());
	STEP(4, grants_these("fs processes\n", &vars,
			     "not /proc: CAP_SYS_ADMIN would look behind what closes it\n"));
	STEP(5, prctl(PR_CAPBSET_DROP, 21, 0, 0, 0) == 0);
	STEP(6, grants_these("fs processes\n", &vars,
			     getpid() == 1 ? "-w- /proc\n"
					   : "not /proc: shows processes of others, too\n"));
	STEP(7, grants_these("fs processes\nfs deny /proc/self/environ\n", &vars,
			     getpid() == 1 ? "not /proc: holds a denied path\n"
					   : "not /proc: shows processes of others, too\n"));
	return 0;
}

/* ---- decisions ---- */

struct question {
	const char *op, *path;
	enum kf_decided how;
	bool allowed;
	unsigned line; /* of the rule that decides; 0: none */
};

static bool answers_these(const char *rules, const struct question *questions, size_t n)
{
	struct kf_policy policy;
	const struct kf_scene scene = {.tree = &kf_tree_live, .policy = &policy, .vars = &vars};
	struct kf_err err;
	bool ok = true;

	if (!parse_rules(rules, &policy))
		return false;
	for (const struct question *q = questions; q < questions + n; q++) {
		struct kf_verdict d = {.scene = &scene, .abi = 8};
		unsigned line;

		if (!kf_decide_parse(q->op, &d.access) ||
		    kf_decide_place(&kf_tree_live, q->path, workdir, d.path, &err) < 0)
			return false;
		d.exists = stat(d.path, &d.st) == 0;
		if (kf_decide(&d, false, &err) < 0)
			return false;
		line = d.rule ? d.rule->line : 0;
		if (d.how == q->how && d.allowed == q->allowed && line == q->line)
			continue;
		(void)fprintf(stderr, "# %s %s: how %d, allowed %d, line %u\n", q->op, q->path,
			      (int)d.how, d.allowed, line);
		ok = false;
	}
	kf_policy_done(&policy);
	return ok;
}

static int each_question_has_its_rule(void)
{
	static const struct question some[] = {
		{"read", "/usr/bin/tool", KF_DECIDED_GRANT, true, 3},
		{"exec", "/bin/tool", KF_DECIDED_GRANT, true, 3},
		{"write", "/bin/tool", KF_DECIDED_NOTHING, false, 0},
		/* Beside what is read-only there only what exists is granted. */
		{"write", "/work/new", KF_DECIDED_NOTHING, false, 0},
		{"write", "empty/new", KF_DECIDED_GRANT, true, 4},
		{"read", "/root/.netrc", KF_DECIDED_NOTHING, false, 0},
		{"read", "/home/user/notes", KF_DECIDED_GRANT, true, 5},
		{"read", "/home/user/.ssh/id", KF_DECIDED_DENY, false, 6},
		{"read", "/home/other/.ssh/id", KF_DECIDED_DENY, false, 6},
		{"read", "/root/.ssh", KF_DECIDED_DENY, false, 6},
		{"write", "/work/src/x", KF_DECIDED_READONLY, false, 7},
		{"read", "/work/src/x", KF_DECIDED_GRANT, true, 4},
		{"read", "/run/secrets/token", KF_DECIDED_GRANT, true, 9},
		{"read", "/run/secrets/other", KF_DECIDED_DENY, false, 8},
		{"read", "/srv/data/x", KF_DECIDED_NOTHING, false, 0},
		{"write", "/srv/data/socket", KF_DECIDED_SOCKET, true, 0},
		{"connect", "/home/user/.ssh/id", KF_DECIDED_DENY, false, 6},
	};
	static const struct question whole[] = {
		{"read", "/tmp", KF_DECIDED_LIST, true, 3},
		{"read", "/root/x", KF_DECIDED_NOTHING, false, 0},
		{"exec", "/usr/bin/tool", KF_DECIDED_GRANT, true, 3},
		{"write", "/proc/self/comm", KF_DECIDED_NOTHING, false, 0},
	};

	STEP(1, enter_container(make_container) && make_socket("/srv/data/socket"));
	STEP(2,
	     answers_these("fs rx /usr\nfs rw $WORKDIR\nfs rw /home\nfs deny ~/.ssh\n"
			   "fs readonly /work/src\nfs deny /run/secrets\nfs r /run/secrets/token\n",
			   some, KF_ARRAY_SIZE(some)));
	STEP(3, answers_these("fs rx-root\nfs processes\n", whole, KF_ARRAY_SIZE(whole)));
	STEP(4, answers_these("fs processes\n",
			      &(struct question){"write", "/proc/self/comm", KF_DECIDED_NOTHING,
						 false, 0},
			      1));
	STEP(5, close_proc() && prctl(PR_CAPBSET_DROP, 21, 0, 0, 0) == 0 && getpid() == 1);
	STEP(6, answers_these("fs processes\n",
			      &(struct question){"write", "/proc/self/comm", KF_DECIDED_GRANT, true,
						 3},
			      1));
	STEP(7, answers_these("fs processes\n",
			      &(struct question){"write", "/proc/meminfo", KF_DECIDED_NOTHING,
						 false, 0},
			      1));
	return 0;
}

/* ---- who enters later ---- */

struct noted {
	struct kf_grant_sink sink;
	struct kf_domain_list list;
};

static int note_object(struct kf_grant_sink *sink, const struct kf_grant *grant, struct kf_err *err)
{
	struct noted *n = (struct noted *)sink;
	struct kf_object object;

	(void)err;
	if (kf_object_at(grant->fd, "", &object) < 0)
		return -1;
	kf_domain_add(&n->list, &object.id, grant->real, grant->access, grant->place);
	return 0;
}

static int who_enters_later_gets_the_same(void)
{
	static _Alignas(8) char text[64 * 1024];
	static const char rules[] = "fs r /etc\nfs rw /work\nfs rw /srv/data\nfs r /proc\nfs "
				    "deny /proc/cmdline\n";
	struct noted noted = {.sink = {.grant = note_object}};
	struct heard h = {.sink = {hear_grant, hear_skip, false}, .said = KF_BUF_INIT(SAID_MAX)};
	int fd = memfd_create("domain", MFD_CLOEXEC);
	struct kf_policy policy, files;
	struct kf_scene scene = {.tree = &kf_tree_live, .policy = &files, .vars = &vars};
	struct kf_domain domain;
	struct kf_err err;
	ssize_t n;

	STEP(1, enter_container(make_container) && parse_rules(rules, &policy));
	STEP(2, parse_rules("fs r /etc\nfs rw /work\nfs rw /srv/data\n", &files));
	STEP(3, kf_domain_begin(fd, "p\n", 2, NULL, 0, 0, &err) == 0);
	n = pread(fd, text, sizeof(text), 0);
	STEP(4, n > 0 && kf_domain_parse(text, (size_t)n, &domain, &err) == 0);
	STEP(5, kf_grants_walk(&scene, &noted.sink, &err) == 0);
	STEP(6, kf_domain_decide(fd, &domain, &noted.list, &err) == 0);
	n = pread(fd, text, sizeof(text), 0);
	STEP(7, n > 0 && kf_domain_parse(text, (size_t)n, &domain, &err) == 0);
	/* One is replaced meanwhile. */
	STEP(8, rename("/work", "/was-work") == 0 && mkdir("/work", 0755) == 0);
	scene.policy = &policy;
	STEP(9, kf_grants_again(&domain, &scene, &h.sink, &err) == 0);
	STEP(10, strstr(h.said.p, "r-- /etc\nnot /work: is not what it was when the container "
				  "started\nrw- /srv/data\n"));
	/* What is its own in /proc is looked up anew, around what is denied there. */
	STEP(11, strstr(h.said.p, "r-- /proc/meminfo\n") && !strstr(h.said.p, "/proc/cmdline\n"));
	kf_buf_done(&h.said);
	free(noted.list.at);
	kf_policy_done(&policy);
	kf_policy_done(&files);
	return 0;
}

/* ---- variables ---- */

static enum kf_expansion expand(const char *path, char out[static PATH_MAX])
{
	return kf_vars_expand(&vars, path, out);
}

static void variables_are_replaced(void **state)
{
	struct kf_vars own;
	struct kf_policy policy;
	struct kf_err err;
	char out[PATH_MAX];

	(void)state;
	assert_int_equal(expand("/etc", out), KF_EXPANSION_LITERAL);
	assert_string_equal(out, "/etc");
	assert_int_equal(expand("/run/user/$UID/x", out), KF_EXPANSION_LITERAL);
	assert_string_equal(out, "/run/user/0/x");
	assert_int_equal(expand("~/.ssh", out), KF_EXPANSION_VARIABLE);
	assert_string_equal(out, "/home/user/.ssh");
	assert_int_equal(expand("$XDG_CONFIG_HOME/x", out), KF_EXPANSION_VARIABLE);
	assert_string_equal(out, "/home/user/.config/x");
	assert_int_equal(expand("$WORKDIR", out), KF_EXPANSION_VARIABLE);
	assert_int_equal(expand("$XDG_CACHE_HOME", out), KF_EXPANSION_NONE);
	assert_int_equal(kf_vars_init(&own, &err), 0);
	assert_string_equal(own.workdir, getcwd(out, sizeof(out)));
	assert_int_equal(own.uid, geteuid());
	free(own.workdir);
	assert_true(parse_rules(
		"env expand A=$WORKDIR/a\nenv expand B=$XDG_RUNTIME_DIR\nenv set C=c\n", &policy));
	assert_int_equal(kf_vars_expand_env(&vars, &policy, &err), 0);
	assert_string_equal(policy.rules[0].verb, "set");
	assert_string_equal(policy.rules[0].arg, "A=/work/a");
	assert_string_equal(policy.rules[1].verb, "expand");
	free((void *)(uintptr_t)policy.rules[0].arg);
	kf_policy_done(&policy);
}

static void words_of_questions(void **state)
{
	unsigned access = 77;

	(void)state;
	assert_true(kf_decide_parse("connect", &access));
	assert_int_equal(access, KF_LANDLOCK_CONNECT);
	assert_false(kf_decide_parse("touch", &access));
	assert_false(kf_decide_parse(NULL, &access));
	assert_int_equal(access, KF_LANDLOCK_CONNECT);
	assert_true(kf_volumes_is("/srv") && kf_volumes_is("/dev/shm"));
	assert_false(kf_volumes_is("/") || kf_volumes_is("/proc/sys") || kf_volumes_is("/dev/pts"));
}

IN_CONTAINER(paths, apart, paths_are_granted_where_they_lie)
IN_CONTAINER(root, apart, root_is_granted_entry_by_entry)
IN_CONTAINER(homes, apart, homes_are_those_that_there_are)
IN_CONTAINER(denied, apart, what_is_denied_is_granted_around)
IN_CONTAINER(readonly, apart, what_is_read_only_is_not_written)
IN_CONTAINER(much, apart, more_than_is_looked_at_is_not_granted)
IN_CONTAINER(options, apart, the_command_line_grants_too)
IN_CONTAINER(volumes, apart, volumes_are_what_is_mounted)
IN_CONTAINER(older, apart, an_older_kernel_has_the_same_volumes)
IN_CONTAINER(many, apart, many_mounts_are_read_as_text)
IN_CONTAINER(no_proc, apart, without_proc_there_are_no_volumes)
IN_CONTAINER(devices, apart, devices_are_those_that_were_given)
IN_CONTAINER(processes, apart, processes_are_the_containers_own)
IN_CONTAINER(own_processes, apart_as_first, processes_are_the_containers_own)
IN_CONTAINER(questions, apart_as_first, each_question_has_its_rule)
IN_CONTAINER(later, apart, who_enters_later_gets_the_same)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables_are_replaced),
		cmocka_unit_test(words_of_questions),
		{"paths are granted where they lie", paths, NULL, NULL, NULL},
		{"/ is granted entry by entry", root, NULL, NULL, NULL},
		{"homes are those that there are", homes, NULL, NULL, NULL},
		{"what is denied is granted around", denied, NULL, NULL, NULL},
		{"what is read-only is not written", readonly, NULL, NULL, NULL},
		{"more than is looked at is not granted", much, NULL, NULL, NULL},
		{"the command line grants, too", options, NULL, NULL, NULL},
		{"volumes are what is mounted", volumes, NULL, NULL, NULL},
		{"an older kernel has the same volumes", older, NULL, NULL, NULL},
		{"many mounts are read as text", many, NULL, NULL, NULL},
		{"without /proc there are no volumes, and no symlinks", no_proc, NULL, NULL, NULL},
		{"devices are those that were given", devices, NULL, NULL, NULL},
		{"/proc of others is not written", processes, NULL, NULL, NULL},
		{"/proc of its own is written", own_processes, NULL, NULL, NULL},
		{"each question has its rule", questions, NULL, NULL, NULL},
		{"who enters later gets the same", later, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests(tests, make_container_root, remove_container_root);
}
