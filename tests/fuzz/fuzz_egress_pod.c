/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard sends to the broker's parent about a pod, and what the parent keeps on disk: text
 * that is accepted, written anew from what was understood, is understood the same way again, and
 * everything that it says lies within it. */
#include "base/buf.h"
#include "egress/pod.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define need(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static void need_within(const struct kf_egress_pod *pod, const char *word, size_t n)
{
	need(word >= pod->text && word + strlen(word) < pod->text + n);
	need(*word && !strchr(word, '\n'));
}

static void check_bounds(const struct kf_egress_pod *pod, size_t n)
{
	need_within(pod, pod->name, n);
	need_within(pod, pod->netns, n);
	need(pod->netns[0] == '/' && pod->inode);
	need(pod->nresolvers <= KF_EGRESS_RESOLVERS && pod->nsecrets <= KF_LIMIT_EGRESS_DIRS);
	for (unsigned i = 0; i < pod->nresolvers; i++)
		need_within(pod, pod->resolvers[i], n);
	for (unsigned i = 0; i < pod->nsecrets; i++) {
		need_within(pod, pod->secrets[i], n);
		need(pod->secrets[i][0] == '/');
	}
	need(pod->nrules && pod->rules + pod->nrules == pod->text + n);
}

static bool is_same(const char *const *a, const char *const *b, unsigned n)
{
	unsigned i = 0;

	while (i < n && strcmp(a[i], b[i]) == 0)
		i++;
	return i == n;
}

static void check_written_anew(const struct kf_egress_pod *pod)
{
	struct kf_buf text = KF_BUF_INIT(2 * KF_EGRESS_POD_MAX);
	struct kf_egress_pod again;
	struct kf_err err = {0};

	kf_egress_pod_format(pod, &text);
	need(!text.failed && kf_egress_pod_parse(text.p, text.n, &again, &err) == 0);
	check_bounds(&again, text.n);
	need(strcmp(again.name, pod->name) == 0 && strcmp(again.netns, pod->netns) == 0);
	need(again.inode == pod->inode && again.mark == pod->mark);
	need(again.nresolvers == pod->nresolvers &&
	     is_same(again.resolvers, pod->resolvers, pod->nresolvers));
	need(again.nsecrets == pod->nsecrets &&
	     is_same(again.secrets, pod->secrets, pod->nsecrets));
	need(again.nrules == pod->nrules && memcmp(again.rules, pod->rules, pod->nrules) == 0);
	kf_egress_pod_done(&again);
	kf_buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct kf_egress_pod pod;
	struct kf_err err = {0};

	if (kf_egress_pod_parse((const char *)data, n, &pod, &err) < 0) {
		need(err.code && err.msg[0]);
		return 0;
	}
	check_bounds(&pod, n);
	check_written_anew(&pod);
	kf_egress_pod_done(&pod);
	return 0;
}
