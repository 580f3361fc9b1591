/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_PROFILE_KEYS_H
#define KF_PROFILE_KEYS_H

#include "flat/words.h"
#include "profile/profile.h"

/* Every key that a profile may have, in one table: the reader, the "did you
 * mean" and the JSON Schema come from it. */

enum kf_key_kind {
	KF_KEY_SECTION,	    /* an object with keys of its own */
	KF_KEY_NOTHING,	    /* has no effect anywhere, as everybody expects ("author") */
	KF_KEY_IGNORED,	    /* has no meaning in a container */
	KF_KEY_REFUSED,	    /* cannot be enforced here */
	KF_KEY_EXTENDS,	    /* name or list of names */
	KF_KEY_STRING,	    /* one line of text, into @scalar */
	KF_KEY_TEXTS,	    /* one or several lines, into @list */
	KF_KEY_BOOL,	    /* into @scalar */
	KF_KEY_ENUM,	    /* one of @values, into @scalar */
	KF_KEY_NAMES,	    /* list of group names, into @list */
	KF_KEY_PATHS,	    /* list of paths, into @list with @access */
	KF_KEY_SOCKET,	    /* list of sockets to be created: @access to their directories */
	KF_KEY_GRANTS,	    /* list of {path, access} */
	KF_KEY_PORTS,	    /* list of ports, connect and/or bind by @access */
	KF_KEY_RANGES,	    /* list of [first, last], likewise */
	KF_KEY_DOMAINS,	    /* list of host names */
	KF_KEY_ADDRESSES,   /* list of ADDRESS/BITS */
	KF_KEY_CREDENTIALS, /* list of objects: egress.c */
	KF_KEY_ENV_NAMES,   /* list of names, "*" in them, into @list */
	KF_KEY_ENV_SET,	    /* object NAME: value */
	KF_KEY_RLIMITS,	    /* object name: number | "unlimited" | [soft, hard] */
	KF_KEY_HINTS,	    /* object program: {text, unless} */
	KF_KEY_OVERRIDES,   /* object system: profile */
};

/* Stands for "unless" in a hint that has none: no program has such an option. */
#define KF_HINT_ALWAYS "--always"

/* Bit n: into the list KF_LIST_CONNECT + n. */
enum { KF_PORT_CONNECT = 1, KF_PORT_BIND = 2, KF_PORT_CONNECT_UDP = 4, KF_PORT_BIND_UDP = 8 };

struct kf_profile_key {
	const char *name; /* with its sections: "filesystem.read" */
	enum kf_key_kind kind;
	const char *help;   /* for the schema; IGNORED and REFUSED: the reason */
	const char *modern; /* what to write instead of this old key; NULL if it is not old */
	enum kf_list list;
	enum kf_scalar_id scalar;
	unsigned access;
	const char *const *values; /* NULL-terminated; REFUSED: values that are fine all the same */
};

extern const struct kf_profile_key kf_profile_keys[];
extern const size_t kf_nprofile_keys;

extern const char *const kf_profile_accesses[]; /* "r", "rx", ... NULL */
/* The names of all resource limits, NULL at the end. */
void kf_profile_rlimits(const char *ret[static KF_POLICY_LIMITS + 1]);

/* Bits of "rx" and its like; 0 if it is none of kf_profile_accesses. */
unsigned kf_profile_access(const char *s);
const char *kf_profile_access_name(unsigned access);

/* The key @name of section @section ("" at the top), or NULL. */
const struct kf_profile_key *kf_profile_key(const char *section, const char *name);
/* Names of up to @max keys of @section, NULL behind them; old keys left out. */
void kf_profile_key_names(const char *section, const char **ret, size_t max);

#endif
