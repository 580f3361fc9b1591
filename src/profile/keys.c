/* SPDX-License-Identifier: Apache-2.0 */
/* The table of all keys of a profile, and looking keys up in it.  Values are read in read.c. */
#include "profile/keys.h"

#include "base/cleanup.h"
#include "flat/flat.h"

#include <string.h>

#define R	    KF_FS_READ
#define RX	    (KF_FS_READ | KF_FS_EXEC)
#define RW	    (KF_FS_READ | KF_FS_WRITE)
#define RWX	    (KF_FS_READ | KF_FS_WRITE | KF_FS_EXEC)
#define W	    KF_FS_WRITE

#define VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})

#define NO_PROXY                                                                               \
	"it is about nono's proxy; write \"credentials\": [{\"route\", \"upstream\", "         \
	"\"secret\", \"key\"}] for what the egress broker adds, and network.allow_domain for " \
	"hosts"
#define NO_MACOS  "it concerns macOS only"
#define NO_SHELL  "it concerns nono's interactive use only"
#define NO_PROMPT "nobody is asked at run time; nothing is granted later"
#define NO_GATE                                                                         \
	"it would check only the program a container starts with, never its children; " \
	"take execution away by path: {\"path\": ..., \"access\": \"r\"} in filesystem.grant"

/* One row for each key. */
/* clang-format off */
const struct kf_profile_key kf_profile_keys[] = {
	{"$schema", KF_KEY_NOTHING, "For editors."},
	{"extends", KF_KEY_EXTENDS, "Profiles that this one builds on, by name; later ones win."},
	{"platform_overrides", KF_KEY_OVERRIDES, "What counts on one system: {linux, macos, windows}; that of Linux is added last of all."},
	{"seccomp", KF_KEY_ENUM, "Seccomp level that programs under this profile need.",
	 .scalar = KF_SCALAR_SECCOMP, .values = VALUES("restricted", "agent", "runtime-default")},

	{"meta", KF_KEY_SECTION, "For people."},
	{"meta.name", KF_KEY_STRING, "Name of the profile.", .scalar = KF_SCALAR_NAME},
	{"meta.description", KF_KEY_STRING, "What the profile is for, one line.", .scalar = KF_SCALAR_DESCRIPTION},
	{"meta.version", KF_KEY_NOTHING, "Version of the profile."},
	{"meta.author", KF_KEY_NOTHING, "Who wrote it."},
	{"meta.recipe", KF_KEY_TEXTS, "What users of the profile must set or pass, one line each.", .list = KF_LIST_RECIPE},
	{"meta.hints", KF_KEY_HINTS, "Program: {\"text\": what to tell when a container starts it, \"unless\": how an argument starts that makes it needless}.", .list = KF_LIST_HINT},

	{"groups", KF_KEY_SECTION, "Shared sets of grants and denials."},
	{"groups.include", KF_KEY_NAMES, "Groups to take in.", .list = KF_LIST_INCLUDE},
	{"groups.exclude", KF_KEY_NAMES, "Groups to leave out, wherever they were included.", .list = KF_LIST_EXCLUDE},
	{"groups.base", KF_KEY_BOOL, "Whether a profile that extends nothing starts from the groups of 'default' (true).",
	 .scalar = KF_SCALAR_BASE_GROUPS},

	{"filesystem", KF_KEY_SECTION, "Which files may be used, and how."},
	{"filesystem.allow", KF_KEY_PATHS, "Read, write and execute: directories.", .list = KF_LIST_GRANT, .access = RWX},
	{"filesystem.read", KF_KEY_PATHS, "Read and execute: directories and files.", .list = KF_LIST_GRANT, .access = RX},
	{"filesystem.write", KF_KEY_PATHS, "Write only: directories.", .list = KF_LIST_GRANT, .access = W},
	{"filesystem.allow_file", KF_KEY_PATHS, "Read, write and execute: files.", .list = KF_LIST_GRANT, .access = RWX},
	{"filesystem.read_file", KF_KEY_PATHS, "Read and execute: files.", .list = KF_LIST_GRANT, .access = RX},
	{"filesystem.write_file", KF_KEY_PATHS, "Write only: files.", .list = KF_LIST_GRANT, .access = W},
	{"filesystem.grant", KF_KEY_GRANTS, "Exact access: {\"path\": P, \"access\": r | rx | rw | rwx | w}.", .list = KF_LIST_GRANT},
	{"filesystem.image", KF_KEY_BOOL, "Read and execute all that the image brings, apart from homes, /run and /tmp.",
	 .scalar = KF_SCALAR_IMAGE},
	{"filesystem.homes", KF_KEY_BOOL, "Read, write and execute in the home directory; for uid 0 in /root and /home.",
	 .scalar = KF_SCALAR_HOMES},
	{"filesystem.volumes", KF_KEY_BOOL, "Use what is mounted into the container, as it is mounted.", .scalar = KF_SCALAR_VOLUMES},
	{"filesystem.processes", KF_KEY_BOOL, "Write in /proc what the kernel lets a process write about itself and its container's processes, such as names of threads.",
	 .scalar = KF_SCALAR_PROCESSES},
	{"filesystem.devices", KF_KEY_BOOL, "Use the devices that the container was given in /dev, by a device plugin or CDI; none in a privileged container.",
	 .scalar = KF_SCALAR_DEVICES},
	{"filesystem.deny", KF_KEY_PATHS, "Take away, whatever else is granted.", .list = KF_LIST_DENY},
	{"filesystem.readonly", KF_KEY_PATHS, "Keep from being changed, replaced or made, whatever grants writing above; 'PATH/' for what would be a directory.", .list = KF_LIST_READONLY},
	{"filesystem.quiet", KF_KEY_PATHS, "What is refused there is expected: it is not in the audit log (Linux 7.2).", .list = KF_LIST_QUIET},
	{"filesystem.bypass_protection", KF_KEY_PATHS, "Denials and read-only paths to lift, exactly as they were written.", .list = KF_LIST_BYPASS},
	{"filesystem.unix_socket", KF_KEY_PATHS, "Sockets to connect to.", .list = KF_LIST_GRANT, .access = RW},
	{"filesystem.unix_socket_bind", KF_KEY_SOCKET, "Sockets to create: their directories become writable.", .list = KF_LIST_GRANT, .access = RW},
	{"filesystem.unix_socket_dir", KF_KEY_PATHS, "Directories of sockets to connect to.", .list = KF_LIST_GRANT, .access = RW},
	{"filesystem.unix_socket_dir_bind", KF_KEY_PATHS, "Directories of sockets to create.", .list = KF_LIST_GRANT, .access = RW},
	{"filesystem.unix_socket_subtree", KF_KEY_PATHS, "As unix_socket_dir.", .list = KF_LIST_GRANT, .access = RW},
	{"filesystem.unix_socket_subtree_bind", KF_KEY_PATHS, "As unix_socket_dir_bind.", .list = KF_LIST_GRANT, .access = RW},
	{"filesystem.suppress_save_prompt", KF_KEY_IGNORED, NO_SHELL},
	{"filesystem.ignore", KF_KEY_IGNORED, NO_SHELL},

	{"workdir", KF_KEY_SECTION, "The container's working directory."},
	{"workdir.access", KF_KEY_ENUM, "Access to the working directory.", .scalar = KF_SCALAR_WORKDIR,
	 .values = VALUES("none", "read", "write", "readwrite")},

	{"network", KF_KEY_SECTION, "Which connections may be made."},
	{"network.block", KF_KEY_BOOL, "No network at all.", .scalar = KF_SCALAR_BLOCK},
	{"network.open_port", KF_KEY_PORTS, "TCP ports to connect to and listen on; other TCP ports are closed, and with block all else too.", .access = KF_PORT_CONNECT | KF_PORT_BIND},
	{"network.connect_port", KF_KEY_PORTS, "TCP ports to connect to; other TCP ports are closed, and with block all else too.", .access = KF_PORT_CONNECT},
	{"network.listen_port", KF_KEY_PORTS, "TCP ports to listen on; other TCP ports are closed, and with block all else too.", .access = KF_PORT_BIND},
	{"network.connect_port_range", KF_KEY_RANGES, "As connect_port: [first, last].", .access = KF_PORT_CONNECT},
	{"network.open_port_range", KF_KEY_RANGES, "As open_port: [first, last].", .access = KF_PORT_CONNECT | KF_PORT_BIND},
	{"network.listen_port_range", KF_KEY_RANGES, "As listen_port: [first, last].", .access = KF_PORT_BIND},
	{"network.connect_udp_port", KF_KEY_PORTS, "UDP ports to send to (Linux 7.2); other UDP ports are closed, and with block all else too.", .access = KF_PORT_CONNECT_UDP},
	{"network.listen_udp_port", KF_KEY_PORTS, "UDP ports to receive on (Linux 7.2); other UDP ports are closed, and with block all else too.", .access = KF_PORT_BIND_UDP},
	{"network.connect_udp_port_range", KF_KEY_RANGES, "As connect_udp_port: [first, last].", .access = KF_PORT_CONNECT_UDP},
	{"network.listen_udp_port_range", KF_KEY_RANGES, "As listen_udp_port: [first, last].", .access = KF_PORT_BIND_UDP},
	{"network.allow_domain", KF_KEY_DOMAINS, "Hosts to connect to: a name, *.suffix, or {\"domain\", \"ports\": [443], \"allow\": [\"GET /path\"]}; by the egress broker, or for 'kubefence profile netpol'.", .list = KF_LIST_DOMAIN},
	{"network.network_profile", KF_KEY_STRING, "Named set of hosts, as allow_domain.", .scalar = KF_SCALAR_NETWORK_PROFILE},
	{"network.enforced_by", KF_KEY_ENUM, "Says that a policy of the cluster enforces the hosts where no egress broker does.", .scalar = KF_SCALAR_DOMAINS_BY,
	 .values = VALUES("network-policy")},
	{"network.credentials", KF_KEY_REFUSED, NO_PROXY},
	{"network.custom_credentials", KF_KEY_REFUSED, NO_PROXY},
	{"network.tls_intercept", KF_KEY_REFUSED, NO_PROXY},
	{"network.upstream_proxy", KF_KEY_REFUSED, NO_PROXY},
	{"network.upstream_bypass", KF_KEY_REFUSED, NO_PROXY},
	{"network.deny_domain", KF_KEY_DOMAINS, "Hosts that the egress broker never lets be reached, whatever allow_domain says.", .list = KF_LIST_DENY_DOMAIN},
	{"network.allow_range", KF_KEY_ADDRESSES, "Addresses, as ADDRESS/BITS, that a host's name may lead to although they are not public.", .list = KF_LIST_RANGE},
	{"network.ask", KF_KEY_STRING, "Whom the egress broker's refusals tell the agent to ask.", .scalar = KF_SCALAR_ASK},
	{"network.no_proxy", KF_KEY_IGNORED, "there is no proxy of nono's to go around"},
	{"network.approval_backends", KF_KEY_IGNORED, NO_PROMPT},
	{"network.approval_defaults", KF_KEY_IGNORED, NO_PROMPT},
	{"network.allow_http2", KF_KEY_IGNORED, "it concerns nono's proxy only"},

	{"credentials", KF_KEY_CREDENTIALS, "Keys that the egress broker adds to requests: {route, upstream, secret, key, header, form, user, env, placeholder, allow}.", .list = KF_LIST_CREDENTIAL},

	{"environment", KF_KEY_SECTION, "Which variables the program sees."},
	{"environment.allow_vars", KF_KEY_ENV_NAMES, "Keep only these; * in a name stands for any characters.", .list = KF_LIST_ENV_KEEP},
	{"environment.deny_vars", KF_KEY_ENV_NAMES, "Drop these; * in a name stands for any characters.", .list = KF_LIST_ENV_DROP},
	{"environment.case_insensitive_vars", KF_KEY_BOOL, "Upper and lower case are one in allow_vars and deny_vars.", .scalar = KF_SCALAR_ENV_ANYCASE},
	{"environment.set_vars", KF_KEY_ENV_SET, "Set these; a value that is a path may start with ~ or a variable, as in filesystem.", .list = KF_LIST_ENV_SET},

	{"security", KF_KEY_SECTION, "What else programs may do to each other."},
	{"security.signal_mode", KF_KEY_ENUM, "Whether signals reach processes outside the sandbox.", .scalar = KF_SCALAR_SIGNAL,
	 .values = VALUES("isolated", "allow_same_sandbox", "allow_all")},
	{"security.ipc_mode", KF_KEY_ENUM, "Whether abstract unix sockets outside the sandbox can be reached.", .scalar = KF_SCALAR_IPC,
	 .values = VALUES("shared_memory_only", "full")},
	{"security.memfd_exec", KF_KEY_BOOL, "Whether programs may be executed from memory files, which no path grants or denies (true).", .scalar = KF_SCALAR_MEMFD_EXEC},
	{"security.process_info_mode", KF_KEY_IGNORED, NO_MACOS},
	{"security.capability_elevation", KF_KEY_IGNORED, NO_PROMPT},
	{"security.approval_backends", KF_KEY_IGNORED, NO_PROMPT},
	{"security.approval_defaults", KF_KEY_IGNORED, NO_PROMPT},
	{"security.wsl2_proxy_policy", KF_KEY_IGNORED, "it concerns Windows only"},

	{"linux", KF_KEY_SECTION, "How nono enforces on Linux."},
	{"linux.af_unix_mediation", KF_KEY_REFUSED, "the launcher does not mediate connections to unix sockets by path; deny the directory of the socket",
	 .values = VALUES("off")},
	{"linux.sandbox_policy", KF_KEY_REFUSED, "the sandbox is always Landlock and seccomp", .values = VALUES("auto", "landlock")},

	{"linux.isolate", KF_KEY_SECTION, "Namespaces for the command alone."},
	{"linux.isolate.network", KF_KEY_REFUSED, "the network namespace is the pod's; write network.block"},
	{"linux.isolate.loopback", KF_KEY_IGNORED, "the loopback is the pod's"},
	{"linux.isolate.ipc", KF_KEY_IGNORED, "the pod has an IPC namespace of its own unless it asks for the host's"},
	{"linux.isolate.uts", KF_KEY_IGNORED, "the pod has a UTS namespace of its own"},

	{"rlimits", KF_KEY_RLIMITS, "Resource limits: a number, \"unlimited\", or [soft, hard].", .list = KF_LIST_RLIMIT},
	{"allow_gpu", KF_KEY_BOOL, "Use of the GPU device nodes.", .scalar = KF_SCALAR_GPU},

	{"inner_sandbox", KF_KEY_BOOL, "nono-bwrap comes first in PATH, as bwrap: agents can sandbox each of their commands.", .scalar = KF_SCALAR_INNER},

	{"commands", KF_KEY_SECTION, "nono's gate for the first program."},
	{"commands.allow", KF_KEY_IGNORED, NO_GATE},
	{"commands.deny", KF_KEY_IGNORED, NO_GATE},
	{"env_credentials", KF_KEY_REFUSED, "there is no key store in a container; give the container the variable from a Secret"},
	{"secrets", KF_KEY_REFUSED, "there is no key store in a container; give the container the variable from a Secret"},
	{"session_hooks", KF_KEY_REFUSED, "no scripts of a profile run in a container; use an init container or a postStart hook"},
	{"command_policies", KF_KEY_REFUSED, "it needs nono's supervisor, which a container does not have"},
	{"credential_capture", KF_KEY_REFUSED, "it needs nono's supervisor, which a container does not have"},
	{"credential_providers", KF_KEY_REFUSED, NO_PROXY},
	{"credential_routes", KF_KEY_REFUSED, NO_PROXY},
	{"resources", KF_KEY_REFUSED, "it is the pod's to say: resources.limits of the container; for rlimits use the key 'rlimits'"},
	{"hooks", KF_KEY_IGNORED, "nothing is installed into an agent's configuration"},
	{"packs", KF_KEY_IGNORED, "nothing is downloaded"},
	{"binary", KF_KEY_IGNORED, "the pod says what is started"},
	{"command_args", KF_KEY_IGNORED, "the pod says what is started"},
	{"allow_launch_services", KF_KEY_IGNORED, NO_MACOS},
	{"allow_parent_of_protected", KF_KEY_IGNORED, NO_MACOS},
	{"unsafe_macos_seatbelt_rules", KF_KEY_IGNORED, NO_MACOS},
	{"open_urls", KF_KEY_IGNORED, NO_SHELL},
	{"diagnostics", KF_KEY_IGNORED, NO_SHELL},
	{"rollback", KF_KEY_IGNORED, NO_SHELL},
	{"undo", KF_KEY_IGNORED, NO_SHELL},
	{"skipdirs", KF_KEY_IGNORED, NO_SHELL},
	{"interactive", KF_KEY_IGNORED, NO_SHELL},

	/* Keys of nono 0.23 and before. */
	{"security.groups", KF_KEY_NAMES, "", "groups.include", .list = KF_LIST_INCLUDE},
	{"security.allowed_commands", KF_KEY_IGNORED, NO_GATE, "commands.allow"},
	{"policy", KF_KEY_SECTION, "", "filesystem"},
	{"policy.exclude_groups", KF_KEY_NAMES, "", "groups.exclude", .list = KF_LIST_EXCLUDE},
	{"policy.add_allow_read", KF_KEY_PATHS, "", "filesystem.read", .list = KF_LIST_GRANT, .access = RX},
	{"policy.add_allow_write", KF_KEY_PATHS, "", "filesystem.write", .list = KF_LIST_GRANT, .access = W},
	{"policy.add_allow_readwrite", KF_KEY_PATHS, "", "filesystem.allow", .list = KF_LIST_GRANT, .access = RWX},
	{"policy.add_deny_access", KF_KEY_PATHS, "", "filesystem.deny", .list = KF_LIST_DENY},
	{"policy.add_deny_commands", KF_KEY_IGNORED, NO_GATE, "commands.deny"},
	{"policy.override_deny", KF_KEY_PATHS, "", "filesystem.bypass_protection", .list = KF_LIST_BYPASS},
	{"network.proxy_allow", KF_KEY_DOMAINS, "", "network.allow_domain", .list = KF_LIST_DOMAIN},
	{"network.allow_proxy", KF_KEY_DOMAINS, "", "network.allow_domain", .list = KF_LIST_DOMAIN},
	{"network.proxy_credentials", KF_KEY_REFUSED, NO_PROXY, "network.credentials"},
	{"network.port_allow", KF_KEY_PORTS, "", "network.open_port", .access = KF_PORT_CONNECT | KF_PORT_BIND},
	{"network.allow_port", KF_KEY_PORTS, "", "network.open_port", .access = KF_PORT_CONNECT | KF_PORT_BIND},
	{"network.external_proxy", KF_KEY_REFUSED, NO_PROXY, "network.upstream_proxy"},
	{"network.external_proxy_bypass", KF_KEY_REFUSED, NO_PROXY, "network.upstream_bypass"},
};
/* clang-format on */
const size_t kf_nprofile_keys = KF_ARRAY_SIZE(kf_profile_keys);

const char *const kf_profile_accesses[] = {"r", "rx", "rw", "rwx", "w", NULL};
static const unsigned access_bits[] = {R, RX, RW, RWX, W};

void kf_profile_rlimits(const char *ret[static KF_POLICY_LIMITS + 1])
{
	for (size_t i = 0; i < KF_POLICY_LIMITS; i++)
		ret[i] = kf_policy_limits[i].name;
	ret[KF_POLICY_LIMITS] = NULL;
}

unsigned kf_profile_access(const char *s)
{
	for (size_t i = 0; kf_profile_accesses[i]; i++)
		if (strcmp(kf_profile_accesses[i], s) == 0)
			return access_bits[i];
	return 0;
}

const char *kf_profile_access_name(unsigned access)
{
	for (size_t i = 0; kf_profile_accesses[i]; i++)
		if (access_bits[i] == access)
			return kf_profile_accesses[i];
	return "rwx"; /* "x" and "wx" do not occur: both come with read */
}

/* The part of the key's name behind "SECTION."; NULL if the key is of another section. */
static const char *key_within(const char *section, const char *key)
{
	size_t n = strlen(section);

	if (n && (strncmp(key, section, n) != 0 || key[n] != '.'))
		return NULL;
	key += n ? n + 1 : 0;
	return strchr(key, '.') ? NULL : key;
}

const struct kf_profile_key *kf_profile_key(const char *section, const char *name)
{
	for (size_t i = 0; i < kf_nprofile_keys; i++) {
		const char *last = key_within(section, kf_profile_keys[i].name);

		if (last && strcmp(last, name) == 0)
			return &kf_profile_keys[i];
	}
	return NULL;
}

void kf_profile_key_names(const char *section, const char **ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < kf_nprofile_keys && n < max; i++) {
		const char *last = key_within(section, kf_profile_keys[i].name);

		if (last && !kf_profile_keys[i].modern)
			ret[n++] = last;
	}
	ret[n] = NULL;
}
