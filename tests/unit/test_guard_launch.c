/* SPDX-License-Identifier: Apache-2.0 */
/* src/nono-runc/launch: what is handed to the container cannot be changed by it. */
#include "kf_test.h"
#include "nono-runc/launch.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST 20

static void assert_sealed(int fd, mode_t mode, const char *text)
{
	char got[64] = "";
	struct stat st;

	assert_int_equal(fcntl(fd, F_GET_SEALS) & 0xf,
			 F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(fcntl(fd, F_GETFD), 0); /* inherited */
	assert_true(pread(fd, got, sizeof(got) - 1, 0) > 0);
	assert_string_equal(got, text);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
}

static void both_descriptors_are_sealed_copies(void **state)
{
	char path[] = "/tmp/kf-launch-XXXXXX";
	int fd = mkstemp(path);
	struct kf_err err;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "launcher", 8), 8);
	assert_int_equal(kf_launch_install(path, "policy", 6, "", FIRST, &err), 0);
	assert_sealed(FIRST, 0555, "launcher");
	assert_sealed(FIRST + 1, 0444, "policy");
	/* The host's file may change; the copy does not. */
	assert_int_equal(pwrite(fd, "LAUNCHER", 8, 0), 8);
	assert_sealed(FIRST, 0555, "launcher");
	assert_int_equal(fchmod(fd, 0622), 0);
	assert_int_equal(kf_launch_install(path, "policy", 6, "", FIRST, &err), -1);
	(void)close(fd);
	(void)unlink(path);
	assert_int_equal(kf_launch_install(path, "policy", 6, "", FIRST, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_descriptors_are_sealed_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
