# SPDX-License-Identifier: Apache-2.0
"""Debian's crun behind a runtime and a kubelet that are newer than it.

    with Containerd(runc=crun.PATH, cgroup1=True, prepare=crun.install) as c: ...
    crun.front(c, "/opt/kf/runc", tools.program("runc"))        # for runc the same, where only the machine lacks something

A program in front of it leaves out of a bundle what crun 1.8 does not know (the specification's newer versions, "no limit"
of processes) and what this machine may lack (huge pages, the right to lower a process's OOM score). It stands where crun
would: the guard comes before it, and sees the bundle as the caller made it.

    crun.newest()       # the program of Debian's unstable distribution, with the libraries that it wants
"""
import shutil
import subprocess
import sys
from pathlib import Path

from . import unstable
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
    return unstable.unpacked("crun", _arrange) / "usr/bin/crun"


def _arrange(fresh: Path, out: Path) -> None:
    """It finds its own libraries once it lies at @out."""
    libraries = next(fresh.glob("usr/lib/*/libc.so.6")).parent.relative_to(fresh)
    (loader,) = (fresh / libraries).glob("ld-linux-*")
    subprocess.run(["patchelf", "--set-interpreter", out / libraries / loader.name, "--force-rpath", "--set-rpath", out / libraries,
                    fresh / "usr/bin/crun"], check=True)
