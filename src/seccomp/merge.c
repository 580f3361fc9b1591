/* SPDX-License-Identifier: Apache-2.0 */
/* Intersection of two seccomp policies.
 *
 * For each system call a policy divides all possible arguments into cells, each
 * with one verdict: one cell per rule, less what stricter rules take from it,
 * and the rest, which gets the default.  Every pair of cells of both policies
 * that have arguments in common is a cell of the result, with the stricter
 * verdict.  What differs from the result's default becomes a rule. */
#include "base/cleanup.h"
#include "seccomp/cond.h"
#include "seccomp/internal.h"
#include "seccomp/seccomp.h"

#include <stdlib.h>
#include <string.h>

/* Cells of one system call; real policies have at most 30 (address families). */
#define CELLS_MAX  64
/* Comparisons of conditions in one intersection; a few thousand are normal.  System calls that come
 * after that many get the strictest verdict instead of an exact one. */
#define BUDGET_MAX (1000 * 1000)

/* Rules of one call that compare several arguments and have the same verdict; no real profile has
 * more than a few. libseccomp 2.5 takes exponential time for many such rules, and makes a wrong
 * filter of those with several verdicts. */
#define PAIRS_MAX  8

struct cell {
	struct kf_seccomp_verdict verdict;
	struct kf_cond cond;
};

struct cells {
	size_t n;
	/* Some cells are missing; their verdict is this one or a weaker one. */
	bool lost;
	struct kf_seccomp_verdict lost_verdict;
	struct cell c[CELLS_MAX];
};

/* One name of one rule; entries are sorted by name. */
struct rule_entry {
	const char *name;
	const struct kf_seccomp_rule *rule;
};

struct side {
	const struct kf_seccomp *policy;
	struct kf_seccomp_verdict otherwise; /* default */
	struct rule_entry *entries;
	size_t nentries;
	size_t at; /* first entry of the current name */
	size_t n;  /* its number of entries */
	struct cells cells;
};

/* A rule of the result, one name each. */
struct output {
	const char *name;
	struct kf_seccomp_verdict verdict;
	const struct kf_seccomp_arg *args;
	size_t nargs;
};

struct merge {
	struct kf_arena *arena;
	struct kf_seccomp_verdict otherwise;
	struct side a, b;
	struct cells rules, work, regions; /* the rules of a call; scratch; its result */
	bool mixed; /* the result of this call is not the same for all arguments */
	struct kf_seccomp_verdict first;
	bool any;
	size_t budget;
	struct output *out;
	size_t nout, out_cap;
};

static bool same_verdict(struct kf_seccomp_verdict a, struct kf_seccomp_verdict b)
{
	return kf_seccomp_action_compare(a.action, b.action) == 0 && a.data == b.data;
}

static bool is_stricter(struct kf_seccomp_verdict a, struct kf_seccomp_verdict b)
{
	return !same_verdict(a, b) && same_verdict(kf_seccomp_stricter(a, b), a);
}

static int compare_entries(const void *a, const void *b)
{
	const struct rule_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int side_init(struct side *side, const struct kf_seccomp *policy, struct kf_arena *arena,
		     struct kf_err *err)
{
	size_t n = 0;

	side->policy = policy;
	side->otherwise = kf_seccomp_verdict(policy->default_action, policy->has_default_errno,
					     policy->default_errno);
	for (size_t i = 0; i < policy->nrules; i++)
		n += policy->rules[i].nnames;
	side->entries = kf_arena_calloc(arena, n, sizeof(*side->entries));
	if (!side->entries)
		return kf_fail_nomem(err, "seccomp profile");
	for (size_t i = 0; i < policy->nrules; i++)
		for (size_t k = 0; k < policy->rules[i].nnames; k++)
			side->entries[side->nentries++] =
				(struct rule_entry){policy->rules[i].names[k], &policy->rules[i]};
	if (n)
		qsort(side->entries, n, sizeof(*side->entries), compare_entries);
	return 0;
}

/* Move to the entries of @name, if there are any; names only ever grow. */
static void side_seek(struct side *side, const char *name)
{
	side->at += side->n;
	side->n = 0;
	while (side->at + side->n < side->nentries &&
	       strcmp(side->entries[side->at + side->n].name, name) == 0)
		side->n++;
}

static struct kf_seccomp_verdict rule_verdict(const struct kf_seccomp_rule *rule)
{
	return kf_seccomp_verdict(rule->action, rule->has_errno, rule->errno_ret);
}

/* The verdict for the current name, if no condition decides. */
static bool constant_verdict(const struct side *side, struct kf_seccomp_verdict *ret)
{
	struct kf_seccomp_verdict v = side->otherwise;

	for (size_t i = 0; i < side->n; i++) {
		const struct kf_seccomp_rule *rule = side->entries[side->at + i].rule;

		if (rule->nargs)
			return false;
		v = i ? kf_seccomp_stricter(v, rule_verdict(rule)) : rule_verdict(rule);
	}
	*ret = v;
	return true;
}

/* The strictest verdict that this side can give for the current name. */
static struct kf_seccomp_verdict strictest_verdict(const struct side *side)
{
	struct kf_seccomp_verdict v = side->otherwise;

	for (size_t i = 0; i < side->n; i++)
		v = kf_seccomp_stricter(v, rule_verdict(side->entries[side->at + i].rule));
	return v;
}

/* Simplified @cond as a new cell of @cells, if it can be true at all.  False
 * when there is no room or no budget left. */
static bool add_cell(struct merge *m, struct cells *cells, const struct kf_cond *cond,
		     struct kf_seccomp_verdict verdict)
{
	struct cell *c = &cells->c[cells->n];

	if (cells->n == CELLS_MAX || !m->budget)
		return false;
	m->budget--;
	c->cond = *cond;
	c->verdict = verdict;
	if (kf_cond_simplify(&c->cond) != KF_COND_EMPTY)
		cells->n++;
	return true;
}

/* Add the conditions of one rule: one cell, or one for each comparison if the rule splits. */
static bool add_rule(struct merge *m, struct cells *cells, const struct kf_seccomp_rule *rule)
{
	bool split = kf_seccomp_rule_splits(rule), dead = false;
	struct kf_cond cond = {.n = 0};

	for (size_t i = 0; i < rule->nargs; i++) {
		struct kf_cmp cmp;
		size_t n = 0;
		bool never = false;

		kf_cmp_from_arg(&rule->args[i], &cmp, &n, &never);
		if (split)
			cond.n = 0;
		if (n && !never && !kf_cond_add(&cond, &cmp))
			return false;
		if (split && !never && !add_cell(m, cells, &cond, rule_verdict(rule)))
			return false;
		dead |= never;
	}
	return split || dead || add_cell(m, cells, &cond, rule_verdict(rule));
}

static bool are_disjoint(struct merge *m, const struct kf_cond *a, const struct kf_cond *b)
{
	struct kf_cond both = *a;

	for (size_t i = 0; i < b->n; i++)
		if (!kf_cond_add(&both, &b->c[i]))
			return false;
	if (m->budget)
		m->budget--;
	return kf_cond_simplify(&both) == KF_COND_EMPTY;
}

/* Append to @to the parts of the cells @from[0..n) where @minus does not hold. */
static bool subtract_cond(struct merge *m, const struct cell *from, size_t n,
			  const struct kf_cond *minus, struct cells *to)
{
	struct kf_cmp negated[64];

	for (size_t i = 0; i < n; i++) {
		if (are_disjoint(m, &from[i].cond, minus)) {
			if (!add_cell(m, to, &from[i].cond, from[i].verdict))
				return false;
			continue;
		}
		for (size_t k = 0; k < minus->n; k++) {
			size_t nnegated = kf_cmp_negate(&minus->c[k], negated);

			/* "Any of these bits differs" would need one rule for each bit, and
			 * libseccomp takes too long for such sets. */
			if (nnegated > 1)
				return false;
			for (size_t j = 0; j < nnegated; j++) {
				struct kf_cond cond = from[i].cond;

				if (!kf_cond_add(&cond, &negated[j]) ||
				    !add_cell(m, to, &cond, from[i].verdict))
					return false;
			}
		}
	}
	return true;
}

/* Append to @to what is left of @cond when all rules that are stricter than @verdict (with @all,
 * all rules) have taken their part. */
static bool add_remaining(struct merge *m, const struct kf_cond *cond,
			  struct kf_seccomp_verdict verdict, bool all, struct cells *to)
{
	struct cells *work = &m->work;

	work->n = 0;
	if (!add_cell(m, work, cond, verdict))
		return false;
	for (size_t i = 0; i < m->rules.n; i++) {
		const struct cell *rule = &m->rules.c[i];
		size_t end = work->n;

		if (!all && !is_stricter(rule->verdict, verdict))
			continue;
		if (!subtract_cond(m, work->c, end, &rule->cond, work))
			return false;
		/* Only the cells of the last round count; move them down to make room. */
		work->n -= end;
		memmove(work->c, work->c + end, work->n * sizeof(*work->c));
	}
	for (size_t i = 0; i < work->n; i++)
		if (!add_cell(m, to, &work->c[i].cond, verdict))
			return false;
	return true;
}

static void lose_cell(struct cells *cells, struct kf_seccomp_verdict verdict)
{
	cells->lost_verdict =
		cells->lost ? kf_seccomp_stricter(cells->lost_verdict, verdict) : verdict;
	cells->lost = true;
}

/* Divide the arguments of the current name into cells.  False if that is too complicated. */
static bool make_cells(struct merge *m, struct side *side)
{
	const struct kf_cond always = {.n = 0};

	m->rules.n = side->cells.n = 0;
	side->cells.lost = false;
	for (size_t i = 0; i < side->n; i++)
		if (!add_rule(m, &m->rules, side->entries[side->at + i].rule))
			return false;
	for (size_t i = 0; i < m->rules.n; i++)
		if (!add_remaining(m, &m->rules.c[i].cond, m->rules.c[i].verdict, false,
				   &side->cells))
			lose_cell(&side->cells, m->rules.c[i].verdict);
	if (!add_remaining(m, &always, side->otherwise, true, &side->cells))
		lose_cell(&side->cells, side->otherwise);
	return true;
}

/* Whether the cells that are missing of @side would have become rules.  Without a rule the call
 * gets the default, which is fine if that is at least as strict. */
static bool loss_matters(const struct merge *m, const struct side *side, const struct side *other)
{
	struct kf_seccomp_verdict v;

	if (!side->cells.lost)
		return false;
	v = kf_seccomp_stricter(side->cells.lost_verdict, strictest_verdict(other));
	return kf_seccomp_action_compare(v.action, m->otherwise.action) > 0;
}

/* Add a region to the result, unless another one with the same verdict covers it. */
static bool add_region(struct merge *m, const struct kf_cond *cond,
		       struct kf_seccomp_verdict verdict)
{
	struct cells *r = &m->regions;

	for (size_t i = 0; i < r->n; i++)
		if (same_verdict(r->c[i].verdict, verdict) && kf_cond_implies(cond, &r->c[i].cond))
			return true;
	for (size_t i = 0; i < r->n;) {
		if (same_verdict(r->c[i].verdict, verdict) && kf_cond_implies(&r->c[i].cond, cond))
			memmove(&r->c[i], &r->c[i + 1], (--r->n - i) * sizeof(r->c[0]));
		else
			i++;
	}
	return add_cell(m, r, cond, verdict);
}

/* Note whether all cells of a call end up with the same verdict. */
static void note_verdict(struct merge *m, struct kf_seccomp_verdict v)
{
	m->mixed |= m->any && !same_verdict(m->first, v);
	m->first = v;
	m->any = true;
}

/* Add the common part of two cells.  False if it has to be a rule and cannot be one. */
static bool join_cells(struct merge *m, const struct cell *x, const struct cell *y)
{
	struct kf_seccomp_verdict v = kf_seccomp_stricter(x->verdict, y->verdict);
	struct kf_cond both = x->cond;
	enum kf_cond_kind kind = KF_COND_EXACT;

	for (size_t i = 0; i < y->cond.n; i++)
		if (!kf_cond_add(&both, &y->cond.c[i]))
			kind = KF_COND_WIDE;
	if (kind == KF_COND_EXACT)
		kind = kf_cond_simplify(&both);
	if (kind == KF_COND_EMPTY)
		return true;
	note_verdict(m, v);
	if (same_verdict(v, m->otherwise))
		return true;
	if (kind == KF_COND_EXACT)
		return add_region(m, &both, v);
	/* Without a rule the default answers, as in loss_matters(). */
	return kf_seccomp_action_compare(v.action, m->otherwise.action) <= 0;
}

/* Whether libseccomp makes a right filter of the regions as rules. */
static bool fit_rules(const struct merge *m)
{
	size_t pairs = 0;
	bool alike = true;

	for (size_t i = 0; i < m->regions.n; i++) {
		pairs += m->regions.c[i].cond.n > 1;
		alike &= same_verdict(m->regions.c[i].verdict, m->regions.c[0].verdict);
	}
	return pairs <= (alike ? PAIRS_MAX : 0);
}

/* Drop the regions that are refused as the default is, with another errno: refused they are
 * without a rule, too.  No region that is allowed has a part of them. */
static void drop_errnos(struct merge *m)
{
	struct cells *r = &m->regions;
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		if (kf_seccomp_action_compare(r->c[i].verdict.action, m->otherwise.action) != 0)
			r->c[n++] = r->c[i];
	r->n = n;
}

/* Fill m->regions for the current name.  False if rules cannot express it. */
static bool join_sides(struct merge *m)
{
	m->regions.n = 0;
	m->any = false;
	if (!make_cells(m, &m->a) || !make_cells(m, &m->b) || loss_matters(m, &m->a, &m->b) ||
	    loss_matters(m, &m->b, &m->a))
		return false;
	m->mixed = m->a.cells.lost || m->b.cells.lost;
	for (size_t i = 0; i < m->a.cells.n; i++)
		for (size_t k = 0; k < m->b.cells.n; k++)
			if (!join_cells(m, &m->a.cells.c[i], &m->b.cells.c[k]))
				return false;
	if (!m->mixed && m->regions.n) {
		/* All regions together cover every argument: one rule without a condition. */
		m->regions.n = 1;
		m->regions.c[0].cond.n = 0;
	}
	if (fit_rules(m))
		return true;
	drop_errnos(m);
	return fit_rules(m);
}

static int add_output(struct merge *m, const char *name, struct kf_seccomp_verdict verdict,
		      const struct kf_cond *cond, struct kf_err *err)
{
	struct output *out;
	struct kf_seccomp_arg *args = NULL;
	const size_t nargs = cond ? cond->n : 0;

	if (m->nout == m->out_cap) {
		size_t cap = m->out_cap ? m->out_cap * 2 : 512;
		struct output *grown = kf_arena_calloc(m->arena, cap, sizeof(*grown));

		if (!grown)
			return kf_fail_nomem(err, "seccomp profile");
		if (m->nout)
			memcpy(grown, m->out, m->nout * sizeof(*grown));
		m->out = grown;
		m->out_cap = cap;
	}
	if (nargs) {
		args = kf_arena_calloc(m->arena, nargs, sizeof(*args));
		if (!args)
			return kf_fail_nomem(err, "seccomp profile");
		for (size_t i = 0; i < nargs; i++)
			kf_cmp_to_arg(&cond->c[i], &args[i]);
	}
	out = &m->out[m->nout++];
	*out = (struct output){name, verdict, args, nargs};
	return 0;
}

static int merge_name(struct merge *m, const char *name, struct kf_err *err)
{
	struct kf_seccomp_verdict va, vb;

	side_seek(&m->a, name);
	side_seek(&m->b, name);
	if (!constant_verdict(&m->a, &va) || !constant_verdict(&m->b, &vb)) {
		if (join_sides(m)) {
			for (size_t i = 0; i < m->regions.n; i++)
				if (add_output(m, name, m->regions.c[i].verdict,
					       &m->regions.c[i].cond, err) < 0)
					return -1;
			return 0;
		}
		/* Rules cannot express it: use the strictest verdict of each side. */
		va = strictest_verdict(&m->a);
		vb = strictest_verdict(&m->b);
	}
	va = kf_seccomp_stricter(va, vb);
	return same_verdict(va, m->otherwise) ? 0 : add_output(m, name, va, NULL, err);
}

static int merge_names(struct merge *m, struct kf_err *err)
{
	for (;;) {
		size_t a = m->a.at + m->a.n, b = m->b.at + m->b.n;
		const char *name = a < m->a.nentries ? m->a.entries[a].name : NULL;

		if (b < m->b.nentries && (!name || strcmp(m->b.entries[b].name, name) < 0))
			name = m->b.entries[b].name;
		if (!name)
			return 0;
		if (merge_name(m, name, err) < 0)
			return -1;
	}
}

/* Whether a rule has to name its errno; EPERM is the default. */
static bool says_errno(struct kf_seccomp_verdict v)
{
	return v.data != EPERM &&
	       (strcmp(v.action, "SCMP_ACT_ERRNO") == 0 || strcmp(v.action, "SCMP_ACT_TRACE") == 0);
}

/* Write the outputs as rules; names without a condition share one rule for each verdict. */
static int write_rules(const struct merge *m, struct kf_seccomp *ret, struct kf_err *err)
{
	struct kf_seccomp_rule *rules = kf_arena_calloc(m->arena, m->nout, sizeof(*rules));
	const char **names = kf_arena_calloc(m->arena, m->nout, sizeof(*names));
	bool *done = kf_arena_calloc(m->arena, m->nout, sizeof(*done));
	size_t nnames = 0, nrules = 0;

	if (!rules || !names || !done)
		return kf_fail_nomem(err, "seccomp profile");
	for (size_t i = 0; i < m->nout; i++) {
		const struct output *o = &m->out[i];
		struct kf_seccomp_rule *rule = &rules[nrules];

		if (done[i])
			continue;
		nrules++;
		rule->names = names + nnames;
		rule->action = o->verdict.action;
		rule->has_errno = says_errno(o->verdict);
		rule->errno_ret = rule->has_errno ? o->verdict.data : 0;
		rule->args = o->args;
		rule->nargs = o->nargs;
		for (size_t k = i; k < (o->nargs ? i + 1 : m->nout); k++) {
			if (k != i &&
			    (m->out[k].nargs || !same_verdict(m->out[k].verdict, o->verdict)))
				continue;
			names[nnames++] = m->out[k].name;
			rule->nnames++;
			done[k] = true;
		}
	}
	ret->rules = rules;
	ret->nrules = nrules;
	return 0;
}

static bool has_string(const char *const *list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], s) == 0)
			return true;
	return false;
}

/* Runtimes add this machine's architecture to every list. */
static bool has_arch(const struct kf_seccomp *policy, const char *arch)
{
	return strcmp(arch, KF_SECCOMP_ARCH_SCMP) == 0 ||
	       has_string(policy->architectures, policy->narchitectures, arch);
}

static int merge_header(const struct merge *m, struct kf_seccomp *ret, struct kf_err *err)
{
	static const char *const native[] = {KF_SECCOMP_ARCH_SCMP};
	const struct kf_seccomp *a = m->a.policy, *b = m->b.policy;
	const char **arches = kf_arena_calloc(m->arena, a->narchitectures + 1, sizeof(*arches));
	const char **flags = kf_arena_calloc(m->arena, a->nflags + b->nflags, sizeof(*flags));

	if (!arches || !flags)
		return kf_fail_nomem(err, "seccomp profile");
	arches[ret->narchitectures++] = native[0];
	for (size_t i = 0; i < a->narchitectures; i++)
		if (strcmp(a->architectures[i], native[0]) != 0 && has_arch(b, a->architectures[i]))
			arches[ret->narchitectures++] = a->architectures[i];
	/* SPEC_ALLOW switches a mitigation off (speculative stores): keep it only if both have it.
	 */
	for (size_t i = 0; i < a->nflags + b->nflags; i++) {
		const char *flag = i < a->nflags ? a->flags[i] : b->flags[i - a->nflags];

		if (strcmp(flag, "SECCOMP_FILTER_FLAG_SPEC_ALLOW") == 0 &&
		    !(has_string(a->flags, a->nflags, flag) &&
		      has_string(b->flags, b->nflags, flag)))
			continue;
		if (!has_string(flags, ret->nflags, flag))
			flags[ret->nflags++] = flag;
	}
	if (a->listener_path && b->listener_path && strcmp(a->listener_path, b->listener_path) != 0)
		return kf_fail(err, EINVAL,
			       "seccomp profiles name two listeners, '%.100s' and '%.100s'; a "
			       "process can have one",
			       a->listener_path, b->listener_path);
	ret->listener_path = a->listener_path ? a->listener_path : b->listener_path;
	ret->listener_metadata = a->listener_path ? a->listener_metadata : b->listener_metadata;
	ret->architectures = arches;
	ret->flags = flags;
	ret->default_action = m->otherwise.action;
	ret->has_default_errno = says_errno(m->otherwise);
	ret->default_errno = ret->has_default_errno ? m->otherwise.data : 0;
	return 0;
}

int kf_seccomp_intersect(const struct kf_seccomp *a, const struct kf_seccomp *b,
			 struct kf_arena *arena, struct kf_seccomp *ret, struct kf_err *err)
{
	KF_FREE struct merge *m = calloc(1, sizeof(*m));
	struct kf_seccomp result = {.nrules = 0};

	if (!m)
		return kf_fail_nomem(err, "seccomp profile");
	m->arena = arena;
	m->budget = BUDGET_MAX;
	if (side_init(&m->a, a, arena, err) < 0 || side_init(&m->b, b, arena, err) < 0)
		return -1;
	m->otherwise = kf_seccomp_stricter(m->a.otherwise, m->b.otherwise);
	if (merge_names(m, err) < 0 || merge_header(m, &result, err) < 0 ||
	    write_rules(m, &result, err) < 0)
		return -1;
	*ret = result;
	return 0;
}
