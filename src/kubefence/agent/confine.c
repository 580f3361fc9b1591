/* SPDX-License-Identifier: Apache-2.0 */
/* What the two parts of the agent that hear from others give up before they do. */
#include "kubefence/agent/confine.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "confine/confine.h"
#include "event/job.h"
#include "event/watch.h"

#include <limits.h>
#include <stdio.h>

#define PORT_DNS 53

/* To watch directories of the host's. */
KF_CALLS(kf_agent_host_calls, KF_CALL(openat2));

int kf_agent_confine_loop(const struct kf_agent_options *options, struct kf_err *err)
{
	static const struct kf_calls *const calls[] = {&kf_libc_calls, &kf_event_calls,
						       &kf_file_calls, &kf_watch_calls,
						       &kf_job_calls,  &kf_agent_host_calls};
	const char *file = options->ready_file;
	int n = file ? (int)(kf_path_base(file) - file) : 0;
	char directory[PATH_MAX], abi[16];
	const struct kf_place places[] = {
		{file ? directory : NULL, KF_PLACE_READ | KF_PLACE_WRITE},
	};
	const struct kf_confinement confinement = {
		.calls = calls,
		.ncalls = KF_ARRAY_SIZE(calls),
		.places = places,
		.nplaces = KF_ARRAY_SIZE(places),
	};
	struct kf_confined c;

	(void)snprintf(directory, sizeof(directory), "%.*s", n ? n : 1, n ? file : ".");
	if (kf_confine(&confinement, &c, err) < 0)
		return -1;
	(void)snprintf(abi, sizeof(abi), "%d", c.abi);
	kf_log(c.abi && c.filter ? KF_LOG_INFO : KF_LOG_WARN, "confined",
	       {"landlock", c.abi ? abi : c.why},
	       {"seccomp", c.filter ? "on" : "off: built for sanitizers or valgrind"});
	return 0;
}

int kf_agent_confine_api(const struct kf_kube *kube, struct kf_err *err)
{
	static const struct kf_calls *const calls[] = {&kf_libc_calls, &kf_event_calls,
						       &kf_file_calls, &kf_kube_calls};
	const bool name = !kf_kube_numeric(kube->host);
	const struct kf_place places[] = {
		{kube->account_dir, KF_PLACE_READ},
		{name ? "/etc/hosts" : NULL, KF_PLACE_READ},
		{name ? "/etc/resolv.conf" : NULL, KF_PLACE_READ},
		{name ? "/etc/nsswitch.conf" : NULL, KF_PLACE_READ},
		{name ? "/etc/gai.conf" : NULL, KF_PLACE_READ},
	};
	const uint16_t ports[] = {kube->port, PORT_DNS};
	const struct kf_confinement confinement = {
		.calls = calls,
		.ncalls = KF_ARRAY_SIZE(calls),
		.places = places,
		.nplaces = KF_ARRAY_SIZE(places),
		.ports = ports,
		.nports = name ? 2 : 1,
		.udp_ports = &ports[1],
		.nudp_ports = name,
	};
	struct kf_confined c;

	return kf_confine(&confinement, &c, err);
}
