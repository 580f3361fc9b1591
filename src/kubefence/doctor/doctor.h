/* SPDX-License-Identifier: Apache-2.0 */
/* What the checks of doctor share: what they look at, and the table of them. */
#ifndef KF_KUBEFENCE_DOCTOR_DOCTOR_H
#define KF_KUBEFENCE_DOCTOR_DOCTOR_H

#include "base/buf.h"
#include "node/node.h"

enum kf_doctor_result { KF_DOCTOR_OK, KF_DOCTOR_WARNING, KF_DOCTOR_ERROR, KF_DOCTOR_SKIP };

/* What the checks look at; collected once in each round. */
struct kf_doctor {
	const struct kf_node_options *options;
	struct kf_node node;
	bool found;	   /* a runtime was found, and node is open */
	bool planned;	   /* plan is filled */
	struct kf_err why; /* why not */
	struct kf_node_plan plan;
	char text[384];	      /* the text of a check's line */
	struct kf_buf advice; /* lines below it for people, each ended by a newline */
};

/* One line of the output.  @run returns the result and leaves in doctor->text
 * what follows the description: a value if ok, else what is wrong. */
struct kf_doctor_check {
	const char *category;
	const char *description;
	const char *anchor; /* of docs/doctor.md */
	bool pre;	    /* must hold before installation */
	enum kf_doctor_result (*run)(struct kf_doctor *doctor);
};

extern const struct kf_doctor_check kf_doctor_kernel[], kf_doctor_node[], kf_doctor_workload[];

/* Set doctor->text; returns @result. */
enum kf_doctor_result kf_doctor_say(struct kf_doctor *doctor, enum kf_doctor_result result,
				    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
