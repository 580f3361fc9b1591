/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence sysdump and kubectl nono sysdump: what a bug report about a node, or a cluster, needs.
 */
#include "base/cleanup.h"
#include "cli/print.h"
#include "kube/object.h"
#include "kubefence/cluster/cluster.h"
#include "kubefence/commands.h"
#include "kubefence/sysdump/sysdump.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SELF "/proc/self/exe"

static const struct kf_sysdump_part node_parts[] = {
	{"version.txt", {SELF, "--version"}, NULL},
	{"doctor.json", {SELF, "doctor", "-o", "json"}, NULL},
	{"doctor.txt", {SELF, "doctor"}, NULL},
	{"node-status.txt", {SELF, "node", "status"}, NULL},
	{"node-plan.txt", {SELF, "node", "plan"}, NULL},
	{"denials.jsonl", {SELF, "logs", "-o", "json"}, NULL},
	{"kernel.txt", {"uname", "-a"}, NULL},
	{"cmdline.txt", {NULL}, "/proc/cmdline"},
	{"os-release.txt", {NULL}, "/etc/os-release"},
	{"lsm.txt", {NULL}, "/sys/kernel/security/lsm"},
	{"mounts.txt", {NULL}, "/proc/self/mounts"},
	{"settings.txt", {NULL}, "/opt/kubefence/settings"},
	{"runtime.txt", {NULL}, "/opt/kubefence/runtime"},
	{"plugin.toml", {NULL}, "/etc/nri/conf.d/10-nono-nri.toml"},
	{"profiles.txt", {"sh", "-c", "head -n 500 /opt/nono-nri/profiles/* 2>&1"}, NULL},
	{"guard-records.txt", {"sh", "-c", "head -n 20 /run/kubefence/guard/* 2>&1"}, NULL},
	{"programs.txt",
	 {"sh", "-c", "ls -laR /opt/kubefence /opt/nono-nri /run/kubefence 2>&1"},
	 NULL},
	{"containerd-config.txt", {"containerd", "config", "dump"}, NULL},
	{"crio-config.txt", {"crio", "config"}, NULL},
	{"journal-runtime.txt",
	 {"journalctl", "--no-pager", "-n", "2000", "-u", "containerd", "-u", "crio", "-u",
	  "nono-nri"},
	 NULL},
	{"journal-kernel.txt", {"journalctl", "--no-pager", "-k", "-n", "2000"}, NULL},
};

struct dump_line {
	const char *file;
};

/* kubefence-sysdump-HOST-TIME.tar */
static void name_archive(const char *what, char *ret, size_t size)
{
	const time_t now = time(NULL);
	char stamp[32] = "now";
	struct tm tm;

	if (gmtime_r(&now, &tm))
		(void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	(void)snprintf(ret, size, "kubefence-sysdump-%s-%s.tar", what, stamp);
}

static int finish_dump(const char *file, const struct kf_sysdump_part *parts, size_t n)
{
	struct kf_err err;

	if (kf_sysdump_write(file, parts, n, &err) < 0)
		return kf_command_fail("%s", err.msg);
	if (strcmp(file, "-") != 0)
		kf_print_line(stderr,
			      "%s: look into it before you send it; what looks like a secret is "
			      "left out",
			      file);
	return KF_EXIT_OK;
}

static int run_sysdump(const struct kf_command *self, int argc, char **argv)
{
	char name[256], host[128] = "node";
	struct dump_line l = {0};
	struct kf_arguments arguments;
	int status;

	if (!kf_command_parse(self, argc, argv, &l, &arguments, &status))
		return status;
	(void)gethostname(host, sizeof(host) - 1);
	if (!l.file) {
		name_archive(host, name, sizeof(name));
		l.file = name;
	}
	return finish_dump(l.file, node_parts, KF_ARRAY_SIZE(node_parts));
}

const struct kf_command kf_cmd_sysdump = {
	.name = "sysdump",
	.summary = "one archive about this node for a bug report",
	.about = "Writes a tar archive with what kubefence is and says on this node: versions,\n"
		 "doctor, configuration, profiles, the runtime's configuration, logs, denials.\n"
		 "What looks like a secret is left out; look into it before you send it all the\n"
		 "same.",
	.options =
		(const struct kf_option[]){
			{
				.name = "file",
				.kind = KF_OPTION_STRING,
				.value = "FILE",
				KF_OPTION_AT(struct dump_line, file),
				.help = "the archive, which must not exist; - for standard output "
					"(default: kubefence-sysdump-HOST-TIME.tar here)",
			},
			{0},
		},
	.run = run_sysdump,
};

/* Stands for the namespace that the chart is in. */
static const char chart_namespace[] = "kube-system";

#define GET(what) "kubectl", "get", what, "-o", "json"

static const struct kf_sysdump_part cluster_parts[] = {
	{"version.txt", {SELF, "--version"}, NULL},
	{"kubectl-version.txt", {"kubectl", "version", "-o", "json"}, NULL},
	{"nodes.json", {GET("nodes")}, NULL},
	{"runtimeclasses.json", {GET("runtimeclasses")}, NULL},
	{"configmaps.json", {GET("configmaps"), "-A", "-l", KF_PART_OF_US}, NULL},
	{"daemonsets.json", {GET("daemonsets"), "-A", "-l", KF_PART_OF_US}, NULL},
	{"pods.json", {GET("pods"), "-A", "-l", KF_PART_OF_US}, NULL},
	{"policies.json", {GET("validatingadmissionpolicies"), "-l", KF_PART_OF_US}, NULL},
	{"events.json", {GET("events"), "-A"}, NULL},
	{"logs-plugin.txt",
	 {"kubectl", "logs", "-n", chart_namespace, "-l",
	  KF_PART_OF_US ",app.kubernetes.io/component=plugin", "--tail=2000", "--prefix",
	  "--max-log-requests=1000", "--all-containers"},
	 NULL},
	{"logs-node-setup.txt",
	 {"kubectl", "logs", "-n", chart_namespace, "-l",
	  KF_PART_OF_US ",app.kubernetes.io/component=node-setup", "--tail=2000", "--prefix",
	  "--max-log-requests=1000", "--all-containers"},
	 NULL},
	{"logs-denials.txt",
	 {"kubectl", "logs", "-n", chart_namespace, "-l",
	  KF_PART_OF_US ",app.kubernetes.io/component=denials", "--tail=2000", "--prefix",
	  "--max-log-requests=1000", "--all-containers"},
	 NULL},
};

static int run_cluster_sysdump(const struct kf_command *self, int argc, char **argv)
{
	static const struct kf_cluster_query ours = {
		.what = "pods", .selector = KF_PART_OF_US, .all = true};
	struct kf_sysdump_part parts[KF_ARRAY_SIZE(cluster_parts)];
	struct json_object *pods = NULL, *first;
	struct kf_cluster_options o;
	const char *namespace_;
	char name[256];
	int status;

	if (!kf_cluster_parse(self, argc, argv, &o, &status))
		return status;
	memcpy(parts, cluster_parts, sizeof(parts));
	/* Without the right to see them the parts say so. */
	(void)kf_cluster_get(&o, &ours, &pods, KF_ERR_IGNORED);
	first = kf_kube_length(kf_kube_at(pods, "items"))
			? json_object_array_get_idx(kf_kube_at(pods, "items"), 0)
			: NULL;
	namespace_ = first ? kf_kube_string(first, "metadata.namespace") : chart_namespace;
	for (size_t i = 0; i < KF_ARRAY_SIZE(parts); i++) {
		size_t n = 0;

		for (; parts[i].argv[n]; n++)
			if (parts[i].argv[n] == chart_namespace)
				parts[i].argv[n] = namespace_;
		for (size_t k = 0; strcmp(parts[i].argv[0], SELF) != 0 && k < o.npassed &&
				   n + 1 < KF_ARRAY_SIZE(parts[i].argv);
		     k++)
			parts[i].argv[n++] = o.passed[k];
	}
	name_archive("cluster", name, sizeof(name));
	status = finish_dump(o.argument ? o.argument : name, parts, KF_ARRAY_SIZE(parts));
	json_object_put(pods);
	return status;
}

const struct kf_command kf_cmd_cluster_sysdump = {
	.name = "sysdump",
	.summary = "one archive about the cluster for a bug report",
	.arguments = "[FILE]",
	.max = 1,
	.about = "Writes a tar archive with what kubectl says of nodes, RuntimeClasses, the\n"
		 "chart's objects, events and the logs of the chart's pods, with your own rights.\n"
		 "No Secret is read, and what looks like a secret is left out; look into it\n"
		 "before you send it all the same.",
	.options = kf_cluster_opts,
	.run = run_cluster_sysdump,
};
