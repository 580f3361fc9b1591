# SPDX-License-Identifier: Apache-2.0
"""What the parts of this area share: a guard's containers, the audit log turned on, and "kubefence denials" reading it."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, part) for part in ("../sandbox", "../guard", "..", "../lib")]
import auditlog  # noqa: E402
import box  # noqa: E402
from lib_guard import BIN, Node  # noqa: E402
from wait import DEADLINE, wait_until  # noqa: E402

KUBEFENCE = str(BIN / "kubefence")


class Feed:
    """kubefence denials; .lines() are what it has told, with when that "arrived"."""

    def __init__(self, *args: str, directory: str = "", env: dict | None = None):
        self.dir = Path(tempfile.mkdtemp(prefix="kf-denials-"))
        self.kept = directory or str(self.dir / "kept")
        self.address = str(self.dir / "http")
        self.args, self.env = args, env
        self.told: list[dict] = []
        self.start()

    def start(self) -> None:
        self.err = open(self.dir / "err", "a+")
        begun = self.err.tell()
        self.process = subprocess.Popen([KUBEFENCE, "denials", "-o", "json", "--directory", self.kept, "--listen", self.address, *self.args],
                                        stdout=subprocess.PIPE, stderr=self.err, env={**os.environ, **(self.env or {})})
        self.reader = threading.Thread(target=self.read, args=(self.process.stdout,))
        self.reader.start()
        wait_until(lambda: "started" in self.said()[begun:] or self.process.poll() is not None, "the feed")
        if self.process.poll() is not None:
            raise RuntimeError(self.said())

    def read(self, out) -> None:
        for line in out:
            self.told.append({**json.loads(line), "arrived": time.time()})

    def said(self) -> str:
        return (self.dir / "err").read_text()

    def lines(self) -> list[dict]:
        return list(self.told)

    def ours(self) -> list[dict]:
        """Those about this test's pods; others use this machine, too."""
        return [line for line in self.lines() if line["namespace"] == "space"]

    def of(self, process: str) -> list[dict]:
        return [line for line in self.ours() if line.get("process") == process[:15]]

    def metrics(self) -> dict[str, int]:
        p = subprocess.run(["curl", "-s", "--unix-socket", self.address, "http://x/metrics"], capture_output=True, text=True, check=True)
        return {k: int(v) for k, _, v in (line.rpartition(" ") for line in p.stdout.splitlines() if line[0] != "#")}

    def memory(self) -> int:
        """KiB that are resident, and at most were."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1])

    def cpu(self) -> float:
        """Seconds of a CPU that it has used."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9

    def reads(self) -> int:
        """How often it has read something."""
        return int(next(line for line in Path(f"/proc/{self.process.pid}/io").read_text().splitlines() if line.startswith("syscr")).split()[1])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.reader.join()
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.stop()
        self.err.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def delay(line: dict) -> float:
    """Seconds from the refused call until its line arrived."""
    return line["arrived"] - datetime.fromisoformat(line["time"]).timestamp()


def compile_c(text: str, to: Path) -> bytes:
    """A static program from C."""
    subprocess.run(["gcc", "-O1", "-static", "-x", "c", "-", "-o", to], input=text, text=True, check=True)
    return to.read_bytes()


@contextlib.contextmanager
def turned_on():
    """The audit log as "kubefence denials --turn-on" leaves it."""
    with auditlog.ours() as before:
        auditlog.set_status(0, before["limit"], before["wait"])
        subprocess.run([KUBEFENCE, "denials", "--turn-on"], check=True, stdout=subprocess.DEVNULL)
        yield


@contextlib.contextmanager
def roomy():
    """The kernel keeps a million records for readers: what other tests are denied meanwhile does not cost this one's."""
    now = auditlog.status()
    auditlog.set_status(1, 1 << 20, now["wait"])
    try:
        yield
    finally:
        auditlog.set_status(1, now["limit"], now["wait"])


def pod(b, name: str, container: str = "main", namespace: str = "space") -> None:
    """Give bundle @b the names that a kubelet gives."""
    b.config["annotations"] = {**b.config.get("annotations", {}), "io.kubernetes.cri.container-type": "container",
                               "io.kubernetes.cri.sandbox-namespace": namespace, "io.kubernetes.cri.sandbox-name": name,
                               "io.kubernetes.cri.sandbox-uid": f"uid-of-{name}", "io.kubernetes.cri.container-name": container}


def start(node: Node, b, name: str, **kw) -> str:
    pod(b, name, **kw)
    b.write()
    return node.start(b, "--pid-file", b.dir / "init.pid")


def enter(node: Node, cid: str, args: list[str], until: str = "", caps=None, cwd: str = "/", bare: bool = False) -> str:
    """What @args, entered as a runtime's shim does it, print until a line has @until in it, or until they end.  They may take as
    long as they like while they print something now and then."""
    node.n += 1
    process, pid_file, out = (node.dir / f"{what}{node.n}" for what in ("process", "pid", "out"))
    spec = {"args": args, "cwd": cwd, "env": ["PATH=/bin", "HOME=/root"], "user": {"uid": 0, "gid": 0}}
    if caps:
        spec["capabilities"] = {k: caps for k in ("bounding", "effective", "permitted")}
    process.write_text(json.dumps(spec))
    with open(out, "w") as o:
        p = subprocess.run(node.command("exec", "--detach", "--pid-file", pid_file, "--process", process, cid, bare=bare),
                           stdin=subprocess.DEVNULL, stdout=o, stderr=o, timeout=DEADLINE)
    if p.returncode:
        return out.read_text()
    pid = int(pid_file.read_text())

    def ended():
        text = out.read_text()
        return (until and until in text) or not alive(pid)

    while not ended():
        size = out.stat().st_size
        wait_until(lambda: ended() or out.stat().st_size > size, f"{args} in {cid}: {out.read_text()!r}", 4 * DEADLINE)
    return out.read_text()


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
