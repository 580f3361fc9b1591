/* SPDX-License-Identifier: Apache-2.0 */
/* What is a secret, wherever a profile is not asked: the denials of these groups. */
#include "profile/profile.h"

static const char text[] =
	"{\"groups\": {\"base\": false, \"include\": [\"deny_credentials\", "
	"\"deny_keychains_linux\", \"deny_browser_data_linux\", \"deny_shell_history\", "
	"\"deny_password_hashes\", \"deny_env_files\", \"deny_service_account\"]}}";

const struct kf_profile_source kf_profile_secrets = {
	.name = "secrets",
	.file = "secrets.json",
	.text = text,
	.n = sizeof(text) - 1,
};
