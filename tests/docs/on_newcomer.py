# SPDX-License-Identifier: Apache-2.0
"""A newcomer's four stages, one after the other, with the time that each takes: the tree builds and shows what it does; a
profile of one's own; a cluster that uses it; and "why was it denied?", answered and mended by what the programs say."""
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import commands
from lib import node
from lib.tap import Tap

sys.path.append(str(commands.ROOT / "tests/e2e"))
from cluster import chart, pods  # noqa: E402


class Stage:
    """Prints how long the stage took."""

    def __init__(self, name: str):
        self.name = name

    def __enter__(self) -> None:
        self.start = time.monotonic()

    def __exit__(self, *_) -> None:
        print(f"# {self.name}: {time.monotonic() - self.start:.0f} s", flush=True)


def sh(command: str, cwd: Path) -> subprocess.CompletedProcess:
    env = {**os.environ, "PATH": f"{node.BIN}:{os.environ['PATH']}", "HOME": str(cwd)}
    return subprocess.run(["bash", "-c", command], cwd=cwd, env=env, capture_output=True, text=True)


def build(t: Tap, where: Path) -> None:
    """A clone of the tree as it is, from nothing but a compiler's cache."""
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=commands.ROOT, check=True, capture_output=True)
    (where / "list").write_bytes(names.stdout)
    p = sh(f"mkdir clone && cd {commands.ROOT} && tar -c --null -T {where}/list | tar -x -C {where}/clone && cd {where}/clone && make -s && make -s demo", where)
    t.ok(p.returncode == 0 and "sandbox" in p.stdout, "build: make, and make demo shows what is refused", (p.stdout + p.stderr)[-2000:])


def profile(t: Tap, where: Path) -> dict:
    """The newcomer's: what it lets and does not let, before anything is on a cluster."""
    (where / "data").mkdir()
    (where / "data/rows").write_text("1\n")
    p = sh("kubefence profile init mine", where)
    t.ok(p.returncode == 0 and (where / "mine.json").is_file(), "own profile: init writes a file", p)
    (where / "mine.json").write_text('{"extends": "strict", "filesytem": {"read": ["/data"]}}')
    p = sh("kubefence profile validate mine.json", where)
    t.ok(p.returncode == 1 and "filesystem" in p.stdout + p.stderr, "own profile: a misspelt key is named, with what was meant", p)
    mine = {"extends": "strict", "filesystem": {"read": ["/data"]}}
    (where / "mine.json").write_text(json.dumps(mine))
    t.ok(sh("kubefence profile validate mine.json", where).returncode == 0, "own profile: corrected, it is valid")
    run = "kubefence try -p mine.json -v $PWD/data:/data -- sh -c 'cat /data/rows; echo x >/data/rows'"
    p = sh(run, where)
    t.ok("1\n" in p.stdout and p.returncode != 0 and "denied" in p.stdout + p.stderr, "own profile: try reads /data, and may not write there", p)
    return mine


def why(t: Tap, i: chart.Installed, mine: dict) -> None:
    """The sandbox says which rule decides and what would allow it; that is put in, and then it works."""
    r = i.k.exec("newcomer", "sh", "-c", "echo x >/data/rows")
    t.ok(r.code != 0, "why: the pod may not write /data", r)
    r = i.k.exec("newcomer", "/nono/nono", "why", "--path", "/data/rows", "--op", "write")
    t.ok("denied" in r.out and "mine" in r.out, "why: nono why in the pod names the profile", r)
    nono = ["env", f"PATH={i.k.bin}:/usr/bin:/bin", str(node.BIN / "kubectl-nono")]
    r = i.k.tool(Path("/usr/bin/env"), *nono[1:], "explain", "newcomer", check=False)
    t.ok(r.code == 0 and re.search(r"\bmine\b", r.out), "why: kubectl nono explain says which profile the pod has, and why", r)
    mine["filesystem"]["write"] = ["/data"]
    apply(i, mine)
    # The ConfigMap reaches the node within the kubelet's period; a new pod then has the new profile.
    end = time.monotonic() + 180
    while True:
        i.k.kubectl("delete", "pod", "newcomer", "--wait=true")
        start_pod(i)
        r = i.k.exec("newcomer", "sh", "-c", "echo x >/data/rows && cat /data/rows")
        if r.code == 0 or time.monotonic() > end:
            break
    t.ok(r.code == 0 and r.out == "x\n", "why: with the rule added, a new pod may", r)


def apply(i: chart.Installed, mine: dict) -> None:
    values = i.k.c.dir / "mine.json"
    values.write_text(json.dumps({"profiles": {"mine": mine}}))
    i.helm("upgrade", "kf", str(chart.CHART), "--wait", "-f", str(values))


def start_pod(i: chart.Installed) -> None:
    spec = pods.pod("newcomer", "sleep 600", annotations={"nono.sh/profile": "mine"}, main={"volumeMounts": [{"name": "out", "mountPath": "/data"}]})
    i.k.apply(spec)
    i.k.wait_pod("newcomer", deadline=180)


def run(t: Tap, _pages: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="kf-newcomer-") as name:
        where = Path(name)
        with Stage("stage 1, build and demo"):
            build(t, where)
        with Stage("stage 2, a profile of one's own"):
            mine = profile(t, where)
        with chart.Installed(t) as i:
            with Stage("stage 3, a cluster that uses it"):
                i.helm("install", "kf", str(chart.CHART))
                i.wait_ready()
                i.k.wait_handler("nono-runc")
                apply(i, mine)
                start_pod(i)
                t.ok(i.k.exec("newcomer", "ls", "/data").code == 0, "cluster: a pod runs under the profile, and reads /data")
            with Stage("stage 4, why was it denied?"):
                why(t, i, mine)
