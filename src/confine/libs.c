/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of the libraries that all our daemons link.  Each part of a daemon lists its own
 * calls beside its code. */
#include "confine/confine.h"

#include <fcntl.h>
#include <sys/mman.h>

/* No memory is made executable, and no thread is started. */
KF_CALLS(kf_libc_calls, KF_CALL(brk), KF_CALL_NOT(mmap, 2, PROT_EXEC),
	 KF_CALL_NOT(mprotect, 2, PROT_EXEC), KF_CALL(munmap), KF_CALL(mremap), KF_CALL(madvise),
	 KF_CALL(futex), KF_CALL(getrandom), KF_CALL(sysinfo), /* qsort(3) asks for it */
	 /* signals */
	 KF_CALL(rt_sigaction), KF_CALL(rt_sigprocmask), KF_CALL(rt_sigreturn),
	 KF_CALL(restart_syscall), KF_CALL(gettid), KF_CALL(getpid),
	 /* clocks, where the vDSO has none */
	 KF_CALL(clock_gettime), KF_CALL(gettimeofday),
	 /* descriptors */
	 KF_CALL(read), KF_CALL(write), KF_CALL(close), KF_CALL(fstat), KF_CALL(newfstatat),
	 KF_CALL(fcntl), KF_CALL(exit_group));

KF_CALLS(kf_event_calls, KF_CALL(epoll_wait), KF_CALL(epoll_pwait), KF_CALL(epoll_ctl));
