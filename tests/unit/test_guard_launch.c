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

static int given(const char *text)
{
	int fd = memfd_create("given", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static int install(const char *launcher, struct kf_err *err)
{
	const int fds[KF_LAUNCH_GIVEN] = {
		[KF_LAUNCH_DOMAIN] = given("domain"), [KF_LAUNCH_OUTCOME] = given("outcome")};

	return kf_launch_install(launcher, fds, "", FIRST, err);
}

static void the_launcher_is_a_sealed_copy(void **state)
{
	char path[] = "/tmp/kf-launch-XXXXXX";
	int fd = mkstemp(path);
	struct kf_err err;
	char got[16];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "launcher", 8), 8);
	assert_int_equal(install(path, &err), 0);
	assert_sealed(FIRST, 0555, "launcher");
	assert_int_equal(fcntl(FIRST + 1, F_GETFD), 0); /* inherited */
	assert_int_equal(pread(FIRST + 1, got, sizeof(got), 0), 6);
	assert_memory_equal(got, "domain", 6);
	assert_int_equal(fcntl(FIRST + 2, F_GETFD), 0);
	assert_int_equal(pread(FIRST + 2, got, sizeof(got), 0), 7);
	assert_memory_equal(got, "outcome", 7);
	/* The host's file may change; the copy does not. */
	assert_int_equal(pwrite(fd, "LAUNCHER", 8, 0), 8);
	assert_sealed(FIRST, 0555, "launcher");
	assert_int_equal(fchmod(fd, 0622), 0);
	assert_int_equal(install(path, &err), -1);
	(void)close(fd);
	(void)unlink(path);
	assert_int_equal(install(path, &err), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_launcher_is_a_sealed_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
