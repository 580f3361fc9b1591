/* SPDX-License-Identifier: Apache-2.0 */
/* Remembers what pods' seccomp policies and ours amount to together, as a node's pods have few
 * different ones.  How two are joined is in src/seccomp. */
#include "nono-nri/seccomp_cache.h"

#include <string.h>

/* KF_SECCOMP_CACHE_MAX policies of a few hundred rules, each joined with every level. */
#define CACHE_MEMORY (4 * 1024 * 1024)

void kf_seccomp_cache_init(struct kf_seccomp_cache *cache)
{
	*cache = (struct kf_seccomp_cache){0};
	kf_arena_init(&cache->arena, CACHE_MEMORY);
}

void kf_seccomp_cache_done(struct kf_seccomp_cache *cache)
{
	kf_arena_done(&cache->arena);
	cache->n = 0;
}

/* ---- equal ---- */

static bool same_string(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_list(const char *const *a, size_t na, const char *const *b, size_t nb)
{
	if (na != nb)
		return false;
	for (size_t i = 0; i < na; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

static bool same_rule(const struct kf_seccomp_rule *a, const struct kf_seccomp_rule *b)
{
	if (!same_string(a->action, b->action) || a->has_errno != b->has_errno ||
	    a->errno_ret != b->errno_ret || a->nargs != b->nargs ||
	    !same_list(a->names, a->nnames, b->names, b->nnames))
		return false;
	for (size_t i = 0; i < a->nargs; i++)
		if (a->args[i].index != b->args[i].index || a->args[i].value != b->args[i].value ||
		    a->args[i].value_two != b->args[i].value_two ||
		    !same_string(a->args[i].op, b->args[i].op))
			return false;
	return true;
}

static bool same_policy(const struct kf_seccomp *a, const struct kf_seccomp *b)
{
	if (a->nrules != b->nrules || !same_string(a->default_action, b->default_action) ||
	    a->has_default_errno != b->has_default_errno || a->default_errno != b->default_errno ||
	    !same_string(a->listener_path, b->listener_path) ||
	    !same_string(a->listener_metadata, b->listener_metadata) ||
	    !same_list(a->architectures, a->narchitectures, b->architectures, b->narchitectures) ||
	    !same_list(a->flags, a->nflags, b->flags, b->nflags))
		return false;
	for (size_t i = 0; i < a->nrules; i++)
		if (!same_rule(&a->rules[i], &b->rules[i]))
			return false;
	return true;
}

/* ---- copy ---- */

static bool copy_string(struct kf_arena *arena, const char **s)
{
	if (*s)
		*s = kf_arena_strdup(arena, *s);
	return *s != NULL;
}

static bool copy_list(struct kf_arena *arena, const char *const **list, size_t n)
{
	const char **copy = kf_arena_calloc(arena, n, sizeof(*copy));

	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = (*list)[i];
		if (!copy_string(arena, &copy[i]))
			return false;
	}
	*list = copy;
	return copy != NULL;
}

static bool copy_rule(struct kf_arena *arena, struct kf_seccomp_rule *rule)
{
	struct kf_seccomp_arg *args = kf_arena_calloc(arena, rule->nargs, sizeof(*args));

	if (!args || !copy_list(arena, &rule->names, rule->nnames) ||
	    !copy_string(arena, &rule->action))
		return false;
	for (size_t i = 0; i < rule->nargs; i++) {
		args[i] = rule->args[i];
		if (!copy_string(arena, &args[i].op))
			return false;
	}
	rule->args = args;
	return true;
}

/* NULL when there is no room. */
static const struct kf_seccomp *copy_policy(struct kf_arena *arena, const struct kf_seccomp *from)
{
	struct kf_seccomp_rule *rules = kf_arena_calloc(arena, from->nrules, sizeof(*rules));
	struct kf_seccomp *copy = kf_arena_alloc(arena, sizeof(*copy));

	if (!copy || !rules)
		return NULL;
	*copy = *from;
	copy->rules = rules;
	if (!copy_string(arena, &copy->default_action) ||
	    !copy_list(arena, &copy->architectures, copy->narchitectures) ||
	    !copy_list(arena, &copy->flags, copy->nflags) ||
	    (copy->listener_path && !copy_string(arena, &copy->listener_path)) ||
	    (copy->listener_metadata && !copy_string(arena, &copy->listener_metadata)))
		return NULL;
	for (size_t i = 0; i < from->nrules; i++) {
		rules[i] = from->rules[i];
		if (!copy_rule(arena, &rules[i]))
			return NULL;
	}
	return copy;
}

/* ---- the cache ---- */

static size_t find_entry(const struct kf_seccomp_cache *cache, const struct kf_seccomp *pods)
{
	size_t i = 0;

	while (i < cache->n && !same_policy(cache->entries[i].pods, pods))
		i++;
	return i;
}

void kf_seccomp_cache_find(const struct kf_seccomp_cache *cache, struct kf_view *view)
{
	size_t i;

	if (!view->seccomp)
		return;
	i = find_entry(cache, view->seccomp);
	if (i == cache->n)
		return;
	view->known = cache->entries[i].known;
	view->nknown = cache->entries[i].nknown;
}

void kf_seccomp_cache_keep(struct kf_seccomp_cache *cache, const struct kf_view *view,
			   const struct kf_plan *plan)
{
	const struct kf_seccomp *pods, *both;
	size_t i;

	if (!plan->intersected)
		return;
	i = find_entry(cache, view->seccomp);
	if (i == KF_SECCOMP_CACHE_MAX ||
	    (i < cache->n && cache->entries[i].nknown == KF_SECCOMP_LEVEL_RESTRICTED + 1))
		return;
	pods = i < cache->n ? cache->entries[i].pods : copy_policy(&cache->arena, view->seccomp);
	both = pods ? copy_policy(&cache->arena, plan->seccomp) : NULL;
	if (!both)
		return;
	if (i == cache->n)
		cache->n++;
	cache->entries[i].pods = pods;
	cache->entries[i].known[cache->entries[i].nknown++] =
		(struct kf_seccomp_known){.ours = plan->intersected, .both = both};
}
