# SPDX-License-Identifier: Apache-2.0
"""images/kata-rootfs on images/kata-kernel: the guest that the recipes make boots as Kata boots it, and can sandbox."""
import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import box
import kernels
from lib import guest_image, qemu, tools

# Stands where Kata's agent does, for Kata itself cannot be had from a registry.  It writes where the agent of 4.1
# writes before anything is asked of it, and ends as that does if it cannot.
AGENT = """#!/bin/sh
set -e
echo "agent: starting"
mkdir -p /run/kata-containers/shared/containers /run/kata-containers/sandbox /var/run/sandbox-ns
echo nameserver 192.0.2.1 >/run/kata-containers/sandbox/resolv.conf
mount --bind /run/kata-containers/sandbox/resolv.conf /etc/resolv.conf
case " $(cat /proc/cmdline) " in
*" agent.log=debug "*) : >/tmp/policy.jsonl ;;
esac
cat /etc/kata-opa/default-policy.rego >/dev/null
set +e
""" + qemu.AGENT
RECIPE = Path(box.ROOT, "images/kata-rootfs/build")
KUBEFENCE = Path(box.ROOT, "out/bin/kubefence")
OFFSET = 3 << 20
# kata.qemu.seccompSandbox.
SECCOMP = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
# What the guest's kernel, or the agent, says of an image that is spoiled.
SAYS = {
    "without DAX header": "DAX unsupported by block device",
    "without journal": "can't mount with data=",
    "with a read-only /tmp": "Read-only file system",
}


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


def inject(image, out: str, where: str, *args: str) -> subprocess.CompletedProcess:
    cmd = [KUBEFENCE, "kata", "inject", "--image", image, "--out", out, "--policy", f"{where}/policy.rego", *args]
    return subprocess.run(list(map(str, cmd)), capture_output=True, text=True)


def machine(image: str, root: str, debug: bool, runtime: str = "go", accelerators: str = "", **more) -> qemu.Machine:
    """As Kata's @runtime starts one with @image."""
    kernel = kernels.kata_kernel()
    how = {"nvdimm": image} if root == "nvdimm" else {"disks": (image,)}
    return qemu.Machine(f"{kernel}/vmlinux", command_line=qemu.kata_command_line(root, debug, runtime), machine=f"q35{accelerators}", memory=1024, cpus=2,
                        **how, **more)


def boots(t, image: str, root: str, debug: bool, runtime: str = "go") -> None:
    """One way of Kata's to boot @image."""
    name = f"{runtime}, {root}{', debug' if debug else ''}"
    with machine(image, root, debug, runtime) as m:
        print(f"# {name}: the guest's agent answers after {m.boot_seconds:.1f} s", flush=True)
        t.equal(m.check("cat /proc/cmdline").strip(), qemu.kata_command_line(root, debug, runtime), f"{name}: under Kata's own command line")
        t.equal(m.check("cat /proc/1/comm; systemctl is-active kata-containers.target kata-agent tmp.mount").split(), ["systemd"] + ["active"] * 3,
                f"{name}: systemd starts the agent")
        mounted = {words[1]: words for words in map(str.split, m.check("cat /proc/mounts").splitlines())}
        device = "/dev/pmem0p1" if root == "nvdimm" else "/dev/vda1"
        options = mounted["/"][3].split(",")
        t.ok(mounted["/"][0] in (device, "/dev/root") and mounted["/"][2] == "ext4" and "ro" in options
             and any(o.startswith("dax") for o in options) == (root == "nvdimm"), f"{name}: the root file system is read-only, DAX as an NVDIMM", mounted["/"])
        t.equal(m.run("test -f /tmp/policy.jsonl").returncode == 0, debug, f"{name}: the agent {'writes its log' if debug else 'has no log to write'}")
        t.equal(m.check("cat /etc/resolv.conf").strip(), "nameserver 192.0.2.1", f"{name}: it mounts over resolv.conf")


def sandboxes(t, image: str, where: str) -> None:
    """What was injected is there and at work, in a machine whose QEMU has the values of kata.qemu.*."""
    with machine(image, "nvdimm", False, accelerators=",kernel_irqchip=split", options=("-sandbox", SECCOMP)) as m:
        status = Path(f"/proc/{m.process.pid}/status").read_text()
        t.ok(re.search(r"NoNewPrivs:\s1\nSeccomp:\s2", status), "QEMU boots it within its own seccomp sandbox, elevateprivileges=deny included", status)
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


def spoiled(t, image: str, where: str, what: str) -> None:
    """An image that inject refuses is one that the machine does not boot."""
    root = guest_image.SPOILS[what][0] or "virtio-blk"
    bad = f"{where}/bad"
    shutil.copyfile(image, bad)
    guest_image.spoil(bad, what)
    p = inject(bad, f"{where}/out", where)
    t.ok(p.returncode == 1 and not Path(f"{where}/out").exists(), f"an image {what}: inject refuses it", p.stderr)
    m = machine(bad, root, True)
    try:
        console = m.start().wait_end()
    finally:
        m.stop()
    t.ok(SAYS[what] in console, f"... Kata's command line ({root}) does not boot it: {SAYS[what]}", console[-3000:])


def scenario(t, where: str) -> None:
    image = f"{where}/image"
    policy(where)
    p = inject(base(where), image, where)
    if not t.ok(p.returncode == 0, "an agent policy is put into the image of the recipe", p.stderr):
        return
    t.equal(subprocess.run(["e2fsck", "-fn", f"{image}?offset={OFFSET}"], capture_output=True).returncode, 0, "... e2fsck finds nothing")
    for root in qemu.ROOTS:
        for debug in (False, True):
            t.case(f"{root} debug {debug}", boots, t, image, root, debug)
    t.case("runtime-rs", boots, t, image, "nvdimm", True, "rust")
    t.case("sandbox", sandboxes, t, image, where)
    for what in guest_image.SPOILS:
        t.case(what, spoiled, t, image, where, what)


def run(t, mode: str) -> None:
    if mode != "all":
        return
    with tempfile.TemporaryDirectory(prefix="kf-rootfs-") as where:
        t.case("rootfs", scenario, t, where)
