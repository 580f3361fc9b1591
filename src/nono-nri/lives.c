/* SPDX-License-Identifier: Apache-2.0 */
/* A table of the containers of ours, by ID, and an inotify watch of the guard's directory that
 * takes them out of it again. */
#include "nono-nri/lives.h"

#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/sha256.h"

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS	  1024
#define EVENTS	  (IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
/* More than any node has; of what comes beyond, the next Synchronize takes care. */
#define LIVES_MAX 65536
/* So long after its creation a container that the guard has no record of is taken for one that was
 * never started. */
#define NEVER	  600
static const struct timeval look = {.tv_sec = NEVER};

struct kf_lives {
	const struct kf_lives_ops *ops;
	void *ctx;
	int fd, dirfd;
	bool lost; /* the directory is another one, or gone */
	struct event *readable, *timer;
	struct kf_life *buckets[BUCKETS];
	size_t n;
	char *root; /* the runtime's, as a record said */
};

static unsigned bucket_of(const char *id)
{
	uint32_t h = 2166136261;

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 16777619;
	return h % BUCKETS;
}

void kf_lives_take(struct kf_lives *lives, struct kf_life *record)
{
	struct kf_life **at = &lives->buckets[bucket_of(record->entry.container_id)];

	while (*at && strcmp((*at)->entry.container_id, record->entry.container_id) != 0)
		at = &(*at)->next;
	if (*at) {
		/* Told once more: what the guard said of it still holds. */
		struct kf_life *old = *at;

		memcpy(record->guard, old->guard, sizeof(record->guard));
		record->next = old->next;
		*at = record;
		free(old);
		return;
	}
	if (lives->n == LIVES_MAX) {
		free(record);
		return;
	}
	record->next = NULL;
	*at = record;
	lives->n++;
	if (!evtimer_pending(lives->timer, NULL))
		(void)evtimer_add(lives->timer, &look);
}

/* Take away all that @ended says are gone. */
static void end_those(struct kf_lives *lives,
		      bool (*ended)(const struct kf_lives *lives, const struct kf_life *record,
				    const char *name),
		      const char *name)
{
	for (size_t b = 0; lives->n && b < BUCKETS; b++) {
		for (struct kf_life **at = &lives->buckets[b]; *at;) {
			struct kf_life *r = *at;

			if (!ended(lives, r, name)) {
				at = &r->next;
				continue;
			}
			*at = r->next;
			lives->n--;
			lives->ops->ended(lives->ctx, r);
			free(r);
		}
	}
}

static bool has_record(const struct kf_lives *lives, const struct kf_life *record, const char *name)
{
	(void)lives;
	return strcmp(record->guard, name) == 0;
}

/* ... or would have had it: a record that was gone before it was read has a name that is known all
 * the same, a hash over the runtime's state directory, which is the same for all, and the ID. */
static bool had_record(const struct kf_lives *lives, const struct kf_life *record, const char *name)
{
	char key[PATH_MAX + NAME_MAX], hash[KF_SHA256_HEX + 1];
	int n;

	if (*record->guard || !lives->root)
		return has_record(lives, record, name);
	n = snprintf(key, sizeof(key), "%s\n%s", lives->root, record->entry.container_id);
	if (n < 0 || (size_t)n >= sizeof(key))
		return false;
	kf_sha256_hex(key, (size_t)n, hash);
	return strcmp(hash, name) == 0;
}

/* Absence only: what cannot be looked at may be there. */
static bool record_is_gone(const struct kf_lives *lives, const struct kf_life *record,
			   const char *name)
{
	struct stat st;

	(void)name;
	return *record->guard &&
	       fstatat(lives->dirfd, record->guard, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
	       errno == ENOENT;
}

static bool never_started(const struct kf_lives *lives, const struct kf_life *record,
			  const char *name)
{
	(void)lives;
	(void)name;
	return !*record->guard && record->entry.time + NEVER < time(NULL);
}

static bool is_record(const char *name)
{
	return strspn(name, "0123456789abcdef") == KF_GUARD_NAME && !name[KF_GUARD_NAME];
}

/* The line "KEY value" at *@at, which moves behind it; NULL if there is another one. */
static char *take_line(char **at, const char *key)
{
	const size_t n = strlen(key);
	char *end = strchr(*at, '\n'), *value = *at + n + 1;

	if (!end || strncmp(*at, key, n) != 0 || (*at)[n] != ' ')
		return NULL;
	*end = '\0';
	*at = end + 1;
	return value;
}

/* A record has come: whose is it?  Nothing is decided by it, so one that cannot be read is passed
 * over. */
static void take_record(struct kf_lives *lives, const char *name)
{
	KF_FREE char *text = NULL;
	char *at, *root, *id;
	struct kf_life *r;

	if (!is_record(name) ||
	    kf_file_slurp(lives->dirfd, name, KF_LIMIT_CONFIG, &text, NULL, KF_ERR_IGNORED) < 0)
		return;
	at = text;
	root = take_line(&at, "root");
	id = root ? take_line(&at, "id") : NULL;
	if (!id)
		return;
	if (!lives->root || strcmp(lives->root, root) != 0) {
		free(lives->root);
		lives->root = strdup(root);
	}
	r = lives->buckets[bucket_of(id)];
	while (r && strcmp(r->entry.container_id, id) != 0)
		r = r->next;
	if (r)
		memcpy(r->guard, name, sizeof(r->guard));
}

void kf_lives_scan(struct kf_lives *lives)
{
	int fd = openat(lives->dirfd, ".", DIR_FLAGS);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((e = readdir(d)))
		take_record(lives, e->d_name);
	(void)closedir(d);
	end_those(lives, record_is_gone, NULL);
}

void kf_lives_clear(struct kf_lives *lives)
{
	for (size_t b = 0; b < BUCKETS; b++) {
		struct kf_life *next;

		for (struct kf_life *r = lives->buckets[b]; r; r = next) {
			next = r->next;
			free(r);
		}
		lives->buckets[b] = NULL;
	}
	lives->n = 0;
}

bool kf_lives_told(const struct kf_lives *lives)
{
	return !lives->lost;
}

static void lose_directory(struct kf_lives *lives)
{
	if (lives->lost)
		return;
	lives->lost = true;
	kf_log(KF_LOG_WARN, "guard-not-watched",
	       {"error", "the directory of the guard's records was removed: state entries stay "
			 "until the runtime connects again"},
	       {"remedy", "restart nono-nri"});
}

static void take_event(struct kf_lives *lives, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW)
		kf_lives_scan(lives);
	else if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT))
		lose_directory(lives);
	else if (e->len && (e->mask & IN_MOVED_TO))
		take_record(lives, e->name);
	else if (e->len && is_record(e->name))
		end_those(lives, had_record, e->name);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	alignas(struct inotify_event) char buf[16 * 1024];
	struct kf_lives *lives = ctx;
	ssize_t n;

	(void)what;
	/* Of a container that is told of now, the entry may still wait. */
	lives->ops->expect(lives->ctx);
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (const char *at = buf; at < buf + n;) {
			const struct inotify_event *e = (const void *)at;

			take_event(lives, e);
			at += sizeof(*e) + e->len;
		}
	}
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct kf_lives *lives = ctx;

	(void)fd;
	(void)what;
	end_those(lives, never_started, NULL);
	for (size_t b = 0; b < BUCKETS; b++)
		for (const struct kf_life *r = lives->buckets[b]; r; r = r->next)
			if (!*r->guard) {
				(void)evtimer_add(lives->timer, &look);
				return;
			}
}

static int open_dir(struct kf_lives *lives, const char *dir, struct kf_err *err)
{
	if (kf_mkdir_parents(dir, 0700, err) < 0)
		return -1;
	lives->dirfd = open(dir, DIR_FLAGS);
	if (lives->dirfd < 0)
		return kf_fail_sys(err, "open '%s'", dir);
	lives->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (lives->fd < 0 || inotify_add_watch(lives->fd, dir, EVENTS) < 0)
		return kf_fail_sys(err, "watch '%s'", dir);
	return 0;
}

int kf_lives_new(struct event_base *base, const char *dir, const struct kf_lives_ops *ops,
		 void *ctx, struct kf_lives **ret, struct kf_err *err)
{
	struct kf_lives *lives = calloc(1, sizeof(*lives));

	if (!lives)
		return kf_fail_nomem(err, "watch");
	lives->ops = ops;
	lives->ctx = ctx;
	lives->fd = lives->dirfd = -1;
	if (open_dir(lives, dir, err) < 0)
		goto failed;
	lives->readable = event_new(base, lives->fd, EV_READ | EV_PERSIST, on_readable, lives);
	lives->timer = evtimer_new(base, on_timer, lives);
	if (!lives->readable || !lives->timer || event_add(lives->readable, NULL) < 0) {
		(void)kf_fail_nomem(err, "watch");
		goto failed;
	}
	*ret = lives;
	return 0;
failed:
	kf_lives_free(lives);
	return -1;
}

void kf_lives_free(struct kf_lives *lives)
{
	if (!lives)
		return;
	kf_lives_clear(lives);
	if (lives->readable)
		event_free(lives->readable);
	if (lives->timer)
		event_free(lives->timer);
	if (lives->fd >= 0)
		(void)close(lives->fd);
	if (lives->dirfd >= 0)
		(void)close(lives->dirfd);
	free(lives->root);
	free(lives);
}
