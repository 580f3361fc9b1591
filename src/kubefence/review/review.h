/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of "kubefence review" share. */
#ifndef KF_KUBEFENCE_REVIEW_REVIEW_H
#define KF_KUBEFENCE_REVIEW_REVIEW_H

#include "base/buf.h"
#include "cli/command.h"
#include "review/changes.h"
#include "review/place.h"

/* What the command line said. */
struct review_line {
	const char *host_root, *uid, *volume, *expect;
	unsigned output; /* enum kf_output */
	bool patch, keep_privilege;
	const char *pod; /* NAMESPACE/POD or a UID; NULL: all */
	const char *const *paths;
	size_t npaths;
};

/* One reviewed volume of one pod, with both sides open and nobody else at work. */
struct review_session {
	int dirfd, upper, lower;
	char uid[KF_REVIEW_NAME + 1], volume[KF_REVIEW_NAME + 1];
	char reserved[64];
	struct kf_review_info info;
	struct kf_review_sides sides;
	bool mounted;
	unsigned long long dev; /* of the overlay */
};

/* Open the one that the line means; an error names those that it could mean.  @lower: the volume
 * itself has to be there. */
int review_session_open(const struct review_line *line, bool lower, struct review_session *ret,
			struct kf_err *err);
void review_session_close(struct review_session *session);

/* The UID and volume that the line means. */
int review_find(const struct review_line *line, char ret_uid[static KF_REVIEW_NAME + 1],
		char ret_volume[static KF_REVIEW_NAME + 1], struct kf_err *err);

/* Append a list of the changes for people or programs. */
void review_show(const struct review_line *line, const struct review_session *session,
		 const struct kf_review_changes *changes, struct kf_buf *out);

/* What the pod is called: "NAMESPACE/POD (UID)". */
void review_add_pod(const struct review_session *session, struct kf_buf *out);

extern const struct kf_command kf_cmd_review_commit, kf_cmd_review_diff, kf_cmd_review_discard,
	kf_cmd_review_list, kf_cmd_review_wait;

/* Options of them all, as rows. */
#define REVIEW_OPT_HOST_ROOT KF_OPT_HOST_ROOT(struct review_line, host_root)
#define REVIEW_OPT_VOLUME                                                            \
	{                                                                            \
		.name = "volume", .kind = KF_OPTION_STRING, .value = "NAME",         \
		KF_OPTION_AT(struct review_line, volume),                            \
		.help = "of the pod's reviewed volumes this one (default: the only " \
			"one)"                                                       \
	}
#define REVIEW_OPT_UID                                                                 \
	{                                                                              \
		.name = "uid", .kind = KF_OPTION_STRING, .value = "UID",               \
		KF_OPTION_AT(struct review_line, uid),                                 \
		.help = "of pods of that name, which were there one after the other, " \
			"this one"                                                     \
	}
#define REVIEW_OPT_KEEP                                                          \
	{                                                                        \
		.name = "keep-privilege", .kind = KF_OPTION_SET,                 \
		KF_OPTION_AT(struct review_line, keep_privilege),                \
		.help = "set-user-ID and set-group-ID bits and capabilities of " \
			"files count, too, and are committed"                    \
	}

/* Parse, enter the host's root and hand over: the exit code is that of @act. */
int review_run(const struct kf_command *self, int argc, char **argv,
	       int (*act)(struct review_line *line));

#endif
