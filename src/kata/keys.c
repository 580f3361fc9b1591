/* SPDX-License-Identifier: Apache-2.0 */
/* The table of all keys that Kata's two runtimes know, release by release, from their own
 * definitions: the Go runtime's structures (src/runtime/pkg/katautils), the Rust runtime's
 * (src/libs/kata-types).  Where a file's values come from is in effective.c.
 *
 * A new release of Kata: compare its definitions with this table, add rows and ends of spans, and
 * set NEWEST. */
#include "kata/keys.h"

#include "base/cleanup.h"

#include <string.h>

#define RELEASE(major, minor) ((major) << 16 | (minor))
#define OLDEST		      RELEASE(3, 28)
#define NEWEST		      RELEASE(4, 1)
#define ALL                    \
	{                      \
		OLDEST, NEWEST \
	}
#define NONE         \
	{            \
		0, 0 \
	}
#define SINCE(major, minor)                   \
	{                                     \
		RELEASE(major, minor), NEWEST \
	}
#define UNTIL(major, minor)                   \
	{                                     \
		OLDEST, RELEASE(major, minor) \
	}

/* The releases that have a key: from the first to the last. */
struct key_span {
	unsigned first, last;
};

enum key_table { TOP, AGENT, HYPERVISOR, RUNTIME };

static const char *const table_names[] = {
	[TOP] = "the top level",
	[AGENT] = "agent.kata",
	[HYPERVISOR] = "hypervisor.qemu",
	[RUNTIME] = "runtime",
};

static const struct key_row {
	enum key_table table;
	const char *key;
	struct key_span go, rust;
	enum kf_kata_set set;
} rows[] = {
	{TOP, "agent", ALL, ALL},
	{TOP, "factory", ALL, NONE},
	{TOP, "hypervisor", ALL, ALL},
	{TOP, "runtime", ALL, ALL},
	{AGENT, "cdh_api_timeout", ALL, NONE},
	{AGENT, "cdh_api_timeout_ms", NONE, SINCE(3, 31)},
	{AGENT, "container_pipe_size", NONE, ALL},
	{AGENT, "create_container_timeout", NONE, ALL},
	{AGENT, "debug_console_enabled", ALL, ALL},
	{AGENT, "dial_timeout", ALL, NONE},
	{AGENT, "dial_timeout_ms", NONE, ALL},
	{AGENT, "enable_debug", ALL, ALL},
	{AGENT, "enable_tracing", ALL, ALL},
	{AGENT, "health_check_request_timeout_ms", NONE, ALL},
	{AGENT, "kernel_modules", ALL, ALL},
	{AGENT, "launch_process_timeout", SINCE(3, 29), SINCE(3, 29)},
	{AGENT, "log_level", NONE, ALL},
	{AGENT, "log_port", NONE, ALL},
	{AGENT, "mem_agent", NONE, ALL},
	{AGENT, "passfd_listener_port", NONE, ALL},
	{AGENT, "policy", NONE, ALL},
	{AGENT, "reconnect_timeout_ms", NONE, ALL},
	{AGENT, "server_port", NONE, ALL},
	{AGENT, "visible_cdi_devices", SINCE(3, 32), SINCE(3, 32)},
	{HYPERVISOR, "block_device_aio", ALL, ALL},
	{HYPERVISOR, "block_device_cache_direct", ALL, ALL},
	{HYPERVISOR, "block_device_cache_noflush", ALL, ALL},
	{HYPERVISOR, "block_device_cache_set", ALL, ALL},
	{HYPERVISOR, "block_device_driver", ALL, ALL},
	{HYPERVISOR, "block_device_logical_sector_size", SINCE(3, 29), SINCE(3, 29),
	 KF_KATA_SET_NONE},
	{HYPERVISOR, "block_device_physical_sector_size", SINCE(3, 29), SINCE(3, 29),
	 KF_KATA_SET_NONE},
	{HYPERVISOR, "boot_from_template", NONE, ALL},
	{HYPERVISOR, "boot_to_be_template", NONE, ALL},
	{HYPERVISOR, "cold_plug_vfio", ALL, SINCE(3, 31)},
	{HYPERVISOR, "confidential_guest", ALL, ALL},
	{HYPERVISOR, "cpu_features", ALL, ALL},
	{HYPERVISOR, "ctlpath", NONE, ALL},
	{HYPERVISOR, "dbg_monitor_socket", NONE, ALL},
	{HYPERVISOR, "default_bridges", ALL, ALL},
	{HYPERVISOR, "default_gpu_model", NONE, ALL},
	{HYPERVISOR, "default_gpus", NONE, ALL},
	{HYPERVISOR, "default_maxmemory", ALL, ALL},
	{HYPERVISOR, "default_maxvcpus", ALL, ALL},
	{HYPERVISOR, "default_memory", ALL, ALL},
	{HYPERVISOR, "default_vcpus", ALL, ALL},
	{HYPERVISOR, "device_state_path", NONE, ALL},
	{HYPERVISOR, "disable_block_device_use", ALL, ALL},
	{HYPERVISOR, "disable_guest_selinux", ALL, ALL},
	{HYPERVISOR, "disable_image_nvdimm", ALL, ALL},
	{HYPERVISOR, "disable_nested_virtualization", NONE, SINCE(4, 1)},
	{HYPERVISOR, "disable_nesting_checks", ALL, ALL},
	{HYPERVISOR, "disable_seccomp", ALL, ALL},
	{HYPERVISOR, "disable_selinux", ALL, ALL},
	{HYPERVISOR, "disable_vhost_net", ALL, ALL},
	{HYPERVISOR, "disk_rate_limiter_bw_max_rate", ALL, ALL},
	{HYPERVISOR, "disk_rate_limiter_bw_one_time_burst", ALL, ALL},
	{HYPERVISOR, "disk_rate_limiter_ops_max_rate", ALL, ALL},
	{HYPERVISOR, "disk_rate_limiter_ops_one_time_burst", ALL, ALL},
	{HYPERVISOR, "enable_annotations", ALL, ALL, KF_KATA_SET_ANNOTATIONS},
	{HYPERVISOR, "enable_debug", ALL, ALL},
	{HYPERVISOR, "enable_guest_swap", ALL, ALL},
	{HYPERVISOR, "enable_hugepages", ALL, ALL},
	{HYPERVISOR, "enable_iommu", ALL, ALL},
	{HYPERVISOR, "enable_iommu_platform", ALL, ALL},
	{HYPERVISOR, "enable_iothreads", ALL, ALL},
	{HYPERVISOR, "enable_mem_prealloc", ALL, ALL},
	{HYPERVISOR, "enable_numa", ALL, NONE},
	{HYPERVISOR, "enable_vhost_user_store", ALL, ALL},
	{HYPERVISOR, "enable_virtio_mem", ALL, ALL},
	{HYPERVISOR, "entropy_source", ALL, ALL},
	{HYPERVISOR, "extra_monitor_socket", ALL, SINCE(3, 29)},
	{HYPERVISOR, "factory", NONE, ALL},
	{HYPERVISOR, "file_mem_backend", UNTIL(3, 31), UNTIL(3, 31)},
	{HYPERVISOR, "firmware", ALL, ALL},
	{HYPERVISOR, "firmware_volume", ALL, NONE},
	{HYPERVISOR, "guest_extension_images", SINCE(4, 0), SINCE(4, 0)},
	{HYPERVISOR, "guest_hook_path", ALL, ALL},
	{HYPERVISOR, "guest_memory_dump_paging", ALL, ALL},
	{HYPERVISOR, "guest_memory_dump_path", ALL, ALL},
	{HYPERVISOR, "guest_swap_create_threshold_secs", NONE, ALL},
	{HYPERVISOR, "guest_swap_path", NONE, ALL},
	{HYPERVISOR, "guest_swap_size_percent", NONE, ALL},
	{HYPERVISOR, "hot_plug_vfio", ALL, NONE},
	{HYPERVISOR, "hotplug_vfio_on_root_bus", NONE, UNTIL(3, 32)},
	{HYPERVISOR, "hugepage_type", NONE, ALL},
	{HYPERVISOR, "hypervisor_loglevel", ALL, NONE},
	{HYPERVISOR, "hypervisor_socket", NONE, ALL},
	{HYPERVISOR, "hypervisor_timeout", NONE, ALL},
	{HYPERVISOR, "image", ALL, ALL, KF_KATA_SET_IMAGE},
	{HYPERVISOR, "indep_iothreads", ALL, SINCE(3, 32)},
	{HYPERVISOR, "initdata", NONE, ALL},
	{HYPERVISOR, "initrd", ALL, ALL, KF_KATA_SET_INITRD},
	{HYPERVISOR, "jailer_path", ALL, ALL},
	{HYPERVISOR, "kernel", ALL, ALL, KF_KATA_SET_KERNEL},
	{HYPERVISOR, "kernel_params", ALL, ALL},
	{HYPERVISOR, "kernel_verity_params", ALL, ALL, KF_KATA_SET_VERITY},
	{HYPERVISOR, "log_level", NONE, ALL},
	{HYPERVISOR, "machine_accelerators", ALL, ALL, KF_KATA_SET_ACCELERATORS},
	{HYPERVISOR, "machine_type", ALL, ALL},
	{HYPERVISOR, "measurement_algo", ALL, NONE},
	{HYPERVISOR, "memory_offset", ALL, ALL},
	{HYPERVISOR, "memory_path", NONE, ALL},
	{HYPERVISOR, "memory_slots", ALL, ALL},
	{HYPERVISOR, "msize_9p", ALL, UNTIL(3, 28)},
	{HYPERVISOR, "net_rate_limiter_bw_max_rate", ALL, NONE},
	{HYPERVISOR, "net_rate_limiter_bw_one_time_burst", ALL, NONE},
	{HYPERVISOR, "net_rate_limiter_ops_max_rate", ALL, NONE},
	{HYPERVISOR, "net_rate_limiter_ops_one_time_burst", ALL, NONE},
	{HYPERVISOR, "network_queues", NONE, ALL},
	{HYPERVISOR, "num_queues", NONE, ALL},
	{HYPERVISOR, "numa_mapping", ALL, NONE},
	{HYPERVISOR, "overhead_memory", NONE, SINCE(4, 0)},
	{HYPERVISOR, "overhead_vcpus", NONE, SINCE(4, 0)},
	{HYPERVISOR, "path", ALL, ALL},
	{HYPERVISOR, "pcie_root_port", ALL, ALL},
	{HYPERVISOR, "pcie_switch_port", ALL, ALL},
	{HYPERVISOR, "pflashes", ALL, ALL},
	{HYPERVISOR, "prefetch_list_path", NONE, ALL},
	{HYPERVISOR, "queue_size", NONE, ALL},
	{HYPERVISOR, "reclaim_guest_freed_memory", ALL, ALL},
	{HYPERVISOR, "remote_hypervisor_socket", ALL, NONE},
	{HYPERVISOR, "remote_hypervisor_timeout", ALL, NONE},
	{HYPERVISOR, "rootfs_type", ALL, ALL, KF_KATA_SET_ROOTFS_TYPE},
	{HYPERVISOR, "rootless", ALL, ALL},
	{HYPERVISOR, "rootless_user", NONE, ALL},
	{HYPERVISOR, "rx_rate_limiter_max_rate", ALL, ALL},
	{HYPERVISOR, "seccomp_sandbox", NONE, ALL, KF_KATA_SET_SECCOMP},
	{HYPERVISOR, "seccompsandbox", ALL, NONE, KF_KATA_SET_SECCOMP},
	{HYPERVISOR, "selinux_label", NONE, ALL},
	{HYPERVISOR, "sev_snp_guest", ALL, ALL},
	{HYPERVISOR, "shared_fs", ALL, ALL},
	{HYPERVISOR, "snp_guest_policy", ALL, ALL},
	{HYPERVISOR, "snp_id_auth", ALL, ALL},
	{HYPERVISOR, "snp_id_block", ALL, ALL},
	{HYPERVISOR, "tdx_quote_generation_service_socket_port", ALL, ALL},
	{HYPERVISOR, "tx_rate_limiter_max_rate", ALL, ALL},
	{HYPERVISOR, "use_legacy_serial", ALL, NONE},
	{HYPERVISOR, "valid_ctlpaths", NONE, ALL},
	{HYPERVISOR, "valid_entropy_sources", ALL, ALL},
	{HYPERVISOR, "valid_file_mem_backends", UNTIL(3, 31), UNTIL(3, 31)},
	{HYPERVISOR, "valid_hypervisor_paths", ALL, ALL},
	{HYPERVISOR, "valid_jailer_paths", ALL, ALL},
	{HYPERVISOR, "valid_vhost_user_store_paths", ALL, ALL},
	{HYPERVISOR, "valid_virtio_fs_daemon_paths", ALL, ALL},
	{HYPERVISOR, "vhost_user_reconnect_timeout_sec", ALL, NONE},
	{HYPERVISOR, "vhost_user_store_path", ALL, ALL},
	{HYPERVISOR, "virtio_fs_cache", ALL, ALL},
	{HYPERVISOR, "virtio_fs_cache_size", ALL, ALL},
	{HYPERVISOR, "virtio_fs_daemon", ALL, ALL},
	{HYPERVISOR, "virtio_fs_extra_args", ALL, ALL},
	{HYPERVISOR, "virtio_fs_is_dax", NONE, ALL},
	{HYPERVISOR, "virtio_fs_queue_size", ALL, ALL},
	{HYPERVISOR, "vm_rootfs_driver", NONE, ALL},
	{RUNTIME, "agent_name", NONE, ALL},
	{RUNTIME, "create_container_timeout", ALL, NONE},
	{RUNTIME, "dan_conf", ALL, ALL},
	{RUNTIME, "disable_guest_empty_dir", ALL, UNTIL(3, 32)},
	{RUNTIME, "disable_guest_seccomp", ALL, ALL, KF_KATA_SET_GUEST_SECCOMP},
	{RUNTIME, "disable_new_netns", ALL, ALL},
	{RUNTIME, "emptydir_mode", ALL, SINCE(3, 31)},
	{RUNTIME, "enable_debug", ALL, ALL},
	{RUNTIME, "enable_pprof", ALL, ALL},
	{RUNTIME, "enable_tracing", ALL, ALL},
	{RUNTIME, "enable_vcpus_pinning", ALL, SINCE(3, 30)},
	{RUNTIME, "experimental", ALL, ALL},
	{RUNTIME, "experimental_force_guest_pull", ALL, NONE},
	{RUNTIME, "guest_selinux_label", ALL, NONE},
	{RUNTIME, "hypervisor_name", NONE, ALL},
	{RUNTIME, "internetworking_model", ALL, ALL},
	{RUNTIME, "jaeger_endpoint", ALL, ALL},
	{RUNTIME, "jaeger_password", ALL, ALL},
	{RUNTIME, "jaeger_user", ALL, ALL},
	{RUNTIME, "keep_abnormal", NONE, ALL},
	{RUNTIME, "kubelet_root_dir", ALL, NONE},
	{RUNTIME, "log_level", NONE, ALL},
	{RUNTIME, "name", NONE, ALL},
	{RUNTIME, "passfd_listener_port", NONE, ALL},
	{RUNTIME, "pod_resource_api_sock", ALL, SINCE(3, 31)},
	{RUNTIME, "sandbox_bind_mounts", ALL, ALL},
	{RUNTIME, "sandbox_cgroup_only", ALL, ALL},
	{RUNTIME, "shared_mounts", NONE, ALL},
	{RUNTIME, "static_sandbox_resource_mgmt", ALL, ALL},
	{RUNTIME, "use_passfd_io", NONE, ALL},
	{RUNTIME, "vfio_mode", ALL, ALL},
};

/* Whether a release has what @span has.  One that is not known may be any; newer ones are taken for
 * the newest that is known, older ones for the oldest. */
static bool is_within(const struct kf_kata *kata, struct key_span span)
{
	unsigned release = RELEASE(kata->major, kata->minor);

	if (!span.last || !*kata->version)
		return span.last != 0;
	release = release < OLDEST ? OLDEST : release > NEWEST ? NEWEST : release;
	return release >= span.first && release <= span.last;
}

static bool is_read(const struct kf_kata *kata, const struct key_row *row)
{
	return is_within(kata, kata->rust ? row->rust : row->go);
}

/* "Kata's Rust runtime 4.1.0" */
static const char *runtime_name(const struct kf_kata *kata, char *buf, size_t n)
{
	(void)snprintf(buf, n, "Kata's %s runtime%s%.32s", kata->rust ? "Rust" : "Go",
		       *kata->version ? " " : "", kata->version);
	return buf;
}

int kf_kata_key(const struct kf_kata *kata, enum kf_kata_set set, const char *ret[static 4],
		struct kf_err *err)
{
	char name[64];

	for (size_t i = 0; i < KF_ARRAY_SIZE(rows); i++) {
		if (rows[i].set != set || !is_read(kata, &rows[i]))
			continue;
		memset(ret, 0, 4 * sizeof(*ret));
		if (rows[i].table == HYPERVISOR) {
			*ret++ = "hypervisor";
			*ret++ = "qemu";
		} else {
			*ret++ = table_names[rows[i].table];
		}
		*ret = rows[i].key;
		return 0;
	}
	return kf_fail(err, ENOTSUP, "%s has no key for what is to be set (%d)",
		       runtime_name(kata, name, sizeof(name)), (int)set);
}

/* What is called otherwise by the runtime that there is: the key that it has for the same. */
static const char *other_name(const struct kf_kata *kata, enum kf_kata_set set)
{
	for (size_t i = 0; i < KF_ARRAY_SIZE(rows); i++)
		if (set != KF_KATA_SET_NONE && rows[i].set == set && is_read(kata, &rows[i]))
			return rows[i].key;
	return NULL;
}

static int check_table(const struct kf_kata *kata, enum key_table table,
		       const struct kf_toml_node *at, const char *name, struct kf_err *err)
{
	const bool newer = !*kata->version || RELEASE(kata->major, kata->minor) > NEWEST;
	char runtime[64];

	for (const struct kf_toml_node *n = at ? at->first_child : NULL; n; n = n->next) {
		const struct key_row *row = NULL;
		const char *other;
		bool read = false;

		for (size_t i = 0; i < KF_ARRAY_SIZE(rows) && !read; i++) {
			if (rows[i].table != table || strcmp(rows[i].key, n->key) != 0)
				continue;
			row = &rows[i];
			read = is_read(kata, row);
		}
		if (read || (!row && newer))
			continue;
		other = row ? other_name(kata, row->set) : NULL;
		return kf_fail(err, EINVAL, "%s:%u: %s does not know '%.64s' in %s%s%s; %s", name,
			       n->key_begin.line, runtime_name(kata, runtime, sizeof(runtime)),
			       n->key, table_names[table], other ? ", there it is called " : "",
			       other ? other : "",
			       kata->rust ? "it would have no effect: correct or remove it"
					  : "no machine would start, or it would have no effect: "
					    "correct or remove it");
	}
	return 0;
}

int kf_kata_check_keys(const struct kf_kata *kata, const struct kf_toml_node *root,
		       const char *name, struct kf_err *err)
{
	const struct kf_toml_node *hypervisor = kf_toml_get(root, "hypervisor"),
				  *agent = kf_toml_get(root, "agent");

	if (check_table(kata, TOP, root, name, err) < 0 ||
	    check_table(kata, HYPERVISOR, kf_toml_get(hypervisor, "qemu"), name, err) < 0 ||
	    check_table(kata, AGENT, kf_toml_get(agent, "kata"), name, err) < 0)
		return -1;
	return check_table(kata, RUNTIME, kf_toml_get(root, "runtime"), name, err);
}
