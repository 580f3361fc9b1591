/* SPDX-License-Identifier: Apache-2.0 */
/* src/plan/plan: the decision about a container, and its verifier. */
#include "base/cleanup.h"
#include "base/limits.h"
#include "kf_test.h"
#include "plan/plan.h"

#include <errno.h>
#include <string.h>

static const char *const handlers[] = {"nono-runc", "kata-qemu"};
static const char *const deny[] = {"/run/secrets"};
static const struct kf_profile_info profiles[] = {
	{.name = "default", .deny = deny, .ndeny = 1},
	{.name = "open"},
	{.name = "strict", .deny = deny, .ndeny = 1},
};
static const struct kf_settings base_settings = {
	.handlers = handlers,
	.nhandlers = 2,
	.default_profile = "default",
	.launcher = "/opt/nono-nri/nono",
	.profiles = profiles,
	.nprofiles = KF_ARRAY_SIZE(profiles),
};
static const char *const sh_args[] = {"sh", "-c", "true"};
static const struct kf_view base_view = {
	.handler = "nono-runc",
	.namespace_ = "ns",
	.pod = "pod",
	.pod_uid = "uid",
	.container = "app",
	.container_id = "cid",
	.args = sh_args,
	.nargs = 3,
};
static const struct kf_launch by_path;
static const struct kf_launch by_fd = {
	.by_fd = true, .launcher_fd = 3, .policy_fd = 4, .report_fd = 5};

static struct kf_arena arena;

static struct kf_plan plan(const struct kf_settings *settings, const struct kf_view *view,
			   const struct kf_launch *launch)
{
	struct kf_plan ret = {.decision = KF_REFUSE};
	struct kf_err err = {0};

	assert_int_equal(kf_plan_container(settings, view, launch, &arena, &ret, &err), 0);
	return ret;
}

static void assert_args(const struct kf_plan *p, const char *const *want, size_t n)
{
	assert_int_equal(p->decision, KF_SANDBOX);
	assert_int_equal(p->nargs, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(p->args[i], want[i]);
}

static void in_scope_container_is_wrapped(void **state)
{
	static const char *const want[] = {"/nono/nono", "wrap", "--profile", "default",
					   "--",	 "sh",	 "-c",	      "true"};
	struct kf_plan p = plan(&base_settings, &base_view, &by_path);

	(void)state;
	assert_args(&p, want, KF_ARRAY_SIZE(want));
}

/* Who lets hosts through by name: nobody, the cluster, the broker with the guard. */
static void hosts_need_the_broker_or_the_cluster(void **state)
{
	static const struct kf_launch guarded = {.guard_follows = true};
	static const struct kf_profile_info hosts[] = {
		{.name = "hosts", .egress = true},
		{.name = "either", .egress = true, .egress_elsewhere = true},
		{.name = "none"},
	};
	static const struct {
		const char *profile;
		bool egress;
		const struct kf_launch *launch;
		enum kf_decision decision;
		bool closed;
		const char *words;
	} cases[] = {
		{"hosts", false, &by_fd, KF_REFUSE, false, "egress.enabled"},
		{"hosts", false, &by_path, KF_REFUSE, false, "egress.enabled"},
		{"hosts", true, &by_path, KF_REFUSE, false, "use a handler with the guard"},
		{"hosts", true, &guarded, KF_SANDBOX, true, NULL},
		{"hosts", true, &by_fd, KF_SANDBOX, true, NULL},
		{"either", false, &by_path, KF_SANDBOX, false, NULL},
		{"either", true, &by_path, KF_SANDBOX, false, NULL},
		{"either", true, &by_fd, KF_SANDBOX, true, NULL},
		{"none", true, &by_fd, KF_SANDBOX, false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_settings s = base_settings;
		struct kf_plan p;

		s.profiles = hosts;
		s.nprofiles = KF_ARRAY_SIZE(hosts);
		s.default_profile = cases[i].profile;
		s.egress = cases[i].egress;
		p = plan(&s, &base_view, cases[i].launch);
		assert_int_equal(p.decision, cases[i].decision);
		assert_int_equal(p.egress, cases[i].closed);
		if (cases[i].words)
			assert_non_null(strstr(p.reason, cases[i].words));
	}
}

static void other_handlers_are_skipped_with_the_logs_reason(void **state)
{
	static const struct {
		const char *handler, *reason;
	} cases[] = {
		{"", "no_runtime_handler"},
		{"runc", "runtime_class_not_matched"},
		{"nono-run", "runtime_class_not_matched"},
		{"nono-runc2", "runtime_class_not_matched"},
		{"NONO-RUNC", "runtime_class_not_matched"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_view v = base_view;
		struct kf_plan p;

		v.handler = cases[i].handler;
		p = plan(&base_settings, &v, &by_path);
		assert_int_equal(p.decision, KF_SKIP);
		assert_string_equal(p.reason, cases[i].reason);
	}
}

static void annotations_choose_the_profile(void **state)
{
	static const struct {
		const char *key1, *value1, *key2, *value2;
		enum kf_decision decision;
		const char *profile; /* or a part of the reason */
	} cases[] = {
		{"nono.sh/profile", "strict", "x", "y", KF_SANDBOX, "strict"},
		{"nono.sh/profile", "strict", "nono.sh/profile.app", "open", KF_SANDBOX, "open"},
		{"nono.sh/profile.app", "open", "nono.sh/profile", "strict", KF_SANDBOX, "open"},
		{"nono.sh/profile.other", "open", "x", "y", KF_SANDBOX, "default"},
		{"nono.sh/profile", "Strict", "x", "y", KF_REFUSE, "'Strict' does not exist"},
		{"nono.sh/profile", "", "x", "y", KF_REFUSE, "is not a profile name"},
		{"nono.sh/profile", "../x", "x", "y", KF_REFUSE, "is not a profile name"},
		{"nono.sh/profile", "a b", "x", "y", KF_REFUSE, "is not a profile name"},
		/* A broken specific annotation is never papered over by the general one. */
		{"nono.sh/profile", "strict", "nono.sh/profile.app", "-", KF_REFUSE,
		 "nono.sh/profile.app"},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		const struct kf_view_annotation a[] = {{cases[i].key1, cases[i].value1},
						       {cases[i].key2, cases[i].value2}};
		struct kf_view v = base_view;
		struct kf_plan p;

		v.annotations = a;
		v.nannotations = 2;
		p = plan(&base_settings, &v, &by_path);
		assert_int_equal(p.decision, cases[i].decision);
		if (p.decision == KF_SANDBOX)
			assert_string_equal(p.profile->name, cases[i].profile);
		else
			assert_non_null(strstr(p.reason, cases[i].profile));
	}
}

static void allowed_profiles_limit_pods_not_the_administrator(void **state)
{
	static const char *const allowed[] = {"strict"};
	struct kf_view_annotation a = {"nono.sh/profile", "open"};
	struct kf_settings s = base_settings;
	struct kf_view v = base_view;
	struct kf_plan p;

	(void)state;
	s.allowed_profiles = allowed;
	s.nallowed_profiles = 1;
	p = plan(&s, &v, &by_path);
	assert_string_equal(p.profile->name, "default");
	v.annotations = &a;
	v.nannotations = 1;
	p = plan(&s, &v, &by_path);
	assert_int_equal(p.decision, KF_REFUSE);
	assert_non_null(strstr(p.reason, "allowed are: default, strict"));
	a.value = "strict";
	p = plan(&s, &v, &by_path);
	assert_string_equal(p.profile->name, "strict");
}

/* A namespace's own default and allowed profiles take the place of the node's. */
static void namespaces_have_profiles_of_their_own(void **state)
{
	static const char *const allowed[] = {"open"};
	static const char *const namespaces[] = {"a strict -", "b - strict,gone",
						 "c open strict,default", "d strict strict"};
	static const struct {
		const char *namespace_, *named; /* NULL: no annotation */
		enum kf_decision decision;
		const char *what; /* the profile, or words of the refusal */
	} cases[] = {
		{"ns", NULL, KF_SANDBOX, "default"},
		{"ns", "open", KF_SANDBOX, "open"},
		{"ns", "strict", KF_REFUSE, "in namespace 'ns'; allowed are: default, open"},
		{"a", NULL, KF_SANDBOX, "strict"},
		{"a", "open", KF_SANDBOX, "open"},
		{"a", "default", KF_REFUSE, "allowed are: open, strict"},
		{"b", NULL, KF_SANDBOX, "default"},
		{"b", "strict", KF_SANDBOX, "strict"},
		{"b", "open", KF_REFUSE, "allowed are: default, strict"},
		{"b", "gone", KF_REFUSE, "does not exist"},
		{"c", NULL, KF_SANDBOX, "open"},
		{"c", "open", KF_SANDBOX, "open"},
		{"c", "default", KF_SANDBOX, "default"},
		{"c", "strict,default", KF_REFUSE, "is not a profile name"},
		{"d", "stric", KF_REFUSE, "is not allowed"},
		{"d", "default", KF_REFUSE, "is not allowed"},
		{"aa", NULL, KF_SANDBOX, "default"},
		{"", NULL, KF_REFUSE, "does not tell the pod's namespace"},
	};
	struct kf_settings s = base_settings;

	(void)state;
	s.allowed_profiles = allowed;
	s.nallowed_profiles = 1;
	s.namespaces = namespaces;
	s.nnamespaces = KF_ARRAY_SIZE(namespaces);
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_view_annotation a = {"nono.sh/profile", cases[i].named};
		struct kf_view v = base_view;
		struct kf_plan p;

		v.namespace_ = cases[i].namespace_;
		v.annotations = &a;
		v.nannotations = cases[i].named ? 1 : 0;
		p = plan(&s, &v, &by_fd);
		assert_int_equal(p.decision, cases[i].decision);
		if (p.decision == KF_SANDBOX)
			assert_string_equal(p.profile->name, cases[i].what);
		else
			assert_non_null(strstr(p.reason, cases[i].what));
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(namespaces); i++)
		assert_true(kf_settings_namespace_valid(namespaces[i]));
}

static void only_namespaces_that_are_understood(void **state)
{
	static const char *const wrong[] = {"",	       "a",	  "a b",     "a b ",   "a  -",
					    " b -",    "A b -",	  "a b -,c", "a b c,", "a b ,c",
					    "a b c d", "a b c\n", "-a b -",  "a- b -", "a _b -"};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(wrong); i++)
		assert_false(kf_settings_namespace_valid(wrong[i]));
}

static void missing_default_profile_refuses(void **state)
{
	struct kf_settings s = base_settings;
	struct kf_plan p;

	(void)state;
	s.default_profile = "gone";
	p = plan(&s, &base_view, &by_path);
	assert_int_equal(p.decision, KF_REFUSE);
	assert_non_null(strstr(p.reason, "default profile 'gone' does not exist"));
}

static void pods_cannot_change_their_virtual_machine(void **state)
{
	static const char *const bad[] = {
		"io.katacontainers.config.hypervisor.kernel_params",
		"io.katacontainers.config.runtime.disable_guest_seccomp",
		"io.katacontainers.config.agent.policy",
		"io.katacontainers.config_path",
		"io.katacontainers.pkg.oci.container_type",
		"io.kubernetes.cri.container-type",
		"io.kubernetes.cri.sandbox-id",
	};
	static const char *const fine[] = {"io.katacontainersx", "io.katacontainers",
					   "io.kubernetes.cri.container-types",
					   "x.io.katacontainers.config.agent.policy"};
	static const char *const allowed[] = {"io.katacontainers.config.agent.policy"};
	static const struct kf_launch guard_follows = {.guard_follows = true};
	struct kf_settings s = base_settings;
	struct kf_view_annotation a = {.value = "true"};
	struct kf_view v = base_view;
	struct kf_plan p;

	(void)state;
	v.handler = "kata-qemu";
	v.annotations = &a;
	v.nannotations = 1;
	for (size_t i = 0; i < KF_ARRAY_SIZE(bad); i++) {
		a.key = bad[i];
		p = plan(&s, &v, &by_path);
		assert_int_equal(p.decision, KF_REFUSE);
		assert_non_null(strstr(p.reason, bad[i]));
		assert_non_null(strstr(p.reason, "kata_annotations"));
		/* Where the guard is, there is no machine to change. */
		assert_int_equal(plan(&s, &v, &guard_follows).decision, KF_SANDBOX);
		assert_int_equal(plan(&s, &v, &by_fd).decision, KF_SANDBOX);
	}
	for (size_t i = 0; i < KF_ARRAY_SIZE(fine); i++) {
		a.key = fine[i];
		assert_int_equal(plan(&s, &v, &by_path).decision, KF_SANDBOX);
	}
	s.kata_annotations = allowed;
	s.nkata_annotations = 1;
	a.key = bad[2];
	assert_int_equal(plan(&s, &v, &by_path).decision, KF_SANDBOX);
	a.key = bad[0];
	assert_int_equal(plan(&s, &v, &by_path).decision, KF_REFUSE);
	/* Out of scope is none of our business. */
	v.handler = "kata-clh";
	assert_int_equal(plan(&s, &v, &by_path).decision, KF_SKIP);
}

static void unusable_containers_are_refused(void **state)
{
	static const char *const empty[] = {""}, *const dup[] = {"NONO_PROFILE=a",
								 "NONO_PROFILE=b"};
	static const char *const mounts[] = {"/nono",	   "/nono/x",	"nono",		"//nono//",
					     "/x/../nono", "/./nono/.", "/nono/../nono"};
	struct kf_view v = base_view;

	(void)state;
	v.nargs = 0;
	assert_int_equal(plan(&base_settings, &v, &by_path).decision, KF_REFUSE);
	v.args = empty;
	v.nargs = 1;
	assert_int_equal(plan(&base_settings, &v, &by_path).decision, KF_REFUSE);
	v = base_view;
	v.env = dup;
	v.nenv = 1;
	assert_int_equal(plan(&base_settings, &v, &by_path).decision, KF_SANDBOX);
	v.nenv = 2;
	assert_int_equal(plan(&base_settings, &v, &by_path).decision, KF_REFUSE);
	for (size_t i = 0; i < KF_ARRAY_SIZE(mounts); i++) {
		struct kf_view_mount m = {.destination = mounts[i], .type = "", .source = ""};

		v = base_view;
		v.mounts = &m;
		v.nmounts = 1;
		assert_int_equal(plan(&base_settings, &v, &by_path).decision, KF_REFUSE);
		m.destination = "/nonostop";
		assert_int_equal(plan(&base_settings, &v, &by_path).decision, KF_SANDBOX);
	}
}

static void denied_mounts_are_taken_away(void **state)
{
	static const struct kf_view_mount m[] = {
		{.destination = "/data"},
		{.destination = "/var/run/secrets/kubernetes.io/serviceaccount"},
		{.destination = "/run/secrets"},
		{.destination = "/run/secretsafe"},
		{.destination = "/run//./secrets/a/"},
	};
	struct kf_view v = base_view;
	struct kf_plan p;

	(void)state;
	v.mounts = m;
	v.nmounts = KF_ARRAY_SIZE(m);
	p = plan(&base_settings, &v, &by_path);
	assert_int_equal(p.nremove_mounts, 3);
	assert_string_equal(p.remove_mounts[0], m[1].destination);
	assert_string_equal(p.remove_mounts[1], m[2].destination);
	assert_string_equal(p.remove_mounts[2], m[4].destination);
}

static void files_of_the_pod_are_read_only_unless_the_profile_names_them(void **state)
{
	static const char *const rw[] = {"rbind", "ro", "rw"}, *const ro[] = {"rw", "ro"};
	static const struct kf_view_mount m[] = {
		{.destination = "/etc/hosts", .options = rw, .noptions = 3},
		{.destination = "/etc/hosts.d", .options = rw, .noptions = 3},
		{.destination = "/etc/./resolv.conf"},
		{.destination = "/etc/hostname", .options = ro, .noptions = 2},
		{.destination = "/etc/hosts", .options = rw, .noptions = 3},
	};
	struct kf_profile_info info = {.name = "default"};
	struct kf_settings s = base_settings;
	struct kf_view v = base_view;
	struct kf_plan p;

	(void)state;
	s.profiles = &info;
	s.nprofiles = 1;
	v.mounts = m;
	v.nmounts = KF_ARRAY_SIZE(m);
	p = plan(&s, &v, &by_path);
	assert_int_equal(p.decision, KF_SANDBOX);
	assert_int_equal(p.nread_only, 2);
	assert_ptr_equal(p.read_only[0], &m[4]);
	assert_ptr_equal(p.read_only[1], &m[2]);
	info.writes_pod_files = true;
	assert_int_equal(plan(&s, &v, &by_path).nread_only, 0);
}

static void guard_replaces_the_plugins_prefix_and_only_that(void **state)
{
	static const char *const plain[] = {
		"/proc/self/fd/3", "wrap",    "--policy-fd", "4",  "--report-fd", "5",
		"--profile",	   "default", "--",	     "sh", "-c",	  "true"};
	static const char *const ours[] = {"/nono/nono", "wrap", "--profile", "default",
					   "--",	 "sh",	 "-c",	      "true"};
	static const char *const weaker[] = {"/nono/nono", "wrap", "--profile", "open", "--", "sh"};
	struct kf_view v = base_view;
	struct kf_plan p = plan(&base_settings, &v, &by_fd);

	(void)state;
	assert_args(&p, plain, KF_ARRAY_SIZE(plain));
	assert_false(p.already_wrapped);
	v.args = ours;
	v.nargs = KF_ARRAY_SIZE(ours);
	p = plan(&base_settings, &v, &by_fd);
	assert_args(&p, plain, KF_ARRAY_SIZE(plain));
	assert_true(p.already_wrapped);
	v.args = weaker;
	v.nargs = KF_ARRAY_SIZE(weaker);
	p = plan(&base_settings, &v, &by_fd);
	assert_false(p.already_wrapped);
	assert_int_equal(p.nargs, 9 + KF_ARRAY_SIZE(weaker));
	/* The plugin itself never trusts a prefix: the image may carry it. */
	v.args = ours;
	v.nargs = KF_ARRAY_SIZE(ours);
	p = plan(&base_settings, &v, &by_path);
	assert_int_equal(p.nargs, 5 + KF_ARRAY_SIZE(ours));
}

static void guard_wraps_a_bundle_that_it_has_wrapped_before_once(void **state)
{
	static const char *const again[] = {
		"/proc/self/fd/9", "wrap",    "--policy-fd", "10", "--report-fd", "11",
		"--profile",	   "default", "--",	     "sh"};
	static const char *const want[] = {
		"/proc/self/fd/3", "wrap",    "--policy-fd", "4", "--report-fd", "5",
		"--profile",	   "default", "--",	     "sh"};
	struct kf_view v = base_view;
	struct kf_plan p;

	(void)state;
	v.args = again;
	v.nargs = KF_ARRAY_SIZE(again);
	p = plan(&base_settings, &v, &by_fd);
	assert_args(&p, want, KF_ARRAY_SIZE(want));
	p = plan(&base_settings, &v, &by_path);
	assert_int_equal(p.nargs, 5 + KF_ARRAY_SIZE(again));
}

/* The launcher is reached through /proc/self/fd: nothing may be put there. */
static void guard_refuses_mounts_that_could_stand_for_the_descriptor(void **state)
{
	static const struct {
		struct kf_view_mount mount;
		enum kf_decision decision;
	} cases[] = {
		{{.destination = "/proc", .type = "proc", .source = "proc"}, KF_SANDBOX},
		{{.destination = "/proc", .type = "bind", .source = "/proc"}, KF_SANDBOX},
		{{.destination = "/proc/cpuinfo", .type = "bind", .source = "/lxcfs"}, KF_SANDBOX},
		{{.destination = "/process", .type = "bind", .source = "/x"}, KF_SANDBOX},
		{{.destination = "/proc", .type = "bind", .source = "/x"}, KF_REFUSE},
		{{.destination = "/x/..", .type = "bind", .source = "/x"}, KF_REFUSE},
		{{.destination = "/proc/", .type = "tmpfs", .source = "tmpfs"}, KF_REFUSE},
		{{.destination = "/a/../proc/self", .type = "bind", .source = "/x"}, KF_REFUSE},
		{{.destination = "proc/self/fd", .type = "bind", .source = "/x"}, KF_REFUSE},
		{{.destination = "/proc/thread-self/fd", .type = "", .source = ""}, KF_REFUSE},
		{{.destination = "/proc/1/fd/3", .type = "bind", .source = "/x"}, KF_REFUSE},
		/* The plugin's own mount, and what only looks like it. */
		{{.destination = "/nono", .type = "bind", .source = "/opt/nono-nri"}, KF_SANDBOX},
		{{.destination = "/nono", .type = "bind", .source = "/opt/nono-nr"}, KF_REFUSE},
		{{.destination = "/nono/x", .type = "bind", .source = "/opt/nono-nri"}, KF_REFUSE},
	};

	(void)state;
	for (size_t i = 0; i < KF_ARRAY_SIZE(cases); i++) {
		struct kf_view v = base_view;

		v.mounts = &cases[i].mount;
		v.nmounts = 1;
		assert_int_equal(plan(&base_settings, &v, &by_fd).decision, cases[i].decision);
	}
}

static void verifier_accepts_what_the_plan_made_and_nothing_else(void **state)
{
	struct kf_view_mount m[] = {{.destination = "/data", .source = "/x"},
				    {.destination = "/nono", .source = "/opt/nono-nri"}};
	struct kf_plan p = plan(&base_settings, &base_view, &by_path);
	struct kf_view v = base_view;
	struct kf_err err = {0};
	static const char *const weaker[] = {"/nono/nono", "wrap", "--profile", "open", "--", "sh"};
	static const char *const outer[] = {"/bin/evil", "/nono/nono", "wrap",
					    "--profile", "default",    "--"};

	(void)state;
	v.args = p.args;
	v.nargs = p.nargs;
	v.mounts = m;
	v.nmounts = 2;
	assert_int_equal(kf_verify_container(&base_settings, &v, &err), 0);
	m[1].source = "/tmp/evil";
	assert_int_equal(kf_verify_container(&base_settings, &v, &err), -1);
	m[1].source = "/opt/nono-nri";
	m[0].destination = "/nono/nono";
	assert_int_equal(kf_verify_container(&base_settings, &v, &err), -1);
	m[0].destination = "/nono/./"; /* an earlier mount, covered by ours */
	assert_int_equal(kf_verify_container(&base_settings, &v, &err), 0);
	m[0].destination = "/var/run/secrets/x"; /* taken away, and put back by another */
	assert_int_equal(kf_verify_container(&base_settings, &v, &err), -1);
	m[0].destination = "/a/../data"; /* another plugin's; who reads it next? */
	assert_int_equal(kf_verify_container(&base_settings, &v, &err), -1);
	m[0].destination = "/nono";
	v.nmounts = 1;
	assert_int_equal(kf_verify_container(&base_settings, &v, &err), -1);
	m[0].destination = "/data";
	v.nmounts = 2;
	v.args = weaker;
	v.nargs = KF_ARRAY_SIZE(weaker);
	assert_int_equal(kf_verify_container(&base_settings, &v, &err), -1);
	v.args = outer;
	v.nargs = KF_ARRAY_SIZE(outer);
	assert_int_equal(kf_verify_container(&base_settings, &v, &err), -1);
	v.handler = "runc";
	assert_int_equal(kf_verify_container(&base_settings, &v, &err), 0);
}

/* What the plan sets answers @name with: 0 = allowed, else the errno; -1 = it sets nothing. */
static int seccomp_outcome(const struct kf_plan *p, const char *name)
{
	const struct kf_seccomp_call call = {.arch = KF_SECCOMP_ARCH_SCMP, .name = name};
	struct kf_seccomp_verdict v;

	assert_int_equal(p->decision, KF_SANDBOX);
	if (!p->seccomp)
		return -1;
	v = kf_seccomp_eval(p->seccomp, &call);
	return kf_seccomp_action_passes(v.action) ? 0 : (int)v.data;
}

static void seccomp_level_is_the_configured_one_or_the_profiles(void **state)
{
	struct kf_profile_info agent = {.name = "default",
					.has_seccomp = true,
					.seccomp = KF_SECCOMP_LEVEL_RUNTIME_DEFAULT};
	struct kf_settings s = base_settings;
	struct kf_plan p = plan(&s, &base_view, &by_path);

	(void)state;
	assert_int_equal(seccomp_outcome(&p, "ptrace"), -1);
	s.seccomp = KF_SECCOMP_LEVEL_RESTRICTED;
	p = plan(&s, &base_view, &by_path);
	assert_int_equal(seccomp_outcome(&p, "ptrace"), EPERM);
	assert_int_equal(seccomp_outcome(&p, "read"), 0);
	s.profiles = &agent;
	s.nprofiles = 1;
	p = plan(&s, &base_view, &by_path);
	assert_int_equal(seccomp_outcome(&p, "ptrace"), 0);
	/* "" means hands off, whatever a profile says. */
	s.seccomp = KF_SECCOMP_LEVEL_NONE;
	p = plan(&s, &base_view, &by_path);
	assert_int_equal(seccomp_outcome(&p, "ptrace"), -1);
}

static void pods_own_seccomp_is_never_weakened(void **state)
{
	static const char *const most[] = {"landlock_create_ruleset",
					   "landlock_add_rule",
					   "landlock_restrict_self",
					   "prctl",
					   "execve",
					   "openat",
					   "openat2",
					   "fstat",
					   "fstatfs",
					   "read",
					   "lseek",
					   "prlimit64",
					   "mount",
					   "ptrace",
					   "getdents64",
					   "newfstatat",
					   "readlink",
					   "readlinkat",
					   "arch_prctl",
					   "getcwd",
					   "geteuid",
					   "flock",
					   "pwrite64",
					   "statx"};
	struct kf_seccomp_rule rule = {
		.names = most, .nnames = KF_ARRAY_SIZE(most), .action = "SCMP_ACT_ALLOW"};
	const struct kf_seccomp theirs = {
		.default_action = "SCMP_ACT_ERRNO", .rules = &rule, .nrules = 1};
	struct kf_launch guarded = by_path;
	struct kf_settings s = base_settings;
	struct kf_view v = base_view;
	struct kf_plan p;

	(void)state;
	s.seccomp = KF_SECCOMP_LEVEL_RESTRICTED;
	v.seccomp_source = KF_VIEW_SECCOMP_LOCALHOST;
	v.seccomp = &theirs;
	p = plan(&s, &v, &by_path);
	assert_int_equal(seccomp_outcome(&p, "read"), 0);
	assert_int_equal(seccomp_outcome(&p, "mount"), EPERM);	  /* ours */
	assert_int_equal(seccomp_outcome(&p, "ptrace"), EPERM);	  /* ours */
	assert_int_equal(seccomp_outcome(&p, "sendfile"), EPERM); /* theirs */
	/* One that keeps the launcher from working says so, with or without ours. */
	rule.names++;
	rule.nnames--;
	p = plan(&s, &v, &by_path);
	assert_int_equal(p.decision, KF_REFUSE);
	assert_non_null(strstr(p.reason, "launcher needs: landlock_create_ruleset;"));
	p = plan(&base_settings, &v, &by_path);
	assert_int_equal(p.decision, KF_REFUSE);
	rule.action = "SCMP_ACT_PERHAPS";
	p = plan(&s, &v, &by_path);
	assert_int_equal(p.decision, KF_REFUSE);
	assert_non_null(strstr(p.reason, "SCMP_ACT_PERHAPS"));
	/* Rules that cannot be seen. */
	v.seccomp = NULL;
	p = plan(&s, &v, &by_path);
	assert_int_equal(p.decision, KF_REFUSE);
	assert_non_null(strstr(p.reason, "Localhost"));
	guarded.guard_follows = true;
	p = plan(&s, &v, &guarded);
	assert_int_equal(seccomp_outcome(&p, "ptrace"), -1);
	/* Nothing would replace them, and they could deceive the launcher. */
	p = plan(&base_settings, &v, &by_path);
	assert_int_equal(p.decision, KF_REFUSE);
	assert_non_null(strstr(p.reason, "launcher needs"));
	p = plan(&base_settings, &v, &guarded);
	assert_int_equal(seccomp_outcome(&p, "ptrace"), -1);
	v.seccomp_source = KF_VIEW_SECCOMP_UNKNOWN;
	p = plan(&s, &v, &guarded);
	assert_int_equal(seccomp_outcome(&p, "ptrace"), -1);
	p = plan(&s, &v, &by_path);
	assert_int_equal(seccomp_outcome(&p, "ptrace"), EPERM);
	v.seccomp_source = KF_VIEW_SECCOMP_RUNTIME_DEFAULT;
	p = plan(&s, &v, &by_path);
	assert_int_equal(seccomp_outcome(&p, "ptrace"), EPERM);
}

/* With the guard the launcher installs the policy itself, behind all its own calls; unless
 * the policy asks a listener: then the runtime installs it, in front of them. */
static void launchers_calls_count_where_it_runs_under_the_policy(void **state)
{
	static const char *const prctl[] = {"prctl"}, *const mount[] = {"mount"};
	static const struct kf_launch guard_follows = {.guard_follows = true};
	struct kf_seccomp_rule rules[] = {
		{.names = prctl, .nnames = 1, .action = "SCMP_ACT_ERRNO"},
		{.names = mount, .nnames = 1, .action = "SCMP_ACT_ERRNO"},
	};
	struct kf_seccomp theirs = {
		.default_action = "SCMP_ACT_ALLOW", .rules = rules, .nrules = 2};
	struct kf_view v = base_view;
	struct kf_seccomp_known known = {.both = &theirs};
	struct kf_settings s = base_settings;

	(void)state;
	v.seccomp_source = KF_VIEW_SECCOMP_LOCALHOST;
	v.seccomp = &theirs;
	for (int level = KF_SECCOMP_LEVEL_NONE; level <= KF_SECCOMP_LEVEL_RESTRICTED; level++) {
		s.seccomp = (enum kf_seccomp_level)level;
		rules[1].action = "SCMP_ACT_ERRNO";
		assert_false(kf_seccomp_notifies(&theirs));
		assert_int_equal(plan(&s, &v, &by_path).decision, KF_REFUSE);
		assert_int_equal(plan(&s, &v, &by_fd).decision, KF_SANDBOX);
		assert_int_equal(plan(&s, &v, &guard_follows).decision, KF_SANDBOX);
		/* The level denies mount: nobody is asked about it any more. */
		rules[1].action = "SCMP_ACT_NOTIFY";
		assert_true(kf_seccomp_notifies(&theirs));
		assert_int_equal(plan(&s, &v, &by_path).decision, KF_REFUSE);
		assert_int_equal(plan(&s, &v, &by_fd).decision,
				 level == KF_SECCOMP_LEVEL_NONE ? KF_REFUSE : KF_SANDBOX);
	}
	/* What was worked out before is judged again. */
	rules[1].action = "SCMP_ACT_ERRNO";
	known.ours = kf_seccomp_builtin(s.seccomp, KF_SECCOMP_ARCH);
	v.known = &known;
	v.nknown = 1;
	assert_int_equal(plan(&s, &v, &by_path).decision, KF_REFUSE);
	theirs.default_action = "SCMP_ACT_NOTIFY";
	assert_true(kf_seccomp_notifies(&theirs));
}

/* Validators and other plugins have nothing to object to: the guard sees to the policy. */
static void where_the_guard_follows_the_plugin_leaves_seccomp_alone(void **state)
{
	static const struct kf_launch guard_follows = {.guard_follows = true};
	static const char *const prctl[] = {"prctl"};
	const struct kf_seccomp_rule rule = {
		.names = prctl, .nnames = 1, .action = "SCMP_ACT_NOTIFY"};
	const struct kf_seccomp theirs = {
		.default_action = "SCMP_ACT_ALLOW", .rules = &rule, .nrules = 1};
	const struct kf_seccomp *const policies[] = {NULL, &theirs};
	struct kf_settings s = base_settings;
	struct kf_view v = base_view;

	(void)state;
	for (int level = KF_SECCOMP_LEVEL_NONE; level <= KF_SECCOMP_LEVEL_RESTRICTED; level++) {
		for (int source = KF_VIEW_SECCOMP_UNKNOWN; source <= KF_VIEW_SECCOMP_LOCALHOST;
		     source++) {
			for (size_t i = 0; i < KF_ARRAY_SIZE(policies); i++) {
				struct kf_plan p;

				s.seccomp = (enum kf_seccomp_level)level;
				v.seccomp_source = (enum kf_view_seccomp)source;
				v.seccomp = policies[i];
				p = plan(&s, &v, &guard_follows);
				assert_int_equal(p.decision, KF_SANDBOX);
				assert_null(p.seccomp);
			}
		}
	}
}

static void memory_limit_is_an_error_not_a_decision(void **state)
{
	struct kf_plan p = {.reason = "untouched"};
	struct kf_arena small;
	struct kf_err err = {0};

	(void)state;
	kf_arena_init(&small, 32);
	assert_int_equal(kf_plan_container(&base_settings, &base_view, &by_path, &small, &p, &err),
			 -1);
	assert_int_equal(err.code, ENOMEM);
	assert_string_equal(p.reason, "untouched");
	kf_arena_done(&small);
}

static int setup(void **state)
{
	(void)state;
	kf_arena_init(&arena, KF_LIMIT_PLAN_MEMORY);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kf_arena_done(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_scope_container_is_wrapped),
		cmocka_unit_test(hosts_need_the_broker_or_the_cluster),
		cmocka_unit_test(other_handlers_are_skipped_with_the_logs_reason),
		cmocka_unit_test(annotations_choose_the_profile),
		cmocka_unit_test(allowed_profiles_limit_pods_not_the_administrator),
		cmocka_unit_test(namespaces_have_profiles_of_their_own),
		cmocka_unit_test(only_namespaces_that_are_understood),
		cmocka_unit_test(missing_default_profile_refuses),
		cmocka_unit_test(pods_cannot_change_their_virtual_machine),
		cmocka_unit_test(unusable_containers_are_refused),
		cmocka_unit_test(denied_mounts_are_taken_away),
		cmocka_unit_test(files_of_the_pod_are_read_only_unless_the_profile_names_them),
		cmocka_unit_test(guard_replaces_the_plugins_prefix_and_only_that),
		cmocka_unit_test(guard_wraps_a_bundle_that_it_has_wrapped_before_once),
		cmocka_unit_test(guard_refuses_mounts_that_could_stand_for_the_descriptor),
		cmocka_unit_test(verifier_accepts_what_the_plan_made_and_nothing_else),
		cmocka_unit_test(seccomp_level_is_the_configured_one_or_the_profiles),
		cmocka_unit_test(pods_own_seccomp_is_never_weakened),
		cmocka_unit_test(launchers_calls_count_where_it_runs_under_the_policy),
		cmocka_unit_test(where_the_guard_follows_the_plugin_leaves_seccomp_alone),
		cmocka_unit_test(memory_limit_is_an_error_not_a_decision),
	};

	return cmocka_run_group_tests_name("plan", tests, setup, teardown);
}
