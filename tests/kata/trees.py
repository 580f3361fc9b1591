# SPDX-License-Identifier: Apache-2.0
"""Nodes as kata-deploy leaves them: releases 3.28, 3.32 and 4.1, Go and Rust runtime.

Written from what is known of kata-deploy (paths, keys, names of drop-ins), not copied from it.
"""
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "node"))
from node_root import BIN, NodeRoot  # noqa: E402,F401

PREFIX = "/opt/kata"
SHARE = f"{PREFIX}/share/kata-containers"
DEFAULTS = f"{PREFIX}/share/defaults/kata-containers"
OURS = "/opt/kubefence/kata/custom-runtimes/kata-nono-qemu"
HANDLER = "kata-nono-qemu"
SECCOMP = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
KCONFIG = """#
# Linux/x86 Kernel Configuration
#
CONFIG_SECURITY=y
{landlock}
CONFIG_LSM="{lsm}"
"""

CONFIG = """# XXX: WARNING: this file is auto-generated.
[hypervisor.qemu]
path = "{prefix}/bin/qemu-system-x86_64"
kernel = "{share}/vmlinux.container"
image = "{share}/kata-containers.img"
# initrd = "{share}/kata-containers-initrd.img"
machine_type = "q35"
rootfs_type="ext4"
enable_annotations = ["enable_iommu", "virtio_fs_extra_args", "kernel_params", "default_vcpus", "default_memory"]
valid_hypervisor_paths = ["{prefix}/bin/qemu-system-x86_64"]
kernel_params = ""
machine_accelerators=""
#seccompsandbox="{seccomp}"
default_vcpus = 1
default_memory = {memory}
shared_fs = "virtio-fs"
virtio_fs_extra_args = ["--thread-pool-size=1", "--announce-submounts"]
{verity}
[agent.kata]
#enable_debug = true
kernel_modules=[]

[runtime]
internetworking_model="tcfilter"
disable_guest_seccomp=true
sandbox_cgroup_only=true
experimental=[]
"""


@dataclass
class Layout:
    version: str
    rust: bool = False
    kconfig: bool = False  # the kernel's own configuration lies beside it

    @property
    def name(self) -> str:
        return f"{self.version} {'Rust' if self.rust else 'Go'}"

    @property
    def landlock(self) -> bool:
        major, minor = map(int, self.version.split(".")[:2])
        return (major, minor) >= (3, 32)

    @property
    def shim_name(self) -> str:
        return "qemu-runtime-rs" if self.rust else "qemu"

    @property
    def shim(self) -> str:
        return f"{PREFIX}/runtime-rs/bin/containerd-shim-kata-v2" if self.rust else f"{PREFIX}/bin/containerd-shim-kata-v2"

    @property
    def dir(self) -> str:
        return f"{DEFAULTS}{'/runtime-rs' if self.rust else ''}/runtimes/{self.shim_name}"

    @property
    def config(self) -> str:
        return f"{self.dir}/configuration-{self.shim_name}.toml"

    @property
    def ours(self) -> str:
        return f"{OURS}/configuration-{self.shim_name}.toml"


LAYOUTS = [
    Layout("3.28.0", kconfig=True),
    Layout("3.28.0", rust=True),
    Layout("3.32.0", kconfig=True),
    Layout("3.32.0", rust=True),
    Layout("4.1.0", kconfig=True),
    Layout("4.1.0", rust=True, kconfig=True),
]

DROPIN = """
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata-{shim}]
runtime_type = "io.containerd.kata-{shim}.v2"
runtime_path = "{path}"
privileged_without_host_devices = true
pod_annotations = ["io.katacontainers.*"]
snapshotter = "{snapshotter}"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata-{shim}.options]
ConfigPath = "{config}"
"""


class KataNode(NodeRoot):
    def kata(self, command: str, *args: str, prefix=()):
        """kubefence kata COMMAND, -o json where it has that, as NodeRoot.node()."""
        import json
        import subprocess
        cmd = [*prefix, BIN / "kubefence", "kata", command, "--host-root", self.dir]
        cmd += ["-o", "json"] if command != "config" else []
        cmd += ["--no-restart"] if command in ("install", "uninstall") else []
        p = subprocess.run(list(map(str, [*cmd, *args])), capture_output=True, text=True, timeout=120)
        try:
            return p.returncode, json.loads(p.stdout), p.stderr
        except ValueError:
            return p.returncode, {"text": p.stdout}, p.stderr

    def deploy(self, layout: Layout, memory: int = 2048, dropins=None, verity: str = "") -> None:
        """What kata-deploy does to /opt/kata."""
        kernel = "6.18.35-190" if layout.landlock else "6.12.47-171"
        self.write(f"{PREFIX}/VERSION", f"{layout.version}\n")
        self.write(f"{SHARE}/vmlinux-{kernel}", b"\x7fELF" + layout.version.encode() * 2000)
        link = self.path(f"{SHARE}/vmlinux.container")
        link.unlink(missing_ok=True)
        link.symlink_to(f"vmlinux-{kernel}")
        if layout.kconfig:
            on = layout.landlock
            self.write(f"{SHARE}/config-{kernel}", KCONFIG.format(
                landlock="CONFIG_SECURITY_LANDLOCK=y" if on else "# CONFIG_SECURITY_LANDLOCK is not set",
                lsm="landlock,lockdown,yama,bpf" if on else "lockdown,yama,bpf"))
        self.write(layout.shim, f"shim {layout.version}", 0o755)
        text = CONFIG.format(prefix=PREFIX, share=SHARE, memory=memory, seccomp=SECCOMP, verity=verity)
        self.write(layout.config, "# Do not edit: changes belong into config.d.\n" + text)
        shutil.rmtree(self.path(f"{layout.dir}/config.d"), ignore_errors=True)
        for name, body in (dropins if dropins is not None else DROPINS).items():
            self.write(f"{layout.dir}/config.d/{name}", body)

    def register(self, layout: Layout, snapshotter: str = "overlayfs") -> None:
        """What kata-deploy does to containerd 2."""
        self.write("/etc/containerd/conf.d/kata-deploy.toml", DROPIN.format(
            shim=layout.shim_name, path=layout.shim, config=layout.config, snapshotter=snapshotter))

    def remove(self) -> None:
        """kata-deploy's uninstallation."""
        shutil.rmtree(self.path(PREFIX))
        self.path("/etc/containerd/conf.d/kata-deploy.toml").unlink(missing_ok=True)

    def files(self) -> dict:
        """Everybody's files with their contents, less locks."""
        return {str(p.relative_to(self.dir)): (p.read_bytes(), p.stat().st_mode)
                for p in self.dir.rglob("*") if p.is_file() and not p.is_symlink()
                and p.stat().st_size < 1000000 and not p.name.endswith(".lock")}


DROPINS = {
    "20-debug.toml": '[hypervisor.qemu]\nenable_debug = true\n[agent.kata]\nenable_debug = true\n',
    "30-kernel-params.toml": '[hypervisor.qemu]\nkernel_params = "agent.https_proxy=http://proxy:3128"\n',
    # Would win over a file of ours that kept its name.
    "50-user-overrides.toml": '[hypervisor.qemu]\ndefault_memory = 4096\nenable_annotations = ["kernel_params"]\n'
                              'seccompsandbox = ""\n[runtime]\ndisable_guest_seccomp = true\n',
}
IMPORTS = b'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n'
