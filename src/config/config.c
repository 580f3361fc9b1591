/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin's TOML configuration: reading it, checking every key, reporting every mistake.  The
 * files that the plugin writes for the guard are settings_text.c and runtime_text.c. */
#include "config/config.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/path.h"
#include "config/runtime_text.h"
#include "toml/toml.h"

#include <nri/nri.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LIST_MAX 256 /* as in the settings the guard reads */

struct config_reader {
	struct kf_arena *arena;
	struct kf_diags *diags;
	struct kf_config out;
	const char *file;
	const char *key; /* the key that is being read */
	bool elsewhere;	 /* the launcher's file is on another machine */
	struct kf_origin at;
};

static struct kf_origin origin_of(const struct config_reader *r, const struct kf_toml_pos *pos)
{
	return (struct kf_origin){.file = r->file, .line = pos->line, .column = pos->column};
}

/* Report a mistake in the current value: "KEY: what, and what to do". */
#define mistake(r, fmt, ...) \
	kf_diag_error((r)->diags, &(r)->at, "%s: " fmt, (r)->key, ##__VA_ARGS__)

static const char *copy_string(struct config_reader *r, const char *s)
{
	const char *p = kf_arena_strdup(r->arena, s);

	if (!p)
		r->diags->nomem = true;
	return p;
}

static const char *read_string(struct config_reader *r, const struct kf_toml_node *value)
{
	if (value->kind != KF_TOML_STRING) {
		mistake(r, "must be a string, not %s", kf_toml_kind_name(value->kind));
		return NULL;
	}
	for (size_t i = 0; i < value->nstring; i++) {
		unsigned char c = (unsigned char)value->string[i];

		if (c < 0x20 || c == 0x7F) {
			mistake(r, "holds a control character; remove it");
			return NULL;
		}
	}
	return value->string;
}

typedef bool valid_fn(const char *name);

/* Read a list of distinct @what.  Each element is checked, so that every mistake is reported. */
static const char *const *read_list(struct config_reader *r, const struct kf_toml_node *value,
				    valid_fn *valid, const char *what, size_t *ret_n)
{
	const char **list;
	size_t n = 0;

	if (value->kind != KF_TOML_ARRAY) {
		mistake(r, "must be a list of strings such as [\"...\"], not %s",
			kf_toml_kind_name(value->kind));
		return NULL;
	}
	if (value->nchildren > LIST_MAX) {
		mistake(r, "more than %d elements", LIST_MAX);
		return NULL;
	}
	list = kf_arena_calloc(r->arena, value->nchildren, sizeof(*list));
	if (!list) {
		r->diags->nomem = true;
		return NULL;
	}
	for (const struct kf_toml_node *e = value->first_child; e; e = e->next) {
		const char *s;
		size_t i = 0;

		r->at = origin_of(r, &e->begin);
		s = read_string(r, e);
		if (!s)
			continue;
		if (!valid(s)) {
			mistake(r, "'%.80s' is not %s", s, what);
			continue;
		}
		while (i < n && strcmp(list[i], s) != 0)
			i++;
		if (i < n)
			mistake(r, "'%s' is in the list twice; remove one", s);
		else
			list[n++] = copy_string(r, s);
	}
	*ret_n = n;
	return list;
}

#define WHAT_HANDLER                                                        \
	"a runtime handler's name (lower-case letters, digits and '-', at " \
	"most 63); use that of the RuntimeClass, such as \"nono-runc\""
#define WHAT_PROFILE                                                        \
	"a profile name (letters, digits, '_' and '-', not first, at most " \
	"64), such as \"default\""

static void read_runtime_classes(struct config_reader *r, const struct kf_toml_node *value)
{
	struct kf_settings *s = &r->out.settings;

	s->handlers = read_list(r, value, kf_handler_name_valid, WHAT_HANDLER, &s->nhandlers);
	if (s->handlers && !value->nchildren)
		mistake(r, "is empty, so nothing would ever be sandboxed; name at least one "
			   "handler, such as [\"nono-runc\"]");
}

static void read_default_profile(struct config_reader *r, const struct kf_toml_node *value)
{
	const char *s = read_string(r, value);

	if (s && !*s)
		mistake(r, "is empty; name the profile of pods that name none, such as "
			   "\"default\"");
	else if (s && !kf_profile_name_valid(s))
		mistake(r, "'%.80s' is not " WHAT_PROFILE, s);
	else if (s)
		r->out.settings.default_profile = copy_string(r, s);
}

/* An absolute path without "..", "//" and the like: it becomes part of mounts and of settings that
 * are compared byte by byte. */
static const char *read_path(struct config_reader *r, const char *s)
{
	char clean[PATH_MAX];

	if (s[0] != '/') {
		mistake(r, "'%.200s' is not an absolute path; begin with '/'", s);
		return NULL;
	}
	if (!kf_path_clean(s, clean, sizeof(clean))) {
		mistake(r, "the path is too long (at most %d bytes)", PATH_MAX - 1);
		return NULL;
	}
	if (strcmp(clean, s) != 0) {
		mistake(r, "'%.200s' is not a plain path; write '%.200s'", s, clean);
		return NULL;
	}
	return copy_string(r, s);
}

bool kf_config_check_launcher(const char *path, const struct kf_origin *at, struct kf_diags *diags)
{
	struct stat st;

#define REMEDY "install the launcher there (kubefence node install, or the chart's init container)"
	if (lstat(path, &st) < 0)
		kf_diag_error(diags, at, "nono_bin_path: '%s': %s; " REMEDY, path, strerror(errno));
	else if (S_ISLNK(st.st_mode))
		kf_diag_error(diags, at,
			      "nono_bin_path: '%s' is a symlink; put the program itself there",
			      path);
	else if (!S_ISREG(st.st_mode))
		kf_diag_error(diags, at, "nono_bin_path: '%s' is not a regular file; " REMEDY,
			      path);
	else if (!(st.st_mode & 0111))
		kf_diag_error(diags, at, "nono_bin_path: '%s' is not executable; chmod 0755 it",
			      path);
	else
		return true;
#undef REMEDY
	return false;
}

static void read_nono_bin_path(struct config_reader *r, const struct kf_toml_node *value)
{
	const char *s = read_string(r, value);

	if (s && !*s) {
		mistake(r, "is empty; name the launcher, such as \"/opt/nono-nri/nono\"");
		return;
	}
	s = s ? read_path(r, s) : NULL;
	if (!s)
		return;
	if (strrchr(s, '/') == s) {
		mistake(r,
			"'%.200s': the directory is mounted into containers and must not be /; "
			"use one of its own, such as /opt/nono-nri",
			s);
		return;
	}
	/* In a container the launcher is /nono/nono: see KF_LAUNCHER_PATH. */
	if (strcmp(kf_path_base(s), "nono") != 0) {
		mistake(r, "'%.200s': the file must be called 'nono'", s);
		return;
	}
	if (r->elsewhere || kf_config_check_launcher(s, &r->at, r->diags))
		r->out.settings.launcher = s;
}

static void read_socket_path(struct config_reader *r, const struct kf_toml_node *value)
{
	const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	const char *s = read_string(r, value);

	if (!s || !*s)
		return;
	if (strlen(s) > max)
		mistake(r, "the path is too long for a socket (at most %zu bytes)", max);
	else if (s[0] != '/')
		mistake(r,
			"'%.100s' is not an absolute path; begin with '/', or leave it empty "
			"for " NRI_SOCKET_PATH,
			s);
	else
		r->out.socket_path = copy_string(r, s);
}

static void read_seccomp_profile(struct config_reader *r, const struct kf_toml_node *value)
{
	const char *s = read_string(r, value);
	enum kf_seccomp_level level;

	if (!s)
		return;
	if (kf_seccomp_level_parse(s, &level) && level != KF_SECCOMP_LEVEL_AGENT)
		r->out.settings.seccomp = level;
	else
		mistake(r,
			"'%.80s' is unknown; use \"restricted\", \"runtime-default\", or \"\" "
			"for none",
			s);
}

static void read_vm_rootfs_classes(struct config_reader *r, const struct kf_toml_node *value)
{
	r->out.vm_rootfs_classes = read_list(r, value, kf_handler_name_valid, WHAT_HANDLER,
					     &r->out.nvm_rootfs_classes);
}

static void read_allowed_profiles(struct config_reader *r, const struct kf_toml_node *value)
{
	struct kf_settings *s = &r->out.settings;

	s->allowed_profiles =
		read_list(r, value, kf_profile_name_valid, WHAT_PROFILE, &s->nallowed_profiles);
}

/* One namespace of the table: [namespaces.NAME] with default_profile and allowed_profiles. */
static const char *read_namespace(struct config_reader *r, const struct kf_toml_node *table)
{
	KF_CLEANUP(kf_buf_done) struct kf_buf allowed = KF_BUF_INIT(KF_SETTINGS_NAMESPACE);
	const char *def = "-", *text;

	if (table->kind != KF_TOML_TABLE) {
		mistake(r, "'%.63s' must be a table, [namespaces.%.63s]", table->key, table->key);
		return NULL;
	}
	for (const struct kf_toml_node *e = table->first_child; e; e = e->next) {
		size_t n = 0;

		r->at = origin_of(r, &e->begin);
		if (strcmp(e->key, "default_profile") == 0) {
			def = read_string(r, e);
			if (def && !kf_profile_name_valid(def))
				mistake(r, "'%.80s' is not " WHAT_PROFILE, def);
		} else if (strcmp(e->key, "allowed_profiles") == 0) {
			const char *const *list =
				read_list(r, e, kf_profile_name_valid, WHAT_PROFILE, &n);

			for (size_t i = 0; list && i < n; i++)
				kf_buf_addf(&allowed, "%s%s", i ? "," : "", list[i]);
		} else {
			mistake(r, "'%.80s' is unknown; use default_profile and allowed_profiles",
				e->key);
		}
	}
	if (!def || allowed.failed) {
		if (allowed.failed)
			mistake(r, "'%.63s' has too many profiles", table->key);
		return NULL;
	}
	text = kf_arena_printf(r->arena, "%s %s %s", table->key, def, allowed.n ? allowed.p : "-");
	r->diags->nomem |= !text;
	if (text && !kf_settings_namespace_valid(text))
		mistake(r, "'%.80s' is not the name of a namespace", table->key);
	return text;
}

static void read_namespaces(struct config_reader *r, const struct kf_toml_node *value)
{
	struct kf_settings *s = &r->out.settings;
	const char **list;
	size_t n = 0;

	if (value->kind != KF_TOML_TABLE || value->nchildren > LIST_MAX) {
		mistake(r, "must be at most %d tables [namespaces.NAME]", LIST_MAX);
		return;
	}
	list = kf_arena_calloc(r->arena, value->nchildren + 1, sizeof(*list));
	if (!list) {
		r->diags->nomem = true;
		return;
	}
	for (const struct kf_toml_node *e = value->first_child; e; e = e->next) {
		const char *text = read_namespace(r, e);

		if (text)
			list[n++] = text;
	}
	s->namespaces = list;
	s->nnamespaces = n;
}

static bool kata_annotation_valid(const char *s)
{
	return strncmp(s, "io.katacontainers.", 18) == 0 && s[18];
}

static void read_kata_annotations(struct config_reader *r, const struct kf_toml_node *value)
{
	struct kf_settings *s = &r->out.settings;

	s->kata_annotations = read_list(r, value, kata_annotation_valid,
					"the name of one of Kata's annotations, such as "
					"\"io.katacontainers.config.hypervisor.default_vcpus\"",
					&s->nkata_annotations);
}

static void read_exec(struct config_reader *r, const struct kf_toml_node *value)
{
	const char *s = read_string(r, value);

	if (s && strcmp(s, "sandbox") == 0)
		r->out.settings.exec = KF_EXEC_SANDBOX;
	else if (s && strcmp(s, "deny") == 0)
		r->out.settings.exec = KF_EXEC_DENY;
	else if (s)
		mistake(r, "'%.80s' is unknown; use \"sandbox\" or \"deny\"", s);
}

static void read_seccomp_log(struct config_reader *r, const struct kf_toml_node *value)
{
	if (value->kind != KF_TOML_BOOL)
		mistake(r, "must be true or false, not %s", kf_toml_kind_name(value->kind));
	else
		r->out.settings.seccomp_log = value->boolean;
}

static void read_egress(struct config_reader *r, const struct kf_toml_node *value)
{
	if (value->kind != KF_TOML_BOOL)
		mistake(r, "must be true or false, not %s", kf_toml_kind_name(value->kind));
	else
		r->out.settings.egress = value->boolean;
}

static void read_review_size(struct config_reader *r, const struct kf_toml_node *value)
{
	if (value->kind != KF_TOML_INTEGER || value->integer < 1 ||
	    value->integer > KF_SETTINGS_REVIEW_MAX)
		mistake(r, "must be a number of MiB, from 1 to %d", KF_SETTINGS_REVIEW_MAX);
	else
		r->out.settings.review_size = (unsigned)value->integer;
}

static void read_profiles_dir(struct config_reader *r, const struct kf_toml_node *value)
{
	const char *s = read_string(r, value);

	if (s && *s)
		r->out.profiles_dir = read_path(r, s);
}

/* All keys. */
static const struct {
	const char *name;
	const char *example; /* of a required key */
	void (*read)(struct config_reader *r, const struct kf_toml_node *value);
} keys[] = {
	{"runtime_classes", "[\"nono-runc\"]", read_runtime_classes},
	{"default_profile", "\"default\"", read_default_profile},
	{"nono_bin_path", "\"/opt/nono-nri/nono\"", read_nono_bin_path},
	{"socket_path", NULL, read_socket_path},
	{"seccomp_profile", NULL, read_seccomp_profile},
	{"vm_rootfs_classes", NULL, read_vm_rootfs_classes},
	{"allowed_profiles", NULL, read_allowed_profiles},
	{"namespaces", NULL, read_namespaces},
	{"exec", NULL, read_exec},
	{"seccomp_log", NULL, read_seccomp_log},
	{"egress", NULL, read_egress},
	{"review_size", NULL, read_review_size},
	{"kata_annotations", NULL, read_kata_annotations},
	{"profiles_dir", NULL, read_profiles_dir},
};

static void unknown_key(struct config_reader *r, const struct kf_toml_node *node)
{
	const char *names[KF_ARRAY_SIZE(keys) + 1] = {0}, *meant;
	struct kf_origin at = origin_of(r, &node->key_begin);

	for (unsigned i = 0; i < KF_ARRAY_SIZE(keys); i++)
		names[i] = keys[i].name;
	meant = kf_diag_suggest(node->key, names);
	if (meant)
		kf_diag_error(r->diags, &at, "%.80s: unknown key; did you mean '%s'?", node->key,
			      meant);
	else
		kf_diag_error(r->diags, &at, "%.80s: unknown key; remove it", node->key);
}

static void read_document(struct config_reader *r, const struct kf_toml_node *root)
{
	for (const struct kf_toml_node *node = root->first_child; node; node = node->next) {
		unsigned i = 0;

		while (i < KF_ARRAY_SIZE(keys) && strcmp(keys[i].name, node->key) != 0)
			i++;
		if (i == KF_ARRAY_SIZE(keys)) {
			unknown_key(r, node);
			continue;
		}
		r->key = node->key;
		r->at = origin_of(r, &node->begin);
		keys[i].read(r, node);
	}
	for (unsigned i = 0; i < KF_ARRAY_SIZE(keys); i++) {
		struct kf_origin whole = {.file = r->file};

		if (keys[i].example && !kf_toml_get(root, keys[i].name))
			kf_diag_error(r->diags, &whole,
				      "%s: required key is missing; add '%s = %s'", keys[i].name,
				      keys[i].name, keys[i].example);
	}
}

static int parse_document(const char *text, size_t n, const char *file, bool elsewhere,
			  struct kf_arena *arena, struct kf_config *ret, struct kf_diags *diags)
{
	struct config_reader r = {
		.arena = arena, .diags = diags, .file = file, .elsewhere = elsewhere};
	size_t before = diags->nerrors;
	struct kf_toml toml;
	struct kf_err err;

	if (kf_toml_parse(text, n, "", &toml, &err) < 0) {
		int skip = 0;

		/* ":LINE:COLUMN: message", or without a place. */
		r.at.file = file;
		(void)sscanf(err.msg, ":%u:%u: %n", &r.at.line, &r.at.column, &skip);
		kf_diag_error(diags, &r.at, "not valid TOML: %s", err.msg + skip);
		return -1;
	}
	r.out.socket_path = NRI_SOCKET_PATH;
	r.out.settings.seccomp = KF_SECCOMP_LEVEL_RESTRICTED;
	read_document(&r, toml.root);
	kf_toml_done(&toml);
	if (diags->nerrors != before || diags->nomem)
		return -1;
	*ret = r.out;
	return 0;
}

int kf_config_parse(const char *text, size_t n, const char *file, struct kf_arena *arena,
		    struct kf_config *ret, struct kf_diags *diags)
{
	return parse_document(text, n, file, false, arena, ret, diags);
}

int kf_config_parse_elsewhere(const char *text, size_t n, const char *file, struct kf_arena *arena,
			      struct kf_config *ret, struct kf_diags *diags)
{
	return parse_document(text, n, file, true, arena, ret, diags);
}

static int load_file(const char *path, bool elsewhere, struct kf_arena *arena,
		     struct kf_config *ret, struct kf_diags *diags)
{
	struct kf_origin whole = {.file = path};
	KF_FREE char *text = NULL;
	struct kf_err err;
	/* No O_NOFOLLOW: the files of a ConfigMap are symlinks. */
	KF_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t n;

	if (fd < 0) {
		kf_diag_error(diags, &whole,
			      "cannot be opened: %s; name the configuration with --config",
			      strerror(errno));
		return -1;
	}
	if (kf_fd_slurp(fd, path, KF_LIMIT_CONFIG, &text, &n, &err) < 0) {
		kf_diag_error(diags, &whole, "cannot be read: %s", err.msg);
		return -1;
	}
	return parse_document(text, n, path, elsewhere, arena, ret, diags);
}

int kf_config_load(const char *path, struct kf_arena *arena, struct kf_config *ret,
		   struct kf_diags *diags)
{
	return load_file(path, false, arena, ret, diags);
}

int kf_config_load_elsewhere(const char *path, struct kf_arena *arena, struct kf_config *ret,
			     struct kf_diags *diags)
{
	return load_file(path, true, arena, ret, diags);
}
