/* SPDX-License-Identifier: Apache-2.0 */
/* From what programs used, or were denied, to the smallest change of a profile that allows it.
 * Pure: whoever asks says what a path means (struct kf_learn_world). */
#ifndef KF_LEARN_LEARN_H
#define KF_LEARN_LEARN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "flat/flat.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Different paths that one run may use: a compiler's includes, a whole source tree. */
#define KF_LEARN_PATHS	(1u << 17)
#define KF_LEARN_PORTS	1024
#define KF_LEARN_HOSTS	256
/* Memory for them, paths of 100 bytes, and for folding them. */
#define KF_LEARN_MEMORY ((size_t)256 * 1024 * 1024)

/* What is needed of a path. */
struct kf_learn_path {
	const char *path; /* absolute, clean */
	unsigned access;  /* KF_FS_* */
	bool made;	  /* it was not there: the command made it */
	const char *left; /* why the change does not have it; NULL: it has */
};

enum kf_learn_net {
	KF_LEARN_CONNECT,
	KF_LEARN_LISTEN,
	KF_LEARN_CONNECT_UDP,
	KF_LEARN_LISTEN_UDP,
	KF_LEARN_NETS,
};
/* "connect_port", ...: as profiles have them in "network". */
extern const char *const kf_learn_nets[KF_LEARN_NETS];

struct kf_learn_port {
	enum kf_learn_net net;
	uint16_t port;
};

/* A host that was asked of the egress broker. */
struct kf_learn_host {
	const char *name; /* in the arena */
	uint16_t port;
};

struct kf_learn {
	struct kf_arena arena;
	struct kf_learn_path *paths;
	size_t npaths;
	uint32_t *index; /* of paths by hash, plus 1 */
	struct kf_learn_port ports[KF_LEARN_PORTS];
	size_t nports;
	struct kf_learn_host hosts[KF_LEARN_HOSTS];
	size_t nhosts;
	bool signal, abstract; /* processes or sockets outside the sandbox were reached for */
	char profile[KF_LIMIT_PROFILE_NAME + 1]; /* that the first denial names; "": none does */
	bool full;				 /* more was used than is remembered */
};

int kf_learn_init(struct kf_learn *learn, struct kf_err *err);
void kf_learn_done(struct kf_learn *learn);

/* Add to what is needed.  What there is no room for is noted in ->full. */
void kf_learn_use(struct kf_learn *learn, const char *path, unsigned access);
void kf_learn_made(struct kf_learn *learn, const char *path);
void kf_learn_net(struct kf_learn *learn, enum kf_learn_net net, uint16_t port);
void kf_learn_reach(struct kf_learn *learn, const char *host, uint16_t port);

/* One JSON object a line: {"made": PATH}, or a denial or use with the excerpt of a profile that
 * allows it, {"rule": {"filesystem": {"grant": [{"path", "access"}]}}}, or of "network" or
 * "security".  Other members are ignored, except that with @pod or @namespace lines of other pods
 * are left out.  *ret_lines: how many counted. */
int kf_learn_read(struct kf_learn *learn, const char *text, size_t n, const char *name,
		  const char *namespace_, const char *pod, size_t *ret_lines, struct kf_err *err);
/* What kf_learn_read() reads. */
void kf_learn_lines(const struct kf_learn *learn, struct kf_buf *out);

/* What paths mean where the command ran. */
struct kf_learn_world {
	/* Which of @access the profile that is built on gives to @path already; with @inside to
	 * what may be made in it, if it is a directory. */
	int (*given)(void *ctx, const char *path, bool inside, unsigned access, unsigned *ret,
		     struct kf_err *err);
	/* What makes @path, or something below it if @below, a secret; NULL: nothing. */
	const char *(*secret)(void *ctx, const char *path, bool below);
	bool (*directory)(void *ctx, const char *path); /* false also if nobody knows */
	/* The files and directories at and below @path; 0: not known. */
	size_t (*entries)(void *ctx, const char *path);
	/* Whether the port is open already. */
	bool (*open)(void *ctx, const struct kf_learn_port *port);
	/* Homes: they are not granted because they were listed, and nothing is folded into them,
	 * nor into "/" and directories in it.  NULL ends. */
	const char *const *never;
	void *ctx;
};

/* One entry of "filesystem.grant". */
struct kf_learn_grant {
	const char *path;
	unsigned access;
};

struct kf_learned {
	struct kf_learn_grant *grants;
	size_t ngrants;
	const char **secrets; /* paths to be lifted with "bypass_protection" */
	size_t nsecrets;
	struct kf_learn_port ports[KF_LEARN_PORTS];
	size_t nports;
	const struct kf_learn_host *hosts;
	size_t nhosts;
	bool signal, abstract;
};

/* A directory takes the place of what is needed in it if that makes at most so much more
 * accessible, in percent; or if it is so many paths, as in a cache: next time it will be others. */
#define KF_LEARN_WIDER	 10
#define KF_LEARN_SIMILAR 8

/* Work out the change.  Paths that the command made are no part of it, but the directory that it
 * made the first of them in.  What is left out is marked in learn->paths. */
int kf_learn_change(struct kf_learn *learn, const struct kf_learn_world *world,
		    bool allow_sensitive, struct kf_learned *ret, struct kf_err *err);
/* The grants of @needed, each of its paths once, folded; for kf_learn_change().  In the arena. */
int kf_learn_fold(const struct kf_learn_grant *needed, size_t n, const struct kf_learn_world *world,
		  struct kf_arena *arena, struct kf_learn_grant **ret, size_t *ret_n,
		  struct kf_err *err);

/* Write the change as a profile called @name that extends @base.  Paths below @workdir and @home
 * (NULL: none) are written with variables. */
void kf_learn_write(const struct kf_learned *learned, const char *name, const char *base,
		    const char *workdir, const char *home, struct kf_buf *out);

#endif
