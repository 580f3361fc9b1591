/* SPDX-License-Identifier: Apache-2.0 */
/* kf-profilec [NAME...]: runs while building; writes the built-in profiles' flat
 * texts as the C table kf_builtins, for programs that do not compile profiles.
 * With names, the texts of these, one after the other. */
#include "base/limits.h"
#include "policy/profile.h"

#include <stdio.h>

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

static void write_row(const char *name, const struct kf_compiled *compiled)
{
	printf("\t{\"%s\",\n", name);
	write_string(compiled->text);
	printf(",\n\t\t%zu},\n", compiled->n);
}

static void write_text(const char *name, const struct kf_compiled *compiled)
{
	(void)name;
	(void)fwrite(compiled->text, 1, compiled->n, stdout);
}

/* One profile; problems, warnings too, go to stderr. */
static int write_builtin(const struct kf_profile_library *library, const char *name,
			 void (*write)(const char *name, const struct kf_compiled *compiled))
{
	struct kf_buf messages = KF_BUF_INIT(1024 * 1024);
	struct kf_arena arena;
	struct kf_diags diags;
	struct kf_compiled compiled;
	struct kf_err err;
	int r;

	kf_arena_init(&arena, KF_LIMIT_PROFILE_MEMORY);
	kf_diags_init(&diags, &arena);
	r = kf_profile_compile(library, name, &arena, &diags, &compiled, &err);
	if (r == 0)
		write(name, &compiled);
	kf_diags_format(&diags, &messages);
	if (messages.n)
		fputs(messages.p, stderr);
	else if (r < 0)
		fprintf(stderr, "%s\n", err.msg);
	/* What we ship has nothing to complain about. */
	r = r < 0 || diags.n ? -1 : 0;
	kf_buf_done(&messages);
	kf_arena_done(&arena);
	return r;
}

int main(int argc, char **argv)
{
	const struct kf_profile_library library = {kf_profile_builtins, kf_nprofile_builtins};
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= write_builtin(&library, argv[i], write_text) < 0;
	if (argc > 1)
		return failed || fflush(stdout) != 0;
	printf("#include \"policy/flat.h\"\n\nconst struct kf_builtin kf_builtins[] = {\n");
	for (size_t i = 0; i < library.n; i++)
		failed |= write_builtin(&library, library.v[i].name, write_row) < 0;
	printf("};\nconst size_t kf_nbuiltins = %zu;\n", library.n);
	return failed || fflush(stdout) != 0;
}
