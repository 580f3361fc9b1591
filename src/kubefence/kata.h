/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KF_KUBEFENCE_KATA_H
#define KF_KUBEFENCE_KATA_H

/* X(name, summary): one line a subcommand of "kubefence kata"; kf_kata_<name>()
 * lives in kata_<name>.c and is a command as in command.h. */
#define KF_KATA_COMMANDS(X)	       X(status, "which Kata is here, and what of it is ours")

#define KF_DECLARE_KATA(name, summary) int kf_kata_##name(int argc, char **argv);
KF_KATA_COMMANDS(KF_DECLARE_KATA)
#undef KF_DECLARE_KATA

#endif
