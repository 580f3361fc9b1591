/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_DENIAL_FEED_H
#define KF_DENIAL_FEED_H

#include "base/buf.h"
#include "denial/denial.h"
#include "denial/domains.h"
#include "denial/serials.h"

/* From the audit log's records to denials: which records are about the same one, whose it is, and
 * what got lost.  No input, no clock: times are milliseconds of a clock that does not go back. */

/* The records of one event come together; this long is waited for the rest of them. */
#define KF_FEED_EVENT_MS 100
/* ... and so long for the guard to note what it has started. */
#define KF_FEED_WHO_MS	 800
/* Denials that wait for either. */
#define KF_FEED_MAX	 2048

#define KF_FEED_COUNTERS(X)                                                                     \
	X(RECORDS, "Records of the audit log that were read")                                   \
	X(DENIALS, "Denials in sandboxes of ours")                                              \
	X(PROOFS, "Denials that the launcher asked for, as a proof; they are not told")         \
	X(FOREIGN, "Denials in sandboxes that are not ours; they are not told")                 \
	X(UNATTRIBUTED, "Denials of which nobody could tell the container")                     \
	X(UNREADABLE, "Records that could not be read")                                         \
	X(LOST, "Events of the audit log that did not arrive here, of whatever kind")           \
	X(UNSEEN, "Denials that the kernel counted in sandboxes that have ended, and of which " \
		  "no record came: lost, or kept out of the log")                               \
	X(UNKNOWN, "The same of sandboxes of which nobody knows whose they were: the record "   \
		   "that says it was lost, or is older than this reader")

enum kf_feed_counter {
#define KF_FEED_ENUM(name, help) KF_FEED_##name,
	KF_FEED_COUNTERS(KF_FEED_ENUM)
#undef KF_FEED_ENUM
		KF_FEED_NCOUNTERS
};

struct kf_feed_ops {
	/* The container that process @pid entered or is in, with a reference; NULL if it is not
	 * known.  @thorough: it may take a while. */
	struct kf_who *(*find)(void *ctx, pid_t pid, bool thorough);
	/* A denial is complete at @now; it is the callee's for the time of the call. */
	void (*denied)(void *ctx, const struct kf_denial *denial, uint64_t now);
	/* @unseen->count denials of the container were counted by the kernel, and not told. */
	void (*unseen)(void *ctx, const struct kf_denial *unseen, uint64_t now);
};

struct kf_feed;

/* NULL: out of memory. */
struct kf_feed *kf_feed_new(const struct kf_feed_ops *ops, void *ctx, struct kf_who_table *owners);
void kf_feed_free(struct kf_feed *feed);

/* Take one record, NUL-terminated. */
void kf_feed_take(struct kf_feed *feed, unsigned type, const char *text, uint64_t now);
/* To be called every now and then while kf_feed_waits(). */
void kf_feed_tick(struct kf_feed *feed, uint64_t now);
bool kf_feed_waits(const struct kf_feed *feed);
/* Whatever waits is complete. */
void kf_feed_flush(struct kf_feed *feed, uint64_t now);

uint64_t kf_feed_counter(const struct kf_feed *feed, enum kf_feed_counter which);
size_t kf_feed_domains(const struct kf_feed *feed);

/* The sandboxes that are known, as lines, for the next process that reads the log: the kernel does
 * not tell of them again. */
void kf_feed_save(const struct kf_feed *feed, struct kf_buf *out);
/* @find_id: the container that has this ID, with a reference, or NULL. */
void kf_feed_load(struct kf_feed *feed, const char *text,
		  struct kf_who *(*find_id)(void *ctx, const char *id));

#endif
