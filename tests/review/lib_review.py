# SPDX-License-Identifier: Apache-2.0
"""Pods with a reviewed volume, and trees as Python sees them.

    with Pod(node) as pod:              # one container, volume at /work; pod.volume is what lies on the node
        pod.seen                        # the overlay, as the container has it
        pod.kubefence("diff")           # the command, about this pod
"""
import hashlib
import os
import stat
import subprocess
import sys
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "guard"), str(HERE.parent)]
from lib_guard import BIN, Bundle, Node, Result  # noqa: E402

KEPT, RUN = Path("/var/lib/kubefence/review"), Path("/run/kubefence/review")
SPECIAL = (stat.S_ISFIFO, stat.S_ISSOCK, stat.S_ISCHR, stat.S_ISBLK)


def kubefence(command: str, *args, prefix=(), **kw) -> Result:
    p = subprocess.run([*prefix, BIN / "kubefence", "review", command, *args], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, errors="surrogateescape", check=False, **kw)
    return Result(p.returncode, p.stdout, p.stderr)


def use_cgroup2() -> None:
    """In this mount namespace, the machine's cgroups of the second version in the place where a machine that has no others has them."""
    subprocess.run(["mount", "-t", "cgroup2", "cgroup2", "/sys/fs/cgroup"], check=True)


def cgroup2() -> bool:
    return os.path.exists("/sys/fs/cgroup/cgroup.controllers")


class Pod:
    def __init__(self, node: Node, *, plugin: str = "kubernetes.io~empty-dir", value: str = "review", volume: Path | None = None,
                 start: bool = True, fill=None):
        self.node, self.uid, self.value = node, str(uuid.uuid4()), value
        self.name = f"pod-{self.uid[:8]}"
        self.dir = node.dir / f"pods/{self.uid}"
        self.volume = volume or self.dir / f"volumes/{plugin}/work"
        self.volume.mkdir(parents=True, exist_ok=True)
        self.seen = RUN / self.uid / "work/merged"
        self.store = KEPT / self.uid / "work/store"
        self.ids: list[str] = []
        if fill:
            fill(self.volume)
        if start:
            self.start()

    def bundle(self, args=("sleep", "3600"), source: Path | None = None, at: str = "/work", options=("rbind", "rprivate", "rw"),
               annotations: dict | None = None, reviewed: bool = True) -> Bundle:
        b = self.node.bundle(list(args))
        b.config["annotations"].update({
            "io.kubernetes.cri.sandbox-uid": self.uid, "io.kubernetes.cri.sandbox-name": self.name,
            "io.kubernetes.cri.sandbox-namespace": "team", **({"nono.sh/volume.work": self.value} if reviewed else {}), **(annotations or {})})
        if cgroup2():  # controllers may be with the first version
            b.config["linux"]["resources"] = {"devices": b.config["linux"]["resources"]["devices"]}
        # What the kubelet mounts into every container.
        log = self.dir / "containers/main/0"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        b.config["mounts"] = [m for m in b.config["mounts"] if m["destination"] != "/dev/termination-log"] + [
            {"destination": "/dev/termination-log", "type": "bind", "source": str(log), "options": ["rbind", "rprivate", "rw"]},
            {"destination": at, "type": "bind", "source": str(source or self.volume), "options": list(options)}]
        return b.write()

    def start(self, *args, **kw) -> str:
        cid = self.node.start(self.bundle(*args, **kw))
        self.ids.append(cid)
        return cid

    def stop(self) -> None:
        for cid in self.ids:
            self.node.delete(cid)
        self.ids.clear()

    def sh(self, script: str, cid: str = "") -> Result:
        return self.node.exec(cid or self.ids[-1], "sh", "-c", script)

    def kubefence(self, command: str, *args, **kw) -> Result:
        return kubefence(command, self.uid, *args, **kw)

    def __enter__(self) -> "Pod":
        return self

    def __exit__(self, *_) -> None:
        self.stop()
        if (KEPT / self.uid).exists():
            self.kubefence("discard")


def attributes(path: bytes) -> dict[str, bytes]:
    return {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)
            if n.startswith(("user.", "system.posix_acl_"))}


def entry(path: bytes, st: os.stat_result):
    kind, times = stat.S_IFMT(st.st_mode), ()
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as f:
            what = hashlib.file_digest(f, "sha256").hexdigest()
        times = (st.st_mtime_ns,)
    elif stat.S_ISLNK(st.st_mode):
        what, times = os.readlink(path), (st.st_mtime_ns,)
    else:
        what = ""
    return (kind, stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, what, *times,
            tuple(sorted(attributes(path).items())) if not stat.S_ISLNK(st.st_mode) else ())


class Tree(dict):
    """What is at each path, and the inode of each regular file."""

    def __init__(self, *args):
        super().__init__(*args)
        self.inodes: dict[bytes, object] = {}

    def same(self, other: "Tree") -> bool:
        return self == other and self.links() == other.links()

    def links(self) -> dict[bytes, bytes]:
        """By path: the first path of the same file."""
        first: dict[object, bytes] = {}
        for path in sorted(self.inodes):
            first.setdefault(self.inodes[path], path)
        return {path: first[inode] for path, inode in self.inodes.items()}


def tree(root: Path) -> Tree:
    """All that is in @root, by path."""
    top = os.fsencode(root)
    found = Tree({b".": entry(top, os.lstat(top))})
    todo = [b""]
    while todo:
        d = todo.pop()
        for name in sorted(os.listdir(os.path.join(top, d) if d else top)):
            path = os.path.join(d, name)
            st = os.lstat(os.path.join(top, path))
            found[path] = entry(os.path.join(top, path), st)
            if stat.S_ISDIR(st.st_mode):
                todo.append(path)
            elif stat.S_ISREG(st.st_mode):
                found.inodes[path] = (st.st_dev, st.st_ino)
    return found


def is_special(e: tuple) -> bool:
    return any(f(e[0]) for f in SPECIAL)


def below(path: bytes, top: bytes) -> bool:
    return path == top or path.startswith(top + b"/")


def committed(seen: Tree, before: Tree, upper: Path) -> Tree:
    """What a volume that was @before has to be when all of @seen is committed: special files are not, nor set-ID bits.
    @upper tells which files are the pod's own, and which are the same: overlayfs shows them with several numbers."""
    special = [p for p, e in seen.items() if is_special(e)]
    want = Tree({p: e for p, e in seen.items() if not is_special(e)})
    # What was in such a place stays, if its directory does.
    for top in special:
        parent = os.path.dirname(top) or b"."
        if before.get(parent, (0,))[0] == stat.S_IFDIR:
            want.update({p: e for p, e in before.items() if below(p, top)})
    for p, e in want.items():
        want[p] = (e[0], e[1] & ~0o6000 if e[0] == stat.S_IFREG else e[1], *e[2:])
        if e[0] == stat.S_IFREG:
            at = os.path.join(os.fsencode(upper), p)
            own = p in seen.inodes and os.path.lexists(at)
            want.inodes[p] = ("own", os.lstat(at).st_ino) if own else ("volume", before.inodes[p])
    return want


def differences(a: Tree, b: Tree) -> str:
    links = [f"links: {p!r}: {a.links().get(p)} / {b.links().get(p)}" for p in a.links() if a.links()[p] != b.links().get(p)]
    return "\n".join([*links[:3], *(f"{p!r}: {a.get(p)} / {b.get(p)}" for p in sorted({*a, *b}) if a.get(p) != b.get(p))])[:2000]
