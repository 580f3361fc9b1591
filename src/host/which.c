/* SPDX-License-Identifier: Apache-2.0 */
/* Which container runtime serves a node: what runs decides, never a file that somebody may have
 * left behind.  First the endpoint of the kubelet, then the units and processes, then the sockets
 * that are served; only if nothing runs (an image that is being built), what is installed.
 * evidence.c collects what runs. */
#include "host/which.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "host/evidence.h"
#include "host/socket.h"
#include "toml/edit.h"
#include "toml/toml.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define CANDIDATES_MAX 16
#define KUBELETS_MAX   8
/* The kubelet's default (v1beta1). */
#define KUBELET_SOCKET "/run/containerd/containerd.sock"
#define K3S_CONFIG     "/agent/etc/containerd/config.toml"
#define CHOOSE	       "choose with --distribution (chart: nodeSetup.distribution)"

static const char *const unit_patterns[] = {
	"containerd.service",
	"crio.service",
	"kubelet.service",
	"k3s*.service",
	"rke2*.service",
	"k0s*.service",
	"snap.microk8s.daemon-containerd.service",
	NULL,
};

struct candidate {
	struct kf_distro *place;
	const char *unit;  /* NULL = systemd did not start it */
	bool kubelet;	   /* it includes the kubelet */
	const char *fault; /* why it cannot be set up if it is chosen; or NULL */
};

struct which_work {
	const struct kf_host *host;
	const struct kf_which_question *question;
	struct kf_arena *arena;
	struct kf_evidence evidence;
	struct candidate list[CANDIDATES_MAX];
	size_t n;
	const char *kubelets[KUBELETS_MAX]; /* sockets */
	size_t nkubelets;
};

/* One socket can be written in several ways: remove the scheme, and the "/var" of "/var/run/". */
static const char *plain_socket(const char *s)
{
	static const char *const schemes[] = {"remote:", "docker:", "unix://", "unix:"};

	for (size_t i = 0; i < KF_ARRAY_SIZE(schemes); i++)
		if (strncmp(s, schemes[i], strlen(schemes[i])) == 0)
			s += strlen(schemes[i]);
	return strncmp(s, "/var/run/", 9) == 0 ? s + 4 : s;
}

static bool same_file(const struct kf_host *host, const char *a, const char *b)
{
	KF_CLOSE int x = -1, y = -1;
	struct stat s, t;

	return kf_host_fd(host, a, O_PATH, &x, KF_ERR_IGNORED) == 0 &&
	       kf_host_fd(host, b, O_PATH, &y, KF_ERR_IGNORED) == 0 && fstat(x, &s) == 0 &&
	       fstat(y, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

static bool serves_socket(const struct which_work *w, const struct candidate *c, const char *socket)
{
	for (const char *const *s = c->place->sockets; *s; s++)
		if (strcmp(plain_socket(*s), socket) == 0 || same_file(w->host, *s, socket))
			return true;
	return false;
}

static int add_kubelet(struct which_work *w, const char *socket, struct kf_err *err)
{
	socket = kf_arena_strdup(w->arena, plain_socket(socket));
	if (!socket)
		return kf_fail_nomem(err, "kubelet");
	for (size_t i = 0; i < w->nkubelets; i++)
		if (strcmp(w->kubelets[i], socket) == 0)
			return 0;
	if (w->nkubelets < KUBELETS_MAX)
		w->kubelets[w->nkubelets++] = socket;
	return 0;
}

static int add_candidate(struct which_work *w, struct kf_distro *place, const char *unit,
			 const char *fault, struct kf_err *err)
{
	struct candidate c = {
		.place = place, .unit = unit, .kubelet = place->command != NULL, .fault = fault};

	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->list[i].place->name, place->name) == 0 &&
		    strcmp(w->list[i].place->config, place->config) == 0 &&
		    strcmp(w->list[i].place->sockets[0], place->sockets[0]) == 0)
			return 0;
	if (w->n == CANDIDATES_MAX)
		return kf_fail(err, E2BIG, "more than %d container runtimes run here; " CHOOSE,
			       CANDIDATES_MAX);
	if (unit)
		for (size_t i = 0; i < KF_DISTRO_CHOICES; i++)
			place->units[i] = i ? NULL : unit;
	w->list[w->n++] = c;
	return c.kubelet ? add_kubelet(w, place->sockets[0], err) : 0;
}

/* The value of the top-level @key in the flat YAML or JSON file @path; NULL if there is none. */
static int flat_value(struct which_work *w, const char *path, const char *key, const char **ret,
		      struct kf_err *err)
{
	KF_FREE char *text = NULL;
	size_t n, len = strlen(key);

	*ret = NULL;
	if (kf_host_read(w->host, path, KF_LIMIT_CONFIG, &text, &n, err) < 0)
		return err->code == ENOENT ? 0 : kf_fail_wrap(err, "'%s'", path);
	for (char *line = text, *next; line; line = next) {
		size_t lead;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		lead = strspn(line, " \t\"{,");
		if (strncmp(line + lead, key, len) != 0)
			continue;
		line += lead + len;
		line += strspn(line, "\"");
		if (*line != ':')
			continue;
		line += strspn(line, ":\" '\t");
		*ret = kf_arena_printf(w->arena, "%.*s", (int)strcspn(line, "\"',# \t\r}"), line);
		if (!*ret)
			return kf_fail_nomem(err, path);
		if (!**ret)
			*ret = NULL;
	}
	return 0;
}

/* Read option @name ("--data-dir") of a distribution's program: from its unit's command line, or
 * from its settings file and the files beside it, where it has no dashes. */
static int own_setting(struct which_work *w, const struct kf_distro *d,
		       const struct kf_seen_unit *unit, const char *name, const char **ret,
		       struct kf_err *err)
{
	KF_FREE char *pattern = NULL;
	const char *value;
	char **more;
	int r = 0;

	*ret = unit && name ? kf_argv_option(unit->argv, name, NULL) : NULL;
	if (*ret || !name || !d->settings)
		return 0;
	if (flat_value(w, d->settings, name + 2, ret, err) < 0)
		return -1;
	if (asprintf(&pattern, "%s.d/*.yaml", d->settings) < 0) {
		pattern = NULL;
		return kf_fail_nomem(err, d->settings);
	}
	if (kf_host_glob(w->host, pattern, &more, err) < 0)
		return -1;
	for (char **p = more; *p && r == 0; p++) {
		r = flat_value(w, *p, name + 2, &value, err);
		*ret = r == 0 && value ? value : *ret;
	}
	kf_host_list_free(more);
	return r;
}

static bool in_list(const char *const *list, const char *s)
{
	while (*list && strcmp(*list, s) != 0)
		list++;
	return *list != NULL;
}

/* The distribution that @unit belongs to, by its name or by the program that it starts; NULL = none
 * that is known. */
static const struct kf_distro *distro_of_unit(const struct kf_seen_unit *unit)
{
	for (const struct kf_distro *d = kf_distros; unit && d->name; d++)
		if (in_list(d->units, unit->name) ||
		    (d->command && strcmp(kf_path_base(unit->program), d->command) == 0))
			return d;
	return NULL;
}

static bool ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), len = strlen(tail);

	return n > len && strcmp(s + n - len, tail) == 0;
}

/* The distribution whose containerd is started with the configuration @config. */
static const struct kf_distro *distro_of_config(const char *config)
{
	static const struct {
		const char *tail, *name;
	} tails[] = {
		{K3S_CONFIG, "k3s"},
		{"/args/containerd.toml", "microk8s"}, /* below a revision's number */
	};
	const struct kf_distro *d;

	for (d = kf_distros; d->name; d++)
		if (d->command && strcmp(config, d->config) == 0)
			return d;
	for (size_t i = 0; i < KF_ARRAY_SIZE(tails); i++)
		for (d = kf_distros; d->name && ends_with(config, tails[i].tail); d++)
			if (strcmp(d->name, tails[i].name) == 0)
				return d;
	return NULL;
}

/* The value of a runtime's option: the unit's, which counts at its next start, or else the running
 * process's. */
static const char *option_value(const struct kf_seen_unit *unit,
				const struct kf_seen_process *process, const char *name,
				const char *letter)
{
	const char *by_unit = unit ? kf_argv_option(unit->argv, name, letter) : NULL;

	if (by_unit && !strchr(by_unit, '$'))
		return by_unit;
	return process ? kf_argv_option(process->argv, name, letter) : by_unit;
}

/* The address that containerd's root file sets, NULL = none. */
static int address_in(struct which_work *w, const char *config, const char **ret,
		      struct kf_err *err)
{
	KF_FREE char *text = NULL;
	struct kf_toml toml;
	const char *set;
	size_t n;

	*ret = NULL;
	if (kf_host_read(w->host, config, KF_LIMIT_CONFIG, &text, &n, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	/* A file that does not parse sets nothing here; the plan will report it. */
	if (kf_toml_parse(text, n, config, &toml, KF_ERR_IGNORED) < 0)
		return 0;
	set = kf_toml_string(toml.root, KF_TOML_PATH("grpc", "address"), "");
	set = kf_toml_string(
		toml.root, KF_TOML_PATH("plugins", "io.containerd.server.v1.grpc", "address"), set);
	if (*set)
		*ret = kf_arena_strdup(w->arena, set);
	n = *set && !*ret;
	kf_toml_done(&toml);
	return n ? kf_fail_nomem(err, config) : 0;
}

/* Put the directories of the unit's PATH, in which it finds runc, before the usual ones. */
static int search_path(struct which_work *w, const char *path, struct kf_distro *place,
		       struct kf_err *err)
{
	size_t n = 0;

	for (size_t len; path && *path && n + 1 < KF_DISTRO_CHOICES;
	     path += len + (path[len] == ':')) {
		len = strcspn(path, ":");
		if (path[0] != '/')
			continue;
		place->bindirs[n] = kf_arena_printf(w->arena, "%.*s", (int)len, path);
		if (!place->bindirs[n++])
			return kf_fail_nomem(err, "search path");
		place->bindirs[n] = NULL;
	}
	return 0;
}

/* Add a runtime that belongs to no distribution: its command line says where everything is. */
static int plain_runtime(struct which_work *w, const struct kf_distro *d,
			 const struct kf_seen_process *process, const struct kf_seen_unit *unit,
			 struct kf_err *err)
{
	struct kf_distro *place = kf_distro_at(d, NULL, w->arena);
	const char *config = option_value(unit, process, "--config", "-c"), *address, *program;
	const char *dir = option_value(unit, process, "--config-dir", "-d"), *fault = NULL;

	if (!place)
		return kf_fail_nomem(err, d->name);
	if (d->kind == KF_RUNTIME_CRIO &&
	    ((config && strcmp(config, d->config) != 0) || (dir && strcmp(dir, d->dropins) != 0)))
		fault = kf_arena_printf(w->arena,
					"CRI-O is started with configuration '%s', and kubefence "
					"changes %s only; have CRI-O read %s",
					config ? config : dir, d->dropins, d->dropins);
	else if (config && config[0] != '/')
		fault = kf_arena_printf(
			w->arena,
			"%s is started with configuration '%s': where that is cannot "
			"be told; say it with --containerd-config",
			d->name, config);
	if (config)
		place->config = kf_arena_strdup(w->arena, config);
	program = process && process->argv[0][0] == '/'				  ? process->argv[0]
		  : unit && strcmp(kf_path_base(unit->program), d->units[0]) == 0 ? unit->program
										  : NULL;
	if (program && kf_host_exists(w->host, program)) {
		memset(place->programs, 0, sizeof(place->programs));
		place->programs[0] = kf_arena_strdup(w->arena, program);
		if (!place->programs[0])
			return kf_fail_nomem(err, d->name);
	}
	address = d->kind == KF_RUNTIME_CRIO ? option_value(unit, process, "--listen", NULL)
					     : option_value(unit, process, "--address", "-a");
	if (!place->config || (!address && d->kind == KF_RUNTIME_CONTAINERD &&
			       address_in(w, place->config, &address, err) < 0))
		return place->config ? -1 : kf_fail_nomem(err, d->name);
	if (address) {
		memset(place->sockets, 0, sizeof(place->sockets));
		place->sockets[0] = kf_arena_strdup(w->arena, address);
	}
	place->state = option_value(unit, process, "--state", NULL);
	if (place->state)
		place->state = kf_arena_strdup(w->arena, place->state);
	if (!place->sockets[0] || search_path(w, unit ? unit->path : NULL, place, err) < 0)
		return place->sockets[0] ? -1 : kf_fail_nomem(err, d->name);
	return add_candidate(w, place, unit ? kf_arena_strdup(w->arena, unit->name) : NULL, fault,
			     err);
}

/* Add a distribution's own runtime: only its data directory may differ. */
static int own_runtime(struct which_work *w, const struct kf_distro *d, const char *data,
		       const struct kf_seen_unit *unit, struct kf_err *err)
{
	struct kf_distro *place = kf_distro_at(d, data, w->arena);

	if (!place)
		return kf_fail_nomem(err, d->name);
	return add_candidate(w, place, unit ? kf_arena_strdup(w->arena, unit->name) : NULL, NULL,
			     err);
}

/* @path without @tail; NULL if it does not end in @tail. */
static const char *path_without(struct which_work *w, const char *path, const char *tail)
{
	return ends_with(path, tail)
		       ? kf_arena_printf(w->arena, "%.*s", (int)(strlen(path) - strlen(tail)), path)
		       : NULL;
}

static int take_process(struct which_work *w, const struct kf_seen_process *p, struct kf_err *err)
{
	const struct kf_distro *d = distro_of_unit(p->unit);
	const char *config = kf_argv_option(p->argv, "--config", "-c");

	if (p->kind == KF_SEEN_CRIO)
		return kf_distro_named("crio", 4, &d, err) < 0
			       ? -1
			       : plain_runtime(w, d, p, p->unit, err);
	if (!d && config)
		d = distro_of_config(config);
	if (!d && kf_distro_named("containerd", 10, &d, err) < 0)
		return -1;
	if (!d->command)
		return plain_runtime(w, d, p, p->unit, err);
	return own_runtime(w, d,
			   config && ends_with(config, K3S_CONFIG)
				   ? path_without(w, config, K3S_CONFIG)
			   : d->data ? path_without(w, p->argv[0], "/bin/containerd")
				     : NULL,
			   p->unit, err);
}

/* Take the kubelet's endpoint: from its command line, or else from its configuration files. */
static int take_kubelet(struct which_work *w, const struct kf_seen_process *p, struct kf_err *err)
{
	const char *socket = kf_argv_option(p->argv, "--container-runtime-endpoint", NULL),
		   *config = kf_argv_option(p->argv, "--config", NULL),
		   *dir = kf_argv_option(p->argv, "--config-dir", NULL), *more = NULL;
	char **files;
	int r = 0;

	if (!socket && config &&
	    flat_value(w, config, "containerRuntimeEndpoint", &socket, err) < 0)
		return -1;
	if (dir && !kf_argv_option(p->argv, "--container-runtime-endpoint", NULL)) {
		const char *pattern = kf_arena_printf(w->arena, "%s/*.conf", dir);

		if (!pattern)
			return kf_fail_nomem(err, "kubelet");
		if (kf_host_glob(w->host, pattern, &files, err) < 0)
			return -1;
		for (char **f = files; *f && r == 0; f++) {
			r = flat_value(w, *f, "containerRuntimeEndpoint", &more, err);
			socket = r == 0 && more ? more : socket;
		}
		kf_host_list_free(files);
	}
	return r < 0 ? -1 : add_kubelet(w, socket ? socket : KUBELET_SOCKET, err);
}

/* Whether a program that can be runtime and kubelet runs neither of them here. */
static bool is_control_plane(const struct kf_seen_unit *u)
{
	if (kf_argv_flag(u->argv, "--disable-agent"))
		return true;
	return u->argv[0] && u->argv[1] && strcmp(kf_path_base(u->argv[0]), "k0s") == 0 &&
	       strcmp(u->argv[1], "controller") == 0 && !kf_argv_flag(u->argv, "--enable-worker") &&
	       !kf_argv_flag(u->argv, "--single");
}

/* Add an active unit whose process was not seen, for example while it starts. */
static int take_unit(struct which_work *w, const struct kf_seen_unit *u, struct kf_err *err)
{
	const struct kf_distro *d = distro_of_unit(u);
	const char *foreign, *data;

	if (!d || !u->active || (d->command && is_control_plane(u)))
		return 0;
	if (!d->command) {
		for (size_t i = 0; i < w->n; i++)
			if (w->list[i].unit && strcmp(w->list[i].unit, u->name) == 0)
				return 0;
		return plain_runtime(w, d, NULL, u, err);
	}
	if (own_setting(w, d, u, d->foreign_option, &foreign, err) < 0)
		return -1;
	if (foreign)
		return add_kubelet(w, foreign, err);
	if (kf_argv_flag(u->argv, "--docker"))
		return add_kubelet(w, "/run/cri-dockerd.sock", err);
	for (size_t i = 0; i < w->n; i++)
		if (w->list[i].unit && strcmp(w->list[i].unit, u->name) == 0)
			return 0;
	if (own_setting(w, d, u, d->data_option, &data, err) < 0)
		return -1;
	return own_runtime(w, d, data, u, err);
}

static int collect_running(struct which_work *w, struct kf_err *err)
{
	const struct kf_evidence *ev = &w->evidence;

	for (size_t i = 0; i < ev->nprocesses; i++) {
		const struct kf_seen_process *p = &ev->processes[i];

		if ((p->kind == KF_SEEN_KUBELET ? take_kubelet(w, p, err)
						: take_process(w, p, err)) < 0)
			return -1;
	}
	for (size_t i = 0; i < ev->nunits; i++)
		if (take_unit(w, &ev->units[i], err) < 0)
			return -1;
	return 0;
}

/* Add what is installed; if @served only runtimes whose socket is served. */
static int collect_installed(struct which_work *w, bool served, struct kf_err *err)
{
	for (const struct kf_distro *d = kf_distros; d->name; d++) {
		struct candidate *c = &w->list[w->n];
		bool there = kf_host_first(w->host, d->installed) != NULL;

		for (const char *const *s = d->sockets; there && served && *s; s++)
			there = kf_socket_served(w->host, *s);
		if (!there)
			continue;
		*c = (struct candidate){.place = kf_distro_at(d, NULL, w->arena)};
		if (!c->place)
			return kf_fail_nomem(err, d->name);
		w->n++;
	}
	return 0;
}

static void add_candidates(const struct which_work *w, struct kf_buf *out)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct candidate *c = &w->list[i];

		kf_buf_addf(out, "%s%s (%s%s%s%s)", i ? ", " : "", c->place->name,
			    c->unit ? "unit " : "", c->unit ? c->unit : "", c->unit ? ", " : "",
			    c->place->config);
	}
}

static int refuse_choice(const struct which_work *w, const char *what, const char *remedy,
			 struct kf_err *err)
{
	struct kf_buf names = KF_BUF_INIT(KF_ERR_MSG_MAX);

	add_candidates(w, &names);
	kf_err_set(err, EEXIST, "cannot tell which container runtime serves this node: %s %s; %s",
		   what, names.p ? names.p : "none", remedy);
	kf_buf_done(&names);
	return -1;
}

/* Keep only candidates of distribution @d with its data at @data (NULL = anywhere). */
static void keep_named(struct which_work *w, const struct kf_distro *d, const char *data)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->list[i].place->name, d->name) == 0 &&
		    (!data || strcmp(w->list[i].place->data, data) == 0))
			w->list[n++] = w->list[i];
	w->n = n;
}

/* Choose the candidate that serves the kubelet. */
static int by_kubelet(struct which_work *w, struct kf_err *err)
{
	const char *socket = w->kubelets[0];

	if (w->nkubelets > 1)
		return refuse_choice(w, "more than one kubelet runs here, with", CHOOSE, err);
	for (size_t i = 0; i < w->n; i++)
		if (serves_socket(w, &w->list[i], socket)) {
			w->list[0] = w->list[i];
			w->n = 1;
			return 0;
		}
	if (strstr(socket, "dockerd") || strstr(socket, "dockershim"))
		return kf_fail(err, ENOTSUP,
			       "the kubelet uses Docker ('%s'), which has neither NRI nor runtime "
			       "handlers; move this node to containerd or CRI-O",
			       socket);
	return kf_fail(err, ENOENT,
		       "the kubelet uses '%s', and no runtime that is known serves it; " CHOOSE,
		       socket);
}

/* Without a kubelet: choose the candidate that has the configuration file of the option. */
static int by_config(struct which_work *w, const struct kf_distro *containerd, struct kf_err *err)
{
	const char *config = w->question->containerd_config;
	size_t n = 0;

	if (config) {
		keep_named(w, containerd, NULL);
		for (size_t i = 0; i < w->n; i++)
			if (strcmp(w->list[i].place->config, config) == 0)
				w->list[n++] = w->list[i];
		w->n = n ? n : w->n;
	}
	return w->n == 1 ? 0
			 : refuse_choice(w, "here are",
					 CHOOSE
					 ", containerd's file with --containerd-config (chart: "
					 "containerdConfigPath)",
					 err);
}

static int make_answer(struct which_work *w, struct kf_which *ret, struct kf_err *err)
{
	const struct candidate *c = &w->list[0];
	const struct kf_distro *usual;
	const char *config = w->question->containerd_config;

	if (kf_distro_named(c->place->name, strlen(c->place->name), &usual, err) < 0)
		return -1;
	if (c->fault && !(config && strcmp(usual->name, "containerd") == 0))
		return kf_fail(err, ENOTSUP, "%s", c->fault);
	if (config && strcmp(usual->name, "containerd") == 0) {
		c->place->config = kf_arena_strdup(w->arena, config);
		if (!c->place->config)
			return kf_fail_nomem(err, "distribution");
	}
	ret->distro = c->place;
	ret->place = strcmp(c->place->config, usual->config) == 0 &&
				     (!usual->data || strcmp(c->place->data, usual->data) == 0)
			     ? NULL
		     : usual->data ? c->place->data
				   : c->place->config;
	return 0;
}

static int decide_runtime(struct which_work *w, struct kf_which *ret, struct kf_err *err)
{
	const char *name = w->question->distribution, *eq = name ? strchr(name, '=') : NULL;
	const struct kf_distro *named = NULL, *containerd;

	if (name && kf_distro_named(name, eq ? (size_t)(eq - name) : strlen(name), &named, err) < 0)
		return -1;
	if (eq && (!named->data || eq[1] != '/'))
		return kf_fail(err, EINVAL,
			       named->data ? "--distribution %s: not an absolute directory"
					   : "--distribution %s: it has no data directory",
			       name);
	if (kf_distro_named("containerd", 10, &containerd, err) < 0 ||
	    kf_evidence_gather(w->host, unit_patterns, &w->evidence, err) < 0)
		return -1;
	if (collect_running(w, err) < 0)
		return -1;
	ret->runs = w->n > 0 || w->nkubelets > 0;
	ret->why = w->nkubelets ? "serves the kubelet" : "runs here";
	if (named) {
		keep_named(w, named, eq ? eq + 1 : NULL);
		ret->why = "chosen";
	} else if (!ret->runs) {
		if (collect_installed(w, true, err) < 0)
			return -1;
		ret->why = "its socket is served";
		ret->runs = w->n > 0;
		if (!w->n && collect_installed(w, false, err) < 0)
			return -1;
		ret->why = ret->runs ? ret->why : "installed, nothing runs";
	}
	if (named && !w->n) {
		w->list[0].place = kf_distro_at(named, eq ? eq + 1 : NULL, w->arena);
		w->n = 1;
		if (!w->list[0].place)
			return kf_fail_nomem(err, "distribution");
		return make_answer(w, ret, err);
	}
	if (w->nkubelets && !(named && w->n == 1)) {
		if (by_kubelet(w, err) < 0)
			return -1;
	} else if (w->n > 1 && by_config(w, containerd, err) < 0) {
		return -1;
	}
	if (!w->n)
		return kf_fail(err, ENOENT,
			       "no container runtime found under '%s' (looked for k3s, rke2, k0s, "
			       "microk8s, CRI-O, containerd); name it with --distribution",
			       w->host->root);
	return make_answer(w, ret, err);
}

int kf_which(const struct kf_host *host, const struct kf_which_question *question,
	     struct kf_arena *arena, struct kf_which *ret, struct kf_err *err)
{
	struct which_work w = {.host = host, .question = question, .arena = arena};
	struct kf_which out = {0};
	int r = decide_runtime(&w, &out, err);

	if (w.evidence.arena.limit)
		kf_evidence_done(&w.evidence);
	if (r == 0)
		*ret = out;
	return r;
}

int kf_which_at(const char *name, const char *place, struct kf_arena *arena,
		const struct kf_distro **ret, struct kf_err *err)
{
	const struct kf_distro *d;
	struct kf_distro *own;

	if (kf_distro_named(name, strlen(name), &d, err) < 0)
		return -1;
	own = kf_distro_at(d, place && *place ? place : NULL, arena);
	if (own && !d->data && place && *place)
		own->config = kf_arena_strdup(arena, place);
	if (!own || !own->config)
		return kf_fail_nomem(err, "distribution");
	*ret = own;
	return 0;
}
