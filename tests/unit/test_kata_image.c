/* SPDX-License-Identifier: Apache-2.0 */
/* src/kata/image: kernels and root file systems of ours are checked, named after their contents,
 * and removed when no configuration names them. */
#include "base/cleanup.h"
#include "container.h"
#include "kata/kata.h"
#include "kf_test.h"

#include <limits.h>

#define IMAGES "/opt/kubefence/kata/images"
#define SIZE   8192

#define STEP(n, condition)          \
	do {                        \
		if (!(condition))   \
			return (n); \
	} while (0)

static struct kf_err err;
static unsigned said;

static void count_event(void *ctx, const char *action, const char *object, const char *detail)
{
	(void)ctx;
	(void)action;
	(void)object;
	(void)detail;
	said++;
}

/* @n bytes, in which @text is at @at. */
static bool make_image(const char *path, size_t n, size_t at, const char *text)
{
	static char data[SIZE];
	FILE *f = fopen(path, "w");
	bool ok;

	memset(data, 0, sizeof(data));
	memcpy(data + at, text, strlen(text));
	ok = f && fwrite(data, 1, n, f) == n;
	return f && fclose(f) == 0 && ok;
}

static bool make_nothing(void)
{
	return make_dirs("tmp kata share opt opt/kubefence proc");
}

static bool make_kernel(const char *path)
{
	char text[64];
	FILE *f;
	bool ok;

	(void)snprintf(text, sizeof(text), "\177ELF%s", path);
	if (!make_image(path, SIZE, 0, text))
		return false;
	f = fopen(path, "r+");
	ok = f && fseek(f, 1000, SEEK_SET) == 0 && fputs("landlock", f) >= 0;
	return f && fclose(f) == 0 && ok;
}

static int only_what_is_one_is_installed(void)
{
	struct kf_node node = {.say = count_event};
	struct kf_arena arena;
	const char *path, *again;
	bool changed = false;

	STEP(1, enter_container(make_nothing) && kf_host_open("/", &node.host, &err) == 0);
	kf_arena_init(&arena, SIZE);
	STEP(2, kf_kata_image(&node, KF_KATA_KERNEL, "/none", true, &arena, &path, &changed, &err) <
			0);
	STEP(3, make_image("/short", 100, 0, "\177ELF"));
	STEP(4, kf_kata_image(&node, KF_KATA_KERNEL, "/short", true, &arena, &path, &changed,
			      &err) < 0 &&
			strstr(err.msg, "usable size"));
	STEP(5, make_image("/text", SIZE, 0, "text"));
	STEP(6, kf_kata_image(&node, KF_KATA_KERNEL, "/text", true, &arena, &path, &changed, &err) <
				0 &&
			strstr(err.msg, "is no kernel"));
	STEP(7, kf_kata_image(&node, KF_KATA_ROOTFS, "/text", true, &arena, &path, &changed, &err) <
				0 &&
			strstr(err.msg, "neither an ext4"));
	STEP(8, make_image("/old", SIZE, 0, "\177ELF"));
	STEP(9, kf_kata_image(&node, KF_KATA_KERNEL, "/old", true, &arena, &path, &changed, &err) <
				0 &&
			strstr(err.msg, "without Landlock"));
	STEP(10, !changed && !said && make_kernel("/vmlinux"));
	/* A plan only names it. */
	STEP(11, kf_kata_image(&node, KF_KATA_KERNEL, "/vmlinux", false, &arena, &path, &changed,
			       &err) == 0 &&
			 !changed);
	STEP(12,
	     strncmp(path, IMAGES "/vmlinux-", strlen(IMAGES) + 9) == 0 && access(path, F_OK) < 0);
	STEP(13, kf_kata_image(&node, KF_KATA_KERNEL, "/vmlinux", true, &arena, &again, &changed,
			       &err) == 0 &&
			 changed);
	STEP(14, strcmp(path, again) == 0 && access(path, F_OK) == 0 && said == 1);
	/* What is there is not written again, unless others may have written it. */
	changed = false;
	STEP(15, kf_kata_image(&node, KF_KATA_KERNEL, "/vmlinux", true, &arena, &again, &changed,
			       &err) == 0 &&
			 !changed);
	STEP(16, chmod(path, 0666) == 0);
	STEP(17, kf_kata_image(&node, KF_KATA_KERNEL, "/vmlinux", true, &arena, &again, &changed,
			       &err) == 0 &&
			 changed);
	STEP(18, make_image("/disk", SIZE, 510, "\x55\xaa"));
	STEP(19, kf_kata_image(&node, KF_KATA_ROOTFS, "/disk", true, &arena, &again, &changed,
			       &err) == 0);
	STEP(20, make_file(IMAGES "/.vmlinux-x.1.tmp", ""));
	changed = false;
	STEP(21, kf_kata_sweep(&node, (const char *const[]){again, NULL}, &changed, &err) == 0 &&
			 changed);
	STEP(22, access(path, F_OK) < 0 && access(again, F_OK) == 0 &&
			 access(IMAGES "/.vmlinux-x.1.tmp", F_OK) < 0);
	kf_arena_done(&arena);
	kf_host_done(&node.host);
	return 0;
}

static int the_first_that_is_one_is_fetched(void)
{
	STEP(1, enter_container(make_nothing));
	STEP(2, kf_kata_fetch(KF_KATA_KERNEL, "/tmp/kernel", &err) < 0 &&
			strcmp(err.msg, "there is no kernel in this image") == 0);
	STEP(3, kf_kata_fetch(KF_KATA_ROOTFS, "/tmp/rootfs", &err) < 0 &&
			strcmp(err.msg, "there is no root file system in this image") == 0);
	STEP(4, make_image("/kata/vmlinux-old", SIZE, 0, "\177ELF"));
	STEP(5, kf_kata_fetch(KF_KATA_KERNEL, "/tmp/kernel", &err) < 0 &&
			strstr(err.msg, "without Landlock"));
	STEP(6, make_image("/share/bzImage", SIZE, 0x202, "HdrS"));
	STEP(7, kf_kata_fetch(KF_KATA_KERNEL, "/tmp/kernel", &err) == 0 &&
			access("/tmp/kernel", F_OK) == 0);
	STEP(8, make_image("/kata/a.img", SIZE, 0x438, "\x53\xef"));
	STEP(9, kf_kata_fetch(KF_KATA_ROOTFS, "/tmp/rootfs", &err) == 0);
	STEP(10, mount("kf", "/tmp", "tmpfs", MS_RDONLY, NULL) == 0);
	STEP(11, kf_kata_fetch(KF_KATA_ROOTFS, "/tmp/rootfs", &err) < 0 && err.code == EROFS);
	return 0;
}

IN_CONTAINER(installed, apart, only_what_is_one_is_installed)
IN_CONTAINER(fetched, apart, the_first_that_is_one_is_fetched)

int main(void)
{
	const struct CMUnitTest tests[] = {
		{"only what is an image is installed", installed, NULL, NULL, NULL},
		{"the first that is an image is fetched", fetched, NULL, NULL, NULL},
	};

	return cmocka_run_group_tests(tests, make_container_root, remove_container_root);
}
