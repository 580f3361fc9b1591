/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence images load: brings the image of an archive into this node's container runtime, by the
 * program that belongs to it, and asks the runtime whether it has it.  For nodes that pull from no
 * registry. */
#include "base/cleanup.h"
#include "cli/print.h"
#include "cri/cri.h"
#include "host/run.h"
#include "host/which.h"
#include "kubefence/commands.h"
#include "kubefence/images/archive.h"
#include "kubefence/options.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Three documents of an archive and what they parse to, and a runtime's evidence. */
#define MEMORY_MAX	  (64 * 1024 * 1024)
/* An image of some MiB on a busy node; what the importing program prints: a line a layer. */
#define IMPORT_MS	  (300 * 1000)
#define IMPORT_OUTPUT_MAX (1024 * 1024)
/* containerd's CRI learns of an image by an event. */
#define KNOWN_SECONDS	  20

struct images_line {
	struct kf_which_question question;
	const char *name;
};

/* The program @name beside the runtime's own, or where programs usually are; NULL if there is
 * none. */
static const char *find_program(const struct kf_host_runtime *rt, const char *name,
				struct kf_arena *arena)
{
	static const char *const usual[] = {"/usr/local/bin", "/usr/bin", "/usr/sbin"};
	const struct kf_distro *d = rt->distro;
	const char *dirs[2 * KF_DISTRO_CHOICES + KF_ARRAY_SIZE(usual)];
	size_t n = 0;

	for (size_t i = 0; i < KF_DISTRO_CHOICES; i++) {
		const char *slash = d->programs[i] ? strrchr(d->programs[i], '/') : NULL;

		if (slash)
			dirs[n++] = kf_arena_printf(arena, "%.*s", (int)(slash - d->programs[i]),
						    d->programs[i]);
		if (d->bindirs[i])
			dirs[n++] = d->bindirs[i];
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(usual); i++)
		dirs[n++] = usual[i];
	for (size_t i = 0; i < n; i++) {
		const char *path = dirs[i] ? kf_arena_printf(arena, "%s/%s", dirs[i], name) : NULL;

		if (path && kf_host_exists(rt->host, path))
			return path;
	}
	return NULL;
}

static int run_import(const struct kf_host_runtime *rt, const char *const *argv, struct kf_err *err)
{
	struct kf_run run;
	int r = kf_run_host(rt->host, argv, IMPORT_MS, IMPORT_OUTPUT_MAX, &run, err);

	if (r < 0)
		return -1;
	if (run.status != 0)
		r = kf_fail(err, EIO, "%s cannot import the image: %s", argv[0], run.why);
	kf_run_done(&run);
	return r;
}

/* The archive has the name that ctr gives; skopeo is told one. */
static int import_archive(const struct kf_host_runtime *rt, const char *file, const char *name,
			  struct kf_arena *arena, struct kf_err *err)
{
	bool crio = rt->distro->kind == KF_RUNTIME_CRIO;
	const char *tool = crio ? "skopeo" : "ctr", *program = find_program(rt, tool, arena);
	const char *socket = kf_host_first(rt->host, rt->distro->sockets);
	const char *from = kf_arena_printf(arena, "oci-archive:%s", file);
	const char *to = kf_arena_printf(arena, "containers-storage:%s", name);
	const char *const by_ctr[] = {program,	"--address", socket, "--namespace", "k8s.io",
				      "images", "import",    file,   NULL};
	const char *const by_skopeo[] = {program, "--insecure-policy", "copy", from, to, NULL};

	if (!from || !to)
		return kf_fail_nomem(err, "image");
	if (!program)
		return kf_fail(err, ENOENT,
			       "%s is not on this node, and %s needs it to take an "
			       "image; install it, or have the node pull from a registry",
			       tool, rt->distro->name);
	return run_import(rt, crio ? by_skopeo : by_ctr, err);
}

/* Ask the runtime, until it knows the image, whether it is that of the archive. */
static int verify_image(const struct kf_host_runtime *rt, const char *name,
			const struct kf_archive *image, struct kf_arena *arena, struct kf_err *err)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	const char *id = NULL;

	for (unsigned i = 0; i < KNOWN_SECONDS * 10; i++) {
		size_t n;

		if (kf_cri_image(rt, name, arena, &id, err) < 0)
			return kf_fail_wrap(err, "ask %s for image '%s'", rt->distro->name, name);
		n = id ? strlen(id) : 0;
		if (n >= strlen(image->id) && strcmp(id + n - strlen(image->id), image->id) == 0)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	if (id)
		return kf_fail(err, EEXIST,
			       "%s has another image '%s' (%s): remove that one (crictl rmi), and "
			       "load again",
			       rt->distro->name, name, id);
	return kf_fail(err, ENOENT,
		       "%s does not have '%s' after the import: it keeps its images elsewhere than "
		       "the importing program; see its configuration (root, runroot)",
		       rt->distro->name, name);
}

static int load_image(const struct images_line *l, const char *file, const struct kf_host *host,
		      struct kf_arena *arena, struct kf_err *err)
{
	struct kf_archive image;
	struct kf_which which;
	struct kf_host_runtime rt = {.host = host};
	const char *name;

	if (kf_archive_read(file, arena, &image, err) < 0 ||
	    kf_which(host, &l->question, arena, &which, err) < 0)
		return -1;
	rt.distro = which.distro;
	if (!kf_host_first(host, rt.distro->sockets))
		return kf_fail(err, ENOENT, "%s does not run: there is no socket '%s'; start it",
			       rt.distro->name, rt.distro->sockets[0]);
	name = image.name;
	if (l->name && rt.distro->kind != KF_RUNTIME_CRIO && strcmp(l->name, name) != 0)
		return kf_fail(err, EINVAL,
			       "containerd takes the image by the name that it has in the archive, "
			       "'%s'; leave --name out, or make the image with that name",
			       name);
	if (l->name)
		name = l->name;
	if (!*name)
		return kf_fail(err, EINVAL, "'%s' does not name its image; give --name", file);
	if (import_archive(&rt, file, name, arena, err) < 0 ||
	    verify_image(&rt, name, &image, arena, err) < 0)
		return -1;
	kf_print_line(stdout, "loaded %s into %s", name, rt.distro->name);
	kf_print_line(stdout, "digest %s", image.digest);
	kf_print_line(stdout, "id     sha256:%s", image.id);
	return 0;
}

static int run_load(const struct kf_command *self, int argc, char **argv)
{
	struct images_line l = {0};
	struct kf_arguments arguments;
	char file[PATH_MAX];
	struct kf_arena arena;
	struct kf_host host;
	struct kf_err err;
	int status;

	if (!kf_command_parse(self, argc, argv, &l, &arguments, &status))
		return status;
	if (!realpath(arguments.v[0], file))
		return kf_command_fail("'%s': %s", arguments.v[0], strerror(errno));
	if (kf_host_open("/", &host, &err) < 0)
		return kf_command_fail("%s", err.msg);
	kf_arena_init(&arena, MEMORY_MAX);
	status = load_image(&l, file, &host, &arena, &err);
	kf_arena_done(&arena);
	kf_host_done(&host);
	return status == 0 ? KF_EXIT_OK : kf_command_fail("%s", err.msg);
}

static const struct kf_command command_load = {
	.name = "load",
	.summary = "bring our image into this node's container runtime",
	.arguments = "FILE",
	.min = 1,
	.max = 1,
	.about = "Imports the OCI archive FILE, which 'make images' and a release have, into the\n"
		 "container runtime of this node, and asks the runtime for it. containerd takes it "
		 "by\n"
		 "ctr, CRI-O by skopeo: as root, on the node.",
	.options =
		(const struct kf_option[]){
			KF_OPT_DISTRIBUTION(struct images_line, question.distribution),
			{
				.name = "name",
				.kind = KF_OPTION_STRING,
				.value = "NAME:TAG",
				KF_OPTION_AT(struct images_line, name),
				.help = "what CRI-O is to call it (default: as the archive does)",
			},
			{0},
		},
	.run = run_load,
};

static const struct kf_command *const commands[] = {&command_load, NULL};

const struct kf_command kf_cmd_images = {
	.name = "images",
	.summary = "our image on a node that pulls from no registry",
	.about = "Brings our image to this node.",
	.commands = commands,
};
