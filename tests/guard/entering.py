# SPDX-License-Identifier: Apache-2.0
"""What a process that enters a container can reach is what its first process could, whatever the workload did
in between, and whatever has become of the node's profiles."""
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lib_guard import DEADLINE, RECORDS, Node, answers, PROBE, SANDBOXED
from parts import main
from silent import Silent

from lib import seed
from lib.wait import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
DOMAINS = RECORDS.parent / "domain"
ALL = len(sys.argv) > 1 and sys.argv[1] == "all"
# Sequences of acts, each followed by an exec; and execs during the race.
SEQUENCES, RACES = (3000, 1200) if ALL else (40, 60)  # for each of five runtimes
RULES = ("fs rx-root", "fs rwx-homes", "fs volumes", "fs rwx $WORKDIR", "fs rw ~/.claude", "fs rwx /tmp", "fs rwx /run", "fs r /proc",
         "fs rw /dev/null", "fs rwx /var/tmp", "fs deny /run/secrets", "fs deny ~/.ssh", "fs deny /secret")
PLACES = re.findall(r'"([^"]+)"', re.search(r"places\[\] = \{(.*?)\};", Path(f"{HERE}/actor.c").read_text(), re.DOTALL)[1])


def actor() -> bytes:
    if not hasattr(actor, "bytes"):
        with tempfile.TemporaryDirectory() as d:
            subprocess.run(["gcc", "-O1", "-static", "-Wall", "-Werror", "-o", f"{d}/actor", f"{HERE}/actor.c"], check=True)
            actor.bytes = Path(f"{d}/actor").read_bytes()
    return actor.bytes


class Container:
    """One whose first process is an actor that can be talked to."""

    def __init__(self, node: Node, bare: bool = False):
        image = {"/bin/actor": actor(), "/app/file": b"app\n", "/opt/file": b"opt\n", "/secret/key": b"key\n", "/usr/lib/x/file": b"x\n",
                 "/home/user/.ssh/id": b"key\n", "/root/.ssh/id": b"key\n", "/home/user/proj/f": b"f\n", "/home/user/.claude/f": b"f\n",
                 "/run/secrets/token": b"token\n", "/var/tmp/f": b""}
        b = node.bundle(["actor", "serve"], image, cwd="/home/user/proj")
        for name, at in (("outer", "/outer"), ("inner", "/outer/a/b"), ("vol", "/vol")):
            d = node.dir / f"{b.dir.name}-{name}"
            d.mkdir()
            (d / "file").write_text("file\n")
            if name == "outer":
                (d / "a/b").mkdir(parents=True)
            b.config["mounts"].append({"destination": at, "type": "bind", "source": str(d), "options": ["rbind", "rw"]})
        b.write()
        self.node, self.bare, self.bundle, self.id = node, bare, b, node.id()
        self.to, self.said = os.pipe(), os.pipe()
        with tempfile.TemporaryFile("w+") as errors:  # not a pipe, which the container would keep open
            r = subprocess.run(node.command("create", "--bundle", b.dir, self.id, bare=bare), stdin=self.to[0], stdout=self.said[1],
                               stderr=errors, timeout=DEADLINE)
            errors.seek(0)
            if r.returncode or node.call("start", self.id, bare=bare).code:
                raise RuntimeError(errors.read())
        os.close(self.said[1])
        os.close(self.to[0])
        self.out = os.fdopen(self.said[0], "r")

    def ask(self, line: str) -> str:
        os.write(self.to[1], line.encode() + b"\n")
        return self.out.readline().rstrip("\n")

    def exec(self, *args: str, **kw):
        return self.node.exec(self.id, *args, bare=self.bare, **kw)

    def close(self) -> None:
        os.close(self.to[1])
        self.node.delete(self.id, self.bare)
        self.out.close()


def more(entered: str, first: str) -> list[str]:
    """What the one can and the other cannot."""
    return [f"{PLACES[i // 5]}:{c}" for i, (c, f) in enumerate(zip(entered, first)) if c != "-" and f == "-"]


def the_same_from_the_start(t, node):
    node.profile("default", *RULES)
    c = Container(node)
    first = c.ask("probe")
    t.equal(len(first), 5 * len(PLACES), "the first process says what it can open")
    t.ok("/etc/passwd:r" in more(first, "-" * len(first)) and not {"/etc/passwd:w", "/secret/key:r", "/run/secrets/token:r", "/home/user/.ssh/id:r"}
         & set(more(first, "-" * len(first))), "which is what its profile grants", more(first, "-" * len(first)))
    for what, kw in (("by file", {}), ("by arguments", {"file": False}), ("from another directory", {"cwd": "/app"}),
                     ("with another HOME", {"env": ["PATH=/bin", "HOME=/app"]})):
        r = c.exec("actor", "probe", **kw)
        t.equal((more(r.out.rstrip(), first), more(first, r.out.rstrip())), ([], []), f"exec {what}: exactly the same")
    c.close()
    bare = Container(node, bare=True)
    free = bare.exec("actor", "probe").out.rstrip()
    t.ok("/etc/passwd:w" in more(free, first) and "/secret/key:r" in more(free, first), "control: without the guard more can be opened")
    bare.close()


def whatever_the_workload_does(t, node):
    """A property: after random acts, what enters reaches nothing that the first process cannot."""
    node.profile("default", *RULES)
    start, wrong, failed, lost = seed.choose(), [], 0, 0
    c, used = Container(node), 0
    for nth in range(start, start + SEQUENCES):
        if used == 50:  # afresh, from time to time: acts pile up
            c.close()
            c, used = Container(node), 0
        used += 1
        c.ask(f"acts {nth} {1 + nth % 40}")
        r = c.exec("actor", "probe", file=bool(nth % 2), **({"cwd": "/"} if nth % 2 else {}))
        first = c.ask("probe")
        got = r.out.rstrip()
        if len(got) != len(first):
            failed += 1  # its program or directory is gone: it did not start
            continue
        lost += len(more(first, got))
        if extra := more(got, first):
            wrong.append(f"KF_SEED={nth}: {extra}")
    c.close()
    t.equal(wrong[:3], [], f"{SEQUENCES} sequences of acts, from seed {start}: an exec reaches no more than the first process")
    t.ok(failed <= SEQUENCES // 4, f"{SEQUENCES - failed} of the execs started, so it says something", failed)
    print(f"# {lost} of {SEQUENCES * 5 * len(PLACES)} accesses only the first process had: what it moved away")


def during_a_swap(t, node):
    """Directories that are swapped all the time, one with a symlink to / in it."""
    node.profile("default", *RULES)
    c = Container(node)
    c.ask("race")
    wrong, ran = [], 0
    for i in range(RACES):
        r = c.exec("actor", "probe", file=False) if i % 2 else c.exec("actor", "probe", cwd="/")
        can = set(more(r.out.rstrip(), "-" * len(r.out.rstrip())))
        ran += bool(can)
        if can & {"/etc:c", "/etc/passwd:w", "/bin:c", "/secret/key:r", "/:c"}:
            wrong.append(sorted(can))
    c.ask("calm")
    c.close()
    t.equal((wrong[:1], len(wrong)), ([], 0), f"0 of {RACES} execs during the swap can write to the system")
    t.equal(ran, RACES, "all of them ran")


def links_that_the_workload_makes(t, node):
    """The inputs that opened the sandbox once, one by one."""
    node.profile("default", *RULES)

    def writes(c, path, **kw):
        return c.exec("sh", "-c", f"echo x >{path}/new && echo written", **kw).out == "written\n"

    for what, do, path, kw in (
        ("working directory moved away, a link to /usr/lib/x in its place", "mv /home/user/proj /home/user/old; ln -s /usr/lib/x /home/user/proj",
         "/usr/lib/x", {"cwd": "/home/user/proj"}),
        ("~/.claude becomes a link to /app", "rm -r /home/user/.claude; ln -s /app /home/user/.claude", "/app", {}),
        ("/tmp/../home/a becomes a link to /", "ln -s / /home/a", "/etc", {}),
    ):
        for enter in ("guard", "bare"):
            c = Container(node, bare=enter == "bare")
            c.exec("sh", "-c", do)
            t.equal(writes(c, path, **kw), enter == "bare", f"{what}: {'control, writes' if enter == 'bare' else 'an exec does not write'} {path}")
            c.close()
    c = Container(node)
    c.exec("sh", "-c", "i=0; while [ $i -lt 400 ]; do mkdir /home/h$i; i=$((i+1)); done")
    t.equal(c.exec("sh", "-c", "echo x >/home/user/new && echo written").out, "written\n", "400 new homes: exec works as before")
    c.close()


def homes_at_the_start(t, node):
    """More homes than can be kept track of: nothing in /home is granted, and the start goes on."""
    node.profile("default", *RULES)
    image = {f"/home/h{i}": None for i in range(70)} | {"/home/h69/.ssh/id": b"key\n"}
    b = node.bundle(["sh", "-c", "cat /home/h69/.ssh/id; echo x >/home/h1/new; echo up"], image, env=["PATH=/bin", "HOME=/root"]).write()
    r = node.run(b)
    t.equal((r.code, r.out), (0, "up\n"), "70 homes: the container runs, none of them is granted")
    b = node.bundle(["sh", "-c", "cat /home/h2/.ssh/id; echo x >/home/h1/new && echo up"],
                    {"/home/h1": None, "/home/h2/.ssh/id": b"key\n"}, env=["PATH=/bin", "HOME=/root"]).write()
    t.equal(node.run(b).out, "up\n", "control: of two homes all but the key is")


def system_directories(t, node):
    """A variable, or a symlink of the image, never makes a directory of the system writable."""
    node.profile("default", *RULES)
    for d in ("/etc/ssl", "/usr/lib/x86_64-linux-gnu", "/usr/local/lib", "/bin/sub", "/usr/share/x", "/opt/app", "/lib/x"):
        for what, kw in (("workingDir", {"cwd": d}), ("HOME", {"env": ["PATH=/bin", f"HOME={d}"]}),
                         ("uid 1000's HOME", {"env": ["PATH=/bin", f"HOME={d}"], "user": {"uid": 1000, "gid": 1000}})):
            b = node.bundle(["sh", "-c", f"cat {d}/f; echo x >{d}/new && echo written"], {f"{d}/f": b"read\n"}, **kw)
            os.chmod(b.rootfs / d[1:], 0o777)
            r = node.run(b.write())
            t.equal(r.out, "read\n", f"{what} = {d}: read, not written")
            t.equal(node.run(b.write(), bare=True).out, "read\nwritten\n", f"control: {what} = {d}: written")
    for link, target, path in (("/tmp", "/", "/etc"), ("/tmp", "/", ""), ("/root", "/", "/bin"), ("/home", "/", "/etc"), ("/var/tmp", "/etc", "/etc"),
                               ("/var/tmp", "/usr/lib", "/usr/lib"), ("/tmp", "/proc", "/proc"), ("/root", "/secret", "/secret")):
        b = node.bundle(["sh", "-c", f"cat /secret/key; echo x >{path}/new && echo written"], {"/secret/key": b"key\n", "/usr/lib/f": b"", "/var/x": b""})
        p = b.rootfs / link[1:]
        subprocess.run(["rm", "-rf", str(p)], check=True)
        p.symlink_to(target)
        t.equal(node.run(b.write()).out, "", f"image with {link} -> {target}: {path or '/'} is not written")
    b = node.bundle(["sh", "-c", "echo x >/var/run/new && cat /run/new; busybox true && echo usr"], {"/var/run": Path("/run"), "/usr/bin/f": b""})
    t.equal(node.run(b.write()).out, "x\nusr\n", "/var/run -> /run works as ever")


def a_volume_that_does_not_answer(t, node):
    """A probe, and whoever looks what is wrong, enters a container whose volume does not answer any more, as without the guard."""
    for profile in ("default", "strict", "claude-code"):
        where = node.dir / f"silent-{profile}"
        where.mkdir()
        silent = Silent(where, lasts=0)
        try:
            b = node.bundle(["sleep", "100000"])
            b.config["annotations"]["nono.sh/profile"] = profile
            b.config["mounts"].append({"destination": "/volume", "type": "bind", "source": str(where), "options": ["rbind", "rw"]})
            cid = node.start(b.write())
            t.equal(node.exec(cid, "echo", "entered").out, "entered\n", f"{profile}: a volume that answers")
            silent.stop()
            for bare in (True, False):
                for file in (True, False):
                    r = node.exec(cid, "echo", "entered", bare=bare, file=file)
                    t.ok(r.out == "entered\n" and not silent.asked.is_set(), f"{profile}: {'control: the bare runtime' if bare else 'a process'} enters, and asks it nothing", r)
        finally:
            silent.close()
        node.delete(cid)


def before_and_after_the_first_process(t, node):
    cid = node.id()
    b = node.bundle(["sleep", "1000"]).write()
    t.equal(node.call("create", "--bundle", b.dir, cid).code, 0, "created")
    if node.name == "runc":  # the guard's own doing, and 10 seconds of it
        began = time.monotonic()
        r = node.exec(cid, "true")
        t.ok(r.code and "has not entered its sandbox" in r.err and 9 < time.monotonic() - began, "exec before start: waits, then a clear error", r)
    t.equal(node.call("start", cid).code, 0, "started")
    t.equal(answers(node.exec(cid, "sh", "-c", PROBE)), SANDBOXED, "exec right after start: sandboxed")
    domains = {d.name for d in DOMAINS.iterdir()}
    record = next(r for r in RECORDS.iterdir() if f"id {cid}\n" in r.read_text())
    t.ok(record.name in domains, "there is a domain file")
    t.equal((os.stat(DOMAINS / record.name).st_mode & 0o777, os.stat(DOMAINS).st_mode & 0o777), (0o600, 0o700), "which is root's alone")
    text = (DOMAINS / record.name).read_bytes()
    (DOMAINS / record.name).unlink()
    r = node.exec(cid, "true")
    t.ok(r.code and "what the sandbox of container" in r.err, "without it exec is refused", r)
    for what, damaged in (("cut", text[:-1]), ("empty", b""), ("undecided", text[:20] + b"\0\0\0\0" + text[24:]), ("another file", b"x" * len(text))):
        (DOMAINS / record.name).write_bytes(damaged)
        r = node.exec(cid, "sh", "-c", "echo RAN")
        t.ok(r.code and "RAN" not in r.out, f"with a damaged one ({what}) nothing runs", r)
    (DOMAINS / record.name).write_bytes(text)
    t.equal(answers(node.exec(cid, "sh", "-c", PROBE)), SANDBOXED, "as it was: exec works again")
    r = node.call("create", "--bundle", node.bundle(["true"]).write().dir, cid)
    t.ok(r.code and (DOMAINS / record.name).read_bytes() == text, "a second container of the same name leaves it alone", r)
    t.equal(node.delete(cid).code, 0, "deleted")
    t.ok(not (DOMAINS / record.name).exists(), "the domain file is gone")


def on_an_overlay(t, node):
    """A directory of the image that is written for the first time becomes another one below overlayfs; it is still the same object."""
    node.profile("default", *RULES)
    b = node.bundle(["sleep", "1000"], {"/run/f": b"f\n", "/home/user/f": b"f\n"}).write()
    layers = node.dir / "layers"
    for d in ("upper", "work"):
        (layers / d).mkdir(parents=True)
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={b.rootfs},upperdir={layers}/upper,workdir={layers}/work", str(b.rootfs)],
                   check=True)
    try:
        cid = node.start(b)
        for d in ("/tmp", "/run", "/home/user", "/work", "/root"):
            for what in ("first", "second", "third"):
                r = node.exec(cid, "sh", "-c", f"echo x >{d}/{what} && cat {d}/{what}")
                t.equal(r.out, "x\n", f"overlay: the {what} exec writes {d}")
        t.ok(node.exec(cid, "sh", "-c", "echo x >/etc/new").code, "overlay: /etc is not written")
        node.delete(cid)
    finally:
        subprocess.run(["umount", "-l", str(b.rootfs)], check=True)


def profiles_that_change(t, node):
    """A container keeps the profile that it was created with; a new one gets the new."""
    node.profile("default", *RULES)
    c = Container(node)
    node.profile("default", *RULES, "fs rwx /etc")
    write = ("sh", "-c", "echo x >/etc/new && echo written")
    t.equal(c.exec(*write).out, "", "a laxer profile on the node: exec keeps the container's")
    (node.dir / "launcher/profiles/default").unlink()
    node.profile("other", *RULES)
    t.equal(c.exec("sh", "-c", "echo in").out, "in\n", "no such profile on the node any more: exec still works")
    t.equal(c.exec(*write).out, "", "and is still sandboxed")
    c.close()


def descriptors_in_created_state(t, node):
    """A sandboxed neighbour with the same PID namespace gets at neither of the two."""
    first = node.start(node.bundle(["sleep", "1000"]).write())
    pid = json.loads(node.call("state", first).out)["pid"]
    look = "for f in /proc/[0-9]*/fd/*; do [ -e $f ] && echo $f; done; ls /proc | grep -c '^[0-9]'"
    seen = {}
    for kind in ("guard", "bare"):
        b = node.bundle(["sleep", "1000"])
        other = node.bundle(["sh", "-c", look])
        for x in (b, other):
            next(n for n in x.config["linux"]["namespaces"] if n["type"] == "pid")["path"] = f"/proc/{pid}/ns/pid"
            caps = x.config["process"]["capabilities"]
            x.config["process"]["capabilities"] = {k: v + ["CAP_SYS_PTRACE"] for k, v in caps.items()}
        cid = node.id()
        t.equal(node.call("create", "--bundle", b.write().dir, cid).code, 0, f"{kind}: a container in created state beside it")
        r = node.run(other.write(), kind == "bare")
        seen[kind] = [line for line in r.out.split() if "/fd/" in line and "/self/" not in line and "thread-self" not in line]
        processes = int(r.out.split()[-1])
        t.ok(processes >= 3, f"{kind}: the neighbour sees its processes", r)
        node.delete(cid)
    node.delete(first)
    own = {line.split("/")[2] for line in seen["guard"]}
    t.ok(len(own) <= 2, "a sandboxed neighbour reaches only descriptors of its own processes", seen["guard"])
    t.ok(len({line.split("/")[2] for line in seen["bare"]}) > len(own), "control: without the sandbox it reaches theirs", seen["bare"])


def seccomp_of_the_container(t, node):
    """The launcher installs the pod's policy: once, for each process, and after all else."""
    allow = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 42}
    for level in ("restricted", ""):
        node.settings(seccomp=level)
        b = node.bundle(["sleep", "1000"])
        b.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [allow]}
        cid = node.start(b.write())
        pid = json.loads(node.call("state", cid).out)["pid"]
        # The runtime returns when its own part is done; the program may come a moment later.
        status = wait_until(lambda: (lambda s: s if s.startswith("Name:\tsleep\n") else "")(Path(f"/proc/{pid}/status").read_text()), "the program to be executed")
        t.ok("Seccomp:\t2" in status and "Seccomp_filters:\t1\n" in status, f"level '{level}': one program in the first process", status)
        for what, file in (("file", True), ("arguments", False)):
            r = node.exec(cid, "sh", "-c", "grep Seccomp_filters /proc/self/status; mkdir /tmp/d", file=file)
            t.ok("Seccomp_filters:\t1\n" in r.out and r.code and not (b.rootfs / "tmp/d").exists(), f"level '{level}': exec by {what}: the same one", r)
        node.delete(cid)
        control = node.start(node.bundle(["sleep", "1000"]).write())
        r = node.exec(control, "sh", "-c", "grep Seccomp_filters /proc/self/status; mkdir /tmp/d && echo made")
        t.equal(r.out, f"Seccomp_filters:\t{1 if level else 0}\nmade\n", f"control: level '{level}', no policy of the pod's")
        node.delete(control)
    # What a recorder writes for a program: nothing that the launcher needs and the program does not.
    node.settings(seccomp="")
    recorded = ["execve", "brk", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "prlimit64", "readlink", "readlinkat", "getrandom",
                "mprotect", "write", "exit_group", "exit", "getuid", "getpid", "rt_sigprocmask", "mmap", "munmap", "prctl", "uname"]
    b = node.bundle(["echo", "recorded"])
    b.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
                                    "syscalls": [{"names": recorded, "action": "SCMP_ACT_ALLOW"}]}
    r = node.run(b.write())
    t.equal((r.code, r.out), (0, "recorded\n"), "a recorded profile without open, read or landlock calls: runs")
    again = node.run(b)
    t.equal((again.code, again.out), (0, "recorded\n"), "the same bundle once more: runs")
    b.config = b.read()
    b.config["process"]["args"][-2:] = ["cat", "/etc/passwd"]
    (b.dir / "config.json").write_text(json.dumps(b.config))
    r = node.run(b)
    t.ok(r.code and not r.out, "and it is still under the pod's policy, which has no open", r)


if __name__ == "__main__":
    main((the_same_from_the_start, a_volume_that_does_not_answer, links_that_the_workload_makes, homes_at_the_start, system_directories, before_and_after_the_first_process,
          on_an_overlay, profiles_that_change, descriptors_in_created_state, seccomp_of_the_container, during_a_swap, whatever_the_workload_does))
