# SPDX-License-Identifier: Apache-2.0
"""kubefence doctor: what it says about nodes that are fine and nodes that are not."""
import json
import re
import subprocess

from node_root import BIN, GUARD, ROOT, NodeRoot


def doctor(*args, inside=None, root="/"):
    cmd = [BIN / "kubefence", "doctor", "--host-root", root, *args]
    p = subprocess.run(inside(cmd) if inside else list(map(str, cmd)), capture_output=True, text=True, timeout=60)
    return p.returncode, p.stdout, p.stderr


def checks(out: str) -> dict[str, dict]:
    said = json.loads(out)
    return {c["description"]: c for category in said["categories"] for c in category["checks"]}


def run(t, tools, everything: bool) -> None:
    with NodeRoot(tools.program("containerd", "2.1"), config=b"version = 3\n") as n:
        clean = n.snapshot()
        code, out, _ = doctor("-o", "json", root=n.dir)
        found = checks(out)
        t.ok(code == 1 and found["the node is set up"]["result"] == "error" and found["Landlock is available"]["result"] == "success",
             "a node that is not set up: exit 1, and which check failed", out)
        t.ok("nothing is sandboxed here" in found["the plugin runs"]["error"], "... without guard and plugin nothing sandboxes", found["the plugin runs"])
        t.ok(found["its version allows plugin and guard"]["result"] == "warning" and "only the guard" in found["its version allows plugin and guard"]["error"],
             "an old runtime is a warning that says what it allows", out)
        code, out, _ = doctor("-o", "json", "--pre", root=n.dir)
        t.ok("the node is set up" not in checks(out) and "Landlock is available" in checks(out), "--pre leaves out what comes later")
        code, out, _ = doctor("-o", "short", root=n.dir)
        t.ok("√" not in out and "× the node is set up" in out and out.endswith("Status check results are ×\n"), "short: failures only", out)
        code, out, _ = doctor(root=n.dir)
        t.ok("kernel\n------\n√ Landlock is available (ABI" in out and "\033" not in out, "table: headings, marks, no colour in a pipe", out)
        anchors = set(re.findall(r"see docs/doctor.md#(\S+) for hints", out))
        have = set(re.findall(r'^<a id="(\S+)"></a>', (ROOT / "docs/doctor.md").read_text(), re.MULTILINE))
        t.ok(anchors and anchors <= have, "every hint leads to a paragraph of docs/doctor.md", anchors - have)
        source = "".join((ROOT / f"src/kubefence/doctor/{f}").read_text() for f in ("kernel.c", "node.c", "workload.c"))
        named = set(re.findall(r'", "([a-z0-9-]+)",\s*(?:true|false),', source))
        t.ok(len(named) > 15 and named <= have, "... and so would every other check's", named - have)
        recipe = "codex: Start it with --sandbox danger-full-access"
        t.ok(re.search(rf"^√ agents that bring a sandbox of their own .*\n(    .*\n)*    {recipe}", out, re.MULTILINE), "table: the recipes of the built-in agents' profiles", out)
        code, out, _ = doctor("-o", "json", root=n.dir)
        advice = checks(out)["agents that bring a sandbox of their own"]["advice"]
        t.ok(any(a.startswith(recipe) for a in advice) and any(a.startswith("gemini: Do not pass --sandbox") for a in advice), "json: the same", advice)
        t.ok(n.snapshot() == clean, "doctor writes nothing")
        n.path("/opt/nono-nri/profiles").mkdir(parents=True)
        text = subprocess.run([BIN / "kubefence", "profile", "compile", "aider"], check=True, capture_output=True).stdout
        n.path("/opt/nono-nri/profiles/aider").write_bytes(text)
        _, out, _ = doctor("-o", "json", root=n.dir)
        advice = checks(out)["agents that bring a sandbox of their own"]["advice"]
        t.ok(len(advice) == 1 and advice[0].startswith("aider: "), "a node's own published profiles count instead", advice)
        n.path("/opt/nono-nri/profiles/aider").write_bytes(text[:-20])
        _, out, _ = doctor("-o", "json", root=n.dir)
        found = checks(out)["published profiles are valid"]
        t.ok(found["result"] == "error" and "aider" in found["error"], "a damaged one is an error that names it", found)
        n.path("/opt/nono-nri/profiles/aider").unlink()
        n.path("/opt/nono-nri/profiles").rmdir()
        n.node("install")
        _, out, _ = doctor("-o", "json", root=n.dir)
        t.ok("given last" in checks(out)["the plugin runs"]["error"], "control: once it is set up the guard goes on without the plugin", out)
        n.path(GUARD).unlink()
        code, out, _ = doctor("-o", "json", root=n.dir)
        found = checks(out)["every handler of runc's type has the guard"]
        t.ok(code == 1 and found["result"] == "error" and "has no guard" in found["error"], "a handler without its guard is an error", found)
    code, _, err = doctor("-o", "xml")
    t.ok(code == 2 and "xml" in err, "a wrong command line: exit 2")
