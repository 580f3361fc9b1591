/* SPDX-License-Identifier: Apache-2.0 */
/* Reads annotations about a pod's volumes.  What they lead to is the guard's work
 * (nono-runc/review.c). */
#include "plan/volumes.h"

#include <stddef.h>
#include <string.h>

#define REVIEW	   "review"
#define VOLUME_MAX 63

/* As Kubernetes names volumes: a DNS label. */
static bool is_volume(const char *name)
{
	const size_t n = strlen(name);

	return n > 0 && n <= VOLUME_MAX &&
	       !name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")];
}

/* ":/PATH", any number of them. */
static bool are_paths(const char *text)
{
	while (*text) {
		if (text[0] != ':' || text[1] != '/')
			return false;
		text += 1 + strcspn(text + 1, ":");
	}
	return true;
}

int kf_plan_review_next(const struct kf_view *view, size_t *at, struct kf_plan_review *ret,
			struct kf_err *err)
{
	for (; *at < view->nannotations; (*at)++) {
		const char *key = view->annotations[*at].key, *value = view->annotations[*at].value;
		const size_t n = strlen(KF_ANNOTATION_VOLUME), m = strlen(REVIEW);

		if (strncmp(key, KF_ANNOTATION_VOLUME, n) != 0)
			continue;
		if (!is_volume(key + n))
			return kf_fail(err, EINVAL,
				       "annotation %.80s: no volume has such a name (lower-case "
				       "letters, digits and '-')",
				       key);
		if (strncmp(value, REVIEW, m) != 0 || !are_paths(value + m))
			return kf_fail(err, EINVAL,
				       "annotation %.80s: '%.80s' is not \"review\", or "
				       "\"review:/PATH\" with the path where containers mount the "
				       "volume",
				       key, value);
		(*at)++;
		*ret = (struct kf_plan_review){key + n, value + m};
		return 1;
	}
	return 0;
}

bool kf_plan_review_names(const struct kf_plan_review *review, const char *destination)
{
	const size_t n = strlen(destination);

	for (const char *at = review->paths; *at;) {
		const size_t len = strcspn(++at, ":");
		size_t end = len;

		while (end > 1 && at[end - 1] == '/')
			end--;
		if (end == n && strncmp(at, destination, n) == 0)
			return true;
		at += len;
	}
	return false;
}
