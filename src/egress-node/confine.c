/* SPDX-License-Identifier: Apache-2.0 */
/* The parent's confinement.  A worker inherits it, and confines itself far more
 * (nono-egress/worker); so the calls are the parent's, those of a program that starts, and those of
 * a worker. */
#include "egress-node/confine.h"

#include "base/file.h"
#include "base/log.h"
#include "confine/confine.h"
#include "event/watch.h"
#include "observe/http.h"

#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>

/* What newer architectures have only the call on the right of. */
#ifndef SYS_dup2
#define SYS_dup2     SYS_dup3
#define SYS_rename   SYS_renameat
#define SYS_stat     SYS_newfstatat
#define SYS_lstat    SYS_newfstatat
#define SYS_open     SYS_openat
#define SYS_readlink SYS_readlinkat
#define SYS_access   SYS_faccessat
#endif
#ifndef SYS_arch_prctl
#define SYS_arch_prctl SYS_prctl
#endif

#define BIT(cap) (UINT64_C(1) << (cap))

/* Sockets in pods' namespaces, workers, the guard. */
KF_CALLS(kf_pods_parent_calls, KF_CALL_IS(setns, 1, CLONE_NEWNET), KF_CALL_IS(socket, 0, AF_INET),
	 KF_CALL_IS(socket, 0, AF_INET6), KF_CALL_IS(socket, 0, AF_NETLINK),
	 KF_CALL_IS(socket, 0, AF_UNIX), KF_CALL_IS(socketpair, 0, AF_UNIX), KF_CALL(bind),
	 KF_CALL(listen), KF_CALL(getsockname), KF_CALL(setsockopt), KF_CALL(getsockopt),
	 KF_CALL(recvmsg), KF_CALL(sendmsg), KF_CALL(ioctl), KF_CALL(pipe2), KF_CALL(memfd_create),
	 KF_CALL_NOT(clone, 0,
		     CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
			     CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_VM),
	 KF_CALL(execve), KF_CALL(wait4), KF_CALL(kill), KF_CALL(setpgid), KF_CALL(dup3),
	 KF_CALL(dup2), KF_CALL(rename), KF_CALL(stat), KF_CALL(lstat), KF_CALL(open),
	 KF_CALL(statx), KF_CALL(epoll_create1), KF_CALL(readv), KF_CALL(writev));

/* A program that starts, and what it does before it confines itself. */
KF_CALLS(kf_pods_start_calls, KF_CALL(set_tid_address), KF_CALL(set_robust_list), KF_CALL(rseq),
	 KF_CALL(arch_prctl), KF_CALL(readlink), KF_CALL(access), KF_CALL(readlinkat),
	 KF_CALL(prlimit64), KF_CALL(getuid), KF_CALL(geteuid), KF_CALL(getgid), KF_CALL(getegid),
	 KF_CALL(setgroups), KF_CALL(setresuid), KF_CALL(setresgid), KF_CALL(capget),
	 KF_CALL(capset), KF_CALL(prctl), KF_CALL(seccomp), KF_CALL(close_range),
	 KF_CALL(landlock_create_ruleset), KF_CALL(landlock_add_rule),
	 KF_CALL(landlock_restrict_self), KF_CALL(eventfd2), KF_CALL(uname),
	 KF_CALL(sched_getaffinity), KF_CALL(pread64));

/* A worker that serves; its own lists are stricter. */
KF_CALLS(kf_pods_worker_calls, KF_CALL(connect), KF_CALL(openat2), KF_CALL(mlock), KF_CALL(munlock),
	 KF_CALL(poll), KF_CALL(getpeername));

int kf_pods_confine(const char *dir, const char *worker, struct kf_err *err)
{
	static const struct kf_calls *const calls[] = {&kf_libc_calls,	     &kf_event_calls,
						       &kf_file_calls,	     &kf_http_calls,
						       &kf_watch_calls,	     &kf_pods_parent_calls,
						       &kf_pods_start_calls, &kf_pods_worker_calls};
	/* What else it reads is where the runtime, the kubelet and the node say. */
	const struct kf_place places[] = {
		{"/", KF_PLACE_READ},
		{dir, KF_PLACE_READ | KF_PLACE_WRITE},
		{worker, KF_PLACE_READ | KF_PLACE_EXECUTE},
	};
	const struct kf_confinement confinement = {
		.calls = calls,
		.ncalls = sizeof(calls) / sizeof(calls[0]),
		.places = places,
		.nplaces = sizeof(places) / sizeof(places[0]),
		.network = true,
		.capabilities = BIT(CAP_SYS_ADMIN) | BIT(CAP_NET_ADMIN) | BIT(CAP_SETUID) |
				BIT(CAP_SETGID) | BIT(CAP_SETPCAP) | BIT(CAP_KILL),
	};
	struct kf_confined c;
	char abi[16];

	if (kf_confine(&confinement, &c, err) < 0)
		return -1;
	(void)snprintf(abi, sizeof(abi), "%d", c.abi);
	kf_log(c.abi && c.filter ? KF_LOG_INFO : KF_LOG_WARN, "confined",
	       {"landlock", c.abi ? abi : c.why},
	       {"seccomp", c.filter ? "on" : "off: built for sanitizers or valgrind"});
	return 0;
}
