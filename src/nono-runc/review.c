/* SPDX-License-Identifier: Apache-2.0 */
/* Which mounts of a container are of a volume that is to be reviewed, and overlays in their place.
 * The overlays themselves are made in review/overlay.c. */
#include "nono-runc/review.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "nono-runc/mounted.h"
#include "nono-runc/record.h"
#include "oci/volume.h"
#include "plan/volumes.h"
#include "review/overlay.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PLUGIN	  "kubernetes.io~"
#define EMPTY_DIR PLUGIN "empty-dir"

struct reviewing {
	struct kf_oci *oci;
	const struct kf_settings *settings;
	const char *bundle, *pod; /* the kubelet's directory of the pod, or NULL */
	char user[KF_RECORD_NAME];
	struct kf_err *err;
};

const char *kf_guard_pod_directory(const struct kf_view *view, struct kf_arena *arena)
{
	const char *part = kf_arena_printf(arena, "/pods/%s/", view->pod_uid);

	for (size_t i = 0; part && *view->pod_uid && i < view->nmounts; i++) {
		const char *source = view->mounts[i].source, *at = strstr(source, part);

		if (at)
			return kf_arena_printf(arena, "%.*s",
					       (int)(at - source + (long)strlen(part) - 1), source);
	}
	return NULL;
}

/* What follows the kubelet's directory of the pod in @source, or NULL. */
static const char *below_pod(const struct reviewing *r, const char *source)
{
	const size_t n = r->pod ? strlen(r->pod) : 0;

	return n && strncmp(source, r->pod, n) == 0 && source[n] == '/' ? source + n + 1 : NULL;
}

static const char *text_after(const char *text, const char *begin)
{
	const size_t n = strlen(begin);

	return text && strncmp(text, begin, n) == 0 ? text + n : NULL;
}

/* Whether the first component of @path is @name; what follows in *ret_rest. */
static bool begins_with(const char *path, const char *name, const char **ret_rest)
{
	const char *rest = text_after(path, name);

	if (!rest || (*rest && *rest != '/'))
		return false;
	*ret_rest = rest;
	return true;
}

/* Whether the kubelet made @source for the volume @name: "volumes/PLUGIN/NAME..." or
 * "volume-subpaths/NAME/...".  *ret_plugin, if it says so, is the plugin. */
static bool is_volume(const struct reviewing *r, const char *source, const char *name,
		      const char **ret_plugin)
{
	const char *below = below_pod(r, source), *at, *rest;

	*ret_plugin = "";
	if ((at = text_after(below, "volume-subpaths/")))
		return begins_with(at, name, &rest);
	at = text_after(below, "volumes/");
	if (!at || !strchr(at, '/'))
		return false;
	*ret_plugin = at;
	return begins_with(strchr(at, '/') + 1, name, &rest);
}

/* What the kubelet writes itself, behind an overlay's back. */
static bool is_written_by_kubelet(const char *plugin)
{
	static const char *const plugins[] = {PLUGIN "secret/", PLUGIN "configmap/",
					      PLUGIN "projected/", PLUGIN "downward-api/"};

	for (size_t i = 0; i < KF_ARRAY_SIZE(plugins); i++)
		if (text_after(plugin, plugins[i]))
			return true;
	return false;
}

static bool has_option(const struct kf_view_mount *m, const char *name)
{
	for (size_t i = 0; i < m->noptions; i++)
		if (strcmp(m->options[i], name) == 0)
			return true;
	return false;
}

static int check_mount(const struct reviewing *r, const struct kf_plan_review *review,
		       const struct kf_view_mount *m, const char *plugin)
{
	static const char *const shared[] = {"shared", "rshared", "slave", "rslave"};
	bool mapped;

	if (strcmp(m->type, "bind") != 0 && !has_option(m, "bind") && !has_option(m, "rbind"))
		return kf_fail(r->err, EINVAL,
			       "volume '%s' is to be reviewed, and what is mounted at '%.120s' is "
			       "no directory of the node's",
			       review->volume, m->destination);
	for (size_t i = 0; i < KF_ARRAY_SIZE(shared); i++)
		if (has_option(m, shared[i]))
			return kf_fail(r->err, EPERM,
				       "volume '%s' is to be reviewed, which cannot be with "
				       "mountPropagation: take that, or the annotation, away",
				       review->volume);
	if (is_written_by_kubelet(plugin))
		return kf_fail(r->err, EPERM,
			       "volume '%s' is to be reviewed, and the kubelet itself writes it "
			       "(Secret, ConfigMap, projected): no pod changes it; take the "
			       "annotation away",
			       review->volume);
	if (kf_oci_is_mapped(r->oci, m, &mapped, r->err) < 0)
		return -1;
	if (mapped)
		return kf_fail(
			r->err, EOPNOTSUPP,
			"volume '%s' is to be reviewed, which is not possible in a pod with a "
			"user namespace (hostUsers: false): its owners would be others on the "
			"node; take the annotation away, or the user namespace",
			review->volume);
	return *r->oci->mount_label ? kf_fail(r->err, EOPNOTSUPP,
					      "volume '%s' is to be reviewed, which is not "
					      "possible under SELinux: "
					      "one overlay has one label; take the annotation away",
					      review->volume)
				    : 0;
}

static int review_mount(const struct reviewing *r, const struct kf_plan_review *review,
			const struct kf_view_mount *m, const char *plugin, const char *merged)
{
	const struct kf_view *view = &r->oci->view;
	const struct kf_review_attach attach = {
		.uid = view->pod_uid,
		.volume = review->volume,
		.namespace_ = view->namespace_,
		.pod = view->pod,
		/* A bundle that is used a second time has it already. */
		.source = strcmp(m->source, merged) == 0 ? NULL : m->source,
		.ends_with_pod = text_after(plugin, EMPTY_DIR "/") != NULL,
		.size = r->settings->review_size ? r->settings->review_size : KF_SETTINGS_REVIEW,
		.user = r->user,
		.bundle = r->bundle,
	};

	if (check_mount(r, review, m, plugin) < 0 || kf_review_attach(&attach, r->err) < 0)
		return -1;
	return kf_oci_set_source(r->oci, m, merged, r->err);
}

/* The container has no mount of the kubelet's volume NAME.  If there is one, other containers have
 * it; if not, the kubelet calls it otherwise, and it would stay as it is without anybody being
 * told.
 */
static int check_known(const struct reviewing *r, const struct kf_plan_review *review)
{
	char path[PATH_MAX];
	struct dirent *e;
	bool found = false;
	struct stat st;
	DIR *d = NULL;

	if (r->pod) {
		(void)snprintf(path, sizeof(path), "%s/volumes", r->pod);
		d = opendir(path);
		if (!d && errno != ENOENT)
			return kf_fail_sys(r->err, "read '%s'", path);
	}
	while (d && !found && (e = readdir(d))) {
		(void)snprintf(path, sizeof(path), "%s/volumes/%s/%s", r->pod, e->d_name,
			       review->volume);
		found = e->d_name[0] != '.' && lstat(path, &st) == 0;
	}
	if (d)
		(void)closedir(d);
	return found ? 0
		     : kf_fail(r->err, ENOENT,
			       "volume '%s' is to be reviewed, and the kubelet has no directory of "
			       "that name for the pod: there is none, or it is a claim or a "
			       "hostPath; "
			       "say where containers mount it: " KF_ANNOTATION_VOLUME
			       "%s: review:/PATH",
			       review->volume, review->volume);
}

static int review_volume(const struct reviewing *r, const struct kf_plan_review *review)
{
	const struct kf_view *view = &r->oci->view;
	char merged[PATH_MAX];
	bool found = false;

	if (!kf_review_name_valid(view->pod_uid))
		return kf_fail(r->err, EINVAL,
			       "volume '%s' is to be reviewed, and the runtime does not tell the "
			       "pod's UID",
			       review->volume);
	kf_review_merged(view->pod_uid, review->volume, merged);
	for (size_t i = 0; i < view->nmounts; i++) {
		const struct kf_view_mount *m = &view->mounts[i];
		char clean[PATH_MAX];
		const char *plugin;
		bool named = is_volume(r, m->source, review->volume, &plugin);

		if (*review->paths)
			named = kf_path_clean(m->destination, clean, sizeof(clean)) &&
				kf_plan_review_names(review, clean);
		if (!named && strcmp(m->source, merged) != 0)
			continue;
		found = true;
		if (review_mount(r, review, m, plugin, merged) < 0)
			return -1;
	}
	return found || *review->paths ? 0 : check_known(r, review);
}

/* A volume that is reviewed at one path must not be there at another one as it is, neither as a
 * whole nor in part (subPath), nor with what it lies in. */
static int check_others(const struct reviewing *r, const char *volume, const char *lower)
{
	const struct kf_view *view = &r->oci->view;
	struct kf_guard_mounted reviewed;

	if (kf_guard_mounted(lower, &reviewed, r->err) < 0)
		return -1;
	for (size_t i = 0; i < view->nmounts; i++) {
		const char *source = view->mounts[i].source;
		bool shares;

		if (*source != '/')
			continue;
		if (kf_guard_mounted_shares(source, &reviewed, &shares, r->err) < 0) {
			/* The runtime will say so. */
			if (r->err->code == ENOENT || r->err->code == ENOTDIR)
				continue;
			return -1;
		}
		if (shares)
			return kf_fail(r->err, EPERM,
				       "volume '%s' is reviewed, and this container has it, or a "
				       "part of it, as it is at '%.120s', too: name all paths in "
				       "the annotation, " KF_ANNOTATION_VOLUME
				       "%s: review:/PATH:/PATH",
				       volume, view->mounts[i].destination, volume);
	}
	return 0;
}

static int check_rest(const struct reviewing *r)
{
	const struct kf_view *view = &r->oci->view;
	struct kf_plan_review review;
	size_t at = 0;

	while (kf_plan_review_next(view, &at, &review, KF_ERR_IGNORED) > 0) {
		KF_CLEANUP(kf_review_info_done) struct kf_review_info info = {0};
		KF_CLOSE int dirfd = -1;

		if (kf_review_lock(view->pod_uid, review.volume, false, &dirfd, r->err) < 0 ||
		    kf_review_info_read(dirfd, view->pod_uid, review.volume, &info, r->err) < 0) {
			if (r->err->code == ENOENT)
				continue;
			return -1;
		}
		if (check_others(r, review.volume, info.lower) < 0)
			return -1;
	}
	return 0;
}

int kf_guard_review_create(struct kf_oci *oci, const struct kf_settings *settings,
			   const char *bundle, const char *root, const char *id, struct kf_err *err)
{
	struct reviewing r = {.oci = oci, .settings = settings, .bundle = bundle, .err = err};
	struct kf_plan_review review;
	bool any = false;
	size_t at = 0;
	int found;

	while ((found = kf_plan_review_next(&oci->view, &at, &review, err)) > 0) {
		if (!any && kf_guard_record_name(root, id, r.user, err) < 0)
			return -1;
		if (!any)
			r.pod = kf_guard_pod_directory(&oci->view, &oci->arena);
		any = true;
		if (review_volume(&r, &review) < 0)
			return -1;
	}
	if (found < 0)
		return -1;
	return any ? check_rest(&r) : 0;
}

void kf_guard_review_wake(const char *root, const char *id)
{
	char user[KF_RECORD_NAME];

	if (kf_guard_record_name(root, id, user, KF_ERR_IGNORED) == 0)
		kf_review_wake(user);
}

void kf_guard_review_drop(const char *root, const char *id)
{
	char user[KF_RECORD_NAME];

	if (kf_guard_record_name(root, id, user, KF_ERR_IGNORED) == 0)
		kf_review_release(user);
}
