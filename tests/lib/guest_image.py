# SPDX-License-Identifier: Apache-2.0
"""Images of a guest's root file system, laid out as Kata's own: made small for tests, and spoiled in one way each.

    image = guest_image.skeleton("/tmp/x")              # passes every check, boots nothing
    guest_image.spoil(image, "without journal")         # cannot be booted by Kata any more

The header and the tables are written here a second time, beside images/kata-rootfs/build.
"""
import os
import struct
import subprocess
import tempfile
from pathlib import Path

MIB = 1 << 20
DATA, FIRST = 2 * MIB, 3 * MIB
HEADER = 4096
TARGET = "[Unit]\nRequires=basic.target\nRequires=tmp.mount\nRequires=kata-agent.service\n"


def fletcher(data: bytes) -> bytes:
    low = high = 0
    for (word,) in struct.iter_unpack("<I", data):
        low = (low + word) & 0xffffffff
        high = (high + low) & 0xffffffff
    return struct.pack("<II", low, high)


def dax_header(data: int = DATA, mode: int = 1, align: int = 2 * MIB, pad: int = 0) -> bytes:
    """Linux' struct nd_pfn_sb."""
    sb = struct.pack("<16s16x16xIHHQQIIII4000x", b"NVDIMM_PFN_INFO", 0, 0, 2, data, 0, mode, pad, 0, align)
    return sb + fletcher(sb + bytes(8))


def table(first: int, size: int) -> bytes:
    """An MBR with one partition; offsets are bytes."""
    entry = struct.pack("<B3xB3xII", 0x80, 0x83, first // 512, size // 512)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def patch(path, at: int, data: bytes) -> None:
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


def tree(where: str) -> str:
    """What the checks look for."""
    files = {"usr/lib/systemd/systemd": b"\x7fELF", "usr/bin/kata-agent": b"\x7fELF", "usr/lib/systemd/system/kata-agent.service": b"[Service]\n",
             "usr/lib/systemd/system/kata-containers.target": TARGET.encode(), "etc/machine-id": b"", "etc/resolv.conf": b"",
             "etc/kata-opa/allow-all.rego": b"package agent_policy\n", "usr/lib/systemd/system/tmp.mount": b"[Mount]\nWhat=tmpfs\nWhere=/tmp\nType=tmpfs\n"}
    for name, data in files.items():
        path = Path(where, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name in ("tmp", "usr/sbin", "opt", "run"):
        os.makedirs(f"{where}/{name}", exist_ok=True)
    for name, to in (("lib", "usr/lib"), ("sbin", "usr/sbin"), ("usr/sbin/init", "../lib/systemd/systemd"),
                     ("etc/kata-opa/default-policy.rego", "allow-all.rego")):
        os.symlink(to, f"{where}/{name}")
    return where


def skeleton(path, *options: str, size: int = 12 * MIB, change=None) -> str:
    """An image with the ext4 @options of mke2fs; change(TREE) changes what is in it."""
    path = str(path)
    with tempfile.TemporaryDirectory(prefix="kf-guest-") as where:
        tree(where)
        if change:
            change(where)
        with open(path, "wb") as f:
            f.truncate(size)
        fs = size - FIRST
        block = () if "-b" in options else ("-b", "4096")
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", *block, *options, "-E", f"offset={FIRST}", "-d", where, path, f"{fs // 1024}k"],
                       check=True, capture_output=True)
    patch(path, 0, table(FIRST, fs))
    patch(path, HEADER, dax_header())
    patch(path, DATA, table(FIRST - DATA, fs))
    return path


def debugfs(path: str, *commands: str) -> None:
    subprocess.run(["debugfs", "-w", "-f", "-", f"{path}?offset={FIRST}"], input="\n".join(commands) + "\n", text=True, check=True, capture_output=True)


def _without_journal(path: str) -> None:
    # tune2fs knows no offset.
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(path)) as part:
        for a, b, skip, seek in ((path, part.name, FIRST, 0), (part.name, path, 0, FIRST)):
            if seek:
                subprocess.run(["tune2fs", "-O", "^has_journal", part.name], check=True, capture_output=True)
            subprocess.run(["dd", "status=none", "bs=1M", "conv=notrunc,sparse" if not seek else "conv=notrunc", f"if={a}", f"of={b}",
                            f"skip={skip // MIB}", f"seek={seek // MIB}"], check=True)


def _without_tmp(path: str) -> None:
    """Nothing asks for tmp.mount, and it is not there."""
    target = "/usr/lib/systemd/system/kata-containers.target"
    with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path)) as f:
        f.write(TARGET.replace("Requires=tmp.mount\n", "") + "After=basic.target\nAllowIsolate=yes\n")
        f.flush()
        debugfs(path, "rm /usr/lib/systemd/system/tmp.mount", f"rm {target}", f"write {f.name} {target}")


# How an image is made one that Kata cannot boot: by what, and in which way of booting it shows (None: in both).
SPOILS = {
    "without DAX header": ("nvdimm", lambda p: patch(p, HEADER, bytes(4096))),
    "without journal": (None, _without_journal),
    "with a read-only /tmp": (None, _without_tmp),
}


def spoil(path: str, what: str) -> str:
    SPOILS[what][1](path)
    return path
