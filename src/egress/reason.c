/* SPDX-License-Identifier: Apache-2.0 */
/* The table of reasons; its rows are in the header. */
#include "egress/reason.h"

#include "base/cleanup.h"

#include <stddef.h>
#include <string.h>

static const struct kf_egress_reason_text texts[] = {
#define ROW(name, word_, verdict_, status_, text_) \
	[KF_EGRESS_WHY_##name] = {word_, KF_EGRESS_##verdict_, status_, text_},
	KF_EGRESS_REASONS(ROW)
#undef ROW
};

const struct kf_egress_reason_text *kf_egress_reason(enum kf_egress_reason reason)
{
	return &texts[reason];
}

const struct kf_egress_reason_text *kf_egress_reason_of(const char *word)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(texts); i++)
		if (strcmp(texts[i].word, word) == 0)
			return &texts[i];
	return NULL;
}
