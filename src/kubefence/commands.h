/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_COMMANDS_H
#define KF_KUBEFENCE_COMMANDS_H

/* X(name, summary): one line a subcommand; kf_cmd_<name>() lives in cmd_<name>.c. */
#define KF_COMMANDS(X)                                                          \
	X(explain, "which rule of a profile decides about a path")              \
	X(doctor, "is this node able to sandbox, and does it?")                 \
	X(kata, "the sandbox in Kata Containers' virtual machines")             \
	X(node, "prepare this machine's container runtime, and take that back") \
	X(profile, "write, check and look at profiles")                         \
	X(seccomp, "what the seccomp levels let through, and why")              \
	X(selftest, "in a container: is this process in the sandbox?")          \
	X(try, "run a command as a sandboxed container of this machine, without a cluster")

#define KF_DECLARE_COMMAND(name, summary) int kf_cmd_##name(int argc, char **argv);
KF_COMMANDS(KF_DECLARE_COMMAND)
#undef KF_DECLARE_COMMAND

#endif
