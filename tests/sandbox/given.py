# SPDX-License-Identifier: Apache-2.0
"""What a container is given beside files: a /proc, in which its processes write what the kernel lets them write about themselves, and devices.

The matrix: each row is tried in four kinds of container, bare and under each profile; the answer depends on the container, not on the profile.
"ok" under a profile is what the kernel lets a process do, and the sandbox with it."""
import json
import shutil
import subprocess
import tempfile

import box
from behaviour import MINIMAL, policy

A, E, R, I, N = "EACCES", "EPERM", "EROFS", "EINVAL", "ENOENT"
KINDS = {
    "ordinary": "an ordinary container",
    "shared": "a PID namespace that is shared",
    "privileged": "a privileged container",
    "admin": "CAP_SYS_ADMIN added",
}
OWN = (("ok", "ok", "ok", "ok"), ("ok", A, A, A))
SHUT = (("ok", "ok", "ok", "ok"), (A, A, A, A))
CLOSED = ((R, R, "ok", R), (R, R, A, R))
NO_CAPABILITY = "needs CAP_SYS_ADMIN"
CONTAINERS = "the container's own processes; whoever is root there may"
# Name in attack.c, what is tried, the answers in the kinds of container bare and sandboxed, a remark.
ROWS = (
    ("comm", "name itself", *OWN, ""),
    ("thread_comm", "name another thread of its own, as CUDA and pthread_setname_np() do", *OWN, ""),
    ("oom_self", "raise its oom_score_adj", *OWN, ""),
    ("oom_child", "raise a child's", *OWN, ""),
    ("coredump_filter", "write its coredump_filter", *OWN, ""),
    ("clear_refs", "write its clear_refs", *OWN, ""),
    ("timerslack", "write its timerslack_ns", *OWN, ""),
    ("uid_map", "map users in a user namespace of its own", *OWN, "the seccomp levels let no such namespace be made"),
    ("child_mem", "open a child's memory for writing", *OWN, ""),
    ("first_oom", "raise the oom_score_adj of process 1", *OWN, CONTAINERS),
    ("first_coredump", "write the coredump_filter of process 1", *OWN, CONTAINERS),
    ("first_clear_refs", "write the clear_refs of process 1", *OWN, CONTAINERS),
    ("first_comm", "name process 1", (I, I, I, I), (I, A, A, A), ""),
    ("first_mem", "open the memory of process 1, which is outside the sandbox", *SHUT, "ptrace access, which Landlock keeps within a sandbox"),
    ("first_root", "read a file through its root", *SHUT, "likewise"),
    ("first_cwd", "read a file through its working directory", *SHUT, "likewise"),
    ("first_fd", "reopen its standard output", *SHUT, "likewise"),
    ("first_maps", "read its maps", ("ok", "ok", "ok", "ok"), (A, A, "ok", "ok"), "with CAP_SYS_ADMIN not a boundary since Linux 6.13"),
    ("create_proc", "make a file in /proc", (N, N, N, N), (N, N, N, N), ""),
    ("proc_sys", "write a file of /proc/sys", *CLOSED, ""),
    ("proc_irq", "write a file of /proc/irq", *CLOSED, ""),
    ("proc_bus", "write a file of /proc/bus", *CLOSED, ""),
    ("sys_in_namespace", "get at /proc/sys in namespaces of its own, in four ways", (R, R, "ok", R), (R, R, A, R), ""),
    ("sys_cloned", "clone the mount of /proc without what lies over it", (E, E, "ok", "ok"), (E, E, A, A), NO_CAPABILITY),
    ("sys_remounted", "make /proc/sys writable", (E, E, I, "ok"), (E, E, E, E), NO_CAPABILITY),
    ("sys_unmounted", "unmount what lies over /proc/sys", (E, E, I, "ok"), (E, E, I, E), NO_CAPABILITY),
)
# Beside those which every container has; the block device is a loop device that nothing is behind.
DEVICES = (("/dev/fuse", "c", 10, 229), ("/dev/accel/own", "c", 1, 3), ("/dev/accel/deep/er", "c", 1, 5), ("/dev/disk-0", "b", 7, 0))


def text_of(profile: str) -> str:
    return subprocess.run([f"{box.ROOT}/out/bin/kubefence", "profile", "compile", profile], capture_output=True, text=True, check=True).stdout


def profiles(mode: str) -> list[str]:
    if mode != "all":
        return ["default", "strict", "workspace"]
    listed = subprocess.run([f"{box.ROOT}/out/bin/kubefence", "profile", "list", "-o", "json"], capture_output=True, text=True, check=True)
    return [p["name"] for p in json.loads(listed.stdout)]


class Target:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="kf-given-")
        self.attack = box.build("attack", f"{self.dir}/attack")

    def box(self, **kw) -> box.Box:
        """Not started; its first process is outside every sandbox."""
        b = box.Box(init=["sleep", "1000000"], **kw)
        shutil.copy2(self.attack, f"{b.rootfs}/bin/attack")
        return b

    def kinds(self, use) -> dict:
        """What @use says of a container of each kind."""
        said, admin = {}, box.available_caps()
        with self.box() as first:
            said["ordinary"] = use(first.start())
            with self.box(pids_of=first) as second:
                said["shared"] = use(second.start())
        for kind, kw in (("privileged", {"privileged": True}), ("admin", {})):
            with self.box(caps=admin, **kw) as b:
                said[kind] = use(b.start())
        return said


def matrix(t, target: Target, texts: dict) -> None:
    def rows(b, name):
        p = b.exec(["/bin/attack", "proc"], profile=name, by_fd=texts.get(name))
        if p.returncode:
            raise RuntimeError(f"{name}: {p.stderr}")
        return dict(line.split() for line in p.stdout.splitlines())

    # The control last: with capabilities it takes away what the others find.
    got = target.kinds(lambda b: {name: rows(b, name) for name in (*texts, None)})
    for i, kind in enumerate(KINDS):
        t.equal(sorted(got[kind][None]), sorted(r[0] for r in ROWS), f"/proc: {KINDS[kind]}: every row was tried")
        for row, what, bare, inside, _ in ROWS:
            t.equal(got[kind][None].get(row), bare[i], f"/proc: {KINDS[kind]}: control: {what}")
            t.equal({name: got[kind][name].get(row) for name in texts}, dict.fromkeys(texts, inside[i]),
                    f"/proc: {KINDS[kind]}: under {len(texts)} profiles: {what}")


def devices(t, target: Target) -> None:
    """Exactly those that the container was given, and none where it was given all."""
    paths = [d[0] for d in DEVICES]
    others = ["/dev/null", "/dev/tty", "/dev/zero"]

    def use(b, profile, *flags):
        p = b.exec(["/bin/attack", "device", *paths], profile=profile, flags=flags)
        return p.stdout.splitlines()

    with target.box(devices=DEVICES) as b:
        b.start()
        control, inside, strict = use(b, None), use(b, "default"), use(b, "strict")
        told = b.exec(["/nono/nono", "wrap", "--dry-run"]).stdout
        for profile in ("default", "workspace"):
            p = b.exec(["ls", "/dev/accel"], profile=profile, by_fd=text_of(profile))
            t.equal(p.stdout, "deep\nown\n", f"devices: under '{profile}' they can be looked for")
        elsewhere = b.exec(["/bin/attack", "device", *others]).stdout
        t.equal(b.exec(["/bin/attack", "device", *others], profile="default").stdout, elsewhere, "devices: those of every container as bare")
    t.equal([line.split()[1:] for line in control if "/disk" not in line], [["ok", "ENOTTY"], ["ok", "ENOTTY"], ["ok", "ENOTTY"]],
            "devices: control: opened, and asked something that they do not know")
    t.equal(inside, control, "devices: under 'default' as bare, ioctl included")
    t.equal(strict, [f"{p} EACCES -" for p in paths], "devices: none under 'strict'")
    line = next(n for n, rule in enumerate(text_of("default").splitlines(), 1) if rule == "fs devices")
    t.equal(sorted(r.split()[1] for r in told.splitlines() if f"(line {line})" in r), sorted(["/dev", *paths]), "devices: those, and listing /dev, and nothing else")
    # What containerd and CRI-O put into a privileged container's /dev: all that the node has.
    with target.box(devices=DEVICES, privileged=True, caps=box.available_caps()) as b:
        b.start()
        t.equal(use(b, None), control, "devices: privileged: control")
        t.equal(use(b, "default"), [f"{p} EACCES -" for p in paths], "devices: none in a privileged container")
        t.equal(use(b, "default", "--allow-file", "/dev/fuse")[0], control[0], "devices: there, too, what is named is granted")
    with target.box(devices=[("/data/volume", "b", 7, 0), ("/data/null", "c", 1, 3)]) as b:
        b.start()
        asked = ["/bin/attack", "device", "/data/null"]
        t.equal(b.exec(asked, profile="default").stdout, "/data/null EACCES -\n", "devices: outside /dev only those that a profile names")
        t.equal(b.exec(asked, profile="p", by_fd=policy(MINIMAL + "fs rw /data/null\n", "p")).stdout, b.exec(asked).stdout,
                "devices: such a one is used as bare, ioctl included")


def why(t, target: Target) -> None:
    with target.box(devices=DEVICES) as b:
        b.start()
        for path, op, want in (("/dev/fuse", "write", 0), ("/dev/kmsg", "read", 1), ("/proc/self/comm", "write", 0), ("/proc/1/oom_score_adj", "write", 0),
                               ("/proc/sys/kernel/hostname", "write", 1), ("/proc/meminfo", "write", 1), ("/proc/meminfo", "read", 0)):
            p = b.exec(["/nono/nono", "why", "--path", path, "--op", op])
            t.equal(p.returncode, want, f"why: {(p.stdout or p.stderr).splitlines()[0]}")


def replaced(t, target: Target) -> None:
    """What lies in /dev and is no device is not granted as one."""
    with target.box(devices=DEVICES) as b:
        b.mounts = [{"destination": "/dev/given/file", "type": "bind", "source": f"{target.dir}/file", "options": ["bind", "rw"]}]
        with open(f"{target.dir}/file", "w") as f:
            f.write("x")
        b.start()
        b.exec(["sh", "-c", "ln -s /etc/passwd /dev/link; echo x >/dev/plain; chmod 666 /dev/plain"])
        for path in ("/dev/link", "/dev/plain", "/dev/given/file"):
            t.ok(b.exec(["cat", path]).returncode == 0 and b.exec(["sh", "-c", f"echo x >>{path}"], profile="default").returncode,
                 f"devices: {path} is no device, and is not written")


def proof(t, target: Target) -> None:
    """That the sandbox is on is shown in containers whose /proc may be written, too."""
    with target.box() as b:
        box.build("kernel", f"{b.rootfs}/bin/kernel")
        b.start()
        wrap = ["/nono/nono", "wrap", "--profile", "default", "--", "echo", "x"]
        for user in ("0:0", "1000:1000"):
            p = b.exec(["/bin/kernel", "fault", "446", "0", *wrap], user=user)
            t.ok(p.returncode == 1 and not p.stdout and "not in force" in p.stderr,
                 f"uid {user}: landlock_restrict_self says 0 and does nothing, /proc may be written: nothing runs", (p.returncode, p.stdout, p.stderr))
            t.equal(b.exec(["/bin/kernel", "fault", "316", "1", *wrap], user=user).stdout, "x\n", f"uid {user}: renameat2(2) is not needed")


def run(t, mode: str = "quick") -> None:
    target = Target()
    try:
        texts = {name: text_of(name) for name in profiles(mode)}
        t.case("/proc", matrix, t, target, texts)
        for case in (devices, why, replaced, proof):
            t.case(case.__name__, case, t, target)
    finally:
        shutil.rmtree(target.dir, ignore_errors=True)


def table() -> str:
    def cell(bare, inside):
        if inside == "ok":
            return "may"
        return f"refused ({inside})" if bare == "ok" else f"refused ({inside}), bare as well"

    lines = ["| | " + " | ".join(KINDS.values()) + " | |", "|---" * (len(KINDS) + 2) + "|"]
    for _, what, bare, inside, remark in ROWS:
        lines.append("| " + " | ".join([what, *(cell(b, i) for b, i in zip(bare, inside)), remark]) + " |")
    return "\n".join(lines) + "\n"
