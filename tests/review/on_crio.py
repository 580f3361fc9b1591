#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""on_crio.py all [runc|crun]...: volumes under review of pods of a real CRI-O, with runc and crun: what containers see, diff,
commit and discard, the kill of a container and of CRI-O itself; beside each a pod without the annotation."""
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]
from lib import crun, images, node, tools  # noqa: E402
from lib.crio import Crio  # noqa: E402
from lib.cri import CriError, Result  # noqa: E402
from lib.pods import Container, Pod  # noqa: E402
from lib.tap import Tap  # noqa: E402
from lib.wait import wait_until  # noqa: E402

RUNTIMES = {"runc": "/opt/kf/runc", "crun": crun.PATH}
KEPT, RUN = "/var/lib/kubefence/review", "/run/kubefence/review"
STAY = ["sh", "-c", "exec sleep 3600"]


class Place:
    """A CRI-O with the guard, and the kubelet's directories of its pods."""

    def __init__(self, runtime: str):
        self.name = f"CRI-O, {runtime}"
        self.c = Crio(handlers=node.GUARDED, runc=RUNTIMES[runtime], prepare=self._prepare)
        self.c.env["TMPDIR"] = "/run/tmp"  # for what CRI-O hands to a runtime

    def _prepare(self, c: Crio) -> None:
        crun.install(c)
        crun.front(c, RUNTIMES["runc"], tools.program("runc"))
        node.install(c)
        node.settings(c)
        c.sh("mkdir -m 1777 /run/tmp")

    def __enter__(self) -> "Place":
        self.c.__enter__()
        self.image = self.c.load(images.busybox())
        return self

    def __exit__(self, *_) -> None:
        self.c.close()

    def kubefence(self, command: str, *args: str) -> Result:
        p = subprocess.run(self.c.inside([node.BIN / "kubefence", "review", command, *args]), capture_output=True, text=True)
        return Result(p.returncode, p.stdout, p.stderr)


class Reviewed:
    """A pod whose volume lies at .volume; .seen is the overlay, as the node has it."""

    def __init__(self, p: Place, *, reviewed: bool = True, claim: bool = False):
        self.p, self.uid = p, str(uuid.uuid4())
        self.volume = p.c.dir / (f"data-of-{self.uid}" if claim else f"kubelet/pods/{self.uid}/volumes/kubernetes.io~empty-dir/work")
        self.volume.mkdir(parents=True)
        annotations = {"nono.sh/volume.work": "review:/work" if claim else "review"} if reviewed else {}
        self.pod: Pod = p.c.pod(handler="nono-runc", uid=self.uid, annotations=annotations)
        self.containers: list[Container] = []

    def start(self, args=tuple(STAY), at: str = "/work") -> Container:
        # The kubelet's labels; CRI-O makes annotations of them, by which the guard knows the pod.
        labels = {"io.kubernetes.pod.uid": self.uid, "io.kubernetes.pod.name": self.pod.name, "io.kubernetes.pod.namespace": "default",
                  "io.kubernetes.container.name": f"c{len(self.containers)}"}
        ctr = self.pod.container(self.p.image, list(args), mounts=[(str(self.volume), at)], labels=labels)
        self.containers.append(ctr)
        return ctr.start()

    def sh(self, script: str, ctr: Container | None = None) -> Result:
        return (ctr or self.containers[-1]).exec("sh", "-c", script)

    def kubefence(self, command: str, *args: str) -> Result:
        return self.p.kubefence(command, self.uid, *args)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.volume))

    def left(self) -> str:
        """What the node still has of it."""
        return self.p.c.sh(f"grep {self.uid} /proc/self/mountinfo; ls -d {KEPT}/{self.uid} {RUN}/{self.uid} 2>/dev/null; ls /run/kubefence/guard", check=False).out

    def end(self) -> None:
        for ctr in self.containers:
            ctr.stop()
        self.pod.remove()


def seen(t: Tap, p: Place) -> None:
    for claim in (False, True):
        name = f"{p.name}: {'review:/PATH' if claim else 'review'}"
        r = Reviewed(p, claim=claim)
        (r.volume / "old").write_text("old\n")
        first, second = r.start(), r.start()
        got = r.sh("cat /work/old; echo new >/work/old; echo x >/work/f; cat /work/old", first)
        t.ok(got.out == "old\nnew\n" and r.names() == ["old"] and (r.volume / "old").read_text() == "old\n",
             f"{name}: a container sees the volume and what it wrote, the volume stays as it was", f"{got} {r.names()}")
        got = [x("sh", "-c", "cat /work/old /work/f").out for x in (second.exec, second.exec_stream)]
        t.equal(got, ["new\nx\n"] * 2, f"{name}: the pod's other container sees it, too, and so does what enters it")
        got = r.kubefence("diff")
        lines = got.out.splitlines()
        t.ok(got.code == 0 and [x.split()[0] + x.split()[-1] for x in lines if x[:2] in ("A ", "M ")] == ["Af", "Mold"], f"{name}: diff lists it", f"{got}")
        wrong = r.kubefence("commit", "f", "--expect", "0" * 64)
        t.ok(wrong.code != 0 and r.names() == ["old"], f"{name}: commit of something else than what was listed is refused", f"{wrong}")
        got = r.kubefence("commit", "f", "--expect", lines[-1].removeprefix("sum "))
        t.ok(got.code == 0 and r.names() == ["f", "old"] and (r.volume / "old").read_text() == "old\n", f"{name}: commit writes a chosen file while both run", f"{got}")
        got = r.sh("echo y >>/work/f; cat /work/f", first)
        t.ok(got.out == "x\ny\n" and (r.volume / "f").read_text() == "x\n", f"{name}: and they go on", f"{got}")
        got = r.kubefence("discard")
        r.end()
        t.ok(got.code == 0 and (r.volume / "f").read_text() == "x\n" and not r.left(), f"{name}: discard leaves the rest out, and nothing on the node", f"{got} {r.left()}")
    r = Reviewed(p, reviewed=False)
    r.start()
    r.sh("echo raw >/work/f")
    t.equal(r.names(), ["f"], f"{p.name}: control: without the annotation a container writes to the volume")
    r.end()
    r = Reviewed(p)
    said = ""
    try:
        r.pod.container(p.image, STAY, labels={"io.kubernetes.pod.uid": r.uid})  # nobody knows a volume of that name
    except CriError as e:
        said = str(e)
    t.ok("say where containers mount it" in said, f"{p.name}: a volume that nobody can find is refused, and CRI-O tells why", said)
    r.pod.remove()


def writes_on(t: Tap, p: Place) -> None:
    """A commit stops the pod: what was written one after the other is committed as it was at one moment."""
    r = Reviewed(p)
    r.start(["sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >/work/a; echo $i >/work/b; done"])
    wait_until(lambda: r.sh("cat /work/b").out.strip(), "its first numbers")
    torn, numbers = [], []
    for _ in range(5):
        got = r.kubefence("commit")
        a, b = ((r.volume / n).read_text().strip() for n in "ab")
        numbers.append(int(a or b))
        # The file of the first number is empty while it is written.
        if got.code or (a and b and int(a) - int(b) not in (0, 1)):
            torn.append((got, a, b))
        before = r.sh("cat /work/b").out
        wait_until(lambda: r.sh("cat /work/b").out != before, "it to go on")
    t.ok(not torn and numbers == sorted(set(numbers)), f"{p.name}: commits of a pod that goes on writing: each has one moment, and then it goes on", f"{torn} {numbers}")
    r.kubefence("discard")
    r.end()
    t.equal(r.left(), "", f"{p.name}: ... and nothing is left")


def killed(t: Tap, p: Place) -> None:
    r = Reviewed(p)
    ctr = r.start()
    r.sh("echo kept >/work/f")
    os.kill(ctr.pid, signal.SIGKILL)
    ctr.wait()
    ctr.remove()
    r.containers.clear()
    t.ok(not r.names(), f"{p.name}: a container is killed: the volume is as it was", f"{r.names()}")
    got = r.kubefence("diff")
    t.ok(got.code == 0 and "f" in got.out.split(), f"{p.name}: ... its changes can be looked at", f"{got}")
    r.start()
    t.equal(r.sh("cat /work/f").out, "kept\n", f"{p.name}: ... the next container of the pod has them")
    got = r.kubefence("commit")
    t.ok(got.code == 0 and (r.volume / "f").read_text() == "kept\n", f"{p.name}: ... and they can be committed", f"{got}")
    r.kubefence("discard")
    r.end()
    t.equal(r.left(), "", f"{p.name}: ... and nothing is left")


def restarted(t: Tap, p: Place) -> None:
    for sig in (signal.SIGTERM, signal.SIGKILL):
        name = f"{p.name}, ended by {sig.name} and started again"
        r = Reviewed(p)
        ctr = r.start()
        r.sh("echo before >/work/f")
        p.c.restart(sig)
        got = r.sh("cat /work/f; echo after >>/work/f; cat /work/f")
        t.ok(ctr.state == "running" and got.out == "before\nbefore\nafter\n" and not r.names(), f"{name}: its containers go on, with what they wrote", f"{got}")
        got = r.start()
        t.equal(r.sh("cat /work/f", got).out, "before\nafter\n", f"{name}: a new container of the pod has it")
        got = r.kubefence("diff")
        done = r.kubefence("commit", "--expect", got.out.splitlines()[-1].removeprefix("sum "))
        t.ok(done.code == 0 and (r.volume / "f").read_text() == "before\nafter\n", f"{name}: what was listed can be committed", f"{got} {done}")
        r.sh("echo never >/work/g")
        got = r.kubefence("discard")
        r.end()
        t.ok(got.code == 0 and r.names() == ["f"] and not r.left(), f"{name}: what is discarded never reaches the volume", f"{got} {r.names()} {r.left()}")


def run(t: Tap, *runtimes: str) -> None:
    for runtime in runtimes or RUNTIMES:
        with Place(runtime) as p:
            for case in (seen, writes_on, killed, restarted):
                t.case(f"{p.name}: {case.__name__}", case, t, p)


if __name__ == "__main__":
    tap = Tap()
    run(tap, *sys.argv[2:])
    sys.exit(tap.done())
