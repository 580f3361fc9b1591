# SPDX-License-Identifier: Apache-2.0
"""Spellings of every path that a container brings - mounts, devices, masked and read-only paths - by which something of the pod's could come to lie
where the launcher is reached or reads: each container is sandboxed or refused. A refusal in front of the runtime is cheap, so "quick" takes a sample of what runs, all of what is refused."""
import itertools
import json
import random
import shutil
import sys
from pathlib import Path

from hostile import EVIL, bind
from lib_guard import PROBE, SANDBOXED, answers
from parts import main

from lib import seed

SEED = seed.choose()
SAMPLE = 25  # of what is not refused before the runtime runs
# Where the launcher is reached, or what it reads.
TARGETS = ("/proc", "/proc/self", "/proc/self/fd", "/proc/self/fd/3", "/proc/thread-self/fd", "/proc/1", "/proc/1/fd", "/proc/mounts", "/proc/self/mounts",
           "/proc/self/status", "/proc/net/../fd", "/proc/sys", "/nono", "/")
# What containerd gives every container.
MASKED = ["/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
          "/proc/sched_debug", "/sys/firmware", "/sys/devices/virtual/powercap", "/proc/scsi"]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
FIELDS = ("mount of a directory", "mount of a file", "tmpfs", "device", "masked path", "read-only path")


def spellings(target: str) -> dict[str, dict]:
    """Ways to write @target -> what the image needs for that."""
    first, _, rest = target.lstrip("/").partition("/")
    tail = f"/{rest}" if rest else ""
    return {
        target: {}, f"{target}/": {}, f"/{target}": {}, target.replace("/", "//"): {}, target.replace("/", "/./"): {}, f"{target}/.": {},
        f"/dev/..{target}": {}, f"{target}/x/..": {}, f"/..{target}": {}, f"/./..{target}": {}, f"/proc/sys/../..{target}": {}, f"/proc/net/../../..{target}": {},
        target.lstrip("/"): {}, f".{target}": {}, f"..{target}": {},
        # Symlinks of the image: all of it, its first component, absolute and relative, in a row; and one that ".." goes back from.
        "/l": {"/l": Path(target)}, "/l/": {"/l": Path(target)}, f"/l{tail}": {"/l": Path(f"/{first}")}, f"/d/l{tail}": {"/d/l": Path(f"../{first}")},
        f"/l//.{tail}": {"/l": Path("/k"), "/k": Path(f"../{first}")}, f"/l/..{target}": {"/l": Path("/a/b"), "/a/b": None},
    }


def volume(node) -> Path:
    """Everything that the launcher could take for its own, as programs of the pod's."""
    v = node.dir / "volume"
    for d in ("self/fd", "fd", "1/fd", "thread-self/fd"):
        (v / d).mkdir(parents=True, exist_ok=True)
    for p in ("3", "4", "fd/3", "self/fd/3", "1/fd/3", "thread-self/fd/3", "nono", "mounts", "status", "exe"):
        (v / p).write_bytes(EVIL)
        (v / p).chmod(0o755)
    (v / "mounts").write_text("x / ext4 rw 0 0\nx /etc ext4 rw 0 0\nx /bin ext4 rw 0 0\n")
    return v


def put(node, b, field: str, path: str, source: Path) -> None:
    linux = b.config["linux"]
    if field.startswith("mount"):
        b.config["mounts"].append(bind(source if "directory" in field else source / ("mounts" if path.rstrip("/.").endswith("mounts") else "3"), path))
    elif field == "tmpfs":
        b.config["mounts"].append({"destination": path, "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]})
    elif field == "device":
        linux["devices"] = [{"path": path, "type": "c", "major": 1, "minor": 3, "fileMode": 0o666, "uid": 0, "gid": 0}]
    else:
        linux["maskedPaths" if field == "masked path" else "readonlyPaths"].append(path)


def outcome(node, b, r) -> str:
    """"sandboxed", "closed", or what is wrong; the judge of all cases here."""
    evil = "EVIL" in r.out or (b.rootfs / "etc/evil").exists() or (b.rootfs / "etc/kf").exists()
    if not evil and answers(r) == SANDBOXED:
        return "sandboxed"
    # What the pod covers with its own it takes from itself: less than what is usual is closed too.
    seen = answers(r)
    if not evil and not (seen.get("etc") or seen.get("bin") or seen.get("token")):
        return "closed"
    return f"open: {r.out}{r.err}"


def lexically_refused(path: str) -> bool:
    return not path.startswith("/") or ".." in path.split("/")


def every_spelling_of_every_field(t, node):
    mode = sys.argv[1] if len(sys.argv) > 1 else "quick"
    source = volume(node)
    cases = [(target, path, image, field) for target in TARGETS for path, image in spellings(target).items() for field in FIELDS]
    refused = [c for c in cases if lexically_refused(c[1])]
    rest = [c for c in cases if not lexically_refused(c[1])]
    random.Random(SEED).shuffle(rest)
    if mode == "quick":
        random.Random(SEED).shuffle(refused)
        rest, refused = rest[:SAMPLE], refused[:3 * SAMPLE]
    wrong, seen = [], {"sandboxed": 0, "closed": 0}
    for target, path, image, field in refused + rest:
        b = node.bundle(["sh", "-c", PROBE], image)
        put(node, b, field, path, source)
        r = node.run(b.write())
        what = outcome(node, b, r)
        if what in seen:
            seen[what] += 1
        else:
            wrong.append(f"{field} at {path} (for {target}): {what}")
        if lexically_refused(path) and not (r.code == 1 and "write it as" in r.err):
            wrong.append(f"{field} at {path}: passed on: {r.err}")
        drop(b)
    t.equal(wrong, [], f"{len(refused) + len(rest)} of {len(cases)} spellings, seed {SEED}: {seen['sandboxed']} sandboxed, {seen['closed']} refused or broken; "
            "each relative one and each with '..' is refused before the runtime sees it")


def drop(b) -> None:
    """Thousands of root file systems would fill the disk."""

    shutil.rmtree(b.dir, ignore_errors=True)


def symlinks_of_a_volume(t, node):
    """The symlink lies in a volume that another container could change at any time; it is there before, or comes between mounts."""
    source = volume(node)
    for target, field in itertools.product(("/proc/self/fd", "/proc/1", "/proc/mounts", "../proc/self", "/proc/thread-self/fd/3"), ("mount of a directory", "mount of a file", "masked path")):
        outer = node.dir / "outer"
        outer.mkdir(exist_ok=True)
        (outer / "v").unlink(missing_ok=True)
        (outer / "v").symlink_to(target)
        b = node.bundle(["sh", "-c", PROBE])
        b.config["mounts"].append(bind(outer, "/outer"))
        put(node, b, field, "/outer/v", source)
        r = node.run(b.write())
        t.ok(outcome(node, b, r) in ("sandboxed", "closed"), f"{field} at a volume's symlink to {target}: sandboxed or not running", r)


def rows_that_were_open(t, node):
    source = volume(node)
    # An image's VOLUME comes to the runtime just so from containerd, where no admission policy has seen it.
    for destination in ("/proc/net/../fd", "/dev/../proc/net/../fd", "/proc/sys/../net/../fd"):
        for what, options in (("a pod's mount", ["rbind", "rw"]), ("an image's VOLUME", ["rbind", "rprivate", "rw"])):
            b = node.bundle(["sh", "-c", PROBE])
            b.config["mounts"].append(bind(source, destination, options=options))
            r = node.run(b.write())
            t.ok(r.code == 1 and not r.out and f"mount '{destination}'" in r.err and "write it as '/" in r.err, f"{what} at {destination}: refused", r)
    b = node.bundle(["sh", "-c", PROBE], {"/x": Path("/a/b"), "/a/b": None, "/a/proc": None, "/proc/self/fd/3": EVIL})
    b.config["mounts"] = [bind("/proc", "/x/../proc")] + [m for m in b.config["mounts"] if m["destination"] != "/proc"]
    r = node.run(b.write())
    t.ok(r.code == 1 and not r.out and "write it as '/proc'" in r.err, "the host's /proc where a symlink of the image leads it: refused", r)
    b = node.bundle(["sh", "-c", PROBE])
    b.config["mounts"].append(bind(source / "mounts", "/proc/mounts"))
    r = node.run(b.write())
    t.ok(r.code == 1 and not r.out and "/proc/mounts" in r.err, "a file at /proc/mounts: refused", r)
    b = node.bundle(["sh", "-c", PROBE], {"/proc/self/fd/3": EVIL})
    next(m for m in b.config["mounts"] if m["destination"] == "/proc").update(source=str(source), options=["rbind"])
    r = node.run(b.write())
    t.ok(r.code == 1 and not r.out and "only a procfs" in r.err, "a bind mount that calls itself a procfs: refused", r)


def harmless_spellings_work(t, node):
    """As pods and images write them; what is behind them is there, and config.json says it clean."""
    v = node.dir / "data"
    v.mkdir()
    (v / "f").write_text("here\n")
    for destination, clean in (("/data", "/data"), ("/data/", "/data"), ("//data", "/data"), ("/./data//.", "/data"), ("/srv//data/", "/srv/data")):
        b = node.bundle(["sh", "-c", f"cat {clean}/f; {PROBE}"])
        b.config["mounts"].append(bind(v, destination))
        r = node.run(b.write())
        t.ok(r.out.startswith("here\n") and answers(r) == SANDBOXED, f"volume at {destination}: is there, and the container sandboxed", r)
        t.ok(clean in [m["destination"] for m in b.read()["mounts"]], f"volume at {destination}: written as {clean}", b.read()["mounts"])
    (v / "cpuinfo").write_text("lxcfs\n")
    b = node.bundle(["sh", "-c", f"cat /proc/cpuinfo; {PROBE}"])
    b.config["mounts"].append(bind(v / "cpuinfo", "/proc/cpuinfo"))
    r = node.run(b.write())
    t.ok(r.out.startswith("lxcfs\n") and answers(r) == SANDBOXED, "a file of lxcfs over /proc/cpuinfo works", r)
    b = node.bundle(["sh", "-c", PROBE])
    b.config["linux"] |= {"maskedPaths": MASKED, "readonlyPaths": [f"{p}/" for p in READONLY],
                          "devices": [{"path": "/dev//zeros", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666, "uid": 0, "gid": 0}]}
    b.config["process"]["args"] = ["sh", "-c", f"[ -c /dev/zeros ] && echo 1; {PROBE}"]
    r = node.run(b.write())
    t.ok(r.out.startswith("1\n") and answers(r) == SANDBOXED, "containerd's own masked and read-only paths, and a device: sandboxed", r)
    linux = json.loads((b.dir / "config.json").read_text())["linux"]
    t.ok(linux["readonlyPaths"] == [*READONLY, "/proc/dynamic_debug"] and linux["maskedPaths"][:len(MASKED)] == MASKED and linux["devices"][0]["path"] == "/dev/zeros",
         "and their paths are written clean", linux)


if __name__ == "__main__":
    main([rows_that_were_open, harmless_spellings_work, symlinks_of_a_volume, every_spelling_of_every_field])
