# SPDX-License-Identifier: Apache-2.0
"""OCI images made on the spot from this machine's own files, no network.

    images.busybox()      Debian's static busybox with all its applets
    images.glibc()        dynamic programs: bash, coreutils and what they load; python=True adds python3
    images.build("localhost/mine:1", {"app": b"...", "link": Symlink("/nono")}, base=images.busybox())

Each is an Image(ref, tar), made once per content and kept in the cache.
"""
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from . import tools

PAUSE = "localhost/kubefence/pause:1"


@dataclass
class Image:
    ref: str
    tar: Path
    layers: list[bytes] = field(repr=False, default_factory=list)
    config: dict = field(default_factory=dict)


@dataclass
class Symlink:
    target: str


@dataclass
class File:
    """A file with a mode (and owner) of its own; @data is bytes or a path to copy."""

    data: bytes | Path
    mode: int = 0o755
    uid: int = 0


class Dir(File):
    def __init__(self, mode: int = 0o755, uid: int = 0):
        super().__init__(b"", mode, uid)


def _layer(files: dict) -> bytes:
    buf = io.BytesIO()
    made = set()
    with tarfile.open(fileobj=buf, mode="w", format=tarfile.PAX_FORMAT) as t:

        def parents(name: str) -> None:
            parent = os.path.dirname(name)
            if parent and parent not in made and parent not in files:
                parents(parent)
                made.add(parent)
                info = tarfile.TarInfo(parent)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                t.addfile(info)

        for name, what in sorted(files.items()):
            name = name.lstrip("/")
            parents(name)
            info = tarfile.TarInfo(name)
            if isinstance(what, Symlink):
                info.type, info.linkname = tarfile.SYMTYPE, what.target
                t.addfile(info)
                continue
            if not isinstance(what, File):
                what = File(what)
            info.mode, info.uid = what.mode, what.uid
            if isinstance(what, Dir):
                info.type = tarfile.DIRTYPE
                made.add(name)
                t.addfile(info)
            else:
                data = what.data.read_bytes() if isinstance(what.data, Path) else what.data
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))
    return buf.getvalue()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def build(ref: str, files: dict, *, base: Image | None = None, **config) -> Image:
    """An image with @files on top of @base.  Values are bytes, a Path to copy, or
    File, Dir or Symlink; keyword arguments are the OCI config's: Entrypoint, Cmd,
    Env (a list), User, WorkingDir, Volumes ..."""
    layers = [*(base.layers if base else []), _layer(files)]
    merged = {**(base.config if base else {}), **config}
    media = "application/vnd.oci.image"
    arch = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    cfg = json.dumps(
        {
            "architecture": arch,
            "os": "linux",
            "config": merged,
            "rootfs": {"type": "layers", "diff_ids": [_digest(x) for x in layers]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{media}.manifest.v1+json",
            "config": {"mediaType": f"{media}.config.v1+json", "digest": _digest(cfg), "size": len(cfg)},
            "layers": [
                {"mediaType": f"{media}.layer.v1.tar", "digest": _digest(x), "size": len(x)} for x in layers
            ],
        }
    ).encode()
    index = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{media}.index.v1+json",
            "manifests": [
                {
                    "mediaType": f"{media}.manifest.v1+json",
                    "digest": _digest(manifest),
                    "size": len(manifest),
                    "platform": {"architecture": arch, "os": "linux"},
                    "annotations": {
                        "io.containerd.image.name": ref,
                        "org.opencontainers.image.ref.name": ref.rsplit(":", 1)[-1],
                    },
                }
            ],
        }
    ).encode()
    out = tools.cache() / "images" / f"{hashlib.sha256(index).hexdigest()[:16]}.tar"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        fresh = out.with_suffix(f".{os.getpid()}")
        with tarfile.open(fresh, "w") as t:
            blobs = {f"blobs/sha256/{_digest(b)[7:]}": b for b in [*layers, cfg, manifest]}
            for name, data in {
                "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
                "index.json": index,
                **blobs,
            }.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o644
                t.addfile(info, io.BytesIO(data))
        fresh.rename(out)
    return Image(ref, out, layers, merged)


def _skeleton() -> dict:
    dirs = ("bin", "dev", "etc", "home", "home/user", "proc", "root", "run", "sys", "usr", "var", "work")
    files: dict = {d: Dir() for d in dirs}
    files["home/user"] = Dir(uid=1000)
    files["tmp"] = Dir(0o1777)
    files["var/run"] = Symlink("/run")
    files["usr/open"] = Dir(0o1777)  # anybody may write here, but for the sandbox
    files["etc/passwd"] = File(b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n", 0o644)
    files["etc/group"] = File(b"root:x:0:\nuser:x:1000:\n", 0o644)
    files["etc/shadow"] = File(b"root:*:19000:0:99999:7:::\n", 0o600)
    return files


def _busybox() -> Path:
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.path.exists(path):
            return Path(path)
    raise tools.ToolError("no busybox: run 'scripts/bootstrap test'")


def busybox() -> Image:
    files = _skeleton()
    binary = _busybox()
    files["bin/busybox"] = binary
    applets = subprocess.run([binary, "--list"], capture_output=True, text=True, check=True).stdout.split()
    files |= {f"bin/{a}": Symlink("busybox") for a in applets if a != "busybox"}
    return build("localhost/kubefence/busybox:1", files, Env=["PATH=/bin:/usr/bin"])


def pause() -> Image:
    files = {"bin/busybox": _busybox(), "bin/sleep": Symlink("busybox")}
    return build(PAUSE, files, Env=["PATH=/bin"], Entrypoint=["/bin/sleep", "infinity"])


def _loads(binary: Path) -> set[str]:
    """The loader and libraries of a dynamic program."""
    out = subprocess.run(["ldd", binary], capture_output=True, text=True).stdout
    return set(re.findall(r"(/\S+\.so\S*)", out))


def glibc(python: bool = False) -> Image:
    """Debian's own dynamic programs, laid out as on a merged-usr system; python adds
    python3 and its library (a second more to import)."""
    files = _skeleton()
    del files["bin"]
    for top in ("bin", "sbin", "lib", "lib64"):
        files[top] = Symlink(f"usr/{top}")
        files[f"usr/{top}"] = Dir()
    programs = [
        Path(p)
        for p in map(
            shutil.which,
            "bash sh cat ls cp mv rm mkdir ln touch env id stat head tail sleep echo true false chmod "
            "chown dd sed grep pwd tty uname wc sort test printf readlink mount unshare nsenter".split(),
        )
        if p
    ]
    if python:
        real = Path("/usr/bin/python3").resolve()
        programs.append(real)
        files["usr/bin/python3"] = Symlink(real.name)
        lib = Path(f"/usr/lib/{real.name}")
        skip = {"__pycache__", "test", "idlelib", "lib2to3", "ensurepip", "tkinter", "dist-packages", "pydoc_data"}
        for d, subdirs, names in os.walk(lib):
            subdirs[:] = [s for s in subdirs if s not in skip]
            for n in names:
                p = Path(d, n)
                if p.suffix in (".py", ".so") and p.exists():
                    files[str(p)] = File(p, 0o644)
        programs += [p for p in lib.glob("lib-dynload/*.so")]
    libraries: set[str] = set()
    for p in programs:
        name = str(p)
        if name.startswith(("/bin/", "/sbin/")):
            name = "/usr" + name
        files[name.lstrip("/")] = File(Path(os.path.realpath(p)))
        libraries |= _loads(p)
    for lib in libraries:
        name = lib if lib.startswith("/usr/") else "/usr" + lib
        files[name.lstrip("/")] = File(Path(os.path.realpath(lib)))
    files = {k.lstrip("/"): v for k, v in files.items()}
    return build(f"localhost/kubefence/glibc{'-python' if python else ''}:1", files, Env=["PATH=/usr/bin"])
