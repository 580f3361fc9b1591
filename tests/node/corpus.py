# SPDX-License-Identifier: Apache-2.0
"""Every configuration file of corpus/LINE: planned, applied, judged by the real containerd, undone."""
import tomllib
from pathlib import Path

from node_root import GUARD, NRI, NodeRoot, runtimes, without_ours

CORPUS = Path(__file__).resolve().parent / "corpus"
ABSENT = "absent"  # a node without any configuration file
# refused-* must be refused with these words; nothing may be written then.
REFUSED = {
    "refused-version-1": "config migrate",
    "refused-version-1-spelled": "config migrate",
    "refused-duplicate-table": "config.toml:4:",
    "refused-array-in-the-way": "array",
    "refused-value-in-the-way": "cannot decode",
    "refused-version-5": "version 5",
    "refused-not-toml": "config.toml:2:",
    "refused-bom": "invalid character",  # containerd's own words
    "refused-old-name": "version 2's name",
}
NO_GUARD = {"handler-is-kata"}  # the handler exists and is not of runc's type


def lines_survive(before: bytes, after: bytes) -> bool:
    """The lines of @before are in @after, in order; a few that hold a changed value may differ."""
    rest, lost = after.splitlines(keepends=True), 0
    for line in before.splitlines(keepends=True):
        line = line if line.endswith(b"\n") else line + b"\n"
        if line in rest:
            rest = rest[rest.index(line) + 1:]
        else:
            lost += 1
    return lost <= 6


def one(t, line: str, name: str, program: Path, text: bytes | None, modern: bool) -> None:
    what = f"{line}/{name}"
    with NodeRoot(program, config=text) as n:
        n.write("/usr/bin/nvidia-container-runtime", b"", 0o755)
        n.write("/usr/bin/crun", b"", 0o755)
        if name == "imports-two":
            n.write("/etc/containerd/one.toml", "version = 3\n")
        clean = n.snapshot()
        code, said, err = n.node("plan")
        t.ok(n.snapshot() == clean, f"{what}: plan writes nothing")
        if name.startswith("refused"):
            code2, said2, err2 = n.node("install")
            words = REFUSED[name]
            t.ok(code == 1 and code2 == 1 and words in err and words in err2, f"{what}: refused with the reason", err + err2)
            t.equal(n.read("/etc/containerd/config.toml"), text, f"{what}: file untouched")
            return
        t.ok(code == 0, f"{what}: planned", err)
        before = n.dump()
        config = n.path("/etc/containerd/config.toml")
        if text is not None:
            config.chmod(0o600)
        code, said, err = n.node("install")
        if not t.ok(code == 0, f"{what}: installed, containerd accepts it", err):
            return
        if text is not None:
            t.equal(config.stat().st_mode & 0o7777, 0o600, f"{what}: the file keeps its mode")
        after = n.dump()
        guarded = name not in NO_GUARD
        t.equal(without_ours(after, {"nono-runc": 1} if guarded else {}), without_ours(before, {"nono-runc": 1} if guarded else {}),
                f"{what}: effective configuration differs by what was intended only")
        nri = after["plugins"][NRI]
        good = nri["disable"] is False and nri["socket_path"] == "/var/run/nri/nri.sock"
        if modern:
            good = good and nri["default_validator"]["enable"] is True
        t.ok(good, f"{what}: NRI on, default validator on where there is one", nri)
        if guarded:
            h, all_before = runtimes(after)["nono-runc"], runtimes(before)
            template = all_before.get("nono-runc") or all_before.get("nvidia") or all_before["runc"]
            t.ok(h["options"]["BinaryName"] == GUARD and h["runtime_type"] == "io.containerd.runc.v2"
                 and "nono.sh/*" in h["pod_annotations"] and "nono.sh/*" in h["container_annotations"]
                 and h["options"].get("SystemdCgroup", False) == template.get("options", {}).get("SystemdCgroup", False),
                 f"{what}: handler has the guard, annotations and the default's options", h)
        changed = [f for f in ("/etc/containerd/config.toml",) if n.read(f) != text]
        now = n.read("/etc/containerd/config.toml")
        if changed and text is not None:
            tomllib.loads(now.decode("utf-8-sig"))
            t.ok(lines_survive(text, now), f"{what}: every other line survives", now.decode())
        elif text is not None:
            t.ok(n.read("/etc/containerd/conf.d/90-kubefence.toml") or n.read("/etc/containerd/my.d/90-kubefence.toml"),
                 f"{what}: a drop-in, root file untouched")
        settled = n.snapshot()
        code, said, err = n.node("install")
        t.ok(code == 0 and said.get("state") == "nothing to do" and n.snapshot() == settled,
             f"{what}: a second run has nothing to do and writes nothing", said)
        # An upgrade of the configuration's surroundings: planned anew, same result.
        n.path("/opt/kubefence/node/journal").touch()
        code, said, err = n.node("plan")
        t.ok(code == 0 and said.get("state") == "nothing to do", f"{what}: planned anew, still nothing to do", said)
        code, said, err = n.node("uninstall")
        t.ok(code == 0 and said.get("state") == "done", f"{what}: uninstalled", err)
        t.equal(n.read("/etc/containerd/config.toml"), text, f"{what}: the file is the original byte by byte")
        if text is not None:
            t.equal(config.stat().st_mode & 0o7777, 0o600, f"{what}: and has its mode")
        left = [str(p) for p in n.dir.rglob("*") if p.is_file() and "kubefence" in str(p.relative_to(n.dir)) and p.name != "node.lock"]
        t.ok(not left and not n.path("/opt/nono-nri").exists(), f"{what}: nothing of ours is left", left)


def run(t, tools, everything: bool) -> None:
    files = sorted(CORPUS.glob("*/*.toml"))
    t.ok(len(files) >= 40, f"the corpus has at least 40 files ({len(files)})")
    lines = sorted({f.parent.name for f in files})
    for line in lines:
        # Any newer containerd reads the older versions' files as well.
        used = line if everything else "2.4"
        program = tools.program("containerd", used)
        modern = used not in ("1.7", "2.0", "2.1")
        cases = [(f.stem, f.read_bytes()) for f in files if f.parent.name == line]
        if everything or line in ("1.7", "2.4"):
            cases.append((ABSENT, None))
        for name, text in cases:
            t.case(f"{line}/{name}", one, t, line, name, program, text, modern)
