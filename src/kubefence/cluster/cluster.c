/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl nono: what its commands share: running kubectl, reading the chart's configuration, and
 * which pods are sandboxed with which profile.  Each command has a file of its own. */
#include "kubefence/cluster/cluster.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "cli/print.h"
#include "kube/object.h"
#include "kubefence/options.h"
#include "plan/plan.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* What kubectl says of all pods of the largest cluster: 150 000 of 3 KiB. */
#define ANSWER_MAX   (512 * 1024 * 1024)
#define CONFIG_FILE  "10-nono-nri.toml"
#define MESSAGES_MAX (1024 * 1024)
#define UNKNOWN	     "not known with these rights"

/* ---- command line ---- */

enum { OUTPUT_TEXT, OUTPUT_JSON, OUTPUT_SHORT };

struct cluster_line {
	struct kf_cluster_options options;
	const char *context, *kubeconfig;
	unsigned output;
};

#define OPTION(letter_, name_, value_, member, help_)                                              \
	{                                                                                          \
		.letter = (letter_), .name = (name_), .kind = KF_OPTION_STRING, .value = (value_), \
		KF_OPTION_AT(struct cluster_line, member), .help = (help_)                         \
	}

#define OPTIONS                                                                        \
	OPTION('n', "namespace", "NAMESPACE", options.namespace_,                      \
	       "of the pods (default: all, or kubectl's own for one pod)"),            \
		{                                                                      \
			.letter = 'A',                                                 \
			.name = "all-namespaces",                                      \
			.kind = KF_OPTION_SET,                                         \
			KF_OPTION_AT(struct cluster_line, options.everywhere),         \
			.help = "all, and an error if they may not be seen",           \
		},                                                                     \
		OPTION(0, "context", "NAME", context, "kubectl's"),                    \
		OPTION(0, "kubeconfig", "FILE", kubeconfig, "kubectl's"),              \
	{                                                                              \
		.name = "output", .letter = 'o', .kind = KF_OPTION_WORD,               \
		.value = "text|json|short", KF_OPTION_AT(struct cluster_line, output), \
		.help = "for people (default), for programs, or at one look",          \
	}

const struct kf_option kf_cluster_opts[] = {OPTIONS, {0}};
const struct kf_option kf_cluster_logs_opts[] = {
	OPTIONS,
	{
		.name = "follow",
		.letter = 'f',
		.kind = KF_OPTION_SET,
		KF_OPTION_AT(struct cluster_line, options.follow),
		.help = "wait for more",
	},
	{0},
};

const struct kf_option kf_cluster_review_opts[] = {
	OPTIONS,
	OPTION(0, "volume", "NAME", options.volume,
	       "of the pod's reviewed volumes this one (default: the only one)"),
	OPTION(0, "expect", "SUM", options.expect,
	       "commit only if the changes are those that 'diff' gave this sum"),
	{
		.name = "patch",
		.letter = 'p',
		.kind = KF_OPTION_SET,
		KF_OPTION_AT(struct cluster_line, options.patch),
		.help = "print what changed in texts, too",
	},
	{
		.name = "keep-privilege",
		.kind = KF_OPTION_SET,
		KF_OPTION_AT(struct cluster_line, options.keep_privilege),
		.help = "set-user-ID and set-group-ID bits and capabilities of files count, too, "
			"and are committed",
	},
	{0},
};

const struct kf_option kf_cluster_why_opts[] = {
	OPTIONS,
	{
		.name = "host",
		.kind = KF_OPTION_EACH,
		.value = "NAME[:PORT]",
		KF_OPTION_AT(struct cluster_line, options.hosts),
		.help = "host to connect to, on port 443 unless said otherwise; may be repeated",
	},
	{0},
};

/* Take POD, or "pod/POD" as kubectl prints it; false if it is another kind of object. */
static bool take_pod(const char *arg, const char **ret)
{
	static const char *const kinds[] = {"pod/", "pods/", "po/"};

	for (size_t i = 0; i < KF_ARRAY_SIZE(kinds); i++) {
		size_t n = strlen(kinds[i]);

		if (strncmp(arg, kinds[i], n) == 0 && arg[n] && !strchr(arg + n, '/')) {
			*ret = arg + n;
			return true;
		}
	}
	*ret = arg;
	return !strchr(arg, '/');
}

bool kf_cluster_parse(const struct kf_command *self, int argc, char **argv,
		      struct kf_cluster_options *ret, int *ret_status)
{
	struct cluster_line l = {0};
	struct kf_cluster_options *o = &l.options;
	static const char *hosts[KF_CLUSTER_HOSTS];
	struct kf_arguments arguments;

	o->hosts = (struct kf_option_list)KF_OPTION_LIST(hosts);
	if (!kf_command_parse(self, argc, argv, &l, &arguments, ret_status))
		return false;
	if (l.context) {
		o->passed[o->npassed++] = "--context";
		o->passed[o->npassed++] = l.context;
	}
	if (l.kubeconfig) {
		o->passed[o->npassed++] = "--kubeconfig";
		o->passed[o->npassed++] = l.kubeconfig;
	}
	o->json = l.output == OUTPUT_JSON;
	o->brief = l.output == OUTPUT_SHORT;
	if (arguments.n && !strstr(self->arguments, "POD"))
		o->argument = arguments.v[0];
	else if (arguments.n && !take_pod(arguments.v[0], &o->argument)) {
		*ret_status =
			kf_command_usage("'%s' is no pod: give POD or pod/POD; the pods of a "
					 "Deployment or Job are found with 'kubectl get pods'",
					 arguments.v[0]);
		return false;
	}
	if (o->everywhere && o->argument && strstr(self->arguments, "POD")) {
		*ret_status = kf_command_usage("--all-namespaces: a pod is in one namespace: name "
					       "it with -n");
		return false;
	}
	if (o->everywhere)
		o->namespace_ = NULL;
	o->more = arguments.n > 1 ? arguments.v + 1 : NULL;
	*ret = *o;
	return true;
}

/* ---- kubectl ---- */

static int read_output(int fd, struct kf_buf *out, struct kf_err *err)
{
	ssize_t n;

	do {
		char *to = kf_buf_extend(out, 64 * 1024);

		if (!to)
			return kf_fail(err, EFBIG, "kubectl says more than %d MiB",
				       ANSWER_MAX / 1024 / 1024);
		do
			n = read(fd, to, 64 * 1024);
		while (n < 0 && errno == EINTR);
		out->n -= (size_t)(64 * 1024 - (n > 0 ? n : 0));
	} while (n > 0);
	return n < 0 ? kf_fail_sys(err, "read from kubectl") : 0;
}

/* What kubectl has said on its stderr, for people; or EACCES, if that is what its rights do not
 * allow: what then is said is the caller's. */
static int judge_messages(int messages, const char *const *args, struct kf_err *err)
{
	KF_FREE char *text = NULL;

	if (lseek(messages, 0, SEEK_SET) == 0 &&
	    kf_fd_slurp(messages, "kubectl's messages", MESSAGES_MAX, &text, NULL,
			KF_ERR_IGNORED) == 0) {
		if (strstr(text, "Error from server (Forbidden)"))
			return kf_fail(err, EACCES,
				       "'kubectl %s %s' is not allowed with these rights", args[1],
				       args[2]);
		kf_print_text(stderr, text);
	}
	return kf_fail(err, EIO, "'kubectl %s %s' failed", args[1], args[2]);
}

static int run_kubectl(const char *const *args, struct kf_buf *out, struct kf_err *err)
{
	KF_CLOSE int messages = memfd_create("kubectl", MFD_CLOEXEC);
	int p[2], status, r;
	pid_t pid;

	if (messages < 0 || pipe2(p, O_CLOEXEC) < 0)
		return kf_fail_sys(err, "pipe");
	pid = fork();
	if (pid == 0) {
		(void)dup2(p[1], STDOUT_FILENO);
		(void)dup2(messages, STDERR_FILENO);
		(void)execvp(args[0], (char *const *)(uintptr_t)args);
		kf_print_line(stderr, "kubectl: %s", strerror(errno));
		_exit(127);
	}
	(void)close(p[1]);
	r = pid < 0 ? kf_fail_sys(err, "fork") : read_output(p[0], out, err);
	(void)close(p[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status)))
		r = judge_messages(messages, args, err);
	return r;
}

int kf_cluster_get(const struct kf_cluster_options *options, const struct kf_cluster_query *query,
		   struct json_object **ret, struct kf_err *err)
{
	const char *args[KF_KUBECTL_PASSED + 16] = {"kubectl", "get", query->what};
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(ANSWER_MAX);
	struct json_object *object;
	size_t n = 3;

	if (query->name)
		args[n++] = query->name;
	for (size_t i = 0; i < options->npassed; i++)
		args[n++] = options->passed[i];
	if (query->selector) {
		args[n++] = "-l";
		args[n++] = query->selector;
	}
	if (options->namespace_) {
		args[n++] = "-n";
		args[n++] = options->namespace_;
	} else if (query->all) {
		args[n++] = "-A";
	}
	args[n++] = "-o";
	args[n++] = "json";
	if (run_kubectl(args, &out, err) < 0)
		return -1;
	object = json_tokener_parse(out.n ? out.p : "");
	if (!object)
		return kf_fail(err, EPROTO, "'kubectl get %s' did not answer with JSON",
			       query->what);
	*ret = object;
	return 0;
}

int kf_cluster_run(const struct kf_cluster_options *options, const char *const *words,
		   struct kf_buf *out, struct kf_err *err)
{
	const char *args[KF_KUBECTL_PASSED + KF_KUBECTL_WORDS + 2] = {"kubectl"};
	size_t n = 1;

	for (size_t i = 0; i < KF_KUBECTL_WORDS && words[i]; i++)
		args[n++] = words[i];
	for (size_t i = 0; i < options->npassed; i++)
		args[n++] = options->passed[i];
	return run_kubectl(args, out, err);
}

int kf_cluster_stream(const struct kf_cluster_options *options, const char *const *words,
		      kf_cluster_take_fn *take, void *ctx, struct kf_err *err)
{
	const char *args[KF_KUBECTL_PASSED + KF_KUBECTL_WORDS + 2] = {"kubectl"};
	char piece[64 * 1024];
	int p[2], status = 0;
	size_t argc = 1;
	ssize_t n;
	pid_t pid;

	for (size_t i = 0; i < KF_KUBECTL_WORDS && words[i]; i++)
		args[argc++] = words[i];
	for (size_t i = 0; i < options->npassed; i++)
		args[argc++] = options->passed[i];
	if (pipe2(p, O_CLOEXEC) < 0)
		return kf_fail_sys(err, "pipe");
	pid = fork();
	if (pid == 0) {
		(void)dup2(p[1], STDOUT_FILENO);
		(void)execvp(args[0], (char *const *)(uintptr_t)args);
		kf_print_line(stderr, "kubectl: %s", strerror(errno));
		_exit(127);
	}
	(void)close(p[1]);
	while (pid > 0 && ((n = read(p[0], piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0)
			take(ctx, piece, (size_t)n);
	(void)close(p[0]);
	if (pid < 0)
		return kf_fail_sys(err, "run kubectl");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status ? kf_fail(err, EIO, "'kubectl %s' failed", words[0]) : 0;
}

/* ---- what all commands look at ---- */

/* Read the configuration of the first installation; the chart allows one in each cluster. */
static int read_config(struct kf_cluster *c, struct kf_err *err)
{
	struct json_object *items = kf_kube_at(c->config, "items");
	struct kf_diags diags;

	kf_diags_init(&diags, &c->arena);
	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *data = kf_kube_at(json_object_array_get_idx(items, i), "data");
		struct json_object *text = NULL;

		if (!json_object_is_type(data, json_type_object) ||
		    !json_object_object_get_ex(data, CONFIG_FILE, &text))
			continue;
		if (kf_config_parse_elsewhere(json_object_get_string(text),
					      strlen(json_object_get_string(text)), CONFIG_FILE,
					      &c->arena, &c->plugin, &diags) == 0)
			return 0;
		return kf_fail(err, EINVAL, "the chart's configuration is wrong: %s",
			       diags.n ? diags.v[0].msg : "out of memory");
	}
	return kf_fail(err, ENOENT,
		       "there is no ConfigMap with '" CONFIG_FILE "': is the chart installed?");
}

/* As kf_cluster_get(); what these rights do not allow to be seen is NULL. */
static int get_visible(const struct kf_cluster_options *options,
		       const struct kf_cluster_query *query, struct json_object **ret,
		       struct kf_err *err)
{
	return kf_cluster_get(options, query, ret, err) < 0 && err->code != EACCES ? -1 : 0;
}

int kf_cluster_pods(const struct kf_cluster_options *options, struct json_object **ret,
		    struct kf_err *err)
{
	const struct kf_cluster_query all = {.what = "pods", .all = true}, own = {.what = "pods"};

	if (kf_cluster_get(options, &all, ret, err) == 0)
		return 0;
	if (err->code != EACCES)
		return -1;
	if (!options->namespace_ && !options->everywhere &&
	    kf_cluster_get(options, &own, ret, err) == 0)
		return 0;
	return err->code != EACCES ? -1
				   : kf_fail(err, EACCES,
					     "pods of %s may not be seen with these rights: name a "
					     "namespace whose pods you may see with -n",
					     options->namespace_   ? options->namespace_
					     : options->everywhere ? "all namespaces"
								   : "kubectl's namespace");
}

int kf_cluster_load(const struct kf_cluster_options *options, struct kf_cluster *ret,
		    struct kf_err *err)
{
	struct kf_cluster_options everywhere = *options;

	*ret = (struct kf_cluster){0};
	kf_arena_init(&ret->arena, KF_LIMIT_PLAN_MEMORY);
	everywhere.namespace_ = NULL;
	if (get_visible(&everywhere, &(struct kf_cluster_query){.what = "nodes"}, &ret->nodes,
			err) < 0 ||
	    get_visible(&everywhere, &(struct kf_cluster_query){.what = "runtimeclasses"},
			&ret->classes, err) < 0 ||
	    get_visible(&everywhere,
			&(struct kf_cluster_query){
				.what = "configmaps", .selector = KF_PART_OF_US, .all = true},
			&ret->config, err) < 0) {
		kf_cluster_done(ret);
		return -1;
	}
	if (ret->config)
		ret->configured = read_config(ret, &ret->why) == 0;
	else
		(void)kf_fail(&ret->why, EACCES, "the chart's configuration is " UNKNOWN);
	return 0;
}

void kf_cluster_done(struct kf_cluster *cluster)
{
	json_object_put(cluster->nodes);
	json_object_put(cluster->classes);
	json_object_put(cluster->config);
	kf_arena_done(&cluster->arena);
}

bool kf_cluster_ours(const struct kf_cluster *cluster, struct json_object *class)
{
	return cluster->configured && class &&
	       kf_settings_in_scope(&cluster->plugin.settings, kf_kube_string(class, "handler"));
}

struct json_object *kf_cluster_class(const struct kf_cluster *cluster, const char *name)
{
	return kf_kube_find(cluster->classes, "items", "metadata.name", name);
}

struct json_object *kf_cluster_pod_class(const struct kf_cluster *cluster, struct json_object *pod)
{
	const char *name = kf_kube_string(pod, "spec.runtimeClassName");
	struct json_object *class = *name ? kf_cluster_class(cluster, name) : NULL;

	return kf_cluster_ours(cluster, class) ? class : NULL;
}

bool kf_cluster_sandboxed(const struct kf_cluster *cluster, struct json_object *pod)
{
	const char *label = kf_kube_meta(pod, "labels", KF_LABEL_SANDBOXED);

	if (cluster->configured && cluster->classes)
		return kf_cluster_pod_class(cluster, pod) != NULL;
	/* The admission policy keeps the label from all other pods. */
	return label && strcmp(label, "true") == 0;
}

const char *kf_cluster_profile(struct kf_cluster *cluster, struct json_object *pod,
			       const char *container, const char **ret_why)
{
	char key[sizeof(KF_ANNOTATION_PROFILE) + 80];
	const char *value;

	(void)snprintf(key, sizeof(key), KF_ANNOTATION_PROFILE ".%.64s", container);
	value = kf_kube_meta(pod, "annotations", key);
	*ret_why = "annotation " KF_ANNOTATION_PROFILE ".CONTAINER";
	if (value)
		return value;
	value = kf_kube_meta(pod, "annotations", KF_ANNOTATION_PROFILE);
	*ret_why = "annotation " KF_ANNOTATION_PROFILE;
	if (value)
		return value;
	*ret_why = "default_profile";
	if (cluster->configured)
		return kf_settings_default(&cluster->plugin.settings,
					   kf_kube_string(pod, "metadata.namespace"),
					   cluster->default_profile);
	value = kf_kube_meta(pod, "labels", KF_ANNOTATION_PROFILE);
	*ret_why = value && *value ? "label " KF_ANNOTATION_PROFILE
				   : "default_profile, which is " UNKNOWN;
	return value && *value ? value : "default";
}
