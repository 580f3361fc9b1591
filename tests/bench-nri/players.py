# SPDX-License-Identifier: Apache-2.0
"""A runtime - the real adaptation package - with plugins, for what they cost."""
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / "conformance"), str(HERE.parent)]
import harness  # noqa: E402

BUILD = ROOT / "out/tests"
NONO_NRI = ROOT / "out/bin/nono-nri"
CREATE = 0x8
ALONE = CREATE | 0x2000 | 0x20 | 0x200 | 0x400  # what nono-nri asks for without the guard: validation, start, stop, removal too
LISTS = 18  # entries of each list of a request


def request(handler: str) -> dict:
    """A pod and a container with about as much in them as containerd tells."""
    pairs = {f"app.kubernetes.io/key-{i}": "a value of some length" for i in range(LISTS)}
    pod = {"id": "p", "name": "workload-7d4b9c6f5-x2x9k", "uid": "u", "namespace": "default", "runtimeHandler": handler, "labels": pairs,
           "annotations": pairs, "pid": 4242, "ips": ["10.244.1.17"],
           "linux": {"cgroupParent": "/kubepods.slice/kubepods-burstable.slice", "namespaces": [{"type": t, "path": f"/proc/4242/ns/{t}"} for t in ("ipc", "network", "uts")]}}
    container = {"id": "c", "podSandboxId": "p", "name": "main", "labels": pairs, "args": ["python3", "-m", "http.server"],
                 "env": ["PATH=/usr/local/bin:/usr/bin:/bin"] + [f"SERVICE_{i}_PORT=tcp://10.0.0.1:8080" for i in range(LISTS)],
                 "mounts": [{"destination": f"/var/lib/data-{i}", "type": "bind", "source": f"/var/lib/kubelet/pods/volumes/data-{i}",
                             "options": ["rbind", "rprivate", "ro"]} for i in range(LISTS)],
                 "linux": {"namespaces": [{"type": t} for t in ("pid", "mount", "cgroup")], "oomScoreAdj": {"value": 1000},
                           "cgroupsPath": "kubepods-burstable.slice:cri-containerd:c"}}
    return {"Pod": pod, "Container": container}


def cpu(pid: int) -> float:
    """Microseconds of processor time of all threads."""
    return sum(int((t / "schedstat").read_text().split()[0]) for t in Path(f"/proc/{pid}/task").iterdir()) / 1e3


def status(pid: int, key: str) -> int:
    return next(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(key + ":"))


class Runtime:
    """The real adaptation package of one NRI release, with the plugins under test; all in a directory of its own in memory."""

    def __init__(self, version: harness.Version):
        self.version = version
        self.dir = Path(tempfile.mkdtemp(prefix="kf-bench-", dir="/dev/shm"))
        os.chmod(self.dir, 0o755)
        self.socket = self.dir / "nri.sock"
        (self.dir / "opt").mkdir()
        shutil.copy(ROOT / "out/bin/nono", self.dir / "opt/nono")
        self.driver = self._driver()
        self.state: Path | None = None  # nono-nri's, if not one of its own
        self.plugins: list[subprocess.Popen] = []
        self.prefix: list = []  # what nono-nri runs under
        self.program = NONO_NRI

    def _driver(self) -> subprocess.Popen:
        return subprocess.Popen([harness.build_driver(self.version)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _end_driver(self) -> None:
        self.driver.kill()
        self.driver.wait()
        self.driver.stdin.close()
        self.driver.stdout.close()

    def close_plugins(self) -> None:
        for p in self.plugins:
            p.kill()
            p.wait()

    def close(self) -> None:
        self.close_plugins()
        self._end_driver()
        shutil.rmtree(self.dir)

    def again(self) -> None:
        """The runtime is killed, and another one takes its place."""
        self._end_driver()
        self.driver = self._driver()
        self.start()
        self.wait(len(self.plugins))

    def call(self, op: str, **kw) -> dict:
        self.driver.stdin.write(json.dumps({"Op": op, **kw}) + "\n")
        self.driver.stdin.flush()
        answer = json.loads(self.driver.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"{op}: {answer['error']}\n" + "".join(p.read_text()[-2000:] for p in self.dir.glob("log*")))
        return answer

    def start(self, **kw) -> "Runtime":
        for folder in ("plugins", "conf"):
            (self.dir / folder).mkdir(exist_ok=True)
        self.call("start", Socket=str(self.socket), PluginPath=str(self.dir / "plugins"), ConfigPath=str(self.dir / "conf"),
                  Runtime="containerd", Version=self.version.runtime, RegistrationMS=harness.PATIENCE_MS, RequestMS=harness.PATIENCE_MS, **kw)
        return self

    def wait(self, plugins: int) -> None:
        self.call("wait", Synced=plugins, Timeout=harness.DEADLINE)

    def spawn(self, argv: list, **env) -> subprocess.Popen:
        with open(self.dir / f"log{len(self.plugins)}", "w") as log:
            p = subprocess.Popen(list(map(str, argv)), stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **env})
        self.plugins.append(p)
        return p

    def lives(self, handler: str, n: int) -> dict:
        return self.call("lives", Lives=n, **request(handler))

    def used(self) -> float:
        return sum(cpu(p.pid) for p in self.plugins)

    # plugins: each takes the index at which it comes

    def ours(self, guarded: bool, index: str = "10", to: Path | None = None) -> subprocess.Popen:
        folder = self.dir / f"ours{index}"
        folder.mkdir()
        (folder / "config").write_text(f'runtime_classes = ["nono-runc"]\ndefault_profile = "default"\n'
                                       f'nono_bin_path = "{self.dir}/opt/nono"\nsocket_path = "{to or self.socket}"\n')
        node = ""
        if guarded:
            node = folder / "node"
            node.mkdir(mode=0o755)
            text = "kubefence-runtime 1\nruntime nono-runc /usr/bin/runc\n"
            (node / "runtime").write_text(text + f"sum {hashlib.sha256(text.encode()).hexdigest()}\n")
        return self.spawn([*self.prefix, self.program, "--config", folder / "config", "--state-dir", self.state or folder / "state", "--node-dir", node, "--denials-dir", "",
                           *(["--guard-dir", folder / "records"] if guarded else [])], NRI_PLUGIN_IDX=index)

    def reference(self, index: str = "10", answer: Path | None = None, events: int = CREATE) -> subprocess.Popen:
        return self.spawn([BUILD / "tests/bench-nri/reference", self.socket, index, events, *([answer] if answer else [])])

    def go(self, answer: Path) -> subprocess.Popen:
        return self.spawn([harness.build_driver(self.version), "plugin", "sandbox", "go", "10", self.socket, answer, self.dir / "state"])
