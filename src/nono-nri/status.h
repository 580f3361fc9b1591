/* SPDX-License-Identifier: Apache-2.0 */
/* What the plugin shows to people over HTTP: the page at /, and the data that it and "kubefence
 * status" read: /status.json and /denials.jsonl. */
#ifndef KF_NONO_NRI_STATUS_H
#define KF_NONO_NRI_STATUS_H

#include "observe/http.h"

/* For a server whose context is the plugin. */
extern const struct kf_http_page kf_plugin_pages[];
extern const size_t kf_plugin_npages;

/* The system calls that their answers need. */
extern const struct kf_calls kf_plugin_page_calls;

/* The page itself and its Content-Security-Policy, made of page/ while building (page/embed.py). */
extern const char kf_plugin_html[];
extern const size_t kf_plugin_nhtml;
extern const char kf_plugin_headers[];

#endif
