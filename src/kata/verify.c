/* SPDX-License-Identifier: Apache-2.0 */
/* The proof that our Kata handler works: machines that are started for it by the host's own ctr
 * with our handler's configuration, as containerd would do.  The checks without a machine are here,
 * too. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"
#include "host/run.h"
#include "kata/keys.h"
#include "plan/plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STAGE	    "/run/kubefence/kata-verify"
#define ROOTFS	    STAGE "/rootfs"
#define PROGRAM	    "/bin/kubefence"
#define START_MS    120000
#define PROGRAM_MAX (64 * 1024 * 1024)

struct verify {
	const struct kf_node *node;
	const struct kf_journal_vm *vm;
	const char *ctr, *socket, *launcher, *profile;
	struct kf_arena arena;
	bool failed;
};

static void report_finding(struct verify *v, bool ok, const char *what, const char *why)
{
	v->node->say(v->node->ctx, ok ? "ok" : "fail", what, ok ? "" : why);
	v->failed = v->failed || !ok;
}

/* Start a machine with one container that runs @command, through the launcher if @wrapped. */
static int start_machine(struct verify *v, bool wrapped, const char *annotation,
			 const char *const *command, struct kf_run *ret, struct kf_err *err)
{
	const char *argv[48], *mount;
	size_t n = 0;

	mount = kf_arena_printf(&v->arena,
				"type=bind,src=%.*s,dst=" KF_LAUNCHER_DIR
				",options=rbind:ro:rprivate:nosuid:nodev",
				(int)(strrchr(v->launcher, '/') - v->launcher), v->launcher);
	if (!mount)
		return kf_fail_nomem(err, "verify");
	const char *const head[] = {v->ctr,
				    "--address",
				    v->socket,
				    "--namespace",
				    "kubefence-verify",
				    "run",
				    "--rm",
				    "--seccomp",
				    "--runtime",
				    v->vm->shim,
				    "--runtime-config-path",
				    v->vm->config};
	const char *const prefix[] = {KF_LAUNCHER_PATH, "wrap", "--profile", v->profile, "--"};

	for (size_t i = 0; i < KF_ARRAY_SIZE(head); i++)
		argv[n++] = head[i];
	if (wrapped) {
		argv[n++] = "--mount";
		argv[n++] = mount;
	}
	if (annotation) {
		argv[n++] = "--annotation";
		argv[n++] = annotation;
	}
	argv[n++] = "--rootfs";
	argv[n++] = ROOTFS;
	argv[n++] = "kubefence-verify";
	for (size_t i = 0; wrapped && i < KF_ARRAY_SIZE(prefix); i++)
		argv[n++] = prefix[i];
	for (; *command && n < KF_ARRAY_SIZE(argv) - 1; command++)
		argv[n++] = *command;
	argv[n] = NULL;
	return kf_run_host(&v->node->host, argv, START_MS, KF_LIMIT_CONFIG, ret, err);
}

/* The word behind @key in the output of 'kubefence kata guest'; "" if it is not there. */
static const char *find_fact(struct verify *v, const char *text, const char *key)
{
	const char *at = strstr(text, key);
	const char *word =
		at ? kf_arena_printf(&v->arena, "%.*s", (int)strcspn(at + strlen(key), "\n"),
				     at + strlen(key))
		   : "";

	return word ? word : "";
}

static double boot_time(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Check that a machine starts at all; otherwise a refusal proves nothing. */
static bool check_machine(struct verify *v)
{
	static const char *const command[] = {PROGRAM, "kata", "guest", NULL};
	double before = boot_time(), guest;
	bool started;
	struct kf_run run = {0};
	struct kf_err err;

	if (start_machine(v, true, NULL, command, &run, &err) < 0) {
		report_finding(v, false, "a sandboxed container starts", err.msg);
		return false;
	}
	started = run.status == 0;
	report_finding(v, started, "a sandboxed container starts", run.why);
	if (started) {
		/* The machine must have been started after we began. */
		guest = strtod(find_fact(v, run.out, "uptime "), NULL);
		report_finding(v, guest > 0 && guest <= boot_time() - before,
			       "in a virtual machine", "it runs on this node's own kernel");
		v->node->say(v->node->ctx, "kernel", find_fact(v, run.out, "kernel "), "");
		v->node->say(v->node->ctx, "landlock", find_fact(v, run.out, "landlock "), "ABI");
	}
	kf_run_done(&run);
	return started;
}

static void check_sandbox(struct verify *v)
{
	/* ctr sets containerd's own seccomp profile, not our level. */
	static const char *const command[] = {PROGRAM,	"selftest",	  "--skip", "seccomp",
					      "--skip", "user-namespace", NULL};
	struct kf_run run = {0};
	struct kf_err err;

	if (start_machine(v, true, NULL, command, &run, &err) < 0) {
		report_finding(v, false, "the sandbox holds in it", err.msg);
		return;
	}
	report_finding(v, run.status == 0, "the sandbox holds in it", run.n ? run.out : run.why);
	kf_run_done(&run);
}

static void check_locks(struct verify *v)
{
	static const char *const command[] = {PROGRAM, "kata", "guest", NULL};
	struct kf_run run = {0};
	struct kf_err err;

	if (start_machine(v, true, "io.katacontainers.config.hypervisor.kernel_params=lsm=yama",
			  command, &run, &err) < 0) {
		report_finding(v, false, "annotations cannot change the machine", err.msg);
		return;
	}
	report_finding(v, run.status != 0, "annotations cannot change the machine",
		       "it started with kernel parameters from an annotation");
	kf_run_done(&run);
	if (start_machine(v, false, NULL, command, &run, &err) < 0) {
		report_finding(v, false, "a bare container", err.msg);
		return;
	}
	if (run.status != 0)
		report_finding(v, strstr(run.why, "policy") != NULL,
			       "a bare container is refused by the agent", run.why);
	else
		v->node->say(v->node->ctx, "note", "a bare container starts",
			     "the guest's image has no policy: a container that the plugin did not "
			     "see would run outside of the sandbox, see 'kubefence kata policy'");
	kf_run_done(&run);
}

static int make_rootfs(struct verify *v, struct kf_err *err)
{
	static const char *const dirs[] = {"/dev", "/proc", "/sys",
					   "/tmp", "/etc",  KF_LAUNCHER_DIR};
	KF_FREE char *self = NULL;
	KF_CLOSE int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	size_t n;

	for (size_t i = 0; i < KF_ARRAY_SIZE(dirs); i++) {
		KF_CLOSE int fd = -1;
		const char *path = kf_arena_printf(&v->arena, ROOTFS "%s", dirs[i]);

		if (!path || kf_host_dir(&v->node->host, path, true, &fd, err) < 0)
			return path ? -1 : kf_fail_nomem(err, "verify");
	}
	if (program < 0)
		return kf_fail_sys(err, "open this program");
	if (kf_fd_slurp(program, "this program", PROGRAM_MAX, &self, &n, err) < 0)
		return -1;
	return kf_host_write(&v->node->host, ROOTFS PROGRAM, self, n, 0755, err);
}

static void remove_rootfs(struct verify *v)
{
	static const char *const dirs[] = {"/bin", "/dev", "/proc",	    "/sys", "/tmp",
					   "/etc", "/run", KF_LAUNCHER_DIR, ""};
	struct kf_err ignored;

	(void)kf_host_remove(&v->node->host, ROOTFS PROGRAM, &ignored);
	for (size_t i = 0; i < KF_ARRAY_SIZE(dirs); i++) {
		const char *path = kf_arena_printf(&v->arena, ROOTFS "%s", dirs[i]);

		if (path)
			kf_host_rmdir(&v->node->host, path);
	}
	kf_host_rmdir(&v->node->host, STAGE);
}

static int find_ctr(struct verify *v, struct kf_err *err)
{
	const struct kf_distro *d = v->node->distro;
	const char *containerd = kf_host_first(&v->node->host, d->programs);

	if (d->kind != KF_RUNTIME_CONTAINERD || !containerd)
		return kf_fail(err, ENOTSUP,
			       "machines can be started for a test through containerd only; "
			       "docs/kata.md tells how to prove it with kubectl");
	v->ctr = kf_arena_printf(&v->arena, "%.*sctr", (int)(kf_path_base(containerd) - containerd),
				 containerd);
	v->socket = kf_host_first(&v->node->host, d->sockets);
	if (!v->ctr)
		return kf_fail_nomem(err, "verify");
	if (!kf_host_exists(&v->node->host, v->ctr))
		return kf_fail(err, ENOENT, "'%s' is not there; install containerd's ctr", v->ctr);
	if (!v->socket)
		return kf_fail(err, ENOENT, "containerd does not run: no socket '%s'",
			       d->sockets[0]);
	return 0;
}

/* Whether our files are as install left them. */
static void check_written(struct verify *v)
{
	const struct kf_journal *j = &v->node->journal;
	struct kf_err err;
	kf_digest now;

	for (size_t i = 0; i < j->nfiles; i++) {
		if (strncmp(j->files[i].path, KF_NODE_KATA "/", strlen(KF_NODE_KATA "/")) != 0)
			continue;
		if (kf_journal_digest(&v->node->host, j->files[i].path, now, &err) < 0)
			report_finding(v, false, j->files[i].path, err.msg);
		else
			report_finding(v, strcmp(now, j->files[i].sum) == 0, j->files[i].path,
				       "was changed since; run 'kubefence kata install'");
	}
}

/* The value by which the runtime reads @set in the configuration @root; NULL if there is none, or
 * no such key. */
static const struct kf_toml_node *find_value(const struct kf_kata *kata,
					     const struct kf_toml_node *root, enum kf_kata_set set)
{
	const char *path[4];

	return kf_kata_key(kata, set, path, KF_ERR_IGNORED) < 0 ? NULL : kf_toml_find(root, path);
}

/* Whether the handler's locks hold in what the runtime computes from all files. */
static void check_values(struct verify *v, const struct kf_kata *kata)
{
	struct kf_buf out = KF_BUF_INIT(KF_LIMIT_CONFIG);
	const struct kf_toml_node *n;
	struct kf_err err;
	struct kf_toml toml;

	if (kf_kata_effective(&v->node->host, v->vm->config, &out, &err) < 0 ||
	    kf_toml_parse(out.p ? out.p : "", out.n, v->vm->config, &toml, &err) < 0) {
		report_finding(v, false, v->vm->config, err.msg);
		kf_buf_done(&out);
		return;
	}
	n = find_value(kata, toml.root, KF_KATA_SET_ANNOTATIONS);
	report_finding(v, n && n->kind == KF_TOML_ARRAY && n->nchildren == 0,
		       "no annotation counts",
		       "enable_annotations is not empty: a drop-in behind ours sets it");
	n = find_value(kata, toml.root, KF_KATA_SET_GUEST_SECCOMP);
	report_finding(v, n && n->kind == KF_TOML_BOOL && !n->boolean, "seccomp in the guest",
		       "disable_guest_seccomp is true");
	n = find_value(kata, toml.root, KF_KATA_SET_SECCOMP);
	if (n && n->kind == KF_TOML_STRING && n->nstring)
		report_finding(v, true, "QEMU's own seccomp sandbox", "");
	else
		v->node->say(v->node->ctx, "note", "QEMU's own seccomp sandbox", "is off");
	kf_toml_done(&toml);
	kf_buf_done(&out);
}

/* Whether the guest's image can boot at all: where not, the machine says only that it timed out. */
static void check_image(struct verify *v, const struct kf_kata *kata)
{
	static const char what[] = "the image boots under Kata's command line";
	const char *why = NULL;
	KF_CLOSE int fd = -1;
	struct kf_err err;

	if (!*kata->image) {
		v->node->say(v->node->ctx, "note", what, "not checked: it is an initrd");
		return;
	}
	if (kf_host_fd(&v->node->host, kata->image, O_RDONLY | O_NONBLOCK, &fd, &err) < 0 ||
	    kf_kata_check_boot(kata, fd, kata->image, &why, &err) < 0)
		report_finding(v, false, what, err.msg);
	else if (why)
		v->node->say(v->node->ctx, "note", what,
			     kf_arena_printf(&v->arena, "not checked: %s", why) ?: why);
	else
		report_finding(v, true, what, "");
}

/* The checks that need no machine. */
static void check_files(struct verify *v)
{
	struct kf_kata kata;
	struct kf_err err;

	check_written(v);
	if (kf_kata_look(&v->node->host, v->vm->shim, v->vm->config, &v->arena, &kata, &err) < 0) {
		report_finding(v, false, v->vm->config, err.msg);
		return;
	}
	v->node->say(v->node->ctx, "kata", *kata.version ? kata.version : "unknown",
		     kata.rust ? "Rust runtime" : "Go runtime");
	report_finding(v, kf_kata_check_dropins(&v->node->host, &kata, v->vm->config, &err) == 0,
		       "the runtime knows every key", err.msg);
	check_values(v, &kata);
	check_image(v, &kata);
}

int kf_kata_verify(struct kf_node *node, const char *handler, const char *launcher,
		   const char *profile, struct kf_err *err)
{
	struct verify v = {.node = node, .launcher = launcher, .profile = profile};
	int r;

	for (size_t i = 0; i < node->journal.nvms; i++)
		if (strcmp(node->journal.vms[i].name, handler) == 0)
			v.vm = &node->journal.vms[i];
	if (!v.vm)
		return kf_fail(err, ENOENT,
			       "handler '%s' is not registered; run 'kubefence kata install'",
			       handler);
	kf_arena_init(&v.arena, KF_KATA_MEMORY);
	check_files(&v);
	r = find_ctr(&v, err);
	if (r == 0)
		r = make_rootfs(&v, err);
	if (r == 0) {
		if (check_machine(&v)) {
			check_sandbox(&v);
			check_locks(&v);
		}
	}
	remove_rootfs(&v);
	kf_arena_done(&v.arena);
	if (r == 0 && v.failed)
		r = kf_fail(err, EINVAL, "not everything is as it should be");
	return r;
}
