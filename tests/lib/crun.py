# SPDX-License-Identifier: Apache-2.0
"""Debian's crun behind a runtime and a kubelet that are newer than it.

    with Containerd(runc=crun.PATH, cgroup1=True, prepare=crun.install) as c: ...
    crun.front(c, "/opt/kf/runc", tools.program("runc"))        # for runc the same, where only the machine lacks something

A program in front of it leaves out of a bundle what crun 1.8 does not know (the specification's newer versions, "no limit"
of processes) and what this machine may lack (huge pages, the right to lower a process's OOM score). It stands where crun
would: the guard comes before it, and sees the bundle as the caller made it.

    crun.newest()       # the program of Debian's unstable distribution, with the libraries that it wants
"""
import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from . import tools
from .runtime import Runtime

PATH = "/opt/kf/crun"
PROGRAM = """#!{python} -IS
import json, os, sys
args = sys.argv[1:]
if "--bundle" in args:
    path = args[args.index("--bundle") + 1] + "/config.json"
    with open(path) as f:
        spec = json.load(f)
    spec["ociVersion"] = "1.0.2"
    resources = spec["linux"].get("resources", {{}})
    resources.pop("hugepageLimits", None)
    if resources.get("pids", {{}}).get("limit", 1) <= 0:
        del resources["pids"]
    if spec["process"].get("oomScoreAdj", 0) < 0:
        del spec["process"]["oomScoreAdj"]
    with open(path + ".new", "w") as f:
        json.dump(spec, f)
    os.rename(path + ".new", path)
os.execv("{program}", ["{program}", *args])
"""


def front(c: Runtime, path: str, program: str | Path) -> None:
    c.write(path, PROGRAM.format(python=sys.executable, program=program), 0o755)


def install(c: Runtime) -> None:
    front(c, PATH, shutil.which("crun") or "/usr/bin/crun")


def newest() -> Path:
    """Fetched once, into the cache; what "unstable" is moves, so remove the folder crun-unstable to have it anew."""
    out = tools.cache() / "crun-unstable"
    tools.cache().mkdir(parents=True, exist_ok=True)
    with open(tools.cache() / ".crun-unstable.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.is_dir():
            print("# unpacking crun from Debian's unstable distribution", flush=True)
            _unpack(Path(f"{out}.new"), out)
            Path(f"{out}.new").rename(out)
    return out / "usr/bin/crun"


def _unpack(fresh: Path, out: Path) -> None:
    """The package and what it depends on, as they are; nothing of it is installed or run.  It will lie at @out."""
    shutil.rmtree(fresh, ignore_errors=True)
    # An index that has not been renewed lately is good enough here; signatures are checked all the same.
    subprocess.run(["mmdebstrap", "--quiet", "--variant=extract", "--mode=root", "--include=crun",
                    '--aptopt=Acquire::Check-Valid-Until "false"', "unstable", fresh], check=True, stdin=subprocess.DEVNULL)
    libraries = next(fresh.glob("usr/lib/*/libc.so.6")).parent.relative_to(fresh)
    (loader,) = (fresh / libraries).glob("ld-linux-*")
    subprocess.run(["patchelf", "--set-interpreter", out / libraries / loader.name, "--force-rpath", "--set-rpath", out / libraries,
                    fresh / "usr/bin/crun"], check=True)
