/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_PROFILE_PROFILE_H
#define KF_PROFILE_PROFILE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "flat/flat.h"
#include "text/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The profile language: nono's profile JSON with our additions, resolved and compiled to flat
 * policy text.  Pure: texts in, texts out. */

/* One profile file.  @name: what "extends" and pods call it (the file's name
 * without .json or .jsonc).  All borrowed. */
struct kf_profile_source {
	const char *name;
	const char *file; /* for messages */
	const char *text;
	size_t n;
};

/* All profiles there are; of two with one name the earlier counts, except that
 * a profile that extends its own name gets the next one of that name. */
struct kf_profile_library {
	const struct kf_profile_source *v;
	size_t n;
};

/* Built-in profiles as JSON, linked in; put them behind the administrator's. */
extern const struct kf_profile_source kf_profile_builtins[];
extern const size_t kf_nprofile_builtins;
/* The groups profiles may include, likewise. */
extern const struct kf_profile_source kf_profile_groups;
/* A profile whose denials say what is a secret: keys, tokens, passwords and the like. */
extern const struct kf_profile_source kf_profile_secrets;

/* The lists of a profile, and the members of struct kf_item that each uses. */
enum kf_list {
	KF_LIST_RECIPE,	 /* s: a line for people */
	KF_LIST_HINT,	 /* what to print when it is started */
	KF_LIST_INCLUDE, /* s: group */
	KF_LIST_EXCLUDE,
	KF_LIST_GRANT,	  /* s: path, access */
	KF_LIST_DENY,	  /* s: path, access: KF_READONLY_DIRECTORY or 0 */
	KF_LIST_READONLY, /* s: path, access: KF_READONLY_DIRECTORY or 0 */
	KF_LIST_QUIET,	  /* s: path */
	KF_LIST_BYPASS,
	KF_LIST_CONNECT, /* u, u2: first and last port */
	KF_LIST_BIND,
	KF_LIST_CONNECT_UDP,
	KF_LIST_BIND_UDP,
	KF_LIST_DOMAIN, /* s: host; a label of it may be "*"; lines, value: ports and requests */
	KF_LIST_DENY_DOMAIN,
	KF_LIST_RANGE,	    /* s: ADDRESS/BITS */
	KF_LIST_CREDENTIAL, /* s: route; lines, value: all of it */
	KF_LIST_ENV_KEEP,
	KF_LIST_ENV_DROP,
	KF_LIST_ENV_SET, /* s: name, value; access: KF_ENV_PATH or 0 */
	KF_LIST_RLIMIT,	 /* s: name, u: soft, u2: hard */
	KF_NLISTS,
};

enum kf_scalar_id {
	KF_SCALAR_NAME,
	KF_SCALAR_DESCRIPTION,
	KF_SCALAR_BASE_GROUPS,	   /* "true"|"false": start from the default's groups */
	KF_SCALAR_IMAGE,	   /* "true"|"false": the image's files read and execute */
	KF_SCALAR_HOMES,	   /* "true"|"false": home directories read, write and execute */
	KF_SCALAR_VOLUMES,	   /* "true"|"false": what is mounted into the container */
	KF_SCALAR_PROCESSES,	   /* "true"|"false": its processes' own files in /proc written */
	KF_SCALAR_DEVICES,	   /* "true"|"false": the devices that the container was given */
	KF_SCALAR_WORKDIR,	   /* "none"|"read"|"write"|"readwrite" */
	KF_SCALAR_BLOCK,	   /* "true"; true wins */
	KF_SCALAR_NETWORK_PROFILE, /* name; "" = cleared */
	KF_SCALAR_DOMAINS_BY,	   /* "network-policy" */
	KF_SCALAR_ASK,		   /* whom to ask for what is refused */
	KF_SCALAR_ENV_KEEP_SET,	   /* "true" if there is a list, be it empty */
	KF_SCALAR_ENV_ANYCASE,	   /* "true"; true wins */
	KF_SCALAR_SIGNAL,
	KF_SCALAR_IPC,
	KF_SCALAR_MEMFD_EXEC,
	KF_SCALAR_SECCOMP,
	KF_SCALAR_GPU,
	KF_SCALAR_INNER,
	KF_NSCALARS,
};

/* In access of ENV_SET: the value is a path whose variables are replaced. */
#define KF_ENV_PATH 1u

struct kf_item {
	const char *s, *value;
	const char *lines; /* for the egress broker; @value is then the JSON to show */
	unsigned access;   /* KF_FS_* */
	uint64_t u, u2;
	uint32_t hash; /* of @s, to find equals quickly */
	bool lifted;   /* GRANT: an exception from a denial above it, which stays */
	struct kf_origin at;
};

struct kf_items {
	struct kf_item *v;
	size_t n, cap;
	bool full; /* more entries were dropped; reported */
};

struct kf_scalar {
	const char *s; /* NULL: not set */
	struct kf_origin at;
};

/* A profile as typed values: of one file, or merged from several. */
struct kf_profile {
	struct kf_items lists[KF_NLISTS];
	struct kf_scalar scalars[KF_NSCALARS];
};

/* A compiled profile; everything lives in the arena it was compiled in.
 * @profile is resolved: bases merged, groups replaced by what they hold. */
struct kf_compiled {
	const char *name;
	const char *file;
	struct kf_profile profile;
	const struct kf_rule *rules;	 /* in the text's order */
	const struct kf_origin *origins; /* where each rule comes from */
	size_t nrules;
	const char *text; /* flat policy text, checksum line included */
	size_t n;
};

/* Compile profile @name of @library.  All problems, errors and warnings, are in @diags (initialised
 * with the same @arena, which must allow KF_LIMIT_PROFILE_MEMORY). -1 if there was an error: then
 * *err is the first one and *ret is untouched. */
int kf_profile_compile(const struct kf_profile_library *library, const char *name,
		       struct kf_arena *arena, struct kf_diags *diags, struct kf_compiled *ret,
		       struct kf_err *err);

/* The resolved profile as JSON that compiles to the same text again.  With
 * @comments each entry says which file and line it comes from. */
void kf_profile_show(const struct kf_compiled *compiled, bool comments, struct kf_buf *out);

/* JSON Schema (draft 2020-12) of the language, for editors. */
void kf_profile_schema(struct kf_buf *out);

/* The directory that holds programs, or belongs to the kernel, which writing to @path would give
 * away: no profile may grant that.  NULL: there is none. */
const char *kf_profile_precious(const char *path);

/* Whether @file has the name of a profile file: NAME.json or NAME.jsonc with a valid NAME, which is
 * written into @ret_name. */
bool kf_profile_file_name(const char *file, char *ret_name, size_t size);

#endif
