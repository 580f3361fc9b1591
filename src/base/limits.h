/* SPDX-License-Identifier: Apache-2.0 */
/* All limits on input: how much a parser or a hostile pod can make us keep in memory. */
#ifndef KF_BASE_LIMITS_H
#define KF_BASE_LIMITS_H

/* Profile names: ^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$ (configuration reference). */
#define KF_LIMIT_PROFILE_NAME	 64
/* Flat policy text, whole file. */
#define KF_LIMIT_POLICY_TEXT	 (64 * 1024)
/* Profile JSON: one file, its nesting, members of one object, values in all,
 * entries of one kind, length of "extends" chains, profiles taking part in one, problems reported.
 */
#define KF_LIMIT_PROFILE_JSON	 (256 * 1024)
#define KF_LIMIT_PROFILE_DEPTH	 16
#define KF_LIMIT_PROFILE_MEMBERS 1024
#define KF_LIMIT_PROFILE_VALUES	 32768
#define KF_LIMIT_PROFILE_ENTRIES 4096
#define KF_LIMIT_PROFILE_EXTENDS 10
#define KF_LIMIT_PROFILE_BASES	 64
#define KF_LIMIT_PROFILE_ERRORS	 100
/* A path in a profile, and memory for compiling one. */
#define KF_LIMIT_PROFILE_PATH	 1024
#define KF_LIMIT_PROFILE_MEMORY	 (64 * 1024 * 1024)
/* TOML configuration, settings and runtime files. */
#define KF_LIMIT_CONFIG		 (256 * 1024)
/* ttrpc: 4 MiB of data (ttrpc channel.go), the largest message on the wire. */
#define KF_LIMIT_MESSAGE	 (4 * 1024 * 1024)
/* Memory that decoding one NRI request may take; a 4 MiB message of many tiny
 * fields unpacks to several times its size. */
#define KF_LIMIT_REQUEST_MEMORY	 (64 * 1024 * 1024)
/* Memory for planning one container: argv and mount arrays, no copies. */
#define KF_LIMIT_PLAN_MEMORY	 (8 * 1024 * 1024)
/* config.json and process.json. */
#define KF_LIMIT_OCI_JSON	 (8 * 1024 * 1024)
/* Rules of the egress broker; directories with keys that one worker is given; a header's name, a
 * user's. */
#define KF_LIMIT_EGRESS_RULES	 (64 * 1024)
#define KF_LIMIT_EGRESS_DIRS	 16
#define KF_LIMIT_EGRESS_WORD	 128

#endif
