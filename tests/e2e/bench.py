# SPDX-License-Identifier: Apache-2.0
"""What the sandbox costs on a real containerd: the same pod with and without, by turns.

Pods that ask for the runtime's default seccomp profile, as most clusters do, load a filter with and
without us.  Pods that ask for none load ours: what that costs is in the figures of "unconfined"."""
import statistics

from lib import figures, images, node
from lib.containerd import Containerd
from lib.tap import Tap

ROUNDS = 60
SECCOMP = {"runtime default": "RuntimeDefault", "unconfined": "Unconfined"}


def once(c: Containerd, image: str, handler: str, seccomp: str) -> dict[str, float]:
    """Milliseconds of a pod's start, and of an exec into it."""
    out = {}
    pod = c.pod(handler=handler)
    out["sandbox"] = pod.ms
    ctr = pod.container(image, ["sleep", "3600"], security={"seccomp": {"profile_type": SECCOMP[seccomp]}})
    out["create"] = ctr.ms
    out["start"] = c.cri("RuntimeService/StartContainer", {"container_id": ctr.id})["ms"]
    out["pod"] = sum(out.values())
    out["exec"] = c.cri("RuntimeService/ExecSync", {"container_id": ctr.id, "cmd": ["true"], "timeout": 10})["ms"]
    pod.remove()
    return out


def compare(c: Containerd, image: str) -> dict[tuple[str, str, str], list[float]]:
    times: dict[tuple[str, str, str], list[float]] = {}
    for i in range(ROUNDS + 3):
        for seccomp in SECCOMP:
            for handler in ("runc", "nono-runc") if i % 2 else ("nono-runc", "runc"):
                for what, ms in once(c, image, handler, seccomp).items():
                    if i >= 3:  # the first warm caches
                        times.setdefault((seccomp, what, handler), []).append(ms)
    return times


def run(t: Tap) -> None:
    rows = []
    for name, handlers in (("plugin", {}), ("plugin and guard", node.GUARDED)):
        with Containerd(handlers=handlers) as c:
            node.install(c, guard=bool(handlers))
            image = c.load(images.busybox())
            node.Plugin(c).start()
            times = compare(c, image)
        for seccomp in SECCOMP:
            for what in ("create", "start", "pod", "exec"):
                # The lower quartile: what other programs on the machine do only adds.
                plain, boxed = (statistics.quantiles(times[seccomp, what, h])[0] for h in ("runc", "nono-runc"))
                print(f"# {name}, seccomp {seccomp}: {what}: {boxed:.2f} ms against {plain:.2f} ms of plain runc, "
                      f"{boxed - plain:+.2f} ms, ratio {boxed / plain:.3f} (lower quartile of {ROUNDS})", flush=True)
                if what in ("pod", "exec"):
                    rows.append([f"{'start of a pod' if what == 'pod' else 'exec'}, seccomp {seccomp}, {name}", round(plain, 2), round(boxed / plain, 4)])
                if (seccomp, what) == ("runtime default", "pod"):
                    t.ok(boxed <= 1.01 * plain, f"{name}: a pod's start takes {boxed / plain:.3f} of one without: at most 1.01")
    figures.keep("pod-start", {"rounds": ROUNDS, "rows": rows})
