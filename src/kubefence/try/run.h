/* SPDX-License-Identifier: Apache-2.0 */
/* Running one container of this machine, for "kubefence try" and "kubefence learn". */
#ifndef KF_KUBEFENCE_TRY_RUN_H
#define KF_KUBEFENCE_TRY_RUN_H

#include "egress/worker.h"
#include "kubefence/options.h"
#include "kubefence/profile/find.h"
#include "kubefence/try/bundle.h"
#include "kubefence/try/stage.h"

#define TRY_VOLUMES_MAX 32
#define TRY_ENV_MAX	256
#define TRY_SECRETS_MAX 32

struct try_user {
	uint32_t uid, gid;
};

struct try_options {
	const char *profile, *rootfs, *workdir, *runtime, *ca;
	struct try_user user;
	const char *env_v[TRY_ENV_MAX], *volumes_v[TRY_VOLUMES_MAX], *dirs_v[KF_PROFILE_DIRS_MAX],
		*secrets_v[TRY_SECRETS_MAX];
	struct kf_option_list env, volumes, dirs, secrets;
	struct kf_compiled compiled; /* the profile; unless it is --plain */
	bool own;		     /* it is one of a file or of --dir */
	bool token, plain, no_guard, no_container;
	char **command;
	int ncommand;
};

/* Called before the plugin is asked about @c, and after the container has ended, while its files
 * are still there. */
struct try_hooks {
	int (*before)(void *ctx, const struct try_stage *stage, struct try_container *c,
		      struct kf_err *err);
	int (*after)(void *ctx, const struct try_stage *stage, const struct try_container *c,
		     struct kf_err *err);
	void *ctx;
};

/* What the rows below set has to be the first member of @type. */
#define TRY_ROW(letter_, name_, value_, kind_, member, help_)                                \
	{                                                                                    \
		.letter = (letter_), .name = (name_), .kind = KF_OPTION_##kind_,             \
		.value = (value_), KF_OPTION_AT(struct try_options, member), .help = (help_) \
	}
#define TRY_ROWS                                                                          \
	KF_OPT_DIR(struct try_options, dirs),                                             \
		TRY_ROW('r', "rootfs", "DIR", STRING, rootfs,                             \
			"root file system (default: this machine's own, read through an " \
			"overlay)"),                                                      \
		TRY_ROW('w', "workdir", "DIR", PLACE, workdir,                            \
			"working directory in the container (default: /)"),               \
		{.letter = 'u',                                                           \
		 .name = "user",                                                          \
		 .kind = KF_OPTION_CALL,                                                  \
		 .value = "UID[:GID]",                                                    \
		 KF_OPTION_AT(struct try_options, user),                                  \
		 .call = try_take_user,                                                   \
		 .help = "user (default: 0:0)"},                                          \
		TRY_ROW('e', "env", "KEY=VALUE", EACH, env,                               \
			"environment variable; may be repeated"),                         \
		TRY_ROW('v', "volume", "SRC:DST[:ro]", EACH, volumes,                     \
			"mount host directory SRC at DST; may be repeated"),              \
		TRY_ROW(0, "token", NULL, SET, token,                                     \
			"mount a service-account token as the kubelet does"),             \
		TRY_ROW(0, "secret", "NAME=DIR", EACH, secrets,                           \
			"the files of DIR are the keys of the Secret NAME, which the "    \
			"profile's credentials name; the container does not get them; "   \
			"may be repeated"),                                               \
		TRY_ROW(0, "ca", "FILE", STRING, ca,                                      \
			"certificates of the authorities that the egress broker trusts "  \
			"(default: " KF_EGRESS_CA ")"),                                   \
		TRY_ROW(0, "runtime", "PROGRAM", STRING, runtime, "OCI runtime (default: runc)")

/* For the row "user". */
int try_take_user(void *target, const char *s, struct kf_err *err);
/* The values of options that are not given. */
void try_options_init(struct try_options *o);
/* Check the options' values, and compile the profile into @o; an exit code. */
int try_prepare(struct try_options *o, struct kf_profiles *profiles);
/* Run the container; an exit code: the command's own, or what went wrong, which was reported.
 * @hooks may be NULL. */
int try_run(struct try_options *o, const struct try_hooks *hooks);

#endif
