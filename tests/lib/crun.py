# SPDX-License-Identifier: Apache-2.0
"""Debian's crun behind a runtime and a kubelet that are newer than it.

    with Containerd(runc=crun.PATH, cgroup1=True, prepare=crun.install) as c: ...

A program in front of it leaves out of a bundle what crun 1.8 does not know (the specification's newer versions, "no limit"
of processes) and what this machine may lack (huge pages, the right to lower a process's OOM score). It stands where crun
would: the guard comes before it, and sees the bundle as the caller made it.
"""
import shutil
import sys

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
os.execv("{crun}", ["crun", *args])
"""


def install(c: Runtime) -> None:
    c.write(PATH, PROGRAM.format(python=sys.executable, crun=shutil.which("crun") or "/usr/bin/crun"), 0o755)
