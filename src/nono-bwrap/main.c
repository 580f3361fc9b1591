/* SPDX-License-Identifier: Apache-2.0 */
/* nono-bwrap, in sandboxed containers "bwrap": bubblewrap's command line, answered by a Landlock
 * domain and seccomp within the container's sandbox.  Needs no namespace, no mount and no
 * privilege, which such a container does not have.  What a process can do afterwards is what it
 * could do before, or less. */
#include "base/cleanup.h"
#include "enter/enter.h"
#include "nono-bwrap/options.h"
#include "nono-bwrap/output.h"
#include "nono-bwrap/restrict.h"
#include "nono-bwrap/supervise.h"
#include "nono-bwrap/view.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* bubblewrap's, whatever has failed. */
#define FAILED 1

static int tell_failure(const struct kf_err *err)
{
	kf_bwrap_print(STDERR_FILENO, "bwrap: %s\n", err->msg);
	return FAILED;
}

static int apply_environment(const struct kf_bwrap *b, struct kf_err *err)
{
	if (b->clear_env && clearenv() != 0)
		return kf_fail_nomem(err, "environment");
	for (size_t i = 0; i < b->nenv; i++) {
		const struct kf_bwrap_env *e = &b->env[i];

		if ((e->value ? setenv(e->name, e->value, 1) : unsetenv(e->name)) < 0)
			return kf_fail_sys(err, "variable %s", e->name);
	}
	return 0;
}

/* As bubblewrap: where the caller is, if that can be seen; else the home directory, else the root.
 */
static int choose_directory(const struct kf_bwrap *b, const struct kf_bwrap_view *view,
			    struct kf_err *err)
{
	KF_UNINIT char now[PATH_MAX];
	const char *home = getenv("HOME");

	if (b->chdir) {
		if (chdir(b->chdir) < 0)
			return kf_fail_sys(err, "Can't chdir to %s", b->chdir);
	} else if ((!getcwd(now, sizeof(now)) || !kf_bwrap_view_shows(view, now)) &&
		   !(home && *home == '/' && kf_bwrap_view_shows(view, home) && chdir(home) == 0) &&
		   chdir("/") < 0) {
		return kf_fail_sys(err, "Can't chdir to /");
	}
	if (!getcwd(now, sizeof(now)) || setenv("PWD", now, 1) < 0)
		return kf_fail_sys(err, "working directory");
	return 0;
}

/* Whatever is denied is to be kept away, also what is empty now. */
static bool always_live(const struct kf_tree *tree, int fd, const struct kf_rule *rule, bool list,
			const struct stat *st)
{
	(void)tree;
	(void)fd;
	(void)rule;
	(void)list;
	(void)st;
	return true;
}

static int enter_view(const struct kf_bwrap_view *view, struct kf_err *err)
{
	struct kf_tree tree = kf_tree_live;
	struct kf_vars vars;
	const struct kf_scene scene = {.tree = &tree, .policy = &view->policy, .vars = &vars};
	struct kf_enter_needs needs;
	const struct kf_enter it = {.scene = &scene,
				    .needs = &needs,
				    .domain_fd = -1,
				    .literal = true,
				    .unlisted = view->hides};

	if (kf_vars_init(&vars, err) < 0)
		return -1;
	tree.live = always_live;
	kf_enter_find_needs(&view->policy, &needs);
	return kf_enter_sandbox(&it, err);
}

/* Returns only if it fails. */
static int become_program(const struct kf_bwrap *b, struct kf_err *err)
{
	const char *program = b->command[0];
	struct kf_bwrap_view view;

	/* A process that was forked just now leads nothing, so it can. */
	if (b->new_session && setsid() < 0)
		return kf_fail_sys(err, "--new-session: setsid");
	if (apply_environment(b, err) < 0 || kf_bwrap_view_make(b, &view, err) < 0 ||
	    choose_directory(b, &view, err) < 0 || enter_view(&view, err) < 0 ||
	    kf_bwrap_drop_caps(b, err) < 0 || kf_bwrap_filter_calls(b, err) < 0)
		return -1;
	if (b->argv0)
		b->command[0] = (char *)(uintptr_t)b->argv0; /* execve() does not write to it */
	if (kf_bwrap_add_filters(b, err) < 0)
		return -1;
	(void)execvp(program, b->command);
	return kf_fail_sys(err, "execvp %s", program);
}

static int run_command(const struct kf_bwrap *b, struct kf_err *err)
{
	int status = 0, r = 1;

	if (b->unshare_pid || b->die_with_parent || b->new_session)
		r = kf_bwrap_supervise(b->die_with_parent, &status, err);
	if (r > 0)
		r = become_program(b, err);
	return r < 0 ? -1 : status;
}

int main(int argc, char **argv)
{
	static struct kf_bwrap b;
	struct kf_err err;
	int status;

	if (argc < 1 || kf_bwrap_options_parse(argv + 1, &b, &err) < 0)
		return argc < 1 ? FAILED : tell_failure(&err);
	if (b.help) {
		kf_bwrap_options_help(STDOUT_FILENO);
		return 0;
	}
	if (b.version) {
		/* Callers ask whether it is bubblewrap, and not an old one. */
		kf_bwrap_print(STDOUT_FILENO, "bubblewrap 0.11.0 (nono " KF_VERSION ")\n");
		return 0;
	}
	if (!*b.command) {
		kf_bwrap_options_help(STDERR_FILENO);
		return FAILED;
	}
	status = run_command(&b, &err);
	return status < 0 ? tell_failure(&err) : status;
}
