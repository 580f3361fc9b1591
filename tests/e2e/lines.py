# SPDX-License-Identifier: Apache-2.0
"""The plugin, and plugin and guard, on each containerd line: the promise, and that programs still work."""
from lib import images, node
from lib.containerd import Containerd
from lib.cri import CriError
from lib.tap import Tap

LINES = ("1.7", "2.1", "2.2", "2.4")
# clone3 is refused with ENOSYS, else glibc cannot make threads; io_uring_setup is refused at all.
THREADS = """
import ctypes, os, threading
t = threading.Thread(target=print, args=("thread",)); t.start(); t.join()
libc = ctypes.CDLL(None, use_errno=True)
for name, number in (("clone3", 435), ("io_uring_setup", 425)):
    r = libc.syscall(number, 0, 0)
    print(name, os.strerror(ctypes.get_errno()))
"""


def one(t: Tap, line: str, guard: bool) -> None:
    label = f"containerd {line}, {'guard' if guard else 'plugin'}"
    with Containerd(line, handlers=node.GUARDED if guard else {}) as c:
        node.install(c, guard=guard)
        busybox, python = c.load(images.busybox()), c.load(images.glibc(python=True))
        node.Plugin(c).start()
        try:
            answers = node.probe(c, busybox, handler="nono-runc")
            t.ok(node.sandboxed(answers), f"{label}: sandboxed", answers)
            t.ok(answers["seccomp"], f"{label}: with a seccomp filter", answers)
        except CriError as e:
            t.ok(not guard and line in ("1.7", "2.1") and "guard" in str(e), f"{label}: too old, and says what to do", e)
            return
        r = c.run(python, ["python3", "-c", THREADS], handler="nono-runc")
        t.equal(r.out.splitlines(), ["thread", "clone3 Function not implemented", "io_uring_setup Operation not permitted"],
                f"{label}: threads work, clone3 and io_uring are not there")
        t.equal(c.daemon.poll(), None, f"{label}: containerd lives")


def run(t: Tap) -> None:
    for line in LINES:
        for guard in (False, True):
            t.case(f"containerd {line}", one, t, line, guard)
