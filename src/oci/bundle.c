/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/bundle.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int kf_oci_file_read(const char *dir, const char *name, struct kf_oci_file *ret, struct kf_err *err)
{
	struct kf_oci_file file = {0};
	KF_CLOSE int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	KF_CLOSE int fd = -1;
	struct stat st;

	if (dirfd < 0)
		return kf_fail_sys(err, "open directory '%s'", dir);
	if (!*name || strlen(name) >= sizeof(file.name) || strchr(name, '/'))
		return kf_fail(err, EINVAL, "'%s': not a file name", name);
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return kf_fail_sys(err, "open '%s/%s'", dir, name);
	if (kf_fd_slurp(fd, name, KF_LIMIT_OCI_JSON, &file.text, &file.n, err) < 0)
		return -1;
	memcpy(file.name, name, strlen(name) + 1);
	file.mode = st.st_mode & 07777;
	file.uid = st.st_uid;
	file.gid = st.st_gid;
	file.dirfd = kf_steal_fd(&dirfd);
	*ret = file;
	return 0;
}

int kf_oci_file_replace(const struct kf_oci_file *file, const char *text, size_t n,
			struct kf_err *err)
{
	char tmp[sizeof(file->name) + 32];
	KF_CLOSE int fd = -1;

	(void)snprintf(tmp, sizeof(tmp), ".%.200s.%ld.tmp", file->name, (long)getpid());
	(void)unlinkat(file->dirfd, tmp, 0);
	fd = openat(file->dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return kf_fail_sys(err, "create '%s'", tmp);
	if (kf_write_all(fd, text, n, err) < 0)
		kf_err_wrap(err, "'%s'", tmp);
	else if (fchown(fd, file->uid, file->gid) < 0 || fchmod(fd, file->mode) < 0)
		kf_err_set_sys(err, "set owner and mode of '%s'", tmp);
	else if (renameat(file->dirfd, tmp, file->dirfd, file->name) < 0)
		kf_err_set_sys(err, "replace '%s'", file->name);
	else
		return 0;
	(void)unlinkat(file->dirfd, tmp, 0);
	return -1;
}

void kf_oci_file_done(struct kf_oci_file *file)
{
	if (file->text)
		(void)close(file->dirfd);
	free(file->text);
	file->text = NULL;
}

static void add_string(struct kf_buf *buf, const char *s)
{
	kf_buf_adds(buf, "\"");
	kf_buf_add_json(buf, s);
	kf_buf_adds(buf, "\"");
}

static void add_strings(struct kf_buf *buf, const char *const *v)
{
	kf_buf_adds(buf, "[");
	for (size_t i = 0; v && v[i]; i++) {
		kf_buf_adds(buf, i ? "," : "");
		add_string(buf, v[i]);
	}
	kf_buf_adds(buf, "]");
}

static void add_mounts(struct kf_buf *buf, const struct kf_oci_spec *spec)
{
	static const char common[] =
		"{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\","
		"\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
		"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
		"\"options\":[\"nosuid\",\"strictatime\",\"mode=755\",\"size=65536k\"]},"
		"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\","
		"\"options\":[\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode="
		"0620\","
		"\"gid=5\"]},"
		"{\"destination\":\"/dev/shm\",\"type\":\"tmpfs\",\"source\":\"shm\","
		"\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=65536k\"]},"
		"{\"destination\":\"/dev/mqueue\",\"type\":\"mqueue\",\"source\":\"mqueue\","
		"\"options\":[\"nosuid\",\"noexec\",\"nodev\"]},"
		"{\"destination\":\"/sys\",\"type\":\"sysfs\",\"source\":\"sysfs\","
		"\"options\":[\"nosuid\",\"noexec\",\"nodev\",\"ro\"]}";

	kf_buf_adds(buf, common);
	for (size_t i = 0; spec->binds && spec->binds[i]; i += 2) {
		kf_buf_adds(buf, ",{\"destination\":");
		add_string(buf, spec->binds[i + 1]);
		kf_buf_adds(buf, ",\"type\":\"bind\",\"source\":");
		add_string(buf, spec->binds[i]);
		kf_buf_adds(buf, ",\"options\":[\"rbind\",\"rprivate\",\"rw\"]}");
	}
}

int kf_oci_spec_text(const struct kf_oci_spec *spec, char **ret, struct kf_err *err)
{
	static const char caps[] =
		"[\"CAP_CHOWN\",\"CAP_DAC_OVERRIDE\",\"CAP_FSETID\",\"CAP_FOWNER\",\"CAP_MKNOD\","
		"\"CAP_NET_RAW\",\"CAP_SETGID\",\"CAP_SETUID\",\"CAP_SETFCAP\",\"CAP_SETPCAP\","
		"\"CAP_NET_BIND_SERVICE\",\"CAP_SYS_CHROOT\",\"CAP_KILL\",\"CAP_AUDIT_WRITE\"]";
	struct kf_buf buf = KF_BUF_INIT(KF_LIMIT_OCI_JSON);

	kf_buf_addf(&buf, "{\"ociVersion\":\"1.0.2\",\"process\":{\"terminal\":%s,",
		    spec->terminal ? "true" : "false");
	kf_buf_addf(&buf, "\"user\":{\"uid\":%u,\"gid\":%u},\"args\":", spec->uid, spec->gid);
	add_strings(&buf, spec->args);
	kf_buf_adds(&buf, ",\"env\":");
	add_strings(&buf, spec->env);
	kf_buf_adds(&buf, ",\"cwd\":");
	add_string(&buf, spec->cwd ? spec->cwd : "/");
	kf_buf_addf(&buf,
		    ",\"capabilities\":{\"bounding\":%s,\"effective\":%s,\"permitted\":%s},"
		    "\"noNewPrivileges\":false},\"root\":{\"path\":",
		    caps, caps, caps);
	add_string(&buf, spec->rootfs);
	kf_buf_addf(&buf, ",\"readonly\":%s},", spec->readonly ? "true" : "false");
	if (spec->hostname) {
		kf_buf_adds(&buf, "\"hostname\":");
		add_string(&buf, spec->hostname);
		kf_buf_adds(&buf, ",");
	}
	kf_buf_adds(&buf, "\"mounts\":[");
	add_mounts(&buf, spec);
	kf_buf_adds(&buf, "],\"annotations\":{");
	for (size_t i = 0; spec->annotations && spec->annotations[i]; i += 2) {
		kf_buf_adds(&buf, i ? "," : "");
		add_string(&buf, spec->annotations[i]);
		kf_buf_adds(&buf, ":");
		add_string(&buf, spec->annotations[i + 1]);
	}
	kf_buf_addf(&buf,
		    "},\"linux\":{\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"ipc\"},"
		    "{\"type\":\"uts\"},{\"type\":\"mount\"}%s],"
		    "\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/kcore\","
		    "\"/proc/keys\",\"/proc/latency_stats\",\"/proc/timer_list\","
		    "\"/proc/timer_stats\",\"/proc/sched_debug\",\"/proc/scsi\","
		    "\"/sys/firmware\"],"
		    "\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\","
		    "\"/proc/sysrq-trigger\"],"
		    "\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]}}}\n",
		    spec->host_network ? "" : ",{\"type\":\"network\"}");
	*ret = kf_buf_take(&buf);
	return *ret ? 0 : kf_fail_nomem(err, "config.json");
}
