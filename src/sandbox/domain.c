/* SPDX-License-Identifier: Apache-2.0 */
/* The domain file: its format, for the guard, which begins it, and for the launcher, which
 * completes it and follows it later.  What the policy grants is decided in src/nono. */
#include "sandbox/domain.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define OBJECTS_MAX (KF_DOMAIN_MAX / 2)

_Static_assert(sizeof(struct kf_domain_head) % KF_DOMAIN_ALIGN == 0, "layout");
_Static_assert(sizeof(struct kf_domain_object) % KF_DOMAIN_ALIGN == 0, "layout");
_Static_assert(PATH_MAX <= UINT16_MAX, "length of a path");

static size_t padded_size(size_t n)
{
	return (n + KF_DOMAIN_ALIGN - 1) & ~(size_t)(KF_DOMAIN_ALIGN - 1);
}

bool kf_domain_is(const char *text, size_t n)
{
	return n >= sizeof(struct kf_domain_head) &&
	       memcmp(text, KF_DOMAIN_MAGIC, sizeof(KF_DOMAIN_MAGIC) - 1) == 0;
}

int kf_domain_parse(const char *text, size_t n, struct kf_domain *ret, struct kf_err *err)
{
	const struct kf_domain_head *head = (const struct kf_domain_head *)(const void *)text;
	size_t policy, filter, objects;

	if (!kf_domain_is(text, n) || n > KF_DOMAIN_MAX)
		return kf_fail(err, EINVAL, "domain file: not one");
	/* All of them have 32 bits, so no sum of them overflows. */
	policy = sizeof(*head);
	filter = policy + padded_size(head->policy);
	objects = filter + sizeof(struct kf_filter_insn) * (size_t)head->filter;
	if (head->policy > KF_LIMIT_POLICY_TEXT || head->filter > KF_FILTER_POLICY_MAX ||
	    head->decided > 1 || objects + head->objects != n)
		return kf_fail(err, EINVAL, "domain file: damaged");
	*ret = (struct kf_domain){
		.head = *head,
		.policy = text + policy,
		.filter = (const struct kf_filter_insn *)(const void *)(text + filter),
		.objects = text + objects,
	};
	return 0;
}

int kf_domain_begin(int fd, const char *policy, size_t npolicy, const struct kf_filter_insn *filter,
		    size_t nfilter, uint32_t filter_flags, struct kf_err *err)
{
	static const char zeros[KF_DOMAIN_ALIGN];
	struct kf_domain_head head = {
		.magic = KF_DOMAIN_MAGIC,
		.policy = (uint32_t)npolicy,
		.filter = (uint32_t)nfilter,
		.filter_flags = filter_flags,
	};

	if (npolicy > KF_LIMIT_POLICY_TEXT || nfilter > KF_FILTER_POLICY_MAX)
		return kf_fail(err, EFBIG, "domain file: policy or seccomp program too long");
	if (kf_write_all(fd, &head, sizeof(head), err) < 0 ||
	    kf_write_all(fd, policy, npolicy, err) < 0 ||
	    kf_write_all(fd, zeros, padded_size(npolicy) - npolicy, err) < 0 ||
	    kf_write_all(fd, filter, nfilter * sizeof(*filter), err) < 0)
		return kf_fail_wrap(err, "domain file");
	return 0;
}

const struct kf_domain_object *kf_domain_next(const struct kf_domain *domain,
					      const struct kf_domain_object *prev,
					      const char **ret_path)
{
	const char *end = domain->objects + domain->head.objects, *at = domain->objects;
	const struct kf_domain_object *o;

	if (prev)
		at = (const char *)(prev + 1) + padded_size(prev->path + 1u);
	if ((size_t)(end - at) < sizeof(*o))
		return NULL;
	o = (const struct kf_domain_object *)(const void *)at;
	*ret_path = (const char *)(o + 1);
	if ((size_t)(end - *ret_path) < padded_size(o->path + 1u) || (*ret_path)[o->path])
		return NULL;
	return o;
}

/* Room for @n more bytes; NULL if memory or the limit does not allow it. */
static char *extend_list(struct kf_domain_list *list, size_t n)
{
	if (list->n + n > list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 8192;
		char *at = cap >= list->n + n && cap <= OBJECTS_MAX ? realloc(list->at, cap) : NULL;

		if (!at)
			return NULL;
		list->at = at;
		list->cap = cap;
	}
	return list->at + list->n;
}

void kf_domain_add(struct kf_domain_list *list, const struct kf_object_id *id, const char *path,
		   unsigned access, enum kf_landlock_place place)
{
	const size_t len = strlen(path), room = padded_size(len + 1);
	struct kf_domain_object *o =
		(struct kf_domain_object *)(void *)extend_list(list, sizeof(*o) + room);

	if (!o || len >= PATH_MAX)
		return;
	*o = (struct kf_domain_object){
		.id = *id,
		.access = access,
		.place = (uint16_t)place,
		.path = (uint16_t)len,
	};
	memset((char *)(o + 1) + len, 0, room - len);
	memcpy(o + 1, path, len);
	list->n += sizeof(*o) + room;
}

static int write_at(int fd, const void *data, size_t n, off_t at, struct kf_err *err)
{
	ssize_t write_at = pwrite(fd, data, n, at);

	if (write_at < 0)
		return kf_fail_sys(err, "write the domain file");
	return (size_t)write_at == n ? 0 : kf_fail(err, EIO, "write the domain file: too short");
}

int kf_domain_decide(int fd, const struct kf_domain *domain, const struct kf_domain_list *list,
		     struct kf_err *err)
{
	struct kf_domain_head head = domain->head;
	off_t end = (off_t)(sizeof(head) + padded_size(head.policy) +
			    sizeof(struct kf_filter_insn) * (size_t)head.filter);

	head.decided = 1;
	head.objects = (uint32_t)list->n;
	if ((list->n && write_at(fd, list->at, list->n, end, err) < 0) ||
	    write_at(fd, &head, sizeof(head), 0, err) < 0)
		return -1;
	/* Unlock explicitly: closing is not enough, since the runtime may have a copy of the
	 * descriptor. */
	if (flock(fd, LOCK_UN) < 0)
		return kf_fail_sys(err, "unlock the domain file");
	return 0;
}
