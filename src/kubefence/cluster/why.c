/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl nono why POD --host NAME: which rule of the pod's profile decides about a host.  The
 * chart's profiles are brought here, and "kubefence explain" is asked. */
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "cli/print.h"
#include "kube/object.h"
#include "kubefence/cluster/cluster.h"
#include "kubefence/commands.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROFILES     "-profiles"
#define ARGUMENTS    (2 * KF_CLUSTER_HOSTS + 8)
/* As many as somebody could mean. */
#define PROFILES_MAX 16

static void put_json(struct json_object **object)
{
	json_object_put(*object);
}

/* The files of profiles in the ConfigMap @map. */
static int write_files(int dirfd, struct json_object *map, struct kf_err *err)
{
	struct json_object *data = kf_kube_at(map, "data");

	json_object_object_foreach(data, name, value)
	{
		const char *text = json_object_get_string(value);

		if (strchr(name, '/'))
			continue;
		if (kf_file_replace(dirfd, name, text, strlen(text), 0600, err) < 0)
			return -1;
	}
	return 0;
}

static int write_profiles(const struct kf_cluster *c, int dirfd, struct kf_err *err)
{
	struct json_object *items = kf_kube_at(c->config, "items");

	if (!c->config)
		return kf_fail(err, EACCES,
			       "the chart's profiles may not be read with these rights; ask "
			       "'kubefence explain PROFILE --host NAME' with the profile's file");
	for (size_t i = 0; i < kf_kube_length(items); i++) {
		struct json_object *map = json_object_array_get_idx(items, i);
		const char *name = kf_kube_string(map, "metadata.name");
		const size_t n = strlen(name), tail = strlen(PROFILES);

		if (n > tail && strcmp(name + n - tail, PROFILES) == 0 && kf_kube_at(map, "data") &&
		    write_files(dirfd, map, err) < 0)
			return -1;
	}
	return 0;
}

static void remove_files(const char *dir, int dirfd)
{
	KF_CLOSE int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!d)
		return;
	(void)kf_steal_fd(&copy);
	while ((e = readdir(d)))
		if (*e->d_name != '.')
			(void)unlinkat(dirfd, e->d_name, 0);
	(void)closedir(d);
	(void)rmdir(dir);
}

/* What "kubefence explain" says of each host, by the profiles in @dir. */
static int explain_hosts(const struct kf_cluster_options *o, const char *dir, const char *profile)
{
	const char *words[ARGUMENTS] = {"explain", "--dir", dir};
	int n = 3;

	if (o->json)
		words[n++] = "--output=json";
	for (size_t i = 0; i < o->hosts.n; i++) {
		words[n++] = "--host";
		words[n++] = o->hosts.v[i];
	}
	words[n++] = profile;
	return kf_cmd_explain.run(&kf_cmd_explain, n, (char **)(uintptr_t)words);
}

struct pod_profiles {
	const char *names[PROFILES_MAX];
	size_t n;
};

/* Add the profiles of the containers at @where, each once. */
static int add_profiles(struct kf_cluster *c, struct json_object *pod, const char *where,
			struct pod_profiles *to, struct kf_err *err)
{
	struct json_object *containers = kf_kube_at(pod, where);

	for (size_t i = 0; i < kf_kube_length(containers); i++) {
		const char *why,
			*container =
				kf_kube_string(json_object_array_get_idx(containers, i), "name");
		const char *name = kf_cluster_profile(c, pod, container, &why);
		size_t at = 0;

		/* It becomes an argument, and the name of a file. */
		if (!kf_profile_name_valid(name))
			return kf_fail(err, EINVAL,
				       "container %s: profile '%s' is no profile's name, so that "
				       "the pod does not start",
				       container, name);
		while (at < to->n && strcmp(to->names[at], name) != 0)
			at++;
		if (at == PROFILES_MAX)
			return kf_fail(err, E2BIG, "the pod has more than %d profiles",
				       PROFILES_MAX);
		to->names[at] = name;
		to->n += at == to->n;
	}
	return 0;
}

/* What each profile of the pod says.  Ports count for a container, hosts for the pod as a whole. */
static int explain_profiles(const struct kf_cluster_options *o, struct kf_cluster *c,
			    struct json_object *pod, const char *dir, struct kf_err *err)
{
	struct pod_profiles profiles = {.n = 0};
	int all = 0;

	if (add_profiles(c, pod, "spec.initContainers", &profiles, err) < 0 ||
	    add_profiles(c, pod, "spec.containers", &profiles, err) < 0)
		return -1;
	if (profiles.n > 1 && !o->json)
		kf_print_line(stdout, "%s",
			      "This pod has several profiles. Hosts that one of them names are the "
			      "only way out of every container.");
	for (size_t i = 0; i < profiles.n; i++) {
		int status;

		if (profiles.n > 1 && !o->json)
			kf_print_line(stdout, "profile %s:", profiles.names[i]);
		status = explain_hosts(o, dir, profiles.names[i]);
		all = status > all ? status : all;
	}
	return all;
}

static int answer_hosts(const struct kf_cluster_options *o, struct kf_cluster *c,
			struct json_object *pod, struct kf_err *err)
{
	char dir[] = "/tmp/kubectl-nono-XXXXXX";
	int status = -1;
	KF_CLOSE int dirfd = -1;

	if (!kf_cluster_sandboxed(c, pod))
		return kf_fail(err, EINVAL,
			       "pod %s is not sandboxed: no profile decides about its hosts",
			       o->argument);
	if (!mkdtemp(dir))
		return kf_fail_sys(err, "make a directory for the profiles");
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		(void)kf_fail_sys(err, "open '%s'", dir);
	else if (write_profiles(c, dirfd, err) == 0)
		status = explain_profiles(o, c, pod, dir, err);
	if (dirfd >= 0)
		remove_files(dir, dirfd);
	return status;
}

static int run_why(const struct kf_command *self, int argc, char **argv)
{
	KF_CLEANUP(put_json) struct json_object *pod = NULL;
	struct kf_cluster_options o;
	struct kf_cluster c;
	struct kf_err err;
	int status;

	if (!kf_cluster_parse(self, argc, argv, &o, &status))
		return status;
	if (!o.hosts.n)
		return kf_command_usage("--host NAME[:PORT] says which host; about paths 'nono "
					"why PATH' answers in the pod");
	if (kf_cluster_get(&o, &(struct kf_cluster_query){.what = "pods", .name = o.argument}, &pod,
			   &err) < 0 ||
	    kf_cluster_load(&o, &c, &err) < 0)
		return kf_command_fail("%s", err.msg);
	status = answer_hosts(&o, &c, pod, &err);
	kf_cluster_done(&c);
	return status < 0 ? kf_command_fail("%s", err.msg) : status;
}

const struct kf_command kf_cmd_cluster_why = {
	.name = "why",
	.summary = "which rule decides about a host that a pod asks for",
	.arguments = "POD",
	.min = 1,
	.max = 1,
	.about = "Says for each host whether the pod's profile lets it be reached, through the "
		 "egress\n"
		 "broker if the profile names hosts, and which line of which file decides.  This "
		 "is\n"
		 "what the profile says now; a pod keeps the rules that it was started with.",
	.after = "Exit status: 0 all allowed, 1 one is not, or an error; 2 usage.",
	.options = kf_cluster_why_opts,
	.run = run_why,
};
