/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a policy's flat text, which is not trusted: the header, the checksum, and a rule for each
 * line. What variables in it stand for is found out in src/grants; profile/compile.c writes the
 * text. */
#include "flat/flat.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/sha256.h"
#include "flat/name.h"
#include "flat/words.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HEADER "nono-policy 1\n"
#define SUM    "sum "

struct parser {
	struct kf_policy policy;
	size_t cap;
	unsigned line;
	struct kf_err *err;
};

#define bad(p, ...) \
	(kf_err_set((p)->err, EINVAL, __VA_ARGS__), kf_fail_wrap((p)->err, "line %u", (p)->line))

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool name_char(char c)
{
	return is_upper(c) || is_digit(c) || c == '_' || (c >= 'a' && c <= 'z');
}

/* The rule that the line becomes; more than one for lists of ports. */
static struct kf_rule *add_rule(struct parser *p, enum kf_rule_kind kind, const char *arg)
{
	struct kf_policy *policy = &p->policy;
	struct kf_rule *rule;

	if (policy->nrules == p->cap) {
		const size_t cap = p->cap ? 2 * p->cap : 64; /* bounded by the text's size */

		rule = realloc(policy->rules, cap * sizeof(*rule));
		if (!rule) {
			(void)kf_fail_nomem(p->err, "policy");
			return NULL;
		}
		policy->rules = rule;
		p->cap = cap;
	}
	rule = &policy->rules[policy->nrules++];
	*rule = (struct kf_rule){.kind = kind, .line = p->line, .arg = arg};
	return rule;
}

/* Cut the first word off *s, in place; what follows is one space and not empty. */
static char *next_word(char **s)
{
	char *word = *s, *end = word;

	while (*end && *end != ' ') /* shorter than strchr() pays for */
		end++;
	*s = *end ? end + 1 : end;
	*end = '\0';
	return word;
}

/* Whether @path is empty or as kf_path_clean() would leave it; *ret_n is its length then. */
static bool is_clean(const char *path, size_t *ret_n)
{
	const char *name = path;

	while (*name == '/') {
		const char *end = ++name;

		while (*end && *end != '/')
			end++;
		/* Nothing between two slashes or at the end, "." or ".." */
		if (end == name ||
		    (*name == '.' && (end == name + 1 || (end == name + 2 && name[1] == '.'))))
			return false;
		name = end;
	}
	*ret_n = (size_t)(name - path);
	return !*name;
}

static int check_path(struct parser *p, const char *path)
{
	const char *rest = path;
	size_t n = 0;

	if (*rest == '~') {
		rest++;
	} else if (*rest == '$') {
		const char *end = ++rest;

		while (is_upper(*end) || *end == '_')
			end++;
		if (!kf_policy_variable(rest, (size_t)(end - rest)))
			return bad(p, "path '%s': there is no such variable", path);
		rest = end;
	} else if (*rest != '/') {
		return bad(p, "path '%s' is not absolute", path);
	}
	if (!is_clean(rest, &n) && strcmp(path, "/") != 0)
		return bad(p, "path '%.120s' must have no '//', '.', '..' or trailing '/'", path);
	if (n >= PATH_MAX / 2)
		return bad(p, "path '%.40s...' is too long", path);
	for (const char *d = rest; *d; d++)
		if (*d == '$' && (strncmp(d, "$UID", 4) != 0 || name_char(d[4])))
			return bad(p, "path '%s': only $UID may stand inside a path", path);
	return 0;
}

static int parse_readonly(struct parser *p, char *s)
{
	size_t n = strlen(s);
	bool directory = n > 1 && s[n - 1] == '/';
	struct kf_rule *rule;

	if (directory)
		s[n - 1] = '\0';
	if (check_path(p, s) < 0)
		return -1;
	if (strcmp(s, "/") == 0)
		return bad(p, "a read-only '/' is the pod's to ask for (readOnlyRootFilesystem)");
	rule = add_rule(p, KF_RULE_FS_READONLY, s);
	if (!rule)
		return -1;
	rule->access = directory ? KF_READONLY_DIRECTORY : 0;
	return 0;
}

static int parse_fs(struct parser *p, char *s)
{
	static const struct {
		char word[4];
		unsigned access;
	} modes[] = {
		{"r", KF_FS_READ},
		{"rx", KF_FS_READ | KF_FS_EXEC},
		{"rw", KF_FS_READ | KF_FS_WRITE},
		{"rwx", KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC},
		{"w", KF_FS_WRITE},
	};
	static const struct {
		char word[12];
		enum kf_rule_kind kind;
	} sets[] = {
		{"rx-root", KF_RULE_FS_ROOT},	 {"rwx-homes", KF_RULE_FS_HOMES},
		{"volumes", KF_RULE_FS_VOLUMES}, {"processes", KF_RULE_FS_PROCESSES},
		{"devices", KF_RULE_FS_DEVICES},
	};
	const char *word;
	struct kf_rule *rule;

	for (size_t i = 0; i < KF_ARRAY_SIZE(sets); i++)
		if (strcmp(s, sets[i].word) == 0)
			return add_rule(p, sets[i].kind, NULL) ? 0 : -1;
	word = next_word(&s);
	if (strcmp(word, "deny") == 0) {
		if (check_path(p, s) < 0)
			return -1;
		if (strcmp(s, "/") == 0)
			return bad(p, "denying '/' would leave nothing to run");
		return add_rule(p, KF_RULE_FS_DENY, s) ? 0 : -1;
	}
	if (strcmp(word, "quiet") == 0) {
		if (check_path(p, s) < 0)
			return -1;
		if (strcmp(s, "/") == 0)
			return bad(p, "a quiet '/' would leave nothing in the audit log");
		return add_rule(p, KF_RULE_FS_QUIET, s) ? 0 : -1;
	}
	if (strcmp(word, "readonly") == 0)
		return parse_readonly(p, s);
	for (size_t i = 0; i < KF_ARRAY_SIZE(modes); i++) {
		if (strcmp(word, modes[i].word) != 0)
			continue;
		if (check_path(p, s) < 0)
			return -1;
		if (strcmp(s, "/") == 0)
			return bad(p, "granting '/' leaves nothing to deny; use 'fs rx-root'");
		rule = add_rule(p, KF_RULE_FS, s);
		if (!rule)
			return -1;
		rule->access = modes[i].access;
		return 0;
	}
	return bad(p,
		   "'fs %s': not r, rx, rw, rwx, w, rx-root, rwx-homes, volumes, processes, "
		   "devices, deny, readonly or quiet",
		   word);
}

/* Decimal without sign, leading zeros or anything after it. */
static bool parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s || (*s == '0' && s[1]))
		return false;
	for (; *s; s++)
		if (!is_digit(*s) || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	*ret = v;
	return true;
}

static int parse_net(struct parser *p, char *s)
{
	static const struct {
		char word[12];
		enum kf_rule_kind kind;
	} kinds[] = {
		{"connect", KF_RULE_NET_CONNECT},
		{"bind", KF_RULE_NET_BIND},
		{"connect-udp", KF_RULE_NET_CONNECT_UDP},
		{"bind-udp", KF_RULE_NET_BIND_UDP},
	};
	const char *word = next_word(&s);
	enum kf_rule_kind kind;
	size_t i;

	if (strcmp(word, "block") == 0 && !*s)
		return add_rule(p, KF_RULE_NET_BLOCK, NULL) ? 0 : -1;
	if (strcmp(word, "tcp") == 0 && !*s)
		return add_rule(p, KF_RULE_NET_TCP, NULL) ? 0 : -1;
	for (i = 0; i < KF_ARRAY_SIZE(kinds) && strcmp(word, kinds[i].word) != 0; i++)
		;
	if (i == KF_ARRAY_SIZE(kinds))
		return bad(p, "'net %s': not block, tcp, connect[-udp] or bind[-udp]", word);
	kind = kinds[i].kind;
	do {
		char *first = next_word(&s), *last = strchr(first, '-');
		uint64_t from, to;
		struct kf_rule *rule;

		if (last)
			*last++ = '\0';
		if (!parse_u64(first, &from) || !parse_u64(last ? last : first, &to) ||
		    to > UINT16_MAX || from > to || (last && from == to) ||
		    (from == 0 && (last || *word == 'c')))
			return bad(p, "'%s%s%s' is not a port number, nor FIRST-LAST", first,
				   last ? "-" : "", last ? last : "");
		rule = add_rule(p, kind, NULL);
		if (!rule)
			return -1;
		rule->port = (uint16_t)from;
		rule->port_last = (uint16_t)to;
	} while (*s);
	return 0;
}

static int parse_scope(struct parser *p, char *s)
{
	static const char scopes[][12] = {"signal", "abstract"};

	for (size_t i = 0; i < KF_ARRAY_SIZE(scopes); i++) {
		if (strcmp(s, scopes[i]) == 0) {
			struct kf_rule *rule = add_rule(p, KF_RULE_SCOPE, NULL);

			if (!rule)
				return -1;
			rule->verb = scopes[i];
			return 0;
		}
	}
	return bad(p, "'scope %s': not signal or abstract", s);
}

static int parse_memfd(struct parser *p, char *s)
{
	if (strcmp(s, "noexec") != 0)
		return bad(p, "'memfd %s': not noexec", s);
	return add_rule(p, KF_RULE_MEMFD_NOEXEC, NULL) ? 0 : -1;
}

static int parse_inner(struct parser *p, char *s)
{
	if (strcmp(s, "bwrap") != 0)
		return bad(p, "'inner %s': not bwrap", s);
	return add_rule(p, KF_RULE_INNER, NULL) ? 0 : -1;
}

static int parse_env(struct parser *p, char *s)
{
	static const struct {
		char word[16];
		bool value;
	} verbs[] = {
		{"drop", false},	 {"keep", false}, {"drop-anycase", false},
		{"keep-anycase", false}, {"set", true},	  {"expand", true},
	};
	const char *word = next_word(&s);
	const char *end = s;
	struct kf_rule *rule;
	size_t i;

	for (i = 0; i < KF_ARRAY_SIZE(verbs) && strcmp(word, verbs[i].word) != 0; i++)
		;
	if (i == KF_ARRAY_SIZE(verbs))
		return bad(p, "'env %s': not drop, keep, drop-anycase, keep-anycase, set or expand",
			   word);
	if (is_digit(*s))
		return bad(p, "'%s' is not a variable name", s);
	while (name_char(*end) || (*end == '*' && !verbs[i].value))
		end++;
	if (end == s || *end != (verbs[i].value ? '=' : '\0'))
		return bad(p, "'env %s %s': not %s", word, s,
			   verbs[i].value ? "NAME=VALUE" : "a name, with or without '*' in it");
	if (strcmp(word, "expand") == 0 && check_path(p, end + 1) < 0)
		return -1;
	rule = add_rule(p, KF_RULE_ENV, s);
	if (!rule)
		return -1;
	rule->verb = verbs[i].word;
	return 0;
}

static int parse_limit(struct parser *p, const char *word, uint64_t *ret)
{
	if (strcmp(word, "unlimited") == 0)
		*ret = UINT64_MAX;
	else if (!parse_u64(word, ret) || *ret == UINT64_MAX)
		return bad(p, "'%s' is not a limit: a number or 'unlimited'", word);
	return 0;
}

static int parse_rlimit(struct parser *p, char *s)
{
	const char *word = next_word(&s), *soft, *hard;
	const struct kf_policy_limit *limit = kf_policy_limit(word);
	struct kf_rule *rule;

	if (!limit)
		return bad(p, "'rlimit %s': there is no such limit", word);
	soft = next_word(&s);
	hard = *s ? s : soft;
	rule = add_rule(p, KF_RULE_RLIMIT, NULL);
	if (!rule || parse_limit(p, soft, &rule->soft) < 0 || parse_limit(p, hard, &rule->hard) < 0)
		return -1;
	if (rule->soft > rule->hard)
		return bad(p, "rlimit %s: the soft limit is above the hard one", word);
	rule->verb = limit->name;
	return 0;
}

static int parse_seccomp(struct parser *p, char *s)
{
	if (s[strspn(s, "abcdefghijklmnopqrstuvwxyz-")] || strlen(s) > 32)
		return bad(p, "seccomp '%.40s' is not a level", s);
	return add_rule(p, KF_RULE_SECCOMP, s) ? 0 : -1;
}

static int parse_egress(struct parser *p, char *s)
{
	return add_rule(p, KF_RULE_EGRESS, s) ? 0 : -1;
}

static int parse_note(struct parser *p, char *s)
{
	return add_rule(p, KF_RULE_NOTE, s) ? 0 : -1;
}

static int parse_line(struct parser *p, char *s, size_t n)
{
	static const struct {
		char word[8];
		int (*parse)(struct parser *p, char *s);
	} words[] = {
		{"env", parse_env},	    {"fs", parse_fs},	      {"net", parse_net},
		{"note", parse_note},	    {"rlimit", parse_rlimit}, {"scope", parse_scope},
		{"seccomp", parse_seccomp}, {"memfd", parse_memfd},   {"inner", parse_inner},
		{"seccomp", parse_seccomp}, {"memfd", parse_memfd},   {"egress", parse_egress},
	};
	const char *word;

	if (n && s[n - 1] == ' ')
		return bad(p, "space at the end of the line");
	word = next_word(&s);
	for (size_t i = 0; i < KF_ARRAY_SIZE(words); i++) {
		if (strcmp(word, words[i].word) != 0)
			continue;
		if (!*s || *s == ' ')
			return bad(p, "'%s' needs a value after one space", word);
		return words[i].parse(p, s);
	}
	return bad(p, "'%.40s' is not understood; a policy for a newer nono?", word);
}

/* Header, checksum and characters: all that is true of the text as a whole. */
static int check_text(const char *text, size_t n, size_t *ret_body, struct kf_err *err)
{
	const size_t tail = sizeof(SUM) - 1 + KF_SHA256_HEX + 1;
	char sum[KF_SHA256_HEX + 1];
	size_t body;

	if (n > KF_LIMIT_POLICY_TEXT)
		return kf_fail(err, EFBIG, "longer than %d bytes", KF_LIMIT_POLICY_TEXT);
	if (n < sizeof(HEADER) - 1 || memcmp(text, HEADER, sizeof(HEADER) - 1) != 0)
		return kf_fail(err, EINVAL, "line 1: not 'nono-policy 1'");
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)text[i] < 0x20 && text[i] != '\n') || text[i] == 0x7f)
			return kf_fail(err, EINVAL, "byte %zu: control character 0x%02x", i,
				       (unsigned char)text[i]);
	if (n < sizeof(HEADER) - 1 + tail || text[n - 1] != '\n' || text[n - tail - 1] != '\n' ||
	    memcmp(text + n - tail, SUM, sizeof(SUM) - 1) != 0)
		return kf_fail(err, EINVAL, "does not end in a line 'sum HEX': cut short?");
	body = n - tail;
	kf_sha256_hex(text, body, sum);
	if (memcmp(text + n - 1 - KF_SHA256_HEX, sum, KF_SHA256_HEX) != 0)
		return kf_fail(err, EINVAL, "checksum does not match: damaged or edited by hand");
	*ret_body = body;
	return 0;
}

static int parse_body(struct parser *p)
{
	char *line, *next = p->policy.text + sizeof(HEADER) - 1;

	for (p->line = 2; *next; p->line++) {
		line = next;
		next = strchr(line, '\n');
		*next++ = '\0';
		if (p->line == 2) {
			if (strncmp(line, "name ", 5) != 0 || !kf_profile_name_valid(line + 5))
				return bad(p, "not 'name' and a profile name");
			p->policy.name = line + 5;
		} else if (parse_line(p, line, (size_t)(next - line) - 1) < 0) {
			return -1;
		}
	}
	if (!p->policy.name)
		return bad(p, "the policy has no name");
	return 0;
}

int kf_policy_parse(const char *text, size_t n, struct kf_policy *ret, struct kf_err *err)
{
	struct parser p = {.err = err};
	size_t body;

	if (check_text(text, n, &body, err) < 0)
		return -1;
	p.policy.text = strndup(text, body);
	if (!p.policy.text)
		return kf_fail_nomem(err, "policy");
	if (parse_body(&p) < 0) {
		kf_policy_done(&p.policy);
		return -1;
	}
	*ret = p.policy;
	return 0;
}

void kf_policy_done(struct kf_policy *policy)
{
	free(policy->rules);
	free(policy->text);
	*policy = (struct kf_policy){0};
}
