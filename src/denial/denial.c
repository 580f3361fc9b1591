/* SPDX-License-Identifier: Apache-2.0 */
/* One denial: from the kernel's record to what people, programs and Kubernetes are told.  Which
 * records belong together is in feed.c. */
#include "denial/denial.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "denial/call_names.h"
#include "flat/flat.h"

#include <inttypes.h>
#include <linux/audit.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *const kf_denial_kinds[KF_DENIAL_NKINDS] = {
#define KF_DENIAL_NAME(name, text) text,
	KF_DENIAL_KINDS(KF_DENIAL_NAME)
#undef KF_DENIAL_NAME
};

#define R   KF_FS_READ
#define W   KF_FS_WRITE
#define X   KF_FS_EXEC
/* Kernel's words, ours, and what a profile would have to have: access to the path, or a key. */
#define NET "network"
#define SEC "security"
static const struct {
	const char *blocker, *word;
	enum kf_denial_kind kind;
	unsigned access;
	const char *section, *key, *value; /* value NULL: the port */
} blockers[] = {
	{"fs.execute", "execute", KF_DENIAL_FILE, R | X, NULL, NULL, NULL},
	{"fs.write_file", "write", KF_DENIAL_FILE, W, NULL, NULL, NULL},
	{"fs.read_file", "read", KF_DENIAL_FILE, R, NULL, NULL, NULL},
	{"fs.read_dir", "list", KF_DENIAL_FILE, R, NULL, NULL, NULL},
	{"fs.remove_dir", "remove", KF_DENIAL_FILE, W, NULL, NULL, NULL},
	{"fs.remove_file", "remove", KF_DENIAL_FILE, W, NULL, NULL, NULL},
	{"fs.make_char", "make a device", KF_DENIAL_FILE, 0, NULL, NULL, NULL},
	{"fs.make_dir", "create", KF_DENIAL_FILE, W, NULL, NULL, NULL},
	{"fs.make_reg", "create", KF_DENIAL_FILE, W, NULL, NULL, NULL},
	{"fs.make_sock", "create", KF_DENIAL_FILE, W, NULL, NULL, NULL},
	{"fs.make_fifo", "create", KF_DENIAL_FILE, W, NULL, NULL, NULL},
	{"fs.make_block", "make a device", KF_DENIAL_FILE, 0, NULL, NULL, NULL},
	{"fs.make_sym", "create", KF_DENIAL_FILE, W, NULL, NULL, NULL},
	{"fs.refer", "move", KF_DENIAL_FILE, W, NULL, NULL, NULL},
	{"fs.truncate", "truncate", KF_DENIAL_FILE, W, NULL, NULL, NULL},
	{"fs.ioctl_dev", "control", KF_DENIAL_FILE, W, NULL, NULL, NULL},
	{"fs.resolve_unix", "connect", KF_DENIAL_FILE, R | W, NULL, NULL, NULL},
	{"fs.change_topology", "mount", KF_DENIAL_OTHER, 0, NULL, NULL, NULL},
	{"net.bind_tcp", "listen", KF_DENIAL_NETWORK, 0, NET, "listen_port", NULL},
	{"net.connect_tcp", "connect", KF_DENIAL_NETWORK, 0, NET, "connect_port", NULL},
	{"net.bind_udp", "receive", KF_DENIAL_NETWORK, 0, NET, "listen_udp_port", NULL},
	{"net.connect_send_udp", "send", KF_DENIAL_NETWORK, 0, NET, "connect_udp_port", NULL},
	{"net.send_udp", "send", KF_DENIAL_NETWORK, 0, NET, "connect_udp_port", NULL},
	{"ptrace", "trace", KF_DENIAL_OTHER, 0, NULL, NULL, NULL},
	{"scope.abstract_unix_socket", "connect", KF_DENIAL_SCOPE, 0, SEC, "ipc_mode", "full"},
	{"scope.signal", "signal", KF_DENIAL_SCOPE, 0, SEC, "signal_mode", "allow_all"},
};
_Static_assert(KF_ARRAY_SIZE(blockers) < 32, "bits of kf_denial.blocked");

/* ---- records ---- */

/* Words that there is no room for are left out: ->blockers has them. */
static void add_word(struct kf_denial *d, const char *word)
{
	const size_t n = strlen(d->what), len = strlen(word);
	const char *at = strstr(d->what, word);

	if ((at && (at == d->what || at[-1] == ',') && (!at[len] || at[len] == ',')) ||
	    n + len + 2 > sizeof(d->what))
		return;
	(void)snprintf(d->what + n, sizeof(d->what) - n, "%s%s", n ? "," : "", word);
}

/* What is moved lacks at one place all that it would gain at the other: that is one thing. */
#define REFER (1U << 13)
_Static_assert(KF_ARRAY_SIZE(blockers) > 13, "fs.refer");

static void name_move(struct kf_denial *d)
{
	if (d->blocked & REFER)
		(void)snprintf(d->what, sizeof(d->what), "move");
}

/* A word that is new to us is told as the kernel says it, without a rule. */
static void take_blocker(struct kf_denial *d, const char *name, size_t n)
{
	char other[48];

	for (unsigned i = 0; i < KF_ARRAY_SIZE(blockers); i++) {
		if (strlen(blockers[i].blocker) == n &&
		    strncmp(blockers[i].blocker, name, n) == 0) {
			if (!d->blocked)
				d->kind = blockers[i].kind;
			d->blocked |= 1U << i;
			add_word(d, blockers[i].word);
			return;
		}
	}
	(void)snprintf(other, sizeof(other), "%.*s", (int)n, name);
	add_word(d, other);
}

bool kf_denial_of_access(const struct kf_audit_record *record, struct kf_denial *ret,
			 uint64_t *ret_domain)
{
	struct kf_denial *d = ret;
	uint64_t port = 0;

	/* The paths need not be cleared. */
	d->ms = record->ms;
	d->who = NULL;
	d->kind = KF_DENIAL_OTHER;
	d->what[0] = d->process[0] = d->exe[0] = '\0';
	d->blocked = 0;
	d->pid = 0;
	d->call = -1;
	d->count = 1;
	d->untold = false;
	if (!kf_audit_number(record, "domain", 16, ret_domain) ||
	    !kf_audit_string(record, "blockers", d->blockers, sizeof(d->blockers)))
		return false;
	for (const char *at = d->blockers; *at; at += strcspn(at, ","), at += *at == ',')
		take_blocker(d, at, strcspn(at, ","));
	name_move(d);
	if (!kf_audit_string(record, "path", d->path, sizeof(d->path)))
		(void)kf_audit_string(record, "ocomm", d->path, sizeof(d->path));
	/* connect: dest; bind: src. */
	if (!kf_audit_number(record, "dest", 10, &port))
		(void)kf_audit_number(record, "src", 10, &port);
	d->port = port <= UINT16_MAX ? (uint16_t)port : 0;
	return true;
}

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#else
#define ARCH AUDIT_ARCH_AARCH64
#endif

/* Numbers of other architectures mean other calls. */
static void name_call(const struct kf_audit_record *record, uint64_t call, char *ret, size_t size)
{
	uint64_t arch = 0;

	(void)kf_audit_number(record, "arch", 16, &arch);
	if (arch == ARCH && call < KF_CALL_NAMES && kf_call_names[call])
		(void)snprintf(ret, size, "%s", kf_call_names[call]);
	else
		(void)snprintf(ret, size, "%" PRIu64 " of architecture %#" PRIx64, call, arch);
}

bool kf_denial_of_seccomp(const struct kf_audit_record *record, struct kf_denial *ret)
{
	uint64_t call, code = 0;

	if (!kf_audit_number(record, "syscall", 10, &call))
		return false;
	(void)kf_audit_number(record, "code", 16, &code);
	*ret = (struct kf_denial){
		.ms = record->ms, .kind = KF_DENIAL_SYSCALL, .call = (int64_t)call, .count = 1};
	(void)snprintf(ret->what, sizeof(ret->what), "syscall");
	(void)snprintf(ret->blockers, sizeof(ret->blockers), "seccomp.%#" PRIx64, code);
	name_call(record, call, ret->path, sizeof(ret->path));
	kf_denial_add_process(ret, record);
	/* SCMP_ACT_LOG allows what it logs. */
	return code != 0x7ffc0000;
}

void kf_denial_of_egress(const char *name, uint16_t port, const char *reason, uint64_t ms,
			 struct kf_who *who, struct kf_denial *ret)
{
	*ret = (struct kf_denial){.ms = ms,
				  .who = who,
				  .kind = KF_DENIAL_EGRESS,
				  .port = port,
				  .call = -1,
				  .count = 1};
	(void)snprintf(ret->what, sizeof(ret->what), "reach");
	(void)snprintf(ret->blockers, sizeof(ret->blockers), "egress.%s", reason);
	(void)snprintf(ret->path, sizeof(ret->path), "%s", name);
}

void kf_denial_add_process(struct kf_denial *d, const struct kf_audit_record *record)
{
	uint64_t pid = 0;

	(void)kf_audit_string(record, "comm", d->process, sizeof(d->process));
	(void)kf_audit_string(record, "exe", d->exe, sizeof(d->exe));
	if (kf_audit_number(record, "pid", 10, &pid))
		d->pid = (pid_t)pid;
}

void kf_denial_merge(struct kf_denial *d, const struct kf_denial *other)
{
	if (!(other->blocked & REFER) || d->blocked & REFER)
		return;
	d->kind = other->kind;
	d->blocked = other->blocked;
	(void)snprintf(d->what, sizeof(d->what), "%s", other->what);
	(void)snprintf(d->blockers, sizeof(d->blockers), "%s", other->blockers);
	(void)snprintf(d->path, sizeof(d->path), "%s", other->path);
}

bool kf_denial_is_proof(const struct kf_audit_record *record)
{
	char text[64];

	if (!kf_audit_string(record, "dev", text, sizeof(text)) || strcmp(text, "proc") != 0 ||
	    !kf_audit_string(record, "blockers", text, sizeof(text)))
		return false;
	/* src/sandbox/proof.c: a rename within a process's directory, and its clear_refs. */
	if (strcmp(text, "fs.remove_file,fs.make_reg") == 0)
		return true;
	return strcmp(text, "fs.write_file") == 0 &&
	       kf_audit_string(record, "path", text, sizeof(text)) && strstr(text, "/clear_refs");
}

bool kf_denial_same(const struct kf_denial *a, const struct kf_denial *b)
{
	return a->who == b->who && a->port == b->port && a->call == b->call &&
	       a->blocked == b->blocked && a->untold == b->untold &&
	       strcmp(a->process, b->process) == 0 && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->blockers, b->blockers) == 0;
}

/* ---- what would have allowed it ---- */

static unsigned needed_access(const struct kf_denial *d)
{
	unsigned access = 0;

	for (unsigned i = 0; i < KF_ARRAY_SIZE(blockers); i++) {
		if (!(d->blocked & 1U << i))
			continue;
		/* One part that no profile can allow. */
		if (!blockers[i].access && !(d->blocked & REFER))
			return 0;
		access |= blockers[i].access;
	}
	return access;
}

static bool put_grant(const struct kf_denial *d, const char *key, struct kf_buf *out)
{
	/* As filesystem.grant has them: what may be written and executed may be read. */
	static const char *const names[] = {[R] = "r",		[W] = "w",  [R | W] = "rw",
					    [R | X] = "rx",	[X] = "rx", [W | X] = "rwx",
					    [R | W | X] = "rwx"};
	const unsigned access = needed_access(d);

	if (!access || d->path[0] != '/')
		return false;
	kf_json_open(out, key, '{');
	kf_json_open(out, "filesystem", '{');
	kf_json_open(out, "grant", '[');
	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "path", d->path);
	kf_json_put_string(out, "access", names[access]);
	kf_json_close(out, '}');
	kf_json_close(out, ']');
	kf_json_close(out, '}');
	kf_json_close(out, '}');
	return true;
}

/* Whether the broker refused because the profile does not have the host, or not on that port. */
static bool put_host(const struct kf_denial *d, const char *key, struct kf_buf *out)
{
	if (!*d->path || !d->port ||
	    (strcmp(d->blockers, "egress.host") != 0 && strcmp(d->blockers, "egress.port") != 0))
		return false;
	kf_json_open(out, key, '{');
	kf_json_open(out, NET, '{');
	kf_json_open(out, "allow_domain", '[');
	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "domain", d->path);
	kf_json_open(out, "ports", '[');
	kf_json_put_number(out, NULL, d->port);
	kf_json_close(out, ']');
	kf_json_close(out, '}');
	kf_json_close(out, ']');
	kf_json_close(out, '}');
	kf_json_close(out, '}');
	return true;
}

bool kf_denial_rule(const struct kf_denial *d, const char *key, struct kf_buf *out)
{
	if (d->kind == KF_DENIAL_FILE)
		return put_grant(d, key, out);
	if (d->kind == KF_DENIAL_EGRESS)
		return put_host(d, key, out);
	for (unsigned i = 0; i < KF_ARRAY_SIZE(blockers); i++) {
		if (!(d->blocked & 1U << i) || !blockers[i].key || (!blockers[i].value && !d->port))
			continue;
		kf_json_open(out, key, '{');
		kf_json_open(out, blockers[i].section, '{');
		if (blockers[i].value) {
			kf_json_put_string(out, blockers[i].key, blockers[i].value);
		} else {
			kf_json_open(out, blockers[i].key, '[');
			kf_json_put_number(out, NULL, d->port);
			kf_json_close(out, ']');
		}
		kf_json_close(out, '}');
		kf_json_close(out, '}');
		return true;
	}
	return false;
}

/* ---- telling ---- */

static void put_who(const struct kf_who *who, struct kf_buf *out)
{
	const struct {
		const char *key, *value;
	} names[] = {
		{"namespace", who ? who->namespace_ : ""}, {"pod", who ? who->pod : ""},
		{"podUid", who ? who->uid : ""},	   {"container", who ? who->container : ""},
		{"containerId", who ? who->id : ""},	   {"profile", who ? who->profile : ""},
	};

	for (size_t i = 0; i < KF_ARRAY_SIZE(names); i++)
		kf_json_put_string(out, names[i].key, names[i].value);
}

void kf_denial_json(const struct kf_denial *d, struct kf_buf *out)
{
	const time_t seconds = (time_t)(d->ms / 1000);
	char at[32] = "", stamp[48];
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		(void)strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(stamp, sizeof(stamp), "%s.%03uZ", at, (unsigned)(d->ms % 1000));
	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "time", stamp);
	put_who(d->who, out);
	if (d->untold) {
		kf_json_put_string(out, "what", "more");
	} else {
		kf_json_put_string(out, "process", d->process);
		kf_json_put_string(out, "exe", d->exe);
		kf_json_put_number(out, "pid", d->pid);
		kf_json_put_string(out, "kind", kf_denial_kinds[d->kind]);
		kf_json_put_string(out, "what", d->what);
		kf_json_put_string(out, "blockers", d->blockers);
		if (d->call >= 0)
			kf_json_put_string(out, "syscall", d->path);
		else if (*d->path)
			kf_json_put_string(out, "path", d->path);
		if (d->port)
			kf_json_put_number(out, "port", d->port);
		(void)kf_denial_rule(d, "rule", out);
	}
	kf_json_put_number(out, "count", (long long)d->count);
	kf_json_close(out, '}');
	kf_buf_adds(out, "\n");
}

void kf_denial_sentence(const struct kf_denial *d, struct kf_buf *out)
{
	const char *profile = d->who && *d->who->profile ? d->who->profile : "?";

	if (d->untold) {
		kf_buf_addf(out, "%" PRIu64 " more denials, too many to tell", d->count);
		return;
	}
	if (d->call >= 0)
		kf_buf_addf(out, "seccomp does not let '%s' call %s", d->process, d->path);
	else
		kf_buf_addf(out, "profile '%s' does not let '%s' %s", profile,
			    *d->process ? d->process : "a program", d->what);
	if (d->kind == KF_DENIAL_EGRESS)
		kf_buf_addf(out, " %s:%u (%s)", d->path, d->port, d->blockers + strlen("egress."));
	else if (d->port)
		kf_buf_addf(out, " port %u", d->port);
	else if (*d->path && d->call < 0)
		kf_buf_addf(out, " %s", d->path);
	if (d->count > 1)
		kf_buf_addf(out, " (%" PRIu64 " times)", d->count);
}
