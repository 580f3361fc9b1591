/* SPDX-License-Identifier: Apache-2.0 */
/* What every event of ours has in the Open Cybersecurity Schema Framework.  What a denial has
 * besides is in src/denial/ocsf.c, what a decision has in src/nono-nri/export.c. */
#include "observe/ocsf.h"

#include "base/json.h"

#define ACTIVITY	    1 /* Create */
#define SEVERITY_INFORMAL   1
#define SEVERITY_LOW	    2 /* the attempt has failed */
#define SEVERITY_HIGH	    4
#define STATUS_NEW	    1 /* of a finding */
#define STATUS_SUCCESS	    1
#define STATUS_FAILURE	    2
#define ACTION_ALLOWED	    1
#define ACTION_DENIED	    2
#define DISPOSITION_ALLOWED 1
#define DISPOSITION_BLOCKED 2

void kf_ocsf_put(struct kf_buf *out, const char *key, const char *value)
{
	if (value && *value)
		kf_json_put_string(out, key, value);
}

static void put_numbers(struct kf_buf *out, const struct kf_ocsf *e)
{
	const bool finding = e->class == KF_OCSF_DETECTION_FINDING;

	kf_json_put_number(out, "category_uid", e->class / 1000);
	kf_json_put_number(out, "class_uid", e->class);
	kf_json_put_number(out, "activity_id", ACTIVITY);
	kf_json_put_number(out, "type_uid", e->class * 100 + ACTIVITY);
	kf_json_put_number(out, "severity_id",
			   e->severe ? SEVERITY_HIGH
				     : (e->denied ? SEVERITY_LOW : SEVERITY_INFORMAL));
	kf_json_put_number(out, "status_id",
			   finding ? STATUS_NEW : (e->denied ? STATUS_FAILURE : STATUS_SUCCESS));
	kf_json_put_number(out, "action_id", e->denied ? ACTION_DENIED : ACTION_ALLOWED);
	kf_json_put_number(out, "disposition_id",
			   e->denied ? DISPOSITION_BLOCKED : DISPOSITION_ALLOWED);
	kf_json_put_number(out, "time", (long long)e->ms);
	kf_json_put_number(out, "count", (long long)e->count);
}

static void put_product(struct kf_buf *out)
{
	kf_json_open(out, "metadata", '{');
	kf_json_put_string(out, "version", KF_OCSF_VERSION);
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

/* The schema asks for a name or a number of each. */
static void put_resource(struct kf_buf *out, const char *type, const char *namespace_,
			 const char *name, const char *uid)
{
	if ((!name || !*name) && (!uid || !*uid))
		return;
	kf_json_open(out, NULL, '{');
	kf_json_put_string(out, "type", type);
	kf_ocsf_put(out, "uid", uid);
	kf_ocsf_put(out, "name", name);
	kf_ocsf_put(out, "namespace", namespace_);
	kf_json_close(out, '}');
}

void kf_ocsf_open(struct kf_buf *out, const struct kf_ocsf *event)
{
	kf_json_open(out, NULL, '{');
	put_numbers(out, event);
	kf_json_put_string(out, "message", event->message);
	put_product(out);
	kf_json_open(out, "resources", '[');
	put_resource(out, "Pod", event->namespace_, event->pod, event->uid);
	put_resource(out, "Container", event->namespace_, event->container, event->container_id);
	kf_json_close(out, ']');
	if (!event->profile || !*event->profile)
		return;
	kf_json_open(out, "policy", '{');
	kf_json_put_string(out, "name", event->profile);
	kf_json_put_bool(out, "is_applied", true);
	kf_json_close(out, '}');
}

void kf_ocsf_close(struct kf_buf *out)
{
	kf_json_close(out, '}');
	kf_buf_adds(out, "\n");
}
