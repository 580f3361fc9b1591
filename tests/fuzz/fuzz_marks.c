/* SPDX-License-Identifier: Apache-2.0 */
/* A Node object as the API may send it: whatever it is, the patches are JSON, and a node that
 * lacks a handler is never called ready. */
#include "base/cleanup.h"
#include "kube/marks.h"

#include <json-c/json.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1767225600

static void must_be_json(const char *text)
{
	json_object *object = text ? json_tokener_parse(text) : NULL;

	if (text && !json_object_is_type(object, json_type_object))
		abort();
	json_object_put(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *const handlers[] = {"nono-runc", "x"};
	KF_FREE char *node = malloc(size + 1);

	if (!node)
		return 0;
	memcpy(node, data, size);
	node[size] = '\0';
	for (int phase = KF_PHASE_STARTING; phase <= KF_PHASE_GONE; phase++) {
		struct kf_facts facts = {
			.phase = (enum kf_phase)phase, .runtime = true, .plugin = true, .abi = 7};
		KF_FREE char *patch = NULL;
		KF_FREE char *status = NULL;
		struct kf_node_view view;
		struct kf_marks marks;
		struct kf_err err;

		if (kf_marks_view(node, handlers, 2, NOW, &view, &err) < 0)
			return 0;
		if (view.uninstall && view.cancelled)
			abort();
		facts.served = view.served;
		kf_marks_of(&facts, size & 1, &marks);
		if (marks.ready && view.served == KF_SERVED_MISSING)
			abort();
		if (kf_marks_patch(node, &marks, view.cancelled, NOW, &patch, &status, &err) == 0) {
			must_be_json(patch);
			must_be_json(status);
		}
	}
	return 0;
}
