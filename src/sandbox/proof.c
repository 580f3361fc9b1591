/* SPDX-License-Identifier: Apache-2.0 */
/* The proof that the sandbox works before the workload runs in it: by /proc/self/status and by
 * actions that must be refused now.  A container's self-test for people is in src/kubefence/doctor.
 */
#include "sandbox/proof.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STATUS	   "/proc/self/status"
#define STATUS_MAX 4096

static int open_at(const char *path, int flags)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

/* Rename a file to its own name, which changes nothing and needs no permission of the owner.
 * Landlock is asked first, and no rule grants making or removing anything in /proc. */
static bool rename_in_place(void)
{
	return syscall(SYS_renameat2, AT_FDCWD, STATUS, AT_FDCWD, STATUS, 0) == 0;
}

/* Open a file for writing that belongs to the process, exists since Linux 2.6.22, and is not
 * changed by being opened. */
static bool open_for_writing(void)
{
	KF_CLOSE int fd = open_at("/proc/self/clear_refs", O_WRONLY);

	return fd >= 0;
}

/* Actions that work before the sandbox is entered and must fail afterwards. */
static const struct {
	bool (*works)(void);
	bool write; /* a policy that grants writing in /proc does not refuse it */
} refused[] = {{rename_in_place, false}, {open_for_writing, true}};
_Static_assert(KF_ARRAY_SIZE(refused) == KF_PROOF_REFUSED, "one place each");

/* Read the number behind @key, "
 * KEY:\t", in @text. */
static bool read_number(const char *text, const char *key, unsigned *ret)
{
	const char *at = strstr(text, key);
	unsigned n = 0;

	if (!at)
		return false;
	at += strlen(key);
	if (*at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++)
		n = 10 * n + (unsigned)(*at - '0');
	*ret = n;
	return true;
}

/* A function of its own, so that its buffer is zeroed: whatever read(2) returns, only bytes that
 * the kernel wrote count. */
static __attribute__((noinline)) int read_status(int fd, unsigned *ret_nnp, unsigned *ret_filters,
						 struct kf_err *err)
{
	char text[STATUS_MAX] = {0};

	(void)lseek(fd, 0, SEEK_SET);
	(void)!read(fd, text, sizeof(text) - 1);
	if (!read_number(text, "\nNoNewPrivs:\t", ret_nnp) ||
	    !read_number(text, "\nSeccomp_filters:\t", ret_filters))
		return kf_fail(err, EPERM, STATUS " does not say what is in force");
	return 0;
}

int kf_proof_begin(struct kf_proof *proof, bool filter, bool writable, struct kf_err *err)
{
	unsigned nnp;

	*proof = (struct kf_proof){.status = open_at(STATUS, O_RDONLY), .waits = filter};
	if (proof->status < 0)
		return kf_fail_sys(err, "open " STATUS " (is /proc mounted?)");
	if (filter && read_status(proof->status, &nnp, &proof->filters, err) < 0)
		return -1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(refused); i++)
		proof->works[i] = !(refused[i].write && writable) && refused[i].works();
	return 0;
}

int kf_proof_end(const struct kf_proof *proof, struct kf_err *err)
{
	unsigned nnp, filters;

	if (read_status(proof->status, &nnp, &filters, err) < 0)
		return -1;
	(void)close(proof->status);
	if (nnp != 1)
		return kf_fail(err, EPERM, "no_new_privs was set and is not in force");
	if (proof->waits && filters != proof->filters + 1)
		return kf_fail(err, EPERM, "the seccomp filter was installed and is not in force");
	for (size_t i = 0; i < KF_ARRAY_SIZE(refused); i++)
		if (proof->works[i] && refused[i].works())
			return kf_fail(err, EPERM,
				       "the Landlock sandbox was entered and is not in force: what "
				       "it refuses in /proc/self still works");
	return 0;
}
