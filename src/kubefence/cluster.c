/* SPDX-License-Identifier: Apache-2.0 */
#include "kubefence/cluster.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "kubefence/command.h"

#include <fcntl.h>
#include <getopt.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* All pods of a large cluster. */
#define ANSWER_MAX (512 * 1024 * 1024)
#define ARGS_MAX   24

int cluster_parse(int argc, char **argv, const char *help, struct cluster_options *ret,
		  char ***ret_rest, int *ret_nrest, bool *ret_done)
{
	static const struct option long_options[] = {
		{"namespace", required_argument, NULL, 'n'},
		{"all-namespaces", no_argument, NULL, 'A'},
		{"output", required_argument, NULL, 'o'},
		{"context", required_argument, NULL, 'c'},
		{"kubeconfig", required_argument, NULL, 'k'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	ret->output = "table";
	while ((c = getopt_long(argc, argv, "n:Ao:h", long_options, NULL)) != -1) {
		switch (c) {
		case 'n':
			ret->namespace_ = optarg;
			break;
		case 'A':
			ret->namespace_ = NULL;
			break;
		case 'o':
			if (strcmp(optarg, "table") != 0 && strcmp(optarg, "json") != 0)
				return kf_command_usage("-o '%s': use table or json", optarg);
			ret->output = optarg;
			break;
		case 'c':
		case 'k':
			if (ret->npass + 2 > KF_ARRAY_SIZE(ret->pass))
				return kf_command_usage("--context and --kubeconfig: once each");
			ret->pass[ret->npass++] = c == 'c' ? "--context" : "--kubeconfig";
			ret->pass[ret->npass++] = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			*ret_done = true;
			return KF_EXIT_OK;
		default:
			return KF_EXIT_USAGE;
		}
	}
	*ret_rest = argv + optind;
	*ret_nrest = argc - optind;
	return KF_EXIT_OK;
}

/* Run kubectl with its standard output into @out. */
static int run_kubectl(const char **args, struct kf_buf *out, struct kf_err *err)
{
	char chunk[65536];
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return kf_fail_sys(err, "pipe");
	pid = fork();
	if (pid == 0) {
		if (dup2(fds[1], STDOUT_FILENO) >= 0)
			execvp(args[0], (char *const *)args);
		fprintf(stderr, "kubefence: cannot execute kubectl: %s; is it in PATH?\n",
			strerror(errno));
		_exit(127);
	}
	(void)close(fds[1]);
	if (pid < 0) {
		(void)close(fds[0]);
		return kf_fail_sys(err, "fork");
	}
	while ((n = read(fds[0], chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			kf_buf_add(out, chunk, (size_t)n);
	(void)close(fds[0]);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return kf_fail_sys(err, "wait for kubectl");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return kf_fail(err, ECHILD, "kubectl %s %s failed; its message is above", args[1],
			       args[2]);
	return 0;
}

int cluster_get(const struct cluster_options *options, const char *what, const char *name,
		bool namespaced, struct json_object **ret, struct kf_err *err)
{
	const char *args[ARGS_MAX] = {"kubectl", "get", what};
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(ANSWER_MAX);
	struct json_object *object;
	size_t n = 3;

	if (name)
		args[n++] = name;
	args[n++] = "-o";
	args[n++] = "json";
	if (namespaced && options->namespace_) {
		args[n++] = "-n";
		args[n++] = options->namespace_;
	} else if (namespaced && !name) {
		args[n++] = "-A";
	}
	for (size_t i = 0; i < options->npass; i++)
		args[n++] = options->pass[i];
	if (run_kubectl(args, &out, err) < 0)
		return -1;
	if (out.failed || !out.p)
		return kf_fail(err, EIO, "kubectl get %s: no usable answer", what);
	object = json_tokener_parse(out.p);
	if (!object)
		return kf_fail(err, EPROTO, "kubectl get %s: its answer is not JSON", what);
	*ret = object;
	return 0;
}

struct json_object *cluster_at(struct json_object *object, const char *path)
{
	char key[64];

	while (object && *path) {
		size_t n = strcspn(path, ".");

		if (n >= sizeof(key))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		object = json_object_is_type(object, json_type_object)
				 ? json_object_object_get(object, key)
				 : NULL;
		path += n + (path[n] == '.');
	}
	return object;
}

const char *cluster_string(struct json_object *object, const char *path)
{
	struct json_object *value = cluster_at(object, path);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

long cluster_number(struct json_object *object, const char *path)
{
	return (long)json_object_get_int64(cluster_at(object, path));
}
