# SPDX-License-Identifier: Apache-2.0
"""Kata's two runtimes as they read their configuration, once more in Python: the judge of what 'kubefence kata' writes.

Go decodes file after file into its structures: in a drop-in each key of [hypervisor.X] and [agent.X] replaces one value,
and one that its structure does not have is an error.  Rust merges the files as trees and decodes the result; what its
structures do not have it ignores, but for [agent.X].
"""
import json
import subprocess
import tomllib
from pathlib import Path

import templates
from lib import tools


class Refused(Exception):
    """The runtime starts no machine."""


# Of [hypervisor.qemu] and [runtime] what becomes a machine; the rest of the structures does not matter here.
FIELDS = {
    False: {"hypervisor": {"kernel": "", "image": "", "initrd": "", "rootfs_type": "", "kernel_verity_params": "", "kernel_params": "", "seccompsandbox": "",
                           "machine_accelerators": "", "enable_annotations": [], "disable_image_nvdimm": False, "default_memory": 0, "machine_type": ""},
            "runtime": {"disable_guest_seccomp": False}},
    True: {"hypervisor": {"kernel": "", "image": "", "initrd": "", "rootfs_type": "", "kernel_verity_params": "", "kernel_params": "", "seccomp_sandbox": "",
                          "machine_accelerators": "", "enable_annotations": [], "vm_rootfs_driver": "virtio-blk-pci", "default_memory": 0, "machine_type": ""},
           "runtime": {"disable_guest_seccomp": False}},
}


def merge(base: dict, over: dict) -> dict:
    out = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merge(out[key], value)
        else:
            out[key] = value
    return out


def plain(value):
    """Without empty tables, which say nothing."""
    if not isinstance(value, dict):
        return value
    out = {k: plain(v) for k, v in value.items()}
    return {k: v for k, v in out.items() if v != {}}


class Config:
    def __init__(self, values: dict, rust: bool):
        self.values, self.rust = values, rust
        self.fields = {}
        for table, at in (("hypervisor", values.get("hypervisor", {}).get("qemu", {})), ("runtime", values.get("runtime", {}))):
            for key, default in FIELDS[rust][table].items():
                self.fields[key] = at.get(key, default)

        if self.image and self.initrd:
            raise Refused("both an image and an initrd")

    def __getattr__(self, name: str):
        return self.fields[name]

    def qemu(self, option: str) -> list[str]:
        """The values of @option on QEMU's command line."""
        sandbox = self.fields["seccomp_sandbox" if self.rust else "seccompsandbox"]
        machine = ",".join(filter(None, [self.machine_type, "accel=kvm", self.machine_accelerators]))
        return {"-sandbox": [sandbox] if sandbox else [], "-machine": [machine], "-kernel": [self.kernel]}[option]


def decoded(config: Path, release: str) -> dict:
    """What the library of the Go runtime makes of the files, decoded as that does it: the fields of Config, by their names."""
    fields = FIELDS[False]
    keys = sorted({*templates.keys(release, False)["hypervisor.qemu"], *fields["hypervisor"]})
    p = subprocess.run([str(tools.program("kata-config")), str(config), *keys], capture_output=True, text=True, timeout=60)
    if p.returncode:
        raise Refused(p.stderr)
    got = json.loads(p.stdout)
    return {key: default if got[table].get(key) is None else got[table][key] for table in fields for key, default in fields[table].items()}


def load(config: Path, rust: bool) -> Config:
    config = config.resolve()
    out = tomllib.loads(config.read_text())
    dropins = config.parent / "config.d"
    for f in sorted(dropins.iterdir(), key=lambda p: p.name.encode()) if dropins.is_dir() else []:
        if rust and (f.is_symlink() or not f.is_file()):
            raise Refused(f"{f}: no regular file")
        out = merge(out, tomllib.loads(f.read_text()))
    return Config(out, rust)
