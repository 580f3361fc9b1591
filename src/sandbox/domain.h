/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_SANDBOX_DOMAIN_H
#define KF_SANDBOX_DOMAIN_H

#include "base/err.h"
#include "sandbox/filter.h"
#include "sandbox/landlock.h"
#include "sandbox/object.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A container's domain file: everything that decides about its sandbox, so that every process that
 * enters the container gets what its first process got.  The guard writes it when the container is
 * created and passes a descriptor of it to each launcher:
 *
 *	struct kf_domain_head
 *	flat policy text           of the profile, as it was then
 *	seccomp program            struct kf_filter_insn, of the container's seccomp policy
 *	objects                    struct kf_domain_object, each with its path
 *
 * each padded to KF_DOMAIN_ALIGN bytes.  The first process resolves the policy's paths and adds the
 * objects that it granted; until then "decided" is 0 and the file is locked (flock, of the open
 * file description that the guard made).  A later process grants these objects and no others: it
 * opens each path again, without symlinks, and what it finds there must be the very same object.
 *
 * Only root of the node can write the file, and nothing in it comes from a place that a workload
 * can write. */
#define KF_DOMAIN_MAGIC "nonodom1"
#define KF_DOMAIN_ALIGN 8u
/* Whole file: a policy, the longest seccomp program and some 10,000 objects. */
#define KF_DOMAIN_MAX	((size_t)2 * 1024 * 1024)

struct kf_domain_head {
	char magic[8];
	uint32_t policy;	 /* bytes */
	uint32_t filter;	 /* instructions; 0: the container has no seccomp policy */
	uint32_t filter_flags;	 /* SECCOMP_FILTER_FLAG_* */
	uint32_t decided;	 /* 1 once the objects are there */
	uint32_t objects, spare; /* bytes */
};

struct kf_domain_object {
	struct kf_object_id id;
	uint32_t access; /* as in struct kf_grant */
	uint16_t place;	 /* enum kf_landlock_place */
	uint16_t path;	 /* length of the path that follows, and a NUL */
};

/* A domain file in memory; borrows from the text that was parsed. */
struct kf_domain {
	struct kf_domain_head head;
	const char *policy;
	const struct kf_filter_insn *filter;
	const char *objects;
};

/* Whether the @n bytes at @text are a domain file, and not a policy alone. */
bool kf_domain_is(const char *text, size_t n);
/* Check @text, which is aligned to KF_DOMAIN_ALIGN, and fill *ret. */
int kf_domain_parse(const char *text, size_t n, struct kf_domain *ret, struct kf_err *err);

/* Write a new domain file to @fd, empty and at its start. */
int kf_domain_begin(int fd, const char *policy, size_t npolicy, const struct kf_filter_insn *filter,
		    size_t nfilter, uint32_t filter_flags, struct kf_err *err);

/* The next object after @prev (NULL: the first) and its path; NULL at the end. */
const struct kf_domain_object *kf_domain_next(const struct kf_domain *domain,
					      const struct kf_domain_object *prev,
					      const char **ret_path);

/* A list of objects that is to be written into the file. */
struct kf_domain_list {
	char *at; /* from malloc() */
	size_t n, cap;
};

/* Add the object @id, which lies at @path (no symlink in it).  If there is no room it is left out:
 * later processes then reach less, never more. */
void kf_domain_add(struct kf_domain_list *list, const struct kf_object_id *id, const char *path,
		   unsigned access, enum kf_landlock_place place);
/* Complete the file @fd of @domain with @list, and unlock it, so that waiting processes read it. */
int kf_domain_decide(int fd, const struct kf_domain *domain, const struct kf_domain_list *list,
		     struct kf_err *err);

#endif
