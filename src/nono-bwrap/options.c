/* SPDX-License-Identifier: Apache-2.0 */
/* The options of bubblewrap's command line, and what becomes of each: one table, which is also the
 * help and the table of docs/bwrap.md.  What they mean for files is in view.c. */
#include "nono-bwrap/options.h"

#include "base/cleanup.h"
#include "nono-bwrap/output.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* What is read from --args at most. */
#define ARGS_TEXT_MAX (4 << 20)

/* What the program gets, compared with bubblewrap. */
enum outcome { SAME, STRONGER, REFUSED };

struct reader {
	struct kf_bwrap *to;
	const struct answer *option; /* being read */
	size_t nargs;		     /* read so far */
	struct kf_err *err;
};

struct answer {
	const char *name, *args; /* without "--"; names of its arguments */
	unsigned char nargs;
	unsigned char outcome;			    /* enum outcome */
	int (*take)(struct reader *r, char **args); /* NULL: an error */
	unsigned char kind;			    /* of take_mount(); offset in take_flag() */
	const char *text;			    /* what happens instead; why it is an error */
};

static int refuse_option(const struct reader *r, const char *why)
{
	return kf_fail(r->err, EINVAL, "--%s: %s", r->option->name, why);
}

static int add_mount(struct reader *r, enum kf_bwrap_kind kind, const char *source,
		     const char *dest, bool optional)
{
	struct kf_bwrap *b = r->to;

	if (b->nmounts == KF_BWRAP_MOUNTS_MAX)
		return kf_fail(r->err, E2BIG, "more than %d mounts", KF_BWRAP_MOUNTS_MAX);
	b->mounts[b->nmounts++] = (struct kf_bwrap_mount){kind, optional, source, dest};
	return 0;
}

static int take_source(struct reader *r, char **args)
{
	return add_mount(r, r->option->kind, args[0], args[1], false);
}

static int take_optional(struct reader *r, char **args)
{
	return add_mount(r, r->option->kind, args[0], args[1], true);
}

static int take_dest(struct reader *r, char **args)
{
	return add_mount(r, r->option->kind, NULL, args[0], false);
}

static int take_fd(struct reader *r, const char *arg, int *ret)
{
	char *end;
	long fd = strtol(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end || fd > INT_MAX)
		return kf_fail(r->err, EINVAL, "--%s: '%s' is not a descriptor number",
			       r->option->name, arg);
	if (fcntl((int)fd, F_GETFD) < 0)
		return kf_fail_sys(r->err, "--%s: descriptor %ld", r->option->name, fd);
	*ret = (int)fd;
	return 0;
}

/* What a descriptor is of, by the name that the kernel has for it. */
static int take_source_fd(struct reader *r, char **args)
{
	const size_t size = sizeof("/proc/self/fd/2147483647");
	char *name = malloc(size);
	int fd;

	if (!name)
		return kf_fail_nomem(r->err, "mounts");
	if (take_fd(r, args[0], &fd) < 0) {
		free(name);
		return -1;
	}
	(void)snprintf(name, size, "/proc/self/fd/%d", fd);
	return add_mount(r, r->option->kind, name, args[1], false);
}

enum flag {
	FLAG_NONE, /* it is so anyway */
	FLAG_USER,
	FLAG_PID,
	FLAG_NET,
	FLAG_IPC,
	FLAG_ALL,
	FLAG_SHARE_NET,
	FLAG_NO_USERNS,
	FLAG_SESSION,
	FLAG_DIE,
	FLAG_CLEAR_ENV,
	FLAG_HELP,
	FLAG_VERSION,
};

static int take_flag(struct reader *r, char **args)
{
	struct kf_bwrap *b = r->to;

	(void)args;
	switch ((enum flag)r->option->kind) {
	case FLAG_NONE:
		break;
	case FLAG_USER:
		b->unshare_user = true;
		break;
	case FLAG_PID:
		b->unshare_pid = true;
		break;
	case FLAG_NET:
		b->unshare_net = true;
		break;
	case FLAG_IPC:
		b->unshare_ipc = true;
		break;
	case FLAG_ALL:
		b->unshare_user = b->unshare_pid = b->unshare_net = b->unshare_ipc = true;
		break;
	case FLAG_SHARE_NET:
		b->unshare_net = false;
		break;
	case FLAG_NO_USERNS:
		b->no_userns = true;
		break;
	case FLAG_SESSION:
		b->new_session = true;
		break;
	case FLAG_DIE:
		b->die_with_parent = true;
		break;
	case FLAG_CLEAR_ENV:
		b->clear_env = true;
		b->nenv = 0;
		break;
	case FLAG_HELP:
		b->help = true;
		break;
	case FLAG_VERSION:
		b->version = true;
		break;
	}
	return 0;
}

static int take_chdir(struct reader *r, char **args)
{
	r->to->chdir = args[0];
	return 0;
}

static int take_argv0(struct reader *r, char **args)
{
	r->to->argv0 = args[0];
	return 0;
}

static int add_env(struct reader *r, const char *name, const char *value)
{
	struct kf_bwrap *b = r->to;

	if (!*name || strchr(name, '='))
		return kf_fail(r->err, EINVAL, "--%s: '%s' is not the name of a variable",
			       r->option->name, name);
	if (b->nenv == KF_BWRAP_ENV_MAX)
		return kf_fail(r->err, E2BIG, "more than %d variables", KF_BWRAP_ENV_MAX);
	b->env[b->nenv++] = (struct kf_bwrap_env){name, value};
	return 0;
}

static int take_setenv(struct reader *r, char **args)
{
	return add_env(r, args[0], args[1]);
}

static int take_unsetenv(struct reader *r, char **args)
{
	return add_env(r, args[0], NULL);
}

static int take_filter(struct reader *r, char **args)
{
	struct kf_bwrap *b = r->to;

	/* bubblewrap: the last --seccomp counts, and is not to be mixed with the other option.
	 * All of them are stronger. */
	if (b->nfilters == KF_BWRAP_FILTERS_MAX)
		return kf_fail(r->err, E2BIG, "more than %d seccomp programs",
			       KF_BWRAP_FILTERS_MAX);
	return take_fd(r, args[0], &b->filters[b->nfilters]) < 0 ? -1 : (b->nfilters++, 0);
}

/* By number; include/uapi/linux/capability.h. */
static const char *const caps[] = {
	"chown",
	"dac_override",
	"dac_read_search",
	"fowner",
	"fsetid",
	"kill",
	"setgid",
	"setuid",
	"setpcap",
	"linux_immutable",
	"net_bind_service",
	"net_broadcast",
	"net_admin",
	"net_raw",
	"ipc_lock",
	"ipc_owner",
	"sys_module",
	"sys_rawio",
	"sys_chroot",
	"sys_ptrace",
	"sys_pacct",
	"sys_admin",
	"sys_boot",
	"sys_nice",
	"sys_resource",
	"sys_time",
	"sys_tty_config",
	"mknod",
	"lease",
	"audit_write",
	"audit_control",
	"setfcap",
	"mac_override",
	"mac_admin",
	"syslog",
	"wake_alarm",
	"block_suspend",
	"audit_read",
	"perfmon",
	"bpf",
	"checkpoint_restore",
};

static int take_cap_drop(struct reader *r, char **args)
{
	const char *name = args[0];

	if (strcasecmp(name, "ALL") == 0) {
		r->to->drop_caps_all = true;
		return 0;
	}
	if (strncasecmp(name, "cap_", 4) == 0)
		for (size_t i = 0; i < KF_ARRAY_SIZE(caps); i++)
			if (strcasecmp(name + 4, caps[i]) == 0) {
				r->to->drop_caps |= 1ull << i;
				return 0;
			}
	return kf_fail(r->err, EINVAL, "--cap-drop: there is no capability '%s'", name);
}

static int take_id(struct reader *r, char **args)
{
	const unsigned now = r->option->kind ? getgid() : getuid();
	char *end;
	unsigned long id = strtoul(args[0], &end, 10);

	if (*args[0] < '0' || *args[0] > '9' || *end)
		return kf_fail(r->err, EINVAL, "--%s: '%s' is not a number", r->option->name,
			       args[0]);
	return id == now ? 0 : refuse_option(r, "another one needs a user namespace");
}

static int take_args(struct reader *r, char **args);

/* A modifier of the next option: whatever it says about a directory that is hidden, or that must be
 * there, is kept by who owns it now. */
static int take_nothing(struct reader *r, char **args)
{
	(void)r;
	(void)args;
	return 0;
}

static const char needs_mount[] = "a path cannot be made to show something else without mounts; "
				  "create the file where it shall be";
static const char needs_overlay[] = "an overlay needs mounts";
static const char needs_namespace[] = "it names a namespace, and there is none";

static const struct answer options[] = {
	{"help", "", 0, SAME, take_flag, FLAG_HELP, "print this"},
	{"version", "", 0, SAME, take_flag, FLAG_VERSION, "print the version"},
	{"args", "FD", 1, SAME, take_args, 0, "more arguments, each ended by NUL"},
	{"argv0", "VALUE", 1, SAME, take_argv0, 0, "argv[0] of the program"},
	{"level-prefix", "", 0, SAME, take_flag, FLAG_NONE, "messages have no levels"},
	{"chdir", "DIR", 1, SAME, take_chdir, 0, "start in DIR"},
	{"setenv", "VAR VALUE", 2, SAME, take_setenv, 0, "set a variable"},
	{"unsetenv", "VAR", 1, SAME, take_unsetenv, 0, "remove a variable"},
	{"clearenv", "", 0, SAME, take_flag, FLAG_CLEAR_ENV, "remove all variables but PWD"},

	{"bind", "SRC DEST", 2, SAME, take_source, KF_BWRAP_BIND,
	 "SRC can be written where it lies, but for /proc; an error if DEST is another place; no "
	 "devices"},
	{"bind-try", "SRC DEST", 2, SAME, take_optional, KF_BWRAP_BIND, "if SRC exists"},
	{"bind-fd", "FD DEST", 2, SAME, take_source_fd, KF_BWRAP_BIND, "SRC is an open directory"},
	{"ro-bind", "SRC DEST", 2, SAME, take_source, KF_BWRAP_RO_BIND,
	 "as --bind, for reading; below a --bind only what is mounted read-only already, else an "
	 "error. /dev/null as SRC: DEST is hidden"},
	{"ro-bind-try", "SRC DEST", 2, SAME, take_optional, KF_BWRAP_RO_BIND, "if SRC exists"},
	{"ro-bind-fd", "FD DEST", 2, SAME, take_source_fd, KF_BWRAP_RO_BIND,
	 "SRC is an open directory"},
	{"dev-bind", "SRC DEST", 2, SAME, take_source, KF_BWRAP_DEV_BIND,
	 "as --bind, with the devices that the container has"},
	{"dev-bind-try", "SRC DEST", 2, SAME, take_optional, KF_BWRAP_DEV_BIND, "if SRC exists"},
	{"remount-ro", "DEST", 1, SAME, take_dest, KF_BWRAP_REMOUNT_RO,
	 "what was granted at DEST can only be read"},
	{"tmpfs", "DEST", 1, STRONGER, take_dest, KF_BWRAP_EMPTY,
	 "what is at DEST can neither be read nor written; there is no empty directory instead"},
	{"proc", "DEST", 1, STRONGER, take_dest, KF_BWRAP_PROC,
	 "only /proc, for reading; with --unshare-pid nothing of a process but of the program "
	 "itself, and the numbers of all"},
	{"dev", "DEST", 1, STRONGER, take_dest, KF_BWRAP_DEV,
	 "only /dev: null, zero, full, random, urandom and tty, and the names of the rest; no shm, "
	 "no new terminals"},
	{"dir", "DEST", 1, SAME, take_dest, KF_BWRAP_DIR, "must be there; else an error"},
	{"symlink", "SRC DEST", 2, SAME, take_source, KF_BWRAP_SYMLINK,
	 "must be there and lead to SRC; else an error"},
	{"perms", "OCTAL", 1, STRONGER, take_nothing, 0, "what is there keeps its mode"},
	{"size", "BYTES", 1, STRONGER, take_nothing, 0, "nothing is made that has a size"},
	{"file", "FD DEST", 2, REFUSED, NULL, 0, needs_mount},
	{"bind-data", "FD DEST", 2, REFUSED, NULL, 0, needs_mount},
	{"ro-bind-data", "FD DEST", 2, REFUSED, NULL, 0, needs_mount},
	{"chmod", "OCTAL PATH", 2, REFUSED, NULL, 0,
	 "it is for what was mounted; change the mode of the file itself"},
	{"mqueue", "DEST", 1, REFUSED, NULL, 0, "a file system of message queues is a mount"},
	{"overlay-src", "SRC", 1, REFUSED, NULL, 0, needs_overlay},
	{"overlay", "RWSRC WORKDIR DEST", 3, REFUSED, NULL, 0, needs_overlay},
	{"tmp-overlay", "DEST", 1, REFUSED, NULL, 0, needs_overlay},
	{"ro-overlay", "DEST", 1, REFUSED, NULL, 0, needs_overlay},

	{"unshare-all", "", 0, STRONGER, take_flag, FLAG_ALL, "all that follow"},
	{"share-net", "", 0, SAME, take_flag, FLAG_SHARE_NET, "takes --unshare-net back"},
	{"unshare-user", "", 0, STRONGER, take_flag, FLAG_USER,
	 "the program has no capabilities, also as root"},
	{"unshare-user-try", "", 0, STRONGER, take_flag, FLAG_USER, "the same"},
	{"unshare-pid", "", 0, STRONGER, take_flag, FLAG_PID,
	 "processes outside cannot be signalled or traced (Landlock ABI 6, else an error); the "
	 "program's end is the end of all that it started"},
	{"unshare-net", "", 0, STRONGER, take_flag, FLAG_NET,
	 "no sockets but unix sockets, not even on the loopback"},
	{"unshare-ipc", "", 0, STRONGER, take_flag, FLAG_IPC,
	 "no shared memory, semaphores and message queues of System V, no POSIX message queues"},
	{"unshare-uts", "", 0, SAME, take_flag, FLAG_NONE,
	 "nobody can change the host name in a sandbox"},
	{"unshare-cgroup", "", 0, SAME, take_flag, FLAG_NONE,
	 "the cgroups cannot be written unless they are bound"},
	{"unshare-cgroup-try", "", 0, SAME, take_flag, FLAG_NONE, "the same"},
	{"disable-userns", "", 0, SAME, take_flag, FLAG_NO_USERNS,
	 "no process in it makes a user namespace"},
	{"assert-userns-disabled", "", 0, SAME, take_flag, FLAG_NO_USERNS, "the same"},
	{"uid", "UID", 1, SAME, take_id, 0, "only the present one; else an error"},
	{"gid", "GID", 1, SAME, take_id, 1, "only the present one; else an error"},
	{"hostname", "NAME", 1, REFUSED, NULL, 0, "another host name needs a UTS namespace"},
	{"userns", "FD", 1, REFUSED, NULL, 0, needs_namespace},
	{"userns2", "FD", 1, REFUSED, NULL, 0, needs_namespace},
	{"pidns", "FD", 1, REFUSED, NULL, 0, needs_namespace},
	{"userns-block-fd", "FD", 1, REFUSED, NULL, 0, needs_namespace},

	{"cap-drop", "CAP", 1, SAME, take_cap_drop, 0, "a capability, or ALL"},
	{"cap-add", "CAP", 1, REFUSED, NULL, 0, "a sandbox within a sandbox adds nothing"},
	{"seccomp", "FD", 1, SAME, take_filter, 0, "a program of seccomp, last of all"},
	{"add-seccomp-fd", "FD", 1, SAME, take_filter, 0, "the same"},
	{"new-session", "", 0, SAME, take_flag, FLAG_SESSION, "a session without the terminal"},
	{"die-with-parent", "", 0, STRONGER, take_flag, FLAG_DIE,
	 "when the caller ends, all that was started ends, also without --unshare-pid"},
	{"as-pid-1", "", 0, SAME, take_flag, FLAG_NONE,
	 "no process of ours is below the program; it keeps its number"},
	{"exec-label", "LABEL", 1, REFUSED, NULL, 0, "the container's label stays"},
	{"file-label", "LABEL", 1, REFUSED, NULL, 0, "no files are made"},
	{"lock-file", "DEST", 1, REFUSED, NULL, 0, "hold the lock in the program"},
	{"sync-fd", "FD", 1, REFUSED, NULL, 0, "pass the descriptor to the program"},
	{"block-fd", "FD", 1, REFUSED, NULL, 0, "nothing outside has to be set up first"},
	{"info-fd", "FD", 1, REFUSED, NULL, 0, "there are no namespaces to tell about"},
	{"json-status-fd", "FD", 1, REFUSED, NULL, 0, "wait for the command instead"},
};

static const struct answer *find_option(const char *name)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(options); i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

/* Read options from @argv up to "--" or the first argument that is none, which is *ret_rest. */
static int read_options(struct reader *r, char **argv, char ***ret_rest)
{
	while (*argv && **argv == '-') {
		char *arg = *argv++;
		size_t n = 0;

		if (++r->nargs > KF_BWRAP_ARGS_MAX)
			return kf_fail(r->err, E2BIG, "more than %d arguments", KF_BWRAP_ARGS_MAX);
		if (strcmp(arg, "--") == 0)
			break;
		r->option = arg[1] == '-' ? find_option(arg + 2) : NULL;
		if (!r->option)
			return kf_fail(r->err, EINVAL, "Unknown option %s", arg);
		while (n < r->option->nargs && argv[n])
			n++;
		if (n < r->option->nargs)
			return kf_fail(r->err, EINVAL, "--%s takes %s", r->option->name,
				       r->option->args);
		if ((r->option->take ? r->option->take(r, argv)
				     : refuse_option(r, r->option->text)) < 0)
			return -1;
		argv += n;
		r->nargs += n;
	}
	*ret_rest = argv;
	return 0;
}

/* The whole text behind @fd, with a NUL behind it. */
static int read_text(struct reader *r, int fd, char **ret, size_t *ret_n)
{
	KF_FREE char *text = malloc(ARGS_TEXT_MAX + 1);
	size_t n = 0;
	ssize_t got;

	if (!text)
		return kf_fail_nomem(r->err, "--args");
	while ((got = read(fd, text + n, ARGS_TEXT_MAX - n)) > 0)
		n += (size_t)got;
	if (got < 0)
		return kf_fail_sys(r->err, "--args: read");
	if (n == ARGS_TEXT_MAX)
		return kf_fail(r->err, E2BIG, "--args: more than %d bytes", ARGS_TEXT_MAX);
	text[n] = '\0';
	*ret = KF_STEAL(text);
	*ret_n = n;
	return 0;
}

/* The strings of it stay, since the options borrow from them. */
static int take_args(struct reader *r, char **args)
{
	const struct answer *option = r->option;
	char *text, **list, **rest;
	size_t size, n = 0;
	int fd;

	if (take_fd(r, args[0], &fd) < 0 || read_text(r, fd, &text, &size) < 0)
		return -1;
	(void)close(fd);
	list = calloc(KF_BWRAP_ARGS_MAX + 2, sizeof(*list));
	if (!list)
		return kf_fail_nomem(r->err, "--args");
	for (size_t at = 0; at < size; at += strlen(text + at) + 1) {
		if (n > KF_BWRAP_ARGS_MAX)
			return kf_fail(r->err, E2BIG, "more than %d arguments", KF_BWRAP_ARGS_MAX);
		list[n++] = text + at;
	}
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], "--args") == 0)
			return kf_fail(r->err, EINVAL, "--args: within --args");
	if (read_options(r, list, &rest) < 0)
		return -1;
	r->option = option;
	return *rest ? kf_fail(r->err, EINVAL, "--args: '%s' is no option", *rest) : 0;
}

int kf_bwrap_options_parse(char **argv, struct kf_bwrap *ret, struct kf_err *err)
{
	struct reader r = {.to = ret, .err = err};

	*ret = (struct kf_bwrap){
		.mounts = calloc(KF_BWRAP_MOUNTS_MAX, sizeof(*ret->mounts)),
		.env = calloc(KF_BWRAP_ENV_MAX, sizeof(*ret->env)),
	};
	if (!ret->mounts || !ret->env)
		return kf_fail_nomem(err, "options");
	return read_options(&r, argv, &ret->command);
}

void kf_bwrap_options_help(int out)
{
	static const char outcomes[][12] = {"same", "stronger", "error"};

	kf_bwrap_print(out,
		       "usage: bwrap [OPTIONS...] [--] COMMAND [ARGS...]\n\n"
		       "bubblewrap's command line, answered without namespaces by a sandbox within "
		       "the container's.\nEach option is the same, stronger, or an error.\n\n");
	for (size_t i = 0; i < KF_ARRAY_SIZE(options); i++)
		kf_bwrap_print(out, "    --%s%s%s\n        %s: %s\n", options[i].name,
			       *options[i].args ? " " : "", options[i].args,
			       outcomes[options[i].outcome], options[i].text);
}
