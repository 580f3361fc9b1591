/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_DENIAL_AUDIT_H
#define KF_DENIAL_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The records of the kernel's audit log that are about denials, and their fields. */
enum {
	KF_AUDIT_SYSCALL = 1300,
	KF_AUDIT_END = 1320, /* of the records of one event */
	KF_AUDIT_SECCOMP = 1326,
	KF_AUDIT_LANDLOCK_ACCESS = 1423,
	KF_AUDIT_LANDLOCK_DOMAIN = 1424,
};

/* One record: "audit(SECONDS.MILLISECONDS:SERIAL): KEY=VALUE ...". */
struct kf_audit_record {
	unsigned type;
	uint64_t ms, serial;
	const char *fields; /* NUL-terminated, borrowed from the text */
};

/* Take @text apart, which is NUL-terminated; false if it is no record. */
bool kf_audit_parse(unsigned type, const char *text, struct kf_audit_record *ret);

/* The value of field @key: without its quotes, or decoded where the kernel wrote it in hexadecimal
 * because it is not plain.  Cut if it is longer than @size allows; false and "" if there is none.
 * Bytes are as they were, except NUL, which becomes a space. */
bool kf_audit_string(const struct kf_audit_record *record, const char *key, char *ret, size_t size);
/* The number in field @key, in base 10 or 16; false, and @ret untouched, if there is none. */
bool kf_audit_number(const struct kf_audit_record *record, const char *key, int base,
		     uint64_t *ret);

#endif
