/* SPDX-License-Identifier: Apache-2.0 */
/* In debug builds only: names a call that the filter refused.  Release builds do not have this
 * file. */
#include "confine/trap.h"

#include "confine/names.h"

#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <ucontext.h>
#include <unistd.h>

static void on_refused(int sig, siginfo_t *info, void *context)
{
	ucontext_t *at = context;
	unsigned nr = (unsigned)info->si_syscall;
	const char *name = nr < KF_CALL_NAMES && kf_call_names[nr] ? kf_call_names[nr] : "unknown";
	char text[128];
	int n = snprintf(text, sizeof(text), "kubefence: refused system call: %s (%u)\n", name, nr);

	(void)sig;
	(void)!write(STDERR_FILENO, text, (size_t)n);
#if defined(__x86_64__)
	at->uc_mcontext.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
	at->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
#endif
}

int kf_confine_trap(uint32_t *refuse, struct kf_err *err)
{
	const struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};

	if (sigaction(SIGSYS, &action, NULL) < 0)
		return kf_fail_sys(err, "handle SIGSYS");
	*refuse = SECCOMP_RET_TRAP;
	return 0;
}
