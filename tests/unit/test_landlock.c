/* SPDX-License-Identifier: Apache-2.0 */
/* src/sandbox/landlock, src/sandbox/proof, src/confine/confine: a real domain, entered by a process
 * of the test's.  What is refused in it works before. */
#include "apart.h"
#include "base/cleanup.h"
#include "confine/confine.h"
#include "flat/flat.h"
#include "kf_test.h"
#include "sandbox/landlock.h"
#include "sandbox/proof.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static char base[] = "/tmp/kf-landlock-XXXXXX";
static int abi;

/* Each step of a child has a number, which is its status if it fails. */
#define STEP(n, condition)          \
	do {                        \
		if (!(condition))   \
			return (n); \
	} while (0)

static int open_dir(const char *name)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", base, name);
	return open(path, O_PATH | O_CLOEXEC);
}

static int try_open(const char *name, int flags)
{
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", base, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)close(fd);
	return fd < 0 ? errno : 0;
}

static bool grant(const struct kf_landlock *ll, const char *name, unsigned access)
{
	KF_CLOSE int fd = open_dir(name);
	struct kf_err err;

	return fd >= 0 && kf_landlock_allow(ll, fd, KF_LANDLOCK_ELSEWHERE, access, &err) == 0;
}

static int only_what_is_granted(void)
{
	KF_CLOSE int list = open_dir("list"), null = open("/dev/null", O_PATH | O_CLOEXEC);
	struct kf_landlock_want want = {0};
	struct kf_landlock ll;
	struct kf_err err;

	STEP(1, kf_landlock_open(&want, &ll, &err) == 0);
	STEP(2, grant(&ll, "read", KF_FS_READ) && grant(&ll, "write", KF_FS_READ | KF_FS_WRITE));
	STEP(3, grant(&ll, "file/granted", KF_FS_READ));
	STEP(4, kf_landlock_allow_list(&ll, list, &err) == 0);
	STEP(5, kf_landlock_allow_unix(&ll, list, &err) == 0);
	STEP(6, kf_landlock_allow(&ll, null, KF_LANDLOCK_ELSEWHERE, KF_FS_READ | KF_FS_WRITE,
				  &err) == 0);
	STEP(7, kf_landlock_quiet(&ll, list, &err) == 0);
	/* Control. */
	STEP(10,
	     try_open("other/x", O_RDONLY) == 0 && try_open("read/new", O_WRONLY | O_CREAT) == 0);
	STEP(11, kf_landlock_enforce(&ll, &err) == 0);
	STEP(12, try_open("read/x", O_RDONLY) == 0);
	STEP(13, try_open("read/x", O_WRONLY) == EACCES);
	STEP(14, try_open("read/newer", O_WRONLY | O_CREAT) == EACCES);
	STEP(15, try_open("write/new", O_WRONLY | O_CREAT) == 0);
	STEP(16, try_open("other/x", O_RDONLY) == EACCES);
	STEP(17, try_open("file/granted", O_RDONLY) == 0);
	STEP(18, try_open("file/other", O_RDONLY) == EACCES);
	STEP(19, try_open("list", O_RDONLY | O_DIRECTORY) == 0);
	STEP(20, try_open("list/x", O_RDONLY) == EACCES);
	STEP(21, open("/dev/null", O_RDWR | O_CLOEXEC) >= 0);
	return 0;
}

static void a_domain_refuses_what_no_rule_grants(void **state)
{
	(void)state;
	assert_int_equal(apart(only_what_is_granted), 0);
}

/* 0 or errno. */
static int try_connect(in_port_t port)
{
	KF_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr = {htonl(INADDR_LOOPBACK)}};

	return connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0;
}

static int listen_somewhere(in_port_t *ret)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(at);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, n) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &n) < 0)
		return -1;
	*ret = ntohs(at.sin_port);
	return fd;
}

static int only_the_port_that_is_granted(void)
{
	const struct kf_landlock_want want = {.net = KF_LANDLOCK_TCP,
					      .signal = abi >= KF_LANDLOCK_ABI_SCOPE};
	in_port_t granted, other;
	struct kf_landlock ll;
	struct kf_err err;

	STEP(1, listen_somewhere(&granted) >= 0 && listen_somewhere(&other) >= 0);
	STEP(2, try_connect(granted) == 0 && try_connect(other) == 0);
	STEP(3, kf_landlock_open(&want, &ll, &err) == 0);
	STEP(4, kf_landlock_allow_port(&ll, KF_LANDLOCK_CONNECT_TCP, granted, &err) == 0);
	STEP(5, kf_landlock_enforce(&ll, &err) == 0);
	STEP(6, try_connect(granted) == 0);
	STEP(7, try_connect(other) == EACCES);
	return 0;
}

static void ports_without_a_rule_are_refused(void **state)
{
	(void)state;
	if (abi < KF_LANDLOCK_ABI_NET)
		skip(); /* this kernel restricts no ports */
	assert_int_equal(apart(only_the_port_that_is_granted), 0);
}

static int proves_it(void)
{
	const struct kf_landlock_want want = {0};
	struct kf_landlock ll;
	struct kf_proof proof;
	struct kf_err err;

	STEP(1, kf_landlock_open(&want, &ll, &err) == 0);
	STEP(2, kf_proof_begin(&proof, false, false, &err) == 0);
	STEP(3, proof.works[0] || proof.works[1]);
	STEP(4, kf_landlock_enforce(&ll, &err) == 0);
	STEP(5, kf_proof_end(&proof, &err) == 0);
	return 0;
}

static int proof_misses(bool filter, bool nnp, const char *what)
{
	struct kf_proof proof;
	struct kf_err err;

	STEP(1, kf_proof_begin(&proof, filter, false, &err) == 0);
	STEP(2, !nnp || prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) == 0);
	STEP(3, kf_proof_end(&proof, &err) == -1 && err.code == EPERM);
	STEP(4, strstr(err.msg, what) != NULL);
	return 0;
}

static int without_no_new_privs(void)
{
	return proof_misses(false, false, "no_new_privs was set and is not in force");
}

static int without_filter(void)
{
	return proof_misses(true, true, "the seccomp filter was installed and is not in force");
}

static int without_domain(void)
{
	return proof_misses(false, true, "the Landlock sandbox was entered and is not in force");
}

static void the_proof_knows_what_is_in_force(void **state)
{
	(void)state;
	assert_int_equal(apart(proves_it), 0);
	assert_int_equal(apart(without_no_new_privs), 0);
	assert_int_equal(apart(without_filter), 0);
	assert_int_equal(apart(without_domain), 0);
}

static int daemon_is_confined(void)
{
	static const uint16_t ports[] = {443}, udp[] = {53};
	static const struct kf_calls *const calls[] = {&kf_libc_calls, &kf_event_calls};
	char read_dir[PATH_MAX], write_dir[PATH_MAX];
	const struct kf_place places[] = {
		{read_dir, KF_PLACE_READ},	   {write_dir, KF_PLACE_WRITE},
		{"/no/such/place", KF_PLACE_READ}, {NULL, 0},
		{base, KF_PLACE_CONNECT},
	};
	const struct kf_confinement c = {calls, 2, places, 5, ports, 1, udp, 1};
	struct kf_confined got;
	struct kf_err err;

	(void)snprintf(read_dir, sizeof(read_dir), "%s/read", base);
	(void)snprintf(write_dir, sizeof(write_dir), "%s/write", base);
	STEP(1, try_open("other/x", O_RDONLY) == 0);
	STEP(2, kf_confine(&c, &got, &err) == 0);
	STEP(3, got.abi == abi);
	/* The filter knows open(2) of neither list; Landlock, which asks later, would refuse it. */
	STEP(4, try_open("other/x", O_RDONLY) != 0);
	STEP(5, !got.filter || (mkdir(write_dir, 0700) < 0 && errno == EPERM));
	return 0;
}

static void a_daemon_gives_up_what_it_does_not_need(void **state)
{
	(void)state;
	assert_int_equal(apart(daemon_is_confined), 0);
}

static int set_up(void **state)
{
	static const char *const dirs[] = {"read", "write", "other", "list", "file"};
	static const char *const files[] = {"read/x", "other/x", "list/x", "file/granted",
					    "file/other"};
	char path[PATH_MAX];
	struct kf_err err;

	(void)state;
	if (!mkdtemp(base) || kf_landlock_probe(&abi, &err) < 0)
		return -1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(dirs); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", base, dirs[i]);
		if (mkdir(path, 0700) < 0)
			return -1;
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(files); i++)
		if (try_open(files[i], O_WRONLY | O_CREAT) != 0)
			return -1;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const all[] = {"read/x", "read/new",	    "write/new",  "other/x",
					  "list/x", "file/granted", "file/other", "read",
					  "write",  "other",	    "list",	  "file",
					  ""};
	char path[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(all); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", base, all[i]);
		(void)remove(path);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_domain_refuses_what_no_rule_grants),
		cmocka_unit_test(ports_without_a_rule_are_refused),
		cmocka_unit_test(the_proof_knows_what_is_in_force),
		cmocka_unit_test(a_daemon_gives_up_what_it_does_not_need),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
