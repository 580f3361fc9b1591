/* SPDX-License-Identifier: Apache-2.0 */
/* The profile that allows what a pod was denied.  Of where the pod ran nothing else is known: what
 * was denied is what its profile lacks. */
#include "kubefence/learn/suggest.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "cli/message.h"
#include "cli/print.h"
#include "kubefence/learn/world.h"

static int give_nothing(void *ctx, const char *path, bool inside, unsigned access, unsigned *ret,
			struct kf_err *err)
{
	(void)ctx;
	(void)path;
	(void)inside;
	(void)access;
	(void)err;
	*ret = 0;
	return 0;
}

static bool keep_closed(void *ctx, const struct kf_learn_port *port)
{
	(void)ctx;
	(void)port;
	return false;
}

static int print_change(struct kf_learn *learn, struct learn_world *world, bool allow_sensitive)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf out = KF_BUF_INIT(KF_PRINT_MAX);
	struct kf_learn_world answers = *learn_world_of(world);
	struct kf_learned learned;
	struct kf_err err;

	answers.given = give_nothing;
	answers.open = keep_closed;
	if (kf_learn_change(learn, &answers, allow_sensitive, &learned, &err) < 0)
		return kf_command_fail("%s", err.msg);
	kf_learn_write(&learned, "learned", *learn->profile ? learn->profile : "default", NULL,
		       NULL, &out);
	if (out.failed)
		return kf_command_fail("out of memory");
	kf_print_text(stdout, out.p);
	for (size_t i = 0; i < learn->npaths; i++)
		if (learn->paths[i].left)
			kf_print_line(stderr, "left out: %s: %s", learn->paths[i].path,
				      learn->paths[i].left);
	return KF_EXIT_OK;
}

int learn_suggest(const char *text, size_t n, const char *namespace_, const char *pod,
		  bool allow_sensitive)
{
	const struct kf_option_list none = {0};
	struct learn_world world = {.nplaces = 0};
	struct try_options o;
	struct kf_learn learn;
	struct kf_err err;
	size_t lines;
	int status;

	try_options_init(&o);
	if (kf_learn_init(&learn, &err) < 0)
		return kf_command_fail("%s", err.msg);
	if (kf_learn_read(&learn, text, n, "the feed", namespace_, pod, &lines, &err) < 0) {
		status = kf_command_fail("%s", err.msg);
	} else if (!lines) {
		status = kf_command_fail(
			"no denial of pod %s is known: either it was denied nothing, "
			"or that was longer ago than the feed's logs go back",
			pod);
	} else {
		status = learn_world_init(&world, &o);
		learn_world_plain(&world, 0, NULL, &none);
		if (status == KF_EXIT_OK)
			status = print_change(&learn, &world, allow_sensitive);
	}
	learn_world_done(&world);
	kf_learn_done(&learn);
	return status;
}
