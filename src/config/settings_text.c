/* SPDX-License-Identifier: Apache-2.0 */
/* The settings as a file that the plugin writes and the guard reads.  The TOML file that an
 * administrator writes is read in config.c. */
#include "config/settings_text.h"

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/path.h"
#include "base/sha256.h"
#include "config/runtime_text.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HEADER	   "kubefence-settings 1\n"
#define LIST_MAX   256
/* Three lists, with the end of each. */
#define LISTS_SIZE (3 * (LIST_MAX + 1))

static const char *const exec_modes[] = {
	[KF_EXEC_SANDBOX] = "sandbox",
	[KF_EXEC_DENY] = "deny",
};

/* Check what both the writer and the reader demand. */
static int check_settings(const struct kf_settings *s, struct kf_err *err)
{
	char clean[PATH_MAX];

	if (!s->nhandlers || s->nhandlers > LIST_MAX || s->nallowed_profiles > LIST_MAX ||
	    s->nnamespaces > LIST_MAX)
		return kf_fail(err, EINVAL, "settings: no handler, or more than %d in a list",
			       LIST_MAX);
	for (size_t i = 0; i < s->nhandlers; i++)
		if (!kf_handler_name_valid(s->handlers[i]))
			return kf_fail(err, EINVAL, "settings: handler '%s' is not a name",
				       s->handlers[i]);
	for (size_t i = 0; i < s->nallowed_profiles; i++)
		if (!kf_profile_name_valid(s->allowed_profiles[i]))
			return kf_fail(err, EINVAL, "settings: allowed '%s' is not a name",
				       s->allowed_profiles[i]);
	for (size_t i = 0; i < s->nnamespaces; i++)
		if (!kf_settings_namespace_valid(s->namespaces[i]))
			return kf_fail(err, EINVAL,
				       "settings: namespace '%.100s' is not understood",
				       s->namespaces[i]);
	if (!s->default_profile || !kf_profile_name_valid(s->default_profile))
		return kf_fail(err, EINVAL, "settings: no default profile");
	if (!s->launcher || s->launcher[0] != '/' || !s->launcher[1] || strchr(s->launcher, '\n') ||
	    !kf_path_clean(s->launcher, clean, sizeof(clean)) || strcmp(s->launcher, clean) != 0)
		return kf_fail(err, EINVAL, "settings: launcher is not a plain absolute path");
	return 0;
}

int kf_settings_text_format(const struct kf_settings *s, struct kf_buf *buf, struct kf_err *err)
{
	const char *level = kf_seccomp_level_name(s->seccomp);
	char sum[KF_SHA256_HEX + 1];
	size_t start = buf->n;

	if (check_settings(s, err) < 0)
		return -1;
	kf_buf_adds(buf, HEADER);
	for (size_t i = 0; i < s->nhandlers; i++)
		kf_buf_addf(buf, "handler %s\n", s->handlers[i]);
	kf_buf_addf(buf, "default %s\nlauncher %s\n", s->default_profile, s->launcher);
	for (size_t i = 0; i < s->nallowed_profiles; i++)
		kf_buf_addf(buf, "allowed %s\n", s->allowed_profiles[i]);
	for (size_t i = 0; i < s->nnamespaces; i++)
		kf_buf_addf(buf, "namespace %s\n", s->namespaces[i]);
	kf_buf_addf(buf, "seccomp %s\nexec %s\n", *level ? level : "none", exec_modes[s->exec]);
	if (s->seccomp_log)
		kf_buf_adds(buf, "seccomp-log on\n");
	if (s->egress)
		kf_buf_adds(buf, "egress on\n");
	if (s->review_size)
		kf_buf_addf(buf, "review %u\n", s->review_size);
	if (buf->failed)
		return kf_fail_nomem(err, "settings");
	kf_sha256_hex(buf->p + start, buf->n - start, sum);
	kf_buf_addf(buf, "sum %s\n", sum);
	return buf->failed ? kf_fail_nomem(err, "settings") : 0;
}

struct settings_parser {
	char *line, *next; /* the current line, and where the next one begins */
	unsigned number;
};

static void next_line(struct settings_parser *p)
{
	char *end;

	p->line = p->next;
	p->number++;
	end = strchr(p->line, '\n');
	if (end)
		*end++ = '\0';
	p->next = end ? end : p->line + strlen(p->line);
}

/* The value if the current line is "@key VALUE"; moves to the next line then. */
static char *take_value(struct settings_parser *p, const char *key)
{
	size_t n = strlen(key);
	char *value = p->line + n + 1;

	if (strncmp(p->line, key, n) != 0 || p->line[n] != ' ')
		return NULL;
	next_line(p);
	return value;
}

static const char *const *take_list(struct settings_parser *p, const char *key, const char **list,
				    size_t *ret_n)
{
	size_t n = 0;

	while (n < LIST_MAX && (list[n] = take_value(p, key)))
		n++;
	*ret_n = n;
	return list;
}

/* A number of MiB; NULL leaves the default. */
static bool parse_review(const char *text, unsigned *ret)
{
	unsigned long n;
	char *end;

	if (!text)
		return true;
	if (text[0] < '1' || text[0] > '9')
		return false;
	n = strtoul(text, &end, 10);
	*ret = (unsigned)n;
	return !*end && n <= KF_SETTINGS_REVIEW_MAX;
}

static int parse_lines(char *text, const char **lists, struct kf_settings *s, struct kf_err *err)
{
	struct settings_parser p = {.next = text + strlen(HEADER), .number = 1};
	const char *level, *mode, *log, *egress, *review;

	next_line(&p);
	s->handlers = take_list(&p, "handler", lists, &s->nhandlers);
	s->default_profile = take_value(&p, "default");
	s->launcher = take_value(&p, "launcher");
	s->allowed_profiles =
		take_list(&p, "allowed", lists + (LIST_MAX + 1), &s->nallowed_profiles);
	s->namespaces =
		take_list(&p, "namespace", lists + LISTS_SIZE - (LIST_MAX + 1), &s->nnamespaces);
	level = take_value(&p, "seccomp");
	mode = level ? take_value(&p, "exec") : NULL;
	log = mode ? take_value(&p, "seccomp-log") : NULL;
	egress = mode ? take_value(&p, "egress") : NULL;
	review = mode ? take_value(&p, "review") : NULL;
	s->egress = egress != NULL;
	if (!mode || *p.line || (log && strcmp(log, "on") != 0) ||
	    (egress && strcmp(egress, "on") != 0) || !parse_review(review, &s->review_size))
		return kf_fail(err, EINVAL, "settings: line %u: not understood, or out of order",
			       p.number);
	if (!kf_seccomp_level_parse(strcmp(level, "none") == 0 ? "" : level, &s->seccomp))
		return kf_fail(err, EINVAL, "settings: seccomp '%s' is not a level", level);
	s->seccomp_log = log != NULL;
	s->exec = KF_EXEC_SANDBOX;
	if (strcmp(mode, exec_modes[KF_EXEC_DENY]) == 0)
		s->exec = KF_EXEC_DENY;
	else if (strcmp(mode, exec_modes[KF_EXEC_SANDBOX]) != 0)
		return kf_fail(err, EINVAL, "settings: exec '%s' is neither sandbox nor deny",
			       mode);
	return check_settings(s, err);
}

int kf_settings_text_parse(const char *text, size_t n, struct kf_settings_text *ret,
			   struct kf_err *err)
{
	const size_t trailer = strlen("sum ") + KF_SHA256_HEX + 1, header = strlen(HEADER);
	struct kf_settings_text out = {0};
	char sum[KF_SHA256_HEX + 1];
	const char **lists;
	size_t body;

	if (n > KF_LIMIT_CONFIG)
		return kf_fail(err, EFBIG, "settings: larger than %d bytes", KF_LIMIT_CONFIG);
	if (n < header + trailer || memcmp(text, HEADER, header) != 0 || memchr(text, '\0', n))
		return kf_fail(err, EINVAL, "settings: does not begin with '%.*s'", (int)header - 1,
			       HEADER);
	kf_sha256_hex(text, n - trailer, sum);
	if (memcmp(text + n - trailer, "sum ", 4) != 0 ||
	    memcmp(text + n - trailer + 4, sum, KF_SHA256_HEX) != 0 || text[n - 1] != '\n' ||
	    text[n - trailer - 1] != '\n')
		return kf_fail(err, EINVAL, "settings: checksum is missing or wrong");
	body = n - trailer;
	/* One block holds the lists, which need the alignment, and behind them the text. */
	out.text = calloc(1, LISTS_SIZE * sizeof(char *) + body + 1);
	if (!out.text)
		return kf_fail_nomem(err, "settings");
	lists = (const char **)(void *)out.text;
	memcpy(lists + LISTS_SIZE, text, body);
	if (parse_lines((char *)(lists + LISTS_SIZE), lists, &out.settings, err) < 0) {
		kf_settings_text_done(&out);
		return -1;
	}
	*ret = out;
	return 0;
}

void kf_settings_text_done(struct kf_settings_text *settings)
{
	free(settings->text);
	*settings = (struct kf_settings_text){0};
}
