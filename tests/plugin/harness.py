# SPDX-License-Identifier: Apache-2.0
"""A nono-nri process and the driver that plays its container runtime."""
import contextlib
import ctypes
import errno
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from lib import build
from lib.wait import DEADLINE, log_entries, wait_until

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = Path(os.environ.get("KUBEFENCE_BIN") or ROOT / "out/bin") / "nono-nri"
DRIVER = ROOT / "out/asan/tests/plugin/plugin_driver"
# What a debug build says of calls that a list lacks (KUBEFENCE_BIN=...).
REFUSED = re.compile(r"refused system call: (\w+)")


def build_driver() -> None:
    build.meson("asan", "tests/plugin/plugin_driver", setup=build.ASAN)


class Memcheck:
    """While it lasts, plugins run under valgrind; .faults is what that had to say."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="kf-memcheck-")
        self.faults: list[str] = []
        self.runs = 0

    def __enter__(self):
        # A build of its own: valgrind cannot look into what is linked statically.
        Node.plugin = build.meson("valgrind", "src/nono-nri/nono-nri", setup=("-Dstatic=false",)) / "src/nono-nri/nono-nri"
        Node.prefix = ["valgrind", "--quiet", "--leak-check=full", "--errors-for-leak-kinds=definite,possible",
                       f"--log-file={self.dir}/%p"]
        return self

    def __exit__(self, *_):
        Node.prefix, Node.plugin = [], PLUGIN
        for f in Path(self.dir).iterdir():
            self.runs += 1
            # Of the program: "==PID==".  "--PID--": valgrind does not know Landlock's calls, which then fail with ENOSYS.
            fault = [line for line in f.read_text().splitlines() if not re.match(r"--\d+--", line)]
            if fault:
                self.faults.append("\n".join(fault))
        shutil.rmtree(self.dir)


class Node:
    """A directory of its own with launcher, state, configuration; a driver; plugins on demand."""

    prefix: list[str] = []  # what the plugins run under
    plugin = PLUGIN

    def __init__(self, **config):
        self.dir = Path(tempfile.mkdtemp(prefix="kf-plugin-", dir="/dev/shm"))
        os.chmod(self.dir, 0o755)
        self.launcher = self.dir / "opt/nono"
        self.launcher.parent.mkdir()
        self.launcher.write_text("#!/bin/sh\n")
        self.launcher.chmod(0o755)
        self.state = self.dir / "state"
        self.node_dir = self.dir / "node"
        self.guard_dir = self.dir / "guard"
        self.denials_dir = self.dir / "denials"
        self.socket = self.dir / "nri.sock"
        self.config = self.dir / "nono-nri.toml"
        self.configure(**config)
        self.log = self.dir / "log"
        self.plugins: list[subprocess.Popen] = []
        self.driver = subprocess.Popen([DRIVER, self.socket], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        wait_until(self.socket.exists, "the driver's socket")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in self.plugins:
            if p.poll() is None:
                p.terminate() if self.prefix else p.kill()
            p.wait()
        self.driver.stdin.close()
        self.driver.wait(DEADLINE)
        refused = set(REFUSED.findall(self.log.read_text(errors="replace"))) if self.log.exists() else set()
        shutil.rmtree(self.dir)
        if refused:
            raise AssertionError(f"the plugin's seccomp filter refused {refused}")

    def configure(self, text: str | None = None, **config) -> None:
        values = {"runtime_classes": ["nono-runc"], "default_profile": "default",
                  "nono_bin_path": str(self.launcher), "socket_path": str(self.socket), **config}
        lines = [f"{k} = {json.dumps(v)}\n" for k, v in values.items() if v is not None]
        self.config.write_text("".join(lines) if text is None else text)

    def command(self, *flags: str) -> list:
        return [*self.prefix, self.plugin, "--config", self.config, "--state-dir", self.state,
                "--node-dir", self.node_dir, "--guard-dir", self.guard_dir, "--denials-dir", self.denials_dir, *flags]

    def spawn(self, *flags: str, **popen) -> subprocess.Popen:
        with open(self.log, "ab") as log:
            p = subprocess.Popen(self.command(*flags), stdout=log, stderr=log, **popen)
        self.plugins.append(p)
        return p

    def start(self, *flags: str, accept: str = "", sync: str = "") -> subprocess.Popen:
        """A plugin that is registered, configured and synchronised."""
        p = self.spawn(*flags)
        self.connect(accept, sync)
        return p

    def connect(self, accept: str = "", sync: str = "") -> dict:
        answer = self.must(f"accept {accept}")
        self.must(f"sync {sync}")
        return answer

    def call(self, line: str) -> dict:
        self.driver.stdin.write(line + "\n")
        self.driver.stdin.flush()
        return json.loads(self.driver.stdout.readline())

    def must(self, line: str) -> dict:
        answer = self.call(line)
        if not answer["ok"]:
            raise AssertionError(f"{line}: {answer}\n{self.log.read_text()[-2000:]}")
        return answer

    def ask(self, path: str) -> str:
        """What the plugin's own socket answers, with its head."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(self.state / ".http"))
            s.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()

    def entries(self, msg: str = "", **keys) -> list[dict]:
        return log_entries(self.log.read_text(errors="replace"), msg, **keys)

    def wait_entry(self, msg: str, **keys) -> dict:
        return wait_until(lambda: self.entries(msg, **keys), f"log entry {msg} {keys}")[0]

    def metadata(self, uid: str = "uid-1", cid: str = "container-1") -> Path:
        return self.state / uid / cid / "metadata.json"


def resident_kib(p: subprocess.Popen) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{p.pid}/status").read_text())[1])


def helper(p: subprocess.Popen) -> int:
    """The process that writes settings and connects for the plugin."""
    pid, = Path(f"/proc/{p.pid}/task/{p.pid}/children").read_text().split()
    return int(pid)


def threads(p: subprocess.Popen) -> int:
    return len(os.listdir(f"/proc/{p.pid}/task"))


def cpu_seconds(p: subprocess.Popen) -> float:
    """Exact, unlike the ticks in stat."""
    return int(Path(f"/proc/{p.pid}/schedstat").read_text().split()[0]) / 1e9


def end(p: subprocess.Popen, sig: int = signal.SIGTERM) -> tuple[int, float]:
    """Exit status, and milliseconds from the signal to the end.  As systemd and a kubelet do, it waits for all of its processes
    before another can be started."""
    fds = [os.pidfd_open(p.pid)]
    try:
        with contextlib.suppress(OSError):  # it has ended already
            for child in Path(f"/proc/{p.pid}/task/{p.pid}/children").read_text().split():
                fds.append(os.pidfd_open(int(child)))
        start = time.monotonic()
        p.send_signal(sig)
        select.select(fds[:1], [], [], DEADLINE)
        ms = (time.monotonic() - start) * 1e3
        for fd in fds:
            if not select.select([fd], [], [], DEADLINE)[0]:
                raise AssertionError("a process of the plugin's does not end")
    finally:
        for fd in fds:
            os.close(fd)
    return p.wait(DEADLINE), ms


def without_landlock() -> None:
    """For preexec_fn: the kernel has no Landlock."""
    load, equal, give = 0x20, 0x15, 0x06  # of classic BPF
    code = [(load, 0, 0, 0), (equal, 0, 1, 444), (give, 0, 0, 0x00050000 | errno.ENOSYS), (give, 0, 0, 0x7FFF0000)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *c) for c in code))
    filter_ = struct.pack("@HP", len(code), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filter_, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def limit_file_size(n: int):
    """For preexec_fn: writing beyond @n bytes fails, as on a full disk."""
    def set_limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n, n))
    return set_limit
