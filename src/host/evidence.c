/* SPDX-License-Identifier: Apache-2.0 */
/* What runs on a host: the processes in its /proc and the units that its systemd knows.  This file
 * only collects; which.c decides. */
#include "host/evidence.h"

#include "base/cleanup.h"
#include "host/unit.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Names, commands and control groups of the runtimes on a machine, and their units. */
#define EVIDENCE_MEMORY (4 * 1024 * 1024)
#define QUESTION_MS	20000
#define WORDS_MAX	256
#define FILE_MAX	(64 * 1024)
#define SERVICE		".service"
#define PROPERTIES	"--property=Id,ActiveState,ControlGroup,ExecStart,Environment"

static const struct {
	const char *comm;
	enum kf_seen_kind kind;
} programs_seen[] = {
	{"containerd", KF_SEEN_CONTAINERD},
	{"crio", KF_SEEN_CRIO},
	{"kubelet", KF_SEEN_KUBELET},
};

/* A process that was found, before its unit is known. */
struct found_process {
	struct kf_seen_process process;
	const char *cgroup;
};

const char *kf_argv_option(const char *const *argv, const char *name, const char *letter)
{
	const char *const names[] = {name, letter};
	const char *found = NULL;

	/* The last one counts, as in the programs themselves. */
	for (; argv && *argv; argv++)
		for (size_t k = 0; k < KF_ARRAY_SIZE(names) && names[k]; k++) {
			size_t n = strlen(names[k]);

			if (strncmp(*argv, names[k], n) != 0)
				continue;
			if ((*argv)[n] == '=')
				found = *argv + n + 1;
			else if (!(*argv)[n] && argv[1])
				found = argv[1];
		}
	return found;
}

bool kf_argv_flag(const char *const *argv, const char *name)
{
	size_t n = strlen(name);

	for (; argv && *argv; argv++)
		if (strncmp(*argv, name, n) == 0 &&
		    (!(*argv)[n] || strcmp(*argv + n, "=true") == 0))
			return true;
	return false;
}

/* Read file @name of a process's directory: at most FILE_MAX bytes, *ret_n of them; empty if the
 * process has ended meanwhile. */
static int read_file(int dir, const char *name, struct kf_arena *arena, char **ret, size_t *ret_n,
		     struct kf_err *err)
{
	KF_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	KF_FREE char *buf = malloc(FILE_MAX);
	size_t n = 0;
	ssize_t got = fd < 0 ? -1 : 0;

	if (!buf)
		return kf_fail_nomem(err, name);
	while (fd >= 0 && n < FILE_MAX && (got = read(fd, buf + n, FILE_MAX - n)) > 0)
		n += (size_t)got;
	if (got < 0 && errno != ENOENT && errno != ESRCH)
		return kf_fail_sys(err, "read '%s' of a process", name);
	*ret = kf_arena_alloc(arena, n + 2);
	if (!*ret)
		return kf_fail_nomem(err, name);
	memcpy(*ret, buf, n);
	*ret_n = n;
	return 0;
}

/* Split @text, words that each end in NUL, into an argument vector. */
static int split_words(struct kf_arena *arena, const char *text, size_t n, const char *const **ret,
		       struct kf_err *err)
{
	const char **words = kf_arena_calloc(arena, WORDS_MAX + 1, sizeof(*words));
	size_t count = 0;

	if (!words)
		return kf_fail_nomem(err, "arguments");
	for (size_t at = 0; at < n && count < WORDS_MAX; at += strlen(text + at) + 1)
		if (text[at])
			words[count++] = text + at;
	*ret = words;
	return 0;
}

/* The path of systemd's own cgroup in @text of /proc/PID/cgroup, "" if there is none.  A host may
 * have a hierarchy of systemd's beside those of the controllers. */
static const char *cgroup_path(char *text)
{
	char *found = NULL, *next;

	for (char *line = text; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		char *named = strstr(line, ":name=systemd:");

		if (named) {
			found = named + strlen(":name=systemd:");
			break;
		}
		if (strncmp(line, "0::", 3) == 0)
			found = line + 3;
	}
	/* Paths begin with "/.." if we are in a cgroup namespace of our own. */
	while (found && strncmp(found, "/..", 3) == 0)
		found += 3;
	return found ? found : "";
}

/* Whether the process lives in a PID namespace below that of the host's /proc: in a container. */
static bool is_contained(const char *status)
{
	const char *at = strstr(status, "\nNSpid:");
	unsigned pids = 0;

	for (at = at ? at + strlen("\nNSpid:") : ""; *at && *at != '\n';) {
		at += strspn(at, " \t");
		if (isdigit((unsigned char)*at))
			pids++;
		at += strcspn(at, " \t\n");
	}
	return pids > 1;
}

/* Whether the process sees the same files as we do, when we run on the host itself: without systemd
 * this is the only way to recognise the host's own processes. */
static bool is_with_us(const struct kf_host *host, int dir)
{
	char theirs[64] = "", ours[64] = "";

	return host->here && readlinkat(dir, "ns/mnt", theirs, sizeof(theirs) - 1) > 0 &&
	       readlink("/proc/self/ns/mnt", ours, sizeof(ours) - 1) > 0 &&
	       strcmp(theirs, ours) == 0;
}

/* Whether this is a short command of these programs, not a service: shims start many of them. */
static bool is_command(const char *const *argv)
{
	static const char *const words[] = {"publish", "config",  "oci-hook",  "status", "wipe",
					    "check",   "version", "--version", "help"};

	for (size_t i = 1; argv[0] && argv[i]; i++)
		for (size_t k = 0; k < KF_ARRAY_SIZE(words); k++)
			if (strcmp(argv[i], words[k]) == 0)
				return true;
	return false;
}

static int look_at(const struct kf_host *host, int dir, struct kf_evidence *ev,
		   struct found_process *list, size_t *n, struct kf_err *err)
{
	struct found_process f = {0};
	char *comm, *text;
	size_t len, kind;

	if (read_file(dir, "comm", &ev->arena, &comm, &len, err) < 0)
		return -1;
	comm[strcspn(comm, "\n")] = '\0';
	for (kind = 0; kind < KF_ARRAY_SIZE(programs_seen); kind++)
		if (strcmp(comm, programs_seen[kind].comm) == 0)
			break;
	if (kind == KF_ARRAY_SIZE(programs_seen))
		return 0;
	if (read_file(dir, "status", &ev->arena, &text, &len, err) < 0)
		return -1;
	if (is_contained(text) || (!ev->booted && !is_with_us(host, dir)))
		return 0;
	f.process.kind = programs_seen[kind].kind;
	if (read_file(dir, "cgroup", &ev->arena, &text, &len, err) < 0)
		return -1;
	f.cgroup = cgroup_path(text);
	if (read_file(dir, "cmdline", &ev->arena, &text, &len, err) < 0 ||
	    split_words(&ev->arena, text, len, &f.process.argv, err) < 0)
		return -1;
	if (!f.process.argv[0] || is_command(f.process.argv)) /* an empty one has ended meanwhile */
		return 0;
	if (*n == KF_SEEN_MAX)
		return kf_fail(err, E2BIG, "more than %d processes of runtimes and kubelets",
			       KF_SEEN_MAX);
	list[(*n)++] = f;
	return 0;
}

static int find_processes(const struct kf_host *host, struct kf_evidence *ev,
			  struct found_process *list, size_t *n, struct kf_err *err)
{
	struct dirent *de;
	DIR *proc;
	int fd, r = 0;

	if (kf_host_dir(host, "/proc", false, &fd, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	proc = fdopendir(fd);
	if (!proc) {
		(void)close(fd);
		return kf_fail_sys(err, "read '/proc'");
	}
	while (r == 0) {
		KF_CLOSE int dir = -1;

		errno = 0;
		de = readdir(proc);
		if (!de && errno)
			r = kf_fail_sys(err, "read '/proc'");
		if (!de)
			break;
		if (!isdigit((unsigned char)de->d_name[0]))
			continue;
		dir = openat(dirfd(proc), de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0)
			r = look_at(host, dir, ev, list, n, err);
		else if (errno != ENOENT && errno != ESRCH)
			r = kf_fail_sys(err, "open '/proc/%s'", de->d_name);
	}
	(void)closedir(proc);
	return r;
}

/* The unit that a cgroup's path names: its innermost part that ends in ".service". */
static const char *unit_of(struct kf_arena *arena, const char *cgroup)
{
	const char *found = NULL, *at = cgroup;
	size_t n = 0;

	while (*at) {
		size_t len = strcspn(++at, "/");

		if (len > strlen(SERVICE) &&
		    strncmp(at + len - strlen(SERVICE), SERVICE, strlen(SERVICE)) == 0) {
			found = at;
			n = len;
		}
		at += len;
	}
	return found ? kf_arena_printf(arena, "%.*s", (int)n, found) : NULL;
}

/* The variable @name (@n bytes) in systemd's Environment= line, or NULL. */
static const char *unit_variable(struct kf_arena *arena, const char *environment, const char *name,
				 size_t n)
{
	for (const char *at = environment; *at; at += strspn(at, " ")) {
		size_t len = strcspn(at, " ");

		if (len > n && strncmp(at, name, n) == 0 && at[n] == '=')
			return kf_arena_printf(arena, "%.*s", (int)(len - n - 1), at + n + 1);
		at += len;
	}
	return NULL;
}

/* @word with ${NAME} and $NAME replaced from @environment; unchanged if one is not set there. */
static const char *fill_in(struct kf_arena *arena, const char *environment, const char *word)
{
	for (unsigned i = 0; i < 8; i++) {
		const char *dollar = strchr(word, '$'), *name, *value;
		size_t n, brace;

		if (!dollar)
			break;
		brace = dollar[1] == '{';
		name = dollar + 1 + brace;
		n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
		value = n ? unit_variable(arena, environment, name, n) : NULL;
		if (!value || (brace && name[n] != '}'))
			break;
		word = kf_arena_printf(arena, "%.*s%s%s", (int)(dollar - word), word, value,
				       name + n + brace);
		if (!word)
			break;
	}
	return word;
}

/* The part of @value between @from and @to, in the arena; "" if there is none. */
static char *text_between(struct kf_arena *arena, const char *value, const char *from,
			  const char *to)
{
	const char *at = strstr(value, from), *end = at ? strstr(at, to) : NULL;

	at = at ? at + strlen(from) : NULL;
	return kf_arena_printf(arena, "%.*s", end ? (int)(end - at) : 0, end ? at : "");
}

/* Read one unit's block of systemctl's output. */
static int take_unit(struct kf_evidence *ev, char *block, struct kf_err *err)
{
	struct kf_seen_unit u = {.name = "", .cgroup = "", .program = ""};
	const char *environment = "", *start = "";
	const char **words;
	char *next, *text;
	size_t n;

	for (char *line = block; line && *line; line = next) {
		char *value = strchr(line, '=');

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!value)
			continue;
		*value++ = '\0';
		if (strcmp(line, "Id") == 0) {
			n = strlen(value);
			if (n > strlen(SERVICE) &&
			    strcmp(value + n - strlen(SERVICE), SERVICE) == 0)
				value[n - strlen(SERVICE)] = '\0';
			u.name = value;
		} else if (strcmp(line, "ActiveState") == 0) {
			u.active = strcmp(value, "active") == 0 || strcmp(value, "reloading") == 0;
		} else if (strcmp(line, "ControlGroup") == 0) {
			u.cgroup = value;
		} else if (strcmp(line, "Environment") == 0) {
			environment = value;
		} else if (strcmp(line, "ExecStart") == 0) {
			start = value; /* if there are several, the last one starts the service */
		}
	}
	for (size_t i = 0; i < ev->nunits; i++)
		if (strcmp(ev->units[i].name, u.name) == 0)
			return 0;
	if (!*u.name || ev->nunits == KF_SEEN_MAX)
		return 0;
	u.program = text_between(&ev->arena, start, "path=", " ; ");
	text = text_between(&ev->arena, start, "argv[]=", " ; ignore_errors=");
	u.path = unit_variable(&ev->arena, environment, "PATH", 4);
	if (!u.program || !text)
		return kf_fail_nomem(err, "units");
	n = strlen(text);
	for (char *p = strchr(text, ' '); p; p = strchr(p + 1, ' '))
		*p = '\0';
	if (split_words(&ev->arena, text, n, &u.argv, err) < 0)
		return -1;
	words = (const char **)(uintptr_t)u.argv;
	for (size_t i = 0; words[i]; i++)
		if (!(words[i] = fill_in(&ev->arena, environment, words[i])))
			return kf_fail_nomem(err, "units");
	ev->units[ev->nunits++] = u;
	return 0;
}

static int ask_units(const struct kf_host *host, const char *const *patterns,
		     const struct found_process *list, size_t n, struct kf_evidence *ev,
		     struct kf_err *err)
{
	const char *args[KF_SYSTEMCTL_ARGS + 1] = {"show", PROPERTIES, "--"};
	struct kf_run run;
	char *text, *next;
	size_t count = 3;
	int r = 0;

	for (; *patterns && count < KF_SYSTEMCTL_ARGS; patterns++)
		args[count++] = *patterns;
	for (size_t i = 0; i < n && count < KF_SYSTEMCTL_ARGS; i++)
		if ((args[count] = unit_of(&ev->arena, list[i].cgroup)) != NULL)
			count++;
	if (kf_systemctl(host, args, QUESTION_MS, &run, err) < 0)
		return -1;
	text = kf_arena_strdup(&ev->arena, run.out);
	if (run.status != 0)
		r = kf_fail(err, EIO, "systemctl show: %s", run.why);
	else if (!text)
		r = kf_fail_nomem(err, "units");
	kf_run_done(&run);
	for (char *block = text; r == 0 && block && *block; block = next) {
		next = strstr(block, "\n\n");
		if (next) {
			*next = '\0';
			next += 2;
		}
		r = take_unit(ev, block, err);
	}
	return r;
}

/* Keep the processes of the host's own units; without systemd keep all. */
static void assign_units(struct kf_evidence *ev, const struct found_process *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct kf_seen_process p = list[i].process;

		for (size_t k = 0; k < ev->nunits && !p.unit; k++) {
			const struct kf_seen_unit *u = &ev->units[k];
			size_t len = strlen(u->cgroup);

			if (len && u->active && strncmp(list[i].cgroup, u->cgroup, len) == 0 &&
			    (!list[i].cgroup[len] || list[i].cgroup[len] == '/'))
				p.unit = u;
		}
		if (p.unit || !ev->booted)
			ev->processes[ev->nprocesses++] = p;
	}
}

int kf_evidence_gather(const struct kf_host *host, const char *const *patterns,
		       struct kf_evidence *ret, struct kf_err *err)
{
	struct found_process list[KF_SEEN_MAX];
	size_t n = 0;

	*ret = (struct kf_evidence){.booted = kf_systemctl_exists(host)};
	kf_arena_init(&ret->arena, EVIDENCE_MEMORY);
	if (find_processes(host, ret, list, &n, err) < 0 ||
	    (ret->booted && ask_units(host, patterns, list, n, ret, err) < 0)) {
		kf_evidence_done(ret);
		return kf_fail_wrap(err, "cannot tell which container runtime runs");
	}
	assign_units(ret, list, n);
	return 0;
}

void kf_evidence_done(struct kf_evidence *ev)
{
	kf_arena_done(&ev->arena);
}
