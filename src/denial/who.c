/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that something was denied to, and finding out which one: by the guard's file of
 * started processes, and for a container's first process by its record. */
#include "denial/who.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned bucket_of(const char *id)
{
	uint32_t h = 2166136261;

	for (; *id; id++)
		h = (h ^ (unsigned char)*id) * 16777619;
	return h % KF_WHO_BUCKETS;
}

struct kf_who *kf_who_ref(struct kf_who *who)
{
	if (who)
		who->refs++;
	return who;
}

struct kf_who *kf_who_get(struct kf_who_table *table, const struct kf_started *s)
{
	struct kf_who **bucket = &table->buckets[bucket_of(s->id)], *who;

	for (who = *bucket; who; who = who->next)
		if (strcmp(who->id, s->id) == 0 && strcmp(who->uid, s->uid) == 0)
			return kf_who_ref(who);
	if (table->n == KF_WHO_MAX || strlen(s->id) >= sizeof(who->id))
		return NULL;
	who = calloc(1, sizeof(*who));
	if (!who)
		return NULL;
	(void)snprintf(who->id, sizeof(who->id), "%s", s->id);
	(void)snprintf(who->namespace_, sizeof(who->namespace_), "%s", s->namespace_);
	(void)snprintf(who->pod, sizeof(who->pod), "%s", s->pod);
	(void)snprintf(who->uid, sizeof(who->uid), "%s", s->uid);
	(void)snprintf(who->container, sizeof(who->container), "%s", s->container);
	(void)snprintf(who->profile, sizeof(who->profile), "%s", s->profile);
	who->refs = 1;
	who->next = *bucket;
	*bucket = who;
	table->n++;
	return who;
}

struct kf_who *kf_who_known(struct kf_who_table *table, const char *id)
{
	struct kf_who *who = table->buckets[bucket_of(id)];

	while (who && strcmp(who->id, id) != 0)
		who = who->next;
	return kf_who_ref(who);
}

void kf_who_drop(struct kf_who_table *table, struct kf_who *who)
{
	struct kf_who **at;

	if (!who || --who->refs)
		return;
	at = &table->buckets[bucket_of(who->id)];
	while (*at != who)
		at = &(*at)->next;
	*at = who->next;
	table->n--;
	free(who);
}

/* The value of the line "KEY VALUE" in a record of which @n bytes are at @text, whose line ends
 * have become NUL; "" if it has none. */
static const char *find_line(const char *text, size_t n, const char *key)
{
	const size_t len = strlen(key);

	for (const char *at = text; at < text + n; at += strlen(at) + 1)
		if (strncmp(at, key, len) == 0 && at[len] == ' ')
			return at + len + 1;
	return "";
}

/* Whom the record is about, in strings that *text holds. */
static bool read_record(int dir, const char *name, char **text, struct kf_started *ret)
{
	size_t n;

	if (kf_file_slurp(dir, name, KF_LIMIT_CONFIG, text, &n, KF_ERR_IGNORED) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((*text)[i] == '\n')
			(*text)[i] = '\0';
	*ret = (struct kf_started){
		.pid = (pid_t)strtol(find_line(*text, n, "pid"), NULL, 10),
		.id = find_line(*text, n, "id"),
		.namespace_ = find_line(*text, n, "namespace"),
		.pod = find_line(*text, n, "pod"),
		.uid = find_line(*text, n, "uid"),
		.container = find_line(*text, n, "container"),
		.profile = find_line(*text, n, "profile"),
	};
	return true;
}

/* Whom records are looked for, and what was found. */
struct record_search {
	struct kf_who_table *table;
	pid_t pid;	     /* the container's first process, or 0 */
	const char *cgroups; /* of it or below it, or NULL */
	struct kf_who **ret;
	size_t n, max;
};

/* The name of a cgroup of which @n bytes are at @part, as a runtime called it: systemd's units have
 * an ending. */
static size_t unit_length(const char *part, size_t n)
{
	static const char unit[] = ".scope";
	const size_t len = sizeof(unit) - 1;

	return n > len && strncmp(part + n - len, unit, len) == 0 ? n - len : n;
}

/* Whether @id is the name of a part of @cgroups, or what such a name ends with, as in "crio-ID". */
static bool has_part(const char *cgroups, const char *id)
{
	const size_t len = strlen(id);

	for (const char *at = cgroups; *at; at += strcspn(at, "/"), at += *at == '/') {
		const size_t n = unit_length(at, strcspn(at, "/"));

		if (len && n >= len && strncmp(at + n - len, id, len) == 0 &&
		    (n == len || at[n - len - 1] == '-'))
			return true;
	}
	return false;
}

static void take_record(struct record_search *s, const struct kf_started *started)
{
	if ((s->pid && started->pid != s->pid) ||
	    (s->cgroups && !has_part(s->cgroups, started->id)))
		return;
	s->ret[s->n] = kf_who_get(s->table, started);
	s->n += s->ret[s->n] != NULL;
}

/* Read all records until there are as many containers as are wanted. */
static void search_records(int records, struct record_search *s)
{
	int fd = records < 0 ? -1 : openat(records, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while (s->n < s->max && (e = readdir(dir))) {
		struct kf_started started;
		KF_FREE char *text = NULL;

		if (e->d_name[0] != '.' && read_record(dirfd(dir), e->d_name, &text, &started))
			take_record(s, &started);
	}
	(void)closedir(dir);
}

/* The container whose ID is what the @n bytes at @name end with, as in has_part(). */
static struct kf_who *known_by_name(struct kf_who_table *table, const char *name, size_t n)
{
	const char *const end = name + n, *dash;
	struct kf_who *who = NULL;
	char id[sizeof(who->id)];

	do {
		n = (size_t)(end - name);
		if (n && n < sizeof(id)) {
			(void)snprintf(id, sizeof(id), "%.*s", (int)n, name);
			who = kf_who_known(table, id);
		}
		dash = memchr(name, '-', n);
		name = dash ? dash + 1 : NULL;
	} while (!who && name);
	return who;
}

/* The container of @cgroups if it is in the table already. */
static struct kf_who *known_by_cgroups(struct kf_who_table *table, const char *cgroups)
{
	for (const char *at = cgroups; *at; at += strcspn(at, "/"), at += *at == '/') {
		struct kf_who *who = known_by_name(table, at, unit_length(at, strcspn(at, "/")));

		if (who)
			return who;
	}
	return NULL;
}

struct kf_who *kf_who_find(struct kf_who_table *table, const struct kf_who_notes *notes, pid_t pid,
			   const char *cgroups)
{
	char text[KF_STARTED_SIZE];
	struct kf_started started;
	struct kf_who *who = cgroups ? known_by_cgroups(table, cgroups) : NULL;

	if (who)
		return who;
	if (notes->started >= 0 && kf_started_read(notes->started, pid, text, &started) &&
	    (!cgroups || has_part(cgroups, started.id)))
		return kf_who_get(table, &started);
	if (cgroups || pid > 0)
		search_records(notes->records, &(struct record_search){.table = table,
								       .pid = cgroups ? 0 : pid,
								       .cgroups = cgroups,
								       .ret = &who,
								       .max = 1});
	return who;
}

size_t kf_who_find_all(struct kf_who_table *table, const struct kf_who_notes *notes,
		       struct kf_who **ret, size_t max)
{
	struct record_search s = {.table = table, .ret = ret, .max = max};

	search_records(notes->records, &s);
	return s.n;
}
