/* SPDX-License-Identifier: Apache-2.0 */
#include "nono-nri/publish.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/file.h"
#include "base/limits.h"
#include "policy/settings_text.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define NAME "settings"

int kf_publish_settings(const char *node_dir, const struct kf_settings *settings,
			struct kf_err *err)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(KF_LIMIT_CONFIG);
	KF_FREE char *old = NULL;
	KF_CLOSE int dir = -1;
	size_t n;

	if (kf_settings_format(settings, &text, err) < 0 ||
	    kf_mkdir_parents(node_dir, 0755, err) < 0)
		return -1;
	dir = open(node_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return kf_fail_sys(err, "'%s'", node_dir);
	if (kf_file_slurp(dir, NAME, KF_LIMIT_CONFIG, &old, &n, NULL) == 0 && n == text.n &&
	    memcmp(old, text.p, n) == 0)
		return 0;
	return kf_file_replace(dir, NAME, text.p, text.n, 0644, err);
}
