/* SPDX-License-Identifier: Apache-2.0 */
/* bench_nri [-c CGROUP] [-n REQUESTS] [-s CONTAINERS] [-r HANDLER] [-o ANSWER] SOCKET PLUGIN
 * [ARGUMENT...]
 *
 * Plays the runtime to PLUGIN, which connects to SOCKET, and prints what that took as JSON: start
 * to registered, one Synchronize, latency of CreateContainer one after the other (from the encoded
 * request to the encoded answer: what a runtime makes of it is not the plugin's), CPU and memory of
 * the plugin, its end. */
#include "base/cleanup.h"

#include <event2/event.h>
#include <fcntl.h>
#include <nri/nri.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WARM_UP 300
#define LISTS	12 /* entries of each list of a request */

static pid_t child;

__attribute__((noreturn)) static void die(const char *what, const char *why)
{
	(void)fprintf(stderr, "bench_nri: %s: %s\n", what, why);
	if (child > 0)
		(void)kill(child, SIGKILL);
	exit(EXIT_FAILURE);
}

static double now(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* First number of line @key of /proc/CHILD/@file; without @key of its first line. */
static unsigned long long proc(const char *file, const char *key)
{
	char path[64], line[256];
	unsigned long long n = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)child, file);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (key && strncmp(line, key, strlen(key)) != 0)
			continue;
		n = strtoull(line + (key ? strlen(key) : 0), NULL, 10);
		break;
	}
	if (f)
		(void)fclose(f);
	return n;
}

static double cpu(void)
{
	return (double)proc("schedstat", NULL) / 1e3;
}

static void join(const char *cgroup)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	f = fopen(path, "we");
	if (!f || fprintf(f, "%d", (int)child) < 0 || fclose(f) != 0)
		die(cgroup, "cannot be joined");
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

__attribute__((format(printf, 1, 2))) static char *text(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		die("memory", "exhausted");
	return s;
}

/* A pod and a container with about as much in them as containerd tells. */
static void fill(Nri__PodSandbox *pod, Nri__Container *ctr, const char *handler, int i)
{
	static char *args[] = {(char *)"python3", (char *)"-m", (char *)"http.server"};
	static char *options[] = {(char *)"rbind", (char *)"rprivate", (char *)"ro"};

	nri__pod_sandbox__init(pod);
	nri__container__init(ctr);
	pod->id = text("sandbox%056d", i);
	pod->name = text("workload-%d", i);
	pod->uid = text("0f0e0d0c-0000-4000-8000-%012d", i);
	pod->pod_namespace = (char *)"default";
	pod->runtime_handler = (char *)(uintptr_t)handler;
	ctr->id = text("container%055d", i);
	ctr->pod_sandbox_id = pod->id;
	ctr->name = (char *)"main";
	ctr->args = args;
	ctr->n_args = KF_ARRAY_SIZE(args);
	pod->labels = calloc(LISTS, sizeof(*pod->labels));
	pod->annotations = calloc(LISTS, sizeof(*pod->annotations));
	ctr->env = calloc(LISTS, sizeof(*ctr->env));
	ctr->mounts = calloc(LISTS, sizeof(*ctr->mounts));
	for (int k = 0; k < LISTS; k++) {
		Nri__KeyValue *pairs = calloc(2, sizeof(*pairs));
		Nri__Mount *mount = calloc(1, sizeof(*mount));

		for (int j = 0; j < 2; j++) {
			nri__key_value__init(&pairs[j]);
			pairs[j].key = text("app.kubernetes.io/key-%d", k);
			pairs[j].value = (char *)"a value of some length";
		}
		nri__mount__init(mount);
		mount->destination = text("/var/lib/data-%d", k);
		mount->type = (char *)"bind";
		mount->source = text("/var/lib/kubelet/pods/volumes/data-%d", k);
		mount->options = options;
		mount->n_options = KF_ARRAY_SIZE(options);
		pod->labels[k] = &pairs[0];
		pod->annotations[k] = &pairs[1];
		ctr->env[k] = text("SERVICE_%d_PORT=tcp://10.0.0.1:8080", k);
		ctr->mounts[k] = mount;
	}
	pod->n_labels = pod->n_annotations = ctr->n_env = ctr->n_mounts = LISTS;
}

/* Each request is about a container of its own, as a runtime's are. */
static void renumber(Nri__PodSandbox *pod, Nri__Container *ctr, size_t i)
{
	char digits[13];

	(void)snprintf(digits, sizeof(digits), "%012u", (unsigned)i);
	memcpy(pod->id + strlen(pod->id) - 12, digits, 12);
	memcpy(pod->uid + strlen(pod->uid) - 12, digits, 12);
	memcpy(ctr->id + strlen(ctr->id) - 12, digits, 12);
}

/* For the reference that says the same. */
static void keep(const char *path, const ProtobufCMessage *msg)
{
	FILE *f = fopen(path, "we");
	void *data;
	size_t n;

	if (!f || nri_encode(msg, &data, &n, NULL) < 0 || fwrite(data, 1, n, f) != n ||
	    fclose(f) != 0)
		die(path, "cannot be written");
	free(data);
}

int main(int argc, char **argv)
{
	const struct nri_runtime_options options = {.name = "containerd",
						    .version = "v2.4.2",
						    .nri_version = "0.12.3",
						    .request_timeout_ms = 20000};
	const char *cgroup = NULL, *answer = NULL, *handler = "nono-runc";
	size_t requests = 1000, containers = 0, bytes = 0;
	double registered, synced, start, busy, stopped, *took;
	unsigned long long early, synced_rss;
	Nri__CreateContainerRequest req = NRI__CREATE_CONTAINER_REQUEST__INIT;
	Nri__CreateContainerResponse *created;
	Nri__SynchronizeResponse *sync;
	Nri__PodSandbox pod, **pods;
	Nri__Container ctr, **ctrs;
	struct event_base *base = event_base_new();
	struct nri_runtime *rt;
	struct nri_error err;
	uint32_t events;
	int listener, fd, opt;

	while ((opt = getopt(argc, argv, "+c:n:s:r:o:")) != -1) {
		if (opt == 'c')
			cgroup = optarg;
		else if (opt == 'n')
			requests = strtoul(optarg, NULL, 10);
		else if (opt == 's')
			containers = strtoul(optarg, NULL, 10);
		else if (opt == 'r')
			handler = optarg;
		else if (opt == 'o')
			answer = optarg;
	}
	argv += optind;
	took = calloc(requests + 1, sizeof(*took));
	pods = calloc(containers + 1, sizeof(*pods));
	ctrs = calloc(containers + 1, sizeof(*ctrs));
	if (!base || !took || !pods || !ctrs || nri_listen(argv[0], &listener, &err) < 0)
		die("start", "fails");
	for (size_t i = 0; i < containers; i++) {
		pods[i] = calloc(1, sizeof(**pods));
		ctrs[i] = calloc(1, sizeof(**ctrs));
		fill(pods[i], ctrs[i], handler, (int)i);
	}
	start = now();
	child = fork();
	if (child == 0) {
		execv(argv[1], argv + 1);
		_exit(127);
	}
	fd = accept(listener, NULL, NULL);
	if (fd < 0 || nri_runtime_new(base, fd, &options, &rt, &err) < 0 ||
	    nri_runtime_register(rt, &events, &err) < 0)
		die("register", err.message);
	registered = now() - start;
	start = now();
	if (nri_runtime_synchronize(rt, pods, containers, ctrs, containers, &sync, &err) < 0)
		die("synchronize", err.message);
	synced = now() - start;
	fill(&pod, &ctr, handler, 0);
	req.pod = &pod;
	req.container = &ctr;
	for (size_t i = 0; i < WARM_UP; i++)
		if (nri_runtime_create_container(rt, &req, &created, &err) < 0)
			die("create", err.message);
	bytes = protobuf_c_message_get_packed_size(&created->base);
	if (answer)
		keep(answer, &created->base);
	synced_rss = early = proc("status", "VmRSS:");
	if (cgroup)
		join(cgroup);
	busy = cpu();
	for (size_t i = 0; i < requests; i++) {
		const void *reply;
		void *data;
		size_t n;

		renumber(&pod, &ctr, i);
		if (nri_encode(&req.base, &data, &n, &err) < 0)
			die("encode", err.message);
		start = now();
		if (nri_runtime_call(rt, NULL, "CreateContainer", data, n, &reply, &n, &err) < 0)
			die("create", err.message);
		took[i] = now() - start;
		free(data);
	}
	busy = cpu() - busy;
	qsort(took, requests, sizeof(*took), by_size);
	(void)printf(
		"{\"registered_us\": %.0f, \"synchronize_us\": %.0f, \"synchronized_kib\": %llu, "
		"\"p50_us\": %.2f, \"p99_us\": %.2f, \"cpu_us\": %.2f, \"answer\": %zu, "
		"\"early_kib\": %llu, "
		"\"rss_kib\": %llu, \"peak_kib\": %llu, \"threads\": %llu, ",
		registered, synced, synced_rss, took[requests / 2], took[requests * 99 / 100],
		busy / (double)requests, bytes, early, proc("status", "VmRSS:"),
		proc("status", "VmHWM:"), proc("status", "Threads:"));
	start = now();
	(void)kill(child, SIGTERM);
	(void)waitpid(child, NULL, 0);
	stopped = now() - start;
	(void)printf("\"stopped_us\": %.0f}\n", stopped);
	return EXIT_SUCCESS;
}
