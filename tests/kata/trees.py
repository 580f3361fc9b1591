# SPDX-License-Identifier: Apache-2.0
"""Nodes as kata-deploy leaves them: releases 3.28, 3.32, 4.0 and 4.1, Go and Rust runtime, any prefix.

Laid step by step as kata-deploy of that release does it, from what is known of it (paths, keys, names of drop-ins),
not copied from it: artifacts, the directory of a shim, its drop-ins, containerd's configuration.
"""
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "node"))
from node_root import BIN, NodeRoot  # noqa: E402,F401

PREFIX = "/opt/kata"
SHARE = f"{PREFIX}/share/kata-containers"
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
# What Kata's Makefiles put into their configurations for QEMU.
COMMON = """[hypervisor.qemu]
path = "/opt/kata/bin/qemu-system-x86_64"
kernel = "/opt/kata/share/kata-containers/vmlinux.container"
image = "/opt/kata/share/kata-containers/kata-containers.img"
machine_type = "q35"
rootfs_type = "ext4"
rootless = false
enable_annotations = ["enable_iommu", "kernel_params", "kernel_verity_params"{rust_annotations}]
valid_hypervisor_paths = ["/opt/kata/bin/qemu-system-x86_64"]
kernel_params = "cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1"
firmware = ""
machine_accelerators = ""
{seccomp} = ""
default_vcpus = 1
default_maxvcpus = 0
default_memory = {memory}
shared_fs = "virtio-fs"
virtio_fs_extra_args = ["--thread-pool-size=1", "--announce-submounts"]
block_device_driver = "virtio-scsi"
enable_debug = false
disable_image_nvdimm = false
disable_vhost_net = false
pflashes = []
{own}{verity}
[agent.kata]
enable_debug = false
kernel_modules = []
{agent}
[runtime]
enable_debug = false
internetworking_model = "tcfilter"
disable_guest_seccomp = true
sandbox_cgroup_only = {cgroup}
experimental = []
{runtime}"""
GO = {"own": 'firmware_volume = ""\nenable_numa = false\nmsize_9p = 8192\n{old}', "agent": "dial_timeout = 45\ncdh_api_timeout = 50\n",
      "runtime": 'kubelet_root_dir = ""\ncreate_container_timeout = 60\n[factory]\nenable_template = false\n', "cgroup": "true", "rust_annotations": ""}
# A table within the hypervisor's, and a key of Go's that the Rust runtime of 3.28 does not read.
RUST = {"own": 'vm_rootfs_driver = "virtio-pmem"\nnetwork_queues = 1\n{old}[hypervisor.qemu.factory]\nenable_template = false\n',
        "agent": "dial_timeout_ms = 10\nreconnect_timeout_ms = 3000\n[agent.kata.mem_agent]\nmem_agent_enable = false\n",
        "runtime": 'name = "virt_container"\nhypervisor_name = "qemu"\nagent_name = "kata"\n', "cgroup": "false",
        "rust_annotations": ', "default_vcpus", "default_memory"'}
WARNING = "# IMPORTANT: This file is managed by kata-deploy. Do not modify it directly!\n\n"
SHIM = r"""
#include <stdio.h>
#include <string.h>
static const char line[] = LINE;
int main(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--version"))
		return 1;
	puts(line);
	return 0;
}
"""
SAYS = {False: 'kata-runtime containerd shim (Golang): id: \\"io.containerd.kata.v2\\", version: {}, commit: 0123456789ab',
        True: "Kata Containers containerd shim (Rust): id: io.containerd.kata.v2, version: {}, commit: 0123456789ab"}


@functools.cache
def shim_program(version: str, rust: bool) -> bytes:
    """A program that says of itself what Kata's shims say, and nothing else."""
    with tempfile.TemporaryDirectory(prefix="kf-shim-") as d:
        Path(f"{d}/shim.c").write_text(SHIM)
        subprocess.run(["musl-gcc", "-static", "-Os", "-s", f'-DLINE="{SAYS[rust].format(version)}"', "-o", f"{d}/shim", f"{d}/shim.c"], check=True)
        return Path(f"{d}/shim").read_bytes()


@dataclass(frozen=True)
class Layout:
    version: str
    rust: bool = False
    prefix: str = PREFIX  # INSTALLATION_PREFIX=/alt makes it /alt/opt/kata, MULTI_INSTALL_SUFFIX=x makes it /opt/kata-x

    @property
    def name(self) -> str:
        return f"{self.version} {'Rust' if self.rust else 'Go'}"

    @property
    def release(self) -> tuple[int, int]:
        major, minor = self.version.split(".")[:2]
        return int(major), int(minor)

    @property
    def landlock(self) -> bool:
        return self.release >= (3, 32)

    @property
    def share(self) -> str:
        return f"{self.prefix}/share/kata-containers"

    @property
    def shim_name(self) -> str:
        return "qemu-runtime-rs" if self.rust else "qemu"

    @property
    def shim(self) -> str:
        return f"{self.prefix}/runtime-rs/bin/containerd-shim-kata-v2" if self.rust else f"{self.prefix}/bin/containerd-shim-kata-v2"

    @property
    def original(self) -> str:
        """Where the tarball has the configuration."""
        return f"{self.prefix}/share/defaults/kata-containers{'/runtime-rs' if self.rust else ''}"

    @property
    def dir(self) -> str:
        return f"{self.original}/runtimes/{self.shim_name}"

    @property
    def config(self) -> str:
        return f"{self.dir}/configuration-{self.shim_name}.toml"

    @property
    def ours(self) -> str:
        return f"{OURS}/configuration-{self.shim_name}.toml"

    @property
    def seccomp(self) -> str:
        """The key that the runtime reads."""
        return "seccomp_sandbox" if self.rust else "seccompsandbox"

    def options(self) -> list[str]:
        """What names it to kubefence, where it is not at its usual place."""
        return [] if self.prefix == PREFIX else ["--share-dir", self.share]

    def text(self, memory: int = 2048, verity: str = "") -> str:
        """The configuration as the tarball has it."""
        of = RUST if self.rust else GO
        old = 'file_mem_backend = ""\n' if self.release < (3, 32) else ""
        # Kata's own template of the Rust runtime had Go's key then.
        seccomp = "seccompsandbox" if self.release < (3, 32) else self.seccomp
        own = of["own"].format(old=old)
        if self.rust:
            head, table = own.split("[hypervisor.qemu.factory]")
            own = head + verity + "\n[hypervisor.qemu.factory]" + table
            verity = ""
        return COMMON.format(memory=memory, seccomp=seccomp, own=own, verity=verity + "\n" if verity else "", agent=of["agent"], runtime=of["runtime"],
                             cgroup=of["cgroup"], rust_annotations=of["rust_annotations"])


LAYOUTS = [Layout(version, rust) for version in ("3.28.0", "3.32.0", "4.0.0", "4.1.0") for rust in (False, True)]

DROPIN = """
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.{name}]
runtime_type = "io.containerd.{name}.v2"
runtime_path = "{path}"
privileged_without_host_devices = true
pod_annotations = ["io.katacontainers.*"]
container_annotations = ["io.kubernetes.container.terminationMessage*"]
{snapshotter}
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.{name}.options]
ConfigPath = "{config}"
"""
PLATFORM = """
[plugins.'io.containerd.cri.v1.images'.runtime_platforms."{name}"]
snapshotter = "{snapshotter}"
"""
KATA_DEPLOY = "/etc/containerd/conf.d/kata-deploy.toml"


class KataNode(NodeRoot):
    def kata(self, command: str, *args: str, prefix=()):
        """kubefence kata COMMAND, -o json where it has that, as NodeRoot.node()."""
        import json
        cmd = [*prefix, BIN / "kubefence", "kata", command, "--host-root", self.dir]
        cmd += ["-o", "json"] if command != "config" else []
        cmd += ["--no-restart"] if command in ("install", "uninstall") else []
        p = subprocess.run(list(map(str, [*cmd, *args])), capture_output=True, text=True, timeout=120)
        try:
            return p.returncode, json.loads(p.stdout), p.stderr
        except ValueError:
            return p.returncode, {"text": p.stdout}, p.stderr

    def link(self, path: str, to: str) -> None:
        p = self.path(path)
        p.parent.mkdir(parents=True, exist_ok=True)
        p.unlink(missing_ok=True)
        p.symlink_to(to)

    def deploy(self, layout: Layout, memory: int = 2048, dropins=None, verity: str = "", image: bytes | None = None) -> None:
        """What kata-deploy does below its prefix.  It removes nothing of an earlier release."""
        self._artifacts(layout, memory, verity, image)
        self._shim_directory(layout)
        for name, body in {**self._generated(layout), **(dropins if dropins is not None else DROPINS)}.items():
            self.write(f"{layout.dir}/config.d/{name}", body.replace("seccompsandbox", layout.seccomp))
        # What it generates no longer, and a file of the user's that is gone from the values.
        for name in set(os.listdir(self.path(f"{layout.dir}/config.d"))) - set(dropins if dropins is not None else DROPINS) - set(self._generated(layout)):
            self.path(f"{layout.dir}/config.d/{name}").unlink()

    def _artifacts(self, layout: Layout, memory: int, verity: str, image: bytes | None) -> None:
        """Before 3.32 one tarball with VERSION and versions.yaml, then one for each component, from 4.0 on with versions.yaml."""
        kernel = "6.18.35-190" if layout.landlock else "6.18.15-181"
        on = layout.landlock
        if layout.release < (3, 32):
            self.write(f"{layout.prefix}/VERSION", f"{layout.version}\n")
        if layout.release < (3, 32) or layout.release >= (4, 0):
            self.write(f"{layout.prefix}/versions.yaml", f'---\nassets:\n  kernel:\n    version: "v{kernel.split("-")[0]}"\n')
        self.write(f"{layout.share}/vmlinux-{kernel}", b"\x7fELF" + layout.version.encode() * 2000)
        self.link(f"{layout.share}/vmlinux.container", f"vmlinux-{kernel}")
        self.write(f"{layout.share}/config-{kernel}", KCONFIG.format(
            landlock="CONFIG_SECURITY_LANDLOCK=y" if on else "# CONFIG_SECURITY_LANDLOCK is not set", lsm="landlock,lockdown,yama,bpf" if on else "lockdown,yama,bpf"))
        self.write(f"{layout.share}/kata-ubuntu-noble.image", b"an image" if image is None else image)
        self.link(f"{layout.share}/kata-containers.img", "kata-ubuntu-noble.image")
        self.write(layout.shim, shim_program(layout.version, layout.rust), 0o755)
        path = self.path(f"{layout.original}/configuration-{layout.shim_name}.toml")
        path.unlink(missing_ok=True)  # a link of an earlier one's
        self.write(f"{layout.original}/configuration-{layout.shim_name}.toml", layout.text(memory, verity))

    def _shim_directory(self, layout: Layout) -> None:
        """The configuration is copied; since 3.32 its original becomes a link to the copy."""
        original = f"{layout.original}/configuration-{layout.shim_name}.toml"
        self.path(f"{layout.dir}/config.d").mkdir(parents=True, exist_ok=True)
        self.write(layout.config, WARNING + self.read(original).decode())
        if layout.release >= (3, 32):
            self.link(original, f"runtimes/{layout.shim_name}/configuration-{layout.shim_name}.toml")

    def _generated(self, layout: Layout) -> dict[str, str]:
        """The drop-in for another prefix; both runtimes get it with the same keys."""
        if layout.prefix == PREFIX:
            return {}
        return {"10-installation-prefix.toml": f"""# Installation prefix adjustments
# Generated by kata-deploy

[hypervisor.qemu]
path = "{layout.prefix}/bin/qemu-system-x86_64-installation-prefix"
kernel = "{layout.share}/vmlinux.container"
image = "{layout.share}/kata-containers.img"
initrd = "{layout.share}/kata-containers-initrd.img"
firmware = "{layout.share}/firmware/"
firmware_volume = "{layout.share}/firmware/"
"""}

    def register(self, *layouts: Layout, snapshotter: str = "", suffix: str = "") -> None:
        """What kata-deploy does to containerd 2: since 3.28 the images plugin is told of a snapshotter as well."""
        text = ""
        for layout in layouts:
            name = f"kata-{layout.shim_name}{suffix}"
            text += DROPIN.format(name=name, path=layout.shim, config=layout.config, snapshotter=f'snapshotter = "{snapshotter}"\n' if snapshotter else "")
            text += PLATFORM.format(name=name, snapshotter=snapshotter) if snapshotter else ""
        self.write(KATA_DEPLOY, text)

    def remove(self, prefix: str = PREFIX) -> None:
        """kata-deploy's uninstallation."""
        shutil.rmtree(self.path(prefix))
        self.path(KATA_DEPLOY).unlink(missing_ok=True)

    def files(self) -> dict:
        """Everybody's files with their contents, and links, less locks."""
        return {str(p.relative_to(self.dir)): os.readlink(p) if p.is_symlink() else (p.read_bytes(), p.stat().st_mode)
                for p in self.dir.rglob("*") if p.is_symlink() or (p.is_file() and p.stat().st_size < 1000000 and not p.name.endswith(".lock"))}


DROPINS = {
    "20-debug.toml": '[hypervisor.qemu]\nenable_debug = true\n[runtime]\nenable_debug = true\n[agent.kata]\ndebug_console_enabled = true\nenable_debug = true\n',
    "30-kernel-params.toml": '[hypervisor.qemu]\nkernel_params = "agent.https_proxy=http://proxy:3128"\n',
    # Would win over a file of ours that kept its name.
    "50-user-overrides.toml": '[hypervisor.qemu]\ndefault_memory = 4096\nenable_annotations = ["kernel_params"]\n'
                              'seccompsandbox = ""\n[runtime]\ndisable_guest_seccomp = true\n',
}
IMPORTS = b'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n'
