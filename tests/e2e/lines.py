# SPDX-License-Identifier: Apache-2.0
"""What we say of each containerd line, by its real release: the NRI that it has, what that makes of the plugin alone and of
plugin and guard, and whether it has the default validator."""
import re
import subprocess

from lib import images, node, tools
from lib.containerd import Containerd
from lib.cri import CriError
from lib.tap import Tap

from required import REQUIRED, outcome

# The release of NRI 0.x that each line's pinned release is linked with.
NRI = {"1.7": 8, "2.0": 8, "2.1": 8, "2.2": 11, "2.3": 12, "2.4": 12}
ADJUSTS = 10  # arguments and seccomp policy, and the validator, from this one on
TELLS = 12  # its own version, when it configures a plugin
# clone3 is refused with ENOSYS, else glibc cannot make threads; io_uring_setup is refused at all.
THREADS = """
import ctypes, os, threading
t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
libc = ctypes.CDLL(None, use_errno=True)
for name, number in (("clone3", 435), ("io_uring_setup", 425)):
    r = libc.syscall(number, 0, 0)
    print(name, os.strerror(ctypes.get_errno()))
"""


def linked(t: Tap, line: str) -> None:
    said = subprocess.run([tools.go(), "version", "-m", tools.program("containerd", line)], check=True, capture_output=True, text=True).stdout
    found = re.search(r"\tdep\tgithub.com/containerd/nri\tv0\.(\d+)\.", said)
    t.equal(found and int(found[1]), NRI[line], f"containerd {line} is linked with NRI 0.{NRI[line]}")


def one(t: Tap, line: str, guard: bool) -> None:
    label = f"containerd {line}, {'guard' if guard else 'plugin'}"
    with Containerd(line, handlers=node.GUARDED if guard else {}) as c:
        node.install(c, guard=guard)
        busybox, python = c.load(images.busybox()), c.load(images.glibc(python=True))
        plugin = node.Plugin(c).start()
        told = re.match(r"v?0\.(\d+)\.", plugin.entries("configured")[-1].get("nri_version") or "")
        t.equal(told and int(told[1]), NRI[line] if NRI[line] >= TELLS else None, f"{label}: tells its NRI if it is 0.12 or newer")
        said = outcome(c, busybox, handler="nono-runc")
        if NRI[line] < ADJUSTS and not guard:
            t.ok("guard" in said and "drops the sandbox" in said, f"{label}: too old, and says what to do", said)
            t.equal(c.run(busybox, ["echo", "up"]).out, "up\n", f"{label}: other pods run")
            return
        t.equal(said, "sandboxed", f"{label}: sandboxed")
        r = c.run(python, ["python3", "-c", THREADS], handler="nono-runc")
        t.equal(r.out.splitlines(), ["thread", "clone3 Function not implemented", "io_uring_setup Operation not permitted"],
                f"{label}: with the seccomp policy; threads work, clone3 and io_uring are not there")
        t.equal(c.daemon.poll(), None, f"{label}: containerd lives")


def validator(t: Tap, line: str) -> None:
    """A pod that requires the plugin, without one."""
    with Containerd(line, nri={"default_validator": {"enable": True}}) as c:
        node.install(c, guard=False)
        said = outcome(c, c.load(images.busybox()), handler="nono-runc", annotations=REQUIRED)
        if NRI[line] < ADJUSTS:
            t.equal(said, "bare", f"containerd {line}: has no default validator, a pod that requires the plugin runs without")
        else:
            t.ok(said != "bare" and "nono-nri" in said, f"containerd {line}: its default validator refuses a pod whose plugin is not there", said)


def run(t: Tap) -> None:
    for line in NRI:
        t.case(f"containerd {line}: NRI", linked, t, line)
        t.case(f"containerd {line}: validator", validator, t, line)
        for guard in (False, True):
            t.case(f"containerd {line}", one, t, line, guard)
