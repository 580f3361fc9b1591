# SPDX-License-Identifier: Apache-2.0
"""What the sandbox costs on a real containerd: the same pod with and without, by turns.

Both ask for the runtime's default seccomp profile, as most clusters do, so that the
control loads a filter too; a control without one is faster."""
import statistics

from lib import images, node
from lib.containerd import Containerd

ROUNDS = 60


def once(c: Containerd, image: str, handler: str) -> dict[str, float]:
    """Milliseconds of a pod's start, and of an exec into it."""
    out = {}
    pod = c.pod(handler=handler)
    out["sandbox"] = pod.ms
    ctr = pod.container(image, ["sleep", "60"], security={"seccomp": {"profile_type": "RuntimeDefault"}})
    out["create"] = ctr.ms
    out["start"] = c.cri("RuntimeService/StartContainer", {"container_id": ctr.id})["ms"]
    out["pod"] = sum(out.values())
    out["exec"] = c.cri("RuntimeService/ExecSync", {"container_id": ctr.id, "cmd": ["true"], "timeout": 10})["ms"]
    pod.remove()
    return out


def run() -> None:
    for name, handlers in (("plugin", {}), ("plugin and guard", node.GUARDED)):
        with Containerd(handlers=handlers) as c:
            node.install(c, guard=bool(handlers))
            image = c.load(images.busybox())
            node.Plugin(c).start()
            times: dict[tuple[str, str], list[float]] = {}
            for i in range(ROUNDS + 3):
                for handler in ("runc", "nono-runc") if i % 2 else ("nono-runc", "runc"):
                    for what, ms in once(c, image, handler).items():
                        if i >= 3:  # the first warm caches
                            times.setdefault((what, handler), []).append(ms)
            for what in ("create", "start", "pod", "exec"):
                # The lower quartile: what other programs on the machine do only adds.
                plain, boxed = (statistics.quantiles(times[what, h])[0] for h in ("runc", "nono-runc"))
                print(f"# {name}: {what}: {boxed:.2f} ms against {plain:.2f} ms of plain runc, "
                      f"{boxed - plain:+.2f} ms, ratio {boxed / plain:.3f} (lower quartile of {ROUNDS})", flush=True)
