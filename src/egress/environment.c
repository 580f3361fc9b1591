/* SPDX-License-Identifier: Apache-2.0 */
/* The variables by which programs find the broker.  Programs agree on few names: curl reads
 * "http_proxy" in lower case only, Go and Python read both, npm and pip read the general ones. */
#include "egress/rules.h"

#include "base/cleanup.h"

#include <stdio.h>

#define URL_MAX 2048

void kf_egress_environment(const struct kf_egress_rules *rules, uint16_t port,
			   void (*set)(void *ctx, const char *name, const char *value), void *ctx)
{
	static const char *const proxies[] = {"HTTPS_PROXY", "https_proxy", "HTTP_PROXY",
					      "http_proxy"};
	static const char *const others[][2] = {
		{"NO_PROXY", "localhost,127.0.0.1,::1"},
		{"no_proxy", "localhost,127.0.0.1,::1"},
		{"NODE_USE_ENV_PROXY", "1"}, /* fetch() of Node.js */
	};
	char url[URL_MAX];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", port);
	for (size_t i = 0; i < KF_ARRAY_SIZE(proxies); i++)
		set(ctx, proxies[i], url);
	for (size_t i = 0; i < KF_ARRAY_SIZE(others); i++)
		set(ctx, others[i][0], others[i][1]);
	for (const struct kf_egress_route *r = rules->routes; r; r = r->next) {
		(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", port, r->path);
		for (const struct kf_egress_env *e = r->env; e; e = e->next)
			set(ctx, e->name, e->placeholder ? KF_EGRESS_PLACEHOLDER : url);
	}
}
