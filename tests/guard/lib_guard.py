# SPDX-License-Identifier: Apache-2.0
"""A node with nothing but a guard and a real runtime, and bundles for it.

    node = Node("/usr/sbin/runc")        # /opt/kubefence and the launcher in a directory of its own
    b = node.bundle(["sh", "-c", "id"])  # .config may be changed before .write()
    r = node.run(b)                      # through the guard; node.run(b, bare=True) is the control
"""
import contextlib
import copy
import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import kubelet  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("KUBEFENCE_BIN") or ROOT / "out/bin")
RECORDS = Path("/run/kubefence/guard")
PLACEHOLDERS = Path("/run/kubefence/readonly")
DEADLINE = 180  # of one call on a busy machine
APPLETS = "sh echo id ls pwd cat touch sleep grep env true false kill mkdir mv rm ln tty head wc seq dd mount stat umount".split()


def own_mount_namespace() -> None:
    """crun 1.8 refuses hybrid cgroups: hide the v2 half, for this process and what it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000) or libc.mount(None, b"/", None, 0x40000 | 0x4000, None):
        raise OSError(ctypes.get_errno(), "unshare")
    libc.umount2(b"/sys/fs/cgroup/unified", 2)


def summed(text: str) -> str:
    return f"{text}sum {hashlib.sha256(text.encode()).hexdigest()}\n"


@dataclass
class Result:
    code: int
    out: str
    err: str


@dataclass
class Bundle:
    dir: Path
    config: dict
    original: dict = field(default_factory=dict)

    def write(self) -> "Bundle":
        (self.dir / "config.json").write_text(json.dumps(self.config))
        self.original = copy.deepcopy(self.config)
        return self

    def read(self) -> dict:
        return json.loads((self.dir / "config.json").read_text())

    @property
    def rootfs(self) -> Path:
        return self.dir / "rootfs"


class Node:
    def __init__(self, runtime: str, handler: str = "nono-runc", flavour: str = "containerd"):
        self.runtime, self.handler, self.flavour = str(runtime), handler, flavour
        self.dir = Path(tempfile.mkdtemp(prefix="kf-guard-", dir="/tmp"))
        self.dir.chmod(0o755)
        self.root = self.dir / "state"
        self.guard_path = self.dir / "opt/bin" / handler
        self.launcher = self.dir / "launcher/nono"
        for d in ("opt/bin", "launcher", "bundles"):
            (self.dir / d).mkdir(parents=True, mode=0o755)
        shutil.copy(BIN / "nono-runc", self.guard_path)
        shutil.copy(BIN / "nono", self.launcher)
        self.settings()
        self.runtimes()
        self.base = self.dir / "rootfs"
        for d in ("bin", "etc", "tmp", "proc", "dev", "sys", "root", "run", "work", "home/user"):
            (self.base / d).mkdir(parents=True)
        (self.base / "tmp").chmod(0o1777)
        shutil.copy("/bin/busybox", self.base / "bin/busybox")
        for a in APPLETS:
            (self.base / "bin" / a).symlink_to("busybox")
        (self.base / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nu:x:1000:1000::/home/user:/bin/sh\n")
        self.n = 0

    def settings(self, default: str = "default", exec_: str = "sandbox", seccomp: str = "restricted", allowed=(), log: str = "") -> None:
        self.write("settings", summed(
            f"kubefence-settings 1\nhandler {self.handler}\ndefault {default}\nlauncher {self.launcher}\n"
            + "".join(f"allowed {a}\n" for a in allowed) + f"seccomp {seccomp}\nexec {exec_}\n{log}"))

    def runtimes(self, path: str = "") -> None:
        self.write("runtime", summed(f"kubefence-runtime 1\nruntime {self.handler} {path or self.runtime}\n"))

    def write(self, name: str, text: str) -> Path:
        p = self.dir / "opt" / name
        p.unlink(missing_ok=True)
        p.write_text(text)
        return p

    def profile(self, name: str, *rules: str) -> Path:
        """A compiled profile beside the launcher; from the first on, the built-ins are off."""
        d = self.dir / "launcher/profiles"
        d.mkdir(exist_ok=True)
        (d / name).write_text(summed(f"nono-policy 1\nname {name}\n" + "".join(f"{r}\n" for r in rules)))
        return d / name

    def bundle(self, args: list[str], image: dict | None = None, **process) -> Bundle:
        """A container as a kubelet's, with a HOME and a work directory that exist; @process replaces keys of its process.
        @image: path -> bytes, Path (symlink target) or None (directory), over the base image."""
        self.n += 1
        d = self.dir / f"bundles/b{self.n}"
        d.mkdir()
        shutil.copytree(self.base, d / "rootfs", symlinks=True)
        for path, what in (image or {}).items():
            p = d / "rootfs" / path.lstrip("/")
            p.parent.mkdir(parents=True, exist_ok=True)
            if what is None:
                p.mkdir(exist_ok=True)
            elif isinstance(what, Path):
                p.symlink_to(what)
            else:
                p.write_bytes(what)
                p.chmod(0o755)
        return Bundle(d, kubelet.config(d, args, flavour=self.flavour, **{"cwd": "/work", "env": ["HOME=/home/user"], **process}))

    def command(self, *args, bare: bool = False, root: Path | None = None) -> list[str]:
        return [self.runtime if bare else str(self.guard_path), "--root", str(root or self.root), *map(str, args)]

    def call(self, *args, bare: bool = False, **kw) -> Result:
        return self.call_line(*self.command(*args, bare=bare), **kw)

    def call_line(self, *line, **kw) -> Result:
        """A runtime command.  Its output goes to files: a detached container may keep them open."""
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("timeout", DEADLINE)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            p = subprocess.run(line, stdout=out, stderr=err, check=False, **kw)
            out.seek(0)
            err.seek(0)
            return Result(p.returncode, out.read().decode(errors="replace"), err.read().decode(errors="replace"))

    def id(self) -> str:
        self.n += 1
        return f"{self.dir.name}-{self.n}"

    def run(self, b: Bundle, bare: bool = False, *flags, **kw) -> Result:
        return self.call("run", "--bundle", b.dir, *flags, self.id(), bare=bare, **kw)

    def start(self, b: Bundle, *flags, bare: bool = False, cid: str = "", **kw) -> str:
        """Create and start; the ID."""
        cid = cid or self.id()
        for c in (("create", "--bundle", b.dir, *flags, cid), ("start", cid)):
            r = self.call(*c, bare=bare, **kw)
            if r.code:
                raise RuntimeError(f"{c[0]}: {r.err}{r.out}")
        return cid

    def exec(self, cid: str, *args: str, bare: bool = False, file: bool = True, **process) -> Result:
        if not file:
            return self.call("exec", "--cwd", "/work", cid, *args, bare=bare)
        p = self.dir / "process.json"
        p.write_text(json.dumps({
            "args": list(args), "cwd": "/work", "env": ["PATH=/bin", "HOME=/home/user"],
            "user": {"uid": 0, "gid": 0}, **process}))
        return self.call("exec", "--process", p, cid, bare=bare)

    def delete(self, cid: str, bare: bool = False) -> Result:
        return self.call("delete", "--force", cid, bare=bare)

    def close(self) -> None:
        if self.root.is_dir():
            for cid in os.listdir(self.root):
                self.call("delete", "--force", cid, bare=True)
        for r in [*RECORDS.glob("*"), *PLACEHOLDERS.glob("[!.]*")]:
            with contextlib.suppress(FileNotFoundError):  # other tests have theirs there, too
                if f" {self.dir}/" in r.read_text(errors="replace"):
                    r.unlink()
        shutil.rmtree(self.dir, ignore_errors=True)


# What a process may do, said by itself.
PROBE = (
    "try() { n=$1; shift; if \"$@\" >/dev/null 2>&1; then echo $n=yes; else echo $n=no; fi; }; w() { echo x >$1; }; "
    "try etc w /etc/kf; try bin w /bin/kf; try tmp w /tmp/kf; try work w /work/kf; try read cat /etc/passwd; "
    "try token cat /run/secrets/token; try nnp grep -q 'NoNewPrivs:.*1' /proc/self/status"
)
SANDBOXED = {"etc": False, "bin": False, "tmp": True, "work": True, "read": True, "token": False, "nnp": True}
PLAIN = {"etc": True, "bin": True, "tmp": True, "work": True, "read": True, "token": True, "nnp": False}


def answers(r: Result) -> dict:
    return {k: v == "yes" for k, _, v in (line.partition("=") for line in r.out.splitlines()) if v in ("yes", "no")}
