# SPDX-License-Identifier: Apache-2.0
"""What the cases play with: a runtime (driver/), the plugin, other plugins."""
import fcntl
import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lib import installed, tools
from lib.wait import DEADLINE

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BIN = ROOT / "out/bin"


@dataclass
class Version:
    """One NRI release, as nri-NAME/go.mod pins it, and a runtime that has it."""

    name: str
    runtime: str
    without: tuple  # files of driver/ that this release cannot have
    adjusts: bool = True  # arguments and seccomp policy
    fail_closed: bool = False  # knows plugins' failure policy
    crashes_on_errno: bool = False  # on a seccomp rule with an error number


OLD, DIRECT = ("validator.go", "args.go"), ("statechange.go",)
NEW = ("validator_none.go", "args_none.go")
VERSIONS = {
    v.name: v
    for v in (
        Version("0.8", "2.1.6", OLD + ("direct.go",), adjusts=False),
        Version("0.10", "v2.2.0", NEW + ("direct.go",), crashes_on_errno=True),
        Version("0.11", "2.2.6+unknown", NEW + ("direct.go",), crashes_on_errno=True),
        Version("0.12", "v2.3.4", NEW + DIRECT),
        Version("newest", "2.4.2", NEW + DIRECT, fail_closed=True),
    )
}


def build_driver(version: Version) -> Path:
    """The driver linked with that release, kept outside the tree until a source changes."""
    pins = HERE / f"nri-{version.name}"
    sources = [p for p in sorted((HERE / "driver").glob("*.go")) if p.name not in version.without]
    inputs = [*sources, pins / "go.mod", pins / "go.sum"]
    digest = hashlib.sha256(b"\0".join(p.read_bytes() for p in inputs)).hexdigest()[:12]
    folder = tools.cache() / f"nri-driver-{version.name}-{digest}"
    program = folder / "driver"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            for p in inputs:
                # Which release a file is for is decided here; Go's own tags would let it update the pins.
                text = p.read_text().replace("//go:build", "// for")
                (folder / p.name).write_text(text)
            subprocess.run([tools.go(), "build", "-o", "driver.new", "."], cwd=folder, check=True,
                           env={**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off"})
            os.rename(folder / "driver.new", program)
    return program


def build_hello(tmp: Path) -> Path:
    """examples/nri-hello.c as a stranger builds it: with the installed shared library, by pkg-config."""
    nri = installed.library(tmp / "nri")
    return nri.compile(ROOT / "examples/nri-hello.c", tmp / "nri-hello")


POD = {"id": "pod1", "name": "web", "uid": "uid-1", "namespace": "default", "runtimeHandler": "nono-runc"}
OTHER_POD = {**POD, "id": "pod2", "name": "other", "uid": "uid-2", "runtimeHandler": "runc"}
CONTAINER = {"id": "c1", "podSandboxId": "pod1", "name": "main", "args": ["sh", "-c", "exec sleep 1"],
             "env": ["PATH=/bin", "A=1"]}
SPEC = {"ociVersion": "1.1.0", "process": {"args": CONTAINER["args"], "env": CONTAINER["env"], "cwd": "/"},
        "root": {"path": "rootfs"}, "linux": {}, "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}]}
PREFIX = ["/nono/nono", "wrap", "--profile", "default", "--"]


PATIENCE_MS = 60000


class Refused(Exception):
    """The runtime's answer was an error."""


class Scene:
    """One case: a directory, a runtime, and whatever plugins it starts."""

    def __init__(self, tap, version, driver, hello):
        self.tap, self.version, self.program, self.hello = tap, version, driver, hello
        self.dir = Path(tempfile.mkdtemp(prefix="kf-nri-"))
        self.socket = self.dir / "nri.sock"
        self.processes = []
        self.node = ""  # a directory, where there is a guard
        self.boot()
        launcher = self.dir / "opt"
        launcher.mkdir()
        shutil.copy(BIN / "nono", launcher / "nono")
        self.config = self.dir / "config.toml"
        self.config.write_text(
            f'runtime_classes = ["nono-runc"]\ndefault_profile = "default"\n'
            f'nono_bin_path = "{launcher}/nono"\nsocket_path = "{self.socket}"\n')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in reversed(self.processes):
            if p.poll() is None:
                p.kill()
            p.wait()
            for stream in (p.stdin, p.stdout):
                if stream:
                    stream.close()
        shutil.rmtree(self.dir)

    def says(self, what: str) -> str:
        return f"NRI {self.version.name}: {what.replace('_', ' ')}"

    def ok(self, condition, what: str, detail="") -> bool:
        return self.tap.ok(condition, self.says(what), detail)

    def equal(self, got, want, what: str) -> bool:
        return self.tap.equal(got, want, self.says(what))

    # processes

    def spawn(self, argv, **kw) -> subprocess.Popen:
        p = subprocess.Popen([str(a) for a in argv], **kw)
        self.processes.append(p)
        return p

    def plugin(self, instance: str = "") -> subprocess.Popen:
        """Start nono-nri; each instance has a state directory of its own."""
        return self.spawn(self.plugin_command(instance), stdout=open(self.log(instance), "w"), stderr=subprocess.STDOUT)

    def plugin_command(self, instance: str = "") -> list:
        return [BIN / "nono-nri", "--config", self.config, "--state-dir", self.state(instance), "--node-dir", self.node, "--guard-dir", self.dir / "guard", "--denials-dir", "",
                "--log-level", "debug"]

    def log(self, instance: str = "") -> Path:
        return self.dir / f"log{instance}"

    def state(self, instance: str = "") -> Path:
        return self.dir / f"state{instance}"

    def events(self, instance: str = "") -> list:
        """What the plugin logged."""
        return [json.loads(line) for line in self.log(instance).read_text().splitlines() if line.startswith("{")]

    def guard(self, *handlers: str) -> None:
        """The handlers that have the guard, as node set-up writes them."""
        self.node = self.dir / "node"
        self.node.mkdir(mode=0o755, exist_ok=True)
        text = "kubefence-runtime 1\n" + "".join(f"runtime {h} /usr/bin/runc\n" for h in handlers)
        (self.node / "new").write_text(text + f"sum {hashlib.sha256(text.encode()).hexdigest()}\n")
        (self.node / "new").rename(self.node / "runtime")

    def foreign(self, mode: str, index: str) -> subprocess.Popen:
        return self.spawn([self.program, "plugin", mode, f"foreign-{mode}", index, self.socket],
                          stdout=open(self.dir / f"foreign-{mode}-{index}", "w"), stderr=subprocess.STDOUT)

    # the runtime

    def boot(self) -> None:
        self.driver = self.spawn([self.program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def crash(self) -> None:
        """The runtime's process ends, and with it every connection; then there is a new one."""
        self.driver.kill()
        self.driver.wait()
        self.boot()

    def call(self, op: str, **kw) -> dict:
        self.driver.stdin.write(json.dumps({"Op": op, **kw}) + "\n")
        self.driver.stdin.flush()
        line = self.driver.stdout.readline()
        if not line:
            raise AssertionError("the driver died")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def start(self, **kw) -> None:
        for folder in ("plugins", "conf"):
            (self.dir / folder).mkdir(exist_ok=True)
        # NRI's own time-outs, 5 and 2 seconds, are not for a busy machine; a case that is about them sets its own.
        self.call("start", **{"Socket": str(self.socket), "PluginPath": str(self.dir / "plugins"),
                              "ConfigPath": str(self.dir / "conf"), "Runtime": "containerd",
                              "Version": self.version.runtime, "RegistrationMS": PATIENCE_MS, "RequestMS": PATIENCE_MS, **kw})

    def wait(self, plugins: int, timeout: float = DEADLINE) -> None:
        try:
            self.call("wait", Synced=plugins, Timeout=timeout)
        except Refused as e:
            raise AssertionError(f"{e}; nono-nri said:\n{self.log().read_text()[-4000:]}") from e

    def begin(self, *foreign, **kw) -> None:
        """A runtime with nono-nri, and other plugins as (mode, index)."""
        self.start(**kw)
        self.plugin()
        for mode, index in foreign:
            self.foreign(mode, index)
        self.wait(1 + len(foreign))

    def create(self, pod=POD, container=CONTAINER, spec=SPEC, **kw) -> dict:
        return self.call("create", Pod=pod, Container=container, Spec=spec, **kw)

    def event(self, event: str, pod=POD, container=CONTAINER) -> None:
        self.call("event", Event=event, Pod=pod, Container=container)

    def refused(self, what: str, fn, *args, says: str = "", **kw) -> None:
        try:
            got = fn(*args, **kw)
        except Refused as e:
            self.ok(says in str(e), what, e)
        else:
            self.ok(False, what, f"not refused: {str(got)[:300]}")


def end(process: subprocess.Popen, sig=signal.SIGTERM) -> int:
    process.send_signal(sig)
    return process.wait(timeout=DEADLINE)


def lines(process: subprocess.Popen, count: int) -> list[str]:
    """The first lines that it prints: @count of them, or fewer if it ends, or none comes for too long."""
    data, fd = b"", process.stdout.fileno()
    while data.count(b"\n") < count and select.select([fd], [], [], DEADLINE)[0]:
        got = os.read(fd, 4096)
        if not got:
            break
        data += got
    return data.decode().splitlines()
