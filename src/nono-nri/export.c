/* SPDX-License-Identifier: Apache-2.0 */
/* A decision as an event of the Open Cybersecurity Schema Framework: an API Activity.  The one who
 * acts is the container runtime of this node, which asks; what it asks for is let through or
 * denied.  A container that was found outside of the sandbox is a Detection Finding. */
#include "nono-nri/export.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "nono-nri/plugin.h"
#include "observe/ocsf.h"

#include <time.h>
#include <unistd.h>

/* Names of Kubernetes', and a reason twice (base/err.h), escaped. */
#define EVENT_MAX    (16 * 1024)
#define SENTENCE_MAX 4096

static void put_sentence(const struct kf_export *d, struct kf_buf *out)
{
	if (d->outside)
		kf_buf_addf(out, "container %s of pod %s/%s runs outside the sandbox: %s",
			    d->container, d->namespace_, d->pod, d->reason);
	else if (d->reason)
		kf_buf_addf(out, "%s refused %s of container %s of pod %s/%s: %s", d->by,
			    d->operation, d->container, d->namespace_, d->pod, d->reason);
	else
		kf_buf_addf(out, "%s put container %s of pod %s/%s into the sandbox of profile %s",
			    d->by, d->container, d->namespace_, d->pod, d->profile);
}

static void put_api(struct kf_buf *out, const struct kf_export *d)
{
	kf_json_open(out, "api", '{');
	kf_json_put_string(out, "operation", d->operation);
	kf_json_open(out, "service", '{');
	kf_json_put_string(out, "name", d->by);
	kf_json_close(out, '}');
	if (d->reason) {
		kf_json_open(out, "response", '{');
		kf_json_put_string(out, "error_message", d->reason);
		kf_json_close(out, '}');
	}
	kf_json_close(out, '}');
}

static void put_asker(struct kf_buf *out, const struct kf_plugin *p)
{
	kf_json_open(out, "actor", '{');
	kf_json_put_string(out, "app_name", *p->runtime ? p->runtime : "container runtime");
	kf_json_close(out, '}');
	kf_json_open(out, "src_endpoint", '{');
	kf_json_put_string(out, "hostname", *p->node_name ? p->node_name : "localhost");
	kf_json_close(out, '}');
}

/* The same container, found again, has the same uid. */
static void put_finding(struct kf_buf *out, const struct kf_export *d)
{
	kf_json_open(out, "finding_info", '{');
	kf_json_put_string(out, "uid", d->container_id);
	kf_json_put_string(out, "title", "A container runs outside the sandbox");
	kf_json_open(out, "types", '[');
	kf_json_put_string(out, NULL, "unsandboxed");
	kf_json_close(out, ']');
	kf_json_close(out, '}');
}

static int64_t read_time(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void format_event(const struct kf_plugin *p, const struct kf_export *d, struct kf_buf *out)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf sentence = KF_BUF_INIT(SENTENCE_MAX);

	put_sentence(d, &sentence);
	out->failed |= sentence.failed;
	kf_ocsf_open(out, &(const struct kf_ocsf){.class = d->outside ? KF_OCSF_DETECTION_FINDING
								      : KF_OCSF_API_ACTIVITY,
						  .denied = d->reason && !d->outside,
						  .severe = d->outside,
						  .ms = (uint64_t)(d->ms ? d->ms : read_time()),
						  .count = d->count,
						  .message = sentence.failed ? "" : sentence.p,
						  .profile = d->profile,
						  .namespace_ = d->namespace_,
						  .pod = d->pod,
						  .uid = d->uid,
						  .container = d->container,
						  .container_id = d->container_id});
	kf_ocsf_put(out, "status_code", d->code);
	kf_ocsf_put(out, "status_detail", d->reason);
	if (d->outside) {
		put_finding(out, d);
	} else {
		put_asker(out, p);
		put_api(out, d);
	}
	kf_json_open(out, "unmapped", '{');
	kf_ocsf_put(out, "runtime_handler", d->handler);
	kf_json_close(out, '}');
	kf_ocsf_close(out);
}

void kf_plugin_export(const struct kf_plugin *plugin, const struct kf_export *decision)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf text = KF_BUF_INIT(EVENT_MAX);

	if (!plugin->exports)
		return;
	format_event(plugin, decision, &text);
	/* As with the log: one that is full or closed must not stop the daemon. */
	if (!text.failed)
		(void)kf_write_all(STDOUT_FILENO, text.p, text.n, KF_ERR_IGNORED);
}
