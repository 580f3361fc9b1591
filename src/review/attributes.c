/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes of files and directories: which of them are a change, and copying them. */
#include "review/internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define LIST_MAX   65536 /* the kernel's limits */
#define VALUE_MAX  65536
#define CAPABILITY "security.capability"

/* Names that are copied, by their beginnings; the first one that fits decides.  A security label is
 * the volume's own affair, and "trusted.overlay." is overlayfs' own. */
static const struct {
	const char *begin;
	bool copied;
} known_names[] = {
	{"user.", true},    {"system.posix_acl_", true},
	{CAPABILITY, true}, {"trusted.overlay.", false},
	{"trusted.", true},
};

struct attribute_list {
	char *names[LIST_MAX / 2]; /* into @text, sorted */
	size_t n;
	char text[LIST_MAX];
	char value[VALUE_MAX], other[VALUE_MAX];
};

static bool is_copied(const char *name, bool privilege)
{
	if (!privilege && strcmp(name, CAPABILITY) == 0)
		return false;
	for (size_t i = 0; i < KF_ARRAY_SIZE(known_names); i++)
		if (strncmp(name, known_names[i].begin, strlen(known_names[i].begin)) == 0)
			return known_names[i].copied;
	return false;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* *ret is the caller's to free. */
static int list_names(int fd, bool privilege, struct attribute_list **ret, bool *ret_privilege,
		      struct kf_err *err)
{
	KF_FREE struct attribute_list *list = malloc(sizeof(*list));
	ssize_t n;

	if (!list)
		return kf_fail_nomem(err, "attributes");
	n = flistxattr(fd, list->text, sizeof(list->text));
	if (n < 0 && errno == EOPNOTSUPP)
		n = 0;
	if (n < 0)
		return kf_fail_sys(err, "list extended attributes");
	list->n = 0;
	*ret_privilege = false;
	for (char *at = list->text; at < list->text + n; at += strlen(at) + 1) {
		*ret_privilege |= strcmp(at, CAPABILITY) == 0;
		if (is_copied(at, privilege))
			list->names[list->n++] = at;
	}
	qsort(list->names, list->n, sizeof(*list->names), compare_names);
	*ret = KF_STEAL(list);
	return 0;
}

int kf_review_attributes(int fd, bool privilege, char ret[static KF_SHA256_HEX + 1],
			 bool *ret_privilege, struct kf_err *err)
{
	KF_FREE struct attribute_list *list = NULL;
	struct kf_sha256 sum;

	if (list_names(fd, privilege, &list, ret_privilege, err) < 0)
		return -1;
	kf_sha256_init(&sum);
	for (size_t i = 0; i < list->n; i++) {
		const ssize_t n = fgetxattr(fd, list->names[i], list->value, sizeof(list->value));

		if (n < 0)
			return kf_fail_sys(err, "read the attribute '%s'", list->names[i]);
		kf_sha256_add(&sum, list->names[i], strlen(list->names[i]) + 1);
		kf_sha256_add(&sum, &n, sizeof(n));
		kf_sha256_add(&sum, list->value, (size_t)n);
	}
	kf_sha256_end(&sum, ret);
	return 0;
}

static bool has_name(const struct attribute_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->names[i], name) == 0)
			return true;
	return false;
}

/* What @to has and @want has not; capabilities, too, where they are not to be copied. */
static int remove_others(int to, const struct attribute_list *want, struct kf_err *err)
{
	KF_FREE struct attribute_list *have = NULL;
	bool unused;

	if (list_names(to, true, &have, &unused, err) < 0)
		return -1;
	for (size_t i = 0; i < have->n; i++)
		if (!has_name(want, have->names[i]) && fremovexattr(to, have->names[i]) < 0 &&
		    errno != ENODATA)
			return kf_fail_sys(err, "remove the attribute '%s'", have->names[i]);
	return 0;
}

int kf_review_copy_attributes(int from, int to, bool privilege, struct kf_err *err)
{
	KF_FREE struct attribute_list *want = NULL;
	bool unused;

	if (list_names(from, privilege, &want, &unused, err) < 0 ||
	    remove_others(to, want, err) < 0)
		return -1;
	for (size_t i = 0; i < want->n; i++) {
		const char *name = want->names[i];
		const ssize_t n = fgetxattr(from, name, want->value, sizeof(want->value));
		const ssize_t m = fgetxattr(to, name, want->other, sizeof(want->other));

		if (n < 0)
			return kf_fail_sys(err, "read the attribute '%s'", name);
		if (m == n && memcmp(want->value, want->other, (size_t)n) == 0)
			continue;
		if (fsetxattr(to, name, want->value, (size_t)n, 0) < 0)
			return kf_fail_sys(err, "set the attribute '%s'", name);
	}
	return 0;
}

bool kf_review_is_opaque(int fd)
{
	char value = 0;

	return fgetxattr(fd, KF_REVIEW_OPAQUE, &value, 1) == 1 && value == 'y';
}
