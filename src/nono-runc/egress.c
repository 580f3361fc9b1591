/* SPDX-License-Identifier: Apache-2.0 */
/* Closes a pod's network before a container is created in it.  What the guard has decided about
 * each container is a file in MARKS, in whose name the container's key and its network namespace
 * are; exec finds the variables in it. */
#include "nono-runc/egress.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"
#include "egress/pod.h"
#include "egress/rules.h"
#include "egress/servers.h"
#include "flat/flat.h"
#include "flat/launcher.h"
#include "nono-runc/mounted.h"
#include "nono-runc/pinned.h"
#include "nono-runc/record.h"
#include "nono-runc/review.h"
#include "oci/network.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MARKS	       KF_EGRESS_DIR "/containers"
#define MARK_MAX       (64 * 1024) /* rules of one profile, and paths of its Secrets */
#define CLOSED	       "closed"
#define OPEN	       "open"
#define ANSWER_SECONDS 12 /* the parent gives up a little earlier, and says why */
#define RESOLV_MAX     (64 * 1024)

/* Of one pod, while its container is created. */
struct pod_egress {
	const struct kf_guard_egress *in;
	struct kf_egress_rules rules;
	struct kf_buf text; /* of the rules */
	const char *netns;
	int fds[1 + KF_LIMIT_EGRESS_DIRS]; /* namespace, directories */
	unsigned nfds;
	uint64_t inode;
	const char *secrets[KF_LIMIT_EGRESS_DIRS];
	const char *resolvers[KF_EGRESS_RESOLVERS];
	unsigned nresolvers;
	struct kf_buf env; /* NAME=VALUE lines */
};

static void release_pod(struct pod_egress *p)
{
	if (p->rules.profile)
		kf_egress_rules_done(&p->rules);
	kf_buf_done(&p->text);
	kf_buf_done(&p->env);
	while (p->nfds)
		(void)close(p->fds[--p->nfds]);
}

int kf_guard_egress_names(const struct kf_view *view, const char *ret[static KF_EGRESS_OTHERS],
			  struct kf_err *err)
{
	static const char key[] = KF_ANNOTATION_PROFILE ".";
	size_t n = 0;

	for (size_t i = 0; i < view->nannotations; i++) {
		if (strncmp(view->annotations[i].key, key, sizeof(key) - 1) != 0)
			continue;
		if (n == KF_EGRESS_OTHERS)
			return kf_fail(err, E2BIG,
				       "more than %d annotations " KF_ANNOTATION_PROFILE
				       ".CONTAINER; name the pod's profile instead",
				       KF_EGRESS_OTHERS);
		ret[n++] = view->annotations[i].value;
	}
	return 0;
}

/* ---- rules ---- */

/* Add the rules of the profile @i to those of the pod, or compare. */
static int take_rules(struct pod_egress *p, size_t i, struct kf_err *err)
{
	const struct kf_guard_egress *in = p->in;
	const struct kf_profile_info *info = kf_settings_profile(in->settings, in->names[i]);
	struct kf_buf lines = KF_BUF_INIT(KF_LIMIT_EGRESS_RULES);
	const char *body;
	int r = 0;

	if (!info || !in->texts[i].text || in->texts[i].broken)
		return kf_fail(err, EINVAL,
			       "profile '%.64s', which an annotation of the pod names, cannot be "
			       "used: %s; what it says decides about the pod's network",
			       in->names[i],
			       in->texts[i].broken ? in->texts[i].broken : "it does not exist");
	if (!info->egress)
		return 0;
	kf_egress_rules_of_policy(in->texts[i].text, in->texts[i].n, &lines);
	if (!p->text.n) {
		kf_buf_addf(&p->text, KF_EGRESS_HEADER "name %s\n", in->names[i]);
		kf_buf_add(&p->text, lines.p, lines.n);
	} else {
		body = strchr(strchr(p->text.p, '\n') + 1, '\n') + 1;
		if (lines.failed || strcmp(body, lines.p ? lines.p : "") != 0)
			r = kf_fail(err, EPERM,
				    "the profiles that the pod's annotations name have different "
				    "hosts or keys ('%.64s' is one of them); its containers share "
				    "one network: give them one profile",
				    in->names[i]);
	}
	if (r == 0 && (lines.failed || p->text.failed))
		r = kf_fail_nomem(err, "egress rules");
	kf_buf_done(&lines);
	return r;
}

/* The rules of the pod; none (p->text is empty) if it is not to be closed. */
static int collect_rules(struct pod_egress *p, struct kf_err *err)
{
	const struct kf_guard_egress *in = p->in;

	/* The pod's own profile, else the default; then those of single containers. */
	if (take_rules(p, in->names[1] ? 1 : 0, err) < 0)
		return -1;
	for (size_t i = 2; i < in->nnames; i++)
		if (in->names[i] && take_rules(p, i, err) < 0)
			return -1;
	if (!p->text.n)
		return 0;
	kf_egress_rules_seal(&p->text);
	if (p->text.failed)
		return kf_fail_nomem(err, "egress rules");
	return kf_egress_rules_parse(p->text.p, p->text.n, &p->rules, err);
}

/* ---- the container ---- */

static bool own_network(int fd, struct stat *ret)
{
	struct stat own;

	return fstat(fd, ret) == 0 && stat("/proc/self/ns/net", &own) == 0 &&
	       own.st_ino == ret->st_ino && own.st_dev == ret->st_dev;
}

static int open_network(struct pod_egress *p, struct kf_err *err)
{
	struct stat st = {0};
	const char *path;

	if (kf_oci_netns(p->in->oci, &path, err) < 0)
		return -1;
	if (path && *path == '/') {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return kf_fail_sys(err, "open the pod's network namespace '%.200s'", path);
		p->fds[p->nfds++] = fd;
	}
	if (!p->nfds || own_network(p->fds[0], &st))
		return kf_fail(
			err, EPERM,
			"profile '%s' names hosts, which can be told apart only in a network "
			"of the pod's own; take hostNetwork away, or use another profile",
			p->rules.profile);
	p->inode = st.st_ino;
	return kf_guard_pinned(KF_GUARD_MOUNTS, p->inode, p->in->arena, &p->netns, err);
}

/* With these a process changes the rules, or enters another namespace. */
static int check_capabilities(const struct pod_egress *p, struct kf_err *err)
{
	static const char *const names[] = {"NET_ADMIN", "SYS_ADMIN", "SYS_MODULE", NULL};
	const char *found;

	if (kf_oci_capability(p->in->oci, names, &found, err) < 0)
		return -1;
	return found ? kf_fail(err, EPERM,
			       "profile '%s' names hosts, and with CAP_%s a container of the pod "
			       "could open other ways; take the capability (or privileged) away, "
			       "or "
			       "use another profile",
			       p->rules.profile, found)
		     : 0;
}

static int open_secret(struct pod_egress *p, unsigned i, const char *pod, struct kf_err *err)
{
	static const char *const kinds[] = {"secret", "projected"};

	for (size_t k = 0; pod && k < KF_ARRAY_SIZE(kinds); k++) {
		const char *path = kf_arena_printf(p->in->arena, "%s/volumes/kubernetes.io~%s/%s",
						   pod, kinds[k], p->rules.secrets[i]);
		int fd;

		if (!path)
			return kf_fail_nomem(err, "secret");
		fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0) {
			p->fds[p->nfds++] = fd;
			p->secrets[i] = path;
			return 0;
		}
		if (errno != ENOENT)
			return kf_fail_sys(err, "open the pod's Secret '%.200s'", path);
	}
	return kf_fail(
		err, ENOENT,
		"profile '%s' has a credential in the volume '%.64s', which the pod does not "
		"have; add a volume of that name with the Secret to the pod, and mount it in "
		"a container: the mount is taken away there",
		p->rules.profile, p->rules.secrets[i]);
}

static int open_secrets(struct pod_egress *p, struct kf_err *err)
{
	const char *pod =
		p->rules.nsecrets ? kf_guard_pod_directory(&p->in->oci->view, p->in->arena) : NULL;

	for (unsigned i = 0; i < p->rules.nsecrets; i++)
		if (open_secret(p, i, pod, err) < 0)
			return -1;
	return 0;
}

/* Whether @source shows a part of the Secret @i. */
static bool shows_secret(const struct pod_egress *p, unsigned i, const char *source)
{
	const char *volumes = strstr(p->secrets[i], "/volumes/");
	const char *subpaths =
		kf_arena_printf(p->in->arena, "%.*s/volume-subpaths/%s/",
				(int)(volumes - p->secrets[i]), p->secrets[i], p->rules.secrets[i]);

	/* Where memory ends, so does the container. */
	return !subpaths || kf_path_under(source, p->secrets[i]) ||
	       strncmp(source, subpaths, strlen(subpaths)) == 0;
}

static int remove_secrets(const struct pod_egress *p, struct kf_plan *plan, struct kf_err *err)
{
	const struct kf_view *view = &p->in->oci->view;
	const char **remove = kf_arena_calloc(
		p->in->arena, plan->nremove_mounts + view->nmounts + 1, sizeof(*remove));
	size_t n = plan->nremove_mounts;

	if (!remove)
		return kf_fail_nomem(err, "mounts");
	for (size_t i = 0; i < n; i++)
		remove[i] = plan->remove_mounts[i];
	for (size_t m = 0; m < view->nmounts; m++)
		for (unsigned i = 0; i < p->rules.nsecrets; i++)
			if (shows_secret(p, i, view->mounts[m].source)) {
				remove[n++] = view->mounts[m].destination;
				break;
			}
	plan->remove_mounts = remove;
	plan->nremove_mounts = n;
	return 0;
}

/* "nameserver ADDRESS" of the file that the pod gets as /etc/resolv.conf. */
static int read_resolvers(struct pod_egress *p, struct kf_err *err)
{
	const struct kf_view *view = &p->in->oci->view;
	const char *found[KF_EGRESS_RESOLVERS];
	KF_FREE char *text = NULL;
	unsigned n;

	for (size_t i = 0; i < view->nmounts; i++)
		if (strcmp(view->mounts[i].destination, "/etc/resolv.conf") == 0 && !text &&
		    kf_file_slurp(AT_FDCWD, view->mounts[i].source, RESOLV_MAX, &text, NULL, err) <
			    0)
			return -1;
	n = text ? kf_egress_servers(text, found, KF_EGRESS_RESOLVERS) : 0;
	for (unsigned i = 0; i < n; i++) {
		p->resolvers[i] = kf_arena_strdup(p->in->arena, found[i]);
		if (!p->resolvers[i])
			return kf_fail_nomem(err, "resolvers");
	}
	p->nresolvers = n;
	return p->nresolvers
		       ? 0
		       : kf_fail(err, EINVAL,
				 "profile '%s' names hosts, and the pod's /etc/resolv.conf no "
				 "name server that could find them",
				 p->rules.profile);
}

/* ---- what the launcher and the program get ---- */

/* The table in the namespace sees TCP and UDP; what else a socket can be, the launcher closes. */
static int close_policy(const struct pod_egress *p, struct kf_profile_text *policy,
			struct kf_err *err)
{
	struct kf_buf out = KF_BUF_INIT(KF_LIMIT_POLICY_TEXT);
	char *copy;

	kf_egress_close_policy(policy->text, policy->n, p->in->plan->egress, "", &out);
	copy = out.failed ? NULL : kf_arena_alloc(p->in->arena, out.n + 1);
	if (copy) {
		memcpy(copy, out.p, out.n);
		copy[out.n] = '\0';
		policy->text = copy;
		policy->n = out.n;
	}
	kf_buf_done(&out);
	return copy ? 0
		    : kf_fail(err, E2BIG,
			      "policy: cut short, or too long with its rules for the network");
}

static void add_env(void *ctx, const char *name, const char *value)
{
	kf_buf_addf(ctx, "%s=%s\n", name, value);
}

/* Set what @lines say, unless the process has it; and take away the right to make sockets that no
 * rule sees and to mark others. */
static int change_process(struct kf_oci *oci, char *lines, struct kf_err *err)
{
	for (char *line = lines, *next; *line; line = next) {
		char *equals;

		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		equals = strchr(line, '=');
		if (!equals)
			return kf_fail(err, EINVAL, "egress: '%.40s' is no variable", line);
		*equals = '\0';
		if (kf_oci_default_env(oci, line, equals + 1, err) < 0)
			return -1;
	}
	return kf_oci_drop_capability(oci, "NET_RAW", err);
}

/* ---- marks ---- */

static int open_marks(bool make, struct kf_err *err)
{
	int fd = open(MARKS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && make) {
		if (kf_mkdir_parents(MARKS, 0700, err) < 0)
			return -1;
		fd = open(MARKS, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	return fd < 0 ? kf_fail_sys(err, "open '" MARKS "'") : fd;
}

/* Call @found with each mark's name that begins with @begin ("" for all) until it returns true;
 * whether it did.  -1 if they cannot be read. */
static int each_mark(int dirfd, const char *begin, bool (*found)(void *ctx, const char *name),
		     void *ctx, struct kf_err *err)
{
	KF_CLOSE int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int r = 0;

	if (!d)
		return kf_fail_sys(err, "read '" MARKS "'");
	(void)kf_steal_fd(&copy);
	errno = 0;
	while (r == 0 && (e = readdir(d)))
		if (strncmp(e->d_name, begin, strlen(begin)) == 0 && found(ctx, e->d_name))
			r = 1;
	if (r == 0 && errno)
		r = kf_fail_sys(err, "read '" MARKS "'");
	(void)closedir(d);
	return r;
}

static bool ends_with(void *ctx, const char *name)
{
	const size_t n = strlen(name), m = strlen(ctx);

	return n > m && strcmp(name + n - m, ctx) == 0;
}

/* Mark the container, and fail if another one of its pod is of the other kind: one that may do what
 * the broker's rules cannot see must not share a closed network. */
static int write_mark(const struct kf_guard_egress *in, uint64_t inode, const char *kind,
		      const struct kf_buf *env, struct kf_err *err)
{
	char hash[KF_RECORD_NAME], name[KF_RECORD_NAME + 64], other[64];
	KF_CLOSE int dirfd = open_marks(true, err);
	int r;

	if (dirfd < 0 || kf_guard_record_name(in->root, in->id, hash, err) < 0)
		return -1;
	(void)snprintf(name, sizeof(name), "%s.%" PRIu64 ".%s", hash, inode, kind);
	(void)snprintf(other, sizeof(other), ".%" PRIu64 ".%s", inode,
		       strcmp(kind, OPEN) == 0 ? CLOSED : OPEN);
	if (kf_file_replace(dirfd, name, env->n ? env->p : "", env->n, 0600, err) < 0)
		return -1;
	r = each_mark(dirfd, "", ends_with, other, err);
	if (r > 0)
		r = kf_fail(err, EPERM,
			    "the pod has containers that were created %s the egress broker: a "
			    "profile has changed since; delete the pod, so that all of it is made "
			    "anew",
			    strcmp(kind, OPEN) == 0 ? "under" : "without");
	return r < 0 ? -1 : 0;
}

struct mark_name {
	char name[256];
};

static bool take_name(void *ctx, const char *name)
{
	struct mark_name *out = ctx;

	(void)snprintf(out->name, sizeof(out->name), "%s", name);
	return true;
}

/* The mark of a container: 1 and its name, 0 if it has none, -1. */
static int find_mark(int dirfd, const char *root, const char *id, struct mark_name *ret,
		     struct kf_err *err)
{
	char hash[KF_RECORD_NAME];

	if (kf_guard_record_name(root, id, hash, err) < 0)
		return -1;
	return each_mark(dirfd, hash, take_name, ret, err);
}

void kf_guard_egress_drop(const char *root, const char *id)
{
	KF_CLOSE int dirfd = open_marks(false, KF_ERR_IGNORED);
	struct mark_name mark;

	if (dirfd >= 0 && find_mark(dirfd, root, id, &mark, KF_ERR_IGNORED) > 0)
		(void)unlinkat(dirfd, mark.name, 0);
}

/* ---- the broker ---- */

static int connect_parent(struct kf_err *err)
{
	const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = KF_EGRESS_SOCKET};
	const struct timeval seconds = {.tv_sec = ANSWER_SECONDS};
	KF_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &seconds, sizeof(seconds)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &seconds, sizeof(seconds)) < 0)
		return kf_fail_sys(err, "socket");
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return kf_fail_sys(
			err, "the egress broker (nono-egress) of this node does not answer at "
			     "'" KF_EGRESS_SOCKET "'; the pod starts when it runs");
	return kf_steal_fd(&fd);
}

static int send_pod(int fd, const struct pod_egress *p, const struct kf_buf *text,
		    struct kf_err *err)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE((1 + KF_LIMIT_EGRESS_DIRS) * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = text->p, .iov_len = text->n};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = (socklen_t)CMSG_SPACE(p->nfds * sizeof(int))};

	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = (socklen_t)CMSG_LEN(p->nfds * sizeof(int));
	memcpy(CMSG_DATA(&control.head), p->fds, p->nfds * sizeof(int));
	return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? kf_fail_sys(err, "ask the egress broker") : 0;
}

static int read_answer(int fd, struct kf_err *err)
{
	char answer[sizeof(err->msg) + 16];
	ssize_t n = recv(fd, answer, sizeof(answer) - 1, 0);

	if (n < 0)
		return kf_fail_sys(err, "the egress broker does not answer in %d seconds",
				   ANSWER_SECONDS);
	answer[n] = '\0';
	if (strcmp(answer, KF_EGRESS_NEW) == 0 || strcmp(answer, KF_EGRESS_AGAIN) == 0)
		return 0;
	if (strncmp(answer, KF_EGRESS_ERROR " ", sizeof(KF_EGRESS_ERROR)) == 0)
		return kf_fail(err, EPERM, "the egress broker refuses: %s",
			       answer + sizeof(KF_EGRESS_ERROR));
	return kf_fail(err, EIO, "the egress broker ended before it had answered; try again");
}

static int ask_parent(const struct pod_egress *p, struct kf_err *err)
{
	const struct kf_view *view = &p->in->oci->view;
	struct kf_buf text = KF_BUF_INIT(KF_EGRESS_POD_MAX);
	struct kf_egress_pod pod = {
		.netns = p->netns,
		.inode = p->inode,
		.nresolvers = p->nresolvers,
		.nsecrets = p->rules.nsecrets,
		.rules = p->text.p,
		.nrules = p->text.n,
	};
	KF_CLOSE int fd = connect_parent(err);
	int r = -1;

	if (fd < 0)
		return -1;
	pod.name = kf_arena_printf(p->in->arena, "%s/%s/%s", view->namespace_, view->pod,
				   view->pod_uid);
	for (unsigned i = 0; i < p->nresolvers; i++)
		pod.resolvers[i] = p->resolvers[i];
	for (unsigned i = 0; i < p->rules.nsecrets; i++)
		pod.secrets[i] = p->secrets[i];
	if (pod.name)
		kf_egress_pod_format(&pod, &text);
	if (!pod.name || text.failed)
		(void)kf_fail_nomem(err, "egress");
	else
		r = send_pod(fd, p, &text, err) < 0 ? -1 : read_answer(fd, err);
	kf_buf_done(&text);
	return r;
}

/* ---- ---- */

static int close_container(struct pod_egress *p, struct kf_plan *plan,
			   struct kf_profile_text *policy, struct kf_err *err)
{
	KF_FREE char *env = NULL;

	if (plan->egress)
		kf_egress_environment(&p->rules, KF_EGRESS_PORT, add_env, &p->env);
	if (p->env.failed)
		return kf_fail_nomem(err, "environment");
	env = strdup(p->env.n ? p->env.p : "");
	if (!env)
		return kf_fail_nomem(err, "environment");
	if (open_network(p, err) < 0 || check_capabilities(p, err) < 0 ||
	    open_secrets(p, err) < 0 || read_resolvers(p, err) < 0 ||
	    remove_secrets(p, plan, err) < 0 || close_policy(p, policy, err) < 0 ||
	    change_process(p->in->oci, env, err) < 0)
		return -1;
	return write_mark(p->in, p->inode, CLOSED, &p->env, err) < 0 ? -1 : ask_parent(p, err);
}

/* A container whose pod is not closed: remember that, where it could be later. */
static int mark_open(const struct kf_guard_egress *egress, struct kf_err *err)
{
	const struct kf_buf nothing = {0};
	const char *netns;
	struct stat st;

	if (kf_oci_netns(egress->oci, &netns, err) < 0)
		return -1;
	if (!netns || *netns != '/')
		return 0;
	if (stat(netns, &st) < 0)
		return kf_fail_sys(err, "stat the pod's network namespace '%.200s'", netns);
	return write_mark(egress, st.st_ino, OPEN, &nothing, err);
}

int kf_guard_egress_create(const struct kf_guard_egress *egress, struct kf_plan *plan,
			   struct kf_profile_text *policy, struct kf_err *err)
{
	struct pod_egress p = {.in = egress,
			       .text = KF_BUF_INIT(KF_LIMIT_EGRESS_RULES),
			       .env = KF_BUF_INIT(MARK_MAX)};
	int r = collect_rules(&p, err);

	if (r == 0)
		r = p.text.n ? close_container(&p, plan, policy, err) : mark_open(egress, err);
	release_pod(&p);
	return r;
}

/* runc's "exec --cap" */
static bool asks_capability(char *const *flags, int nflags)
{
	for (int i = 0; i < nflags; i++) {
		const char *flag = flags[i] + strspn(flags[i], "-");

		if (flag > flags[i] && (strncmp(flag, "cap", 3) == 0 ||
					strncmp(flag, "c", 2) == 0 || strncmp(flag, "c=", 2) == 0))
			return true;
	}
	return false;
}

int kf_guard_egress_enter(const char *root, const char *id, struct kf_oci *oci, char *const *flags,
			  int nflags, struct kf_err *err)
{
	KF_CLOSE int dirfd = open_marks(false, err);
	KF_FREE char *lines = NULL;
	struct mark_name mark;
	int r;

	if (dirfd < 0)
		return err->code == ENOENT ? 0 : -1;
	r = find_mark(dirfd, root, id, &mark, err);
	if (r <= 0 || !ends_with((void *)(uintptr_t) "." CLOSED, mark.name))
		return r < 0 ? -1 : 0;
	if (!oci)
		return asks_capability(flags, nflags)
			       ? kf_fail(err, EPERM,
					 "the container's only way out is the egress broker, so no "
					 "process in it gets a capability of its own")
			       : 0;
	if (kf_file_slurp(dirfd, mark.name, MARK_MAX, &lines, NULL, err) < 0)
		return -1;
	return change_process(oci, lines, err);
}
