/* SPDX-License-Identifier: Apache-2.0 */
/* A denial as an event of the Open Cybersecurity Schema Framework (schema.ocsf.io), for systems
 * that collect such events from everywhere: a Detection Finding. */
#include "denial/denial.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "observe/ocsf.h"

#include <string.h>

#define SENTENCE_MAX 4096 /* a path, a process and a few words */
#define TYPE_REGULAR 1
#define TYPE_UNKNOWN 0

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
	kf_ocsf_put(out, "name", d->process);
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
			kf_ocsf_put(out, "hostname", d->path);
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
	kf_ocsf_put(out, "what", d->what);
	kf_ocsf_put(out, "blockers", d->blockers);
	if (!d->untold)
		(void)kf_denial_rule(d, "rule", out);
	kf_json_close(out, '}');
}

void kf_denial_ocsf(const struct kf_denial *d, struct kf_buf *out)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf sentence = KF_BUF_INIT(SENTENCE_MAX);
	struct kf_ocsf event = {
		.class = KF_OCSF_DETECTION_FINDING, .denied = true, .ms = d->ms, .count = d->count};

	kf_denial_sentence(d, &sentence);
	out->failed |= sentence.failed;
	event.message = sentence.failed ? "" : sentence.p;
	if (d->who) {
		event.namespace_ = d->who->namespace_;
		event.pod = d->who->pod;
		event.uid = d->who->uid;
		event.container = d->who->container;
		event.container_id = d->who->id;
		event.profile = d->who->profile;
	}
	kf_ocsf_open(out, &event);
	put_finding(out, d);
	if (!d->untold)
		put_evidence(out, d);
	put_unmapped(out, d);
	kf_ocsf_close(out);
}
