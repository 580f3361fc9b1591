/* SPDX-License-Identifier: Apache-2.0 */
/* src/node/predecessor: its tables go, and nothing else, wherever they stand in whatever file. */
#include "base/cleanup.h"
#include "kf_test.h"
#include "node/predecessor.h"

#include <stdint.h>
#include <string.h>

#define NRI                                           \
	"\n[plugins.\"io.containerd.nri.v1.nri\"]\n"  \
	"  disable = false\n"                         \
	"  socket_path = \"/var/run/nri/nri.sock\"\n" \
	"  plugin_path = \"/opt/nri/plugins\"\n"      \
	"  plugin_config_path = \"/etc/nri/conf.d\"\n"
#define HANDLER                                                                     \
	"\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.nono-runc]\n" \
	"  runtime_type = \"io.containerd.runc.v2\"\n"
#define BOTH (KF_PREDECESSOR_NRI | KF_PREDECESSOR_HANDLER)

/* An owner's pieces, those among them that look like its tables and say more, less or something
 * else. */
static const char *const pieces[] = {
	"version = 3\n",
	"\n",
	"# io.containerd.nri.v1.nri\n",
	"[plugins.'io.containerd.nri.v1.nri']\n  disable = true\n",
	"[debug]\n  level = \"info\"\n",
	"  [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n    runtime_type = "
	"\"io.containerd.runc.v2\"\n",
	"[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.nono-runc]\n  runtime_type = "
	"\"io.containerd.runc.v2\"\n  [plugins.x]\n  pod_annotations = [\"a\"]\n",
	"[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.nono-runc]\n  runtime_type = "
	"\"io.containerd.runc.v2\"\n  sandboxer = \"podsandbox\"\n",
	"[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.nono-runc]\n  runtime_type = "
	"\"io.containerd.kata.v2\"\n",
	"[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.nono-runc.options]\n  "
	"SystemdCgroup = true\n",
	"[plugins.\"io.containerd.nri.v1.nri\"]\n  disable = false\n",
	"[plugins.\"io.containerd.nri.v1.nri\"]\n  disable = true\n  socket_path = \"/x\"\n  "
	"plugin_path = \"/x\"\n  plugin_config_path = \"/x\"\n",
	"#[plugins.\"io.containerd.nri.v1.nri\"]\n",
};

static uint64_t seed = 20261128;

static size_t below(size_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(seed >> 33) % n;
}

static void stripped(const char *text, unsigned which, const char *want, unsigned found)
{
	struct kf_buf out = KF_BUF_INIT(1 << 16);

	assert_int_equal(kf_predecessor_strip(text, strlen(text), which, &out), found);
	assert_string_equal(out.p ? out.p : "", want);
	kf_buf_done(&out);
}

static void its_tables_go_and_nothing_else(void **state)
{
	(void)state;
	stripped("version = 3\n" NRI HANDLER, BOTH, "version = 3\n", BOTH);
	stripped("version = 3\n" NRI HANDLER, KF_PREDECESSOR_NRI, "version = 3\n" HANDLER,
		 KF_PREDECESSOR_NRI);
	stripped("version = 3\n" HANDLER, BOTH, "version = 3\n", KF_PREDECESSOR_HANDLER);
	stripped("", BOTH, "", 0);
	stripped("\n\n", BOTH, "\n\n", 0);
	/* It appended the end of the owner's last line as well. */
	stripped("a = 1" NRI, BOTH, "a = 1\n", KF_PREDECESSOR_NRI);
	/* With a table of options it is somebody's own. */
	stripped(HANDLER
		 "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.nono-runc.options]\n",
		 BOTH,
		 HANDLER
		 "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.nono-runc.options]\n",
		 0);
}

/* Whatever the owner has, as long as it is not the very same tables. */
static void an_owner_gets_back_every_byte(void **state)
{
	(void)state;
	for (unsigned run = 0; run < 20000; run++) {
		struct kf_buf owner = KF_BUF_INIT(1 << 16), all = KF_BUF_INIT(1 << 16);
		size_t at = below(6), n = below(6) + at + 1;
		const char *table = below(2) ? NRI : HANDLER;
		bool has;

		for (size_t i = 0; i < n; i++) {
			const char *piece = pieces[below(KF_ARRAY_SIZE(pieces))];

			/* A table follows, or a key would belong to what was appended. */
			if (i == at) {
				kf_buf_adds(&all, table);
				kf_buf_adds(&all, "[x]\n");
				kf_buf_adds(&owner, "[x]\n");
			}
			kf_buf_adds(&all, piece);
			kf_buf_adds(&owner, piece);
		}
		has = strstr(owner.p, "nono-runc") != NULL;
		if (strcmp(table, NRI) == 0)
			stripped(all.p, KF_PREDECESSOR_NRI, owner.p, KF_PREDECESSOR_NRI);
		else /* where the owner names the handler, too, it is his */
			stripped(all.p, KF_PREDECESSOR_HANDLER, has ? all.p : owner.p,
				 has ? 0 : KF_PREDECESSOR_HANDLER);
		stripped(owner.p, KF_PREDECESSOR_NRI, owner.p, 0);
		kf_buf_done(&owner);
		kf_buf_done(&all);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_tables_go_and_nothing_else),
		cmocka_unit_test(an_owner_gets_back_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
