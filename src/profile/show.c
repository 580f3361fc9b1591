/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "flat/flat.h"
#include "profile/keys.h"
#include "profile/profile.h"

#include <string.h>

/* The resolved profile as JSON: no bases, no groups, everything spelled out. */

struct writer {
	struct kf_buf *out;
	bool comments;
	unsigned depth;
	bool first; /* in the object or list that is open */
	const struct kf_origin *note;
};

/* What follows on a line: the comma that the next entry makes necessary, and
 * where the entry before it comes from. */
static void end_entry(struct writer *w, bool comma)
{
	if (comma)
		kf_buf_adds(w->out, ",");
	if (w->comments && w->note && w->note->line)
		kf_buf_addf(w->out, " // %s%s%s:%u", w->note->group ? w->note->group : "",
			    w->note->group ? ", " : "", w->note->file, w->note->line);
	w->note = NULL;
	kf_buf_adds(w->out, "\n");
	for (unsigned i = 0; i < w->depth; i++)
		kf_buf_adds(w->out, "  ");
}

static void quoted(struct writer *w, const char *s)
{
	kf_buf_adds(w->out, "\"");
	kf_buf_add_json(w->out, s);
	kf_buf_adds(w->out, "\"");
}

/* Start an entry, with @key in an object. */
static void entry(struct writer *w, const char *key)
{
	end_entry(w, !w->first);
	w->first = false;
	if (key) {
		quoted(w, key);
		kf_buf_adds(w->out, ": ");
	}
}

static void open_(struct writer *w, const char *key, const char *bracket)
{
	if (w->depth)
		entry(w, key);
	kf_buf_adds(w->out, bracket);
	w->depth++;
	w->first = true;
}

static void close_(struct writer *w, const char *bracket)
{
	w->depth--;
	end_entry(w, false);
	kf_buf_adds(w->out, bracket);
	w->first = false;
}

static void string(struct writer *w, const char *key, const struct kf_scalar *scalar)
{
	if (!scalar->s)
		return;
	entry(w, key);
	quoted(w, scalar->s);
	w->note = &scalar->at;
}

static void boolean(struct writer *w, const char *key, const struct kf_scalar *scalar)
{
	if (!scalar->s)
		return;
	entry(w, key);
	kf_buf_adds(w->out, scalar->s);
	w->note = &scalar->at;
}

/* Lists of strings. */
static void list(struct writer *w, const char *key, const struct kf_items *items, bool always)
{
	if (!items->n && !always)
		return;
	open_(w, key, "[");
	for (size_t i = 0; i < items->n; i++) {
		entry(w, NULL);
		quoted(w, items->v[i].s);
		w->note = &items->v[i].at;
	}
	close_(w, "]");
}

/* The single ports of @items, or the ranges among them. */
static void ports(struct writer *w, const char *key, const struct kf_items *items, bool ranges)
{
	bool any = false;

	for (size_t i = 0; i < items->n; i++)
		any |= (items->v[i].u != items->v[i].u2) == ranges;
	if (!any)
		return;
	open_(w, key, "[");
	for (size_t i = 0; i < items->n; i++) {
		const struct kf_item *item = &items->v[i];

		if ((item->u != item->u2) != ranges)
			continue;
		entry(w, NULL);
		if (ranges)
			kf_buf_addf(w->out, "[%u, %u]", (unsigned)item->u, (unsigned)item->u2);
		else
			kf_buf_addf(w->out, "%u", (unsigned)item->u);
		w->note = &item->at;
	}
	close_(w, "]");
}

static void map(struct writer *w, const char *key, const struct kf_items *items)
{
	if (!items->n)
		return;
	open_(w, key, "{");
	for (size_t i = 0; i < items->n; i++) {
		entry(w, items->v[i].s);
		quoted(w, items->v[i].value);
		w->note = &items->v[i].at;
	}
	close_(w, "}");
}

static void hints(struct writer *w, const struct kf_items *items)
{
	if (!items->n)
		return;
	open_(w, "hints", "{");
	for (size_t i = 0; i < items->n; i++) {
		const char *words = items->v[i].value, *text = strchr(words, ' ');

		open_(w, items->v[i].s, "{");
		entry(w, "text");
		quoted(w, text + 1);
		if ((size_t)(text - words) != strlen(KF_HINT_ALWAYS) ||
		    strncmp(words, KF_HINT_ALWAYS, strlen(KF_HINT_ALWAYS)) != 0) {
			KF_FREE char *option = strndup(words, (size_t)(text - words));

			w->out->failed |= !option;
			entry(w, "unless");
			quoted(w, option ? option : "");
		}
		close_(w, "}");
	}
	close_(w, "}");
}

static void grants(struct writer *w, const struct kf_items *items)
{
	if (!items->n)
		return;
	open_(w, "grant", "[");
	for (size_t i = 0; i < items->n; i++) {
		entry(w, NULL);
		kf_buf_adds(w->out, "{\"path\": ");
		quoted(w, items->v[i].s);
		kf_buf_addf(w->out, ", \"access\": \"%s\"}",
			    kf_profile_access_name(items->v[i].access));
		w->note = &items->v[i].at;
	}
	close_(w, "]");
}

/* What a denial that stays is lifted for. */
static void bypass(struct writer *w, const struct kf_items *items)
{
	bool any = false;

	for (size_t i = 0; i < items->n; i++)
		any |= items->v[i].lifted;
	if (!any)
		return;
	open_(w, "bypass_protection", "[");
	for (size_t i = 0; i < items->n; i++) {
		if (!items->v[i].lifted)
			continue;
		entry(w, NULL);
		quoted(w, items->v[i].s);
		w->note = &items->v[i].at;
	}
	close_(w, "]");
}

static void readonly(struct writer *w, const struct kf_items *items)
{
	if (!items->n)
		return;
	open_(w, "readonly", "[");
	for (size_t i = 0; i < items->n; i++) {
		entry(w, NULL);
		kf_buf_adds(w->out, "\"");
		kf_buf_add_json(w->out, items->v[i].s);
		kf_buf_adds(w->out, items->v[i].access & KF_READONLY_DIRECTORY ? "/\"" : "\"");
		w->note = &items->v[i].at;
	}
	close_(w, "]");
}

static void limit(struct writer *w, uint64_t v)
{
	if (v == UINT64_MAX)
		kf_buf_adds(w->out, "\"unlimited\"");
	else
		kf_buf_addf(w->out, "%llu", (unsigned long long)v);
}

static void rlimits(struct writer *w, const struct kf_items *items)
{
	if (!items->n)
		return;
	open_(w, "rlimits", "{");
	for (size_t i = 0; i < items->n; i++) {
		entry(w, items->v[i].s);
		kf_buf_adds(w->out, "[");
		limit(w, items->v[i].u);
		kf_buf_adds(w->out, ", ");
		limit(w, items->v[i].u2);
		kf_buf_adds(w->out, "]");
		w->note = &items->v[i].at;
	}
	close_(w, "}");
}

static bool any(const struct kf_profile *p, const enum kf_list *lists, size_t nlists,
		const enum kf_scalar_id *scalars, size_t nscalars)
{
	for (size_t i = 0; i < nlists; i++)
		if (p->lists[lists[i]].n)
			return true;
	for (size_t i = 0; i < nscalars; i++)
		if (p->scalars[scalars[i]].s)
			return true;
	return false;
}

static void meta(struct writer *w, const char *name, const struct kf_profile *p)
{
	const struct kf_scalar named = {.s = name};

	open_(w, "meta", "{");
	string(w, "name", &named);
	string(w, "description", &p->scalars[KF_SCALAR_DESCRIPTION]);
	list(w, "recipe", &p->lists[KF_LIST_RECIPE], false);
	hints(w, &p->lists[KF_LIST_HINT]);
	close_(w, "}");
}

static void filesystem(struct writer *w, const struct kf_profile *p)
{
	static const enum kf_list lists[] = {KF_LIST_GRANT, KF_LIST_DENY, KF_LIST_READONLY,
					     KF_LIST_QUIET};
	static const enum kf_scalar_id scalars[] = {KF_SCALAR_IMAGE, KF_SCALAR_HOMES,
						    KF_SCALAR_VOLUMES, KF_SCALAR_PROCESSES,
						    KF_SCALAR_DEVICES};

	if (!any(p, lists, KF_ARRAY_SIZE(lists), scalars, KF_ARRAY_SIZE(scalars)))
		return;
	open_(w, "filesystem", "{");
	boolean(w, "image", &p->scalars[KF_SCALAR_IMAGE]);
	boolean(w, "homes", &p->scalars[KF_SCALAR_HOMES]);
	boolean(w, "volumes", &p->scalars[KF_SCALAR_VOLUMES]);
	boolean(w, "processes", &p->scalars[KF_SCALAR_PROCESSES]);
	boolean(w, "devices", &p->scalars[KF_SCALAR_DEVICES]);
	grants(w, &p->lists[KF_LIST_GRANT]);
	list(w, "deny", &p->lists[KF_LIST_DENY], false);
	readonly(w, &p->lists[KF_LIST_READONLY]);
	list(w, "quiet", &p->lists[KF_LIST_QUIET], false);
	bypass(w, &p->lists[KF_LIST_GRANT]);
	close_(w, "}");
}

static void network(struct writer *w, const struct kf_profile *p)
{
	static const enum kf_list lists[] = {KF_LIST_CONNECT, KF_LIST_BIND, KF_LIST_CONNECT_UDP,
					     KF_LIST_BIND_UDP, KF_LIST_DOMAIN};
	static const enum kf_scalar_id scalars[] = {KF_SCALAR_BLOCK, KF_SCALAR_DOMAINS_BY};

	if (!any(p, lists, KF_ARRAY_SIZE(lists), scalars, KF_ARRAY_SIZE(scalars)))
		return;
	open_(w, "network", "{");
	boolean(w, "block", &p->scalars[KF_SCALAR_BLOCK]);
	ports(w, "connect_port", &p->lists[KF_LIST_CONNECT], false);
	ports(w, "connect_port_range", &p->lists[KF_LIST_CONNECT], true);
	ports(w, "listen_port", &p->lists[KF_LIST_BIND], false);
	ports(w, "listen_port_range", &p->lists[KF_LIST_BIND], true);
	ports(w, "connect_udp_port", &p->lists[KF_LIST_CONNECT_UDP], false);
	ports(w, "connect_udp_port_range", &p->lists[KF_LIST_CONNECT_UDP], true);
	ports(w, "listen_udp_port", &p->lists[KF_LIST_BIND_UDP], false);
	ports(w, "listen_udp_port_range", &p->lists[KF_LIST_BIND_UDP], true);
	list(w, "allow_domain", &p->lists[KF_LIST_DOMAIN], false);
	string(w, "enforced_by", &p->scalars[KF_SCALAR_DOMAINS_BY]);
	close_(w, "}");
}

static void environment(struct writer *w, const struct kf_profile *p)
{
	static const enum kf_list lists[] = {KF_LIST_ENV_DROP, KF_LIST_ENV_SET};
	static const enum kf_scalar_id scalars[] = {KF_SCALAR_ENV_KEEP_SET, KF_SCALAR_ENV_ANYCASE};

	if (!any(p, lists, 2, scalars, 2))
		return;
	open_(w, "environment", "{");
	list(w, "allow_vars", &p->lists[KF_LIST_ENV_KEEP],
	     p->scalars[KF_SCALAR_ENV_KEEP_SET].s != NULL);
	list(w, "deny_vars", &p->lists[KF_LIST_ENV_DROP], false);
	boolean(w, "case_insensitive_vars", &p->scalars[KF_SCALAR_ENV_ANYCASE]);
	map(w, "set_vars", &p->lists[KF_LIST_ENV_SET]);
	close_(w, "}");
}

static void security(struct writer *w, const struct kf_profile *p)
{
	static const enum kf_scalar_id scalars[] = {KF_SCALAR_SIGNAL, KF_SCALAR_IPC,
						    KF_SCALAR_MEMFD_EXEC};

	if (!any(p, NULL, 0, scalars, 3))
		return;
	open_(w, "security", "{");
	string(w, "signal_mode", &p->scalars[KF_SCALAR_SIGNAL]);
	string(w, "ipc_mode", &p->scalars[KF_SCALAR_IPC]);
	boolean(w, "memfd_exec", &p->scalars[KF_SCALAR_MEMFD_EXEC]);
	close_(w, "}");
}

void kf_profile_show(const struct kf_compiled *compiled, bool comments, struct kf_buf *out)
{
	const struct kf_profile *p = &compiled->profile;
	const struct kf_scalar no = {.s = "false"};
	struct writer w = {.out = out, .comments = comments};

	open_(&w, NULL, "{");
	meta(&w, compiled->name, p);
	open_(&w, "groups", "{");
	boolean(&w, "base", &no);
	close_(&w, "}");
	string(&w, "seccomp", &p->scalars[KF_SCALAR_SECCOMP]);
	filesystem(&w, p);
	network(&w, p);
	environment(&w, p);
	security(&w, p);
	rlimits(&w, &p->lists[KF_LIST_RLIMIT]);
	close_(&w, "}");
	kf_buf_adds(out, "\n");
}
