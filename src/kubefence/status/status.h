/* SPDX-License-Identifier: Apache-2.0 */
/* kubefence status: the state of this node, as nono-nri's page shows it. */
#ifndef KF_KUBEFENCE_STATUS_STATUS_H
#define KF_KUBEFENCE_STATUS_STATUS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct json_object;

/* What nono-nri of this node, whose state directory is @dir, says about itself: its /status.json
 * with the last denials, oldest first, as the member "denials".  *ret is the caller's. */
int kf_status_ask(const char *dir, struct json_object **ret, struct kf_err *err);

/* How much room there is; 0: as much as it takes. */
struct kf_status_room {
	unsigned lines, columns;
	bool colours;
};
/* Append @state for people.  What others have named is escaped. */
void kf_status_text(struct json_object *state, const struct kf_status_room *room,
		    struct kf_buf *out);

/* A terminal's second screen, while there is something to be watched on it. */
struct kf_screen;

/* Go there; until kf_screen_leave() the signals that end or stop this process, or tell of another
 * size, are taken by kf_screen_wait(). */
int kf_screen_enter(struct kf_screen **ret, struct kf_err *err);
/* What there is room for now. */
void kf_screen_room(const struct kf_screen *screen, struct kf_status_room *ret);
/* Show @text in the place of what was there. */
int kf_screen_show(struct kf_screen *screen, const struct kf_buf *text, struct kf_err *err);
/* Wait @ms, less if the size changes.  False: whoever sits there wants to leave. */
bool kf_screen_wait(struct kf_screen *screen, unsigned ms);
/* Leave it as it was found.  If a signal was the reason, this process ends by it.  NULL is fine. */
void kf_screen_leave(struct kf_screen *screen);

#endif
