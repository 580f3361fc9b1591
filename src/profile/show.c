/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the resolved profile as JSON, without bases and groups.  The flat text is written in
 * format.c. */
#include "base/cleanup.h"
#include "flat/flat.h"
#include "profile/keys.h"
#include "profile/profile.h"

#include <string.h>

struct writer {
	struct kf_buf *out;
	bool comments;
	unsigned depth;
	bool first; /* in the object or list that is open */
	const struct kf_origin *note;
};

/* End an entry's line: with a comma if another entry follows, and a comment that says where the
 * entry comes from. */
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

static void write_quoted(struct writer *w, const char *s)
{
	kf_buf_adds(w->out, "\"");
	kf_buf_add_json(w->out, s);
	kf_buf_adds(w->out, "\"");
}

/* Start an entry, with @key in an object. */
static void begin_entry(struct writer *w, const char *key)
{
	end_entry(w, !w->first);
	w->first = false;
	if (key) {
		write_quoted(w, key);
		kf_buf_adds(w->out, ": ");
	}
}

static void begin_group(struct writer *w, const char *key, const char *bracket)
{
	if (w->depth)
		begin_entry(w, key);
	kf_buf_adds(w->out, bracket);
	w->depth++;
	w->first = true;
}

static void end_group(struct writer *w, const char *bracket)
{
	w->depth--;
	end_entry(w, false);
	kf_buf_adds(w->out, bracket);
	w->first = false;
}

static void write_string(struct writer *w, const char *key, const struct kf_scalar *scalar)
{
	if (!scalar->s)
		return;
	begin_entry(w, key);
	write_quoted(w, scalar->s);
	w->note = &scalar->at;
}

static void write_boolean(struct writer *w, const char *key, const struct kf_scalar *scalar)
{
	if (!scalar->s)
		return;
	begin_entry(w, key);
	kf_buf_adds(w->out, scalar->s);
	w->note = &scalar->at;
}

/* Write a list of strings. */
static void write_list(struct writer *w, const char *key, const struct kf_items *items, bool always)
{
	if (!items->n && !always)
		return;
	begin_group(w, key, "[");
	for (size_t i = 0; i < items->n; i++) {
		begin_entry(w, NULL);
		write_quoted(w, items->v[i].s);
		w->note = &items->v[i].at;
	}
	end_group(w, "]");
}

/* Write entries that are objects: @key is their first member, the others are at hand as JSON. */
static void write_objects(struct writer *w, const char *list, const char *key,
			  const struct kf_items *items)
{
	if (!items->n)
		return;
	begin_group(w, list, "[");
	for (size_t i = 0; i < items->n; i++) {
		begin_entry(w, NULL);
		if (items->v[i].value)
			kf_buf_addf(w->out, "{\"%s\": ", key);
		write_quoted(w, items->v[i].s);
		if (items->v[i].value)
			kf_buf_addf(w->out, "%s}", items->v[i].value);
		w->note = &items->v[i].at;
	}
	end_group(w, "]");
}

/* Write the single ports of @items, or the ranges. */
static void write_ports(struct writer *w, const char *key, const struct kf_items *items,
			bool ranges)
{
	bool any = false;

	for (size_t i = 0; i < items->n; i++)
		any |= (items->v[i].u != items->v[i].u2) == ranges;
	if (!any)
		return;
	begin_group(w, key, "[");
	for (size_t i = 0; i < items->n; i++) {
		const struct kf_item *item = &items->v[i];

		if ((item->u != item->u2) != ranges)
			continue;
		begin_entry(w, NULL);
		if (ranges)
			kf_buf_addf(w->out, "[%u, %u]", (unsigned)item->u, (unsigned)item->u2);
		else
			kf_buf_addf(w->out, "%u", (unsigned)item->u);
		w->note = &item->at;
	}
	end_group(w, "]");
}

static void write_map(struct writer *w, const char *key, const struct kf_items *items)
{
	if (!items->n)
		return;
	begin_group(w, key, "{");
	for (size_t i = 0; i < items->n; i++) {
		begin_entry(w, items->v[i].s);
		write_quoted(w, items->v[i].value);
		w->note = &items->v[i].at;
	}
	end_group(w, "}");
}

static void write_hints(struct writer *w, const struct kf_items *items)
{
	if (!items->n)
		return;
	begin_group(w, "hints", "{");
	for (size_t i = 0; i < items->n; i++) {
		const char *words = items->v[i].value, *text = strchr(words, ' ');

		begin_group(w, items->v[i].s, "{");
		begin_entry(w, "text");
		write_quoted(w, text + 1);
		if ((size_t)(text - words) != strlen(KF_HINT_ALWAYS) ||
		    strncmp(words, KF_HINT_ALWAYS, strlen(KF_HINT_ALWAYS)) != 0) {
			KF_FREE char *option = strndup(words, (size_t)(text - words));

			w->out->failed |= !option;
			begin_entry(w, "unless");
			write_quoted(w, option ? option : "");
		}
		end_group(w, "}");
	}
	end_group(w, "}");
}

static void write_grants(struct writer *w, const struct kf_items *items)
{
	if (!items->n)
		return;
	begin_group(w, "grant", "[");
	for (size_t i = 0; i < items->n; i++) {
		begin_entry(w, NULL);
		kf_buf_adds(w->out, "{\"path\": ");
		write_quoted(w, items->v[i].s);
		kf_buf_addf(w->out, ", \"access\": \"%s\"}",
			    kf_profile_access_name(items->v[i].access));
		w->note = &items->v[i].at;
	}
	end_group(w, "]");
}

/* Write the grants that are exceptions from a denial. */
static void write_bypass(struct writer *w, const struct kf_items *items)
{
	bool any = false;

	for (size_t i = 0; i < items->n; i++)
		any |= items->v[i].lifted;
	if (!any)
		return;
	begin_group(w, "bypass_protection", "[");
	for (size_t i = 0; i < items->n; i++) {
		if (!items->v[i].lifted)
			continue;
		begin_entry(w, NULL);
		write_quoted(w, items->v[i].s);
		w->note = &items->v[i].at;
	}
	end_group(w, "]");
}

static void write_readonly(struct writer *w, const struct kf_items *items)
{
	if (!items->n)
		return;
	begin_group(w, "readonly", "[");
	for (size_t i = 0; i < items->n; i++) {
		begin_entry(w, NULL);
		kf_buf_adds(w->out, "\"");
		kf_buf_add_json(w->out, items->v[i].s);
		kf_buf_adds(w->out, items->v[i].access & KF_READONLY_DIRECTORY ? "/\"" : "\"");
		w->note = &items->v[i].at;
	}
	end_group(w, "]");
}

static void write_limit(struct writer *w, uint64_t v)
{
	if (v == UINT64_MAX)
		kf_buf_adds(w->out, "\"unlimited\"");
	else
		kf_buf_addf(w->out, "%llu", (unsigned long long)v);
}

static void write_rlimits(struct writer *w, const struct kf_items *items)
{
	if (!items->n)
		return;
	begin_group(w, "rlimits", "{");
	for (size_t i = 0; i < items->n; i++) {
		begin_entry(w, items->v[i].s);
		kf_buf_adds(w->out, "[");
		write_limit(w, items->v[i].u);
		kf_buf_adds(w->out, ", ");
		write_limit(w, items->v[i].u2);
		kf_buf_adds(w->out, "]");
		w->note = &items->v[i].at;
	}
	end_group(w, "}");
}

static bool has_any(const struct kf_profile *p, const enum kf_list *lists, size_t nlists,
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

static void write_meta(struct writer *w, const char *name, const struct kf_profile *p)
{
	const struct kf_scalar named = {.s = name};

	begin_group(w, "meta", "{");
	write_string(w, "name", &named);
	write_string(w, "description", &p->scalars[KF_SCALAR_DESCRIPTION]);
	write_list(w, "recipe", &p->lists[KF_LIST_RECIPE], false);
	write_hints(w, &p->lists[KF_LIST_HINT]);
	end_group(w, "}");
}

static void write_filesystem(struct writer *w, const struct kf_profile *p)
{
	static const enum kf_list lists[] = {KF_LIST_GRANT, KF_LIST_DENY, KF_LIST_READONLY,
					     KF_LIST_QUIET};
	static const enum kf_scalar_id scalars[] = {KF_SCALAR_IMAGE, KF_SCALAR_HOMES,
						    KF_SCALAR_VOLUMES, KF_SCALAR_PROCESSES,
						    KF_SCALAR_DEVICES};

	if (!has_any(p, lists, KF_ARRAY_SIZE(lists), scalars, KF_ARRAY_SIZE(scalars)))
		return;
	begin_group(w, "filesystem", "{");
	write_boolean(w, "image", &p->scalars[KF_SCALAR_IMAGE]);
	write_boolean(w, "homes", &p->scalars[KF_SCALAR_HOMES]);
	write_boolean(w, "volumes", &p->scalars[KF_SCALAR_VOLUMES]);
	write_boolean(w, "processes", &p->scalars[KF_SCALAR_PROCESSES]);
	write_boolean(w, "devices", &p->scalars[KF_SCALAR_DEVICES]);
	write_grants(w, &p->lists[KF_LIST_GRANT]);
	write_list(w, "deny", &p->lists[KF_LIST_DENY], false);
	write_readonly(w, &p->lists[KF_LIST_READONLY]);
	write_list(w, "quiet", &p->lists[KF_LIST_QUIET], false);
	write_bypass(w, &p->lists[KF_LIST_GRANT]);
	end_group(w, "}");
}

static void write_network(struct writer *w, const struct kf_profile *p)
{
	static const enum kf_list lists[] = {KF_LIST_CONNECT,  KF_LIST_BIND,   KF_LIST_CONNECT_UDP,
					     KF_LIST_BIND_UDP, KF_LIST_DOMAIN, KF_LIST_DENY_DOMAIN,
					     KF_LIST_RANGE};
	static const enum kf_scalar_id scalars[] = {KF_SCALAR_BLOCK, KF_SCALAR_DOMAINS_BY,
						    KF_SCALAR_ASK};

	if (!has_any(p, lists, KF_ARRAY_SIZE(lists), scalars, KF_ARRAY_SIZE(scalars)))
		return;
	begin_group(w, "network", "{");
	write_boolean(w, "block", &p->scalars[KF_SCALAR_BLOCK]);
	write_ports(w, "connect_port", &p->lists[KF_LIST_CONNECT], false);
	write_ports(w, "connect_port_range", &p->lists[KF_LIST_CONNECT], true);
	write_ports(w, "listen_port", &p->lists[KF_LIST_BIND], false);
	write_ports(w, "listen_port_range", &p->lists[KF_LIST_BIND], true);
	write_ports(w, "connect_udp_port", &p->lists[KF_LIST_CONNECT_UDP], false);
	write_ports(w, "connect_udp_port_range", &p->lists[KF_LIST_CONNECT_UDP], true);
	write_ports(w, "listen_udp_port", &p->lists[KF_LIST_BIND_UDP], false);
	write_ports(w, "listen_udp_port_range", &p->lists[KF_LIST_BIND_UDP], true);
	write_objects(w, "allow_domain", "domain", &p->lists[KF_LIST_DOMAIN]);
	write_list(w, "deny_domain", &p->lists[KF_LIST_DENY_DOMAIN], false);
	write_list(w, "allow_range", &p->lists[KF_LIST_RANGE], false);
	write_string(w, "ask", &p->scalars[KF_SCALAR_ASK]);
	write_string(w, "enforced_by", &p->scalars[KF_SCALAR_DOMAINS_BY]);
	end_group(w, "}");
}

static void write_environment(struct writer *w, const struct kf_profile *p)
{
	static const enum kf_list lists[] = {KF_LIST_ENV_DROP, KF_LIST_ENV_SET};
	static const enum kf_scalar_id scalars[] = {KF_SCALAR_ENV_KEEP_SET, KF_SCALAR_ENV_ANYCASE};

	if (!has_any(p, lists, 2, scalars, 2))
		return;
	begin_group(w, "environment", "{");
	write_list(w, "allow_vars", &p->lists[KF_LIST_ENV_KEEP],
		   p->scalars[KF_SCALAR_ENV_KEEP_SET].s != NULL);
	write_list(w, "deny_vars", &p->lists[KF_LIST_ENV_DROP], false);
	write_boolean(w, "case_insensitive_vars", &p->scalars[KF_SCALAR_ENV_ANYCASE]);
	write_map(w, "set_vars", &p->lists[KF_LIST_ENV_SET]);
	end_group(w, "}");
}

static void write_security(struct writer *w, const struct kf_profile *p)
{
	static const enum kf_scalar_id scalars[] = {KF_SCALAR_SIGNAL, KF_SCALAR_IPC,
						    KF_SCALAR_MEMFD_EXEC};

	if (!has_any(p, NULL, 0, scalars, 3))
		return;
	begin_group(w, "security", "{");
	write_string(w, "signal_mode", &p->scalars[KF_SCALAR_SIGNAL]);
	write_string(w, "ipc_mode", &p->scalars[KF_SCALAR_IPC]);
	write_boolean(w, "memfd_exec", &p->scalars[KF_SCALAR_MEMFD_EXEC]);
	end_group(w, "}");
}

void kf_profile_show(const struct kf_compiled *compiled, bool comments, struct kf_buf *out)
{
	const struct kf_profile *p = &compiled->profile;
	const struct kf_scalar no = {.s = "false"};
	struct writer w = {.out = out, .comments = comments};

	begin_group(&w, NULL, "{");
	write_meta(&w, compiled->name, p);
	begin_group(&w, "groups", "{");
	write_boolean(&w, "base", &no);
	end_group(&w, "}");
	write_string(&w, "seccomp", &p->scalars[KF_SCALAR_SECCOMP]);
	write_filesystem(&w, p);
	write_network(&w, p);
	write_objects(&w, "credentials", "route", &p->lists[KF_LIST_CREDENTIAL]);
	write_environment(&w, p);
	write_security(&w, p);
	write_rlimits(&w, &p->lists[KF_LIST_RLIMIT]);
	write_boolean(&w, "inner_sandbox", &p->scalars[KF_SCALAR_INNER]);
	end_group(&w, "}");
	kf_buf_adds(out, "\n");
}
