# SPDX-License-Identifier: Apache-2.0
"""images/kata-rootfs on images/kata-kernel: the guest that the recipes make boots as Kata boots it, and can sandbox."""
import fcntl
import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

import box
import kernels
from lib import qemu, tools

# Stands where Kata's agent does: Kata itself cannot be had from a registry.
AGENT = qemu.AGENT
RECIPE = Path(box.ROOT, "images/kata-rootfs/build")
KUBEFENCE = Path(box.ROOT, "out/bin/kubefence")
OFFSET = 3 << 20


def policy(where: str) -> str:
    p = subprocess.run([KUBEFENCE, "kata", "policy", "--profile", "default", "--profile", "strict"], capture_output=True, text=True, check=True)
    Path(f"{where}/policy.rego").write_text(p.stdout)
    return f"{where}/policy.rego"


def base(where: str) -> Path:
    """The image as the recipe makes it, once; what is injected is renewed by the test."""
    key = hashlib.sha256(RECIPE.read_bytes() + AGENT.encode()).hexdigest()[:12]
    out = tools.cache() / f"kata-rootfs-{key}.image"
    with open(tools.cache() / ".kata-rootfs.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.exists():
            print("# building a guest image from Debian packages", flush=True)
            Path(f"{where}/agent").write_text(AGENT)
            subprocess.run([RECIPE, "-a", f"{where}/agent", "-o", f"{out}.new"], check=True, stdout=subprocess.DEVNULL)
            Path(f"{out}.new").rename(out)
    return out


def boots(t, where: str) -> None:
    image = f"{where}/image"
    p = subprocess.run([KUBEFENCE, "kata", "inject", "--image", base(where), "--out", image, "--policy", policy(where)], capture_output=True, text=True)
    if not t.ok(p.returncode == 0, "an agent policy is put into the image of the recipe", p.stderr):
        return
    t.equal(subprocess.run(["e2fsck", "-fn", f"{image}?offset={OFFSET}"], capture_output=True).returncode, 0, "... e2fsck finds nothing")
    kernel = kernels.kata_kernel()
    # As Kata does: root on the first partition, read-only, its own target.
    append = "root=/dev/vda1 ro rootfstype=ext4 systemd.unit=kata-containers.target systemd.show_status=no quiet"
    with qemu.Machine(f"{kernel}/vmlinux", disks=(image,), append=append, machine="q35", memory=1024, cpus=2) as m:
        print(f"# the guest's agent answers after {m.boot_seconds:.1f} s", flush=True)
        t.equal(m.check("cat /proc/1/comm; systemctl is-active kata-containers.target kata-agent").split(), ["systemd", "active", "active"],
                "the kernel boots the image, systemd starts the agent")
        for path, source in (("/opt/nono-nri/nono", Path(box.ROOT, "out/bin/nono")), ("/etc/kata-opa/default-policy.rego", Path(f"{where}/policy.rego"))):
            want = hashlib.sha256(source.read_bytes()).hexdigest()
            t.equal(m.check(f"sha256sum {path}").split()[0], want, f"{path} is there")
        t.ok(m.run("/opt/nono-nri/nono setup --check-only").stdout.startswith("Landlock ABI 6\n"), "Landlock is on in the guest")
        plain, wrapped = (m.run(f"{wrap} sh -c 'grep -E \"^(NoNewPrivs|Seccomp):\" /proc/self/status'")
                          for wrap in ("", "/opt/nono-nri/nono wrap --profile strict --"))
        t.ok(re.search(r"NoNewPrivs:\s0\nSeccomp:\s0", plain.stdout), "control: without the launcher nothing is sandboxed", plain.stdout)
        t.ok(re.search(r"NoNewPrivs:\s1\nSeccomp:\s2", wrapped.stdout), "the launcher sandboxes with the profiles beside it", wrapped.stdout)
        p = m.run("/opt/nono-nri/nono wrap --profile nosuch -- true")
        t.ok(p.returncode == 1 and "not installed" in p.stdout, "a profile that was not injected starts nothing", p.stdout)
        send = "bash -c ': >/dev/udp/127.0.0.1/9'"
        p = m.run(f"/opt/nono-nri/nono wrap --profile strict -- {send}")
        t.ok(p.returncode and "Permission denied" in p.stdout and m.run(send).returncode == 0, "strict refuses what the control may: the network", p.stdout)


def run(t, mode: str) -> None:
    if mode != "all":
        return
    with tempfile.TemporaryDirectory(prefix="kf-rootfs-") as where:
        t.case("rootfs", boots, t, where)
