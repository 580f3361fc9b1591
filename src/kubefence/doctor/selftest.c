/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence selftest: is this process in the sandbox? It runs in a pod of the RuntimeClass; each
 * check tries something that a process without the sandbox could do.  The launcher's own proof is
 * in sandbox/proof.c. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "cli/print.h"
#include "kubefence/commands.h"
#include "kubefence/options.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR_LANDLOCK_CREATE 444
#define NR_LANDLOCK_SELF   446
#define LAYERS_MAX	   16 /* of the kernel */
#define TOKEN		   "/var/run/secrets/kubernetes.io/serviceaccount/token"

/* Read the number of a line of /proc/self/status, for example "Seccomp". */
static int status_number(const char *key)
{
	char text[8192];
	KF_CLOSE int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *at;
	size_t len = strlen(key);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	for (at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, key, len) == 0 && at[len] == ':')
			return (int)strtol(at + len + 1, NULL, 10);
	}
	return -1;
}

static bool no_new_privs(char why[static 128])
{
	int n = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);

	(void)snprintf(why, 128, "no_new_privs is %d", n);
	return n == 1;
}

static bool seccomp_on(char why[static 128])
{
	int n = status_number("Seccomp");

	(void)snprintf(why, 128, "mode %d, %d filters", n, status_number("Seccomp_filters"));
	return n == 2;
}

/* Run @fn in a child, since it cannot be undone; returns the exit code. */
static int in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(fn());
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Count how many more domains can be entered: the kernel stacks sixteen. */
static int more_layers(void)
{
	const uint64_t handled[1] = {1}; /* execute */
	long fd = syscall(NR_LANDLOCK_CREATE, handled, sizeof(handled), 0);
	int n = 0;

	if (fd < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return 100;
	while (n <= LAYERS_MAX && syscall(NR_LANDLOCK_SELF, (int)fd, 0) == 0)
		n++;
	return n;
}

static bool landlock_on(char why[static 128])
{
	int more = in_child(more_layers);

	if (more < 0 || more > LAYERS_MAX) {
		(void)snprintf(why, 128, "this kernel has no Landlock for us");
		return false;
	}
	(void)snprintf(why, 128, "%d domains", LAYERS_MAX - more);
	return more < LAYERS_MAX;
}

/* 0 if the file could be opened; otherwise -1 and the reason in @why. */
static int try_open(const char *path, int flags, char why[static 128])
{
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	int e = fd < 0 ? errno : 0;

	(void)snprintf(why, 128, "%s: %s", path, e ? strerror(e) : "opened");
	if (fd < 0)
		return e;
	(void)close(fd);
	if (flags & O_CREAT)
		(void)unlink(path);
	return 0;
}

static bool cannot_create(const char *path, char why[static 128])
{
	int e = try_open(path, O_WRONLY | O_CREAT | O_EXCL, why);

	return e == EACCES || e == EPERM || e == EROFS;
}

static bool write_root(char why[static 128])
{
	return cannot_create("/kubefence-selftest", why);
}

/* The program itself lies in the image, which must not be changeable. */
static bool write_image(char why[static 128])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n > 0 ? n : 0] = '\0';
	(void)snprintf(strrchr(self, '/') ? strrchr(self, '/') + 1 : self, 32, "%s",
		       ".kubefence-selftest");
	return cannot_create(self, why);
}

/* A missing file passes as well: a denied mount is removed. */
static bool read_token(char why[static 128])
{
	return try_open(TOKEN, O_RDONLY, why) != 0;
}

static int new_userns(void)
{
	return unshare(CLONE_NEWUSER) == 0 ? 0 : errno;
}

/* Both seccomp levels refuse it with this error. */
static bool user_namespace(char why[static 128])
{
	int e = in_child(new_userns);

	(void)snprintf(why, 128, "unshare(CLONE_NEWUSER): %s", e ? strerror(e) : "done");
	return e == EPERM;
}

static const struct {
	const char *name;
	const char *promise;
	bool (*run)(char why[static 128]);
} checks[] = {
	{"no-new-privs", "set-uid programs give no privileges", no_new_privs},
	{"landlock", "a Landlock domain is around this process", landlock_on},
	{"seccomp", "a seccomp filter is in force", seccomp_on},
	{"user-namespace", "no new user namespace", user_namespace},
	{"write-root", "no new file in /", write_root},
	{"write-image", "no new file beside the program", write_image},
	{"read-token", "no service account token to be read", read_token},
};

static bool is_skipped(const char *name, const char *const *skip, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(skip[i], name) == 0)
			return true;
	return false;
}

static int run_checks(bool json, const char *const *skip, size_t nskip)
{
	struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	unsigned failed = 0;

	for (size_t i = 0; i < KF_ARRAY_SIZE(checks); i++) {
		bool skip_it = is_skipped(checks[i].name, skip, nskip);
		char why[128] = "";
		bool ok = skip_it || checks[i].run(why);
		const char *result = skip_it ? "skipped" : ok ? "ok" : "FAIL";

		failed += !ok;
		if (!json) {
			kf_buf_addf(&out, "%-8s%-16s%s%s%s%s\n", result, checks[i].name,
				    checks[i].promise, *why ? " (" : "", why, *why ? ")" : "");
			continue;
		}
		kf_json_open(&out, NULL, '{');
		kf_json_put_string(&out, "name", checks[i].name);
		kf_json_put_string(&out, "result", skip_it ? "skipped" : ok ? "ok" : "fail");
		kf_json_put_string(&out, "detail", why);
		kf_json_close(&out, '}');
	}
	if (out.failed)
		return kf_command_fail("out of memory");
	if (json) {
		kf_print_line(stdout, "{\"success\":%s,\"checks\":[%s]}", failed ? "false" : "true",
			      out.p);
	} else {
		kf_print_text(stdout, out.p);
		kf_print_line(stdout, "%s", failed ? "not sandboxed" : "sandboxed");
	}
	kf_buf_done(&out);
	return failed ? KF_EXIT_FAILED : KF_EXIT_OK;
}

struct selftest_line {
	struct kf_option_list skip;
	bool json;
	unsigned output;
};

static int run_selftest(const struct kf_command *self, int argc, char **argv)
{
	const char *skip[KF_ARRAY_SIZE(checks)];
	struct selftest_line l = {.skip = KF_OPTION_LIST(skip)};
	struct kf_arguments arguments;
	int status;

	if (!kf_command_parse(self, argc, argv, &l, &arguments, &status))
		return status;
	for (size_t i = 0, known = 0; i < l.skip.n; i++, known = 0) {
		while (known < KF_ARRAY_SIZE(checks) && strcmp(checks[known].name, skip[i]) != 0)
			known++;
		if (known == KF_ARRAY_SIZE(checks))
			return kf_command_usage("--skip: there is no check '%s'", skip[i]);
	}
	return run_checks(l.json || l.output == KF_OUTPUT_JSON, skip, l.skip.n);
}

const struct kf_command kf_cmd_selftest = {
	.name = "selftest",
	.summary = "in a container: is this process in the sandbox?",
	.about = "Run inside a sandboxed container: proves from there that the sandbox is on.\n"
		 "Exit code 1 if something is possible that should not be.",
	.options =
		(const struct kf_option[]){
			{
				.name = "skip",
				.kind = KF_OPTION_EACH,
				.value = "CHECK",
				KF_OPTION_AT(struct selftest_line, skip),
				.help = "one that does not apply (see the first column), such as "
					"seccomp where seccompProfile is \"\"",
			},
			{
				.name = "json",
				.kind = KF_OPTION_SET,
				KF_OPTION_AT(struct selftest_line, json),
				.help = "the same as -o json",
			},
			KF_OPT_OUTPUT(struct selftest_line, output),
			{0},
		},
	.run = run_selftest,
};
