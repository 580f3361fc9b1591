/* SPDX-License-Identifier: Apache-2.0 */
/* The text about a pod that the guard sends and the parent keeps. */
#include "egress/pod.h"

#include "base/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RULES "rules\n"

void kf_egress_pod_format(const struct kf_egress_pod *pod, struct kf_buf *out)
{
	kf_buf_addf(out, KF_EGRESS_POD_HEADER "pod %s\nnetns %s\ninode %" PRIu64 "\n", pod->name,
		    pod->netns, pod->inode);
	if (pod->mark)
		kf_buf_addf(out, "mark %" PRIu32 "\n", pod->mark);
	for (unsigned i = 0; i < pod->nresolvers; i++)
		kf_buf_addf(out, "resolver %s\n", pod->resolvers[i]);
	for (unsigned i = 0; i < pod->nsecrets; i++)
		kf_buf_addf(out, "secret %s\n", pod->secrets[i]);
	kf_buf_adds(out, RULES);
	kf_buf_add(out, pod->rules, pod->nrules);
}

static bool read_number(const char *s, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;

	if (!*s || (*s == '0' && s[1]))
		return false;
	for (; *s; s++)
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return false;
	*ret = n;
	return n <= max;
}

static bool add_word(const char **list, unsigned *n, unsigned max, const char *word)
{
	if (*n == max)
		return false;
	list[(*n)++] = word;
	return true;
}

static bool read_line(struct kf_egress_pod *pod, const char *word, const char *value)
{
	uint64_t n;

	if (strcmp(word, "pod") == 0 && !pod->name)
		pod->name = value;
	else if (strcmp(word, "netns") == 0 && !pod->netns && *value == '/')
		pod->netns = value;
	else if (strcmp(word, "inode") == 0 && read_number(value, UINT64_MAX, &n))
		pod->inode = n;
	else if (strcmp(word, "mark") == 0 && read_number(value, UINT32_MAX, &n))
		pod->mark = (uint32_t)n;
	else if (strcmp(word, "resolver") == 0)
		return add_word(pod->resolvers, &pod->nresolvers, KF_EGRESS_RESOLVERS, value);
	else if (strcmp(word, "secret") == 0 && *value == '/')
		return add_word(pod->secrets, &pod->nsecrets, KF_LIMIT_EGRESS_DIRS, value);
	else
		return false;
	return true;
}

static int read_lines(struct kf_egress_pod *pod, char *at, size_t n, struct kf_err *err)
{
	char *const end = at + n;

	for (unsigned line = 2; strncmp(at, RULES, sizeof(RULES) - 1) != 0; line++) {
		char *stop = strchr(at, '\n'), *space;

		if (!stop)
			return kf_fail(err, EINVAL, "egress pod: cut short");
		*stop = '\0';
		space = strchr(at, ' ');
		if (space)
			*space = '\0';
		if (!space || !space[1] || !read_line(pod, at, space + 1))
			return kf_fail(err, EINVAL,
				       "egress pod: line %u: '%.40s' is not understood", line, at);
		at = stop + 1;
	}
	pod->rules = at + sizeof(RULES) - 1;
	pod->nrules = (size_t)(end - pod->rules);
	if (!pod->name || !pod->netns || !pod->inode || !pod->nrules)
		return kf_fail(err, EINVAL, "egress pod: no pod, netns, inode or rules");
	return 0;
}

int kf_egress_pod_parse(const char *text, size_t n, struct kf_egress_pod *ret, struct kf_err *err)
{
	const size_t head = sizeof(KF_EGRESS_POD_HEADER) - 1;
	struct kf_egress_pod pod = {0};

	if (n > KF_EGRESS_POD_MAX || n < head || memcmp(text, KF_EGRESS_POD_HEADER, head) != 0 ||
	    memchr(text, '\0', n))
		return kf_fail(err, EINVAL, "egress pod: does not begin with 'egress-pod 1'");
	pod.text = strndup(text, n);
	if (!pod.text)
		return kf_fail_nomem(err, "egress pod");
	if (read_lines(&pod, pod.text + head, n - head, err) < 0) {
		kf_egress_pod_done(&pod);
		return -1;
	}
	*ret = pod;
	return 0;
}

void kf_egress_pod_done(struct kf_egress_pod *pod)
{
	free(pod->text);
	*pod = (struct kf_egress_pod){0};
}
