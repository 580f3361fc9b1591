# SPDX-License-Identifier: Apache-2.0
"""A commit that is killed, at each of its system calls: the next one finishes it, and no file is ever half."""
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lib.cri import wait_pid
from lib.wait import wait_until
from lib_review import BIN, KEPT, Pod, cgroup2, committed, differences, tree
from random_tree import Changes

DEADLINE = 60


def copy(a: Path, b: Path) -> None:
    """The contents of one directory to another, whiteouts and all attributes too."""
    for p in b.iterdir():
        shutil.rmtree(p) if p.is_dir() and not p.is_symlink() else p.unlink()
    subprocess.run(["cp", "-a", f"{a}/.", f"{b}/"], check=True)


class Saved:
    """A volume and what its pod has changed, which can be had again and again."""

    def __init__(self, node, seed: int):
        def fill(volume):
            Changes(volume, random.Random(seed), special=False).many(25)
            for n in ("twice", "gone"):
                (volume / n).write_text("old\n")
            os.link(volume / "twice", volume / "twice2")

        self.pod = Pod(node, fill=fill)
        seen = self.pod.seen
        Changes(seen, random.Random(seed + 1)).many(25)
        for n in ("gone", "twice"):
            (seen / n).unlink(missing_ok=True)
        (seen / "new/er").mkdir(parents=True, exist_ok=True)
        (seen / "new/er/f").write_text("new\n")
        os.link(seen / "new/er/f", seen / "new/er/g")
        self.before, self.seen = tree(self.pod.volume), tree(seen)
        self.want = committed(self.seen, self.before, self.pod.store / "upper")
        self.pod.stop()
        self.dir = node.dir / f"saved-{seed}"
        for name, what in (("volume", self.pod.volume), ("kept", self.pod.store.parent)):
            (self.dir / name).mkdir(parents=True)
            copy(what, self.dir / name)
        # From memory to disk, so that it can be had again.
        subprocess.run(["umount", self.pod.store], check=True)

    def restore(self) -> None:
        self.pod.store.parent.mkdir(parents=True, exist_ok=True)
        copy(self.dir / "volume", self.pod.volume)
        copy(self.dir / "kept", self.pod.store.parent)


def half(now: dict, before: dict, want: dict) -> list:
    """Files that are neither what they were nor what they become."""
    return [p for p, e in now.items() if not p.startswith(b".kubefence-commit") and e[0] != 0o040000 and e not in (before.get(p), want.get(p))]


# What a commit does to volume and changes, then what it only looks with.
CHANGING = ("renameat2", "mkdirat", "unlinkat", "fsetxattr", "linkat", "symlinkat", "fchmod", "fchown", "fchownat", "utimensat", "pwrite64", "ftruncate",
            "fremovexattr", "syncfs", "renameat", "rmdir", "umount2")
LOOKING = ("openat", "openat2", "newfstatat", "fstat", "fstatfs", "read", "pread64", "lseek", "flistxattr", "fgetxattr", "getdents64", "readlinkat", "close",
           "readlink", "flock", "open_tree", "mmap", "write", "exit_group", "wait4", "clone")


def at_each_call(t, node, mode):
    """Each call of commands and workers: strace counts each kind by itself."""
    saved = Saved(node, 7)
    killed, wrong = 0, []
    for call in CHANGING[:4] if mode == "quick" else CHANGING + LOOKING:
        n = 1
        while len(wrong) < 3:
            saved.restore()
            r = saved.pod.kubefence("commit", prefix=("strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"inject={call}:signal=SIGKILL:when={n}"))
            now = tree(saved.pod.volume)
            if half(now, saved.before, saved.want):
                wrong.append(f"{call} {n}: half: {half(now, saved.before, saved.want)}")
            again = saved.pod.kubefence("commit") if (KEPT / saved.pod.uid).exists() else r
            after = tree(saved.pod.volume)
            if not after.same(saved.want) or again.code not in (-9, 0, 1) or again.code == 1 and "not committed" not in again.err:
                wrong.append(f"{call} {n}: {r} {again}\n{differences(after, saved.want)}")
            if r.code in (0, 1) and "killed" not in r.err:
                break
            killed += 1
            n += 7 if mode == "quick" else 1
    t.ok(not wrong and killed >= 4, f"a commit that is killed at a system call ({killed} of them) is finished by the next one, and no file is ever half",
         "\n".join(wrong) or f"{killed}: {r}")
    saved.restore()
    saved.pod.kubefence("discard")
    t.ok(tree(saved.pod.volume).same(saved.before), "and the same saved changes, discarded, leave the volume as it was")


def state(pod: Pod) -> str:
    text = (pod.store.parent / "frozen").read_text().split(maxsplit=1)[1].strip()
    return Path(text).read_text().strip()


def children(pid: int) -> list[int]:
    return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def while_stopped(t, node, mode):
    with Pod(node) as pod:
        pod.sh("echo x >/work/f")
        p = subprocess.Popen(["strace", "-f", "-qqq", "-o", "/dev/null", "-e", "inject=syncfs:signal=SIGSTOP:when=1", BIN / "kubefence", "review", "commit", pod.uid],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + DEADLINE
        stage = None
        while time.monotonic() < end and not stage:
            stage = next((q for q in pod.volume.glob(".kubefence-commit-*/*")), None)
            time.sleep(0.05)
        now, frozen = state(pod), (pod.store.parent / "frozen").read_text()
        t.ok(stage and now in ("FROZEN", "1"), "while a commit works the pod's processes are stopped", f"{stage} {now}")
        t.equal(frozen.split("/")[-1].strip(), "cgroup.freeze" if cgroup2() else "freezer.state", "... by the cgroups that the runtime uses")
        command = children(p.pid)[0]
        worker = children(command)[0]
        os.kill(command, signal.SIGKILL)
        wait_pid(worker, DEADLINE)
        p.kill()
        p.wait(DEADLINE)
        t.ok(state(pod) in ("FROZEN", "1"), "and if all of it is killed they stay so: nobody is left who could start them")
        r = pod.kubefence("diff")
        t.ok(r.code == 0 and not (pod.store.parent / "frozen").exists() and pod.sh("echo y >/work/g").code == 0,
             "until the next command about the pod, whichever it is", f"{r}")
        r = pod.kubefence("commit")
        t.ok(r.code == 0 and (pod.volume / "f").read_text() == "x\n" and not list(pod.volume.glob(".kubefence*")), "which can be the same commit", f"{r}")
        # Whoever is stopped can be ended.
        (pod.store.parent / "frozen").write_text(frozen)
        Path(frozen.split(maxsplit=1)[1].strip()).write_text("FROZEN" if "freezer" in frozen else "1")
        begin = time.monotonic()
        r = node.delete(pod.ids[0])
        t.ok(r.code == 0 and time.monotonic() - begin < DEADLINE, "and the container can be ended all the while", f"{r}")
        pod.ids.clear()
        pod.start()
        # The worker alone.
        pod.sh("echo z >/work/h")
        r = pod.kubefence("commit", prefix=("strace", "-f", "-qqq", "-o", "/dev/null", "-e", "inject=syncfs:signal=SIGKILL:when=1"))
        t.ok("killed by signal 9" in r.err and pod.sh("echo z2 >/work/h").code == 0, "if only its worker is killed they go on at once", f"{r}")
        r = pod.kubefence("commit")
        t.ok(r.code == 0 and (pod.volume / "h").read_text() == "z2\n", "and a second commit finishes", f"{r}")
        assert re.match(r"committed \d+ changes", r.out)


def one_moment(t, node, mode):
    """What was written one after the other is committed as it was at one moment, while the pod writes on."""
    with Pod(node, start=False) as pod:
        pod.start(["sh", "-c", "i=0; while :; do i=$((i+1)); echo $i >/work/a; echo $i >/work/b; done"])
        torn, numbers = [], []
        for _ in range(10):
            wait_until(lambda: (pod.seen / "b").exists() and int((pod.seen / "b").read_text() or 0) > (numbers or [0])[-1], "the pod to write on")
            r = pod.kubefence("commit")
            a, b = ((pod.volume / n).read_text().strip() for n in "ab")
            numbers.append(int(a or b))
            # A file is empty for a moment before it has the next number.
            if r.code or (a and b and int(a) - int(b) not in (0, 1)):
                torn.append((r, a, b))
        t.ok(not torn and numbers == sorted(set(numbers)), "commits of a pod that writes on: each has one moment, and the pod goes on", f"{torn} {numbers}")


CASES = (at_each_call,)
ALL = (while_stopped, one_moment)
