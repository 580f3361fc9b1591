# SPDX-License-Identifier: Apache-2.0
"""The launcher of arm64 on Debian 12's arm64 kernel (Landlock ABI 2), in QEMU: what the default profile promises holds there,
beside the same commands without it."""
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lib import node, qemu, tools

PACKAGES = "linux-image-cloud-arm64,busybox-static"
# No agent here: the machine has one serial line. It does this, and ends.
SCRIPT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin HOME=/home/user
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
cd /work
echo "=== machine"; uname -m; cat /sys/kernel/security/lsm 2>/dev/null
echo "=== abi"; /nono/nono setup --check-only
echo "=== plain"; sh /probe.sh
rm -f /etc/kf-probe /usr/kf-probe /bin/kf-probe /kf-probe
echo "=== sandboxed"; /nono/nono wrap --profile default -- sh /probe.sh
echo "=== why"; /nono/nono why --profile default --path /etc/x --op write
echo "=== closed"; /nono/nono wrap --profile no-such -- echo started; echo "status $?"
echo "=== end"
poweroff -f
"""
BOOT = 400  # emulated, beside whatever else runs


def debian() -> Path:
    """Debian's arm64 kernel and busybox, unpacked into the cache."""
    out = tools.cache() / "debian-12-arm64-kernel"
    tools.cache().mkdir(parents=True, exist_ok=True)
    with open(tools.cache() / ".debian-12-arm64-kernel.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.is_dir():
            fresh = Path(f"{out}.new")
            shutil.rmtree(fresh, ignore_errors=True)
            subprocess.run(["mmdebstrap", "--quiet", "--variant=extract", "--mode=root", "--architectures=arm64", f"--include={PACKAGES}", "bookworm", fresh],
                           check=True, stdin=subprocess.DEVNULL)
            kept = Path(f"{out}.kept")
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir()
            (kernel,) = (fresh / "boot").glob("vmlinuz-*")
            shutil.copy(kernel, kept / "vmlinuz")
            shutil.copy(fresh / "bin/busybox", kept / "busybox")
            shutil.rmtree(fresh)
            kept.rename(out)
    return out


def root(tmp: Path, busybox: Path, launcher: Path) -> Path:
    top = tmp / "root"
    for d in ("bin", "nono", "etc", "usr/bin", "usr/lib", "work", "tmp", "home/user", "var/run/secrets/kubernetes.io/serviceaccount", "root"):
        (top / d).mkdir(parents=True)
    shutil.copy(busybox, top / "bin/busybox")
    shutil.copy(launcher, top / "nono/nono")
    (top / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (top / "var/run/secrets/kubernetes.io/serviceaccount/token").write_text("secret\n")
    (top / "probe.sh").write_text(node.PROBE)
    return top


def sections(console: str) -> dict[str, str]:
    parts = re.split(r"^=== (\w+)\r?\n", console, flags=re.MULTILINE)
    return {name: text.replace("\r", "") for name, text in zip(parts[1::2], parts[2::2])}


def run(t, mode: str) -> None:
    if mode != "all":
        return
    if os.uname().machine == "aarch64":
        t.skip("arm64 in QEMU", "this machine is one")
        return
    programs = node.ROOT / "out/cross-arm64"
    subprocess.run([node.ROOT / "images/cross", "arm64", programs], check=True, capture_output=True)
    debian_arm64 = debian()
    with tempfile.TemporaryDirectory(prefix="kf-arm64-") as name:
        tmp = Path(name)
        image = qemu.initramfs(str(tmp / "initrd"), str(root(tmp, debian_arm64 / "busybox", programs / "bin/nono")), script=SCRIPT)
        p = subprocess.run(["qemu-system-aarch64", "-machine", "virt,accel=tcg", "-cpu", "max,pauth-impdef=on", "-smp", "1", "-m", "512", "-nodefaults",
                            "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", debian_arm64 / "vmlinuz", "-initrd", image,
                            "-append", "console=ttyAMA0 quiet panic=-1"], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                           timeout=BOOT)
    said = sections(p.stdout)
    if not t.ok("end" in said, "Debian's arm64 kernel boots, and the machine does what it is told", p.stdout[-3000:] + p.stderr[-1000:]):
        return
    t.ok("aarch64" in said["machine"], "control: it is an arm64 machine", said["machine"])
    t.ok(re.search(r"ABI 2\b", said["abi"]), "Landlock ABI 2 is there, and the launcher says so", said["abi"])
    plain, boxed = node.parse(said["plain"]), node.parse(said["sandboxed"])
    t.ok(plain and all(plain[k] for k in node.MAY - {"no_new_privs"}) and all(plain[k] for k in node.MAY_NOT), "control: without the sandbox all of it can be done",
         said["plain"])
    t.ok(boxed and node.sandboxed(boxed), "under the default profile what it promises holds, all of it", said["sandboxed"])
    t.ok("denied" in said["why"], "nono why says which rule decides", said["why"])
    t.ok("started" not in said["closed"].replace("started;", "") and "status 1" in said["closed"], "a profile that is not there ends closed", said["closed"])
