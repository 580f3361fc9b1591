/* SPDX-License-Identifier: Apache-2.0 */
/* kf-profilec [NAME...] runs while building.  It writes the built-in profiles' flat texts as the C
 * table kf_builtins, for programs that do not compile profiles; with names, the rules of these as
 * the launcher's tables (flat/builtin.h). */
#include "base/cleanup.h"
#include "base/limits.h"
#include "flat/builtin.h"
#include "profile/profile.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* The arguments of the rules of all policies, each once. */
struct args {
	char *at[UCHAR_MAX];
	size_t n;
};

static void write_string(const char *s)
{
	fputs("\t\t\"", stdout);
	for (; *s; s++) {
		if (*s == '\n')
			fputs(s[1] ? "\\n\"\n\t\t\"" : "\\n", stdout);
		else if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7F || *s == '"' ||
			 *s == '\\' || *s == '?')
			printf("\\%03o", (unsigned char)*s);
		else
			putchar(*s);
	}
	putchar('"');
}

static int write_row(const char *name, const struct kf_compiled *compiled, struct args *args)
{
	(void)args;
	printf("\t{\"%s\",\n", name);
	write_string(compiled->text);
	printf(",\n\t\t%zu},\n", compiled->n);
	return 0;
}

/* The place of @rule's argument in @args; it is added if it is not there. -1 if the tables cannot
 * hold the rule. */
static long place_argument(struct args *args, const struct kf_rule *rule)
{
	size_t i, at = 1; /* behind the empty argument */

	if (rule->verb || rule->soft || rule->hard || rule->port || (rule->arg && !*rule->arg))
		return -1;
	if (!rule->arg)
		return 0;
	for (i = 0; i < args->n && strcmp(args->at[i], rule->arg) != 0; i++)
		at += strlen(args->at[i]) + 1;
	if (i == KF_ARRAY_SIZE(args->at) || at > USHRT_MAX)
		return -1;
	if (i == args->n && !(args->at[args->n++] = strdup(rule->arg)))
		return -1;
	return (long)at;
}

/* A row of kf_builtin_policies. */
static int write_policy(const char *name, const struct kf_compiled *compiled, struct args *args)
{
	struct kf_policy policy;
	struct kf_err err;
	int r = 0;

	if (kf_policy_parse(compiled->text, compiled->n, &policy, &err) < 0) {
		fprintf(stderr, "%s: %s\n", name, err.msg);
		return -1;
	}
	printf("\t{\"%s\", %zu, {", name, policy.nrules);
	if (strlen(name) >= sizeof(((struct kf_builtin_policy *)NULL)->name)) {
		fprintf(stderr, "%s: too long a name for the launcher's tables\n", name);
		r = -1;
	}
	for (size_t i = 0; r == 0 && i < policy.nrules; i++) {
		const struct kf_rule *rule = &policy.rules[i];
		long at = place_argument(args, rule);

		if (at < 0 || policy.nrules > KF_BUILTIN_RULES_MAX ||
		    rule->line != i + KF_BUILTIN_FIRST_LINE) {
			fprintf(stderr, "%s, line %u: not for the launcher's tables\n", name,
				rule->line);
			r = -1;
		}
		printf("{%u, %u, %ld}, ", (unsigned)rule->kind, rule->access, at);
	}
	printf("}},\n");
	kf_policy_done(&policy);
	return r;
}

/* Compile and write one profile; problems, including warnings, go to stderr. */
static int write_builtin(const struct kf_profile_library *library, const char *name,
			 struct args *args,
			 int (*write)(const char *name, const struct kf_compiled *compiled,
				      struct args *args))
{
	struct kf_buf messages = KF_BUF_INIT(KF_DIAGS_TEXT);
	struct kf_arena arena;
	struct kf_diags diags;
	struct kf_compiled compiled;
	struct kf_err err;
	int r;

	kf_arena_init(&arena, KF_LIMIT_PROFILE_MEMORY);
	kf_diags_init(&diags, &arena);
	r = kf_profile_compile(library, name, &arena, &diags, &compiled, &err);
	if (r == 0)
		r = write(name, &compiled, args);
	kf_diags_format(&diags, &messages);
	if (messages.n)
		fputs(messages.p, stderr);
	else if (r < 0)
		fprintf(stderr, "%s\n", err.msg);
	/* A built-in profile must not even have warnings. */
	r = r < 0 || diags.n ? -1 : 0;
	kf_buf_done(&messages);
	kf_arena_done(&arena);
	return r;
}

static int write_launcher(const struct kf_profile_library *library, char *const *names)
{
	static struct args args;
	int failed = 0;

	printf("#include \"flat/builtin.h\"\n\n"
	       "const struct kf_builtin_policy kf_builtin_policies[] = {\n");
	for (; *names; names++)
		failed |= write_builtin(library, *names, &args, write_policy);
	printf("\t{\"\", 0, {{0, 0, 0}}},\n};\n\nconst char kf_builtin_args[] =\n\t\t\"\\0\"\n");
	for (size_t i = 0; i < args.n; i++) {
		write_string(args.at[i]);
		printf(" \"\\0\"\n");
	}
	printf("\t;\n");
	return failed;
}

static int write_table(const struct kf_profile_library *library)
{
	int failed = 0;

	printf("#include \"profile/builtin.h\"\n\nconst struct kf_builtin kf_builtins[] = {\n");
	for (size_t i = 0; i < library->n; i++)
		failed |= write_builtin(library, library->v[i].name, NULL, write_row);
	printf("};\nconst size_t kf_nbuiltins = %zu;\n", library->n);
	return failed;
}

int main(int argc, char **argv)
{
	const struct kf_profile_library library = {kf_profile_builtins, kf_nprofile_builtins};
	int failed = argc > 1 ? write_launcher(&library, argv + 1) : write_table(&library);

	return failed || fflush(stdout) != 0;
}
