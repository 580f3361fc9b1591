/* SPDX-License-Identifier: Apache-2.0 */
/* Which events of the audit log did not arrive: a window over the last numbers. */
#include "denial/serials.h"

static uint64_t bit_of(uint64_t serial)
{
	return (uint64_t)1 << serial % 64;
}

static uint64_t *word_of(struct kf_serials *s, uint64_t serial)
{
	return &s->seen[serial / 64 % (KF_SERIALS_WINDOW / 64)];
}

uint64_t kf_serials_note(struct kf_serials *s, uint64_t serial)
{
	uint64_t lost = 0, beyond;

	if (!s->started) {
		s->started = true;
		/* Those before the first one are not missed. */
		s->first = serial >= KF_SERIALS_WINDOW ? serial - KF_SERIALS_WINDOW + 1 : 0;
		for (uint64_t i = s->first; i <= serial; i++)
			*word_of(s, i) |= bit_of(i);
		return 0;
	}
	if (serial < s->first)
		return 0; /* it was told as lost, or comes a second time */
	beyond = serial - s->first >= KF_SERIALS_WINDOW ? serial - s->first - KF_SERIALS_WINDOW + 1
							: 0;
	for (unsigned i = 0; beyond && i < KF_SERIALS_WINDOW; i++, beyond--, s->first++) {
		uint64_t *word = word_of(s, s->first);

		lost += !(*word & bit_of(s->first));
		*word &= ~bit_of(s->first);
	}
	/* So far ahead that it leaves more than the whole window behind. */
	lost += beyond;
	s->first += beyond;
	*word_of(s, serial) |= bit_of(serial);
	return lost;
}
