/* SPDX-License-Identifier: Apache-2.0 */
/* src/enter: a policy's sandbox, entered in a container of the test's: what it grants works, what
 * it does not grant worked before and fails now; who enters later gets the same. */
#include "base/cleanup.h"
#include "container.h"
#include "enter/enter.h"
#include "kf_test.h"
#include "policies.h"
#include "refuse.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define STEP(n, condition)          \
	do {                        \
		if (!(condition))   \
			return (n); \
	} while (0)

static char *const env[] = {(char *)"HOME=/root", NULL};
static char workdir[] = "/work";
static const struct kf_vars vars = {.uid = 0, .workdir = workdir, .env = env};
static struct kf_policy policy;
static struct kf_enter_needs needs;
static struct kf_err err;
static const struct kf_scene scene = {.tree = &kf_tree_live, .policy = &policy, .vars = &vars};

static bool make_image(void)
{
	return make_dirs("etc work work/kept work/link root proc tmp") &&
	       make_file("etc/file", "x") && make_file("work/file", "x") &&
	       make_file("root/secret", "x") && symlink("/work", "alias") == 0 &&
	       mount("proc", "proc", "proc", 0, NULL) == 0;
}

static bool enter(const char *rules, struct kf_enter *e)
{
	if (!parse_rules(rules, &policy))
		return false;
	kf_enter_find_needs(&policy, &needs);
	e->scene = &scene;
	e->needs = &needs;
	return kf_enter_sandbox(e, &err) == 0;
}

static int try_open(const char *path, int flags)
{
	KF_CLOSE int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? errno : 0;
}

static int try_port(bool listen, uint16_t port)
{
	const struct sockaddr_in a = {.sin_family = AF_INET,
				      .sin_port = htons(port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	KF_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno;
	return (listen ? bind(fd, (const void *)&a, sizeof(a))
		       : connect(fd, (const void *)&a, sizeof(a))) < 0
		       ? errno
		       : 0;
}

static int files_are_those_that_are_granted(void)
{
	struct kf_enter e = {0};

	STEP(1, enter_container(make_image));
	STEP(2, try_open("/root/secret", O_RDONLY) == 0 &&
			try_open("/etc/new", O_WRONLY | O_CREAT) == 0);
	STEP(3, enter("fs r /etc\nfs rw $WORKDIR\nfs readonly /work/kept\nfs quiet /work\nfs quiet "
		      "$XDG_DATA_HOME\n",
		      &e));
	STEP(4, try_open("/etc/file", O_RDONLY) == 0 && try_open("/work/file", O_RDWR) == 0);
	STEP(5, try_open("/root/secret", O_RDONLY) == EACCES &&
			try_open("/etc/newer", O_WRONLY | O_CREAT) == EACCES);
	STEP(6, try_open("/work/kept/x", O_WRONLY | O_CREAT) == EACCES);
	kf_policy_done(&policy);
	return 0;
}

static int ports_are_those_that_are_granted(void)
{
	struct kf_enter e = {0};
	int abi;

	STEP(1, enter_container(make_image) && kf_landlock_probe(&abi, &err) == 0);
	STEP(2, unshare(CLONE_NEWNET) == 0 && try_port(true, 8082) == 0);
	if (abi < KF_LANDLOCK_ABI_NET)
		return 0;
	STEP(3, enter("net bind 8080-8081\nnet connect 443\n", &e));
	STEP(4, try_port(true, 8080) == 0 && try_port(true, 8081) == 0 &&
			try_port(true, 8082) == EACCES);
	/* No network is up here: what is let pass cannot be reached. */
	STEP(5, try_port(false, 443) == ENETUNREACH && try_port(false, 444) == EACCES);
	kf_policy_done(&policy);
	return 0;
}

static int blocked_is_blocked(void)
{
	struct kf_enter e = {0};

	STEP(1, enter_container(make_image) && try_port(true, 0) == 0 && memfd_create("x", 0) >= 0);
	STEP(2, enter("net block\nmemfd noexec\nfs r /proc\n", &e));
	STEP(3, try_port(true, 0) == EPERM || try_port(true, 0) == EACCES);
	STEP(4, memfd_create("x", 0x10 /* MFD_EXEC */) < 0);
	kf_policy_done(&policy);
	return 0;
}

static void needs_follow_from_the_rules(void **state)
{
	(void)state;
	assert_true(
		parse_rules("fs volumes\nfs quiet /x\nscope signal\nscope abstract\nfs processes\n"
			    "net connect-udp 53\nnet connect 443\nmemfd noexec\n",
			    &policy));
	kf_enter_find_needs(&policy, &needs);
	assert_true(needs.volumes && needs.proc_writable && needs.landlock.quiet &&
		    needs.landlock.signal && needs.landlock.abstract);
	assert_true(needs.filter.tcp && needs.filter.udp && needs.filter.restrict_connect &&
		    needs.filter.memfd_noexec && !needs.filter.block);
	kf_policy_done(&policy);
	assert_true(parse_rules("fs rw /proc/self\nnet block\nnet bind 80\n", &policy));
	kf_enter_find_needs(&policy, &needs);
	assert_true(needs.proc_writable && needs.landlock.block && needs.filter.block &&
		    needs.filter.restrict_connect);
	kf_policy_done(&policy);
}

static int who_enters_later_gets_what_the_first_got(void)
{
	static _Alignas(8) char text[64 * 1024];
	static struct kf_domain domain;
	struct kf_enter e = {.domain = &domain, .domain_fd = memfd_create("domain", MFD_CLOEXEC)};
	const char *path;
	ssize_t n;

	STEP(1, enter_container(make_image));
	STEP(2, kf_domain_begin(e.domain_fd, "p\n", 2, NULL, 0, 0, &err) == 0);
	n = pread(e.domain_fd, text, sizeof(text), 0);
	STEP(3, n > 0 && kf_domain_parse(text, (size_t)n, &domain, &err) == 0);
	STEP(4, enter("fs r /etc\nfs rw /work\nfs r /proc\n", &e));
	n = pread(e.domain_fd, text, sizeof(text), 0);
	STEP(5,
	     n > 0 && kf_domain_parse(text, (size_t)n, &domain, &err) == 0 && domain.head.decided);
	/* What is the process's own is looked up anew, and not written down. */
	STEP(6, kf_domain_next(&domain, kf_domain_next(&domain, NULL, &path), &path) &&
			strcmp(path, "/work") == 0);
	kf_policy_done(&policy);
	/* The policy has changed since; that counts for nothing. */
	STEP(7, enter("fs rw /etc\nfs r /proc\n", &e));
	STEP(8, try_open("/work/file", O_RDWR) == 0 && try_open("/etc/file", O_RDWR) == EACCES &&
			try_open("/proc/meminfo", O_RDONLY) == 0);
	kf_policy_done(&policy);
	return 0;
}

static int a_literal_policy_follows_no_symlink(void)
{
	struct kf_enter e = {.literal = true, .unlisted = true};

	STEP(1, enter_container(make_image));
	STEP(2,
	     !enter("fs r /alias\n", &e) && strstr(err.msg, "it has become a symlink, to '/work'"));
	kf_policy_done(&policy);
	STEP(3, enter("fs rw /work\nfs deny /work/file\n", &e));
	STEP(4, try_open("/work/kept/x", O_WRONLY | O_CREAT) == 0 &&
			try_open("/work", O_RDONLY | O_DIRECTORY) == EACCES);
	STEP(5, try_open("/work/file", O_RDONLY) == EACCES);
	kf_policy_done(&policy);
	return 0;
}

static int without_statx_nobody_can_enter_later(void)
{
	static _Alignas(8) char text[4096];
	static struct kf_domain domain;
	struct kf_enter e = {.domain = &domain, .domain_fd = memfd_create("domain", MFD_CLOEXEC)};
	ssize_t n;

	STEP(1, enter_container(make_image) &&
			kf_domain_begin(e.domain_fd, "p\n", 2, NULL, 0, 0, &err) == 0);
	n = pread(e.domain_fd, text, sizeof(text), 0);
	STEP(2, n > 0 && kf_domain_parse(text, (size_t)n, &domain, &err) == 0);
	STEP(3, refuse_calls(&(struct refusal){SYS_statx, ANY_OPTION, EPERM}, 1));
	STEP(4, !enter("fs r /etc\n", &e) && strstr(err.msg, "statx"));
	STEP(5, try_open("/root/secret", O_RDONLY) == 0); /* not entered */
	kf_policy_done(&policy);
	return 0;
}

IN_CONTAINER(files, apart, files_are_those_that_are_granted)
IN_CONTAINER(ports, apart, ports_are_those_that_are_granted)
IN_CONTAINER(blocked, apart, blocked_is_blocked)
IN_CONTAINER(later, apart, who_enters_later_gets_what_the_first_got)
IN_CONTAINER(literal, apart, a_literal_policy_follows_no_symlink)
IN_CONTAINER(unknown, apart, without_statx_nobody_can_enter_later)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(needs_follow_from_the_rules),
		{"files are those that are granted", files, NULL, NULL, NULL},
		{"ports are those that are granted", ports, NULL, NULL, NULL},
		{"a blocked network is blocked", blocked, NULL, NULL, NULL},
		{"who enters later gets what the first got", later, NULL, NULL, NULL},
		{"a literal policy follows no symlink", literal, NULL, NULL, NULL},
		{"without statx nobody can enter later, nor first", unknown, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests(tests, make_container_root, remove_container_root);
}
