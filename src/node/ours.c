/* SPDX-License-Identifier: Apache-2.0 */
/* Deciding which tables and values of a runtime's configuration are ours, even if somebody else
 * wrote them again in another layout, and whether they alone are gone from a text. ours_cut.c takes
 * them out, merge.c says which texts are compared. */
#include "node/ours_int.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "node/handler.h"

#include <stdlib.h>
#include <string.h>

/* Three configurations of KF_LIMIT_CONFIG as trees, and what is decided about their keys. */
#define DECISION_MEMORY (8 * 1024 * 1024)
#define HANDLERS_MAX	64

/* containerd's table of runtimes moved with version 3 of its configuration. */
static const char *const cri_names[] = {"io.containerd.cri.v1.runtime",
					"io.containerd.grpc.v1.cri"};

static const char *const places[][6] = {
	{"plugins", "io.containerd.cri.v1.runtime", "containerd", "runtimes", NULL},
	{"plugins", "io.containerd.grpc.v1.cri", "containerd", "runtimes", NULL},
	{"crio", "runtime", "runtimes", NULL},
};

/* The keys that we set in handlers of theirs. */
static const char *const keys_of_theirs[] = {"pod_annotations", "container_annotations",
					     "BinaryName", "runtime_path", NULL};

static bool is_vm_config(const char *path)
{
	return strncmp(path, KF_NODE_KATA "/", strlen(KF_NODE_KATA "/")) == 0;
}

/* Whether the handler @h leads to the guard or to one of our virtual machines. */
static bool is_guarded(const struct kf_toml_node *h)
{
	return kf_node_guard_handler(
		       kf_toml_string(h, KF_TOML_PATH("options", "BinaryName"), "")) ||
	       kf_node_guard_handler(kf_toml_string(h, KF_TOML_PATH("runtime_path"), "")) ||
	       is_vm_config(kf_toml_string(h, KF_TOML_PATH("options", "ConfigPath"), "")) ||
	       is_vm_config(kf_toml_string(h, KF_TOML_PATH("runtime_config_path"), ""));
}

/* The next handler of any of the @places behind @last. */
static const struct kf_toml_node *next_handler(const struct kf_toml_node *root,
					       const struct kf_toml_node *last)
{
	size_t i = 0;

	if (last && last->next)
		return last->next;
	for (; last && i < KF_ARRAY_SIZE(places); i++)
		if (kf_toml_find(root, places[i]) == last->parent)
			break;
	for (i += last != NULL; i < KF_ARRAY_SIZE(places); i++) {
		const struct kf_toml_node *all = kf_toml_find(root, places[i]);

		if (all && all->kind == KF_TOML_TABLE && all->first_child)
			return all->first_child;
	}
	return NULL;
}

const struct kf_toml_node *kf_ours_next(const struct kf_toml_node *root,
					const struct kf_toml_node *last)
{
	while ((last = next_handler(root, last)) && !is_guarded(last))
		;
	return last;
}

const struct kf_toml_node *kf_ours_find(const struct kf_toml_node *root, const char *const *path)
{
	const struct kf_toml_node *n = kf_toml_find(root, path), *plugins;

	if (n || !path[0] || !path[1] || strcmp(path[0], "plugins") != 0)
		return n;
	plugins = kf_toml_get(root, path[0]);
	for (size_t i = 0; i < KF_ARRAY_SIZE(cri_names); i++)
		if (strcmp(path[1], cri_names[i]) == 0)
			return kf_toml_find(kf_toml_get(plugins, cri_names[1 - i]), path + 2);
	return NULL;
}

/* The handler named @name in @root. */
static const struct kf_toml_node *find_handler(const struct kf_toml_node *root, const char *name)
{
	const struct kf_toml_node *h = NULL;

	while ((h = next_handler(root, h)) && strcmp(h->key, name) != 0)
		;
	return h;
}

/* The number of keys of @path that lead to a handler; 0 if it does not lead into one. */
static size_t handler_depth(const char *const *path)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(places); i++) {
		size_t n = 0;

		while (places[i][n] && path[n] && strcmp(path[n], places[i][n]) == 0)
			n++;
		if (!places[i][n] && path[n])
			return n + 1;
	}
	return 0;
}

static bool is_zero(const struct kf_toml_node *n)
{
	return (n->kind == KF_TOML_STRING && !n->nstring) ||
	       (n->kind == KF_TOML_INTEGER && !n->integer) ||
	       (n->kind == KF_TOML_BOOL && !n->boolean) ||
	       (n->kind == KF_TOML_ARRAY && !n->nchildren);
}

static bool in_journal(const struct kf_journal *j, const char *handler)
{
	bool there = false;

	for (size_t i = 0; i < j->nhandlers; i++)
		there = there || strcmp(j->handlers[i].name, handler) == 0;
	for (size_t i = 0; i < j->nvms; i++)
		there = there || strcmp(j->vms[i].name, handler) == 0;
	return there;
}

/* Whether @handler is theirs, even if it has our guard. */
static bool was_theirs(const struct kf_ours *o, const char *handler)
{
	const struct kf_toml_node *h = find_handler(o->original.root, handler);

	return (h && !is_guarded(h)) ||
	       (in_journal(o->m->journal, handler) && !kf_node_created(o->m->journal, handler));
}

/* Whether everything in the handler @h is also in ours: it is what is left of our table after
 * somebody removed lines. */
static bool is_part_of(const struct kf_toml_doc *doc, const struct kf_toml_node *h,
		       const struct kf_ours *o, const struct kf_toml_node *ours)
{
	const struct kf_toml_doc mine = {o->ours.root, o->m->ours.p};

	for (const struct kf_toml_node *n = h; n;
	     n = kf_toml_walk(n, h, n->kind == KF_TOML_TABLE)) {
		const char *path[KF_TOML_DEPTH_MAX + 1], *const *rest = path;
		const struct kf_toml_node *other;

		if (n->kind == KF_TOML_TABLE || is_zero(n))
			continue;
		if (!kf_toml_path(n, path))
			return false;
		other = kf_toml_find(ours, rest + handler_depth(path));
		if (!other || !kf_toml_same(doc, n, &mine, other))
			return false;
	}
	return true;
}

enum ours_verdict { VERDICT_THEIRS, VERDICT_WHOLE, VERDICT_KEYS };

/* Whether the handler @h of @doc is theirs, ours as a whole, or theirs with keys of ours. */
static enum ours_verdict judge_handler(const struct kf_ours *o, const struct kf_toml_doc *doc,
				       const struct kf_toml_node *h)
{
	const struct kf_toml_node *ours = find_handler(o->ours.root, h->key);

	if (h->kind != KF_TOML_TABLE)
		return VERDICT_THEIRS;
	if (is_guarded(h) && o->m->keep_copies && !in_journal(o->m->journal, h->key))
		return VERDICT_THEIRS;
	if (is_guarded(h))
		return was_theirs(o, h->key) ? VERDICT_KEYS : VERDICT_WHOLE;
	if (!ours || !is_guarded(ours) || was_theirs(o, h->key))
		return VERDICT_THEIRS;
	return o->m->claim || is_part_of(doc, h, o, ours) ? VERDICT_WHOLE : VERDICT_THEIRS;
}

static bool is_listed(const char *const *list, const char *s)
{
	while (*list && strcmp(*list, s) != 0)
		list++;
	return *list != NULL;
}

struct kf_text kf_ours_line(const char *text, size_t offset)
{
	size_t start = offset;

	while (start && text[start - 1] != '\n')
		start--;
	return (struct kf_text){text + start, strcspn(text + start, "\r\n")};
}

/* The next line of @text behind @at, without its indentation and its end. */
static struct kf_text next_line(struct kf_text text, size_t *at)
{
	struct kf_text line;

	*at += strspn(text.p + *at, " \t\r\n");
	line = (struct kf_text){text.p + *at, strcspn(text.p + *at, "\r\n")};
	*at += line.n;
	return line;
}

/* @line without its indentation, since programs that write TOML indent as they like, and its end.
 */
static struct kf_text trim_line(struct kf_text line)
{
	while (line.n && strchr(" \t", *line.p)) {
		line.p++;
		line.n--;
	}
	while (line.n && strchr("\r\n", line.p[line.n - 1]))
		line.n--;
	return line;
}

static bool is_same_line(struct kf_text a, struct kf_text b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* Whether @text has @line, however it is indented. */
static bool has_line(struct kf_text text, struct kf_text line)
{
	size_t at = 0;

	line = trim_line(line);
	while (at < text.n)
		if (is_same_line(next_line(text, &at), line))
			return true;
	return false;
}

/* Whether @a and @b are the same line, whichever kind of quotes is in them: programs that write
 * TOML have one of their own. */
static bool is_rewritten_line(struct kf_text a, struct kf_text b)
{
	size_t i = 0;

	while (i < a.n && i < b.n &&
	       (a.p[i] == b.p[i] || (strchr("'\"", a.p[i]) && strchr("'\"", b.p[i]))))
		i++;
	return i == a.n && i == b.n;
}

/* Whether @text has @line in the section that @header begins. */
static bool has_line_under(struct kf_text text, struct kf_text header, struct kf_text line)
{
	bool inside = false;
	size_t at = 0;

	header = trim_line(header);
	line = trim_line(line);
	while (at < text.n) {
		struct kf_text other = next_line(text, &at);

		if (other.n && *other.p == '[')
			inside = is_rewritten_line(other, header);
		if (inside && is_rewritten_line(other, line))
			return true;
	}
	return false;
}

bool kf_ours_has_line(const struct kf_ours *o, struct kf_text line)
{
	return has_line(o->m->ours, line);
}

bool kf_ours_wrote(const struct kf_ours *o, struct kf_text line)
{
	return trim_line(line).n && has_line(o->m->ours, line) && !has_line(o->m->original, line);
}

bool kf_ours_wrote_under(const struct kf_ours *o, struct kf_text header, struct kf_text line)
{
	return has_line_under(o->m->ours, header, line) &&
	       !has_line_under(o->m->original, header, header);
}

/* Whether the line of @n in @doc is the one that our text has at the same place. */
static bool is_line_of_ours(const struct kf_ours *o, const struct kf_toml_doc *doc,
			    const struct kf_toml_node *n)
{
	const char *path[KF_TOML_DEPTH_MAX + 1];
	const struct kf_toml_node *ours =
		kf_toml_path(n, path) ? kf_ours_find(o->ours.root, path) : NULL;
	struct kf_text a, b;

	if (!ours)
		return false;
	a = kf_ours_line(doc->text, n->begin.offset);
	b = kf_ours_line(o->m->ours.p, ours->begin.offset);
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

/* Whether the file still has our layout: a line that leads to the guard is as we wrote it.  A copy
 * that somebody made of it before we saw the file has his layout. */
static bool in_our_layout(const struct kf_ours *o, const struct kf_toml_doc *doc)
{
	const struct kf_toml_node *h = NULL;

	while (!o->m->beside && (h = kf_ours_next(doc->root, h))) {
		if (!in_journal(o->m->journal, h->key))
			continue;
		for (const struct kf_toml_node *n = h; n; n = kf_toml_walk(n, h, true))
			if (n->kind == KF_TOML_STRING &&
			    (kf_node_guard_handler(n->string) || is_vm_config(n->string)) &&
			    is_line_of_ours(o, doc, n))
				return true;
	}
	return false;
}

/* Whether somebody took over the value @n, which equals ours: by adding a comment, or by rewriting
 * this line and no other. */
static bool is_made_theirs(const struct kf_ours *o, const struct kf_toml_doc *doc,
			   const struct kf_toml_node *n, bool our_layout)
{
	const char *end = doc->text + n->end.offset;

	if (kf_ours_has_line(o, kf_ours_line(doc->text, n->begin.offset)))
		return false;
	end += strspn(end, " \t");
	return our_layout || *end == '#';
}

/* The value @n as it is written in @text. */
static const char *written_value(struct kf_ours *o, const char *text, const struct kf_toml_node *n)
{
	return kf_arena_printf(&o->arena, "%.*s", (int)(n->end.offset - n->begin.offset),
			       text + n->begin.offset);
}

/* Whether @doc has a handler that came neither from us nor from the original. */
static bool has_new_handler(const struct kf_ours *o, const struct kf_toml_doc *doc)
{
	const struct kf_toml_node *h = NULL;

	while ((h = next_handler(doc->root, h)))
		if (judge_handler(o, doc, h) == VERDICT_THEIRS &&
		    !find_handler(o->ours.root, h->key))
			return true;
	return false;
}

/* Whether the table @n, which has a value of ours, has others as well: then it is a dump of the
 * whole configuration, in which ours replaced theirs, and not a copy of our text. */
static bool has_more_than_ours(const struct kf_ours *o, const struct kf_toml_node *n)
{
	const char *path[KF_TOML_DEPTH_MAX + 1];
	const struct kf_toml_node *ours =
		kf_toml_path(n, path) ? kf_ours_find(o->ours.root, path) : NULL;

	for (const struct kf_toml_node *c = n->first_child; c; c = c->next)
		if (!kf_toml_get(ours, c->key))
			return true;
	return false;
}

static int decide_value(struct kf_ours *o, const struct kf_toml_doc *doc, bool our_layout,
			struct kf_ours_value *v, struct kf_err *err)
{
	const struct kf_toml_doc mine = {o->ours.root, o->m->ours.p};
	const struct kf_toml_node *n = kf_ours_find(doc->root, v->path), *was, *h;
	size_t depth = handler_depth(v->path);
	bool crio = strcmp(v->path[0], "crio") == 0;
	const char *text;
	enum ours_verdict verdict;

	v->fate = KF_OURS_KEEP;
	if (strcmp(v->path[0], "version") == 0 && !v->path[1]) {
		v->fate = KF_OURS_EITHER;
		return 0;
	}
	if (depth) {
		h = find_handler(doc->root, v->path[depth - 1]);
		verdict = h ? judge_handler(o, doc, h) : VERDICT_WHOLE;
		if (verdict == VERDICT_WHOLE ||
		    (verdict == VERDICT_THEIRS && !is_guarded(h) && !has_new_handler(o, doc)))
			v->fate = KF_OURS_EITHER;
		if (verdict != VERDICT_KEYS)
			return 0;
		for (depth = 0; v->path[depth + 1]; depth++)
			;
		if (!crio && !is_listed(keys_of_theirs, v->path[depth])) {
			v->fate = KF_OURS_EITHER;
			return 0;
		}
	}
	if (!n || !kf_toml_same(doc, n, &mine, v->ours) || is_made_theirs(o, doc, n, our_layout))
		return 0;
	if (o->m->beside && o->before.root && has_more_than_ours(o, n->parent)) {
		was = kf_ours_find(o->before.root, v->path);
		text = o->m->before.p;
	} else {
		was = kf_ours_find(o->original.root, v->path);
		text = o->m->original.p;
	}
	if (was && kf_toml_same(&(struct kf_toml_doc){NULL, text}, was, &mine, v->ours))
		return 0; /* it had this value before us */
	v->fate = KF_OURS_BACK;
	v->back = was ? written_value(o, text, was) : NULL;
	return was && !v->back ? kf_fail_nomem(err, "merge") : 0;
}

/* Note that the handler @h is to be removed. */
static int add_handler(struct kf_ours *o, const struct kf_toml_node *h, struct kf_err *err)
{
	const char *path[KF_TOML_DEPTH_MAX + 1], **copy;
	size_t n = 0;

	if (o->nhandlers == HANDLERS_MAX || !kf_toml_path(h, path))
		return kf_fail(err, E2BIG, "%s: more than %d handlers of ours", o->m->name,
			       HANDLERS_MAX);
	if (!o->handlers)
		o->handlers = kf_arena_calloc(&o->arena, HANDLERS_MAX, sizeof(*o->handlers));
	while (path[n])
		n++;
	copy = kf_arena_calloc(&o->arena, n + 1, sizeof(*copy));
	if (!o->handlers || !copy)
		return kf_fail_nomem(err, "merge");
	for (size_t i = 0; i < n; i++)
		if (!(copy[i] = kf_arena_strdup(&o->arena, path[i])))
			return kf_fail_nomem(err, "merge");
	o->handlers[o->nhandlers++] = copy;
	return 0;
}

int kf_ours_decide(struct kf_ours *o, const struct kf_toml_doc *now, bool known, struct kf_err *err)
{
	bool handlers = kf_ours_next(o->ours.root, NULL) != NULL, found = known, layout;
	const struct kf_toml_node *h = NULL;

	o->nhandlers = 0;
	while ((h = next_handler(now->root, h))) {
		enum ours_verdict verdict = judge_handler(o, now, h);

		found = found || verdict != VERDICT_THEIRS;
		if (verdict == VERDICT_WHOLE && add_handler(o, h, err) < 0)
			return -1;
	}
	layout = in_our_layout(o, now);
	o->any = found;
	for (size_t i = 0; i < o->nvalues; i++) {
		/* Without a handler of ours the file was written anew, and is all theirs. */
		if (handlers && !found)
			o->values[i].fate = KF_OURS_KEEP;
		else if (decide_value(o, now, layout, &o->values[i], err) < 0)
			return -1;
		o->any = o->any || o->values[i].fate == KF_OURS_BACK;
	}
	return 0;
}

/* List every value of our text that the original does not have or has with another value. */
static int list_values(struct kf_ours *o, struct kf_err *err)
{
	const struct kf_toml_doc a = {o->original.root, o->m->original.p},
				 b = {o->ours.root, o->m->ours.p};
	size_t max = 0;

	for (const struct kf_toml_node *n = b.root; n; n = kf_toml_walk(n, b.root, true))
		max++;
	o->values = kf_arena_calloc(&o->arena, max + 1, sizeof(*o->values));
	if (!o->values)
		return kf_fail_nomem(err, "merge");
	for (const struct kf_toml_node *n = b.root; n;
	     n = kf_toml_walk(n, b.root, n->kind == KF_TOML_TABLE)) {
		const char *path[KF_TOML_DEPTH_MAX + 1];
		const struct kf_toml_node *was;
		struct kf_ours_value *v = &o->values[o->nvalues];
		size_t depth = 0;

		if (n->kind == KF_TOML_TABLE || !kf_toml_path(n, path))
			continue;
		was = kf_toml_find(a.root, path);
		if (was && kf_toml_same(&a, was, &b, n))
			continue;
		while (depth < KF_TOML_PATH_MAX && path[depth]) {
			v->path[depth] = path[depth];
			depth++;
		}
		if (path[depth])
			continue; /* it is deeper than anything that we set */
		v->ours = n;
		o->nvalues++;
	}
	return 0;
}

int kf_ours_open(const struct kf_merge *m, struct kf_ours *ret, struct kf_err *err)
{
	struct kf_ours o = {.m = m};
	int r;

	kf_arena_init(&o.arena, DECISION_MEMORY);
	r = kf_toml_parse(m->original.p, m->original.n, "what was kept", &o.original, err);
	if (r == 0)
		r = kf_toml_parse(m->ours.p, m->ours.n, "what was kept", &o.ours, err);
	if (r == 0 && m->before.p)
		r = kf_toml_parse(m->before.p, m->before.n, "what was kept", &o.before, err);
	if (r == 0)
		r = list_values(&o, err);
	if (r < 0) {
		kf_ours_done(&o);
		return -1;
	}
	*ret = o;
	return 0;
}

void kf_ours_done(struct kf_ours *o)
{
	if (o->original.root)
		kf_toml_done(&o->original);
	if (o->ours.root)
		kf_toml_done(&o->ours);
	if (o->before.root)
		kf_toml_done(&o->before);
	kf_arena_done(&o->arena);
}

static int add_ignored(struct kf_toml_want **at, const struct kf_toml_want *end,
		       const char *const *path, struct kf_err *err)
{
	size_t i = 0;

	if (*at == end)
		return kf_fail(err, E2BIG, "merge: too many values");
	for (; path[i]; i++) {
		if (i == KF_TOML_PATH_MAX)
			return kf_fail(err, E2BIG, "merge: path of more than %d keys",
				       KF_TOML_PATH_MAX);
		(*at)->path[i] = path[i];
	}
	(*at)->path[i] = NULL;
	++*at;
	return 0;
}

/* Whether @n of @d is what was decided for @v, which is @was in the document before. */
static bool is_fate(const struct kf_ours *o, const struct kf_ours_value *v,
		    const struct kf_toml_doc *now, const struct kf_toml_node *was,
		    const struct kf_toml_doc *d, const struct kf_toml_node *n)
{
	const struct kf_toml_node *original = kf_ours_find(o->original.root, v->path);
	bool kept = was ? n && kf_toml_same(now, was, d, n) : !n;
	bool back = original ? n && kf_toml_same(&(struct kf_toml_doc){o->original.root,
								       o->m->original.p},
						 original, d, n)
			     : !n;

	if (v->fate == KF_OURS_KEEP)
		return kept;
	if (v->fate == KF_OURS_BACK && o->m->beside)
		return true; /* only we set it there */
	return back || (v->fate == KF_OURS_EITHER && kept);
}

/* Whether @v, which was @was in @now and is @is in @after, was taken from a handler of @after that
 * we only spelled out: that stays as a whole or goes as a whole. */
static bool is_half_gone(const struct kf_ours *o, const struct kf_ours_value *v,
			 const struct kf_toml_doc *now, const struct kf_toml_node *was,
			 const struct kf_toml_doc *after, const struct kf_toml_node *is)
{
	const char *handler = v->path[handler_depth(v->path) - 1];
	const struct kf_toml_node *ours = find_handler(o->ours.root, handler);

	return ours && !is_guarded(ours) && find_handler(after->root, handler) && was &&
	       !(is && kf_toml_same(now, was, after, is));
}

int kf_ours_judge(const struct kf_ours *o, const struct kf_toml_doc *now,
		  const struct kf_toml_doc *after, struct kf_err *err)
{
	const size_t max = 2 * o->nvalues + o->nhandlers;
	KF_FREE struct kf_toml_want *list = calloc(max + 1, sizeof(*list));
	struct kf_toml_want *at = list, *end;
	const char *path[KF_TOML_DEPTH_MAX + 1];

	if (!list)
		return kf_fail_nomem(err, "merge");
	end = list + max;
	for (size_t i = 0; i < o->nhandlers; i++) {
		const struct kf_toml_node *h = kf_toml_find(after->root, o->handlers[i]);

		if (add_ignored(&at, end, o->handlers[i], err) < 0)
			return -1;
		if (h)
			return kf_fail(err, EBUSY, "handler '%s' is still ours", h->key);
	}
	for (size_t i = 0; i < o->nvalues; i++) {
		const struct kf_ours_value *v = &o->values[i];
		const struct kf_toml_node *was = kf_ours_find(now->root, v->path),
					  *is = kf_ours_find(after->root, v->path);

		if (add_ignored(&at, end, v->path, err) < 0 ||
		    (was && kf_toml_path(was, path) && add_ignored(&at, end, path, err) < 0))
			return -1;
		if (handler_depth(v->path) && v->fate == KF_OURS_EITHER
			    ? is_half_gone(o, v, now, was, after, is)
			    : !is_fate(o, v, now, was, after, is))
			return kf_fail(err, EBUSY,
				       "'%s' does not have the value that it was to have",
				       v->ours->key);
	}
	/* A file with any contents must keep its version. */
	if (kf_toml_get(now->root, "version") && !kf_toml_get(after->root, "version") &&
	    after->root->nchildren)
		return kf_fail(err, EBUSY, "'version' is lost");
	return kf_toml_compare(now, after, NULL, 0, list, (size_t)(at - list), err);
}
