# SPDX-License-Identifier: Apache-2.0
"""The keys of the configurations for QEMU that Kata lays itself, by release and runtime: what 'kubefence kata' must know of each, from
another source than its own table, which is made from the runtimes' definitions."""

GO = {
    "hypervisor.qemu": """block_device_aio block_device_cache_direct block_device_cache_noflush block_device_cache_set block_device_driver
        block_device_logical_sector_size block_device_physical_sector_size cold_plug_vfio cpu_features default_bridges default_maxmemory
        default_maxvcpus default_memory default_vcpus disable_block_device_use disable_guest_selinux disable_image_nvdimm disable_nesting_checks
        disable_selinux disable_vhost_net enable_annotations enable_debug enable_guest_swap enable_hugepages enable_iommu enable_iommu_platform
        enable_iothreads enable_mem_prealloc enable_numa enable_vhost_user_store enable_virtio_mem entropy_source extra_monitor_socket firmware
        firmware_volume guest_hook_path guest_memory_dump_paging guest_memory_dump_path hot_plug_vfio image indep_iothreads kernel kernel_params
        machine_accelerators machine_type memory_offset memory_slots msize_9p numa_mapping path pcie_root_port pflashes
        reclaim_guest_freed_memory rootfs_type rootless rx_rate_limiter_max_rate seccompsandbox shared_fs tx_rate_limiter_max_rate
        use_legacy_serial valid_entropy_sources valid_hypervisor_paths valid_vhost_user_store_paths valid_virtio_fs_daemon_paths
        vhost_user_reconnect_timeout_sec vhost_user_store_path virtio_fs_cache virtio_fs_cache_size virtio_fs_daemon virtio_fs_extra_args
        virtio_fs_queue_size""",
    "factory": "enable_template template_path vm_cache_endpoint vm_cache_number",
    "agent.kata": "cdh_api_timeout debug_console_enabled dial_timeout enable_debug enable_tracing kernel_modules",
    "runtime": """create_container_timeout dan_conf disable_guest_empty_dir disable_guest_seccomp disable_new_netns emptydir_mode enable_debug
        enable_pprof enable_tracing enable_vcpus_pinning experimental guest_selinux_label internetworking_model jaeger_endpoint jaeger_password
        jaeger_user kubelet_root_dir pod_resource_api_sock sandbox_bind_mounts sandbox_cgroup_only static_sandbox_resource_mgmt vfio_mode""",
}
RUST = {
    "hypervisor.qemu": """block_device_aio block_device_cache_direct block_device_cache_noflush block_device_cache_set block_device_driver
        block_device_logical_sector_size block_device_physical_sector_size cold_plug_vfio cpu_features default_bridges default_maxmemory
        default_maxvcpus default_memory default_vcpus disable_block_device_use disable_guest_selinux disable_image_nvdimm disable_nesting_checks
        disable_selinux disable_vhost_net enable_annotations enable_debug enable_hugepages enable_iommu enable_iommu_platform enable_iothreads
        enable_mem_prealloc enable_vhost_user_store enable_virtio_mem entropy_source extra_monitor_socket firmware guest_hook_path
        guest_memory_dump_paging guest_memory_dump_path image indep_iothreads kernel kernel_params machine_accelerators machine_type
        memory_offset memory_slots network_queues num_queues overhead_memory overhead_vcpus path pcie_root_port pcie_switch_port pflashes
        queue_size reclaim_guest_freed_memory rootfs_type rootless rx_rate_limiter_max_rate seccomp_sandbox shared_fs
        tdx_quote_generation_service_socket_port tx_rate_limiter_max_rate valid_entropy_sources valid_hypervisor_paths
        valid_vhost_user_store_paths valid_virtio_fs_daemon_paths vhost_user_store_path virtio_fs_cache virtio_fs_cache_size virtio_fs_daemon
        virtio_fs_extra_args virtio_fs_queue_size vm_rootfs_driver""",
    "agent.kata": "create_container_timeout debug_console_enabled dial_timeout_ms enable_debug enable_tracing kernel_modules reconnect_timeout_ms",
    "runtime": """agent_name dan_conf disable_guest_seccomp disable_new_netns emptydir_mode enable_debug enable_pprof enable_tracing
        enable_vcpus_pinning experimental hypervisor_name internetworking_model jaeger_endpoint jaeger_password jaeger_user name
        sandbox_bind_mounts sandbox_cgroup_only static_sandbox_resource_mgmt vfio_mode""",
}
SECTORS = "block_device_logical_sector_size block_device_physical_sector_size"
# (Release, Rust?): what is not there yet, and what is there besides, both of [hypervisor.qemu] and [runtime].
DIFFERENT = {
    ("3.28", False): (SECTORS, "hypervisor.qemu:file_mem_backend hypervisor.qemu:valid_file_mem_backends"),
    ("3.28", True): (f"{SECTORS} indep_iothreads overhead_memory overhead_vcpus seccomp_sandbox emptydir_mode enable_vcpus_pinning cold_plug_vfio extra_monitor_socket",
                     "hypervisor.qemu:file_mem_backend hypervisor.qemu:valid_file_mem_backends hypervisor.qemu:hotplug_vfio_on_root_bus hypervisor.qemu:msize_9p "
                     "runtime:disable_guest_empty_dir"),
    ("3.32", True): ("overhead_memory overhead_vcpus", "hypervisor.qemu:hotplug_vfio_on_root_bus runtime:disable_guest_empty_dir"),
}
# What Kata's own template of the Rust runtime had in 3.28, and the runtime did not read.
UNREAD = {("3.28", True): ("firmware_volume", "hot_plug_vfio", "seccompsandbox", "use_legacy_serial", "vhost_user_reconnect_timeout_sec")}


def keys(release: str, rust: bool) -> dict[str, list[str]]:
    """Table -> keys, less those that the runtime does not read."""
    absent, more = DIFFERENT.get((release, rust), ("", ""))
    out = {table: [k for k in names.split() if k not in absent.split()] for table, names in (RUST if rust else GO).items()}
    for word in more.split():
        table, key = word.split(":")
        out[table].append(key)
    return out


def dropin(tables: dict[str, list[str]]) -> str:
    return "".join(f"[{table}]\n" + "".join(f"{key} = ''\n" for key in names) for table, names in tables.items())
