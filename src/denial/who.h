/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_DENIAL_WHO_H
#define KF_DENIAL_WHO_H

#include "config/started.h"
#include "denial/bucket.h"

#include <stddef.h>

/* A container that something was denied to. */
struct kf_who {
	char id[65], namespace_[64], pod[254], uid[64], container[64], profile[65];
	struct kf_bucket lines, events; /* what is told about it */
	uint64_t untold;		/* denials since the last line that were not */
	unsigned refs;
	struct kf_who *next;
};

#define KF_WHO_BUCKETS 256
#define KF_WHO_MAX     8192

/* All zeroes: empty. */
struct kf_who_table {
	struct kf_who *buckets[KF_WHO_BUCKETS];
	size_t n;
};

/* The container of @started, with a reference for the caller; NULL if there are too many. */
struct kf_who *kf_who_get(struct kf_who_table *table, const struct kf_started *started);
/* The container with the ID @id if it is in the table already, with a reference; else NULL. */
struct kf_who *kf_who_known(struct kf_who_table *table, const char *id);
struct kf_who *kf_who_ref(struct kf_who *who); /* NULL is fine */
void kf_who_drop(struct kf_who_table *table, struct kf_who *who);

/* Where the guard notes what it started: its directory of records and its file of processes; -1
 * for one that is not there. */
struct kf_who_notes {
	int records, started;
};

/* The container that process @pid entered or is in, with a reference; NULL if the guard noted
 * nothing.  @cgroups: the paths of the process's cgroups, with "/" between them, NULL if it is gone
 * or has none: runtimes put a container's ID into the name of its cgroup, above those that it makes
 * itself.  Of a process that is gone the guard's notes are believed, though another may have had
 * its number since. */
struct kf_who *kf_who_find(struct kf_who_table *table, const struct kf_who_notes *notes, pid_t pid,
			   const char *cgroups);
/* All containers that are there, at most @max, each with a reference; returns their number.  The
 * function above may read all records: who has many to find reads them once with this one, and asks
 * kf_who_known(). */
size_t kf_who_find_all(struct kf_who_table *table, const struct kf_who_notes *notes,
		       struct kf_who **ret, size_t max);

#endif
