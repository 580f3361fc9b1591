/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions on the arguments of one system call: comparing, negating, simplifying. merge.c
 * combines whole policies with them; eval.c asks a policy about a single call. */
#include "seccomp/cond.h"

#include "base/cleanup.h"

#include <string.h>

bool kf_cmp_from_arg(const struct kf_seccomp_arg *arg, struct kf_cmp *ret, size_t *ret_n,
		     bool *ret_never)
{
	struct kf_cmp cmp = {.index = (uint8_t)arg->index, .value = arg->value};
	bool always = false, never = false;

	if (arg->index > 5)
		return false;
	if (strcmp(arg->op, "SCMP_CMP_EQ") == 0) {
		cmp.op = KF_CMP_EQ;
	} else if (strcmp(arg->op, "SCMP_CMP_NE") == 0) {
		cmp.op = KF_CMP_NE;
	} else if (strcmp(arg->op, "SCMP_CMP_LE") == 0) {
		cmp.op = KF_CMP_LE;
		always = arg->value == UINT64_MAX;
	} else if (strcmp(arg->op, "SCMP_CMP_LT") == 0) {
		cmp.op = KF_CMP_LE;
		cmp.value--;
		cmp.strict = true;
		never = arg->value == 0;
	} else if (strcmp(arg->op, "SCMP_CMP_GE") == 0) {
		cmp.op = KF_CMP_GE;
		always = arg->value == 0;
	} else if (strcmp(arg->op, "SCMP_CMP_GT") == 0) {
		cmp.op = KF_CMP_GE;
		cmp.value++;
		cmp.strict = true;
		never = arg->value == UINT64_MAX;
	} else if (strcmp(arg->op, "SCMP_CMP_MASKED_EQ") == 0) {
		cmp.op = KF_CMP_MASKED;
		cmp.mask = arg->value;
		/* libseccomp ignores the bits outside of the mask. */
		cmp.value = arg->value_two & arg->value;
		always = cmp.mask == 0;
	} else {
		return false;
	}
	*ret = cmp;
	*ret_n = always ? 0 : 1;
	*ret_never = never;
	return true;
}

void kf_cmp_to_arg(const struct kf_cmp *cmp, struct kf_seccomp_arg *ret)
{
	static const char *const ops[] = {
		[KF_CMP_EQ] = "SCMP_CMP_EQ",
		[KF_CMP_NE] = "SCMP_CMP_NE",
		[KF_CMP_LE] = "SCMP_CMP_LE",
		[KF_CMP_GE] = "SCMP_CMP_GE",
		[KF_CMP_MASKED] = "SCMP_CMP_MASKED_EQ",
	};

	*ret = (struct kf_seccomp_arg){.index = cmp->index, .value = cmp->value};
	ret->op = ops[cmp->op];
	if (cmp->strict && cmp->op == KF_CMP_LE) {
		ret->op = "SCMP_CMP_LT";
		ret->value++;
	} else if (cmp->strict && cmp->op == KF_CMP_GE) {
		ret->op = "SCMP_CMP_GT";
		ret->value--;
	}
	if (cmp->op == KF_CMP_MASKED) {
		ret->value = cmp->mask;
		ret->value_two = cmp->value;
	}
}

static bool value_holds(const struct kf_cmp *cmp, uint64_t arg)
{
	switch (cmp->op) {
	case KF_CMP_EQ:
		return arg == cmp->value;
	case KF_CMP_NE:
		return arg != cmp->value;
	case KF_CMP_LE:
		return arg <= cmp->value;
	case KF_CMP_GE:
		return arg >= cmp->value;
	default:
		return (arg & cmp->mask) == cmp->value;
	}
}

bool kf_cmp_holds(const struct kf_cmp *cmp, const uint64_t args[6])
{
	return value_holds(cmp, args[cmp->index]);
}

bool kf_cond_add(struct kf_cond *cond, const struct kf_cmp *cmp)
{
	for (size_t i = 0; i < cond->n; i++) {
		const struct kf_cmp *c = &cond->c[i];

		if (c->index == cmp->index && c->op == cmp->op && c->value == cmp->value &&
		    c->mask == cmp->mask)
			return true;
	}
	if (cond->n == KF_COND_MAX)
		return false;
	cond->c[cond->n++] = *cmp;
	return true;
}

/* Everything that a condition says of one argument. */
struct range {
	uint64_t low, high; /* both included */
	bool low_strict, high_strict;
	uint64_t mask, value; /* (arg & mask) == value */
	bool empty;
	size_t nholes;
	uint64_t holes[KF_COND_MAX]; /* values that it cannot have */
};

static void add_to_range(struct range *r, const struct kf_cmp *cmp)
{
	uint64_t common;

	switch (cmp->op) {
	case KF_CMP_NE:
		r->holes[r->nholes++] = cmp->value;
		return;
	case KF_CMP_LE:
		if (cmp->value < r->high) {
			r->high = cmp->value;
			r->high_strict = cmp->strict;
		}
		return;
	case KF_CMP_GE:
		if (cmp->value > r->low) {
			r->low = cmp->value;
			r->low_strict = cmp->strict;
		}
		return;
	default:
		common = cmp->op == KF_CMP_EQ ? UINT64_MAX : cmp->mask;
		if ((r->mask & common & (r->value ^ cmp->value)) != 0)
			r->empty = true;
		r->mask |= common;
		r->value |= cmp->value;
		return;
	}
}

static bool in_range(const struct range *r, uint64_t arg)
{
	for (size_t i = 0; i < r->nholes; i++)
		if (r->holes[i] == arg)
			return false;
	return arg >= r->low && arg <= r->high && (arg & r->mask) == r->value;
}

/* Move the bounds past holes that touch them; keep only the holes inside. */
static void trim_range(struct range *r)
{
	bool moved = true;
	size_t n = 0;

	while (moved && r->low < r->high) {
		moved = false;
		for (size_t i = 0; i < r->nholes && r->low < r->high; i++) {
			if (r->holes[i] == r->low) {
				r->low++;
				moved = true;
			} else if (r->holes[i] == r->high) {
				r->high--;
				moved = true;
			}
		}
	}
	for (size_t i = 0; i < r->nholes; i++)
		if (r->holes[i] > r->low && r->holes[i] < r->high &&
		    (r->holes[i] & r->mask) == r->value)
			r->holes[n++] = r->holes[i];
	/* With a mask the least possible value is @value, and the greatest has all bits outside of
	 * the mask set: bounds beyond these say nothing. */
	if (r->low > (r->value | ~r->mask) || r->high < r->value || r->low > r->high)
		r->empty = true;
	if (r->mask && r->low <= r->value)
		r->low = 0;
	if (r->mask && r->high >= (r->value | ~r->mask))
		r->high = UINT64_MAX;
	if (r->low == r->high || r->mask == UINT64_MAX) {
		uint64_t only = r->mask == UINT64_MAX ? r->value : r->low;

		r->empty |= !in_range(r, only);
		r->low = r->high = only;
		r->nholes = 0;
		return;
	}
	r->nholes = n;
}

/* Append to @cond the comparisons that describe @r; returns their number. */
static size_t write_range(const struct range *r, uint8_t index, struct kf_cond *cond)
{
	size_t before = cond->n;

	if (r->low == r->high) {
		kf_cond_add(cond, &(struct kf_cmp){index, KF_CMP_EQ, false, r->low, 0});
		return 1;
	}
	if (r->mask)
		kf_cond_add(cond, &(struct kf_cmp){index, KF_CMP_MASKED, false, r->value, r->mask});
	if (r->low > 0)
		kf_cond_add(cond, &(struct kf_cmp){index, KF_CMP_GE, r->low_strict, r->low, 0});
	if (r->high < UINT64_MAX)
		kf_cond_add(cond, &(struct kf_cmp){index, KF_CMP_LE, r->high_strict, r->high, 0});
	for (size_t i = 0; i < r->nholes; i++)
		kf_cond_add(cond, &(struct kf_cmp){index, KF_CMP_NE, false, r->holes[i], 0});
	return cond->n - before;
}

enum kf_cond_kind kf_cond_simplify(struct kf_cond *cond)
{
	struct kf_cond out = {.n = 0};
	enum kf_cond_kind kind = KF_COND_EXACT;

	for (uint8_t index = 0; index < 6; index++) {
		struct range r = {.high = UINT64_MAX};

		for (size_t i = 0; i < cond->n; i++)
			if (cond->c[i].index == index)
				add_to_range(&r, &cond->c[i]);
		trim_range(&r);
		if (r.empty)
			return KF_COND_EMPTY;
		if (write_range(&r, index, &out) > 1)
			kind = KF_COND_WIDE;
	}
	*cond = out;
	return kind;
}

size_t kf_cmp_negate(const struct kf_cmp *cmp, struct kf_cmp ret[static 64])
{
	size_t n = 0;

	if (cmp->op != KF_CMP_MASKED) {
		static const uint8_t opposite[] = {
			[KF_CMP_EQ] = KF_CMP_NE,
			[KF_CMP_NE] = KF_CMP_EQ,
			[KF_CMP_LE] = KF_CMP_GE,
			[KF_CMP_GE] = KF_CMP_LE,
		};

		ret[0] = *cmp;
		ret[0].op = opposite[cmp->op];
		ret[0].strict = !cmp->strict;
		/* Comparisons that always hold were dropped before, so neither of these can wrap.
		 */
		if (cmp->op == KF_CMP_LE)
			ret[0].value++;
		else if (cmp->op == KF_CMP_GE)
			ret[0].value--;
		return 1;
	}
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t mask = UINT64_C(1) << bit;

		if (cmp->mask & mask)
			ret[n++] = (struct kf_cmp){cmp->index, KF_CMP_MASKED, false,
						   (cmp->value & mask) ^ mask, mask};
	}
	return n;
}

bool kf_cond_implies(const struct kf_cond *a, const struct kf_cond *b)
{
	struct kf_cmp negated[64];

	for (size_t i = 0; i < b->n; i++) {
		size_t n = kf_cmp_negate(&b->c[i], negated);

		for (size_t k = 0; k < n; k++) {
			struct kf_cond both = *a;

			if (!kf_cond_add(&both, &negated[k]) ||
			    kf_cond_simplify(&both) != KF_COND_EMPTY)
				return false;
		}
	}
	return true;
}
