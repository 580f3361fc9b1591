/* SPDX-License-Identifier: Apache-2.0 */
/* The change as the JSON of a profile, as people would write it. */
#include "learn/learn.h"

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/limits.h"
#include "base/path.h"
#include "profile/keys.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* A JSON string; paths may hold anything. */
static void put_string(struct kf_buf *out, const char *s)
{
	kf_buf_adds(out, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			kf_buf_addf(out, "\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			kf_buf_addf(out, "\\u%04x", (unsigned char)*s);
		else
			kf_buf_add(out, s, 1);
	}
	kf_buf_adds(out, "\"");
}

/* @path as a profile says it for every user and place: "~/x", "$WORKDIR/x". */
static void put_path(struct kf_buf *out, const char *path, const char *workdir, const char *home)
{
	const struct {
		const char *dir, *name;
	} places[] = {{workdir, "$WORKDIR"}, {home, "~"}};
	char text[PATH_MAX + 16];

	(void)snprintf(text, sizeof(text), "%s", path);
	for (size_t i = 0; i < KF_ARRAY_SIZE(places); i++) {
		if (!places[i].dir || !places[i].dir[1] || !kf_path_under(path, places[i].dir))
			continue;
		(void)snprintf(text, sizeof(text), "%s%s", places[i].name,
			       path + strlen(places[i].dir));
		break;
	}
	put_string(out, text);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_files(const struct kf_learned *l, const char *workdir, const char *home,
		      struct kf_buf *out)
{
	const char *separator = "";

	if (!l->ngrants && !l->nsecrets)
		return;
	kf_buf_adds(out, ",\n  \"filesystem\": {\n    \"grant\": [");
	for (size_t i = 0; i < l->ngrants; i++) {
		kf_buf_addf(out, "%s\n      {\"path\": ", separator);
		put_path(out, l->grants[i].path, workdir, home);
		kf_buf_addf(out, ", \"access\": \"%s\"}",
			    kf_profile_access_name(l->grants[i].access & KF_FS_EXEC
							   ? l->grants[i].access | KF_FS_READ
							   : l->grants[i].access));
		separator = ",";
	}
	kf_buf_adds(out, "\n    ]");
	if (l->nsecrets) {
		qsort(l->secrets, l->nsecrets, sizeof(*l->secrets), compare_strings);
		separator = "";
		kf_buf_adds(out, ",\n    \"bypass_protection\": [");
		for (size_t i = 0; i < l->nsecrets; i++) {
			if (i && strcmp(l->secrets[i], l->secrets[i - 1]) == 0)
				continue;
			kf_buf_adds(out, separator);
			put_path(out, l->secrets[i], workdir, home);
			separator = ", ";
		}
		kf_buf_adds(out, "]");
	}
	kf_buf_adds(out, "\n  }");
}

static void put_network(const struct kf_learned *l, struct kf_buf *out)
{
	const char *between = "";

	if (!l->nports && !l->nhosts)
		return;
	kf_buf_adds(out, ",\n  \"network\": {");
	for (unsigned net = 0; net < KF_LEARN_NETS; net++) {
		const char *separator = "";

		for (size_t i = 0; i < l->nports; i++) {
			if (l->ports[i].net != net)
				continue;
			if (!*separator)
				kf_buf_addf(out, "%s\n    \"%s\": [", between, kf_learn_nets[net]);
			kf_buf_addf(out, "%s%u", separator, l->ports[i].port);
			separator = ", ";
		}
		if (*separator) {
			kf_buf_adds(out, "]");
			between = ",";
		}
	}
	for (size_t i = 0; i < l->nhosts; i++) {
		kf_buf_adds(out, i ? ",\n      " : between);
		if (!i)
			kf_buf_adds(out, "\n    \"allow_domain\": [\n      ");
		kf_buf_adds(out, "{\"domain\": ");
		put_string(out, l->hosts[i].name);
		kf_buf_addf(out, ", \"ports\": [%u]}", l->hosts[i].port);
	}
	kf_buf_adds(out, l->nhosts ? "\n    ]\n  }" : "\n  }");
}

void kf_learn_write(const struct kf_learned *learned, const char *name, const char *base,
		    const char *workdir, const char *home, struct kf_buf *out)
{
	kf_buf_adds(out, "{\n  \"extends\": ");
	put_string(out, base);
	kf_buf_adds(out, ",\n  \"meta\": {\n    \"name\": ");
	put_string(out, name);
	kf_buf_adds(out, ",\n    \"description\": \"learned; read it before it is used\"\n  }");
	put_files(learned, workdir, home, out);
	put_network(learned, out);
	if (learned->signal || learned->abstract)
		kf_buf_addf(out, ",\n  \"security\": {%s%s%s}",
			    learned->signal ? "\"signal_mode\": \"allow_all\"" : "",
			    learned->signal && learned->abstract ? ", " : "",
			    learned->abstract ? "\"ipc_mode\": \"full\"" : "");
	kf_buf_adds(out, "\n}\n");
}
