/* SPDX-License-Identifier: Apache-2.0 */
#include "kubefence/cluster/cluster.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "kube/object.h"
#include "kubefence/command.h"
#include "kubefence/print.h"
#include "plan/plan.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX  (512 * 1024 * 1024)
#define CONFIG_FILE "10-nono-nri.toml"

int kf_kubectl_nono(int argc, char **argv)
{
	static const struct kf_command table[] = {
		{"status", "which nodes are ready, which pods are sandboxed", kf_cluster_status},
		{"doctor", "is everything in order, and if not, what is to be done?",
		 kf_cluster_doctor},
		{"explain", "profile and strength of a pod's sandbox", kf_cluster_explain},
		{NULL, NULL, NULL},
	};

	return kf_command_dispatch("kubectl nono", "The sandbox, as seen from the cluster.", table,
				   argc, argv);
}

/* ---- command line ---- */

bool kf_cluster_parse(int argc, char **argv, const char *usage, const char *needed,
		      struct kf_cluster_options *ret, int *ret_status)
{
	static const struct option options[] = {
		{"context", required_argument, NULL, 'c'},
		{"kubeconfig", required_argument, NULL, 'k'},
		{"namespace", required_argument, NULL, 'n'},
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct kf_cluster_options o = {0};
	int c;

	*ret_status = KF_EXIT_USAGE;
	optind = 0;
	while ((c = getopt_long(argc, argv, "n:o:h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
		case 'k':
			if (o.npassed + 2 > KF_KUBECTL_PASSED)
				return kf_command_usage("%s: too many options", argv[0]), false;
			o.passed[o.npassed++] = c == 'c' ? "--context" : "--kubeconfig";
			o.passed[o.npassed++] = optarg;
			break;
		case 'n':
			o.namespace_ = optarg;
			break;
		case 'o':
			o.json = strcmp(optarg, "json") == 0;
			if (!o.json && strcmp(optarg, "table") != 0)
				return kf_command_usage("%s: -o: '%s' is neither table nor json",
							argv[0], optarg),
				       false;
			break;
		case 'h':
			fputs(usage, stdout);
			*ret_status = KF_EXIT_OK;
			return false;
		default:
			return false; /* getopt has said why */
		}
	}
	if (argc - optind != (needed != NULL)) {
		*ret_status =
			needed ? kf_command_usage("%s: exactly one %s is needed", argv[0], needed)
			       : kf_command_usage("%s: '%s' is not understood", argv[0],
						  argv[optind]);
		return false;
	}
	o.argument = needed ? argv[optind] : NULL;
	*ret = o;
	return true;
}

/* ---- kubectl ---- */

static int collect(int fd, struct kf_buf *out, struct kf_err *err)
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

/* Its messages go where ours go. */
static int run(const char *const *args, struct kf_buf *out, struct kf_err *err)
{
	int p[2], status, r;
	pid_t pid;

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
	r = pid < 0 ? kf_fail_sys(err, "fork") : collect(p[0], out, err);
	(void)close(p[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r == 0 && (!WIFEXITED(status) || WEXITSTATUS(status)))
		r = kf_fail(err, EIO, "'kubectl %s %s' failed", args[1], args[2]);
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
	if (run(args, &out, err) < 0)
		return -1;
	object = json_tokener_parse(out.n ? out.p : "");
	if (!object)
		return kf_fail(err, EPROTO, "'kubectl get %s' did not answer with JSON",
			       query->what);
	*ret = object;
	return 0;
}

/* ---- what all commands look at ---- */

/* Of several installations the first; the chart allows one a cluster. */
static int read_config(struct kf_cluster *c, struct kf_err *err)
{
	struct json_object *items = kf_json_at(c->config, "items");
	struct kf_diags diags;

	kf_diags_init(&diags, &c->arena);
	for (size_t i = 0; i < kf_json_length(items); i++) {
		struct json_object *data = kf_json_at(json_object_array_get_idx(items, i), "data");
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

int kf_cluster_load(const struct kf_cluster_options *options, struct kf_cluster *ret,
		    struct kf_err *err)
{
	struct kf_cluster_options everywhere = *options;

	*ret = (struct kf_cluster){0};
	kf_arena_init(&ret->arena, KF_LIMIT_PLAN_MEMORY);
	everywhere.namespace_ = NULL;
	if (kf_cluster_get(&everywhere, &(struct kf_cluster_query){.what = "nodes"}, &ret->nodes,
			   err) < 0 ||
	    kf_cluster_get(&everywhere, &(struct kf_cluster_query){.what = "runtimeclasses"},
			   &ret->classes, err) < 0 ||
	    kf_cluster_get(&everywhere,
			   &(struct kf_cluster_query){
				   .what = "configmaps", .selector = KF_PART_OF_US, .all = true},
			   &ret->config, err) < 0) {
		kf_cluster_done(ret);
		return -1;
	}
	ret->configured = read_config(ret, &ret->why) == 0;
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
	       kf_settings_in_scope(&cluster->plugin.settings, kf_json_string(class, "handler"));
}

struct json_object *kf_cluster_class(const struct kf_cluster *cluster, const char *name)
{
	return kf_json_find(cluster->classes, "items", "metadata.name", name);
}

struct json_object *kf_cluster_pod_class(const struct kf_cluster *cluster, struct json_object *pod)
{
	const char *name = kf_json_string(pod, "spec.runtimeClassName");
	struct json_object *class = *name ? kf_cluster_class(cluster, name) : NULL;

	return kf_cluster_ours(cluster, class) ? class : NULL;
}

const char *kf_cluster_profile(const struct kf_cluster *cluster, struct json_object *pod,
			       const char *container, const char **ret_why)
{
	char key[sizeof(KF_ANNOTATION_PROFILE) + 80];
	const char *value;

	(void)snprintf(key, sizeof(key), KF_ANNOTATION_PROFILE ".%.64s", container);
	value = kf_json_meta(pod, "annotations", key);
	*ret_why = "annotation " KF_ANNOTATION_PROFILE ".CONTAINER";
	if (value)
		return value;
	value = kf_json_meta(pod, "annotations", KF_ANNOTATION_PROFILE);
	*ret_why = "annotation " KF_ANNOTATION_PROFILE;
	if (value)
		return value;
	*ret_why = "default_profile";
	return cluster->plugin.settings.default_profile;
}
