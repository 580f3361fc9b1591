/* SPDX-License-Identifier: Apache-2.0 */
/* A denial as an event of the Open Cybersecurity Schema Framework (schema.ocsf.io), for systems
 * that collect such events from everywhere: a Detection Finding of version 1.3. */
#include "denial/denial.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>

#define SENTENCE_MAX  4096 /* a path, a process and a few words */
#define CATEGORY      2	   /* Findings */
#define CLASS	      2004 /* Detection Finding */
#define ACTIVITY      1	   /* Create */
#define SEVERITY      2	   /* Low: the attempt has failed */
#define STATUS_NEW    1
#define ACTION_DENIED 2
#define DISPOSITION   2 /* Blocked */
#define TYPE_REGULAR  1
#define TYPE_UNKNOWN  0

static void put_text(struct kf_buf *out, const char *key, const char *value)
{
	if (*value)
		kf_json_put_string(out, key, value);
}

static void put_product(struct kf_buf *out)
{
	kf_json_open(out, "metadata", '{');
	kf_json_put_string(out, "version", "1.3.0");
	kf_json_open(out, "profiles", '[');
	kf_json_put_string(out, NULL, "security_control");
	kf_json_close(out, ']');
	kf_json_open(out, "product", '{');
	kf_json_put_string(out, "name", "kubefence");
	kf_json_put_string(out, "vendor_name", "kubefence");
	kf_json_put_string(out, "version", KF_VERSION);
	kf_json_close(out, '}');
	kf_json_close(out, '}');
}

/* The same thing denied again has the same uid. */
static void put_finding(struct kf_buf *out, const struct kf_denial *d)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf uid = KF_BUF_INIT(SENTENCE_MAX);

	kf_buf_addf(&uid, "%s/%s/%s/%s", d->who ? d->who->id : "", kf_denial_kinds[d->kind],
		    d->untold ? "more" : d->what, d->path);
	if (d->port)
		kf_buf_addf(&uid, ":%u", d->port);
	out->failed |= uid.failed;
	kf_json_open(out, "finding_info", '{');
	kf_json_put_string(out, "uid", uid.failed ? "" : uid.p);
	kf_json_put_string(out, "title", "A sandbox has refused something");
	kf_json_open(out, "types", '[');
	kf_json_put_string(out, NULL, kf_denial_kinds[d->kind]);
	kf_json_close(out, ']');
	kf_json_close(out, '}');
}

static void put_resource(struct kf_buf *out, const struct kf_who *who)
{
	if (!who)
		return;
	kf_json_open(out, "resources", '[');
	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "type", "Pod");
	put_text(out, "uid", who->uid);
	put_text(out, "name", who->pod);
	put_text(out, "namespace", who->namespace_);
	kf_json_close(out, '}');
	kf_json_close(out, ']');
}

static void put_file(struct kf_buf *out, const char *path, int type)
{
	const char *slash = strrchr(path, '/');

	kf_json_open(out, "file", '{');
	kf_json_put_string(out, "name", slash && slash[1] ? slash + 1 : path);
	kf_json_put_string(out, "path", path);
	kf_json_put_number(out, "type_id", type);
	kf_json_close(out, '}');
}

static void put_evidence(struct kf_buf *out, const struct kf_denial *d)
{
	kf_json_open(out, "evidences", '[');
	kf_json_open(out, NULL, '{');
	kf_json_open(out, "process", '{');
	put_text(out, "name", d->process);
	if (d->pid)
		kf_json_put_number(out, "pid", d->pid);
	if (*d->exe)
		put_file(out, d->exe, TYPE_REGULAR);
	kf_json_close(out, '}');
	if (d->kind == KF_DENIAL_FILE && *d->path)
		put_file(out, d->path, TYPE_UNKNOWN);
	if (d->port) {
		kf_json_open(out, "dst_endpoint", '{');
		if (d->kind == KF_DENIAL_EGRESS)
			put_text(out, "hostname", d->path);
		kf_json_put_number(out, "port", d->port);
		kf_json_close(out, '}');
	}
	if (d->call >= 0) {
		kf_json_open(out, "api", '{');
		kf_json_put_string(out, "operation", d->path);
		kf_json_close(out, '}');
	}
	kf_json_close(out, '}');
	kf_json_close(out, ']');
}

/* What has no place in the schema. */
static void put_unmapped(struct kf_buf *out, const struct kf_denial *d)
{
	kf_json_open(out, "unmapped", '{');
	if (d->who) {
		put_text(out, "container", d->who->container);
		put_text(out, "container_id", d->who->id);
		put_text(out, "profile", d->who->profile);
	}
	put_text(out, "what", d->what);
	put_text(out, "blockers", d->blockers);
	if (!d->untold)
		(void)kf_denial_rule(d, "rule", out);
	kf_json_close(out, '}');
}

void kf_denial_ocsf(const struct kf_denial *d, struct kf_buf *out)
{
	static const struct {
		const char *key;
		long long value;
	} fixed[] = {
		{"category_uid", CATEGORY},   {"class_uid", CLASS},
		{"activity_id", ACTIVITY},    {"type_uid", CLASS * 100 + ACTIVITY},
		{"severity_id", SEVERITY},    {"status_id", STATUS_NEW},
		{"action_id", ACTION_DENIED}, {"disposition_id", DISPOSITION},
	};
	KF_CLEANUP(kf_buf_done) struct kf_buf sentence = KF_BUF_INIT(SENTENCE_MAX);

	kf_denial_sentence(d, &sentence);
	out->failed |= sentence.failed;
	kf_json_open(out, NULL, '{');
	for (size_t i = 0; i < KF_ARRAY_SIZE(fixed); i++)
		kf_json_put_number(out, fixed[i].key, fixed[i].value);
	kf_json_put_number(out, "time", (long long)d->ms);
	kf_json_put_number(out, "count", (long long)d->count);
	kf_json_put_string(out, "message", sentence.failed ? "" : sentence.p);
	put_product(out);
	put_finding(out, d);
	put_resource(out, d->who);
	if (!d->untold)
		put_evidence(out, d);
	put_unmapped(out, d);
	kf_json_close(out, '}');
	kf_buf_adds(out, "\n");
}
