# SPDX-License-Identifier: Apache-2.0
"""What a container is given beside files, through the guard: its first process and every process that enters use the devices of its specification, and write about
themselves in /proc, as with the bare runtime; nothing of it in a privileged container."""
import functools
import subprocess
import sys
import tempfile
from pathlib import Path

from lib_guard import Node
from parts import main

from lib.wait import wait_until  # noqa: E402

HERE = Path(__file__).resolve().parent
SANDBOX = HERE.parent / "sandbox"
# Not /dev/fuse alone: in a directory, below another, a block device.
DEVICES = (("/dev/fuse", "c", 10, 229), ("/dev/accel/own", "c", 1, 3), ("/dev/accel/deep/er", "c", 1, 5), ("/dev/disk-0", "b", 7, 0))
PATHS = [d[0] for d in DEVICES]
ASKED = ["attack", "device", *PATHS]
NONE = [f"{p} EACCES -" for p in PATHS]
# Rows of tests/sandbox/attack.c that the bare container lets everybody do.
OWN = ("comm", "thread_comm", "oom_self", "oom_child", "coredump_filter")
NAMED = " && ".join(f"attack {row}" for row in OWN)


@functools.cache
def program(source: Path) -> bytes:
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(["gcc", "-O1", "-static", "-Wall", "-Werror", "-o", f"{d}/program", source], check=True)
        return Path(f"{d}/program").read_bytes()


def given(node: Node, args: list[str], devices=DEVICES, privileged: bool = False, **process):
    b = node.bundle(args, {"/bin/attack": program(SANDBOX / "attack.c"), "/bin/fuse": program(HERE / "fuse.c")}, **process)
    linux = b.config["linux"]
    for path, kind, major, minor in devices:
        linux.setdefault("devices", []).append({"path": path, "type": kind, "major": major, "minor": minor, "fileMode": 0o666})
        linux["resources"].setdefault("devices", []).append({"allow": True, "type": kind, "major": major, "minor": minor, "access": "rwm"})
    if privileged:
        linux.update(maskedPaths=[], readonlyPaths=[])
    return b


def devices(t, node):
    def everybody(bare: bool) -> dict:
        """What the first process and two that enter said."""
        said = {"first": node.run(given(node, ASKED).write(), bare).out.splitlines()}
        cid = node.start(given(node, ["sleep", "60"]).write(), bare=bare)
        for file in (True, False):
            said[f"entered, file={file}"] = node.exec(cid, *ASKED, file=file, bare=bare).out.splitlines()
        node.delete(cid, bare)
        return said

    control = everybody(True)
    t.equal(control["first"][0], "/dev/fuse ok ENOTTY", "control: /dev/fuse is opened, and answers")
    t.equal(everybody(False), control, "devices of the specification: as with the bare runtime, for whoever comes")
    for profile, rules in (("strict", ()), ("named", ("fs rx-root", "fs r /proc", "fs rw /dev/accel/own"))):
        b = given(node, ASKED)
        if rules:
            node.profile(profile, *rules)
        b.config.setdefault("annotations", {})["nono.sh/profile"] = profile
        want = [control["first"][1] if rules and p == "/dev/accel/own" else f"{p} EACCES -" for p in PATHS]
        t.equal(node.run(b.write()).out.splitlines(), want, f"profile {profile}, which has no 'devices': {'only what it names' if rules else 'none'}")


def privileged(t, node):
    cid = node.start(given(node, ["sleep", "60"], privileged=True).write())
    for who, r in (("first", node.run(given(node, ASKED, privileged=True).write())), ("entered", node.exec(cid, *ASKED))):
        t.equal(r.out.splitlines(), NONE, f"privileged, {who}: no device")
    t.equal(node.exec(cid, "attack", "comm").out, "comm EACCES\n", "privileged: /proc is read")
    bare = node.run(given(node, ASKED, privileged=True).write(), True)
    t.equal(bare.out.splitlines()[0], "/dev/fuse ok ENOTTY", "privileged: control")


def not_replaced(t, node):
    """Who enters gets the very devices that the first process got, whatever root made of /dev meanwhile."""
    cid = node.start(given(node, ["sleep", "60"]).write())
    bare = ["sh", "-c", "mv /dev/fuse /dev/was && mknod /dev/fuse c 1 3 && mknod /dev/new c 1 3 && chmod 666 /dev/new && echo done"]
    t.equal(node.exec(cid, *bare).out, "", "a sandboxed process cannot make them")
    t.equal(node.exec(cid, *bare, bare=True, capabilities={k: ["CAP_MKNOD", "CAP_DAC_OVERRIDE", "CAP_FOWNER"] for k in ("bounding", "effective", "permitted")}).out,
            "done\n", "control: root outside the sandbox makes new ones")
    t.equal(node.exec(cid, "attack", "device", "/dev/fuse", "/dev/new", "/dev/accel/own").out.splitlines(),
            ["/dev/fuse EACCES -", "/dev/new EACCES -", "/dev/accel/own ok ENOTTY"], "what was put there is not granted, the rest is")


def processes(t, node):
    """Names of threads, and what else a process says about itself."""
    for what, process in (("root", {}), ("a user", {"user": {"uid": 1000, "gid": 1000}})):
        for bare in (True, False):
            who = f"{what}{', bare' if bare else ''}"
            want = "".join(f"{row} ok\n" for row in OWN)
            r = node.run(given(node, ["sh", "-c", NAMED], **process).write(), bare)
            t.equal((r.out, r.err), (want, ""), f"{who}: the first process writes about itself")
            cid = node.start(given(node, ["sleep", "60"], **process).write(), bare=bare)
            for file in (True, False):
                r = node.exec(cid, "sh", "-c", NAMED, file=file, bare=bare, **process)
                t.equal((r.out, r.err), (want, ""), f"{who}: one that enters does, file={file}")
            node.delete(cid, bare)


def shared(t, node):
    """In a PID namespace that others are in, too, /proc is read."""
    first = node.start(given(node, ["sleep", "60"]).write())
    pid = next(line for line in node.call("state", first).out.split('"pid": ')[1].split(",")).strip()
    for bare in (True, False):
        b = given(node, ["sleep", "60"])
        next(n for n in b.config["linux"]["namespaces"] if n["type"] == "pid")["path"] = f"/proc/{pid}/ns/pid"
        cid = node.start(b.write(), bare=bare)
        said = node.exec(cid, "sh", "-c", "attack comm; attack first_oom", bare=bare).out
        t.equal(said, "comm ok\nfirst_oom ok\n" if bare else "comm EACCES\nfirst_oom EACCES\n", f"a shared PID namespace{', bare' if bare else ''}")
    t.equal(node.exec(first, "attack", "comm").out, "comm ok\n", "whose namespace it is writes about itself")


def user_namespace(t, node):
    """Where the runtime cannot make device nodes, it mounts the node's."""
    own = ("/dev/net/own", "c", 1, 3)
    # The machine's own are root's; this mount namespace is the test's.
    subprocess.run(["mount", "-t", "tmpfs", "own", "/dev/net"], check=True)
    subprocess.run(["mknod", "-m", "666", own[0], "c", "1", "3"], check=True)
    for bare in (True, False):
        b = given(node, ["sh", "-c", f"attack device {own[0]} && {NAMED}"], devices=[own])
        linux = b.config["linux"]
        linux["namespaces"].append({"type": "user"})
        for k in ("uidMappings", "gidMappings"):
            linux[k] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        subprocess.run(["chown", "-R", "100000:100000", b.rootfs], check=True)
        r = node.run(b.write(), bare)
        if bare:
            control = (r.out, r.err)
        else:
            t.equal((r.out, r.err), control, "a user namespace: as with the bare runtime")
    t.ok(control[0].startswith("/dev/net/own ok ENOTTY\n") and "comm ok" in control[0], "a user namespace: control", control)
    subprocess.run(["umount", "/dev/net"], check=True)


def fuse(t, node):
    """A file system is served by a sandboxed process that was given /dev/fuse; mounted it is outside."""
    admin = {"capabilities": {k: ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"] for k in ("bounding", "effective", "permitted")}}
    b = given(node, ["sh", "-c", "mkdir /work/m; exec fuse serve /work/socket >/work/said"])
    for caps in b.config["process"]["capabilities"].values():
        caps.append("CAP_SYS_ADMIN")
    cid = node.start(b.write())
    wait_until(lambda: (b.rootfs / "work/said").is_file() and (b.rootfs / "work/said").read_text(), "the server to be ready")
    t.equal((b.rootfs / "work/said").read_text(), "ready\n", "fuse: /dev/fuse is opened")
    t.equal(node.exec(cid, "fuse", "own", "/work/m", **admin).out, "mount: EPERM\n", "fuse: nothing is mounted by a sandboxed process")
    t.equal(node.exec(cid, "fuse", "own", "/work/m", bare=True, **admin).out, "mounted\n", "fuse: control: it is outside the sandbox")
    t.equal(node.exec(cid, "umount", "/work/m", bare=True, **admin).code, 0, "fuse: and gone again")
    r = node.exec(cid, "fuse", "mount", "/work/socket", "/work/m", bare=True, **admin)
    t.equal(r.out, "served from inside\n", "fuse: who mounts outside reads what the sandboxed process serves")
    t.equal(node.exec(cid, "umount", "/work/m", bare=True, **admin).code, 0, "fuse: unmounted")
    node.delete(cid)


if __name__ == "__main__":
    main((devices, processes, not_replaced, *((privileged, shared, user_namespace, fuse) if sys.argv[1:] == ["all"] or sys.argv[2:] else ())))
