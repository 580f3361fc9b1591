# SPDX-License-Identifier: Apache-2.0
"""A host root in a directory: a real containerd, somebody's configuration, kubefence node on it."""
import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

from lib.wait import DEADLINE

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("KUBEFENCE_BIN") or ROOT / "out/bin")
GUARD = "/opt/kubefence/bin/nono-runc"
NRI = "io.containerd.nri.v1.nri"


def place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


# A CRI-O that reads its file and, unless it is told to be broken, our drop-in; the real one's life is in crio.py.
CRIO = """#!/bin/sh
case "$1" in
--version) echo "crio version 1.36.1" ;;
config)
	cat /etc/crio/crio.conf
	[ -e /etc/crio/broken ] || [ ! -e /etc/crio/crio.conf.d/90-kubefence.conf ] || cat /etc/crio/crio.conf.d/90-kubefence.conf ;;
esac
"""


class NodeRoot:
    def __init__(self, program: Path | None = None, at: str = "/usr/bin/containerd",
                 config: bytes | None = None, config_at: str = "/etc/containerd/config.toml", base: str | None = None):
        self.dir = Path(tempfile.mkdtemp(prefix="kf-node-", dir=base))
        self.dir.chmod(0o755)
        self.at, self.config_at = at, config_at
        (self.dir / "run").mkdir()
        if program:
            place(program, self.dir / at.lstrip("/"))
        self.write("/usr/sbin/runc", b"", 0o755)
        if config is not None:
            self.write(config_at, config)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, path: str) -> Path:
        return self.dir / path.lstrip("/")

    def write(self, path: str, data: bytes | str, mode: int = 0o644) -> None:
        p = self.path(path)
        p.parent.mkdir(parents=True, exist_ok=True)
        if p.is_file() and p.stat().st_nlink > 1:
            p.unlink()  # it may be place()'s: a program of the cache, under another name
        p.write_bytes(data.encode() if isinstance(data, str) else data)
        p.chmod(mode)

    def crio(self, config: str) -> None:
        """CRI-O's stand-in, with what it needs to run."""
        for program in (self.path("/bin/sh"), self.path("/bin/cat")):
            if not program.exists():
                place(shutil.which("busybox"), program)
        self.write("/usr/bin/crio", CRIO, 0o755)
        self.write("/etc/crio/crio.conf", config)

    def read(self, path: str) -> bytes | None:
        p = self.path(path)
        return p.read_bytes() if p.exists() else None

    def node(self, command: str, *args: str, restart: bool = False, prefix=(), env=None):
        """kubefence node COMMAND -o json: (exit code, the object, standard error)."""
        cmd = [*prefix, BIN / "kubefence", "node", command, "--host-root", self.dir, "-o", "json",
               *([] if restart else ["--no-restart"]), *args]
        p = subprocess.run(list(map(str, cmd)), capture_output=True, text=True, timeout=120, env=env)
        try:
            return p.returncode, json.loads(p.stdout), p.stderr
        except ValueError:
            return p.returncode, {}, p.stdout + p.stderr

    def raw_dump(self) -> str:
        what = ["--config", self.config_at, "config", "dump"] if self.path(self.config_at).exists() else ["config", "default"]
        p = subprocess.run(["chroot", self.dir, self.at, *what],
                           capture_output=True, text=True, timeout=DEADLINE)
        if p.returncode:
            raise RuntimeError(f"config dump: {p.stderr}")
        return p.stdout

    def dump(self) -> dict:
        return tomllib.loads(self.raw_dump())

    def snapshot(self) -> dict:
        """Every file's identity, contents' age and mode: equal means that nothing was written."""
        out = {}
        for base, dirs, files in os.walk(self.dir):
            for name in dirs + files:
                s = os.lstat(os.path.join(base, name))
                out[os.path.join(base, name)] = (s.st_ino, s.st_size, s.st_mtime_ns, s.st_mode)
        return out


def runtimes(dump: dict) -> dict:
    cri = "io.containerd.cri.v1.runtime" if dump["version"] >= 3 else "io.containerd.grpc.v1.cri"
    return dump["plugins"][cri]["containerd"]["runtimes"]


def without_ours(dump: dict, handlers: dict, nri_too: bool = True) -> dict:
    """@dump less what install is meant to change."""
    d = json.loads(json.dumps(dump, default=str))
    d.pop("imports", None)
    for h in handlers:
        runtimes(d).pop(h, None)
    if nri_too:
        nri = d["plugins"].get(NRI, {})
        for key in ("disable", "disable_connections", "socket_path", "plugin_path", "plugin_config_path"):
            nri.pop(key, None)
        nri.get("default_validator", {}).pop("enable", None)
    return d


def changed_files(before: dict, after: dict, root: Path) -> list[str]:
    return sorted(k[len(str(root)):] for k in set(before) | set(after) if before.get(k) != after.get(k))
