/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for keys: whole pages, locked.  The pages that were given back last are kept for the next
 * request, cleared. */
#include "nono-egress/worker/secret.h"

#include "base/cleanup.h"

#include <string.h>
#include <sys/mman.h>

#define PAGE  4096
#define SPARE (8 * PAGE) /* a head with one key */

KF_CALLS(kf_worker_secret_calls, KF_CALL(mlock));

static void *spare_pages;

static size_t round_up(size_t size)
{
	size_t pages = (size + PAGE - 1) / PAGE * PAGE;

	return pages < SPARE ? SPARE : pages;
}

int kf_worker_secret_new(size_t size, void **ret, struct kf_err *err)
{
	const size_t n = round_up(size);
	void *p;

	if (n == SPARE && spare_pages) {
		*ret = KF_STEAL(spare_pages);
		return 0;
	}
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return kf_fail_sys(err, "memory for a key");
	if (madvise(p, n, MADV_DONTDUMP) < 0 || madvise(p, n, MADV_WIPEONFORK) < 0 ||
	    mlock(p, n) < 0) {
		(void)kf_fail_sys(err, "lock memory for a key (see RLIMIT_MEMLOCK)");
		(void)munmap(p, n);
		return -1;
	}
	*ret = p;
	return 0;
}

void kf_worker_secret_free(void *p, size_t size)
{
	const size_t n = round_up(size);

	if (!p)
		return;
	explicit_bzero(p, n);
	if (n == SPARE && !spare_pages)
		spare_pages = p;
	else
		(void)munmap(p, n);
}
