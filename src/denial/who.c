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

/* Whom the record is about, if its line @key is @value. */
static bool read_record(int dir, const char *name, const char *key, const char *value, char **text,
			struct kf_started *ret)
{
	size_t n;

	if (kf_file_slurp(dir, name, KF_LIMIT_CONFIG, text, &n, KF_ERR_IGNORED) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((*text)[i] == '\n')
			(*text)[i] = '\0';
	if (strcmp(find_line(*text, n, key), value) != 0)
		return false;
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

/* Look for the record whose line @key is @value. */
static struct kf_who *search_records(struct kf_who_table *table, int records, const char *key,
				     const char *value)
{
	int fd = records < 0 ? -1 : openat(records, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct kf_who *who = NULL;
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return NULL;
	}
	while (!who && (e = readdir(dir))) {
		struct kf_started started;
		KF_FREE char *text = NULL;

		if (e->d_name[0] != '.' &&
		    read_record(dirfd(dir), e->d_name, key, value, &text, &started))
			who = kf_who_get(table, &started);
	}
	(void)closedir(dir);
	return who;
}

struct kf_who *kf_who_find(struct kf_who_table *table, const struct kf_who_notes *notes, pid_t pid)
{
	char text[KF_STARTED_SIZE], value[16];
	struct kf_started started;

	if (notes->started >= 0 && kf_started_read(notes->started, pid, text, &started))
		return kf_who_get(table, &started);
	(void)snprintf(value, sizeof(value), "%d", pid);
	return search_records(table, notes->records, "pid", value);
}

struct kf_who *kf_who_find_id(struct kf_who_table *table, const struct kf_who_notes *notes,
			      const char *id)
{
	return search_records(table, notes->records, "id", id);
}
