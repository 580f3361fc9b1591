/* SPDX-License-Identifier: Apache-2.0 */
/* The output of "kubefence seccomp": policies, differences and explanations, as text and as JSON.
 */
#include "kubefence/seccomp/text.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What is said about one system call, or one rule. */
#define TEXT_MAX (64 * 1024)

/* Add the answer in words: "allow", "EPERM", "kill-process" ... */
static void add_answer(struct kf_buf *buf, const char *action, bool has_errno, uint32_t number)
{
	static const char *const words[][2] = {
		{"SCMP_ACT_ALLOW", "allow"},
		{"SCMP_ACT_LOG", "log"},
		{"SCMP_ACT_TRACE", "trace"},
		{"SCMP_ACT_NOTIFY", "notify"},
		{"SCMP_ACT_TRAP", "SIGSYS"},
		{"SCMP_ACT_KILL", "kill-thread"},
		{"SCMP_ACT_KILL_THREAD", "kill-thread"},
		{"SCMP_ACT_KILL_PROCESS", "kill-process"},
	};

	if (strcmp(action, "SCMP_ACT_ERRNO") == 0) {
		int code = has_errno ? (int)number : EPERM;
		const char *name = strerrorname_np(code);

		if (name)
			kf_buf_adds(buf, name);
		else
			kf_buf_addf(buf, "errno %d", code);
		return;
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(words); i++)
		if (strcmp(action, words[i][0]) == 0)
			kf_buf_adds(buf, words[i][1]);
}

static void add_default(struct kf_buf *buf, const struct kf_seccomp *policy)
{
	add_answer(buf, policy->default_action, policy->has_default_errno, policy->default_errno);
}

static void add_condition(struct kf_buf *buf, const struct kf_seccomp_arg *arg)
{
	static const char *const ops[][2] = {
		{"SCMP_CMP_EQ", "=="}, {"SCMP_CMP_NE", "!="}, {"SCMP_CMP_LT", "<"},
		{"SCMP_CMP_LE", "<="}, {"SCMP_CMP_GT", ">"},  {"SCMP_CMP_GE", ">="},
	};

	if (strcmp(arg->op, "SCMP_CMP_MASKED_EQ") == 0) {
		kf_buf_addf(buf, "arg%u & %#" PRIx64 " == %#" PRIx64, arg->index, arg->value,
			    arg->value_two);
		return;
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(ops); i++)
		if (strcmp(arg->op, ops[i][0]) == 0)
			kf_buf_addf(buf, "arg%u %s %#" PRIx64, arg->index, ops[i][1], arg->value);
}

static void add_rule(struct kf_buf *buf, const struct kf_seccomp_rule *rule)
{
	add_answer(buf, rule->action, rule->has_errno, rule->errno_ret);
	for (size_t i = 0; i < rule->nargs; i++) {
		kf_buf_adds(buf, i ? " and " : " if ");
		add_condition(buf, &rule->args[i]);
	}
}

bool kf_seccomp_text_names(const struct kf_seccomp_rule *rule, const char *call)
{
	for (size_t i = 0; i < rule->nnames; i++)
		if (strcmp(rule->names[i], call) == 0)
			return true;
	return false;
}

/* Add everything that @policy says about @call, as in "allow if arg0 == 1, else EPERM". */
static void add_call(struct kf_buf *buf, const struct kf_seccomp *policy, const char *call)
{
	bool any = false;

	for (size_t i = 0; i < policy->nrules; i++) {
		if (!kf_seccomp_text_names(&policy->rules[i], call))
			continue;
		if (any)
			kf_buf_adds(buf, ", ");
		any = true;
		add_rule(buf, &policy->rules[i]);
		if (!policy->rules[i].nargs)
			return;
	}
	if (any)
		kf_buf_adds(buf, ", else ");
	add_default(buf, policy);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All calls that @a or @b (may be NULL) name, sorted, each once. */
static const char **all_calls(const struct kf_seccomp *a, const struct kf_seccomp *b, size_t *ret_n)
{
	const struct kf_seccomp *const policies[] = {a, b};
	const char **names;
	size_t n = 0, unique = 0;

	for (size_t p = 0; p < 2 && policies[p]; p++)
		for (size_t i = 0; i < policies[p]->nrules; i++)
			n += policies[p]->rules[i].nnames;
	names = calloc(n + 1, sizeof(*names));
	if (!names)
		return NULL;
	n = 0;
	for (size_t p = 0; p < 2 && policies[p]; p++)
		for (size_t i = 0; i < policies[p]->nrules; i++)
			for (size_t k = 0; k < policies[p]->rules[i].nnames; k++)
				names[n++] = policies[p]->rules[i].names[k];
	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 0; i < n; i++)
		if (!unique || strcmp(names[unique - 1], names[i]) != 0)
			names[unique++] = names[i];
	*ret_n = unique;
	return names;
}

/* Print words separated by blanks, in lines of at most 80 characters behind a tab. */
static void print_words(struct kf_buf *out, const struct kf_seccomp_rule *rule)
{
	size_t column = 0;

	for (size_t i = 0; i < rule->nnames; i++) {
		size_t n = strlen(rule->names[i]);

		if (column && column + 1 + n > 72) {
			kf_buf_adds(out, "\n");
			column = 0;
		}
		kf_buf_addf(out, "%s%s", column ? " " : "\t", rule->names[i]);
		column += n + 1;
	}
	kf_buf_adds(out, "\n");
}

void kf_seccomp_text_show(struct kf_buf *out, const struct kf_seccomp *policy, const char *name,
			  const char *arch)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf buf = KF_BUF_INIT(TEXT_MAX);

	add_default(&buf, policy);
	kf_buf_addf(out, "%s (%s): %s, except\n", name, arch, buf.p);
	for (size_t i = 0; i < policy->nrules; i++) {
		kf_buf_reset(&buf);
		add_rule(&buf, &policy->rules[i]);
		kf_buf_addf(out, "%s\n", buf.p);
		print_words(out, &policy->rules[i]);
	}
}

/* Set obj[key] to the text of @buf, which is copied; false when out of memory. */
static bool put_text(struct json_object *obj, const char *key, const struct kf_buf *buf)
{
	struct json_object *text = buf->failed ? NULL : json_object_new_string(buf->p);

	if (text && json_object_object_add(obj, key, text) == 0)
		return true;
	json_object_put(text);
	return false;
}

static bool put_string(struct json_object *obj, const char *key, const char *value)
{
	struct json_object *text = json_object_new_string(value);

	if (text && json_object_object_add(obj, key, text) == 0)
		return true;
	json_object_put(text);
	return false;
}

static struct json_object *drop_json(struct json_object *obj)
{
	json_object_put(obj);
	return NULL;
}

static struct json_object *header_json(const struct kf_seccomp *policy, const char *name,
				       const char *arch)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf buf = KF_BUF_INIT(TEXT_MAX);
	struct json_object *obj = json_object_new_object();

	add_default(&buf, policy);
	if (!obj || !put_string(obj, "name", name) || !put_string(obj, "arch", arch) ||
	    !put_text(obj, "default", &buf))
		return drop_json(obj);
	return obj;
}

struct json_object *kf_seccomp_text_json(const struct kf_seccomp *policy, const char *name,
					 const char *arch)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf buf = KF_BUF_INIT(TEXT_MAX);
	struct json_object *obj = header_json(policy, name, arch);
	struct json_object *calls = json_object_new_object();
	size_t n = 0;
	KF_FREE const char **names = all_calls(policy, NULL, &n);

	if (!obj || !calls || !names || json_object_object_add(obj, "syscalls", calls) != 0) {
		json_object_put(calls);
		return drop_json(obj);
	}
	for (size_t i = 0; i < n; i++) {
		kf_buf_reset(&buf);
		add_call(&buf, policy, names[i]);
		if (!put_text(calls, names[i], &buf))
			return drop_json(obj);
	}
	return obj;
}

/* A call that the two policies answer differently, with both answers. */
struct difference {
	const char *name, *a, *b;
};

static const char *call_text(const struct kf_seccomp *policy, const char *call,
			     struct kf_arena *arena)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf buf = KF_BUF_INIT(TEXT_MAX);

	add_call(&buf, policy, call);
	return buf.failed ? NULL : kf_arena_strdup(arena, buf.p);
}

static int find_differences(const struct kf_seccomp *a, const struct kf_seccomp *b,
			    struct kf_arena *arena, struct difference **ret, size_t *ret_n)
{
	size_t n = 0, nfound = 0;
	KF_FREE const char **names = all_calls(a, b, &n);
	struct difference *found = kf_arena_calloc(arena, n, sizeof(*found));

	if (!names || !found)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct difference d = {names[i], call_text(a, names[i], arena),
				       call_text(b, names[i], arena)};

		if (!d.a || !d.b)
			return -1;
		if (strcmp(d.a, d.b) != 0)
			found[nfound++] = d;
	}
	*ret = found;
	*ret_n = nfound;
	return 0;
}

int kf_seccomp_text_diff(struct kf_buf *out, const struct kf_seccomp *a, const char *name_a,
			 const struct kf_seccomp *b, const char *name_b, struct kf_arena *arena)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf da = KF_BUF_INIT(TEXT_MAX);
	KF_CLEANUP(kf_buf_done) struct kf_buf db = KF_BUF_INIT(TEXT_MAX);
	struct difference *d = NULL;
	size_t n = 0;

	if (find_differences(a, b, arena, &d, &n) < 0)
		return -1;
	add_default(&da, a);
	add_default(&db, b);
	kf_buf_addf(out, "- %s\n+ %s\n", name_a, name_b);
	if (strcmp(da.p, db.p) != 0)
		kf_buf_addf(out, "\ndefault\n\t- %s\n\t+ %s\n", da.p, db.p);
	for (size_t i = 0; i < n; i++)
		kf_buf_addf(out, "\n%s\n\t- %s\n\t+ %s\n", d[i].name, d[i].a, d[i].b);
	return 0;
}

struct json_object *kf_seccomp_text_diff_json(const struct kf_seccomp *a,
					      const struct kf_seccomp *b, struct kf_arena *arena)
{
	struct json_object *obj = json_object_new_object();
	struct difference *d = NULL;
	size_t n = 0;

	if (!obj || find_differences(a, b, arena, &d, &n) < 0)
		return drop_json(obj);
	for (size_t i = 0; i < n; i++) {
		struct json_object *pair = json_object_new_array();

		if (!pair || json_object_object_add(obj, d[i].name, pair) != 0) {
			json_object_put(pair);
			return drop_json(obj);
		}
		if (json_object_array_add(pair, json_object_new_string(d[i].a)) != 0 ||
		    json_object_array_add(pair, json_object_new_string(d[i].b)) != 0)
			return drop_json(obj);
	}
	return obj;
}

/* Add the answer to this call, or to any call of that name. */
static void add_explained(struct kf_buf *buf, const struct kf_seccomp *only,
			  const struct kf_seccomp_call *call, bool has_args)
{
	if (has_args) {
		struct kf_seccomp_verdict v = kf_seccomp_eval(only, call);

		add_answer(buf, v.action, true, v.data);
	} else {
		add_call(buf, only, call->name);
	}
}

void kf_seccomp_text_explain(struct kf_buf *out, const struct kf_seccomp *only, const char *name,
			     const char *arch, const struct kf_seccomp_call *call, bool has_args)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf buf = KF_BUF_INIT(TEXT_MAX);

	add_explained(&buf, only, call, has_args);
	kf_buf_addf(out, "%s under %s (%s): %s\n", call->name, name, arch, buf.p);
	for (size_t i = 0; i < only->nrules; i++) {
		kf_buf_reset(&buf);
		add_rule(&buf, &only->rules[i]);
		kf_buf_addf(out, "\trule: %s\n", buf.p);
	}
	kf_buf_reset(&buf);
	add_default(&buf, only);
	kf_buf_addf(out, "\t%s: %s\n",
		    only->nrules ? "else" : "no rule names it, so the default holds", buf.p);
}

struct json_object *kf_seccomp_text_explain_json(const struct kf_seccomp *only, const char *name,
						 const char *arch,
						 const struct kf_seccomp_call *call, bool has_args)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf buf = KF_BUF_INIT(TEXT_MAX);
	struct json_object *obj = header_json(only, name, arch);
	struct json_object *rules = json_object_new_array();

	add_explained(&buf, only, call, has_args);
	if (!obj || !rules || json_object_object_add(obj, "rules", rules) != 0) {
		json_object_put(rules);
		return drop_json(obj);
	}
	if (!put_string(obj, "syscall", call->name) || !put_text(obj, "answer", &buf))
		return drop_json(obj);
	for (size_t i = 0; i < only->nrules; i++) {
		kf_buf_reset(&buf);
		add_rule(&buf, &only->rules[i]);
		if (json_object_array_add(rules, json_object_new_string(buf.p)) != 0)
			return drop_json(obj);
	}
	return obj;
}
