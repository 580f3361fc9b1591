/* SPDX-License-Identifier: Apache-2.0 */
/* Completion: what can come next on a command line, from the tables that also parse it, and the
 * lines that a shell reads to ask for it. */
#include "cli/complete.h"

#include "base/cleanup.h"
#include "cli/print.h"

#include <stdio.h>
#include <string.h>

const char *(*kf_command_profiles)(size_t i);

/* All that can come next: names of commands, options or profiles, one a line. */
#define ANSWER_MAX (256 * 1024)

static void add_candidate(struct kf_buf *out, const char *last, const char *word, const char *help)
{
	if (strncmp(word, last, strlen(last)) == 0)
		kf_buf_addf(out, "%s\t%s\n", word, help);
}

static void add_words(struct kf_buf *out, const char *last, const char *words)
{
	char word[64];

	for (const char *at = words; *at; at += strspn(at, "|")) {
		size_t n = strcspn(at, "|");

		(void)snprintf(word, sizeof(word), "%.*s", (int)n, at);
		add_candidate(out, last, word, "");
		at += n;
	}
}

/* Add what can stand for an option's or an argument's value that is called @value. */
static void add_value(struct kf_buf *out, const char *last, const char *value)
{
	const char *name;

	if (strncmp(value, "PROFILE", 7) == 0) {
		for (size_t i = 0; kf_command_profiles && (name = kf_command_profiles(i)); i++)
			add_candidate(out, last, name, "profile");
		kf_buf_adds(out, ":files\n");
	} else if (strncmp(value, "DIR", 3) == 0) {
		kf_buf_adds(out, ":dirs\n");
	} else if (strncmp(value, "FILE", 4) == 0 || strncmp(value, "PATH", 4) == 0) {
		kf_buf_adds(out, ":files\n");
	} else if (strchr(value, '|')) {
		add_words(out, last, value);
	}
}

static void add_options(struct kf_buf *out, const char *last, const struct kf_option *table)
{
	char word[64];

	for (const struct kf_option *o = table; o && o->name; o++) {
		(void)snprintf(word, sizeof(word), "--%s", o->name);
		add_candidate(out, last, word, o->help);
	}
	add_candidate(out, last, "--help", "what there is to say about it");
}

static void add_commands(struct kf_buf *out, const char *last, const struct kf_command *c,
			 bool is_root)
{
	for (const struct kf_command *const *next = c->commands; *next; next++)
		if (!(*next)->hidden)
			add_candidate(out, last, (*next)->name, (*next)->summary);
	add_candidate(out, last, "help", "about a command");
	if (!is_root)
		return;
	add_candidate(out, last, "version", "which one this is");
	add_candidate(out, last, "completion", "for bash, zsh or fish");
}

/* What the shell knows itself: said by the last of the lines. */
static const struct {
	const char *line;
	int directive; /* kubectl's word for it, which is Cobra's */
} shells_own[] = {{":files\n", 0}, {":dirs\n", 16}, {"", 4}};

static void find_candidates(const struct kf_command *root, int n, char **words, struct kf_buf *out)
{
	const struct kf_command *c = root;
	const struct kf_option *waits = NULL; /* this option waits for its value */
	const char *last = n > 0 ? words[n - 1] : "";
	bool done = false; /* no options follow: "--" was seen */

	for (int i = 0; i + 1 < n; i++) {
		const struct kf_command *const *next = c->commands;

		if (waits) {
			waits = NULL;
			continue;
		}
		if (!done && words[i][0] == '-') {
			const struct kf_option *o = kf_options_find(c->options, words[i]);

			done = strcmp(words[i], "--") == 0;
			if (o && o->value && !strchr(words[i], '='))
				waits = o;
			continue;
		}
		while (next && *next && strcmp((*next)->name, words[i]) != 0)
			next++;
		if (next && *next)
			c = *next;
		else if (strcmp(words[i], "help") != 0 || c != root)
			done = done || c->style != KF_OPTIONS_GNU;
	}
	if (waits)
		add_value(out, last, waits->value);
	else if (!done && *last == '-')
		add_options(out, last, c->options);
	else if (c->commands)
		add_commands(out, last, c, c == root);
	else if (done && c->style == KF_OPTIONS_STOP)
		kf_buf_adds(out, ":files\n");
	else if (c->arguments)
		add_value(out, last, c->arguments);
}

int kf_complete_words(const struct kf_command *root, int n, char **words)
{
	struct kf_buf out = KF_BUF_INIT(ANSWER_MAX);

	find_candidates(root, n, words, &out);
	return kf_command_print(&out, KF_EXIT_OK);
}

int kf_complete_kubectl(const struct kf_command *root, int n, char **words)
{
	struct kf_buf found = KF_BUF_INIT(ANSWER_MAX), out = KF_BUF_INIT(ANSWER_MAX);
	const char *text;
	size_t i = 0, own;

	find_candidates(root, n, words, &found);
	text = found.n ? found.p : "";
	for (;; i++) {
		own = strlen(shells_own[i].line);
		if (found.n >= own && strcmp(text + found.n - own, shells_own[i].line) == 0)
			break;
	}
	kf_buf_add(&out, text, found.n - own);
	kf_buf_addf(&out, ":%d\n", shells_own[i].directive);
	out.failed |= found.failed;
	kf_buf_done(&found);
	return kf_command_print(&out, KF_EXIT_OK);
}

/* ---- the shells' lines: "%" stands for what the program is called ---- */

static const char bash[] = "# Completion of % for bash.\n"
			   "_%() {\n"
			   "	local cur=${COMP_WORDS[COMP_CWORD]} line\n"
			   "	COMPREPLY=()\n"
			   "	while IFS=$'\\t' read -r line _; do\n"
			   "		case $line in\n"
			   "		:files) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < "
			   "<(compgen -f -- \"$cur\") ;;\n"
			   "		:dirs) mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < "
			   "<(compgen -d -- \"$cur\") ;;\n"
			   "		*) COMPREPLY+=(\"$line\") ;;\n"
			   "		esac\n"
			   "	done < <(\"${COMP_WORDS[0]}\" " KF_COMPLETE_COMMAND
			   " \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
			   "}\n"
			   "complete -o filenames -F _% %\n";

static const char zsh[] =
	"#compdef %\n"
	"# Completion of % for zsh.\n"
	"_%() {\n"
	"	local line files= dirs=\n"
	"	local -a candidates\n"
	"	while IFS=$'\\n' read -r line; do\n"
	"		case $line in\n"
	"		:files) files=1 ;;\n"
	"		:dirs) dirs=1 ;;\n"
	"		*) candidates+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
	"		esac\n"
	"	done < <(\"${words[1]}\" " KF_COMPLETE_COMMAND
	" \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
	"	((${#candidates})) && _describe % candidates\n"
	"	[[ -n $files ]] && _files\n"
	"	[[ -n $dirs ]] && _files -/\n"
	"}\n"
	"# Read from fpath, this is the function's first call; read by source, it only is "
	"defined.\n"
	"if [[ $funcstack[1] == _% ]]; then\n"
	"	_% \"$@\"\n"
	"else\n"
	"	compdef _% %\n"
	"fi\n";

static const char fish[] =
	"# Completion of % for fish.\n"
	"function __%_complete\n"
	"	set -l words (commandline -opc) (commandline -ct)\n"
	"	for line in ($words[1] " KF_COMPLETE_COMMAND " $words[2..-1] 2>/dev/null)\n"
	"		switch $line\n"
	"			case :files\n"
	"				__fish_complete_path (commandline -ct)\n"
	"			case :dirs\n"
	"				__fish_complete_directories (commandline -ct)\n"
	"			case '*'\n"
	"				echo $line\n"
	"		end\n"
	"	end\n"
	"end\n"
	"complete -c % -f -a '(__%_complete)'\n";

static const struct {
	const char *shell, *text;
} scripts[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

int kf_complete_script(const struct kf_command *root, int argc, char **argv)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(ANSWER_MAX);
	const char *shell = argc == 2 ? argv[1] : "";
	/* kubectl asks a program of another name for a plugin's completion; that name is not ours
	 * to complete, but "kubectl-nono" is. */
	const char *name = strchr(root->name, ' ') ? "kubectl-nono" : root->name;

	for (size_t i = 0; i < KF_ARRAY_SIZE(scripts); i++) {
		if (strcmp(scripts[i].shell, shell) != 0)
			continue;
		for (const char *at = scripts[i].text; *at; at++) {
			if (at[0] == '%' && at[1] == '%')
				kf_buf_add(&out, at++, 2);
			else if (*at == '%')
				kf_buf_adds(&out, name);
			else
				kf_buf_add(&out, at, 1);
		}
		if (out.failed)
			return kf_command_fail("out of memory");
		kf_print_text(stdout, out.p);
		return KF_EXIT_OK;
	}
	return kf_command_usage("completion: one of bash, zsh and fish is needed");
}
