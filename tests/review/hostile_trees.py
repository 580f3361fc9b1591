# SPDX-License-Identifier: Apache-2.0
"""Trees that a pod makes on purpose, and somebody else who writes to the volume meanwhile."""
import ctypes
import os
import stat
import threading
import time

from lib_review import KEPT, Pod

FILES = 100_000
LIBC = ctypes.CDLL(None)


class Flipping:
    """A thread that does something over and over."""

    def __init__(self, what):
        self.what, self.end, self.n = what, threading.Event(), 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.end.is_set():
            try:
                self.what()
            except OSError:
                pass
            self.n += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


def symlink_race(t, node, mode):
    """Who writes to the volume itself swaps a directory for a symlink to one outside."""
    outside = node.dir / "outside"
    outside.mkdir()
    with Pod(node, fill=lambda v: (v / "d").mkdir()) as pod:
        d, link = pod.volume / "d", pod.volume / "link"
        link.symlink_to(outside)
        (pod.seen / "d/f").write_text("x")  # from now on the pod has a directory of its own there, whatever the volume has

        def flip():
            LIBC.renameat2(-100, os.fsencode(d), -100, os.fsencode(link), 2)  # exchange
            if not d.is_symlink() and not link.is_symlink():  # a commit has taken it away
                os.rename(link, pod.volume / f"aside{time.monotonic_ns()}")
                link.symlink_to(outside)

        codes, naive = set(), 0
        with Flipping(flip) as f:
            for n in range(10 if mode == "quick" else 300):
                (pod.seen / "d" / f"f{n}").write_text("x")
                codes.add(pod.kubefence("commit").code)
            commits = f.n
            hit = lambda: [p.name for p in outside.iterdir() if p.name != "naive"]  # noqa: E731
            escaped = hit()
            end = time.monotonic() + 60
            while time.monotonic() < end and not naive:
                try:
                    (d / "naive").write_text("x")
                except OSError:
                    pass
                naive = (outside / "naive").exists()
        t.ok(not escaped and 0 in codes and commits, "a directory that becomes a symlink and back while changes are committed leads nowhere outside", f"{codes} {escaped}")
        t.ok(naive, "whoever opens the same path by name is led outside")
        r = pod.kubefence("commit")
        t.ok(r.code == 0 and not d.is_symlink() and len([p for p in d.iterdir() if p.name[0] == "f"]) == (11 if mode == "quick" else 301),
             "and at rest all of it is committed", f"{r}")


def special_files(t, node, mode):
    def fill(v):
        (v / "fifo").write_text("a file\n")
        (v / "dev").mkdir()
        (v / "dev/inside").write_text("kept\n")

    with Pod(node, fill=fill) as pod:
        s = pod.seen
        (s / "fifo").unlink()
        os.mkfifo(s / "fifo")
        (s / "dev/inside").unlink()
        (s / "dev").rmdir()
        os.mknod(s / "dev", 0o020666, os.makedev(1, 3))
        os.mknod(s / "disk", 0o060666, os.makedev(7, 0))
        os.mkfifo(s / "new\nline")
        (s / "fine").write_text("fine\n")
        r = pod.kubefence("diff")
        t.ok(all(f"{n}  (never committed: " in r.out for n in ("fifo", "dev", "disk", r"new\x0aline")) and len(r.out.splitlines()) == 7,
             "diff names FIFOs and devices, each in one line, whatever their names", r.out)
        r = pod.kubefence("commit")
        t.ok(r.code == 1 and r.err.count("not committed") == 4 and (pod.volume / "fine").read_text() == "fine\n",
             "a commit leaves them, says which, and commits the rest", f"{r}")
        t.ok((pod.volume / "fifo").read_text() == "a file\n" and (pod.volume / "dev/inside").read_text() == "kept\n" and not (pod.volume / "disk").exists(),
             "what was in their places stays")

        # A name that is a file at one moment and a FIFO at the next.
        def flip():
            (s / "x").write_text("x")
            (s / "x").unlink()
            os.mkfifo(s / "x")
            (s / "x").unlink()

        with Flipping(flip) as f:
            runs = [pod.kubefence("diff", timeout=60).code for _ in range(20)]
        t.ok(len(runs) == 20 and f.n, "diff of what changes meanwhile never waits for a FIFO", f"{runs}")


def privilege(t, node, mode):
    with Pod(node) as pod:
        s, v = pod.seen, pod.volume
        (s / "su").write_text("#!/bin/sh\n")
        os.chmod(s / "su", 0o4755)
        os.setxattr(s / "su", "security.capability", bytes.fromhex("0100000202000000000000000000000000000000"))
        (s / "d").mkdir()
        os.chmod(s / "d", 0o2775)
        r = pod.kubefence("diff")
        t.ok("-rwsr-xr-x 0:0 10 su  (set-ID bits and capabilities are left out)" in r.out, "diff shows a set-user-ID bit", r.out)
        r = pod.kubefence("commit")
        mode_ = stat.S_IMODE(os.stat(v / "su").st_mode)
        t.ok(r.code == 0 and mode_ == 0o755 and "security.capability" not in os.listxattr(v / "su") and stat.S_IMODE(os.stat(v / "d").st_mode) == 0o2775,
             "a commit gives neither that bit nor capabilities; a directory's set-group-ID bit is no privilege", f"{r} {mode_:o}")
        r = pod.kubefence("commit")
        t.ok(r.code == 1 and "su' (a set-user-ID" in r.err and stat.S_IMODE(os.stat(v / "su").st_mode) == 0o755, "nor does a second one, which says so", f"{r}")
        r = pod.kubefence("commit", "--keep-privilege")
        t.ok(r.code == 0 and stat.S_IMODE(os.stat(v / "su").st_mode) == 0o4755 and "security.capability" in os.listxattr(v / "su"),
             "but one that is told to does", f"{r}")


def deep_and_large(t, node, mode):
    with Pod(node) as pod:
        s = pod.seen
        with open(s / "sparse", "wb") as f:
            f.truncate(1 << 40)
            f.seek(1 << 39)
            f.write(b"middle")
        here = os.open(s, os.O_RDONLY)
        for _ in range(60):
            os.mkdir("n" * 200, dir_fd=here)
            fd = os.open("n" * 200, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = fd
        os.close(here)
        begin = time.monotonic()
        r = pod.kubefence("commit")
        took = time.monotonic() - begin
        with open(pod.volume / "sparse", "rb") as f:
            f.seek(1 << 39)
            got = f.read(6)
        st = os.stat(pod.volume / "sparse")
        t.ok(r.code == 1 and r.err.count("its path is too long") == 1 and st.st_size == 1 << 40 and st.st_blocks < 1000 and got == b"middle",
             f"a file of a TiB of holes is committed with them, and a directory whose path no call takes is named ({took:.1f} s)", f"{r}")
        pod.stop()
        r = pod.kubefence("discard")
        t.ok(r.code == 0 and not (KEPT / pod.uid).exists(), "discard removes what is deeper than any path", f"{r}")


def many_files(t, node, mode):
    with Pod(node) as pod:
        r = pod.sh(f"mkdir -p /work/m/old; cd /work/m; seq 1 {FILES} | while read i; do echo $i >f$i; done; ls | wc -l")
        assert r.out.split() == [str(FILES + 1)], r
        begin = time.monotonic()
        r = pod.kubefence("diff", timeout=550)
        seen = time.monotonic() - begin
        t.ok(r.code == 0 and r.out.count("\n") == FILES + 4, f"{FILES} files: diff lists each ({seen:.1f} s)", r.out[-300:])
        begin = time.monotonic()
        r = pod.kubefence("commit", timeout=550)
        took = time.monotonic() - begin
        names = os.listdir(pod.volume / "m")
        t.ok(r.code == 0 and len(names) == FILES + 1 and all((pod.volume / f"m/f{i}").read_text() == f"{i}\n" for i in range(1, FILES, 997)),
             f"{FILES} files: a commit has all of them ({took:.1f} s)", f"{r} {len(names)}")
        pod.stop()
        r = pod.kubefence("discard", timeout=550)
        t.ok(r.code == 0 and not (KEPT / pod.uid).exists(), "and discard forgets them")


def somebody_else(t, node, mode):
    """What is not as it was listed is not overwritten unseen."""
    with Pod(node, fill=lambda v: (v / "a").write_text("1")) as pod:
        pod.sh("echo 2 >/work/a; echo 2 >/work/b")
        listed = pod.kubefence("diff").out.split("sum ")[1].strip()
        pod.sh("echo 3 >/work/b")
        r = pod.kubefence("commit", "--expect", listed)
        t.ok(r.code == 1 and "not those with the sum" in r.err and (pod.volume / "a").read_text() == "1",
             "a commit of changes that are not those that were listed commits nothing", f"{r}")
        listed = pod.kubefence("diff").out.split("sum ")[1].strip()
        r = pod.kubefence("commit", "--expect", listed)
        t.ok(r.code == 0 and (pod.volume / "b").read_text() == "3\n", "with their sum it does", f"{r}")
        (pod.volume / ".kubefence-commit-0123").write_text("not ours\n")
        pod.sh("echo 4 >/work/b")
        r = pod.kubefence("commit")
        t.ok(r.code == 0 and (pod.volume / ".kubefence-commit-0123").exists(), "and removes nothing that only has a name like its own", f"{r}")


def paths(t, node, mode):
    with Pod(node, fill=lambda v: (v / "old").write_text("x")) as pod:
        pod.sh("cd /work; mkdir -p a/b/c .git/hooks; echo 1 >a/b/c/f; echo 2 >a/g; echo 3 >h; echo evil >.git/hooks/pre-commit; rm old")
        r = pod.kubefence("diff")
        lines = r.out.splitlines()
        t.ok(lines[1].startswith("others execute") and lines[3].endswith(".git/hooks/pre-commit") and "all else:" in lines, "what others execute comes first", r.out)
        r = pod.kubefence("commit", "a/b", "old")
        found = sorted(str(p.relative_to(pod.volume)) for p in pod.volume.rglob("*"))
        t.ok(r.code == 0 and found == ["a", "a/b", "a/b/c", "a/b/c/f"], "a commit of paths has what is there and below, and the directories on the way", f"{r} {found}")
        r = pod.kubefence("commit", "nothing")
        t.ok(r.code == 1 and "nothing has changed at 'nothing'" in r.err, "a path where nothing has changed is an error", f"{r}")
        r = pod.kubefence("commit", "../../etc")
        t.ok(r.code == 1 and "nothing has changed" in r.err, "and so is one that leads out", f"{r}")
        r = pod.kubefence("diff", "--patch")
        t.ok("+++ .git/hooks/pre-commit\n@@ -0,0 +1,1 @@\n+evil\n" in r.out, "diff --patch shows texts", r.out)


CASES = (symlink_race, special_files, privilege, paths)
ALL = (deep_and_large, somebody_else, many_files)
