# SPDX-License-Identifier: Apache-2.0
"""A start that fails is the runtime's failure: what cannot be started ends, for whoever asked, as it does
without the guard, and says why."""
import json
import os
import random
import re
import sys

from lib_guard import RECORDS, Node
from parts import main

from lib import seed
from lib.wait import wait_until

ALL = len(sys.argv) > 1 and sys.argv[1] == "all"
DRAWS = 300 if ALL else 6
DOMAINS = RECORDS.parent / "domain"
# Files of the image that cannot be executed, each in its way.
IMAGE = {"/bin/interpreter": b"#!/no/such\n", "/bin/noelf": b"\x7fELFjunk", "/bin/text": b"true\n", "/bin/mode": b"x", "/dir/f": b""}
# A runtime finds these before it starts anything ...
LOOKUP = {"missing": ["no-such"], "a missing path": ["/no/such"], "not executable": ["/bin/mode"], "a directory": ["/dir"],
          "below a file": ["/bin/mode/x"]}
# ... and these are the process's own end: newer releases of runc end it with 255, the others, and we, with 1.
EXECVE = {"no such interpreter": ["/bin/interpreter"], "not an ELF file": ["/bin/noelf"], "no #! line": ["/bin/text"], "busy": ["/bin/busy"]}


def bundle(node: Node, args: list[str], **kw):
    b = node.bundle(args, {**IMAGE, "/bin/busy": (node.base / "bin/busybox").read_bytes()}, **kw)
    (b.rootfs / "bin/mode").chmod(0o644)
    return b


def logged(node: Node, *args, bare: bool, **kw):
    """(exit status, what the caller is told): as a shim asks, which reads the log."""
    log = node.dir / "log.json"
    log.unlink(missing_ok=True)
    r = node.call("--log", log, "--log-format", "json", *args, bare=bare, **kw)
    text, errors = log.read_text().strip() if log.exists() else "", []
    while text:  # crun's newest takes several lines for each
        entry, n = json.JSONDecoder().raw_decode(text)
        errors.append(entry["msg"])
        text = text[n:].lstrip()
    return r.code, errors[-1] if errors else "", r


def process(node: Node, args: list[str], **kw):
    p = node.dir / "process.json"
    p.write_text(json.dumps({"args": args, "cwd": "/work", "env": ["PATH=/bin", "HOME=/home/user"], "user": {"uid": 0, "gid": 0}, **kw}))
    return p


def left(node: Node, cid: str) -> list[str]:
    """What there is of a container."""
    names = [str(r) for r in RECORDS.iterdir() if f"id {cid}\n" in r.read_text()]
    return names + ([cid] if (node.root / cid).exists() else [])


def exec_of_what_cannot_be_started(t, node):
    bundles = {bare: bundle(node, ["sleep", "100000"]).write() for bare in (True, False)}
    ids = {bare: node.start(b, bare=bare) for bare, b in bundles.items()}
    for what, args in {**LOOKUP, **EXECVE}.items():
        for how in ((), ("--detach", "--pid-file", node.dir / "pid")):
            got = {}
            for bare, cid in ids.items():
                with open(bundles[bare].rootfs / "bin/busy", "r+b"):
                    got[bare] = logged(node, "exec", *how, "--process", process(node, args), cid, bare=bare)
            (want, told, _), (code, ours, r) = got[True], got[False]
            name = f"exec {'--detach ' if how else ''}of {what}"
            if what in LOOKUP:
                t.ok(code == 255 and want in (255, 1 if node.name == "crun-new" else 255), f"{name}: 255, as runc has it", (code, want))
                t.ok(f"cannot start '{args[0]}'" in (ours if how else r.err) and told, f"{name}: the caller is told what and why", (ours, r.err, told))
            elif how:
                t.equal((code, ours, want), (0, "", 0), f"{name}: started, as without the guard")
            else:
                t.ok(code == 1 and want in (1, 255) and f"cannot start '{args[0]}'" in r.err, f"{name}: the process's own end, as without the guard",
                     (code, want, r.err))
    for bare, cid in ids.items():
        t.equal(node.exec(cid, "echo", "in", bare=bare).out, "in\n", "afterwards a program that is there runs")
    for bare, cid in ids.items():
        node.delete(cid, bare)


def containers_that_cannot_be_started(t, node):
    for what, args in {**LOOKUP, **EXECVE}.items():
        for how in ("run", "run --detach", "create"):
            got = {}
            for bare in (True, False):
                b, cid = bundle(node, args).write(), node.id()
                with open(b.rootfs / "bin/busy", "r+b"):
                    code, told, r = logged(node, *how.split(), "--bundle", b.dir, cid, bare=bare)
                    if how == "create" and code == 0:
                        code, told, r = logged(node, "start", cid, bare=bare)
                got[bare] = code
                if what in LOOKUP and not bare:
                    t.ok(f"cannot start '{args[0]}'" in told, f"{how} of {what}: the caller is told what and why", (told, r.err))
                    t.equal(left(node, cid), [], f"{how} of {what}: nothing is left of it")
                node.delete(cid, bare)
            same = (got[False] == got[True]) or (what in EXECVE and how == "run" and got == {False: 1, True: 255})
            t.ok(same and (got[False] != 0) == (what in LOOKUP or how == "run"), f"{how} of {what}: ends as without the guard", got)


def what_a_search_costs(t, node):
    """A pod chooses how many directories its PATH has, and how many mounts there are; the guard's work for that is not its cgroup's."""
    def opened(directories: int, mounts: int) -> int:
        b = bundle(node, ["no-such"])
        b.config["process"]["env"].append("PATH=" + ":".join(f"/no/{i}/d" for i in range(directories)))
        for i in range(mounts):
            b.config["mounts"].append({"destination": f"/m/{i}", "type": "tmpfs", "source": "tmpfs", "options": []})
        log = node.dir / "calls"
        r = node.call_line("strace", "-o", log, "-e", "trace=openat2", *node.command("create", "--bundle", b.write().dir, node.id()))
        t.ok(r.code == 1 and "executable file not found in $PATH" in r.err, f"PATH of {directories} directories, {mounts} mounts: not found", r)
        return log.read_text().count("openat2(")

    one, few, many = opened(1, 0), opened(200, 0), opened(200, 100)
    t.ok(few < one + 200 * 10 and many < few + 100 * 10, "each directory and each mount is looked for a few times, whatever the number of the others", (one, few, many))


def what_only_the_container_knows(t, node):
    """Programs that a mount or a hook brings, and users that may not: found out at the start, and not before."""
    volume = node.dir / "volume"
    volume.mkdir()
    (volume / "prog").write_bytes((node.base / "bin/busybox").read_bytes())
    (volume / "prog").chmod(0o755)
    (volume / "none").write_text("")
    mount = {"destination": "/vol", "type": "bind", "source": str(volume), "options": ["rbind", "rw"]}
    for what, args, image, kw, code in (
            ("a program in a volume", ["/vol/prog", "true"], {}, {}, 0),
            ("found in PATH in a volume", ["prog", "true"], {}, {"env": ["PATH=/nowhere:/vol"]}, 0),
            ("behind a symlink into a volume", ["/link", "true"], {"/link": "/vol/prog"}, {}, 0),
            ("below a symlink to a volume", ["/opt/x/prog", "true"], {"/opt": "/", "/x": "/vol"}, {}, 0),
            ("missing in a volume", ["/vol/no-such"], {}, {}, 1),
            ("not executable in a volume", ["/vol/none"], {}, {}, 1),
            ("of root's alone", ["/priv/prog"], {"/priv/prog": b"#!/bin/sh\n"}, {"user": {"uid": 1000, "gid": 1000}, "capabilities": {}}, 1),
            ("relative to the working directory", ["./vol/prog", "true"], {}, {"cwd": "/"}, 0)):
        if "root's" in what and node.is_crun:
            continue  # opens the program before it becomes the user
        got = {}
        for bare in (True, False):
            b = node.bundle(args, {k: v for k, v in image.items() if isinstance(v, bytes)}, **kw)
            for link, target in image.items():
                if isinstance(target, str):
                    (b.rootfs / link[1:]).symlink_to(target)
            if (b.rootfs / "priv").exists():
                (b.rootfs / "priv").chmod(0o700)
            b.config["mounts"].append(mount)
            cid = node.id()
            r = node.call("create", "--bundle", b.write().dir, cid, bare=bare)
            told = r.err
            if r.code == 0:
                r = node.call("start", cid, bare=bare)
                told += r.err
            got[bare] = r.code
            if not bare and code:
                t.ok(f"cannot start '{args[0]}'" in told, f"{what}: told what and why", told)
            node.delete(cid, bare)
        t.equal(got, {True: code, False: code}, f"{what}: {'fails' if code else 'starts'}, as without the guard")


def at_random(t, node):
    """Images, places, spellings and PATHs drawn at random: the guard starts what the runtime starts, and fails where it fails."""
    start = seed.choose()
    draw = random.Random(start)
    volume = node.dir / "random-volume"
    volume.mkdir()
    wrong, started = [], 0
    for _ in range(DRAWS):
        places = draw.sample(["/a", "/a/b", "/vol", "/vol/c", "/l", "/bin", "/usr/bin"], 3)
        kinds = {p: draw.choice(["program", "program", "none", "directory", "no mode", "no interpreter", "link to /vol/p", "link to /a/p", "link to ../p"])
                 for p in ["/a", "/a/b", "/vol", "/vol/c"]}
        path = draw.choice([None, ":".join(places), "/a::/vol", ""])
        name = draw.choice(["p", "/a/p", "/vol/p", "/l/p", "./p", "a/p", "/a//b/../p", "/vol/c/p", "/bin/true"])
        twice = draw.choice([[], [], ["PATH=/bin:/a"]])
        mounted, uid, lead = draw.random() < .5, draw.choice([0, 0, 1000]), draw.choice(["/vol", "/a/b", "../vol", "/none"])
        got = {}
        for bare in (True, False):
            b = node.bundle([name, "true"] if name != "p" else ["p"], cwd="/", user={"uid": uid, "gid": uid},
                            env=["HOME=/home/user"] + twice + ([f"PATH={path}"] if path is not None else []))
            tops = [b.rootfs] + ([volume] if mounted else [])
            for top in tops:
                for p, kind in kinds.items():
                    if top == volume and not p.startswith("/vol"):
                        continue
                    d = top / (p[4:].lstrip("/") if top == volume else p[1:])
                    d.mkdir(parents=True, exist_ok=True)
                    f = d / "p"
                    if f.is_symlink() or f.is_file():
                        f.unlink()
                    elif f.is_dir():
                        f.rmdir()
                    if top == b.rootfs and mounted and p.startswith("/vol"):
                        continue  # the volume alone has it
                    if kind == "directory":
                        f.mkdir()
                    elif kind.startswith("link"):
                        f.symlink_to(kind.split()[-1])
                    elif kind != "none":
                        f.write_bytes(b"#!/no/such\n" if kind == "no interpreter" else b"#!/bin/sh\nexit 0\n")
                        f.chmod(0o644 if kind == "no mode" else 0o755)
            (b.rootfs / "l").symlink_to(lead)
            if mounted:
                b.config["mounts"].append({"destination": "/vol", "type": "bind", "source": str(volume), "options": ["rbind", "rw"]})
            cid = node.id()
            failed = next((r for c in (("create", "--bundle", b.write().dir, cid), ("start", cid)) if (r := node.call(*c, bare=bare)).code), None)
            got[bare] = "failed" if failed else "started"
            if failed and not bare and "cannot start" not in failed.err:
                wrong.append((failed.err, name, path))
            node.delete(cid, bare)
        started += got[True] == "started"
        if got[True] != got[False]:
            wrong.append((got, name, path, kinds, mounted, uid, lead))
    t.equal(wrong[:2], [], f"KF_SEED={start}: {DRAWS} containers start or fail with the guard as without it")
    if ALL:
        t.ok(0 < started < DRAWS, "of both there are some", started)


def what_the_profile_does_not_let_be_executed(t, node):
    node.profile("default", "fs rx /bin", "fs rwx /work", "fs rw /dev/null", "fs r /proc")
    image = {"/opt/prog": b"#!/bin/sh\n", "/bin/script": b"#!/opt/prog\n"}
    cid = node.start(node.bundle(["sleep", "100000"], image).write())
    for what, args in (("a program", ["/opt/prog"]), ("the interpreter of a script", ["/bin/script"])):
        code, told, _ = logged(node, "exec", "--detach", "--process", process(node, args), cid, bare=False)
        t.ok(code == 255 and "profile 'default' does not let it, or the interpreter" in told, f"exec of {what}: 255, and the profile is named", (code, told))
        b, other = node.bundle(args, image).write(), node.id()
        t.equal(node.call("create", "--bundle", b.dir, other).code, 0, f"{what}: created")
        code, told, _ = logged(node, "start", other, bare=False)
        t.ok(code == 1 and "profile 'default' does not let it" in told, f"start of {what}: 1, and the profile is named", (code, told))
        wait_until(lambda o=other: json.loads(node.call("state", o).out)["status"] == "stopped", "the launcher's end")
        t.ok(True, f"{what}: nothing runs on")
        node.delete(other)
    t.equal(node.exec(cid, "echo", "in").out, "in\n", "control: what it lets be executed runs")
    node.delete(cid)


def the_termination_message(t, node):
    """It is the container's: only its first process writes there, and only what ended that."""
    def container(args, name):
        log = node.dir / f"termination-{name}"
        log.write_text("")
        b = bundle(node, args)
        b.config["mounts"].append({"destination": "/dev/termination-log", "type": "bind", "source": str(log), "options": ["rbind", "rw"]})
        return log, b.write()

    log, b = container(["sleep", "100000"], "exec")
    cid = node.start(b)
    for args in (["no-such"], ["/bin/mode"], ["/bin/interpreter"], ["/dir"]):
        for how in ((), ("--detach",)):
            node.call("exec", *how, "--process", process(node, args), cid)
    t.equal(log.read_text(), "", "whatever an exec ends with, the container's termination message stays empty")
    node.delete(cid)
    log, b = container(["/bin/interpreter"], "first")
    node.start(b, cid=(cid := node.id()))
    node.delete(cid)
    t.equal(log.read_text(), "nono: cannot start '/bin/interpreter': No such file or directory\n", "the first process's own end is told there")
    log, b = container(["/bin/mode"], "create")
    node.call("create", "--bundle", b.dir, cid := node.id())
    t.equal(log.read_text(), "", "what the caller is told is not told there as well")


def record(path) -> str:
    """That of a container of a test beside this one may be gone."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def programs_that_start(t, node):
    """The caller goes on when the program runs, and not before; its descriptors are not the program's."""
    cid = node.id()
    b = node.bundle(["sleep", "100000"]).write()
    t.equal([node.call("create", "--bundle", b.dir, cid).code, node.call("start", cid).code], [0, 0], "created and started")
    pid = json.loads(node.call("state", cid).out)["pid"]
    with open(f"/proc/{pid}/comm") as f:
        t.equal(f.read(), "sleep\n", "start: the program runs when the command ends")
    pids = node.dir / "pid"
    t.equal(node.call("exec", "--detach", "--pid-file", pids, "--process", process(node, ["sleep", "900"]), cid).code, 0, "exec --detach")
    with open(f"/proc/{pids.read_text()}/comm") as f:
        t.equal(f.read(), "sleep\n", "exec --detach: the program runs when the command ends")
    fds = node.exec(cid, "ls", "/proc/self/fd").out.split()
    t.ok(set(fds) <= {"0", "1", "2", "3"}, "the program has no descriptor of ours", fds)  # 3 is ls's own
    fifo = [d for d in DOMAINS.iterdir() if d.name.endswith(".outcome") and d.name[:-8] in {r.name for r in RECORDS.iterdir() if f"id {cid}\n" in record(r)}]
    t.equal([oct(os.stat(f).st_mode & 0o777) for f in fifo], ["0o600"], "the pipe of the start is root's alone")
    for path in (f"/proc/{pid}/fd", f"/proc/{pids.read_text()}/fd"):
        t.ok(not [x for x in os.listdir(path) if re.search(r"outcome|/memfd:|domain", os.readlink(f"{path}/{x}"))], "nor has a program that is started so")
    node.delete(cid)
    t.ok(not any(f.exists() for f in fifo), "the pipe is gone with the container")


if __name__ == "__main__":
    main([exec_of_what_cannot_be_started, containers_that_cannot_be_started, what_a_search_costs, what_only_the_container_knows, at_random,
          what_the_profile_does_not_let_be_executed, the_termination_message, programs_that_start])
