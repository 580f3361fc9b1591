# SPDX-License-Identifier: Apache-2.0
"""Images that Kata can and cannot boot: what 'kubefence kata inject' says of each, by the way of booting.  That it is right is shown by
tests/qemu, where a kernel boots them."""
import os
import random
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from lib import guest_image
from lib.guest_image import DATA, FIRST, HEADER, MIB

BIN = Path(os.environ.get("KUBEFENCE_BIN") or Path(__file__).resolve().parents[2] / "out/bin")
WAYS = ("nvdimm", "virtio-blk")
UNITS = "usr/lib/systemd/system"


def put(where: str, path: str, text: str) -> None:
    Path(where, path).parent.mkdir(parents=True, exist_ok=True)
    Path(where, path).write_text(text)


def target(where: str, text: str) -> None:
    put(where, f"{UNITS}/kata-containers.target", text)


def link(where: str, path: str, to: str) -> None:
    Path(where, path).parent.mkdir(parents=True, exist_ok=True)
    Path(where, path).unlink(missing_ok=True)
    os.symlink(to, f"{where}/{path}")


NONE = "[Unit]\nRequires=basic.target\n"
# What is changed in the tree, the options of mke2fs, what is written where; and why it is refused, by way ("" = it is not).
TREES = {
    "as it is": (None, "", ""),
    "tmp.mount wanted by the target's own directory": (lambda w: (target(w, NONE), link(w, f"{UNITS}/kata-containers.target.wants/tmp.mount", "../tmp.mount")), "", ""),
    "tmp.mount wanted by local-fs.target, from /etc": (lambda w: (target(w, NONE), link(w, "etc/systemd/system/local-fs.target.wants/tmp.mount", f"/{UNITS}/tmp.mount")), "", ""),
    "tmp.mount wanted by basic.target": (lambda w: (target(w, NONE), put(w, f"{UNITS}/basic.target", "[Unit]\nWants=tmp.mount\n")), "", ""),
    "tmp.mount among others in one line": (lambda w: target(w, "[Unit]\nRequires=basic.target tmp.mount kata-agent.service\n"), "", ""),
    "/tmp in fstab": (lambda w: (target(w, NONE), os.unlink(f"{w}/{UNITS}/tmp.mount"), put(w, "etc/fstab", "# none\ntmpfs\t/tmp tmpfs mode=1777 0 0\n")), "", ""),
    "systemd in /lib of its own": (lambda w: (os.unlink(f"{w}/lib"), shutil.move(f"{w}/usr/lib", f"{w}/lib"), link(w, "usr/sbin/init", "/lib/systemd/systemd")), "", ""),
    "tmp.mount that nobody asks for": (lambda w: target(w, NONE), "/tmp is read-only", "/tmp is read-only"),
    "tmp.mount only in a comment": (lambda w: target(w, NONE + "# Requires=tmp.mount\nAfter=tmp.mount\n"), "/tmp is read-only", "/tmp is read-only"),
    "tmp.mount masked": (lambda w: link(w, "etc/systemd/system/tmp.mount", "/dev/null"), "/tmp is read-only", "/tmp is read-only"),
    "tmp.mount that is missing": (lambda w: os.unlink(f"{w}/{UNITS}/tmp.mount"), "/tmp is read-only", "/tmp is read-only"),
    "/tmp only in a comment of fstab": (lambda w: (target(w, NONE), put(w, "etc/fstab", "#tmpfs /tmp tmpfs\n")), "/tmp is read-only", "/tmp is read-only"),
    "no /tmp": (lambda w: os.rmdir(f"{w}/tmp"), "/tmp is read-only", "/tmp is read-only"),
    "another first process": (lambda w: link(w, "usr/sbin/init", "../bin/kata-agent"), "not systemd", "not systemd"),
    "no first process": (lambda w: os.unlink(f"{w}/usr/sbin/init"), "not systemd", "not systemd"),
    "a loop of links": (lambda w: link(w, "usr/sbin/init", "init"), "not systemd", "not systemd"),
    "no target": (lambda w: os.unlink(f"{w}/{UNITS}/kata-containers.target"), "kata-containers.target", "kata-containers.target"),
    "no agent's unit": (lambda w: os.unlink(f"{w}/{UNITS}/kata-agent.service"), "kata-agent.service", "kata-agent.service"),
    "the agent's unit masked": (lambda w: link(w, "etc/systemd/system/kata-agent.service", "/dev/null"), "kata-agent.service", "kata-agent.service"),
}
OPTIONS = {
    "without journal": (("-O", "^has_journal"), "no journal", "no journal"),
    "with blocks of 1 KiB": (("-b", "1024"), "blocks of 1024 bytes", ""),
    "with inline data": (("-I", "512", "-O", "inline_data"), "inline_data", ""),
    "with features that libext2fs does not keep": (("-O", "quota"), "", ""),
}
HEADERS = {
    "no DAX header": (bytes(4096), "DAX header", ""),
    "a DAX header with a wrong sum": (guest_image.dax_header()[:-1] + b"\0", "not one that Linux accepts", ""),
    "a DAX header for a map on the device": (guest_image.dax_header(mode=2), "not one that Linux accepts", ""),
    "a DAX header with a pad": (guest_image.dax_header(pad=4096), "not one that Linux accepts", ""),
    "a DAX header without alignment": (guest_image.dax_header(align=0), "not one that Linux accepts", ""),
    "a DAX header with an odd alignment": (guest_image.dax_header(align=3 * MIB), "not one that Linux accepts", ""),
    "a DAX header whose data lies before it": (guest_image.dax_header(data=4096, align=4096), "not one that Linux accepts", ""),
    "a DAX header whose data lies behind the end": (guest_image.dax_header(data=1 << 40), "not one that Linux accepts", ""),
}


def patched(at: int, data: bytes):
    return lambda path: guest_image.patch(path, at, data)


def other_partition(path: str) -> None:
    """As an NVDIMM another ext4 than as a disk."""
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-E", f"offset={10 * MIB}", path, "1024k"], check=True, capture_output=True)
    guest_image.patch(path, DATA, guest_image.table(10 * MIB - DATA, MIB))


WRITTEN = {
    **{what: (patched(HEADER, data), nvdimm, block) for what, (data, nvdimm, block) in HEADERS.items()},
    "a length that is no multiple of 2 MiB": (lambda p: os.truncate(p, os.path.getsize(p) + MIB), "multiple of 2 MiB", ""),
    "no table of partitions": (patched(0, bytes(512)), "no ext4", "no ext4"),
    "no table behind the DAX header": (patched(DATA, bytes(512)), "no table of partitions", ""),
    "a table without partition 1": (patched(446, bytes(16) + struct.pack("<B3xB3xII", 0, 0x83, FIRST // 512, 9 * 2048)), "", "no partition 1"),
    "a partition that is something else": (patched(FIRST + 1024, bytes(1024)), "no ext4", "no ext4"),
}


def judge(t, name: str, image: str, nvdimm: str, block: str) -> None:
    """@nvdimm and @block: what the reason has in it, "" if the image is taken."""
    wrong = []
    both = nvdimm or block
    for way, reason in (("nvdimm", nvdimm), ("virtio-blk", block), ("both", both)):
        out = f"{image}.out"
        cmd = [BIN / "kubefence", "kata", "inject", "--image", image, "--out", out, "--boot", way]
        p = subprocess.run(list(map(str, cmd)), capture_output=True, text=True, timeout=60)
        # What cannot be written to is found later than what cannot be booted.
        taken = p.returncode == 0 or "not kept consistent" in p.stderr
        named = reason in p.stderr or (way == "both" and block and block in p.stderr)
        if (taken if reason else not taken) or (reason and not named) or os.path.exists(out) != (p.returncode == 0):
            wrong.append((way, p.returncode, p.stderr))
        Path(out).unlink(missing_ok=True)
    t.ok(not wrong, f"boot: {name}: " + (f"refused{'' if nvdimm and block else ' as an NVDIMM' if nvdimm else ' as a disk'}" if both else "taken"), wrong)


def noise(t, image: str, runs: int) -> None:
    """Bytes of the header and the tables at random: an answer, never a crash, and never a hang."""
    base, bad = Path(image).read_bytes(), []
    for seed in range(runs):
        rng = random.Random(seed)
        data = bytearray(base)
        for _ in range(rng.randrange(1, 8)):
            at = rng.choice((440, HEADER, HEADER + 48, HEADER + 4080, DATA + 440, FIRST + 1024)) + rng.randrange(80)
            data[at] = rng.randrange(256)
        Path(f"{image}.noisy").write_bytes(data)
        p = subprocess.run([BIN / "kubefence", "kata", "inject", "--image", f"{image}.noisy", "--out", f"{image}.out"], capture_output=True, text=True, timeout=60)
        if p.returncode not in (0, 1) or (p.returncode == 1) == os.path.exists(f"{image}.out"):
            bad.append((seed, p.returncode, p.stderr))
        Path(f"{image}.out").unlink(missing_ok=True)
    t.equal(bad, [], f"boot: {runs} images with noise in header, tables and superblock: an answer each")


def run(t, tools, everything: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="kf-boot-") as d:
        image = f"{d}/image"
        for name, (change, nvdimm, block) in TREES.items():
            judge(t, name, guest_image.skeleton(image, change=change), nvdimm, block)
        for name, (options, nvdimm, block) in OPTIONS.items():
            judge(t, name, guest_image.skeleton(image, *options), nvdimm, block)
        for name, (change, nvdimm, block) in WRITTEN.items():
            change(guest_image.skeleton(image))
            judge(t, name, image, nvdimm, block)
        other_partition(guest_image.skeleton(image))
        p = subprocess.run([BIN / "kubefence", "kata", "inject", "--image", image, "--out", f"{d}/out"], capture_output=True, text=True)
        t.ok(p.returncode == 1 and ("must name the same" in p.stderr or "both hold ext4" in p.stderr), "boot: another file system as an NVDIMM than as a disk: refused", p.stderr)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", f"{d}/bare", "8192k"], check=True, capture_output=True)
        judge(t, "a bare file system", f"{d}/bare", "DAX header", "no table of partitions")
        p = subprocess.run([BIN / "kubefence", "kata", "inject", "--image", f"{d}/bare", "--out", f"{d}/out", "--boot", "unchecked"], capture_output=True, text=True)
        t.equal(p.returncode, 0, "boot: ... taken unchecked, for a command line of one's own")
        p = subprocess.run([BIN / "kubefence", "kata", "inject", "--image", f"{d}/bare", "--out", f"{d}/out", "--boot", "usb"], capture_output=True, text=True)
        t.ok(p.returncode == 2 and "both|nvdimm|virtio-blk|unchecked" in p.stderr, "boot: another word is a mistake", p.stderr)
        noise(t, guest_image.skeleton(image), 400 if everything else 15)
