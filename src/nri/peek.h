/* SPDX-License-Identifier: Apache-2.0 */
/* What a request is about, found without decoding it. */
#ifndef KF_NRI_PEEK_H
#define KF_NRI_PEEK_H

#include <nri/nri.h>

/* Look for the pod, field number @field of the @n bytes of a request at @data.  True only if
 * decoding the request would either fail or find exactly these strings.  ret->event is left to
 * the caller. */
bool nri_peek_pod(const uint8_t *data, size_t n, uint32_t field, struct nri_peek *ret);
/* The event of a StateChange; NRI__EVENT__UNKNOWN if it cannot be told. */
Nri__Event nri_peek_event(const uint8_t *data, size_t n);

#endif
