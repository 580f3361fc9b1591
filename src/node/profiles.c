/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles beside the launcher: comparing, writing and removing them.  They are compiled by the
 * caller. */
#include "node/profiles.h"

#include "base/cleanup.h"
#include "base/limits.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define NAME	 KF_NODE_PROFILES
#define NEW_NAME ".profiles.new"

/* The path of @name, or of @file in it unless that is NULL, beside the launcher. */
static int path_of(const struct kf_node *node, const char *name, const char *file,
		   char ret[static PATH_MAX], struct kf_err *err)
{
	const char *launcher = node->options->launcher;
	int n = snprintf(ret, PATH_MAX, "%.*s/%s%s%s", (int)(strrchr(launcher, '/') - launcher),
			 launcher, name, file ? "/" : "", file ? file : "");

	if (n < 0 || n >= PATH_MAX)
		return kf_fail(err, ENAMETOOLONG, "profile '%s'", file ? file : name);
	return 0;
}

static int is_installed(const struct kf_node *node, const struct kf_node_profile *profile,
			const char *path, bool *ret, struct kf_err *err)
{
	KF_FREE char *text = NULL;
	size_t n = 0;

	*ret = false;
	if (kf_host_read(&node->host, path, KF_LIMIT_POLICY_TEXT, &text, &n, err) < 0)
		return err->code == ENOENT ? 0 : -1;
	*ret = n == profile->n && memcmp(text, profile->text, n) == 0;
	return 0;
}

int kf_node_profiles_exist(const struct kf_node *node, bool *ret, struct kf_err *err)
{
	const struct kf_node_options *o = node->options;
	char path[PATH_MAX];
	bool all = true;

	for (size_t i = 0; i < o->nprofiles && all; i++)
		if (path_of(node, NAME, o->profiles[i].name, path, err) < 0 ||
		    is_installed(node, &o->profiles[i], path, &all, err) < 0)
			return -1;
	*ret = all;
	return 0;
}

static int write_into(const struct kf_node *node, const char *dir, bool *ret_changed,
		      struct kf_err *err)
{
	const struct kf_node_options *o = node->options;
	char path[PATH_MAX], final[PATH_MAX];

	for (size_t i = 0; i < o->nprofiles; i++) {
		const struct kf_node_profile *p = &o->profiles[i];
		bool is_there;

		if (path_of(node, dir, p->name, path, err) < 0 ||
		    path_of(node, NAME, p->name, final, err) < 0 ||
		    is_installed(node, p, path, &is_there, err) < 0)
			return -1;
		if (is_there)
			continue;
		if (kf_host_write(&node->host, path, p->text, p->n, 0644, err) < 0)
			return -1;
		node->say(node->ctx, "installed", final, "");
		*ret_changed = true;
	}
	return 0;
}

int kf_node_profiles_write(const struct kf_node *node, bool *ret_changed, struct kf_err *err)
{
	char path[PATH_MAX], new_path[PATH_MAX];

	if (!node->options->nprofiles)
		return 0;
	if (path_of(node, NAME, NULL, path, err) < 0 ||
	    path_of(node, NEW_NAME, NULL, new_path, err) < 0)
		return -1;
	if (kf_host_exists(&node->host, path))
		return write_into(node, NAME, ret_changed, err);
	if (write_into(node, NEW_NAME, ret_changed, err) < 0)
		return -1;
	*ret_changed = true;
	return kf_host_rename(&node->host, new_path, path, err);
}

static int empty_directory(const struct kf_node *node, const char *name, const char *pattern,
			   struct kf_err *err)
{
	char path[PATH_MAX];
	char **list;
	int r;

	if (path_of(node, name, pattern, path, err) < 0 ||
	    kf_host_glob(&node->host, path, &list, err) < 0)
		return -1;
	r = 0;
	for (char **p = list; *p && r == 0; p++)
		r = kf_host_remove(&node->host, *p, err);
	kf_host_list_free(list);
	return r;
}

int kf_node_profiles_remove(const struct kf_node *node, struct kf_err *err)
{
	static const char *const names[] = {NAME, NEW_NAME};
	char path[PATH_MAX];

	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++) {
		/* This includes temporary files of a killed writer. */
		if (empty_directory(node, names[i], "*", err) < 0 ||
		    empty_directory(node, names[i], ".*.tmp", err) < 0 ||
		    path_of(node, names[i], NULL, path, err) < 0)
			return -1;
		kf_host_rmdir(&node->host, path);
	}
	return 0;
}
