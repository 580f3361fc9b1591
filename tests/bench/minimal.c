/* SPDX-License-Identifier: Apache-2.0 */
/* The least that puts a process into the same sandbox: RULES, from "nono wrap --dry-run", is
 * compiled in, nothing is looked up, parsed or checked.  minimal PROGRAM... */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct rule {
	const char *path;
	uint64_t allowed;
} rules[] = {
#include RULES
};

int main(int argc, char **argv, char **envp)
{
	struct {
		uint64_t fs, net, scoped;
	} attr = {HANDLED, 0, 0};
	long ruleset = syscall(444, &attr, SIZE, 0);

	(void)argc;
	for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct {
			uint64_t allowed;
			int32_t fd;
		} __attribute__((packed))
		rule = {rules[i].allowed,
			(int)syscall(SYS_openat, AT_FDCWD, rules[i].path, O_PATH | O_CLOEXEC)};

		if (syscall(445, ruleset, 1, &rule, 0) < 0)
			return 3;
		close(rule.fd);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0 || syscall(446, ruleset, 0) < 0)
		return 4;
	close((int)ruleset);
	execve(argv[1], argv + 1, envp);
	return 5;
}
